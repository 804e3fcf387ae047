import { DoSQLError } from '../error.ts';
import { accumulatorOf, type Accumulator, type Groups } from './aggregate.ts';
import { compile, type Scope, type SlotType } from './expression.ts';
import type { Node } from './expression-node.ts';
import { Frame } from './frame.ts';
import { KeyNumbers, PairNumbers } from './group-key.ts';
import type { Grouping } from './plan-resolve.ts';
import { expand, pick, type Values } from './values.ts';

/** Runs of so many rows are worth being taken as a whole. */
const LONG_RUN = 256;
/** More groups than these do not fit into the memory of an object with what aggregates keep of them. */
const MAX_GROUPS = 4_000_000;

function tooManyGroups(): DoSQLError {
  const count = MAX_GROUPS.toLocaleString('en');
  return new DoSQLError(
    'TOO_BIG',
    `the query would make more than ${count} groups: narrow it, or group by less`,
  );
}

/** Groups rows by keys, and feeds the aggregates of each group. */
export class Grouper {
  readonly #keys: readonly Node[];
  readonly #numbers: readonly KeyNumbers[];
  /** The first folds the first two keys, each one after it one key more. */
  readonly #pairs: readonly PairNumbers[];
  readonly #accumulators: readonly Accumulator[];
  /** Of a single key, whether NULL occurs: it has the number 0. */
  #hasNull = false;

  constructor({ keys, aggregates }: Grouping, scope: Scope) {
    this.#keys = keys.map((key) => compile(key, scope));
    this.#numbers = keys.map(() => new KeyNumbers());
    this.#pairs = keys.slice(1).map(() => new PairNumbers());
    this.#accumulators = aggregates.map((call) =>
      accumulatorOf(
        call,
        call.args.map((arg) => compile(arg, scope, /^(?:sum|total|avg|mean)$/.test(call.name))),
        call.filter === undefined ? undefined : compile(call.filter, scope),
        keys.length === 0,
      ),
    );
  }

  /** What is known of the slots beforehand. */
  get slots(): SlotType[] {
    const keys = this.#keys.map(({ type, affinity }): SlotType => ({ type, affinity }));
    return [...keys, ...this.#accumulators.map((): SlotType => ({ type: undefined, affinity: 'none' }))];
  }

  /** How many groups there are so far, at most. */
  get size(): number {
    const [first] = this.#numbers;
    if (first === undefined) return 1;
    return this.#pairs.at(-1)?.size ?? first.size;
  }

  add(frame: Frame): void {
    if (frame.length === 0) return;
    const [key] = this.#keys;
    if (key === undefined) return this.#addTo(frame, 0);
    if (this.#keys.length === 1 && this.#addRuns(frame, key.evaluate(frame))) return;
    this.#addTo(frame, this.#groupsOf(frame));
    if (this.size > MAX_GROUPS) throw tooManyGroups();
  }

  #addTo(frame: Frame, groups: Groups): void {
    const { size } = this;
    for (const accumulator of this.#accumulators) accumulator.add(frame, groups, size);
  }

  /** A single key that stands in long runs: each run is of one group, as a whole. */
  #addRuns(frame: Frame, { vector, ...type }: Values): boolean {
    if (vector.kind !== 'runs' || vector.ends.length * LONG_RUN > frame.length) return false;
    const numbers = this.#numbers[0] as KeyNumbers;
    let from = 0;
    for (let run = 0; run < vector.ends.length; run++) {
      const to = vector.ends[run]!;
      if (to === from) continue;
      const at = Uint32Array.of(run);
      const group = numbers.add({ ...type, vector: pick(vector.values, at, 1, undefined) })[0]!;
      if (group === 0) this.#hasNull = true;
      this.#addTo(frame.slice(from, to), group);
      from = to;
    }
    return true;
  }

  #groupsOf(frame: Frame): Uint32Array {
    let groups: Uint32Array | undefined;
    let size = 0;
    this.#keys.forEach((key, i) => {
      const numbers = this.#numbers[i] as KeyNumbers;
      const own = numbers.add(key.evaluate(frame));
      const pairs = i === 0 ? undefined : this.#pairs[i - 1];
      groups = groups === undefined || pairs === undefined ? own : pairs.add(groups, size, own, numbers.size);
      size = pairs?.size ?? numbers.size;
    });
    if (this.#keys.length === 1 && !this.#hasNull && groups !== undefined) this.#hasNull = groups.includes(0);
    return groups ?? new Uint32Array(frame.length);
  }

  /** The groups as rows: keys, then results. */
  finish(): Frame {
    const { size } = this;
    const columns: Values[] = [...this.#keyColumns(), ...this.#accumulators.map((one) => one.result(size))];
    const frame = new Frame(size, (column) => columns[column] as Values);
    if (this.#keys.length !== 1 || this.#hasNull) return frame;
    return frame.select(Uint32Array.from({ length: size - 1 }, (_, i) => i + 1));
  }

  #keyColumns(): Values[] {
    const [first] = this.#numbers;
    if (first === undefined) return [];
    if (this.#pairs.length === 0) return [first.values()];
    // From the last pair back: its second number is the last key's, its first the number of the pair before.
    const columns: Values[] = [];
    let at: Uint32Array = this.#pairs.at(-1)?.firsts.slice(0, this.size) ?? new Uint32Array(0);
    let index: Uint32Array | undefined;
    for (let i = this.#pairs.length - 1; i >= 0; i--) {
      const pairs = this.#pairs[i] as PairNumbers;
      const through = (numbers: Uint32Array): Uint32Array =>
        index === undefined ? numbers.slice(0, pairs.size) : index.map((pair) => numbers[pair]!);
      columns.unshift(numbered((this.#numbers[i + 1] as KeyNumbers).values(), through(pairs.seconds)));
      at = through(pairs.firsts);
      index = at;
    }
    columns.unshift(numbered(first.values(), at));
    return columns;
  }
}

function numbered(values: Values, numbers: Uint32Array): Values {
  return { ...values, vector: pick(expand(values.vector), numbers, numbers.length, undefined) };
}
