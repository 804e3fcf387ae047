import type { SqlValue } from '../../value/row.ts';
import type { DictionaryVector, RunsVector, Vector } from '../vector.ts';

/** Numbers as they come, one for each row; what stands at a NULL means nothing. */
export type Numbers = Int32Array | Float64Array | BigInt64Array;

/** Some rows of a vector: numbers, or JavaScript's values. */
export interface Flat {
  readonly values: Numbers | readonly SqlValue[];
  readonly nulls: Uint8Array | undefined;
}

/** Rows `from` up to `to` of a vector that holds no bytes, each value in its own place. */
export function flatten(vector: Vector, from: number, to: number): Flat | undefined {
  switch (vector.kind) {
    case 'number':
    case 'bigint':
      return { values: vector.values.subarray(from, to), nulls: vector.nulls?.subarray(from, to) };
    case 'mixed': {
      const values = vector.values.slice(from, to);
      return { values, nulls: nullsOf(values) };
    }
    case 'runs':
      return flatten(asDictionary(vector, from, to), 0, to - from);
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

/** Rows `from` up to `to` of runs, with the runs as the dictionary. */
export function asDictionary({ ends, values }: RunsVector, from: number, to: number): DictionaryVector {
  const codes = new Uint32Array(to - from);
  const hasNulls = values.kind === 'mixed' ? values.values.includes(null) : values.nulls !== undefined;
  const nulls = hasNulls ? new Uint8Array(to - from) : undefined;
  let start = 0;
  ends.forEach((end, run) => {
    const low = Math.max(start, from) - from;
    const high = Math.min(end, to) - from;
    start = end;
    if (high <= low) return;
    codes.fill(run, low, high);
    const isNull = values.kind === 'mixed' ? values.values[run] === null : values.nulls?.[run] === 1;
    if (isNull) nulls?.fill(1, low, high);
  });
  return { kind: 'dictionary', length: to - from, nulls, codes, dictionary: values };
}
