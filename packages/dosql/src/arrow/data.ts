/** Vectors as Arrow's buffers. */
import type * as Arrow from 'apache-arrow';
import { DoSQLError } from '../error.ts';
import { countOf, parseInstant, parseTime, perSecond } from '../scan/time.ts';
import { expand } from '../scan/values.ts';
import type { BytesVector, PlainVector, TimeUnit, Vector } from '../scan/vector.ts';
import type { SqlValue } from '../value/row.ts';
import type { ArrowColumnType } from './infer.ts';

/** The module, which is loaded on first use. */
export type ArrowModule = typeof Arrow;

const encoder = new TextEncoder();

/** Arrow's type of a column. */
export function arrowType(
  arrow: ArrowModule,
  { type, unit = 'ms', isUtc = true }: ArrowColumnType,
): Arrow.DataType {
  switch (type) {
    case 'integer':
      return new arrow.Int64();
    case 'real':
      return new arrow.Float64();
    case 'text':
      return new arrow.Utf8();
    case 'blob':
      return new arrow.Binary();
    case 'timestamp':
      return new arrow.Timestamp(timeUnit(arrow, unit), isUtc ? 'UTC' : null);
    case 'date':
      return new arrow.DateDay();
    case 'time':
      return unit === 'ms' ? new arrow.TimeMillisecond() : new arrow.Time(timeUnit(arrow, unit), 64);
    default:
      return unionType(arrow);
  }
}

function timeUnit(arrow: ArrowModule, unit: TimeUnit): Arrow.TimeUnit {
  const { MILLISECOND, MICROSECOND, NANOSECOND } = arrow.TimeUnit;
  return { ms: MILLISECOND, us: MICROSECOND, ns: NANOSECOND }[unit];
}

// Which child of the union a value stands in.
const INTEGER = 0;
const REAL = 1;
const TEXT = 2;
const BLOB = 3;

/** A column of several classes is a union of SQLite's; a NULL is one of the integers. */
function unionType(arrow: ArrowModule): Arrow.DenseUnion {
  return new arrow.DenseUnion(
    [INTEGER, REAL, TEXT, BLOB],
    [
      new arrow.Field('integer', new arrow.Int64(), true),
      new arrow.Field('real', new arrow.Float64(), true),
      new arrow.Field('text', new arrow.Utf8(), true),
      new arrow.Field('blob', new arrow.Binary(), true),
    ],
  );
}

/**
 * A vector as Arrow's data.
 *
 * @throws DoSQLError `BAD_PARAMETER` for a value that is not of the type
 */
export function arrowData(
  arrow: ArrowModule,
  name: string,
  column: ArrowColumnType,
  vector: Vector,
): Arrow.Data {
  const plain = expand(vector);
  if (column.type === 'any') return unionData(arrow, plain);
  const nulls = plain.kind === 'mixed' ? nullsOf(plain.values) : plain.nulls;
  const type = arrowType(arrow, column);
  const shared = { type, length: plain.length, ...validity(nulls) };
  const refuse = (value: SqlValue): never => refusal(name, column, value);
  if (column.type === 'text' || column.type === 'blob') {
    const { data, offsets } = bytesOf(plain, column.type, refuse);
    return arrow.makeData({ ...shared, data, valueOffsets: new Int32Array(offsets) } as never);
  }
  return arrow.makeData({ ...shared, data: numbersOf(plain, column, refuse) } as never);
}

function refusal(name: string, { type }: ArrowColumnType, value: SqlValue): never {
  const shown =
    typeof value === 'string' ? JSON.stringify(value) : value instanceof Uint8Array ? 'a blob' : value;
  throw new DoSQLError('BAD_PARAMETER', `column ${name} is ${type} and has ${shown}: cast it in the query`);
}

function nullsOf(values: readonly SqlValue[]): Uint8Array | undefined {
  return values.includes(null) ? Uint8Array.from(values, (value) => (value === null ? 1 : 0)) : undefined;
}

/** Arrow has a bit for each value that is there. */
function validity(nulls: Uint8Array | undefined): { nullCount: number; nullBitmap?: Uint8Array } {
  if (nulls === undefined) return { nullCount: 0 };
  const nullBitmap = new Uint8Array((nulls.length + 7) >>> 3);
  let nullCount = 0;
  for (let i = 0; i < nulls.length; i++)
    if (nulls[i] === 1) nullCount++;
    else nullBitmap[i >>> 3] = (nullBitmap[i >>> 3] as number) | (1 << (i & 7));
  return { nullCount, nullBitmap };
}

type Numbers = BigInt64Array | Float64Array | Int32Array;

function numbersOf(plain: PlainVector, column: ArrowColumnType, refuse: (value: SqlValue) => never): Numbers {
  if (plain.kind === 'bytes') {
    const isNothing = plain.nulls?.includes(0) === false || plain.length === 0;
    if (!isNothing) refuse('text');
    return zeros(column, plain.length);
  }
  if (plain.kind === 'mixed') return mixedNumbers(plain.values, column, refuse);
  const { values, nulls } = plain;
  if (column.type === 'real')
    return values instanceof Float64Array
      ? values
      : Float64Array.from(values as ArrayLike<number | bigint>, Number);
  if (zeros(column, 0) instanceof Int32Array)
    return values instanceof Int32Array
      ? values
      : Int32Array.from(values as ArrayLike<number | bigint>, Number);
  return values instanceof BigInt64Array ? values : int64s(values, nulls, refuse);
}

