/**
 * DELTA_BINARY_PACKED: blocks of 128 differences, less the least of the block, bit-packed in four miniblocks
 * (https://parquet.apache.org/docs/file-format/data-pages/encodings/#DELTAENC).
 */
import { ByteSink } from './thrift-write.ts';

const BLOCK = 128;
const MINIBLOCK = 32;

/**
 * Integers that lie within 2^51 of each other, given as their differences from `base`, as int64. Differences of
 * differences are then exact as doubles.
 */
export function encodeDelta64(values: Float64Array, from: number, to: number, base: bigint): Uint8Array {
  const head = header(to - from);
  if (to === from) head.byte(0);
  else zigzagBigint(head, base + BigInt(values[from] as number));
  const out = room(head, to - from, 8);
  let at = head.length;
  const deltas = new Float64Array(BLOCK);
  let previous = values[from] ?? 0;
  for (let i = from + 1; i < to; i += BLOCK) {
    const count = Math.min(BLOCK, to - i);
    let least = Infinity;
    for (let j = 0; j < count; j++) {
      const value = values[i + j] as number;
      const delta = value - previous;
      previous = value;
      deltas[j] = delta;
      if (delta < least) least = delta;
    }
    for (let j = 0; j < count; j++) deltas[j] = (deltas[j] as number) - least;
    at = packBlock(deltas, count, least, out, at);
  }
  return out.subarray(0, at);
}

/** Integers as int32; differences wrap around as those of 32 bits do. */
export function encodeDelta32(values: Int32Array, from: number, to: number): Uint8Array {
  const head = header(to - from);
  head.zigzag(values[from] ?? 0);
  const out = room(head, to - from, 4);
  let at = head.length;
  const deltas = new Float64Array(BLOCK);
  let previous = values[from] ?? 0;
  for (let i = from + 1; i < to; i += BLOCK) {
    const count = Math.min(BLOCK, to - i);
    let least = Infinity;
    for (let j = 0; j < count; j++) {
      const value = values[i + j] as number;
      const delta = (value - previous) | 0;
      previous = value;
      deltas[j] = delta;
      if (delta < least) least = delta;
    }
    for (let j = 0; j < count; j++) deltas[j] = (deltas[j] as number) - least;
    at = packBlock(deltas, count, least, out, at);
  }
  return out.subarray(0, at);
}

function header(count: number): ByteSink {
  const sink = new ByteSink(32);
  sink.varint(BLOCK);
  sink.varint(BLOCK / MINIBLOCK);
  sink.varint(count);
  return sink;
}

function room(head: ByteSink, count: number, bytes: number): Uint8Array {
  const out = new Uint8Array(head.length + Math.ceil(count / BLOCK) * (BLOCK * bytes + 16) + 16);
  out.set(head.bytes);
  return out;
}

/** Packs one block of which `deltas` holds the differences less the least; gives where it ends. */
function packBlock(
  deltas: Float64Array,
  count: number,
  least: number,
  out: Uint8Array,
  start: number,
): number {
  deltas.fill(0, count);
  let at = writeZigzag(out, start, least);
  const widths = at;
  at += BLOCK / MINIBLOCK;
  for (let m = 0; m * MINIBLOCK < count; m++) {
    let most = 0;
    for (let j = m * MINIBLOCK; j < (m + 1) * MINIBLOCK; j++) {
      const delta = deltas[j] as number;
      if (delta > most) most = delta;
    }
    const width = most < 2 ** 32 ? 32 - Math.clz32(most) : 64 - Math.clz32(Math.floor(most / 2 ** 32));
    out[widths + m] = width;
    if (width === 0) continue;
    if (width <= 32) packNarrow(deltas, m * MINIBLOCK, width, out, at);
    else packWide(deltas, m * MINIBLOCK, width, out, at);
    at += (MINIBLOCK / 8) * width;
  }
  return at;
}

/** 32 numbers of up to 32 bits; they end on a boundary of 32 bits. */
function packNarrow(deltas: Float64Array, from: number, width: number, out: Uint8Array, start: number): void {
  let at = start;
  let bits = 0;
  let buffered = 0;
  for (let j = from; j < from + MINIBLOCK; j++) {
    const value = (deltas[j] as number) >>> 0;
    bits |= value << buffered;
    buffered += width;
    if (buffered < 32) continue;
    out[at] = bits;
    out[at + 1] = bits >>> 8;
    out[at + 2] = bits >>> 16;
    out[at + 3] = bits >>> 24;
    at += 4;
    buffered -= 32;
    bits = buffered === 0 ? 0 : value >>> (width - buffered);
  }
}

/** 32 numbers of 33 to 53 bits, byte by byte. */
function packWide(deltas: Float64Array, from: number, width: number, out: Uint8Array, start: number): void {
  let at = start;
  let buffered = 0;
  for (let j = from; j < from + MINIBLOCK; j++) {
    let rest = deltas[j] as number;
    let left = width;
    while (left > 0) {
      const take = Math.min(8 - buffered, left);
      const part = rest % (1 << take);
      out[at] = (out[at] as number) | (part << buffered);
      rest = (rest - part) / (1 << take);
      left -= take;
      buffered += take;
      if (buffered === 8) {
        buffered = 0;
        at++;
      }
    }
  }
}

function writeZigzag(out: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  while (rest > 127) {
    out[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  out[at++] = rest;
  return at;
}

function zigzagBigint(sink: ByteSink, value: bigint): void {
  let rest = BigInt.asUintN(64, value < 0n ? -2n * value - 1n : 2n * value);
  while (rest > 127n) {
    sink.byte(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  sink.byte(Number(rest));
}
