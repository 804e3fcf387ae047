import type { SqlValue } from '../value/row.ts';
import type { Budget } from './budget.ts';
import type { Node } from './expression-node.ts';
import type { Frame } from './frame.ts';
import { compareScalars, encodeText, toValue, type Scalar } from './scalar.ts';
import { compareToBytes, isTemporal, scalarReader, type Values } from './values.ts';
import type { NumberVector, Vector } from './vector.ts';

/** One term of an order. */
export interface SortTerm {
  readonly node: Node;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What becomes of the rows of the last step. */
export interface ResultShape {
  readonly outputs: readonly Node[];
  readonly order: readonly SortTerm[];
  /** How many rows, past the first `offset`; Infinity for all. */
  readonly limit: number;
  readonly offset: number;
  /** Integers are given as bigint, all of them. */
  readonly bigints: boolean;
}

interface Entry {
  readonly keys: readonly Scalar[];
  /** Where the row came among all; equal rows keep their order. */
  readonly sequence: number;
  /** Its row in the frame that is looked at. */
  readonly at: number;
  row: SqlValue[] | undefined;
  /** False once a better one has taken its place. */
  isKept: boolean;
}

/** Up to so many rows are kept sorted while they come; past that all are, and sorted at the end. */
const MAX_HEAP = 20_000;

/** Collects the rows of a result: in the order that they come, or sorted, or the first few of the sorted. */
export class ResultRows {
  readonly #shape: ResultShape;
  readonly #budget: Budget;
  readonly #wanted: number;
  readonly #rows: SqlValue[][] = [];
  /** With an order and a limit: the best entries so far, the worst of them first. */
  readonly #heap: Entry[] = [];
  /** What the last look has kept, in the order of its rows. */
  #fresh: Entry[] = [];
  #sequence = 0;

  constructor(shape: ResultShape, budget: Budget) {
    this.#shape = shape;
    this.#budget = budget;
    this.#wanted = shape.limit + shape.offset;
  }

