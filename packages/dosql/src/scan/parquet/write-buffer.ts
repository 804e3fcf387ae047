import { DoSQLError } from '../../error.ts';
import type { SqlValue } from '../../value/row.ts';
import type { DictionaryVector, PlainVector } from '../vector.ts';
import { BytesBuffer, type Bytes } from './write-bytes.ts';
import { flatten, type DirectVector, type Numbers } from './write-flat.ts';
import { PHYSICAL, physicalType, type WriteColumn } from './write-schema.ts';

/** What a chunk holds, without its NULLs. */
export type ChunkValues =
  | { readonly kind: 'int32'; readonly values: Int32Array }
  | { readonly kind: 'number'; readonly values: Float64Array }
  | { readonly kind: 'bigint'; readonly values: BigInt64Array }
  | { readonly kind: 'bytes'; readonly codes: Uint32Array | undefined; readonly bytes: Bytes };

/** The rows of one column in one row group. */
export interface ChunkData {
  readonly rows: number;
  /** By row, 1 where it is NULL; undefined when none is. */
  readonly nulls: Uint8Array | undefined;
  readonly nullCount: number;
  readonly values: ChunkValues;
}

/** Gathers the values of one column until a row group is full. */
export class ColumnBuffer {
  readonly #column: WriteColumn;
  readonly #physical: number;
  #rows = 0;
  #nullCount = 0;
  #nulls: Uint8Array | undefined;
  #numbers: Numbers = new Int32Array(0);
  #count = 0;
  #bytes: BytesBuffer = new BytesBuffer();
  #known: { readonly dictionary: PlainVector; readonly codes: Int32Array } | undefined;

  constructor(column: WriteColumn) {
    this.#column = column;
    this.#physical = physicalType(column);
    this.#reset();
  }

  /** How much memory it takes. */
  get byteLength(): number {
    return (
      this.#bytes.byteLength + this.#count * this.#numbers.BYTES_PER_ELEMENT + (this.#nulls?.length ?? 0)
    );
  }

  /**
   * Takes over rows `from` up to `to`.
   *
   * @throws DoSQLError `BAD_PARAMETER` for values that the column's type does not have.
   */
  append(vector: DirectVector, from: number, to: number): void {
    const isNothing = vector.nulls?.subarray(from, to).includes(0) === false;
    if (isNothing) this.#markNulls(vector.nulls, from, to);
    else if (this.#physical === PHYSICAL.BYTE_ARRAY) this.#appendBytes(vector, from, to);
    else {
      const flat = flatten(vector, from, to);
      if (flat === undefined) throw this.#refusal('text or a blob');
      this.#markNulls(flat.nulls, 0, to - from);
      const { values } = flat;
      if (ArrayBuffer.isView(values)) this.#appendNumbers(values, flat.nulls);
      else this.#appendMixed(values);
    }
    this.#rows += to - from;
  }

  /** What has been gathered; the buffer begins anew. */
  take(): ChunkData {
    if (this.#nulls !== undefined) this.#reserveNulls(this.#rows);
    const chunk = {
      rows: this.#rows,
      nulls: this.#nulls?.subarray(0, this.#rows),
      nullCount: this.#nullCount,
      values: this.#values(),
    };
    this.#reset();
    return chunk;
  }

  #values(): ChunkValues {
    if (this.#physical === PHYSICAL.BYTE_ARRAY) {
      this.#bytes.settle();
      return { kind: 'bytes', codes: this.#bytes.codes, bytes: this.#bytes.bytes };
    }
    const values = this.#numbers.subarray(0, this.#count);
    if (values instanceof Int32Array) return { kind: 'int32', values };
    if (values instanceof BigInt64Array) return { kind: 'bigint', values };
    return { kind: 'number', values };
  }

  #reset(): void {
    this.#rows = 0;
    this.#nullCount = 0;
    this.#nulls = undefined;
    this.#count = 0;
    this.#bytes = new BytesBuffer();
    this.#known = undefined;
    const isNarrow = this.#physical === PHYSICAL.INT32 || this.#physical === PHYSICAL.BOOLEAN;
    this.#numbers = isNarrow ? new Int32Array(0) : new Float64Array(0);
  }

  #markNulls(nulls: Uint8Array | undefined, from: number, to: number): void {
    if (nulls === undefined) return;
    let count = 0;
    for (let i = from; i < to; i++) count += nulls[i] as number;
    if (count === 0) return;
    if (this.#column.required === true)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `column ${this.#column.name} is required and has ${count} NULL(s): write it without required`,
      );
    this.#nullCount += count;
    this.#reserveNulls(this.#rows + to - from).set(nulls.subarray(from, to), this.#rows);
  }

