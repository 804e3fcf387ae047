import type { RangeFile } from '../file.ts';
import type { Fetcher } from './fetch.ts';
import type { Footer } from './footer.ts';
import type { Place } from './metadata.ts';
import { readOffsetIndex, type PageLocations } from './page-index.ts';
import { chunkOf, columnPlan, leafOf, placesOf, type ColumnPlan, type GroupPlan } from './plan.ts';
import { decoding, type GroupColumn } from './row-group.ts';
import type { Leaf } from './schema.ts';
import type { RowRange } from './take.ts';

/** Columns of a row group that are read when its batches ask for them. */
export class LateColumns {
  readonly #file: RangeFile;
  readonly #footer: Footer;
  readonly #plan: GroupPlan;
  readonly #fetcher: Fetcher;
  readonly #load: (column: ColumnPlan, found: ReadonlyMap<Place, Uint8Array>) => GroupColumn;
  readonly #locations: Map<Leaf, Promise<PageLocations | undefined>> = new Map();
  /** Those that had to be read whole, for the next batches of the row group. */
  readonly #whole: Map<Leaf, Promise<GroupColumn>> = new Map();
  /** What was read ahead, to be looked into when it is asked for. */
  readonly #ahead: Map<Leaf, () => GroupColumn> = new Map();
  /** The columns that were asked for and read whole. */
  readonly used: Set<Leaf> = new Set();

  constructor(
    file: RangeFile,
    footer: Footer,
    plan: GroupPlan,
    fetcher: Fetcher,
    load: (column: ColumnPlan, found: ReadonlyMap<Place, Uint8Array>) => GroupColumn,
  ) {
    this.#file = file;
    this.#footer = footer;
    this.#plan = plan;
    this.#fetcher = fetcher;
    this.#load = load;
  }

  /** A column that has been read whole already, in case it is asked for. */
  add(column: ColumnPlan, found: ReadonlyMap<Place, Uint8Array>): void {
    this.#ahead.set(column.leaf, () => this.#load(column, found));
  }

  /** Reads a column for the rows of `ranges`: where the file tells where its pages are, only theirs. */
  async read(name: string, ranges: readonly RowRange[]): Promise<GroupColumn> {
    const leaf = leafOf(this.#file.name, this.#footer, name);
    const known = this.#whole.get(leaf);
    if (known !== undefined) return known;
    const ahead = this.#ahead.get(leaf);
    if (ahead !== undefined) {
      this.used.add(leaf);
      const column = Promise.resolve(ahead());
      this.#whole.set(leaf, column);
      return column;
    }
    const { index, rowCount } = this.#plan;
    const chunk = chunkOf(this.#file, this.#footer, index, leaf);
    let locations = this.#locations.get(leaf);
    if (locations === undefined) this.#locations.set(leaf, (locations = this.#locate(chunk)));
    const column = columnPlan(leaf, chunk, rowCount, ranges, await locations);
    if (column.whole === undefined) return this.#readColumn(column);
    this.used.add(leaf);
    let whole = this.#whole.get(leaf);
    if (whole === undefined) this.#whole.set(leaf, (whole = this.#readColumn(column)));
    return whole;
  }

  async #locate(chunk: ColumnPlan['chunk']): Promise<PageLocations | undefined> {
    const { offsetIndex } = chunk;
    if (offsetIndex === undefined || chunk.place.length <= offsetIndex.length) return undefined;
    const bytes = (await this.#fetcher.read([offsetIndex])).get(offsetIndex) as Uint8Array;
    return decoding(this.#file.name, () =>
      readOffsetIndex(bytes, chunk.place, this.#plan.rowCount, this.#footer.isSealed),
    );
  }

  async #readColumn(column: ColumnPlan): Promise<GroupColumn> {
    return this.#load(column, await this.#fetcher.read(placesOf(column)));
  }
}
