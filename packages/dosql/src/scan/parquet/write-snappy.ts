/** Snappy's block format, writing side (https://github.com/google/snappy/blob/main/format_description.txt). */
import { writeVarint } from './write-rle.ts';

const HASH_BITS = 14;
/** A copy reaches back less than this, so that every one takes three bytes. */
const MAX_OFFSET = 65_535;

/** Compresses `input`. */
export function compressSnappy(input: Uint8Array): Uint8Array {
  const { length } = input;
  const out = new Uint8Array(length + Math.ceil(length / 6) + 32);
  const table = new Int32Array(1 << HASH_BITS).fill(-MAX_OFFSET - 1);
  let at = writeVarint(out, 0, length);
  let literal = 0;
  let i = 0;
  // What does not repeat is passed over in growing steps.
  let misses = 32;
  while (i + 4 <= length) {
    const word = readWord(input, i);
    const slot = Math.imul(word, 0x1e_35_a7_bd) >>> (32 - HASH_BITS);
    const candidate = table[slot] as number;
    table[slot] = i;
    if (i - candidate > MAX_OFFSET || readWord(input, candidate) !== word) {
      i += misses++ >>> 5;
      continue;
    }
    let end = i + 4;
    for (let back = candidate + 4; end < length && input[end] === input[back]; back++) end++;
    at = writeLiteral(input, literal, i, out, at);
    at = writeCopy(end - i, i - candidate, out, at);
    i = end;
    literal = end;
    misses = 32;
  }
  at = writeLiteral(input, literal, length, out, at);
  return out.subarray(0, at);
}

function readWord(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function writeLiteral(input: Uint8Array, from: number, to: number, out: Uint8Array, start: number): number {
  if (from === to) return start;
  const rest = to - from - 1;
  let at = start;
  if (rest < 60) out[at++] = rest << 2;
  else {
    const bytes = rest < 2 ** 8 ? 1 : rest < 2 ** 16 ? 2 : rest < 2 ** 24 ? 3 : 4;
    out[at++] = (59 + bytes) << 2;
    for (let shift = 0; shift < 8 * bytes; shift += 8) out[at++] = rest >>> shift;
  }
  out.set(input.subarray(from, to), at);
  return at + to - from;
}

/** Copies of up to 64 bytes each. */
function writeCopy(length: number, offset: number, out: Uint8Array, start: number): number {
  let at = start;
  for (let left = length; left > 0;) {
    const part = Math.min(left, 64);
    out[at++] = ((part - 1) << 2) | 2;
    out[at++] = offset;
    out[at++] = offset >>> 8;
    left -= part;
  }
  return at;
}
