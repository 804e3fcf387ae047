import type { SqlValue } from '../../value/row.ts';
import type { DictionaryVector, PlainVector, RunsVector, Vector } from '../vector.ts';

/** Numbers as they come, one for each row; what stands at a NULL means nothing. */
export type Numbers = Int32Array | Float64Array | BigInt64Array;

/** A vector of which a row's value is found by the row. */
export type DirectVector = Exclude<Vector, RunsVector>;

/** Some rows of a vector: numbers, or JavaScript's values. */
export interface Flat {
  readonly values: Numbers | readonly SqlValue[];
  readonly nulls: Uint8Array | undefined;
}

/** Rows `from` up to `to` of a vector that holds no bytes, each value in its own place. */
export function flatten(vector: DirectVector, from: number, to: number): Flat | undefined {
  switch (vector.kind) {
    case 'number':
    case 'bigint':
      return { values: vector.values.subarray(from, to), nulls: vector.nulls?.subarray(from, to) };
    case 'mixed': {
      const values = vector.values.slice(from, to);
      return { values, nulls: nullsOf(values) };
    }
    case 'dictionary':
      return gather(vector, from, to);
    default:
      return undefined;
  }
}

function nullsOf(values: readonly SqlValue[]): Uint8Array | undefined {
  if (!values.includes(null)) return undefined;
  return Uint8Array.from(values, (value) => (value === null ? 1 : 0));
}

function gather({ codes, dictionary, nulls }: DictionaryVector, from: number, to: number): Flat | undefined {
  const count = to - from;
  const part = nulls?.subarray(from, to);
  if (dictionary.kind === 'bytes') return undefined;
  if (dictionary.kind === 'mixed') {
    const values: SqlValue[] = [];
    for (let i = from; i < to; i++)
      values.push(nulls?.[i] === 1 ? null : (dictionary.values[codes[i] as number] ?? null));
    return { values, nulls: nullsOf(values) };
  }
  if (dictionary.kind === 'bigint') {
    const values = new BigInt64Array(count);
    for (let i = 0; i < count; i++) values[i] = dictionary.values[codes[from + i] as number] ?? 0n;
    return { values, nulls: part };
  }
  const values = dictionary.values instanceof Int32Array ? new Int32Array(count) : new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = dictionary.values[codes[from + i] as number] ?? 0;
  return { values, nulls: part };
}

/** Runs as codes of themselves. */
export function asDictionary({ ends, values, length }: RunsVector): DictionaryVector {
  const codes = new Uint32Array(length);
  const hasNulls = values.kind === 'mixed' ? values.values.includes(null) : values.nulls !== undefined;
  const nulls = hasNulls ? new Uint8Array(length) : undefined;
  let start = 0;
  ends.forEach((end, run) => {
    codes.fill(run, start, end);
    const isNull = values.kind === 'mixed' ? values.values[run] === null : values.nulls?.[run] === 1;
    if (isNull) nulls?.fill(1, start, end);
    start = end;
  });
  return { kind: 'dictionary', length, nulls, codes, dictionary: values };
}

/** How many rows from `from` on, at most `count` and at least one, have no more than `limit` bytes of text and blobs. */
export function rowsWithin(
  vectors: readonly DirectVector[],
  from: number,
  count: number,
  limit: number,
): number {
  let rows = count;
  const bytes = (): number => vectors.reduce((sum, vector) => sum + bytesIn(vector, from, from + rows), 0);
  while (rows > 1 && bytes() > limit) rows >>>= 1;
  return rows;
}

function bytesIn(vector: DirectVector, from: number, to: number): number {
  let sum = 0;
  switch (vector.kind) {
    case 'bytes':
      return (vector.offsets[to] as number) - (vector.offsets[from] as number);
    case 'dictionary':
      for (let i = from; i < to; i++) sum += entryBytes(vector.dictionary, vector.codes[i] as number);
      return sum;
    case 'mixed':
      for (let i = from; i < to; i++) sum += entryBytes(vector, i);
      return sum;
    default:
      return 0;
  }
}

function entryBytes(vector: PlainVector, i: number): number {
  if (vector.kind === 'bytes') return (vector.offsets[i + 1] as number) - (vector.offsets[i] as number);
  if (vector.kind !== 'mixed') return 0;
  const value = vector.values[i];
  return typeof value === 'string' || value instanceof Uint8Array ? value.length : 0;
}
