import type { RangeFile } from '../file.ts';
import type { Batch, ScanRequest } from '../table.ts';
import { RowBatch } from './batch.ts';
import { Fetcher } from './fetch.ts';
import type { Footer } from './footer.ts';
import type { Place } from './metadata.ts';
import { readOffsetIndex, type PageLocations } from './page-index.ts';
import {
  chunkOf,
  columnPlan,
  GROUPS_AT_ONCE,
  leafOf,
  placesOf,
  planGroups,
  resolve,
  type ColumnPlan,
  type GroupPlan,
  type PlanContext,
} from './plan.ts';
import { decoding, loadColumn, type DecodeContext, type GroupColumn } from './row-group.ts';
import type { Leaf } from './schema.ts';
import { splitRanges } from './split.ts';
import type { RowRange } from './take.ts';

/** What is read is read ahead of what is worked on, up to this many bytes and this many reads. */
const AHEAD_BYTES = 2 ** 24;
const AHEAD_READS = 4;
/** Row groups that are smaller are read together. */
const READ_BYTES = 2 ** 20;

/** Row groups that follow each other and are read together. */
interface Unit {
  readonly plans: readonly GroupPlan[];
  readonly size: number;
  readonly found: Promise<ReadonlyMap<Place, Uint8Array>>;
}

/** One scan of one file. */
export class Scan {
  readonly #file: RangeFile;
  readonly #footer: Footer;
  /** Reads ahead, until the consumer stops. */
  readonly #fetcher: Fetcher;
  /** Reads what batches ask for, which may be after that. */
  readonly #lateFetcher: Fetcher;
  readonly #planning: PlanContext;
  readonly #decoding: DecodeContext;
  readonly #checksums: readonly (readonly number[])[] | undefined;
  readonly #stop: AbortController = new AbortController();
  /** Row groups that are planned and not yet being read. */
  #planned: GroupPlan[] = [];
  #next: Promise<void> | undefined;
  #nextGroup = 0;

  constructor(
    file: RangeFile,
    footer: Footer,
    checksums: readonly (readonly number[])[] | undefined,
    request: ScanRequest,
  ) {
    this.#file = file;
    this.#footer = footer;
    this.#checksums = checksums;
    const { signal, budget } = request;
    const either = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
    this.#fetcher = new Fetcher(file, footer.tail, budget, either);
    this.#lateFetcher = new Fetcher(file, footer.tail, budget, signal);
    this.#planning = { file, footer, request, fetcher: this.#fetcher, ...resolve(file, footer, request) };
    this.#decoding = { budget, states: new Map() };
  }

  /** The batches; what is being read ahead when the consumer stops is aborted. */
  async *batches(): AsyncGenerator<Batch, void, undefined> {
    const units: Unit[] = [];
    let size = 0;
    try {
      for (;;) {
        if (this.#planned.length < AHEAD_READS) this.#planMore();
        if (units.length === 0 && this.#planned.length === 0 && this.#next !== undefined) {
          await this.#next;
          continue;
        }
        while (
          this.#planned.length > 0 &&
          (units.length === 0 || (units.length < AHEAD_READS && size < AHEAD_BYTES))
        ) {
          const unit = this.#read();
          units.push(unit);
          size += unit.size;
        }
        const unit = units.shift();
        if (unit === undefined) return;
        const found = await unit.found;
        size -= unit.size;
        for (const plan of unit.plans)
          for (const batch of this.#split(plan, found)) {
            this.#planning.request.signal?.throwIfAborted();
            yield batch;
          }
      }
    } finally {
      this.#stop.abort();
    }
  }

  /** Plans the next row groups, unless all are or some are being planned. */
  #planMore(): void {
    const { length } = this.#footer.metadata.rowGroups;
    if (this.#next !== undefined || this.#nextGroup >= length) return;
    const from = this.#nextGroup;
    this.#nextGroup = Math.min(length, from + GROUPS_AT_ONCE);
    const planning = planGroups(this.#planning, from, this.#nextGroup).then((plans) => {
      this.#planned.push(...plans);
      this.#next = undefined;
    });
    // An error is thrown where the plan is waited for, not before.
    planning.catch(() => undefined);
    this.#next = planning;
  }

  /** Begins to read the next row groups. */
  #read(): Unit {
    let size = 0;
    let count = 0;
    for (const plan of this.#planned) {
      if (count > 0 && size + plan.size > READ_BYTES) break;
      size += plan.size;
      count++;
    }
    const plans = this.#planned.splice(0, count);
    const found = this.#fetcher.read(plans.flatMap(({ columns }) => columns.flatMap(placesOf)));
    // An error is thrown to the consumer when it comes to these row groups, not before.
    found.catch(() => undefined);
    return { plans, size, found };
  }

  *#split(plan: GroupPlan, found: ReadonlyMap<Place, Uint8Array>): Generator<Batch, void, undefined> {
    const columns = new Map<string, GroupColumn>();
    for (const column of plan.columns) columns.set(column.leaf.column.name, this.#load(column, plan, found));
    const late = new LateColumns(this.#file, this.#footer, plan, this.#lateFetcher, (column, found) =>
      this.#load(column, plan, found),
    );
    const readMore = (name: string, ranges: readonly RowRange[]): Promise<GroupColumn> =>
      late.read(name, ranges);
    for (const ranges of splitRanges(plan.ranges, [...columns.values()]))
      yield new RowBatch(this.#file.name, ranges, columns, readMore);
  }

  #load(
    column: ColumnPlan,
    { index, rowCount }: GroupPlan,
    found: ReadonlyMap<Place, Uint8Array>,
  ): GroupColumn {
    const checksum = this.#checksums?.[index]?.[column.leaf.index];
    return decoding(this.#file.name, () => loadColumn(column, found, rowCount, checksum, this.#decoding));
  }
}

/** Columns of a row group that are read when its batches ask for them. */
class LateColumns {
  readonly #file: RangeFile;
  readonly #footer: Footer;
  readonly #plan: GroupPlan;
  readonly #fetcher: Fetcher;
  readonly #load: (column: ColumnPlan, found: ReadonlyMap<Place, Uint8Array>) => GroupColumn;
  readonly #locations: Map<Leaf, Promise<PageLocations | undefined>> = new Map();
  /** Those that had to be read whole, for the next batches of the row group. */
  readonly #whole: Map<Leaf, Promise<GroupColumn>> = new Map();

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

  /** Reads a column for the rows of `ranges`: where the file tells where its pages are, only theirs. */
  async read(name: string, ranges: readonly RowRange[]): Promise<GroupColumn> {
    const leaf = leafOf(this.#file.name, this.#footer, name);
    const known = this.#whole.get(leaf);
    if (known !== undefined) return known;
    const { index, rowCount } = this.#plan;
    const chunk = chunkOf(this.#file, this.#footer, index, leaf);
    let locations = this.#locations.get(leaf);
    if (locations === undefined) this.#locations.set(leaf, (locations = this.#locate(chunk)));
    const column = columnPlan(leaf, chunk, rowCount, ranges, await locations);
    if (column.whole === undefined) return this.#readColumn(column);
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
