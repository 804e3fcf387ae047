import type { FileStore } from '@dotdo/fsx';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { IcebergTable, WantedTable } from '../iceberg/index.ts';
import { parseIso } from '../scan/parquet/write-iso.ts';
import { sameName } from '../schema/catalog.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import type { SqlValue } from '../value/row.ts';
import {
  icebergColumns,
  icebergFile,
  icebergPartitions,
  isFit,
  isReadable,
  layoutOf,
  type FileLayout,
} from './iceberg-layout.ts';
import { IcebergNotes, type IcebergState } from './iceberg-notes.ts';
import type { IcebergCatalogOptions } from './iceberg-options.ts';
import type { ColdFile, Manifest } from './manifest.ts';
import type { TierPolicy } from './options.ts';
import { folderOf } from './places.ts';
import type { Pass } from '../outcome.ts';

/** The Iceberg table that a table's cold rows are. */
export interface IcebergStatus {
  /** Its URI. */
  readonly location: string;
  /** Its present snapshot; undefined while it has none. */
  readonly snapshot: string | undefined;
  readonly files: number;
}

/** What is to be committed, as it was at one moment. */
interface Plan {
  readonly tableId: number;
  readonly state: IcebergState;
  readonly wanted: WantedTable;
  /** Of the wanted files, in the cold store. */
  readonly paths: readonly string[];
  readonly shape: string;
  readonly epoch: number;
}

/** What a commit has led to. */
interface Committed {
  readonly snapshot: string | undefined;
  /** When the present snapshot was made. */
  readonly at: number;
  /** Snapshots from before this are gone. */
  readonly expired: number;
}

/** Others may read former snapshots for so long: a query of theirs that has begun ends in this time. */
const KEEP_MS = 86_400_000;
/** So many times tell how most are. */
const SAMPLE = 100;

/**
 * Makes Iceberg tables of cold files, after them: the manifest is the truth, and an Iceberg table is what it was at some
 * moment. Each commit is made of all that there is, so it does not matter what became of the one before.
 *
 * Files that a snapshot may name are noted before it is made and are not deleted until it is gone. What is in a file
 * that a snapshot names has been there at the time of the snapshot: files that rows have gone from are written anew
 * first.
 */
export class IcebergTables {
  readonly #engine: Engine;
  readonly #manifest: Manifest;
  readonly #notes: IcebergNotes;
  readonly #cold: FileStore | undefined;
  readonly #catalogs = new Map<number, IcebergCatalogOptions>();
  #running: Promise<unknown> = Promise.resolve();
  /** Another number when what was planned before is not to be committed any more. */
  #epoch = 0;

  constructor(engine: Engine, manifest: Manifest, cold: FileStore | undefined) {
    this.#engine = engine;
    this.#manifest = manifest;
    this.#notes = new IcebergNotes(engine.storage.sql);
    this.#cold = cold;
  }

  /**
   * Takes note of how to ask the catalog.
   *
   * @throws DoSQLError `BAD_PARAMETER` without a cold store
   */
  configure({ name, tableId }: Relation, catalog: IcebergCatalogOptions | undefined): void {
    if (this.#cold === undefined)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `tiers.${name}.iceberg is set, but there is no cold storage: give storage: { hot: ctx.storage, cold: env.BUCKET }`,
      );
    if (catalog === undefined) this.#catalogs.delete(tableId);
    else this.#catalogs.set(tableId, catalog);
  }

