import type { Budget } from '../budget.ts';
import type { BytesVector, PlainVector } from '../vector.ts';
import { ByteValues } from './byte-values.ts';
import { deltaFloat64, deltaInt32, deltaInt64 } from './delta.ts';
import {
  plain64,
  plainDecimal,
  plainFloat,
  plainFloat16,
  plainInt32,
  plainInt64,
  plainInt96,
  plainUint32,
  spread,
  spreadBigints,
  unsplit,
} from './fixed-values.ts';
import { malformed } from './malformed.ts';
import { TYPE } from './metadata.ts';
import { decimals, intervals, unsigned, uuids } from './objects.ts';
import { ENCODING } from './page.ts';
import type { Room } from './room.ts';
import type { Leaf } from './schema.ts';

/** Values that stand in a page one after the other, NULLs left out. */
export interface Encoded {
  readonly encoding: number;
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  readonly count: number;
}

/** Thrown where integers turn out to need 64 bits: what was decoded is decoded again. */
export const WIDE: unique symbol = Symbol('wide');

/**
 * The values of a column, put together page by page.
 *
 * Appended values stand without NULLs first, and are then moved apart to where they belong.
 */
export interface ColumnValues {
  /** @throws Malformed; WIDE */
  append(encoded: Encoded, from: number): void;
  /** Appends entries of a dictionary. */
  appendCoded(dictionary: PlainVector, codes: Uint32Array, from: number, count: number): void;
  spread(nulls: Uint8Array, from: number, count: number, filled: number): void;
  /** `count` rows from `from` on have no value. */
  leaveOut(from: number, count: number): void;
  vector(nulls: Uint8Array | undefined): PlainVector;
}

/** Where the `count` values of a leaf go, in `room`; `capacity` is about how many bytes texts take; `isWide` whether integers need 64 bits. */
export function columnValues(
  leaf: Leaf,
  count: number,
  capacity: number,
  isWide: boolean,
  room: Room,
  budget: Budget,
): ColumnValues {
  switch (leaf.conversion) {
    case 'int32':
      return new NumberValues(leaf, room.int32s(count));
    case 'int64':
      return isWide
        ? new BigintValues(leaf, room.bigints(count))
        : new NumberValues(leaf, room.doubles(count));
    case 'uint64':
    case 'int96':
      return new BigintValues(leaf, room.bigints(count));
    case 'bytes':
    case 'uuid':
    case 'interval':
      return new TextValues(leaf, count, capacity, room, budget);
    case 'decimal':
      return leaf.type === TYPE.BYTE_ARRAY || leaf.type === TYPE.FIXED_LEN_BYTE_ARRAY
        ? new TextValues(leaf, count, capacity, room, budget)
        : new NumberValues(leaf, room.doubles(count));
    default:
      return new NumberValues(leaf, room.doubles(count));
  }
}

/** Bytes of one value of each physical type that has a fixed size. */
function sizeOf(leaf: Leaf): number {
  switch (leaf.type) {
    case TYPE.INT32:
    case TYPE.FLOAT:
      return 4;
    case TYPE.INT64:
    case TYPE.DOUBLE:
      return 8;
    case TYPE.INT96:
      return 12;
    default:
      return leaf.typeLength;
  }
}

function unknownEncoding(encoding: number, leaf: Leaf): never {
  malformed(
    `its column "${leaf.column.name}" has pages of the encoding ${encoding}, which its type does not have`,
  );
}

/** The same values in the encoding PLAIN. */
function asPlain(encoded: Encoded, leaf: Leaf): Encoded {
  const { encoding, bytes, at, end, count } = encoded;
  if (encoding === ENCODING.PLAIN) return encoded;
  const size = sizeOf(leaf);
  if (encoding === ENCODING.BYTE_STREAM_SPLIT) {
    const plain = unsplit(bytes, at, end, size, count);
    return { encoding: ENCODING.PLAIN, bytes: plain, at: 0, end: plain.length, count };
  }
  if (encoding === ENCODING.DELTA_BINARY_PACKED && (leaf.type === TYPE.INT32 || leaf.type === TYPE.INT64)) {
    const values = leaf.type === TYPE.INT32 ? new Int32Array(count) : new BigInt64Array(count);
    if (values instanceof Int32Array) deltaInt32(bytes, at, end, values, 0, count);
    else deltaInt64(bytes, at, end, values, 0, count);
    return {
      encoding: ENCODING.PLAIN,
      bytes: new Uint8Array(values.buffer),
      at: 0,
      end: values.byteLength,
      count,
    };
  }
  return unknownEncoding(encoding, leaf);
}

