import { DoSQLError } from '../../error.ts';
import type { Batch } from '../table.ts';
import type { Vector } from '../vector.ts';
import { decoding, type GroupColumn } from './row-group.ts';
import type { RowRange } from './take.ts';

/** Reads a column of the row group that the scan has not read for every row, for the rows of `ranges` at least. */
export type ReadMore = (name: string, ranges: readonly RowRange[]) => Promise<GroupColumn>;

/** Rows of one row group. */
export class RowBatch implements Batch {
  readonly rowCount: number;
  readonly #fileName: string;
  readonly #ranges: readonly RowRange[];
  readonly #columns: ReadonlyMap<string, GroupColumn>;
  readonly #readMore: ReadMore;
  readonly #vectors: Map<string, Vector> = new Map();
  /** What was fetched, and for which rows; for all where these are undefined. */
  readonly #fetched: Map<string, { rows: Uint32Array | undefined; column: GroupColumn }> = new Map();

  constructor(
    fileName: string,
    ranges: readonly RowRange[],
    columns: ReadonlyMap<string, GroupColumn>,
    readMore: ReadMore,
  ) {
    this.#fileName = fileName;
    this.#ranges = ranges;
    this.#columns = columns;
    this.#readMore = readMore;
    this.rowCount = ranges.reduce((count, { start, end }) => count + end - start, 0);
  }

  column(name: string): Vector {
    const known = this.#vectors.get(name);
    if (known !== undefined) return known;
    const column = this.#columns.get(name) ?? this.#fetched.get(name)?.column;
    if (column === undefined)
      throw new DoSQLError(
        'NO_SUCH_COLUMN',
        `the column "${name}" of ${this.#fileName} has not been asked for`,
      );
    const vector = decoding(this.#fileName, () => column.values(this.#ranges));
    this.#vectors.set(name, vector);
    return vector;
  }

  async fetch(names: readonly string[], rows?: Uint32Array): Promise<void> {
    const missing = names.filter((name) => !this.#columns.has(name) && !this.#has(name, rows));
    await Promise.all([...new Set(missing)].map((name) => this.#fetch(name, rows)));
  }

  /** Whether the column has been fetched for all these rows before. */
  #has(name: string, rows: Uint32Array | undefined): boolean {
    const before = this.#fetched.get(name);
    if (before === undefined) return false;
    if (before.rows === undefined || before.rows === rows) return true;
    if (rows === undefined) return false;
    const known = new Set(before.rows);
    return rows.every((row) => known.has(row));
  }

  async #fetch(name: string, rows: Uint32Array | undefined): Promise<void> {
    const before = this.#fetched.get(name)?.rows;
    const all = rows === undefined || before === undefined ? rows : union(rows, before);
    const column = await this.#readMore(name, all === undefined ? this.#ranges : this.#rangesOf(all));
    this.#fetched.set(name, { rows: all, column });
    this.#vectors.delete(name);
  }

  /** Where rows of the batch are in the row group. */
  #rangesOf(rows: Uint32Array): RowRange[] {
    const found: { start: number; end: number }[] = [];
    let at = 0;
    let before = 0;
    for (const row of rows) {
      let range = this.#ranges[at];
      while (range !== undefined && row - before >= range.end - range.start) {
        before += range.end - range.start;
        range = this.#ranges[++at];
      }
      if (range === undefined) break;
      const start = range.start + row - before;
      const last = found.at(-1);
      if (last?.end === start) last.end++;
      else found.push({ start, end: start + 1 });
    }
    return found;
  }
}

function union(a: Uint32Array, b: Uint32Array): Uint32Array {
  return Uint32Array.from(new Set([...a, ...b])).sort();
}
