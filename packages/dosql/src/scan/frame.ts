import { gather, slice, type Values } from './values.ts';

/** The rows that expressions look at, column by column; columns are known by number. */
export class Frame {
  readonly length: number;
  readonly #read: (column: number) => Values;
  readonly #readSome: ((column: number, rows: Uint32Array) => Values) | undefined;
  readonly #columns = new Map<number, Values>();

  /** `readSome` reads a column at some rows only, where that is less work than to read it all. */
  constructor(
    length: number,
    read: (column: number) => Values,
    readSome?: (column: number, rows: Uint32Array) => Values,
  ) {
    this.length = length;
    this.#read = read;
    this.#readSome = readSome;
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
    return new Frame(rows.length, (column) =>
      this.#readSome === undefined || this.#columns.has(column)
        ? gather(this.column(column), rows)
        : this.#readSome(column, rows),
    );
  }

  /** The rows from `from` up to `to`. */
  slice(from: number, to: number): Frame {
    if (from === 0 && to === this.length) return this;
    return new Frame(to - from, (column) => slice(this.column(column), from, to));
  }
}
