import { malformed } from './malformed.ts';

/** The same bytes, not as a Buffer: a decoder that meets arrays of one class only is compiled better. */
export function plainBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.constructor === Uint8Array) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** A view of the bytes for reads of several at once. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Unpacks `count` numbers of `width` bits, up to 24, that are packed from the lowest bit on, into `out` from `from` on.
 *
 * Eight numbers take `width` bytes, so each of eight has a fixed byte and shift: one shift and one mask a number, and one
 * load for as many as lie within four bytes. Near the end of the bytes, where four at once do not fit, they are put
 * together singly.
 *
 * @returns a number with every bit that any of them has, and perhaps more.
 */
function unpackNarrow(
  view: DataView,
  at: number,
  width: number,
  out: Uint32Array,
  from: number,
  count: number,
): number {
  const last = Math.min(from + (count & ~7), from + 8 * Math.floor((view.byteLength - 4 - at) / width));
  const unpackEights = width <= 8 ? unpackFours : width <= 12 ? unpackPairs : unpackOnes;
  const seen = unpackEights(view, at, width, out, from, last);
  const done = Math.max(0, last - from);
  return seen | unpackSingly(view, at + (done / 8) * width, width, out, from + done, count - done);
}

/** Up to 8 bits: two loads for eight. */
function unpackFours(
  view: DataView,
  at: number,
  width: number,
  out: Uint32Array,
  from: number,
  last: number,
): number {
  const mask = (1 << width) - 1;
  const second = (4 * width) >>> 3;
  const shift = (4 * width) & 7;
  const s2 = 2 * width;
  const s3 = 3 * width;
  let seen = 0;
  for (let to = from; to < last; to += 8) {
    const low = view.getUint32(at, true);
    const high = view.getUint32(at + second, true) >>> shift;
    seen |= low | high;
    out[to] = low & mask;
    out[to + 1] = (low >>> width) & mask;
    out[to + 2] = (low >>> s2) & mask;
    out[to + 3] = (low >>> s3) & mask;
    out[to + 4] = high & mask;
    out[to + 5] = (high >>> width) & mask;
    out[to + 6] = (high >>> s2) & mask;
    out[to + 7] = (high >>> s3) & mask;
    at += width;
  }
  return (seen | (seen >>> width) | (seen >>> s2) | (seen >>> s3)) & mask;
}

/** Up to 12 bits: four loads for eight. */
function unpackPairs(
  view: DataView,
  at: number,
  width: number,
  out: Uint32Array,
  from: number,
  last: number,
): number {
  const mask = (1 << width) - 1;
  const b1 = (2 * width) >>> 3;
  const b2 = (4 * width) >>> 3;
  const b3 = (6 * width) >>> 3;
  const s1 = (2 * width) & 7;
  const s2 = (4 * width) & 7;
  const s3 = (6 * width) & 7;
  let seen = 0;
  for (let to = from; to < last; to += 8) {
    const first = view.getUint32(at, true);
    const second = view.getUint32(at + b1, true) >>> s1;
    const third = view.getUint32(at + b2, true) >>> s2;
    const fourth = view.getUint32(at + b3, true) >>> s3;
    seen |= first | second | third | fourth;
    out[to] = first & mask;
    out[to + 1] = (first >>> width) & mask;
    out[to + 2] = second & mask;
    out[to + 3] = (second >>> width) & mask;
    out[to + 4] = third & mask;
    out[to + 5] = (third >>> width) & mask;
    out[to + 6] = fourth & mask;
    out[to + 7] = (fourth >>> width) & mask;
    at += width;
  }
  return (seen | (seen >>> width)) & mask;
}

/** Up to 24 bits: a load for each. */
function unpackOnes(
  view: DataView,
  at: number,
  width: number,
  out: Uint32Array,
  from: number,
  last: number,
): number {
  const mask = (1 << width) - 1;
  const b1 = width >>> 3;
  const b2 = (2 * width) >>> 3;
  const b3 = (3 * width) >>> 3;
  const b4 = (4 * width) >>> 3;
  const b5 = (5 * width) >>> 3;
  const b6 = (6 * width) >>> 3;
  const b7 = (7 * width) >>> 3;
  const s1 = width & 7;
  const s2 = (2 * width) & 7;
  const s3 = (3 * width) & 7;
  const s4 = (4 * width) & 7;
  const s5 = (5 * width) & 7;
  const s6 = (6 * width) & 7;
  const s7 = (7 * width) & 7;
  for (let to = from; to < last; to += 8) {
    out[to] = view.getUint32(at, true) & mask;
    out[to + 1] = (view.getUint32(at + b1, true) >>> s1) & mask;
    out[to + 2] = (view.getUint32(at + b2, true) >>> s2) & mask;
    out[to + 3] = (view.getUint32(at + b3, true) >>> s3) & mask;
    out[to + 4] = (view.getUint32(at + b4, true) >>> s4) & mask;
    out[to + 5] = (view.getUint32(at + b5, true) >>> s5) & mask;
    out[to + 6] = (view.getUint32(at + b6, true) >>> s6) & mask;
    out[to + 7] = (view.getUint32(at + b7, true) >>> s7) & mask;
    at += width;
  }
  return mask;
}

/** The same for any width up to 32, a bit string at a time. */
function unpackSingly(
  view: DataView,
  at: number,
  width: number,
  out: Uint32Array,
  from: number,
  count: number,
): number {
  let seen = 0;
  for (let i = 0; i < count; i++) {
    const value = bitsAt(view, at, i * width, width);
    seen |= value;
    out[from + i] = value;
  }
  return seen;
}

/** The `width` bits, 1 to 32, at the bit `bit` after the byte `at`. */
export function bitsAt(view: DataView, at: number, bit: number, width: number): number {
  const byte = at + (bit >>> 3);
  const shift = bit & 7;
  const mask = width === 32 ? -1 : (1 << width) - 1;
  if (byte + 8 <= view.byteLength) {
    const low = view.getUint32(byte, true);
    if (shift === 0) return (low & mask) >>> 0;
    return (((low >>> shift) | (view.getUint32(byte + 4, true) << (32 - shift))) & mask) >>> 0;
  }
  let value = 0;
  // Near the end of the bytes one at a time.
  for (let i = 0; 8 * i < shift + width; i++) value += view.getUint8(byte + i) * 2 ** (8 * i);
  return (Math.floor(value / 2 ** shift) & mask) >>> 0;
}

/**
 * Unpacks `count` numbers of `width` bits (0 to 32).
 *
 * @returns a number that is not less than any of them.
 * @throws Malformed when there are fewer.
 */
export function unpack(
  view: DataView,
  at: number,
  width: number,
  out: Uint32Array,
  from: number,
  count: number,
): number {
  if (at + Math.ceil((count * width) / 8) > view.byteLength) malformed('packed numbers end early');
  if (width === 0) {
    out.fill(0, from, from + count);
    return 0;
  }
  if (width <= 24) return unpackNarrow(view, at, width, out, from, count);
  return unpackSingly(view, at, width, out, from, count) >>> 0;
}
