import { decodeText, fromValue, type Scalar } from './scalar.ts';
import { doubles, integers } from './scratch.ts';
import { dateText, timestampText, timeText } from './time.ts';
import type {
  BytesVector,
  ColumnType,
  DictionaryVector,
  NumberVector,
  PlainVector,
  ScanColumn,
  TimeUnit,
  Vector,
} from './vector.ts';

/**
 * The values of a column or an expression over the rows of a frame, with what they are to SQL.
 *
 * Invariant: number vectors hold doubles and no NaN, mixed vectors hold scalars (an INTEGER is a bigint), and are of type `any`.
 */
export interface Values {
  readonly type: ColumnType;
  readonly unit: TimeUnit;
  readonly isUtc: boolean;
  readonly vector: Vector;
}

/** What a type of values is besides its vector. */
export type ValueType = Pick<Values, 'type' | 'unit' | 'isUtc'>;

/** A type that has no unit. */
export function plainType(type: ColumnType): ValueType {
  return { type, unit: 'ms', isUtc: true };
}

/** What values are, without the values. */
export function typeOnly({ type, unit, isUtc }: ValueType): ValueType {
  return { type, unit, isUtc };
}

/** Whether values are points in time or parts of it, which are numbers inside and text outside. */
export function isTemporal(type: ColumnType): boolean {
  return type === 'timestamp' || type === 'date' || type === 'time';
}

/** Values of numbers. */
export function numberValues(
  type: ColumnType,
  values: Float64Array,
  nulls: Uint8Array | undefined,
  like?: ValueType,
): Values {
  return {
    type,
    unit: like?.unit ?? 'ms',
    isUtc: like?.isUtc ?? true,
    vector: { kind: 'number', length: values.length, nulls, values },
  };
}

/** Values of any class, one by one. */
export function mixedValues(values: readonly Scalar[]): Values {
  return { ...plainType('any'), vector: { kind: 'mixed', length: values.length, nulls: undefined, values } };
}

/** One value at every row: a single run. */
export function constantValues(scalar: Scalar, length: number): Values {
  return {
    ...plainType(typeOf(scalar)),
    vector: { kind: 'runs', length, nulls: undefined, ends: Uint32Array.of(length), values: single(scalar) },
  };
}

function typeOf(scalar: Scalar): ColumnType {
  if (typeof scalar === 'bigint') return isSafe(scalar) ? 'integer' : 'any';
  if (typeof scalar === 'number') return 'real';
  return 'any';
}

/** Whether an INTEGER is exact as a double. */
export function isSafe(integer: bigint): boolean {
  return integer <= 9_007_199_254_740_992n && integer >= -9_007_199_254_740_992n;
}

function single(scalar: Scalar): PlainVector {
  if (typeof scalar === 'number' || (typeof scalar === 'bigint' && isSafe(scalar)))
    return { kind: 'number', length: 1, nulls: undefined, values: Float64Array.of(Number(scalar)) };
  return { kind: 'mixed', length: 1, nulls: undefined, values: [scalar] };
}

/** A vector as a table gives it, as the invariant of {@link Values} wants it. */
export function normalise(column: ScanColumn, vector: Vector): Values {
  const like: ValueType = { type: column.type, unit: column.unit ?? 'ms', isUtc: column.isUtc ?? true };
  if (vector.kind === 'dictionary') {
    const inner = normalise(column, vector.dictionary);
    const dictionary = inner.vector as PlainVector;
    if (dictionary.nulls !== undefined) return { ...inner, vector: expand({ ...vector, dictionary }) };
    return { ...inner, vector: { ...vector, dictionary } };
  }
  if (vector.kind === 'runs') {
    const inner = normalise(column, vector.values);
    return { ...inner, vector: { ...vector, values: inner.vector as PlainVector } };
  }
  if (vector.kind === 'mixed')
    return mixedValues(
      column.type === 'real'
        ? vector.values.map((value) => (Number.isNaN(value) ? null : value))
        : vector.values.map(fromValue),
    );
  if (vector.kind !== 'number') return { ...like, vector };
  return { ...like, vector: column.type === 'real' ? withoutNaN(vector) : widened(vector) };
}

