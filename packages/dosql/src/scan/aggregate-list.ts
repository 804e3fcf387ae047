import { DoSQLError } from '../error.ts';
import type { Accumulator, Groups } from './aggregate.ts';
import type { Node } from './expression-node.ts';
import type { Frame } from './frame.ts';
import { ready, type Results } from './results.ts';
import { toNumber, toText, type Scalar } from './scalar.ts';
import { instantOf } from './time.ts';
import {
  expand,
  flatNumbers,
  isTemporal,
  mixedValues,
  numberValues,
  plainType,
  scalarReader,
  typeOnly,
  type Values,
  type ValueType,
} from './values.ts';
import type { NumberVector } from './vector.ts';

/** What an object can hold in its memory beside everything else. */
const MAX_TEXT = 2 ** 25;
const MAX_VALUES = 10_000_000;

function tooBig(what: string, most: number, of: string): DoSQLError {
  return new DoSQLError(
    'TOO_BIG',
    `${what} takes ${most.toLocaleString('en')} ${of} at most in one query: narrow it`,
  );
}

/** `group_concat(operand, separator)`, in the order of the scan. */
export class ConcatAccumulator implements Accumulator {
  readonly #operand: Node;
  readonly #separator: string;
  readonly #texts: (string | undefined)[] = [];
  #length = 0;

  constructor(operand: Node, separator: string | null) {
    this.#operand = operand;
    this.#separator = separator ?? '';
  }