  /**
   * How files of the table are written; undefined where they are no Iceberg table. `time` is what a cold row has where
   * the time is told: by what most rows have there it is decided, once for all, whether it is stored as instants.
   */
  begin(relation: Relation, policy: TierPolicy, time: SqlValue | undefined): FileLayout | undefined {
    if (policy.iceberg === undefined || this.#cold === undefined) return undefined;
    const { tableId } = relation;
    if (this.#notes.state(tableId) === undefined && time !== undefined) {
      const column = relation.columns.find(({ name }) => sameName(name, policy.column));
      const state = {
        policy: policy.iceberg,
        folder: folderOf(relation),
        timeId: column !== undefined && this.#isIso(relation, column, time) ? column.id : undefined,
      };
      this.#engine.atomically(() => this.#notes.setState(tableId, state));
    }
    return this.layout(relation);
  }

  /** Whether most times are ISO text, of one that is cold and some that are hot. */
  #isIso({ table }: Relation, column: Column, time: SqlValue): boolean {
    const name = quoteName(column.name);
    const hot = all<[SqlValue | ArrayBuffer]>(
      this.#engine.storage.sql,
      `SELECT ${name} FROM main.${quoteName(table)} WHERE ${name} IS NOT NULL LIMIT ${SAMPLE}`,
    ).flat();
    const times = [time, ...hot];
    const isos = times.filter((value) => typeof value === 'string' && !Number.isNaN(parseIso(value)));
    return isos.length * 2 > times.length;
  }

