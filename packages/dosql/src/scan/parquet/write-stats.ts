/** Least and greatest values, and how they stand in statistics and indexes. */
import type { ChunkData, ChunkValues } from './write-buffer.ts';
import type { Bytes } from './write-bytes.ts';

/** A value as statistics compare it: numbers, and byte strings by their bytes. */
export type StatValue = number | bigint | Uint8Array;

/** Least and greatest of some values. Neither where there is none, or none that has an order. */
export interface Bounds {
  readonly min: StatValue | undefined;
  readonly max: StatValue | undefined;
  readonly nanCount: number;
}

/** Rows of one page, and where its values stand among those of the chunk that are not NULL. */
export interface PageRange {
  readonly firstRow: number;
  readonly endRow: number;
  readonly from: number;
  readonly to: number;
}

/** Longer byte strings are cut in statistics. */
const MAX_STAT_BYTES = 64;

const NONE: Bounds = { min: undefined, max: undefined, nanCount: 0 };

/** The bounds of values `from` up to `to`. */
export function boundsOf(values: ChunkValues, from: number, to: number, isDouble: boolean): Bounds {
  if (from === to) return NONE;
  switch (values.kind) {
    case 'int32':
      return int32Bounds(values.values, from, to);
    case 'number':
      return isDouble ? doubleBounds(values.values, from, to) : numberBounds(values.values, from, to);
    case 'bigint':
      return bigintBounds(values.values, from, to);
    default:
      return values.codes === undefined
        ? bytesBounds(values.bytes, from, to)
        : codesBounds(values.codes, values.bytes, from, to);
  }
}

function int32Bounds(values: Int32Array, from: number, to: number): Bounds {
  let min = values[from] as number;
  let max = min;
  for (let i = from + 1; i < to; i++) {
    const value = values[i] as number;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max, nanCount: 0 };
}

function numberBounds(values: Float64Array, from: number, to: number): Bounds {
  let min = values[from] as number;
  let max = min;
  for (let i = from + 1; i < to; i++) {
    const value = values[i] as number;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max, nanCount: 0 };
}

/** NaN has no place in an order. Of the zeros the one that bounds both is given, as the format asks. */
function doubleBounds(values: Float64Array, from: number, to: number): Bounds {
  let min = Infinity;
  let max = -Infinity;
  let nanCount = 0;
  for (let i = from; i < to; i++) {
    const value = values[i] as number;
    if (value < min) min = value;
    if (value > max) max = value;
    if (Number.isNaN(value)) nanCount++;
  }
  if (nanCount === to - from) return { ...NONE, nanCount };
  return { min: min === 0 ? -0 : min, max: max === 0 ? 0 : max, nanCount };
}

function bigintBounds(values: BigInt64Array, from: number, to: number): Bounds {
  let min = values[from] as bigint;
  let max = min;
  for (let i = from + 1; i < to; i++) {
    const value = values[i] as bigint;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max, nanCount: 0 };
}

function bytesBounds(bytes: Bytes, from: number, to: number): Bounds {
  let min = from;
  let max = from;
  for (let i = from + 1; i < to; i++) {
    if (compareAt(bytes, i, min) < 0) min = i;
    else if (compareAt(bytes, i, max) > 0) max = i;
  }
  return { min: valueAt(bytes, min), max: valueAt(bytes, max), nanCount: 0 };
}

/** Compares each entry of the dictionary once, and only those that occur. */
function codesBounds(codes: Uint32Array, bytes: Bytes, from: number, to: number): Bounds {
  const seen = new Uint8Array(bytes.offsets.length);
  let min = codes[from] as number;
  let max = min;
  for (let i = from; i < to; i++) {
    const code = codes[i] as number;
    if (seen[code] === 1) continue;
    seen[code] = 1;
    if (compareAt(bytes, code, min) < 0) min = code;
    else if (compareAt(bytes, code, max) > 0) max = code;
  }
  return { min: valueAt(bytes, min), max: valueAt(bytes, max), nanCount: 0 };
}

function valueAt({ data, offsets }: Bytes, i: number): Uint8Array {
  return data.subarray(offsets[i], offsets[i + 1]);
}

function compareAt({ data, offsets }: Bytes, a: number, b: number): number {
  const from = offsets[a] as number;
  const other = offsets[b] as number;
  const length = (offsets[a + 1] as number) - from;
  const otherLength = (offsets[b + 1] as number) - other;
  const common = length < otherLength ? length : otherLength;
  for (let i = 0; i < common; i++) {
    const difference = (data[from + i] as number) - (data[other + i] as number);
    if (difference !== 0) return difference;
  }
  return length - otherLength;
}

