/** Chooses how the values of a chunk are encoded, by trying what could pay on its first page. */
import type { ChunkData, ChunkValues } from './write-buffer.ts';
import type { Bytes } from './write-bytes.ts';
import { encodeDelta32, encodeDelta64 } from './write-delta.ts';
import { indexDoubles, indexIntegers } from './write-dictionary.ts';
import { bitWidth, encodeRuns, type Codes } from './write-rle.ts';
import type { Compress } from './write-codec.ts';
import { PHYSICAL } from './write-schema.ts';
import type { PageRange } from './write-stats.ts';

/** Parquet's number of an encoding. */
export const ENCODING = {
  PLAIN: 0,
  RLE: 3,
  DELTA_BINARY_PACKED: 5,
  DELTA_LENGTH_BYTE_ARRAY: 6,
  RLE_DICTIONARY: 8,
  BYTE_STREAM_SPLIT: 9,
} as const;

/** How the values of one chunk are encoded. */
export interface ChunkEncoding {
  readonly encoding: number;
  readonly dictionary: { readonly body: Uint8Array; readonly count: number } | undefined;
  /** The body of a page with the values `from` up to `to`, without levels. */
  encode(from: number, to: number): Uint8Array;
}

type NumberValues = Exclude<ChunkValues, { kind: 'bytes' }>;

/** An integer that does not fit a double is kept as its difference from one that is this near to all others. */
const EXACT_RANGE = 2 ** 51;

/**
 * The encoding of a chunk.
 *
 * @param compress the codec: what pays for doubles shows only after it
 */
export function chooseEncoding(
  { values }: ChunkData,
  physical: number,
  pages: readonly PageRange[],
  compress: Compress,
): ChunkEncoding {
  if (values.kind === 'bytes')
    return values.codes === undefined
      ? deltaLength(values.bytes)
      : dictionaryEncoding(values.codes, values.bytes.offsets.length - 1, plainBytes(values.bytes));
  if (physical === PHYSICAL.BOOLEAN) return booleanRuns(values.values as Int32Array);
  if (physical === PHYSICAL.DOUBLE) return doubleEncoding(values.values as Float64Array, pages, compress);
  return integerEncoding(values, pages);
}

function dictionaryEncoding(codes: Codes, count: number, body: Uint8Array): ChunkEncoding {
  const width = bitWidth(count);
  return {
    encoding: ENCODING.RLE_DICTIONARY,
    dictionary: { body, count },
    encode: (from, to) => {
      const page = encodeRuns(codes, from, to, width, 1);
      page[0] = width;
      return page;
    },
  };
}

function booleanRuns(values: Int32Array): ChunkEncoding {
  const codes = Uint8Array.from(values);
  return {
    encoding: ENCODING.RLE,
    dictionary: undefined,
    encode: (from, to) => {
      const page = encodeRuns(codes, from, to, 1, 4);
      new DataView(page.buffer, page.byteOffset).setUint32(0, page.length - 4, true);
      return page;
    },
  };
}

/** The bytes of a dictionary: each value after its length. */
function plainBytes({ data, offsets }: Bytes): Uint8Array {
  const count = offsets.length - 1;
  const out = new Uint8Array(data.length + 4 * count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const from = offsets[i] as number;
    const to = offsets[i + 1] as number;
    const length = to - from;
    out[at] = length;
    out[at + 1] = length >>> 8;
    out[at + 2] = length >>> 16;
    out[at + 3] = length >>> 24;
    at += 4;
    for (let j = from; j < to; j++) out[at++] = data[j] as number;
  }
  return out;
}

/** Lengths, then all bytes in one piece. */
function deltaLength({ data, offsets }: Bytes): ChunkEncoding {
  return {
    encoding: ENCODING.DELTA_LENGTH_BYTE_ARRAY,
    dictionary: undefined,
    encode: (from, to) => {
      const lengths = new Int32Array(to - from);
      for (let i = from; i < to; i++) lengths[i - from] = (offsets[i + 1] as number) - (offsets[i] as number);
      const bytes = data.subarray(offsets[from], offsets[to]);
      return concat(encodeDelta32(lengths, 0, lengths.length), bytes);
    },
  };
}

function integerEncoding(values: NumberValues, pages: readonly PageRange[]): ChunkEncoding {
  const delta = deltaEncoding(values);
  const plain = plainNumbers(values);
  const page = pages.find(({ from, to }) => to > from);
  if (page === undefined) return plain;
  const pageCount = pages.length;
  const sizeOf = (encoding: ChunkEncoding): number =>
    encoding.encode(page.from, page.to).length * pageCount + (encoding.dictionary?.body.length ?? 0);
  let best = plain;
  let size = sizeOf(plain);
  if (delta !== undefined) {
    const deltaSize = sizeOf(delta);
    if (deltaSize < size * 0.9) {
      best = delta;
      size = deltaSize;
    }
  }
  const index = values.kind === 'bigint' ? undefined : indexIntegers(values.values);
  if (index === undefined) return best;
  const dictionary = dictionaryEncoding(
    index.codes,
    index.dictionary.length,
    plainNumbers(numbered(values, index.dictionary)).encode(0, index.dictionary.length),
  );
  // Codes are worth a little more than they take: who groups or filters works on them.
  return sizeOf(dictionary) < size * 1.1 ? dictionary : best;
}