class NumberValues implements ColumnValues {
  readonly #leaf: Leaf;
  readonly #values: Int32Array | Float64Array;

  constructor(leaf: Leaf, values: Int32Array | Float64Array) {
    this.#leaf = leaf;
    this.#values = values;
  }

  append(encoded: Encoded, from: number): void {
    const values = this.#values;
    const leaf = this.#leaf;
    if (encoded.encoding === ENCODING.DELTA_BINARY_PACKED) {
      const { bytes, at, end, count } = encoded;
      if (leaf.conversion === 'int32') {
        deltaInt32(bytes, at, end, values as Int32Array, from, count);
        return;
      }
      if (leaf.conversion === 'int64') {
        if (deltaFloat64(bytes, at, end, values as Float64Array, from, count) < 0) throw WIDE;
        return;
      }
    }
    const { bytes, at, end, count } = asPlain(encoded, leaf);
    if (values instanceof Int32Array) plainInt32(bytes, at, end, values, from, count);
    else appendReals(leaf, bytes, at, end, values, from, count);
  }

  appendCoded(dictionary: PlainVector, codes: Uint32Array, from: number, count: number): void {
    // The dictionary alone turned out to need 64 bits.
    if (dictionary.kind !== 'number') throw WIDE;
    const entries = dictionary.values;
    const values = this.#values;
    for (let i = 0; i < count; i++) values[from + i] = entries[codes[i] as number] as number;
  }

