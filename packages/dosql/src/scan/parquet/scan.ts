import type { RangeFile } from '../file.ts';
import type { Batch, ScanRequest } from '../table.ts';
import { RowBatch } from './batch.ts';
import { Fetcher } from './fetch.ts';
import type { Footer } from './footer.ts';
import { LateColumns } from './late.ts';
import type { Place } from './metadata.ts';
import {
  chunkOf,
  columnPlan,
  GROUPS_AT_ONCE,
  placesOf,
  planGroups,
  resolve,
  type ColumnPlan,
  type GroupPlan,
  type PlanContext,
} from './plan.ts';
import { Buffers } from './room.ts';
import { decoding, loadColumn, type DecodeContext, type GroupColumn } from './row-group.ts';
import type { Leaf } from './schema.ts';
import { splitRanges } from './split.ts';
import type { RowRange } from './take.ts';

/** What is read is read ahead of what is worked on, up to this many bytes and this many reads. */
const AHEAD_BYTES = 2 ** 24;
const AHEAD_READS = 4;
/** Row groups that are smaller are read together. */
const READ_BYTES = 2 ** 20;

/** So many row groups after another were asked for a column late, and had to read it whole, before it is read ahead. */
const LATE_GROUPS = 2;

/** A row group to be read, with the columns that it is likely to be asked for late. */
interface PlannedGroup {
  readonly plan: GroupPlan;
  readonly late: readonly ColumnPlan[];
}

/** Row groups that follow each other and are read together. */
interface Unit {
  readonly groups: readonly PlannedGroup[];
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
  /** How many row groups, up to the last, were asked for a column late and had to read it whole. */
  readonly #lateGroups: Map<Leaf, number> = new Map();
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
    this.#decoding = {
      budget,
      states: new Map(),
      buffers: request.isTransient === true ? new Buffers() : undefined,
    };
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
        for (const group of unit.groups)
          for (const batch of this.#split(group, found)) {
            this.#planning.request.signal?.throwIfAborted();
            yield batch;
          }
        if (this.#planning.request.isTransient === true) this.#fetcher.free(found);
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
    const groups = this.#planned.splice(0, count).map((plan) => ({ plan, late: this.#likelyLate(plan) }));
    for (const { late } of groups) for (const { chunk } of late) size += chunk.place.length;
    const columns = groups.flatMap(({ plan, late }) => [...plan.columns, ...late]);
    const found = this.#fetcher.read(columns.flatMap(placesOf));
    // An error is thrown to the consumer when it comes to these row groups, not before.
    found.catch(() => undefined);
    return { groups, size, found };
  }

  /** The columns that the last row groups were asked for late: waiting until this one is would cost a round trip each time. */
  #likelyLate({ index, rowCount, ranges }: GroupPlan): ColumnPlan[] {
    const plans: ColumnPlan[] = [];
    for (const [leaf, groups] of this.#lateGroups)
      if (groups >= LATE_GROUPS)
        plans.push(
          columnPlan(leaf, chunkOf(this.#file, this.#footer, index, leaf), rowCount, ranges, undefined),
        );
    return plans;
  }

  *#split(
    { plan, late: ahead }: PlannedGroup,
    found: ReadonlyMap<Place, Uint8Array>,
  ): Generator<Batch, void, undefined> {
    const columns = new Map<string, GroupColumn>();
    const loaded: GroupColumn[] = [];
    const load = (column: ColumnPlan, found: ReadonlyMap<Place, Uint8Array>): GroupColumn => {
      const own = this.#load(column, plan, found);
      loaded.push(own);
      return own;
    };
    for (const column of plan.columns) columns.set(column.leaf.column.name, load(column, found));
    const late = new LateColumns(this.#file, this.#footer, plan, this.#lateFetcher, load);
    for (const column of ahead) late.add(column, found);
    const readMore = (name: string, ranges: readonly RowRange[]): Promise<GroupColumn> =>
      late.read(name, ranges);
    for (const ranges of splitRanges(plan.ranges, [...columns.values()]))
      yield new RowBatch(this.#file.name, ranges, columns, readMore);
    for (const column of loaded) column.leave();
    for (const leaf of this.#lateGroups.keys()) if (!late.used.has(leaf)) this.#lateGroups.delete(leaf);
    for (const leaf of late.used) this.#lateGroups.set(leaf, (this.#lateGroups.get(leaf) ?? 0) + 1);
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
