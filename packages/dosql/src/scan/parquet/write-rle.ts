/**
 * The hybrid of run lengths and bit-packed groups that Parquet has for dictionary codes, levels and booleans
 * (https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE).
 */

/** Small natural numbers, each below 2^width of what they are written with. */
export type Codes = Uint8Array | Uint16Array | Uint32Array;

/** A run shorter than this is cheaper within a bit-packed group, also for who reads it. */
const SHORTEST_RUN = 16;

/** How many bits the codes below `count` take. */
export function bitWidth(count: number): number {
  return count < 2 ? 0 : 32 - Math.clz32(count - 1);
}

/** `codes` from `from` up to `to` with `width` bits each; at most 24. `head` bytes are left free in front. */
export function encodeRuns(codes: Codes, from: number, to: number, width: number, head: number): Uint8Array {
  const count = to - from;
  // All of it bit-packed, and for each run a header and a value and the header of the group after it.
  const runs = Math.ceil(count / SHORTEST_RUN) + 1;
  const out = new Uint8Array(head + Math.ceil(count / 8) * width + runs * 13 + 16);
  let at = head;
  let literals = from;
  let i = from;
  while (i < to) {
    const run = runLength(codes, i, to);
    const isAll = i === literals && i + run === to;
    if (run < SHORTEST_RUN && !isAll) {
      i = Math.min(i + 8, to);
      continue;
    }
    at = packGroups(codes, literals, i, width, out, at);
    at = writeVarint(out, at, run * 2);
    const value = codes[i] as number;
    for (let shift = 0; shift < width; shift += 8) out[at++] = value >>> shift;
    i += run;
    literals = i;
  }
  at = packGroups(codes, literals, to, width, out, at);
  return out.subarray(0, at);
}

function runLength(codes: Codes, from: number, to: number): number {
  const value = codes[from];
  let i = from + 1;
  while (i < to && codes[i] === value) i++;
  return i - from;
}

/** One bit-packed run; its last group is filled up with zeros. */
function packGroups(
  codes: Codes,
  from: number,
  to: number,
  width: number,
  out: Uint8Array,
  start: number,
): number {
  if (from === to) return start;
  const groups = (to - from + 7) >>> 3;
  let at = writeVarint(out, start, groups * 2 + 1);
  const end = at + groups * width;
  if (width === 8 && codes instanceof Uint8Array) {
    out.set(codes.subarray(from, to), at);
    return end;
  }
  let bits = 0;
  let buffered = 0;
  for (let i = from; i < to; i++) {
    bits |= (codes[i] as number) << buffered;
    buffered += width;
    while (buffered >= 8) {
      out[at++] = bits;
      bits >>>= 8;
      buffered -= 8;
    }
  }
  if (buffered > 0) out[at] = bits;
  return end;
}

/** Writes `value` in groups of seven bits; gives where it ends. */
export function writeVarint(out: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  while (rest > 127) {
    out[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}