function zeros({ type, unit = 'ms' }: ArrowColumnType, length: number): Numbers {
  if (type === 'real') return new Float64Array(length);
  return type === 'date' || (type === 'time' && unit === 'ms')
    ? new Int32Array(length)
    : new BigInt64Array(length);
}

/** In halves of 32 bits: a bigint for each value would take ten times as long. */
function int64s(
  values: Int32Array | Float64Array,
  nulls: Uint8Array | undefined,
  refuse: (value: SqlValue) => never,
): BigInt64Array {
  const words = new Int32Array(2 * values.length);
  for (let i = 0; i < values.length; i++) {
    if (nulls?.[i] === 1) continue;
    const value = values[i] as number;
    if (!Number.isInteger(value)) refuse(value);
    words[2 * i] = value >>> 0;
    words[2 * i + 1] = Math.floor(value / 2 ** 32);
  }
  return new BigInt64Array(words.buffer);
}

function mixedNumbers(
  values: readonly SqlValue[],
  column: ArrowColumnType,
  refuse: (value: SqlValue) => never,
): Numbers {
  const out = zeros(column, values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as SqlValue;
    if (value === null) continue;
    const number = typeof value === 'string' ? timeOf(value, column) : value;
    if (typeof number !== 'number' && typeof number !== 'bigint') return refuse(value);
    if (out instanceof BigInt64Array) {
      if (typeof number === 'number' && !Number.isSafeInteger(number)) refuse(value);
      out[i] = BigInt(number);
    } else {
      out[i] = Number(number);
      if (out instanceof Int32Array && out[i] !== Number(number)) refuse(value);
    }
  }
  return out;
}

/** The number that a time's text stands for; undefined where it is none. */
function timeOf(text: string, { type, unit = 'ms' }: ArrowColumnType): number | bigint | undefined {
  if (type === 'time') {
    const time = parseTime(text);
    return time === undefined ? undefined : time / (1e9 / perSecond(unit));
  }
  if (type !== 'timestamp' && type !== 'date') return undefined;
  const instant = parseInstant(text);
  if (instant === undefined) return undefined;
  return type === 'date' ? instant.ms / 86_400_000 : countOf(instant, unit);
}

function bytesOf(
  plain: PlainVector,
  type: 'text' | 'blob',
  refuse: (value: SqlValue) => never,
): Pick<BytesVector, 'data' | 'offsets'> {
  if (plain.kind === 'bytes') return fromZero(plain);
  const offsets = new Uint32Array(plain.length + 1);
  if (plain.kind !== 'mixed') {
    const isNothing = plain.nulls?.includes(0) === false || plain.length === 0;
    if (!isNothing) refuse(plain.values[0] ?? null);
    return { data: new Uint8Array(0), offsets };
  }
  const parts = plain.values.map((value) => {
    if (value === null) return NOTHING;
    if (type === 'text' && typeof value === 'string') return encoder.encode(value);
    return type === 'blob' && value instanceof Uint8Array ? value : refuse(value);
  });
  return joinBytes(parts);
}

const NOTHING = new Uint8Array(0);

/** Arrow's offsets begin at 0. */
function fromZero({ data, offsets }: BytesVector): Pick<BytesVector, 'data' | 'offsets'> {
  const start = offsets[0] as number;
  const bytes = data.subarray(start, offsets.at(-1));
  return { data: bytes, offsets: start === 0 ? offsets : offsets.map((offset) => offset - start) };
}

function joinBytes(parts: readonly Uint8Array[]): Pick<BytesVector, 'data' | 'offsets'> {
  const offsets = new Uint32Array(parts.length + 1);
  parts.forEach((part, i) => {
    offsets[i + 1] = (offsets[i] as number) + part.length;
  });
  const data = new Uint8Array(offsets[parts.length] as number);
  parts.forEach((part, i) => data.set(part, offsets[i]));
  return { data, offsets };
}

function unionData(arrow: ArrowModule, plain: PlainVector): Arrow.Data {
  const { length } = plain;
  const typeIds = new Int8Array(length);
  const valueOffsets = new Int32Array(length);
  const children: SqlValue[][] = [[], [], [], []];
  for (let i = 0; i < length; i++) {
    const value = valueAt(plain, i);
    const child = childOf(value);
    typeIds[i] = child;
    valueOffsets[i] = (children[child] as SqlValue[]).push(value) - 1;
  }
  const types = (['integer', 'real', 'text', 'blob'] as const).map((type) => ({ type }));
  const data = types.map((column, i) => {
    const values = children[i] as SqlValue[];
    return arrowData(arrow, column.type, column, {
      kind: 'mixed',
      length: values.length,
      nulls: undefined,
      values,
    });
  });
  return arrow.makeData({ type: unionType(arrow), length, typeIds, valueOffsets, children: data } as never);
}

/** Bytes among values of any class are text. */
function valueAt(plain: PlainVector, i: number): SqlValue {
  if (plain.kind === 'mixed') return plain.values[i] ?? null;
  if (plain.nulls?.[i] === 1) return null;
  if (plain.kind !== 'bytes') return plain.values[i] as number | bigint;
  return new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(
    plain.data.subarray(plain.offsets[i], plain.offsets[i + 1]),
  );
}

function childOf(value: SqlValue): number {
  if (value === null || typeof value === 'bigint') return INTEGER;
  if (typeof value === 'number') return Number.isSafeInteger(value) && !Object.is(value, -0) ? INTEGER : REAL;
  return typeof value === 'string' ? TEXT : BLOB;
}