  /** How files of the table are written; undefined where they are no Iceberg table. */
  readonly layout = (relation: Relation): FileLayout | undefined => {
    const { tableId } = relation;
    if (this.#manifest.tables.get(tableId)?.policy.iceberg === undefined) return undefined;
    const state = this.#notes.state(tableId);
    return state === undefined ? undefined : layoutOf(this.#engine, relation, state.timeId);
  };

  /** A file that others could not read as it is to be read. */
  unfit(tableId: number): ColdFile | undefined {
    const tiered = this.#manifest.tables.get(tableId);
    const relation = this.#relation(tableId);
    const layout = relation && this.layout(relation);
    return layout && tiered?.files.find((file) => !isFit(file, layout));
  }

  /** What is told of a table; undefined where it is no Iceberg table. */
  status(tableId: number): IcebergStatus | undefined {
    const state = this.#notes.state(tableId);
    if (state === undefined) return undefined;
    const files = state.snapshot === undefined ? 0 : this.#notes.live(tableId).length;
    return { location: locationOf(state), snapshot: state.snapshot, files };
  }

  /**
   * Commits what has changed since the last commit, if anything has; returns false where that has to wait for files that
   * are written anew or moved first.
   *
   * @throws DoSQLError `STORAGE_UNAVAILABLE` when the cold store or the catalog does not answer, and what these refuse
   */
  async sync(tableId: number, pass: Pass): Promise<boolean> {
    const before = await pass(() => this.#replaced(tableId));
    if (before !== undefined) await this.end(tableId, pass);
    const plan = await pass(() => {
      if (before !== undefined) this.#beginAnew(tableId, before);
      return this.#plan(tableId, false);
    });
    if (plan === 'later') return false;
    if (plan === undefined) return true;
    const done = await this.#alone(plan.state, () => this.#commit(plan));
    if (done !== undefined) await pass(() => this.#note(plan, done));
    return done !== undefined;
  }

  /**
   * Takes all that is no longer cold out of the Iceberg tables, together with the snapshots that have had it. Should
   * that fail, the next commit does it. The caller holds the gate.
   *
   * @throws DoSQLError as {@link sync}
   */
  async erase(): Promise<void> {
    for (const tableId of this.#notes.tableIds()) {
      const state = this.#notes.state(tableId) as IcebergState;
      this.#engine.atomically(() => this.#notes.setState(tableId, { ...state, isErasing: true }));
    }
    for (const tableId of this.#notes.tableIds()) {
      // What others have planned before has what is erased.
      this.#epoch++;
      if (this.#relation(tableId) === undefined || this.#replaced(tableId) !== undefined) {
        await this.end(tableId, now);
        continue;
      }
      const plan = this.#plan(tableId, true);
      if (plan === undefined || plan === 'later') continue;
      const done = await this.#alone(plan.state, () => this.#commit(plan));
      if (done !== undefined) this.#note(plan, done);
    }
  }

  /**
   * Ends the Iceberg table: without a catalog its metadata is deleted, with one it is left there without files.
   *
   * @throws DoSQLError as {@link sync}
   */
  async end(tableId: number, pass: Pass): Promise<void> {
    const state = this.#notes.state(tableId);
    if (state === undefined) return;
    this.#epoch++;
    const { folder, policy } = state;
    await this.#alone(state, async () => {
      const store = this.#store(state);
      if (policy.catalog === undefined) {
        const { FileCatalog } = await import('../iceberg/index.ts');
        await new FileCatalog(store, folder, () => crypto.randomUUID()).drop();
        return;
      }
      // Who has the token no more can drop the table in the catalog only.
      if (state.snapshot === undefined || !this.#catalogs.has(tableId)) return;
      const table = await this.#open(tableId, state);
      const files = (await table.files()).map(({ file_path }) => file_path);
      if (files.length > 0) await table.overwrite({ add: [], remove: files });
      await table.expire({ olderThan: Infinity, keepsDataFiles: true });
    });
    await pass(() => this.#engine.atomically(() => this.#notes.forget(tableId)));
  }

  /** The state of an Iceberg table that the policy does not ask for any more. */
  #replaced(tableId: number): IcebergState | undefined {
    const state = this.#notes.state(tableId);
    const wanted = this.#manifest.tables.get(tableId)?.policy.iceberg;
    return state === undefined || JSON.stringify(state.policy) === JSON.stringify(wanted) ? undefined : state;
  }

  /** The files are as those of the former Iceberg table. */
  #beginAnew(tableId: number, { folder, timeId }: IcebergState): void {
    const policy = this.#manifest.tables.get(tableId)?.policy.iceberg;
    if (policy !== undefined)
      this.#engine.atomically(() => this.#notes.setState(tableId, { policy, folder, timeId }));
  }

  /** What there is to commit, noted as held; undefined when there is nothing. */
  #plan(tableId: number, isErasing: boolean): Plan | 'later' | undefined {
    const state = this.#notes.state(tableId);
    const tiered = this.#manifest.tables.get(tableId);
    const relation = this.#relation(tableId);
    const layout = relation && this.layout(relation);
    if (state === undefined || tiered === undefined || relation === undefined || layout === undefined)
      return undefined;
    const { policy } = tiered;
    const isReady = (file: ColdFile): boolean =>
      file.place === 'cold' && (isErasing ? isReadable(file, layout) : isFit(file, layout));
    const files = tiered.files.filter(isReady);
    if (!isErasing && files.length < tiered.files.length) return 'later';
    const time = relation.columns.find(
      ({ id, name }) => id === state.timeId && sameName(name, policy.column),
    );
    const partitions = icebergPartitions(relation, time, policy, files);
    const columns = icebergColumns(relation, layout);
    const paths = files.map(({ path }) => path);
    const shape = JSON.stringify([columns, partitions]);
    if (!this.#isDue(tableId, state, paths, shape)) return undefined;
    this.#engine.atomically(() => {
      this.#notes.hold(tableId, paths);
      this.#notes.setState(tableId, { ...state, isPending: true });
    });
    const { location } = state.policy;
    const wanted = {
      columns,
      partitions,
      files: files.map((file) => icebergFile(file, relation, layout, partitions, location)),
    };
    return { tableId, state, wanted, paths, shape, epoch: this.#epoch };
  }

  /** Whether the Iceberg table is another one than it is to be, or has snapshots that are old. */
  #isDue(tableId: number, state: IcebergState, paths: readonly string[], shape: string): boolean {
    if (state.isErasing === true || state.isPending === true) return true;
    if (state.snapshot === undefined) return paths.length > 0;
    if (state.shape !== shape) return true;
    const live = new Set(this.#notes.live(tableId));
    if (live.size !== paths.length || !paths.every((path) => live.has(path))) return true;
    return (this.#notes.firstGone(tableId) ?? Infinity) < this.#engine.nowMs() - KEEP_MS;
  }

  /** Commits; returns undefined when what was planned is not to be done any more. */
  async #commit({ tableId, state, wanted, epoch }: Plan): Promise<Committed | undefined> {
    if (epoch !== this.#epoch) return undefined;
    const table = await this.#open(tableId, state);
    const location = locationOf(state);
    const { columns, partitions } = wanted;
    // Nobody else knows when a data file may go.
    const properties = { 'gc.enabled': 'false' };
    const created = await table.create({ location, columns, partitions, properties });
    if (created.location !== location)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `the Iceberg table is at ${created.location}, not at ${location}: give the location that it has`,
      );
    const isErasing = state.isErasing === true;
    await table.assign({ ...wanted, forgets: isErasing });
    const expired = isErasing ? Infinity : this.#engine.nowMs() - KEEP_MS;
    await table.expire({ olderThan: expired, keepsDataFiles: true });
    if (isErasing) await table.removeOrphans();
    const metadata = await table.metadata();
    const id = metadata['current-snapshot-id'];
    const snapshot = id === null || id === undefined || Number(id) === -1 ? undefined : String(id);
    return { snapshot, at: metadata['last-updated-ms'], expired };
  }

  #note({ tableId, paths, shape, epoch }: Plan, { snapshot, at, expired }: Committed): void {
    const state = this.#notes.state(tableId);
    // What was committed is no longer what there is.
    if (epoch !== this.#epoch || state === undefined) return;
    this.#engine.atomically(() => {
      this.#notes.committed(tableId, paths, at, expired);
      this.#notes.setState(tableId, {
        ...state,
        snapshot,
        shape,
        isPending: undefined,
        isErasing: undefined,
      });
    });
  }

  async #open(tableId: number, state: IcebergState): Promise<IcebergTable> {
    const { IcebergTable, RestCatalog } = await import('../iceberg/index.ts');
    const { folder, policy } = state;
    const effects = {
      now: () => this.#engine.nowMs(),
      random: (count: number) => crypto.getRandomValues(new Uint8Array(count)),
    };
    const store = this.#store(state);
    if (policy.catalog === undefined) return new IcebergTable({ store, folder, effects });
    const options = this.#catalogs.get(tableId);
    if (options === undefined)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `the token of the Iceberg catalog at ${policy.catalog.uri} is not known: give iceberg.catalog to DB() in tiers`,
      );
    const { uri, warehouse, namespace, table } = policy.catalog;
    const catalog = new RestCatalog({
      url: uri,
      warehouse,
      token: await options.token(),
      namespace,
      table: table ?? folder.slice(folder.lastIndexOf('/') + 1),
      fetch: (...request) => fetch(...request),
    });
    return new IcebergTable({ store, folder, catalog, effects });
  }

  #store(state: IcebergState): FileStore {
    if (this.#cold !== undefined) return this.#cold;
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      `the Iceberg table at ${locationOf(state)} is in cold storage: open the database with it`,
    );
  }

  /** One commit after the other, for a later one knows what the one before has named. */
  #alone<T>(state: IcebergState, work: () => Promise<T>): Promise<T> {
    const run = this.#running.then(work).catch((cause: unknown) => {
      const known = DoSQLError.from(cause);
      if (known !== undefined) throw known;
      throw new DoSQLError(
        'STORAGE_UNAVAILABLE',
        `the Iceberg table at ${locationOf(state)} cannot be changed now: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    });
    this.#running = run.catch(() => {});
    return run;
  }

  #relation(tableId: number): Relation | undefined {
    return this.#engine.catalog.present(tableId);
  }
}

/** The gate is held already. */
const now: Pass = async (work) => work();

function locationOf({ policy, folder }: IcebergState): string {
  return `${policy.location}/${folder}`;
}