  #reserveNulls(rows: number): Uint8Array {
    if (this.#nulls !== undefined && this.#nulls.length >= rows) return this.#nulls;
    const grown = new Uint8Array(Math.max(rows, (this.#nulls?.length ?? 0) * 2));
    if (this.#nulls !== undefined) grown.set(this.#nulls);
    this.#nulls = grown;
    return grown;
  }

  /** Room for so many more numbers. */
  #reserve(count: number): void {
    const end = this.#count + count;
    if (end <= this.#numbers.length) return;
    const length = Math.max(end, this.#numbers.length * 2);
    if (this.#numbers instanceof BigInt64Array) {
      const grown = new BigInt64Array(length);
      grown.set(this.#numbers);
      this.#numbers = grown;
    } else {
      const grown = this.#numbers instanceof Int32Array ? new Int32Array(length) : new Float64Array(length);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
  }

  #appendNumbers(values: Numbers, nulls: Uint8Array | undefined): void {
    if (values instanceof BigInt64Array) {
      this.#appendMixed(Array.from(values, (value, i) => (nulls?.[i] === 1 ? null : value)));
      return;
    }
    const { length } = values;
    this.#reserve(length);
    const target = this.#numbers;
    const start = this.#count;
    let at = start;
    if (target instanceof BigInt64Array) {
      for (let i = 0; i < length; i++)
        if (nulls?.[i] !== 1) target[at++] = BigInt(this.#integer(values[i] as number));
      this.#count = at;
      return;
    }
    if (nulls === undefined) {
      if (target instanceof Int32Array && values instanceof Float64Array)
        for (let i = 0; i < length; i++) target[at + i] = this.#narrow(values[i] as number);
      else target.set(values, at);
      at += length;
    } else if (target instanceof Int32Array) {
      for (let i = 0; i < length; i++) if (nulls[i] === 0) target[at++] = this.#narrow(values[i] as number);
    } else {
      for (let i = 0; i < length; i++) if (nulls[i] === 0) target[at++] = values[i] as number;
    }
    if (this.#physical === PHYSICAL.INT64 && values instanceof Float64Array && target instanceof Float64Array)
      for (let i = start; i < at; i++) this.#integer(target[i] as number);
    this.#count = at;
  }

  #appendMixed(values: readonly SqlValue[]): void {
    this.#reserve(values.length);
    for (const value of values) {
      if (value === null) continue;
      if (typeof value === 'number') this.#appendNumber(value);
      else if (typeof value === 'bigint') this.#appendBigint(value);
      else throw this.#refusal(typeof value === 'string' ? JSON.stringify(value) : 'a blob');
    }
  }

  #appendNumber(value: number): void {
    const target = this.#numbers;
    if (target instanceof BigInt64Array) target[this.#count++] = BigInt(this.#integer(value));
    else if (target instanceof Int32Array) target[this.#count++] = this.#narrow(value);
    else target[this.#count++] = this.#physical === PHYSICAL.INT64 ? this.#integer(value) : value;
  }

  #appendBigint(value: bigint): void {
    if (this.#physical !== PHYSICAL.INT64 || Number.isSafeInteger(Number(value))) {
      const isExact = this.#physical === PHYSICAL.INT64 || BigInt(Number(value)) === value;
      if (!isExact) throw this.#refusal(`${value}`);
      this.#appendNumber(Number(value));
      return;
    }
    if (BigInt.asIntN(64, value) !== value) throw this.#refusal(`${value}`);
    if (!(this.#numbers instanceof BigInt64Array)) this.#widen();
    (this.#numbers as BigInt64Array)[this.#count++] = value;
  }

  /** Keeps the column's integers as bigint from now on. */
  #widen(): void {
    const wide = new BigInt64Array(this.#numbers.length);
    for (let i = 0; i < this.#count; i++) wide[i] = BigInt(this.#numbers[i] as number);
    this.#numbers = wide;
  }

  #integer(value: number): number {
    if (Number.isSafeInteger(value)) return value;
    if (Math.abs(value) === 2 ** 53) return value;
    throw this.#refusal(`${value}`);
  }

  #narrow(value: number): number {
    const narrow = value | 0;
    if (narrow !== value || (this.#physical === PHYSICAL.BOOLEAN && narrow >>> 1 !== 0))
      throw this.#refusal(`${value}`);
    return narrow;
  }

  #refusal(what: string): DoSQLError {
    const { name, type } = this.#column;
    return new DoSQLError(
      'BAD_PARAMETER',
      `column ${name} is written as ${type} and has no place for ${what}`,
    );
  }

  #appendBytes(vector: DirectVector, from: number, to: number): void {
    const isMixed = vector.kind === 'dictionary' && vector.dictionary.kind === 'mixed';
    if (vector.kind === 'mixed' || isMixed) {
      this.#appendMixedBytes(flatten(vector, from, to)?.values as readonly SqlValue[]);
      return;
    }
    this.#markNulls(vector.nulls, from, to);
    if (vector.kind === 'dictionary') this.#appendCodes(vector, from, to);
    else if (vector.kind === 'bytes') {
      const { data, offsets, nulls } = vector;
      const buffer = this.#bytes;
      for (let i = from; i < to; i++)
        if (nulls?.[i] !== 1) buffer.append(data, offsets[i] as number, offsets[i + 1] as number);
    } else throw this.#refusal('numbers');
  }

  #appendMixedBytes(values: readonly SqlValue[]): void {
    const nulls = new Uint8Array(values.length);
    const buffer = this.#bytes;
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as SqlValue;
      if (value === null) nulls[i] = 1;
      else if (typeof value === 'string' && this.#column.type === 'utf8') buffer.text(value);
      else if (value instanceof Uint8Array && this.#column.type === 'binary')
        buffer.append(value, 0, value.length);
      else throw this.#refusal(typeof value === 'object' ? 'a blob' : JSON.stringify(String(value)));
    }
    this.#markNulls(nulls, 0, values.length);
  }

  /** What codes of the vector's dictionary are here, as far as they have been met; -1 elsewhere. */
  #knownCodes(dictionary: PlainVector): Int32Array {
    if (this.#known?.dictionary !== dictionary)
      this.#known = { dictionary, codes: new Int32Array(dictionary.length).fill(-1) };
    return this.#known.codes;
  }

  /** Each value of the vector's dictionary is looked for once. */
  #appendCodes({ codes, dictionary, nulls }: DictionaryVector, from: number, to: number): void {
    if (dictionary.kind !== 'bytes') throw this.#refusal('numbers');
    const { data, offsets } = dictionary;
    const buffer = this.#bytes;
    const known = this.#knownCodes(dictionary);
    for (let i = from; i < to; i++) {
      if (nulls?.[i] === 1) continue;
      const code = codes[i] as number;
      const own = known[code] as number;
      if (own >= 0 && buffer.hasDictionary) buffer.again(own);
      else {
        buffer.append(data, offsets[code] as number, offsets[code + 1] as number);
        if (buffer.hasDictionary) known[code] = buffer.lastCode;
      }
    }
  }
}