function widened(vector: NumberVector): NumberVector {
  return vector.values instanceof Float64Array
    ? vector
    : { ...vector, values: widen(vector.values, vector.length) };
}

function widen(values: Int32Array, length: number): Float64Array {
  const out = doubles(length);
  for (let i = 0; i < length; i++) out[i] = values[i]!;
  return out;
}

/** SQLite has no NaN: it stores NULL for one. */
function withoutNaN(vector: NumberVector): NumberVector {
  const { length } = vector;
  const { values } = widened(vector);
  if (areFinite(values as Float64Array)) return { ...vector, values };
  const nulls = new Uint8Array(length);
  for (let i = 0; i < length; i++) nulls[i] = values[i]! !== values[i]! ? 1 : (vector.nulls?.[i] ?? 0);
  return { ...vector, values, nulls: nulls.includes(1) ? nulls : undefined };
}

/** Whether all are finite: a number less itself is 0 then, else NaN. Four sums at a time need not wait for one another. */
function areFinite(values: Float64Array): boolean {
  const { length } = values;
  let [a, b, c, d] = [0, 0, 0, 0];
  let i = 0;
  for (; i + 4 <= length; i += 4) {
    a += values[i]! - values[i]!;
    b += values[i + 1]! - values[i + 1]!;
    c += values[i + 2]! - values[i + 2]!;
    d += values[i + 3]! - values[i + 3]!;
  }
  for (; i < length; i++) a += values[i]! - values[i]!;
  return a + b + c + d === 0;
}

/** A vector without codes or runs. */
export function expand(vector: Vector): PlainVector {
  if (vector.kind === 'dictionary') return pick(vector.dictionary, vector.codes, vector.length, vector.nulls);
  if (vector.kind === 'runs')
    return pick(vector.values, runOfRow(vector.ends, vector.length), vector.length, undefined);
  return vector;
}

/** For each row, the number of its run. */
export function runOfRow(ends: Uint32Array, length: number): Uint32Array {
  const runs = integers(length);
  let from = 0;
  for (let run = 0; run < ends.length; run++) {
    runs.fill(run, from, ends[run]);
    from = ends[run]!;
  }
  return runs;
}

type Indexes = Uint8Array | Uint16Array | Uint32Array;

/** The values at `at`, in that order; NULL where `nulls` says so or the value is. */
export function pick(
  vector: PlainVector,
  at: Indexes,
  length: number,
  nulls: Uint8Array | undefined,
): PlainVector {
  const own = vector.nulls;
  let merged = nulls;
  if (own !== undefined) {
    merged = new Uint8Array(length);
    for (let i = 0; i < length; i++) merged[i] = nulls?.[i] === 1 ? 1 : own[at[i]!]!;
  }
  switch (vector.kind) {
    case 'number': {
      const values = doubles(length);
      const from = vector.values as Float64Array;
      if (nulls === undefined) for (let i = 0; i < length; i++) values[i] = from[at[i]!]!;
      else for (let i = 0; i < length; i++) values[i] = nulls[i] === 1 ? 0 : from[at[i]!]!;
      return { kind: 'number', length, nulls: merged, values };
    }
    case 'bigint': {
      const values = new BigInt64Array(length);
      const from = words(vector.values);
      const to = words(values);
      for (let i = 0; i < length; i++) {
        const j = at[i]! * 2;
        to[2 * i] = from[j]!;
        to[2 * i + 1] = from[j + 1]!;
      }
      return { kind: 'bigint', length, nulls: merged, values };
    }
    case 'bytes':
      return pickBytes(vector, at, length, nulls, merged);
    default: {
      const values = Array.from({ length }, (_, i) =>
        nulls?.[i] === 1 ? null : (vector.values[at[i]!] ?? null),
      );
      return { kind: 'mixed', length, nulls: undefined, values };
    }
  }
}

/** The two halves of each 64-bit integer, the low one first. */
export function words(values: BigInt64Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
}

