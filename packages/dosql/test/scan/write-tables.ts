import type { BytesVector, Vector } from '../../src/scan/vector.ts';
import type { WriteColumn, WriteType } from '../../src/scan/parquet/write-schema.ts';

/** Random numbers from a seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d_2b_79_f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** A value as tests compare it: integers of every type as their digits, so that 1 and 1n are one. */
export type Plain = string | number | null;

/** A column with its values, twice: as the writer takes them and as everyone should read them. */
export interface TestColumn {
  readonly column: WriteColumn;
  readonly vector: Vector;
  readonly values: readonly Plain[];
}

const TYPES: readonly WriteType[] = [
  'boolean',
  'int32',
  'int64',
  'double',
  'utf8',
  'binary',
  'timestamp',
  'date',
  'time',
];

/** Integers in text, doubles as numbers, bytes in hex. */
type Value = bigint | number | Uint8Array;

const encoder = new TextEncoder();

/** A random column of so many rows. */
export function randomColumn(random: Random, name: string, rows: number): TestColumn {
  const type = random.pick(TYPES);
  const unit = random.pick(['ms', 'us', 'ns'] as const);
  const nullShare = random.pick([0, 0, 0.02, 0.5, 0.98, 1]);
  const make = generator(random, type, unit);
  const values = Array.from({ length: rows }, (_, i) => (random.next() < nullShare ? null : make(i)));
  if (random.below(4) === 0 && type !== 'boolean' && type !== 'binary' && type !== 'utf8')
    values.sort((a, b) => Number(a ?? 0) - Number(b ?? 0));
  const column: WriteColumn = {
    name,
    type,
    unit: type === 'timestamp' || type === 'time' ? unit : undefined,
    isUtc: random.below(2) === 0,
    required: !values.includes(null) && random.below(2) === 0,
  };
  return {
    column,
    vector: vectorOf(random, column, values),
    values: values.map((value) => plain(value, type)),
  };
}

function plain(value: Value | null, type: WriteType): Plain {
  if (value === null || typeof value === 'number') return value;
  if (typeof value === 'bigint') return `${value}`;
  return type === 'utf8'
    ? new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(value)
    : hex(value);
}

/** Bytes as text that tests can compare. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

const EXTREMES: Partial<Record<WriteType, readonly bigint[]>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n, 0n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n, -(2n ** 53n) - 1n, 0n],
};

function generator(random: Random, type: WriteType, unit: string): (row: number) => Value {
  switch (type) {
    case 'boolean': {
      const share = random.pick([0, 0.01, 0.5, 1]);
      return () => (random.next() < share ? 1n : 0n);
    }
    case 'double':
      return doubles(random);
    case 'utf8':
    case 'binary':
      return byteStrings(random, type === 'utf8');
    default:
      return integers(random, type, unit);
  }
}

function integers(random: Random, type: WriteType, unit: string): (row: number) => bigint {
  const [low, high] = integerRange(type, unit);
  const range = high - low;
  const start = low + (range * BigInt(random.below(1000))) / 1000n;
  const spread = BigInt(random.pick([1, 2, 100, 65_536, 2 ** 31, 2 ** 40, 2 ** 52]));
  const extremes = EXTREMES[type];
  const shape = random.below(extremes === undefined ? 3 : 4);
  const clamp = (value: bigint): bigint => (value < low ? low : value > high ? high : value);
  const big = (): bigint => (BigInt(random.below(2 ** 32)) << 21n) + BigInt(random.below(2 ** 21));
  if (shape === 0) return (row) => clamp(start + BigInt(row) * (spread % 100_000n) + BigInt(random.below(3)));
  if (shape === 1) return () => clamp(start + (big() % spread));
  if (shape === 2) return (row) => clamp(start + BigInt(Math.floor(row / 37)));
  return () => (random.below(3) === 0 ? random.pick(extremes ?? [0n]) : clamp(start + (big() % spread)));
}

function integerRange(type: WriteType, unit: string): [bigint, bigint] {
  if (type === 'int32') return [-(2n ** 31n), 2n ** 31n - 1n];
  if (type === 'int64') return [-(2n ** 63n), 2n ** 63n - 1n];
  if (type === 'date') return [-100_000n, 100_000n];
  const perSecond = unit === 'ms' ? 1000n : unit === 'us' ? 1_000_000n : 1_000_000_000n;
  if (type === 'time') return [0n, 86_400n * perSecond - 1n];
  return [-4_000_000_000n * perSecond, 9_000_000_000n * perSecond];
}

function doubles(random: Random): () => number {
  const odd = [Number.NaN, -0, 0, Infinity, -Infinity, Number.MIN_VALUE, Number.MAX_VALUE, 1e-300];
  switch (random.below(5)) {
    case 0:
      return () => random.pick(odd);
    case 1:
      return () => random.below(1000) / 10;
    case 2:
      return () => Number.NaN;
    case 3:
      return () => (random.next() - 0.5) * 1e3;
    default:
      return () => (random.below(50) === 0 ? random.pick(odd) : random.next() * 1e9);
  }
}

const CHARACTERS = [
  'a',
  'Z',
  '0',
  ' ',
  '"',
  "'",
  '\0',
  '\n',
  'ü',
  'ß',
  '語',
  '😀',
  '\u{10ffff}',
  '\ufeff',
  '￿',
];

function byteStrings(random: Random, isText: boolean): (row: number) => Uint8Array {
  const length = random.pick([0, 1, 5, 20, 80, 300]);
  const one = (): Uint8Array => {
    const count = random.below(length + 1);
    if (!isText)
      return Uint8Array.from({ length: count }, () => (random.below(4) === 0 ? 255 : random.below(256)));
    return encoder.encode(Array.from({ length: count }, () => random.pick(CHARACTERS)).join(''));
  };
  if (random.below(2) === 0) return one;
  const few = Array.from({ length: 1 + random.below(40) }, one);
  return random.below(2) === 0
    ? () => random.pick(few)
    : (row) => few[Math.floor(row / 50) % few.length] as Uint8Array;
}

/** The values as a vector of one of the kinds that can hold them. */
function vectorOf(random: Random, column: WriteColumn, values: readonly (Value | null)[]): Vector {
  const { length } = values;
  const kind = random.below(4);
  const isText = column.type === 'utf8';
  if (kind === 0 && length > 0) {
    const scanned = values.map((value) => {
      if (value instanceof Uint8Array)
        return isText ? new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(value) : value;
      return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
    });
    return { kind: 'mixed', length, nulls: undefined, values: scanned };
  }
  if (kind === 1 && length > 0) return dictionaryOf(random, values);
  if (kind === 2 && length > 0) return runsOf(values);
  return plainVector(values);
}

