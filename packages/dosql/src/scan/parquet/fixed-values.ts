import { malformed } from './malformed.ts';
import { viewOf } from './bits.ts';

/** 2^53 in units of 2^32: what is less than this in its upper half is within ±2^53. */
const SAFE_HIGH = 2 ** 21;
/** Of INT96: the Julian day of 1970-01-01. */
const EPOCH_DAY = 2_440_588;

/** Values of `size` bytes each, checked to be there, at a place that is aligned for typed arrays. */
function aligned(bytes: Uint8Array, at: number, end: number, count: number, size: number): Uint8Array {
  const length = count * size;
  if (length > end - at) malformed('values of a page end early');
  if ((bytes.byteOffset + at) % 8 === 0) return bytes.subarray(at, at + length);
  if (spare.length < length) {
    const grown = new Uint8Array(length + length / 4);
    if (grown.length > 2 ** 22) {
      grown.set(bytes.subarray(at, at + length));
      return grown.subarray(0, length);
    }
    spare = grown;
  }
  spare.set(bytes.subarray(at, at + length));
  return spare.subarray(0, length);
}

let spare = new Uint8Array(2 ** 16);

/** 32-bit integers as they are. */
export function plainInt32(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Int32Array,
  from: number,
  count: number,
): void {
  if (4 * count > end - at) malformed('values of a page end early');
  new Uint8Array(out.buffer, out.byteOffset + 4 * from, 4 * count).set(bytes.subarray(at, at + 4 * count));
}

/** Unsigned 32-bit integers as doubles. */
export function plainUint32(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Float64Array,
  from: number,
  count: number,
): void {
  const source = aligned(bytes, at, end, count, 4);
  out.set(new Uint32Array(source.buffer, source.byteOffset, count), from);
}

/** Doubles, and 64-bit integers into an array of their own kind. */
export function plain64(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Float64Array | BigInt64Array,
  from: number,
  count: number,
): void {
  if (8 * count > end - at) malformed('values of a page end early');
  new Uint8Array(out.buffer, out.byteOffset + 8 * from, 8 * count).set(bytes.subarray(at, at + 8 * count));
}

/** Floats as doubles. */
export function plainFloat(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Float64Array,
  from: number,
  count: number,
): void {
  const source = aligned(bytes, at, end, count, 4);
  out.set(new Float32Array(source.buffer, source.byteOffset, count), from);
}

/** 64-bit integers as doubles; false when one is beyond ±2^53. */
export function plainInt64(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Float64Array,
  from: number,
  count: number,
): boolean {
  const source = aligned(bytes, at, end, count, 8);
  const low = new Uint32Array(source.buffer, source.byteOffset, 2 * count);
  const high = new Int32Array(source.buffer, source.byteOffset, 2 * count);
  // In pieces, so that it is soon found out where most are beyond.
  for (let start = 0; start < count; start += 4096) {
    const stop = Math.min(count, start + 4096);
    let beyond = 0;
    for (let i = start; i < stop; i++) {
      const upper = high[2 * i + 1] as number;
      beyond |= (upper + SAFE_HIGH) >>> 22;
      out[from + i] = upper * 2 ** 32 + (low[2 * i] as number);
    }
    if (beyond !== 0) return false;
  }
  return true;
}

/** Half-precision floats. */
export function plainFloat16(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Float64Array,
  from: number,
  count: number,
): void {
  if (2 * count > end - at) malformed('values of a page end early');
  const view = viewOf(bytes);
  for (let i = 0; i < count; i++) out[from + i] = float16(view.getUint16(at + 2 * i, true));
}

/** The half-precision float with these bits. */
export function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/**
 * Timestamps of 96 bits, nanoseconds of a Julian day, as microseconds since the epoch: Spark, which writes most of them,
 * has no finer ones, and writes such as nanoseconds of 64 bits do not reach.
 */