  spread(nulls: Uint8Array, from: number, count: number, filled: number): void {
    spread(this.#values, nulls, from, count, filled);
  }

  leaveOut(from: number, count: number): void {
    this.#values.fill(0, from, from + count);
  }

  vector(nulls: Uint8Array | undefined): PlainVector {
    return { kind: 'number', length: this.#values.length, nulls, values: this.#values };
  }
}

function appendReals(
  leaf: Leaf,
  bytes: Uint8Array,
  at: number,
  end: number,
  values: Float64Array,
  from: number,
  count: number,
): void {
  switch (leaf.conversion) {
    case 'double':
      return plain64(bytes, at, end, values, from, count);
    case 'float':
      return plainFloat(bytes, at, end, values, from, count);
    case 'float16':
      return plainFloat16(bytes, at, end, values, from, count);
    case 'uint32':
      return plainUint32(bytes, at, end, values, from, count);
    case 'decimal':
      return plainDecimal(bytes, at, end, leaf.type === TYPE.INT32 ? 4 : 8, leaf.scale, values, from, count);
    default:
      if (!plainInt64(bytes, at, end, values, from, count)) throw WIDE;
  }
}

class BigintValues implements ColumnValues {
  readonly #leaf: Leaf;
  readonly #values: BigInt64Array;

  constructor(leaf: Leaf, values: BigInt64Array) {
    this.#leaf = leaf;
    this.#values = values;
  }

  append(encoded: Encoded, from: number): void {
    const values = this.#values;
    const leaf = this.#leaf;
    if (encoded.encoding === ENCODING.DELTA_BINARY_PACKED && leaf.type === TYPE.INT64) {
      deltaInt64(encoded.bytes, encoded.at, encoded.end, values, from, encoded.count);
      return;
    }
    const { bytes, at, end, count } = asPlain(encoded, leaf);
    if (leaf.conversion === 'int96') plainInt96(bytes, at, end, values, from, count);
    else plain64(bytes, at, end, values, from, count);
  }

  appendCoded(dictionary: PlainVector, codes: Uint32Array, from: number, count: number): void {
    const values = this.#values;
    for (let i = 0; i < count; i++) {
      const code = codes[i] as number;
      if (dictionary.kind === 'bigint') values[from + i] = dictionary.values[code] as bigint;
      else if (dictionary.kind === 'number') values[from + i] = BigInt(dictionary.values[code] as number);
    }
  }

  spread(nulls: Uint8Array, from: number, count: number, filled: number): void {
    spreadBigints(this.#values, nulls, from, count, filled);
  }

  leaveOut(from: number, count: number): void {
    this.#values.fill(0n, from, from + count);
  }

  vector(nulls: Uint8Array | undefined): PlainVector {
    const values = this.#values;
    const { length } = values;
    // Differences can only be bounded while they are decoded, so small numbers may have come here.
    if (this.#leaf.conversion === 'int64') {
      const numbers = new Float64Array(length);
      if (plainInt64(new Uint8Array(values.buffer, values.byteOffset), 0, 8 * length, numbers, 0, length))
        return { kind: 'number', length, nulls, values: numbers };
    }
    return { kind: 'bigint', length, nulls, values };
  }
}

class TextValues implements ColumnValues {
  readonly #leaf: Leaf;
  readonly #values: ByteValues;

  constructor(leaf: Leaf, count: number, capacity: number, room: Room, budget: Budget) {
    this.#leaf = leaf;
    this.#values = new ByteValues(count, capacity, room, budget);
  }

  append(encoded: Encoded, from: number): void {
    const { encoding, bytes, at, end, count } = encoded;
    const leaf = this.#leaf;
    const values = this.#values;
    // A value of fixed length must be decoded to that length, so the conversions need not look.
    if (encoding === ENCODING.DELTA_BYTE_ARRAY) {
      values.deltaBytes(bytes, at, end, from, count);
      if (leaf.type === TYPE.FIXED_LEN_BYTE_ARRAY) this.#checkLengths(from, count);
    } else if (leaf.type === TYPE.FIXED_LEN_BYTE_ARRAY) {
      const plain = asPlain(encoded, leaf);
      values.fixed(plain.bytes, plain.at, plain.end, from, count, leaf.typeLength);
    } else if (encoding === ENCODING.PLAIN) values.plain(bytes, at, end, from, count);
    else if (encoding === ENCODING.DELTA_LENGTH_BYTE_ARRAY) values.deltaLength(bytes, at, end, from, count);
    else unknownEncoding(encoding, leaf);
  }

  #checkLengths(from: number, count: number): void {
    const { offsets } = this.#values;
    for (let i = from; i < from + count; i++)
      if ((offsets[i + 1] as number) - (offsets[i] as number) !== this.#leaf.typeLength)
        malformed(`its column "${this.#leaf.column.name}" has values of another length than it says`);
  }

  appendCoded(dictionary: PlainVector, codes: Uint32Array, from: number, count: number): void {
    this.#values.coded(dictionary as BytesVector, codes, from, count);
  }

  spread(nulls: Uint8Array, from: number, count: number, filled: number): void {
    this.#values.spread(nulls, from, count, filled);
  }

  leaveOut(from: number, count: number): void {
    const { offsets } = this.#values;
    offsets.fill(offsets[from] as number, from + 1, from + count + 1);
  }

  vector(nulls: Uint8Array | undefined): PlainVector {
    return this.#values.vector(nulls);
  }
}

/** What stored values mean, where that is more than how they are stored: of decimals, UUIDs, intervals and unsigned integers. */
export function converted(leaf: Leaf, stored: PlainVector, budget: Budget): PlainVector {
  if (leaf.conversion === 'uint64' && stored.kind === 'bigint') return unsigned(stored.values, stored.nulls);
  if (stored.kind !== 'bytes') return stored;
  switch (leaf.conversion) {
    case 'decimal':
      return decimals(stored, leaf.scale);
    case 'uuid':
      return uuids(stored, budget);
    case 'interval':
      return intervals(stored, budget);
    default:
      return stored;
  }
}