  /** Whether no row that comes could still be in the result. */
  get isFull(): boolean {
    if (this.#wanted === 0) return true;
    return this.#shape.order.length === 0 && this.#rows.length >= this.#wanted;
  }

  add(frame: Frame): void {
    if (frame.length === 0 || this.isFull) return;
    if (this.#shape.order.length > 0) return this.#addSorted(frame);
    const room = this.#wanted - this.#rows.length;
    const kept = room < frame.length ? frame.select(firstRows(room)) : frame;
    this.#budget.emit(kept.length);
    for (const row of rowsOf(kept, this.#shape)) this.#rows.push(row);
  }

  /** Whether it keeps but the first few of rows in order, so that most rows need not be read in full. */
  get isTop(): boolean {
    return this.#shape.order.length > 0 && this.#wanted <= MAX_HEAP;
  }

  #addSorted(frame: Frame): void {
    this.fill(frame.select(this.look(frame)));
  }

  /** Looks at the rows of a frame by what they are sorted by; gives those that are kept, which must be filled next. */
  look(frame: Frame): Uint32Array {
    const { order } = this.#shape;
    const readers = order.map(({ node }) => keyReader(node.evaluate(frame), node));
    const isBounded = this.#wanted <= MAX_HEAP;
    if (!isBounded) this.#budget.emit(frame.length);
    const first = this.#sequence;
    this.#sequence += frame.length;
    const fresh: Entry[] = [];
    const look = (at: number): void => {
      const entry: Entry = {
        keys: readers.map((read) => read(at)),
        sequence: first + at,
        at,
        row: undefined,
        isKept: true,
      };
      if (!isBounded || this.#heap.length < this.#wanted) this.#push(entry, isBounded);
      else if (this.#compare(entry, this.#heap[0] as Entry) < 0) this.#replace(entry);
      else return;
      fresh.push(entry);
    };
    const room = isBounded ? Math.min(frame.length, this.#wanted - this.#heap.length) : frame.length;
    for (let at = 0; at < room; at++) look(at);
    const hopeful = room < frame.length ? this.#hopeful(frame, room) : undefined;
    if (hopeful === undefined) for (let at = room; at < frame.length; at++) look(at);
    else for (const row of hopeful) look(row);
    this.#fresh = fresh.filter(({ isKept }) => isKept);
    return Uint32Array.from(this.#fresh, ({ at }) => at);
  }

  /** The rows from `from` on that are not worse by their first key than the worst that is kept; undefined for all. */
  #hopeful(frame: Frame, from: number): number[] | undefined {
    const [term] = this.#shape.order;
    const worst = this.#heap[0]?.keys[0] ?? null;
    if (term === undefined || worst === null) return undefined;
    const values = term.node.evaluate(frame);
    if (!isCounted(values, term.node)) return undefined;
    const { type, vector } = values;
    // Of rows that are equal in all terms the later one is the worse.
    const range: Range = { from, term, isOnly: this.#shape.order.length === 1 };
    if (vector.kind === 'number' && typeof worst === 'number') return betterNumbers(vector, worst, range);
    if (type === 'text' && typeof worst === 'string') return betterTexts(vector, encodeText(worst), range);
    return undefined;
  }

  /** Reads the rows that the last look has kept, all at once: `frame` has these, and no others. */
  fill(frame: Frame): void {
    if (this.#fresh.length === 0) return;
    const rows = rowsOf(frame, this.#shape);
    this.#fresh.forEach((entry, i) => (entry.row = rows[i]));
    this.#fresh = [];
  }

  #compare(a: Entry, b: Entry): number {
    const { order } = this.#shape;
    for (let i = 0; i < order.length; i++) {
      const term = order[i] as SortTerm;
      const x = a.keys[i] ?? null;
      const y = b.keys[i] ?? null;
      if (x === null || y === null) {
        if (x === y) continue;
        return (x === null) === term.nullsFirst ? -1 : 1;
      }
      const difference = compareScalars(x, y);
      if (difference !== 0) return term.descending ? -difference : difference;
    }
    return a.sequence - b.sequence;
  }

  #push(entry: Entry, asHeap: boolean): void {
    const heap = this.#heap;
    heap.push(entry);
    if (!asHeap) return;
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#compare(heap[parent] as Entry, entry) >= 0) break;
      heap[at] = heap[parent] as Entry;
      at = parent;
    }
    heap[at] = entry;
  }

  /** Puts an entry in the worst one's place. */
  #replace(entry: Entry): void {
    const heap = this.#heap;
    (heap[0] as Entry).isKept = false;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#compare(heap[child + 1] as Entry, heap[child] as Entry) > 0)
        child++;
      if (this.#compare(entry, heap[child] as Entry) >= 0) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = entry;
  }

  /** The rows of the result. */
  finish(): SqlValue[][] {
    const { order, offset, limit } = this.#shape;
    if (order.length === 0) return offset === 0 ? this.#rows : this.#rows.slice(offset);
    const sorted = this.#heap.sort((a, b) => this.#compare(a, b)).slice(offset, offset + limit);
    if (this.#wanted <= MAX_HEAP) this.#budget.emit(sorted.length);
    return sorted.map(({ row }) => row as SqlValue[]);
  }
}

interface Range {
  readonly from: number;
  readonly term: SortTerm;
  /** Equal is not better. */
  readonly isOnly: boolean;
}

function betterNumbers(
  { values, nulls }: NumberVector,
  worst: number,
  { from, term, isOnly }: Range,
): number[] {
  const rows: number[] = [];
  const { descending, nullsFirst } = term;
  for (let i = from; i < values.length; i++) {
    const value = values[i]!;
    if (nulls !== undefined && nulls[i] === 1) {
      if (nullsFirst) rows.push(i);
    } else if (descending ? value > worst : value < worst) rows.push(i);
    else if (!isOnly && value === worst) rows.push(i);
  }
  return rows;
}

/** Texts are compared by their bytes, so that only those that are kept are ever read as texts. */
function betterTexts(vector: Vector, worst: Uint8Array, { from, term, isOnly }: Range): number[] | undefined {
  const inner = vector.kind === 'dictionary' ? vector.dictionary : vector;
  if (inner.kind !== 'bytes') return undefined;
  const codes = vector.kind === 'dictionary' ? vector.codes : undefined;
  const { nulls } = vector;
  const rows: number[] = [];
  for (let i = from; i < vector.length; i++) {
    if (nulls?.[i] === 1) {
      if (term.nullsFirst) rows.push(i);
      continue;
    }
    const order = compareToBytes(inner, codes === undefined ? i : codes[i]!, worst);
    if ((term.descending ? order > 0 : order < 0) || (!isOnly && order === 0)) rows.push(i);
  }
  return rows;
}

function firstRows(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

/** Whether values are sorted by as numbers: those of an expression that may be times or anything else are not. */
function isCounted({ type }: Values, { type: known }: Node): boolean {
  return !isTemporal(type) || known?.type === type;
}

/** Values to sort by: those of numbers and times as numbers. */
function keyReader(values: Values, node: Node): (row: number) => Scalar {
  if (!isCounted(values, node)) return scalarReader(values);
  const inner = values.vector;
  const plain = inner.kind === 'dictionary' ? inner.dictionary : inner.kind === 'runs' ? inner.values : inner;
  const isNumber = plain.kind === 'number';
  if (isNumber || (plain.kind === 'bigint' && isTemporal(values.type)))
    return scalarReader({ ...values, type: isNumber ? 'real' : 'integer' });
  return scalarReader(values);
}

/** The rows of a frame as they are given out. */
export function rowsOf(
  frame: Frame,
  { outputs, bigints }: Pick<ResultShape, 'outputs' | 'bigints'>,
): SqlValue[][] {
  const { length } = frame;
  const rows: SqlValue[][] = Array.from({ length }, () => []);
  for (const output of outputs) {
    const values = output.evaluate(frame);
    const read = valueReader(values, bigints);
    for (let i = 0; i < length; i++) (rows[i] as SqlValue[]).push(read(i));
  }
  return rows;
}

function valueReader(values: Values, bigints: boolean): (row: number) => SqlValue {
  const { vector, type } = values;
  if (vector.kind === 'number' && !bigints && !isTemporal(type)) {
    const { nulls } = vector;
    return nulls === undefined
      ? (row) => vector.values[row]!
      : (row) => (nulls[row] === 1 ? null : vector.values[row]!);
  }
  const read = scalarReader(values);
  return (row) => toValue(read(row), bigints);
}