export function plainInt96(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: BigInt64Array,
  from: number,
  count: number,
): void {
  if (12 * count > end - at) malformed('values of a page end early');
  const view = viewOf(bytes);
  for (let i = 0; i < count; i++, at += 12) {
    const days = view.getInt32(at + 8, true) - EPOCH_DAY;
    const nanos = view.getBigInt64(at, true);
    const micros = (nanos - (nanos < 0n ? 999n : 0n)) / 1_000n;
    // Counted from the Julian epoch a late time does not fit: Spark lets it overflow, here and back.
    out[from + i] = BigInt.asIntN(64, micros + BigInt(days) * 86_400_000_000n);
  }
}

/** Decimals that are stored as integers, as doubles: the unscaled number over a power of ten. */
export function plainDecimal(
  bytes: Uint8Array,
  at: number,
  end: number,
  size: 4 | 8,
  scale: number,
  out: Float64Array,
  from: number,
  count: number,
): void {
  if (size * count > end - at) malformed('values of a page end early');
  const view = viewOf(bytes);
  const divisor = 10 ** scale;
  for (let i = 0; i < count; i++) {
    const place = at + size * i;
    const upper = size === 4 ? 0 : view.getInt32(place + 4, true);
    const value = size === 4 ? view.getInt32(place, true) : upper * 2 ** 32 + view.getUint32(place, true);
    // Beyond 2^53, or a power of ten that is no double, the quotient of two doubles would not be the nearest.
    const isExact = scale <= 22 && upper >= -SAFE_HIGH && upper < SAFE_HIGH;
    out[from + i] = isExact
      ? value / divisor
      : Number(`${size === 4 ? value : view.getBigInt64(place, true)}e-${scale}`);
  }
}

/**
 * What BYTE_STREAM_SPLIT takes apart, first bytes of all values, then all second ones, put together again.
 *
 * Four streams at a time make words of 32 bits; other sizes go byte by byte.
 */
export function unsplit(bytes: Uint8Array, at: number, end: number, size: number, count: number): Uint8Array {
  if (size * count > end - at) malformed('values of a page end early');
  const out = new Uint8Array(size * count);
  if (size === 4 || size === 8) {
    const words = new Uint32Array(out.buffer);
    const step = size / 4;
    for (let word = 0; word < step; word++)
      joinStreams(bytes, at + 4 * word * count, count, words, word, step);
    return out;
  }
  for (let stream = 0; stream < size; stream++) {
    const start = at + stream * count;
    for (let i = 0, to = stream; i < count; i++, to += size) out[to] = bytes[start + i] as number;
  }
  return out;
}

/** Four streams of `count` bytes as words, put at every `step`-th place. */
function joinStreams(
  bytes: Uint8Array,
  at: number,
  count: number,
  words: Uint32Array,
  first: number,
  step: number,
): void {
  const second = at + count;
  const third = second + count;
  const fourth = third + count;
  for (let i = 0, to = first; i < count; i++, to += step)
    words[to] =
      (bytes[at + i] as number) |
      ((bytes[second + i] as number) << 8) |
      ((bytes[third + i] as number) << 16) |
      ((bytes[fourth + i] as number) << 24);
}

/** Moves the `filled` values from `from` on apart, so that NULLs stand among them. */
export function spread(
  values: Int32Array | Float64Array | Uint32Array,
  nulls: Uint8Array,
  from: number,
  count: number,
  filled: number,
): void {
  let at = from + filled - 1;
  for (let i = from + count - 1; i >= from; i--) values[i] = nulls[i] === 0 ? (values[at--] as number) : 0;
}

/** The same for 64-bit integers, in halves. */
export function spreadBigints(
  values: BigInt64Array,
  nulls: Uint8Array,
  from: number,
  count: number,
  filled: number,
): void {
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  let at = from + filled - 1;
  for (let i = from + count - 1; i >= from; i--) {
    const isNull = nulls[i] === 1;
    words[2 * i] = isNull ? 0 : (words[2 * at] as number);
    words[2 * i + 1] = isNull ? 0 : (words[2 * at + 1] as number);
    if (!isNull) at--;
  }
}