  add(frame: Frame, groups: Groups): void {
    const read = scalarReader(this.#operand.evaluate(frame));
    for (let i = 0; i < frame.length; i++) {
      const text = toText(read(i));
      if (text === null) continue;
      const group = typeof groups === 'number' ? groups : groups[i]!;
      this.#length += text.length + this.#separator.length;
      if (this.#length > MAX_TEXT) throw tooBig('group_concat', MAX_TEXT, 'characters');
      const known = this.#texts[group];
      this.#texts[group] = known === undefined ? text : known + this.#separator + text;
    }
  }

  result(size: number): Results {
    return ready(mixedValues(Array.from({ length: size }, (_, group) => this.#texts[group] ?? null)));
  }
}

/** Between two values the continuous one interpolates, the discrete one takes the lower. */
export type QuantileKind = 'continuous' | 'discrete';

/** The value that a fraction of a group's values lies below. Only numbers and times count. */
export class QuantileAccumulator implements Accumulator {
  readonly #kind: QuantileKind;
  readonly #operand: Node;
  readonly #fraction: number;
  #type: ValueType = plainType('real');
  /** The values of each batch that are not NULL, and their groups. */
  readonly #batches: { readonly values: Float64Array; readonly groups: Groups }[] = [];
  #count = 0;

  constructor(kind: QuantileKind, operand: Node, fraction: number) {
    this.#kind = kind;
    this.#operand = operand;
    this.#fraction = fraction;
  }

  add(frame: Frame, groups: Groups): void {
    const values = this.#operand.evaluate(frame);
    const isFine = isTemporal(values.type) && values.unit === 'ns';
    const numbers = isFine ? microseconds(values) : flatNumbers(values);
    if (numbers !== undefined) this.#type = isFine ? { ...typeOnly(values), unit: 'us' } : typeOnly(values);
    const [kept, of] =
      numbers === undefined
        ? someScalars(scalarReader(values), frame.length, groups)
        : someNumbers(numbers, groups);
    this.#count += kept.length;
    if (this.#count > MAX_VALUES) throw tooBig('a median or quantile', MAX_VALUES, 'values');
    this.#batches.push({ values: kept, groups: of });
  }

  result(size: number): Results {
    const starts = new Uint32Array(size + 1);
    const count = this.#count;
    for (const { values, groups } of this.#batches)
      if (typeof groups === 'number') starts[groups + 1]! += values.length;
      else for (let i = 0; i < groups.length; i++) starts[groups[i]! + 1]!++;
    for (let group = 0; group < size; group++) starts[group + 1]! += starts[group]!;
    const sorted = new Float64Array(count);
    const next = starts.slice();
    for (const { values, groups } of this.#batches)
      if (typeof groups === 'number') {
        sorted.set(values, next[groups]);
        next[groups]! += values.length;
      } else for (let i = 0; i < groups.length; i++) sorted[next[groups[i]!]!++] = values[i]!;
    this.#batches.length = 0;
    const out = new Float64Array(size);
    const nulls = new Uint8Array(size);
    for (let group = 0; group < size; group++) {
      const own = sorted.subarray(starts[group], starts[group + 1]);
      if (own.length === 0) nulls[group] = 1;
      else out[group] = this.#pick(own);
    }
    const isReal = this.#kind === 'continuous' && this.#type.type === 'integer';
    return ready(numberValues(isReal ? 'real' : this.#type.type, out, nulls, this.#type));
  }

  #pick(values: Float64Array): number {
    const { length } = values;
    if (this.#kind === 'discrete') return select(values, Math.max(0, Math.ceil(this.#fraction * length) - 1));
    const at = this.#fraction * (length - 1);
    const low = Math.floor(at);
    const value = select(values, low);
    if (at === low) return value;
    // What stands behind the one that was selected is not less.
    let above = Number.POSITIVE_INFINITY;
    for (let i = low + 1; i < length; i++) if (values[i]! < above) above = values[i]!;
    const mid = value + (above - value) * (at - low);
    return this.#type.type === 'real' || this.#type.type === 'integer' ? mid : Math.round(mid);
  }
}

/** A copy of the numbers that are not NULL, and of their groups. */
function someNumbers({ values, nulls, length }: NumberVector, groups: Groups): [Float64Array, Groups] {
  if (nulls === undefined)
    return [new Float64Array(values), typeof groups === 'number' ? groups : groups.slice()];
  const kept = new Float64Array(length);
  const of = new Uint32Array(typeof groups === 'number' ? 0 : length);
  let count = 0;
  for (let i = 0; i < length; i++) {
    if (nulls[i] === 1) continue;
    kept[count] = values[i]!;
    if (typeof groups !== 'number') of[count] = groups[i]!;
    count++;
  }
  return [kept.subarray(0, count), typeof groups === 'number' ? groups : of.subarray(0, count)];
}

/** The same of values that are read one by one. */
function someScalars(read: (row: number) => Scalar, length: number, groups: Groups): [Float64Array, Groups] {
  const values = new Float64Array(length);
  const nulls = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const value = toNumber(read(i));
    if (value === null) nulls[i] = 1;
    else values[i] = Number(value);
  }
  return someNumbers({ kind: 'number', length, nulls, values }, groups);
}

/** Times that are counted in nanoseconds, which doubles cannot hold, cut to microseconds. */
function microseconds({ vector }: Values): NumberVector | undefined {
  const plain = expand(vector);
  if (plain.kind !== 'number' && plain.kind !== 'bigint') return undefined;
  const values = new Float64Array(plain.length);
  for (let i = 0; i < values.length; i++) {
    const { ms, ns } = instantOf(plain.values[i]!, 'ns');
    values[i] = ms * 1000 + Math.floor(ns / 1000);
  }
  return { kind: 'number', length: plain.length, nulls: plain.nulls, values };
}

/** The value that would stand at `at` were the values sorted; none before it is greater then, none behind it less (Hoare's FIND). */
function select(values: Float64Array, at: number): number {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const pivot = middle(values[low]!, values[(low + high) >> 1]!, values[high]!);
    let i = low;
    let j = high;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const value = values[i]!;
      values[i++] = values[j]!;
      values[j--] = value;
    }
    if (at <= j) high = j;
    else if (at >= i) low = i;
    else break;
  }
  return values[at]!;
}

function middle(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
