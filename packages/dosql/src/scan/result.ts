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

  #addSorted(frame: Frame): void {
    const { order } = this.#shape;
    const readers = order.map(({ node }) => keyReader(node.evaluate(frame)));
    const isBounded = this.#wanted <= MAX_HEAP;
    if (!isBounded) this.#budget.emit(frame.length);
    const worse = isBounded ? this.#worseFirst(frame) : undefined;
    for (let i = 0; i < frame.length; i++) {
      const sequence = this.#sequence++;
      if (worse?.(i) === true) continue;
      const entry: Entry = { keys: readers.map((read) => read(i)), sequence, at: i, row: undefined };
      if (!isBounded || this.#heap.length < this.#wanted) this.#push(entry, isBounded);
      else if (this.#compare(entry, this.#heap[0] as Entry) < 0) this.#replace(entry);
    }
    this.#fill(frame);
  }

  /** Tells by the first key alone, where that is a plain number, of rows that are worse than the worst that is kept. */
  #worseFirst(frame: Frame): ((row: number) => boolean) | undefined {
    const [term] = this.#shape.order;
    if (term === undefined) return undefined;
    const values = term.node.evaluate(frame);
    if (values.type === 'text') return this.#worseText(term, values.vector);
    return values.vector.kind === 'number' ? this.#worseNumber(term, values.vector) : undefined;
  }

  #worseNumber({ descending, nullsFirst }: SortTerm, { values, nulls }: NumberVector): (row: number) => boolean {
    // Of rows that are equal in all terms the later one is the worse.
    const isOnly = this.#shape.order.length === 1;
    return (row) => {
      if (this.#heap.length < this.#wanted) return false;
      const worst = this.#heap[0]?.keys[0];
      if (typeof worst !== 'number') return false;
      if (nulls !== undefined && nulls[row] === 1) return !nullsFirst;
      const value = values[row]!;
      return descending
        ? value < worst || (isOnly && value === worst)
        : value > worst || (isOnly && value === worst);
    };
  }

  /** Texts are compared by their bytes, so that only those that are kept are ever read as texts. */
  #worseText({ descending, nullsFirst }: SortTerm, vector: Vector): ((row: number) => boolean) | undefined {
    const inner = vector.kind === 'dictionary' ? vector.dictionary : vector;
    if (inner.kind !== 'bytes') return undefined;
    const codes = vector.kind === 'dictionary' ? vector.codes : undefined;
    const isOnly = this.#shape.order.length === 1;
    const { nulls } = vector;
    let worst: Scalar = null;
    let bytes = new Uint8Array(0);
    return (row) => {
      if (this.#heap.length < this.#wanted) return false;
      const text = this.#heap[0]?.keys[0];
      if (typeof text !== 'string') return false;
      if (text !== worst) bytes = encodeText((worst = text));
      if (nulls !== undefined && nulls[row] === 1) return !nullsFirst;
      const order = compareToBytes(inner, codes === undefined ? row : codes[row]!, bytes);
      return (descending ? order < 0 : order > 0) || (isOnly && order === 0);
    };
  }

  /** Reads the rows of the entries that are new, all at once. */
  #fill(frame: Frame): void {
    const fresh = this.#heap.filter(({ row }) => row === undefined).sort((a, b) => a.at - b.at);
    if (fresh.length === 0) return;
    const rows = rowsOf(frame.select(Uint32Array.from(fresh, ({ at }) => at)), this.#shape);
    fresh.forEach((entry, i) => (entry.row = rows[i]));
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

function firstRows(count: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i);
}

/** Values to sort by: those of numbers and times as numbers. */
function keyReader(values: Values): (row: number) => Scalar {
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
