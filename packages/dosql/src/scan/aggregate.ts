import { ApproximateCount } from './aggregate-approximate.ts';
import { ExtremeAccumulator } from './aggregate-extreme.ts';
import { ConcatAccumulator, QuantileAccumulator, type QuantileKind } from './aggregate-list.ts';
import { SumAccumulator } from './aggregate-sum.ts';
import { VarianceAccumulator } from './aggregate-variance.ts';
import { trueRows } from './expression-compare.ts';
import { nullsOf, type Node } from './expression-node.ts';
import type { Frame } from './frame.ts';
import { KeyNumbers, PairNumbers } from './group-key.ts';
import { RowNumbers } from './group-rows.ts';
import { PairCounts } from './pair-counts.ts';
import { Declined } from './plan-expression.ts';
import type { Call } from './plan-syntax.ts';
import { ready, type Results } from './results.ts';
import { toReal, toText } from './scalar.ts';
import { grown, integers } from './scratch.ts';
import { gather, numberValues, type Values } from './values.ts';

/** The group of each row, or the one group that all rows are in. */
export type Groups = Uint32Array | number;

/** What an aggregate keeps of each group. */
export interface Accumulator {
  /** Takes in the rows of a frame. All groups are below `size`. */
  add(frame: Frame, groups: Groups, size: number): void;
  /** The results of the groups, which are below `size`. */
  result(size: number): Results;
}

/** The accumulator of an aggregate over `args`; `filter` says which rows it sees, `isWhole` that there is one group only. */
export function accumulatorOf(
  call: Call,
  args: readonly Node[],
  filter: Node | undefined,
  isWhole: boolean,
): Accumulator {
  const keepsOne = call.name === 'min' || call.name === 'max' || call.name === 'any_value';
  const plain = call.distinct && !keepsOne ? distinct(call, args, isWhole) : plainAccumulator(call, args);
  return filter === undefined ? plain : new FilteredAccumulator(plain, filter);
}

function distinct(call: Call, [operand]: readonly Node[], isWhole: boolean): Accumulator {
  if (operand === undefined) throw new Declined();
  if (call.name === 'count') return new DistinctCount(operand, isWhole);
  return new DistinctAccumulator(operand, plainAccumulator(call, [operand]));
}

function plainAccumulator({ name }: Call, [operand, second]: readonly Node[]): Accumulator {
  if (operand === undefined) return new CountAccumulator(undefined);
  switch (name) {
    case 'count':
      return new CountAccumulator(operand);
    case 'sum':
    case 'total':
    case 'avg':
      return new SumAccumulator(name, operand);
    case 'mean':
      return new SumAccumulator('avg', operand);
    case 'min':
    case 'max':
      return new ExtremeAccumulator(name === 'min' ? -1 : 1, operand);
    case 'any_value':
      return new ExtremeAccumulator(0, operand);
    case 'group_concat':
    case 'string_agg':
      return new ConcatAccumulator(operand, second === undefined ? ',' : toText(second.constant ?? null));
    case 'median':
      return new QuantileAccumulator('continuous', operand, 0.5);
    case 'quantile':
    case 'quantile_disc':
      return quantile('discrete', operand, second);
    case 'quantile_cont':
      return quantile('continuous', operand, second);
    case 'approx_count_distinct':
      return new ApproximateCount(operand);
    default:
      return new VarianceAccumulator(name, operand);
  }
}

function quantile(kind: QuantileKind, operand: Node, second: Node | undefined): Accumulator {
  const at = toReal(second?.constant ?? null);
  return new QuantileAccumulator(kind, operand, Math.min(1, Math.max(0, at ?? 0)));
}

/** `count(*)`, or `count(operand)`. */
class CountAccumulator implements Accumulator {
  readonly #operand: Node | undefined;
  #counts: Uint32Array = new Uint32Array(16);

  constructor(operand: Node | undefined) {
    this.#operand = operand;
  }

  add(frame: Frame, groups: Groups, size: number): void {
    this.#counts = grown(this.#counts, size);
    const counts = this.#counts;
    const nulls = this.#operand === undefined ? undefined : nullsOf(this.#operand.evaluate(frame));
    if (typeof groups === 'number') {
      let count = frame.length;
      if (nulls !== undefined) for (let i = 0; i < frame.length; i++) count -= nulls[i]!;
      counts[groups]! += count;
    } else if (nulls === undefined) for (let i = 0; i < groups.length; i++) counts[groups[i]!]!++;
    else for (let i = 0; i < groups.length; i++) counts[groups[i]!]! += 1 - nulls[i]!;
  }