/** Negative, zero or positive, as `a` is before, at or after `b`. */
export function compareStats(a: StatValue, b: StatValue): number {
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    const common = Math.min(a.length, b.length);
    for (let i = 0; i < common; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
    return a.length - b.length;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The bounds of all pages together. */
export function joinBounds(pages: readonly Bounds[]): Bounds {
  let min: StatValue | undefined;
  let max: StatValue | undefined;
  let nanCount = 0;
  for (const page of pages) {
    nanCount += page.nanCount;
    if (page.min === undefined || page.max === undefined) continue;
    if (min === undefined || compareStats(page.min, min) < 0) min = page.min;
    if (max === undefined || compareStats(page.max, max) > 0) max = page.max;
  }
  return { min, max, nanCount };
}

/** A bound as statistics have it, which may be cut short. */
export interface StoredBound {
  readonly bytes: Uint8Array;
  readonly isExact: boolean;
}

/** What `value` is at least; byte strings in at most `limit` bytes. */
export function lowerBound(value: StatValue, width: number, limit: number = MAX_STAT_BYTES): StoredBound {
  const bytes = statBytes(value, width);
  if (bytes.length <= limit) return { bytes, isExact: true };
  return { bytes: bytes.slice(0, cutLength(bytes, limit)), isExact: false };
}

/** What `value` is at most: cut short, and its last character that has a greater one replaced by that. */
export function upperBound(
  value: StatValue,
  width: number,
  isText: boolean,
  limit: number = MAX_STAT_BYTES,
): StoredBound {
  const bytes = statBytes(value, width);
  if (bytes.length <= limit) return { bytes, isExact: true };
  const cut = isText ? nextText(bytes.slice(0, cutLength(bytes, limit))) : nextBytes(bytes.slice(0, limit));
  return cut === undefined ? { bytes, isExact: true } : { bytes: cut, isExact: false };
}

/** Where UTF-8 can be cut without breaking a character; harmless for other bytes. */
function cutLength(bytes: Uint8Array, limit: number): number {
  let length = limit;
  while (length > limit - 4 && ((bytes[length] as number) & 0xc0) === 0x80) length--;
  return length;
}

function nextBytes(bytes: Uint8Array): Uint8Array | undefined {
  for (let length = bytes.length; length > 0; length--) {
    const last = bytes[length - 1] as number;
    if (last === 0xff) continue;
    const next = bytes.slice(0, length);
    next[length - 1] = last + 1;
    return next;
  }
  return undefined;
}

/** Stays valid UTF-8: among characters of one length bytes rise as code points do. */
function nextText(bytes: Uint8Array): Uint8Array | undefined {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return nextBytes(bytes);
  }
  const codes = Array.from(text, (character) => character.codePointAt(0) as number);
  while (codes.length > 0) {
    const code = codes.pop() as number;
    // U+D800 to U+DFFF are no characters.
    const next = code === 0xd7_ff ? 0xe0_00 : code + 1;
    if (next <= 0x10_ff_ff) return new TextEncoder().encode(String.fromCodePoint(...codes, next));
  }
  return undefined;
}

/** A value as PLAIN has it; numbers in `width` bytes. */
function statBytes(value: StatValue, width: number): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  if (typeof value === 'bigint') view.setBigInt64(0, value, true);
  else if (width === DOUBLE_WIDTH) view.setFloat64(0, value, true);
  else if (width === 8) view.setBigInt64(0, BigInt(value), true);
  else view.setInt32(0, value, true);
  return bytes.subarray(0, width === DOUBLE_WIDTH ? 8 : width);
}

/** Stands for the width of a double, which is no integer's. */
export const DOUBLE_WIDTH = -8;

/** What the length of a byte string takes in a page, about. */
const LENGTH_BYTES = 2;

/** Where the chunk is cut into pages: after so many rows, or before byte strings are more than `pageBytes`. */
export function pageRanges(chunk: ChunkData, pageRows: number, pageBytes: number): PageRange[] {
  const ranges: PageRange[] = [];
  const { nulls, rows, values } = chunk;
  const offsets = values.kind === 'bytes' && values.codes === undefined ? values.bytes.offsets : undefined;
  let from = 0;
  for (let firstRow = 0; firstRow < rows;) {
    const limit = Math.min(rows, firstRow + pageRows);
    let endRow = firstRow;
    let to = from;
    const most = (offsets?.[from] ?? 0) + pageBytes + LENGTH_BYTES * from;
    if (nulls === undefined && offsets === undefined) {
      endRow = limit;
      to += limit - firstRow;
    }
    while (endRow < limit) {
      const isNull = nulls?.[endRow] === 1;
      if (!isNull && offsets !== undefined && to > from) {
        if ((offsets[to + 1] as number) + LENGTH_BYTES * (to + 1) > most) break;
      }
      if (!isNull) to++;
      endRow++;
    }
    ranges.push({ firstRow, endRow, from, to });
    firstRow = endRow;
    from = to;
  }
  return ranges;
}
