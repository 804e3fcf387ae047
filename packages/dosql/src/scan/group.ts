import { DoSQLError } from '../error.ts';
import { accumulatorOf, type Accumulator, type Groups } from './aggregate.ts';
import { compile, type Scope, type SlotType } from './expression.ts';
import type { Node } from './expression-node.ts';
import { Frame } from './frame.ts';
import { KeyNumbers } from './group-key.ts';
import { RowNumbers } from './group-rows.ts';
import type { Grouping } from './plan-resolve.ts';
import { ready, type Results } from './results.ts';
import { pick, slice, type Values } from './values.ts';

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
  /** Of a single key; of several. */
  readonly #numbers = new KeyNumbers();
  readonly #rows: RowNumbers | undefined;
  readonly #accumulators: readonly Accumulator[];
  /** Of a single key, whether NULL occurs: it has the number 0. */
  #hasNull = false;

  constructor({ keys, aggregates }: Grouping, scope: Scope) {
    this.#keys = keys.map((key) => compile(key, scope));
    this.#rows = keys.length > 1 ? new RowNumbers(keys.length) : undefined;
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
    if (this.#keys.length === 0) return 1;
    return this.#rows?.size ?? this.#numbers.size;
  }

  add(frame: Frame): void {
    if (frame.length === 0) return;
    const [key] = this.#keys;
    if (key === undefined) return this.#addTo(frame, 0);
    if (this.#keys.length === 1 && this.#addRuns(frame, key.evaluate(frame))) return;
    this.#addTo(frame, this.#groupsOf(frame, key));
    if (this.size > MAX_GROUPS) throw tooManyGroups();
  }

  #addTo(frame: Frame, groups: Groups): void {
    const { size } = this;
    for (const accumulator of this.#accumulators) accumulator.add(frame, groups, size);
  }

  /** A single key that stands in long runs: each run is of one group, as a whole. */
  #addRuns(frame: Frame, { vector, ...type }: Values): boolean {
    if (vector.kind !== 'runs' || vector.ends.length * LONG_RUN > frame.length) return false;
    let from = 0;
    for (let run = 0; run < vector.ends.length; run++) {
      const to = vector.ends[run]!;
      if (to === from) continue;
      const at = Uint32Array.of(run);
      const group = this.#numbers.add({ ...type, vector: pick(vector.values, at, 1, undefined) })[0]!;
      if (group === 0) this.#hasNull = true;
      this.#addTo(frame.slice(from, to), group);
      from = to;
    }
    return true;
  }

  #groupsOf(frame: Frame, first: Node): Uint32Array {
    if (this.#rows !== undefined)
      return this.#rows.add(
        this.#keys.map((key) => key.evaluate(frame)),
        frame.length,
      );
    const groups = this.#numbers.add(first.evaluate(frame));
    this.#hasNull ||= groups.includes(0);
    return groups;
  }

  /** The groups as rows: keys, then results. Of many groups few may be wanted, and only these are read then. */
  finish(): Frame {
    const { size } = this;
    const columns = [...this.#keyColumns(), ...this.#accumulators.map((one) => one.result(size))];
    if (this.#keys.length !== 1 || this.#hasNull)
      return new Frame(
        size,
        (column) => (columns[column] as Results)(),
        (column, rows) => (columns[column] as Results)(rows),
      );
    // Without a NULL no group has the number 0.
    return new Frame(
      size - 1,
      (column) => slice((columns[column] as Results)(), 1, size),
      (column, rows) => (columns[column] as Results)(rows.map((row) => row + 1)),
    );
  }

  #keyColumns(): Results[] {
    if (this.#keys.length === 0) return [];
    return this.#rows?.results() ?? [ready(this.#numbers.values())];
  }
}
