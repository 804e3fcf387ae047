import { gather, slice, type Values } from './values.ts';

/** The rows that expressions look at, column by column; columns are known by number. */
export class Frame {
  readonly length: number;
  readonly #read: (column: number) => Values;
  readonly #columns = new Map<number, Values>();

  constructor(length: number, read: (column: number) => Values) {
    this.length = length;
    this.#read = read;
  }

  /** The column's values, read when they are first asked for. */
  column(index: number): Values {
    let values = this.#columns.get(index);
    if (values === undefined) this.#columns.set(index, (values = this.#read(index)));
    return values;
  }

  /** The rows `rows`, rising, of this frame. */
  select(rows: Uint32Array): Frame {
    if (rows.length === this.length) return this;
    return new Frame(rows.length, (column) => gather(this.column(column), rows));
  }

  /** The rows from `from` up to `to`. */
  slice(from: number, to: number): Frame {
    if (from === 0 && to === this.length) return this;
    return new Frame(to - from, (column) => slice(this.column(column), from, to));
  }
}