function pickBytes(
  { data, offsets }: BytesVector,
  at: Indexes,
  length: number,
  nulls: Uint8Array | undefined,
  merged: Uint8Array | undefined,
): BytesVector {
  const ends = new Uint32Array(length + 1);
  let size = 0;
  for (let i = 0; i < length; i++) {
    if (nulls?.[i] !== 1) size += offsets[at[i]! + 1]! - offsets[at[i]!]!;
    ends[i + 1] = size;
  }
  const out = new Uint8Array(size);
  for (let i = 0; i < length; i++) {
    if (nulls?.[i] === 1) continue;
    const to = ends[i]!;
    const bytes = ends[i + 1]! - to;
    const from = offsets[at[i]!]!;
    if (bytes < 32) for (let j = 0; j < bytes; j++) out[to + j] = data[from + j]!;
    else out.set(data.subarray(from, from + bytes), to);
  }
  return { kind: 'bytes', length, nulls: merged, data: out, offsets: ends };
}

/** The values at the rows `rows`, rising; codes stay codes and runs stay runs. */
export function gather(values: Values, rows: Uint32Array): Values {
  const { vector } = values;
  const { length } = rows;
  if (vector.kind === 'dictionary') {
    const { codes } = vector;
    const picked = integers(length);
    for (let i = 0; i < length; i++) picked[i] = codes[rows[i]!]!;
    const nulls = vector.nulls === undefined ? undefined : pickFlags(vector.nulls, rows);
    return { ...values, vector: { ...vector, length, codes: picked, nulls } };
  }
  if (vector.kind === 'runs') {
    const { ends } = vector;
    const kept = new Uint32Array(ends.length);
    let row = 0;
    for (let run = 0; run < ends.length; run++) {
      while (row < length && rows[row]! < ends[run]!) row++;
      kept[run] = row;
    }
    return { ...values, vector: { ...vector, length, ends: kept } };
  }
  if (vector.kind === 'bytes') return { ...values, vector: coded(vector, rows) };
  return { ...values, vector: pick(vector, rows, length, undefined) };
}

/** The values at the rows from `from` up to `to`. */
export function slice(values: Values, from: number, to: number): Values {
  return { ...values, vector: sliceVector(values.vector, from, to) };
}

function sliceVector(vector: Vector, from: number, to: number): Vector {
  const length = to - from;
  switch (vector.kind) {
    case 'mixed':
      return { ...vector, length, values: vector.values.slice(from, to) };
    case 'runs': {
      const ends: number[] = [];
      let first = -1;
      for (let run = 0; run < vector.ends.length; run++) {
        if (vector.ends[run]! <= from) continue;
        if (first < 0) first = run;
        ends.push(Math.min(vector.ends[run]!, to) - from);
        if (vector.ends[run]! >= to) break;
      }
      const values = sliceVector(vector.values, Math.max(0, first), Math.max(0, first) + ends.length);
      return { ...vector, length, ends: Uint32Array.from(ends), values: values as PlainVector };
    }
  }
  const nulls = vector.nulls?.subarray(from, to);
  switch (vector.kind) {
    case 'number':
      return { ...vector, length, nulls, values: vector.values.subarray(from, to) };
    case 'bigint':
      return { ...vector, length, nulls, values: vector.values.subarray(from, to) };
    case 'bytes':
      return { ...vector, length, nulls, offsets: vector.offsets.subarray(from, to + 1) };
    default:
      return { ...vector, length, nulls, codes: vector.codes.subarray(from, to) };
  }
}

/** Bytes are not copied before somebody needs them next to each other. */
function coded(vector: BytesVector, rows: Uint32Array): DictionaryVector {
  const nulls = vector.nulls === undefined ? undefined : pickFlags(vector.nulls, rows);
  const dictionary = { ...vector, nulls: undefined };
  return { kind: 'dictionary', length: rows.length, nulls, codes: rows, dictionary };
}

function pickFlags(flags: Uint8Array, rows: Uint32Array): Uint8Array {
  const out = new Uint8Array(rows.length);
  for (let i = 0; i < rows.length; i++) out[i] = flags[rows[i]!]!;
  return out;
}

/** Doubles at every row, with their NULLs; undefined where some value is no such number. */
export function flatNumbers({ type, vector }: Values): NumberVector | undefined {
  if (type === 'any' || type === 'text' || type === 'blob') return undefined;
  const inner =
    vector.kind === 'dictionary' ? vector.dictionary : vector.kind === 'runs' ? vector.values : vector;
  if (inner.kind !== 'number') return undefined;
  if (vector.kind === 'runs' && vector.ends.length === 1) {
    const nulls = inner.nulls?.[0] === 1 ? new Uint8Array(vector.length).fill(1) : undefined;
    const values = doubles(vector.length).fill(inner.values[0] ?? 0);
    return { kind: 'number', length: vector.length, nulls, values };
  }
  return expand(vector) as NumberVector;
}