function numbered(like: NumberValues, dictionary: Float64Array): NumberValues {
  return like.kind === 'int32'
    ? { kind: 'int32', values: Int32Array.from(dictionary) }
    : { kind: 'number', values: dictionary };
}

/** Undefined where the values are too far apart for their differences to be exact. */
function deltaEncoding(values: NumberValues): ChunkEncoding | undefined {
  const encoding = ENCODING.DELTA_BINARY_PACKED;
  if (values.kind === 'int32')
    return { encoding, dictionary: undefined, encode: (from, to) => encodeDelta32(values.values, from, to) };
  const near = values.kind === 'bigint' ? rebased(values.values) : nearZero(values.values);
  if (near === undefined) return undefined;
  return {
    encoding,
    dictionary: undefined,
    encode: (from, to) => encodeDelta64(near.values, from, to, near.base),
  };
}

interface Rebased {
  readonly values: Float64Array;
  readonly base: bigint;
}

/** As they are where that is near to zero, as milliseconds of this age are and microseconds not. */
function nearZero(values: Float64Array): Rebased | undefined {
  if (areNear(values)) return { values, base: 0n };
  const base = values[0] as number;
  const near = values.map((value) => value - base);
  return areNear(near) ? { values: near, base: BigInt(base) } : undefined;
}

function areNear(values: Float64Array): boolean {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value > EXACT_RANGE / 2 || value < -EXACT_RANGE / 2) return false;
  }
  return true;
}

function rebased(values: BigInt64Array): Rebased | undefined {
  const base = values[0] ?? 0n;
  const near = new Float64Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const difference = (values[i] as bigint) - base;
    if (difference > EXACT_RANGE / 2 || difference < -EXACT_RANGE / 2) return undefined;
    near[i] = Number(difference);
  }
  return { values: near, base };
}

/** Numbers in their own bytes, little-endian as the machine's. */
function plainNumbers(values: NumberValues): ChunkEncoding {
  const { kind } = values;
  return {
    encoding: ENCODING.PLAIN,
    dictionary: undefined,
    encode: (from, to) => {
      if (kind === 'number') return plainInt64(values.values, from, to);
      const part = values.values.subarray(from, to);
      return new Uint8Array(part.buffer, part.byteOffset, part.byteLength);
    },
  };
}

function plainInt64(values: Float64Array, from: number, to: number): Uint8Array {
  const words = new Int32Array(2 * (to - from));
  for (let i = from, at = 0; i < to; i++, at += 2) {
    const value = values[i] as number;
    words[at] = value >>> 0;
    words[at + 1] = Math.floor(value / 2 ** 32);
  }
  return new Uint8Array(words.buffer);
}

function doubleEncoding(
  values: Float64Array,
  pages: readonly PageRange[],
  compress: Compress,
): ChunkEncoding {
  const index = indexDoubles(values);
  if (index !== undefined)
    return dictionaryEncoding(
      index.codes,
      index.dictionary.length,
      doubleBytes(index.dictionary, 0, index.dictionary.length),
    );
  const plain = {
    encoding: ENCODING.PLAIN,
    dictionary: undefined,
    encode: (from: number, to: number) => doubleBytes(values, from, to),
  };
  const split = {
    encoding: ENCODING.BYTE_STREAM_SPLIT,
    dictionary: undefined,
    encode: (from: number, to: number) => splitBytes(values, from, to),
  };
  const page = pages.find(({ from, to }) => to > from);
  if (page === undefined) return plain;
  const to = Math.min(page.to, page.from + SPLIT_SAMPLE);
  const size = ({ encode }: Pick<ChunkEncoding, 'encode'>): number => {
    const bytes = encode(page.from, to);
    return (compress(bytes) ?? bytes).length;
  };
  return size(split) < WORTH_SPLITTING * size(plain) ? split : plain;
}

/** Values of a sample; their bytes are few enough for every codec. */
const SPLIT_SAMPLE = 4096;
/** Putting the bytes of a double together again takes its time. */
const WORTH_SPLITTING = 0.85;

function doubleBytes(values: Float64Array, from: number, to: number): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset + 8 * from, 8 * (to - from));
}

/** BYTE_STREAM_SPLIT: the first bytes of all values, then the second ones, and so on. */
function splitBytes(values: Float64Array, from: number, to: number): Uint8Array {
  const count = to - from;
  const bytes = doubleBytes(values, from, to);
  const out = new Uint8Array(8 * count);
  for (let k = 0; k < 8; k++) {
    let at = k * count;
    for (let i = k; i < bytes.length; i += 8) out[at++] = bytes[i] as number;
  }
  return out;
}

/** `a`, then `b`. */
export function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