  result(size: number): Results {
    const counts = (this.#counts = grown(this.#counts, size)).subarray(0, size);
    return (groups) =>
      numberValues('integer', new Float64Array(groups?.map((group) => counts[group]!) ?? counts), undefined);
  }
}

/** A batch tells whether most values are different; one of fewer rows does not. */
const TELLING_ROWS = 4096;
const MOST_DIFFER = 0.45;

/** `count(DISTINCT operand)`. */
class DistinctCount implements Accumulator {
  readonly #operand: Node;
  readonly #isWhole: boolean;
  readonly #keys = new KeyNumbers();
  /** Groups with the numbers of their values, where there are more groups than one. */
  readonly #pairs = new PairCounts();
  /** Groups with their values, where most of these are different and numbering them would be an effort of its own. */
  #rows: RowNumbers | undefined;

  constructor(operand: Node, isWhole: boolean) {
    this.#operand = operand;
    this.#isWhole = isWhole;
  }

  add(frame: Frame, groups: Groups, size: number): void {
    const values = this.#operand.evaluate(frame);
    const rows = this.#rows;
    if (rows !== undefined) {
      addPresent(rows, values, rowGroups(groups, frame.length), size);
      return;
    }
    const isFirst = this.#keys.size === 1;
    const numbers = this.#keys.add(values);
    if (this.#isWhole) return;
    const own = rowGroups(groups, frame.length);
    const differ = isFirst && frame.length >= TELLING_ROWS && this.#keys.size > MOST_DIFFER * frame.length;
    if (differ) addPresent((this.#rows = new RowNumbers(2)), values, own, size);
    else this.#pairs.add(own, size, numbers, this.#keys.size);
  }

  result(size: number): Results {
    if (this.#isWhole) return ready(numberValues('integer', Float64Array.of(this.#keys.size - 1), undefined));
    const out = Float64Array.from(this.#pairs.counts(size));
    for (const group of this.#rows?.numbersOf(0) ?? []) out[group]!++;
    return ready(numberValues('integer', out, undefined));
  }
}

/** Adds the groups of rows with their values, but for NULLs. */
function addPresent(to: RowNumbers, values: Values, groups: Uint32Array, size: number): void {
  const nulls = nullsOf(values);
  if (nulls?.includes(1) !== true) {
    to.add([{ numbers: groups, size }, withoutNulls(values)], groups.length);
    return;
  }
  const rows = trueRows(nulls.map((flag) => 1 - flag));
  if (rows.length === 0) return;
  const own = { numbers: rows.map((row) => groups[row]!), size };
  to.add([own, withoutNulls(gather(values, rows))], rows.length);
}

/** Values of which none is NULL, without the flags that say so. */
function withoutNulls(values: Values): Values {
  const { vector } = values;
  if (vector.kind === 'mixed' || vector.kind === 'runs' || vector.nulls === undefined) return values;
  return { ...values, vector: { ...vector, nulls: undefined } };
}

/** Any aggregate over the distinct values of its operand: it sees the first row of each. */
class DistinctAccumulator implements Accumulator {
  readonly #operand: Node;
  readonly #inner: Accumulator;
  readonly #keys = new KeyNumbers();
  readonly #pairs = new PairNumbers();

  constructor(operand: Node, inner: Accumulator) {
    this.#operand = operand;
    this.#inner = inner;
  }

  add(frame: Frame, groups: Groups, size: number): void {
    const numbers = this.#keys.add(this.#operand.evaluate(frame));
    const of = rowGroups(groups, frame.length);
    let seen = this.#pairs.size;
    const pairs = this.#pairs.add(of, size, numbers, this.#keys.size);
    const rows = new Uint32Array(frame.length);
    let count = 0;
    // New pairs are numbered in the order of their first rows.
    for (let i = 0; i < pairs.length; i++) {
      if (pairs[i]! < seen) continue;
      rows[count++] = i;
      seen = pairs[i]! + 1;
    }
    addRows(this.#inner, frame, groups, size, rows.subarray(0, count));
  }

  result(size: number): Results {
    return this.#inner.result(size);
  }
}

/** `aggregate FILTER (WHERE …)`. */
class FilteredAccumulator implements Accumulator {
  readonly #inner: Accumulator;
  readonly #filter: Node;

  constructor(inner: Accumulator, filter: Node) {
    this.#inner = inner;
    this.#filter = filter;
  }

  add(frame: Frame, groups: Groups, size: number): void {
    addRows(this.#inner, frame, groups, size, trueRows(this.#filter.truths(frame)));
  }

  result(size: number): Results {
    return this.#inner.result(size);
  }
}

function rowGroups(groups: Groups, length: number): Uint32Array {
  return typeof groups === 'number' ? integers(length).fill(groups) : groups;
}

function addRows(inner: Accumulator, frame: Frame, groups: Groups, size: number, rows: Uint32Array): void {
  if (rows.length === 0) return;
  inner.add(frame.select(rows), typeof groups === 'number' ? groups : rows.map((row) => groups[row]!), size);
}