/** A function that gives the value at a row. */
export function scalarReader(values: Values): (row: number) => Scalar {
  const { vector } = values;
  if (vector.kind === 'dictionary' || vector.kind === 'runs') {
    const inner = vector.kind === 'dictionary' ? vector.dictionary : vector.values;
    const read = scalarReader({ ...values, vector: inner });
    const at = vector.kind === 'dictionary' ? vector.codes : runOfRow(vector.ends, vector.length);
    const { nulls } = vector;
    if (vector.length < inner.length) return (row) => (nulls?.[row] === 1 ? null : read(at[row]!));
    const known: (Scalar | undefined)[] = [];
    known.length = inner.length;
    return (row) => (nulls?.[row] === 1 ? null : (known[at[row]!] ??= read(at[row]!)));
  }
  const { nulls } = vector;
  const read = plainReader(values, vector);
  return nulls === undefined ? read : (row) => (nulls[row] === 1 ? null : read(row));
}

function plainReader({ type, unit, isUtc }: Values, vector: PlainVector): (row: number) => Scalar {
  switch (vector.kind) {
    case 'mixed':
      return (row) => vector.values[row] ?? null;
    case 'bytes':
      return type === 'blob'
        ? (row) => vector.data.slice(vector.offsets[row], vector.offsets[row + 1])
        : (row) => textAt(vector, row);
    default: {
      const { values } = vector;
      if (type === 'timestamp') return (row) => timestampText(values[row]!, unit, isUtc);
      if (type === 'time') return (row) => timeText(values[row]!, unit);
      if (type === 'date') return (row) => dateText(Number(values[row]!));
      if (type === 'real') return (row) => Number(values[row]!);
      return (row) => BigInt(values[row]!);
    }
  }
}

/** The text at a row of UTF-8. Short ASCII is put together here, which the platform's decoder is slow to begin. */
export function textAt({ data, offsets }: BytesVector, row: number): string {
  const start = offsets[row]!;
  const end = offsets[row + 1]!;
  if (end - start > 24) return decodeText(data.subarray(start, end));
  let text = '';
  for (let i = start; i < end; i++) {
    const byte = data[i]!;
    if (byte > 127) return decodeText(data.subarray(start, end));
    text += String.fromCharCode(byte);
  }
  return text;
}

/** All values, one by one. */
export function toScalars(values: Values): Scalar[] {
  const read = scalarReader(values);
  const out: Scalar[] = [];
  for (let i = 0; i < values.vector.length; i++) out.push(read(i));
  return out;
}

/** Values that were made one by one, as numbers where all are of one class. */
export function fromScalars(scalars: readonly Scalar[]): Values {
  let integers = true;
  let reals = true;
  let someNull = false;
  for (const scalar of scalars) {
    if (scalar === null) someNull = true;
    else if (typeof scalar === 'bigint') {
      reals = false;
      if (!isSafe(scalar)) integers = false;
    } else {
      integers = false;
      if (typeof scalar !== 'number') reals = false;
    }
    if (!integers && !reals) return mixedValues(scalars);
  }
  const values = new Float64Array(scalars.length);
  const nulls = someNull ? new Uint8Array(scalars.length) : undefined;
  for (let i = 0; i < scalars.length; i++) {
    const scalar = scalars[i];
    if (scalar === null) (nulls as Uint8Array)[i] = 1;
    else values[i] = Number(scalar);
  }
  return numberValues(integers ? 'integer' : 'real', values, nulls);
}

/** The order of the bytes at a row and some others. */
export function compareToBytes({ data, offsets }: BytesVector, row: number, other: Uint8Array): number {
  const start = offsets[row]!;
  const size = offsets[row + 1]! - start;
  const shared = Math.min(size, other.length);
  for (let i = 0; i < shared; i++) {
    const difference = data[start + i]! - other[i]!;
    if (difference !== 0) return difference;
  }
  return size - other.length;
}