function plainVector(values: readonly (Value | null)[]): Vector & { kind: 'number' | 'bigint' | 'bytes' } {
  const { length } = values;
  const nulls = values.includes(null)
    ? Uint8Array.from(values, (value) => (value === null ? 1 : 0))
    : undefined;
  const first = values.find((value) => value !== null);
  if (first instanceof Uint8Array) {
    const parts = values.map((value) => (value instanceof Uint8Array ? value : new Uint8Array(0)));
    const offsets = new Uint32Array(length + 1);
    parts.forEach((part, i) => (offsets[i + 1] = (offsets[i] as number) + part.length));
    return {
      kind: 'bytes',
      length,
      nulls,
      data: new Uint8Array(Buffer.concat(parts)),
      offsets,
    } satisfies BytesVector;
  }
  if (first === undefined)
    return { kind: 'bytes', length, nulls, data: new Uint8Array(0), offsets: new Uint32Array(length + 1) };
  if (typeof first === 'number')
    return {
      kind: 'number',
      length,
      nulls,
      values: Float64Array.from(values, (value) => Number(value ?? 7)),
    };
  const isBig = values.some((value) => value !== null && !Number.isSafeInteger(Number(value)));
  if (isBig)
    return {
      kind: 'bigint',
      length,
      nulls,
      values: BigInt64Array.from(values, (value) => (value as bigint | null) ?? 7n),
    };
  const numbers = values.map((value) => Number(value ?? 7));
  const isSmall = numbers.every((value) => (value | 0) === value);
  return {
    kind: 'number',
    length,
    nulls,
    values: isSmall ? Int32Array.from(numbers) : Float64Array.from(numbers),
  };
}

function dictionaryOf(random: Random, values: readonly (Value | null)[]): Vector {
  const { length } = values;
  const entries = values.filter((value) => value !== null);
  const dictionary = plainVector([...entries, ...entries.slice(0, random.below(5))]);
  const codes = new Uint32Array(length);
  let next = 0;
  values.forEach((value, i) => (codes[i] = value === null ? 0 : next++));
  const nulls = values.includes(null)
    ? Uint8Array.from(values, (value) => (value === null ? 1 : 0))
    : undefined;
  return { kind: 'dictionary', length, nulls, codes, dictionary };
}

function runsOf(values: readonly (Value | null)[]): Vector {
  const ends: number[] = [];
  const firsts: (Value | null)[] = [];
  values.forEach((value, i) => {
    if (i > 0 && Object.is(values[i - 1], value)) ends[ends.length - 1] = i + 1;
    else {
      ends.push(i + 1);
      firsts.push(value);
    }
  });
  return {
    kind: 'runs',
    length: values.length,
    nulls: undefined,
    ends: Uint32Array.from(ends),
    values: plainVector(firsts),
  };
}

/** Rows `from` up to `to`, as a scan would hand over a part. */
export function slice(vector: Vector, from: number, to: number): Vector {
  const length = to - from;
  const nulls = vector.nulls?.slice(from, to);
  switch (vector.kind) {
    case 'number':
      return { ...vector, length, nulls, values: vector.values.slice(from, to) };
    case 'bigint':
      return { ...vector, length, nulls, values: vector.values.slice(from, to) };
    case 'bytes':
      return { ...vector, length, nulls, offsets: vector.offsets.slice(from, to + 1) };
    case 'dictionary':
      return { ...vector, length, nulls, codes: vector.codes.slice(from, to) };
    case 'mixed':
      return { ...vector, length, values: vector.values.slice(from, to) };
    default: {
      const ends = vector.ends.map((end) => Math.min(Math.max(end - from, 0), length));
      return { ...vector, length, ends };
    }
  }
}
