import { createDOBackend, type FileStore } from '@dotdo/fsx';
import type { BackupPolicy, Core } from '../core.ts';
import { DoSQLError } from '../error.ts';
import type { ArchivedPoint } from '../log/archived.ts';
import { ARCHIVE_HOLD } from '../log/holds.ts';
import { toJulian } from '../log/log.ts';
import { isInternal, MAIN } from '../schema/line.ts';
import { all, first } from '../sql/read.ts';
import { Archive, forget, GRACE_MS } from './archive.ts';
import { BaseWriter, sequencesOf, type Base } from './base.ts';
import { catalogRows } from './catalog-rows.ts';
import { reaching, type ColdFileInfo } from './cold-file.ts';
import {
  manifestPath,
  manifestPaths,
  writeManifest,
  type BackupManifest,
  type MigrationRow,
} from './manifest.ts';
import { Notes, type Segment } from './notes.ts';
import { Recall } from './recall.ts';
import { tierFiles } from './tiers.ts';

/** What a backup has put into the cold store. */
export interface BackupResult {
  /** The database can be made anew as it was at this LSN, or at any before it that was archived. */
  readonly lsn: bigint;
  /** Files that this backup has written, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  /** Of them, segments of the log. */
  readonly segments: number;
  /** Tables whose rows are not in it: virtual ones, which have no change log. */
  readonly leftOut: readonly string[];
}

/** How long archived changes are kept: ms, for ever, or as long as the hot window and the newest backup need them. */
export type ArchiveAge = number | true | undefined;

/** What a backup's base was, as it is noted. */
interface NotedBase extends Base {
  readonly tierFiles: readonly ColdFileInfo[];
}

interface NotedManifest {
  readonly path: string;
  readonly lsn: number;
}

/** What is about to be written down. */
interface Capture {
  readonly epoch: string | undefined;
  readonly manifest: BackupManifest;
  readonly dropped: readonly Segment[];
}

/** A base is made anew when what has come since is larger than it, and than this. */
const LEAST_BYTES = 262_144;
const MAX_ATTEMPTS = 5;

/** Backs a database up into the cold store: a base of all rows once, then only what the log has got since. */
export class Backup {
  readonly #core: Core;
  readonly #cold: FileStore;
  readonly #age: ArchiveAge;
  readonly #notes: Notes;
  readonly #archive: Archive;
  readonly #base: BaseWriter;
  readonly #recall: Recall;
  #running: Promise<unknown> = Promise.resolve();

  constructor(core: Core, cold: FileStore, { archive, recallBytes }: BackupPolicy) {
    this.#core = core;
    this.#cold = cold;
    this.#age = archive;
    this.#notes = new Notes(core.engine);
    this.#archive = new Archive(core, cold, this.#notes);
    this.#base = new BaseWriter(core, cold, this.#notes);
    this.#recall = new Recall(core, cold, this.#notes, recallBytes);
  }

  /** Backs up what there is. */
  run(): Promise<BackupResult> {
    return this.#alone(() => this.#run());
  }

  /** Archives the log, without a backup. */
  archive(): Promise<number> {
    return this.#alone(async () => {
      await this.#open();
      return this.#archive.run();
    });
  }

  /** Brings the log back to a point; it is trimmed again when nobody has read it for some time. */
  async recall(point: ArchivedPoint): Promise<void> {
    await this.#open();
    return this.#recall.reach(point);
  }

  /** One after the other: each goes on from what the one before has left. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#running.then(work);
    this.#running = run.catch(() => {});
    return run;
  }

  async #run(): Promise<BackupResult> {
    await this.#open();
    const { gate } = this.#core;
    let segments = await this.#archive.run();
    const noted = await gate.pass(() => this.#noted());
    const base = noted ?? (await this.#newBase());
    if (noted === undefined) segments += await this.#archive.run();
    const last = await gate.pass(() => this.#notes.get<NotedManifest>('manifest'));
    const isNew =
      noted === undefined ||
      last === undefined ||
      last.lsn !== (await gate.pass(() => this.#archive.archived()));
    const written = isNew ? await this.#write(base) : undefined;
    await this.#collect();
    const now = await gate.pass(() => this.#notes.segments());
    const archived = segments === 0 ? [] : now.slice(-segments);
    const files = [
      ...(noted === undefined ? base.files : []),
      ...archived,
      ...(written === undefined ? [] : [written]),
    ];
    return {
      lsn: BigInt(written?.lsn ?? last?.lsn ?? 0),
      files: files.length,
      bytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      segments: archived.length,
      leftOut: leftOut(this.#core.engine.storage.sql),
    };
  }

  async #open(): Promise<void> {
    const { gate, engine } = this.#core;
    await gate.pass(() => {
      if (!this.#notes.exists) engine.atomically(() => this.#notes.open());
    });
    if ((await gate.pass(() => this.#notes.get('adopted'))) === true) await this.#adopt();
  }

  /** A restored database goes on with the files that it was made of, where it is opened with the same cold store. */
  async #adopt(): Promise<void> {
    const { gate, engine } = this.#core;
    const files = await gate.pass(() => [
      ...this.#notes.segments(),
      ...(this.#notes.get<NotedBase>('base')?.files ?? []),
    ]);
    let isThere = true;
    for (const { path, sizeBytes } of files)
      isThere &&=
        (await reaching(path, 'cannot be read from', () => this.#cold.stat(path)))?.size === sizeBytes;
    await gate.pass(() =>
      engine.atomically(() => {
        if (!isThere) forget(this.#notes, engine.nowMs() + GRACE_MS);
        if (!isThere) this.#notes.set('manifest', undefined);
        this.#notes.set('adopted', undefined);
      }),
    );
  }

  /** The base to go on from; undefined when it is time for a new one. */
  #noted(): NotedBase | undefined {
    const base = this.#notes.get<NotedBase>('base');
    if (base === undefined) return undefined;
    const size = (files: readonly ColdFileInfo[]): number =>
      files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const since = this.#notes.segments().filter(({ last }) => last > base.last);
    return size(since) > Math.max(LEAST_BYTES, size(base.files)) ? undefined : base;
  }

  async #newBase(): Promise<NotedBase> {
    const { engine, gate } = this.#core;
    const known = await gate.pass(() => this.#notes.get<NotedBase>('base')?.tierFiles ?? []);
    const base = await this.#base.write();
    if (base.tiers.length === 0) return { ...base, tierFiles: [] };
    const local = createDOBackend(engine.storage, { clock: () => engine.nowMs() });
    return { ...base, tierFiles: await tierFiles(this.#cold, local, base.tiers, known) };
  }

  async #write(base: NotedBase): Promise<ColdFileInfo & { lsn: number }> {
    const { engine, gate } = this.#core;
    const known = await gate.pass(() => this.#notes.get<number>('sequence'));
    const sequence = (known ?? (await this.#lastSequence())) + 1;
    const path = manifestPath(sequence);
    const { manifest, dropped, epoch } = await this.#capture(base, sequence);
    await gate.pass(() =>
      engine.atomically(() => {
        this.#notes.discard(path, engine.nowMs() + GRACE_MS);
        // One whose writing fails may be there all the same: the next comes after it.
        this.#notes.set('sequence', sequence);
      }),
    );
    const file = await writeManifest(this.#cold, path, manifest);
    await gate.pass(() => {
      if (this.#notes.get('epoch') !== epoch)
        throw new DoSQLError(
          'STORAGE_UNAVAILABLE',
          'rows were erased while they were backed up: back up again',
        );
      engine.atomically(() => this.#note(base, { path, lsn: manifest.lsn }, dropped));
    });
    return { ...file, lsn: manifest.lsn };
  }

  /** Everything that the log does not say, as of the LSN up to which it has been archived. */
  async #capture(base: NotedBase, sequence: number): Promise<Capture> {
    const { engine, gate, name } = this.#core;
    const { log, storage, catalog } = engine;
    for (let attempt = 1; ; attempt++) {
      const captured = await gate.pass((): Capture | undefined => {
        const lsn = this.#archive.archived();
        // At its very end nothing is ahead of it; after some tries what is has to be cut off.
        if (lsn < log.end() && attempt < MAX_ATTEMPTS) return undefined;
        const window = { lsn: log.earliest().lsn, at: Number(log.meta('trimmed_at')) };
        const segments = this.#notes.segments();
        const kept = segments.filter((segment) => this.#isKept(segment, base, window.lsn));
        const manifest: BackupManifest = {
          format: 1,
          name,
          sequence,
          lsn,
          at: engine.nowMs(),
          window,
          base: {
            first: base.first,
            last: base.last,
            files: base.files,
            sequences: base.sequences,
            tiers: base.tiers,
          },
          segments: kept,
          sequences: sequencesOf(
            storage.sql,
            catalog.current().filter(({ branch }) => branch === MAIN),
          ),
          migrations: migrationsOf(storage.sql, lsn),
          tierFiles: base.tierFiles,
          leftOut: leftOut(storage.sql),
          numbers: [catalog.highest('id'), catalog.highest('tableId')],
          ...catalogRows(storage.sql, Math.min(window.lsn, lsn), lsn),
        };
        return {
          manifest,
          dropped: segments.filter((segment) => !kept.includes(segment)),
          epoch: this.#notes.get('epoch'),
        };
      });
      if (captured !== undefined) return captured;
      await this.#archive.run();
    }
  }

  /** Whether a segment is needed: for the base, for the hot window, or for as long as the user keeps it. */
  #isKept({ last, toAt }: Segment, base: Base, window: number): boolean {
    if (last > Math.min(base.first, window) || this.#age === true) return true;
    return this.#age !== undefined && toAt >= toJulian(this.#core.engine.nowMs() - this.#age);
  }

  #note(base: NotedBase, manifest: NotedManifest, dropped: readonly Segment[]): void {
    const { engine, holds } = this.#core;
    const until = engine.nowMs() + GRACE_MS;
    const before = this.#notes.get<NotedBase>('base');
    const last = this.#notes.get<NotedManifest>('manifest');
    const isKept = new Set(base.files.map(({ path }) => path));
    for (const { path } of before?.files ?? []) if (!isKept.has(path)) this.#notes.discard(path, until);
    for (const { path } of base.files) this.#notes.keep(path);
    for (const segment of dropped) this.#notes.removeSegment(segment, until);
    if (last !== undefined) this.#notes.discard(last.path, until);
    this.#notes.keep(manifest.path);
    this.#notes.set('base', base);
    this.#notes.set('manifest', manifest);
    this.#notes.holdTierFiles(base.tierFiles.map(({ path }) => path));
    holds.set(ARCHIVE_HOLD, BigInt(manifest.lsn), undefined);
  }

  /** In a store that holds backups of an earlier database of that name, this one's come after them. */
  async #lastSequence(): Promise<number> {
    const path = (await manifestPaths(this.#cold)).at(-1);
    return path === undefined ? 0 : Number(/(\d+)-/.exec(path)?.[1] ?? 0);
  }

  async #collect(): Promise<void> {
    const { engine, gate } = this.#core;
    for (const path of await gate.pass(() => this.#notes.garbage(engine.nowMs()))) {
      await reaching(path, 'cannot be deleted from', () => this.#cold.delete(path));
      await gate.pass(() => engine.atomically(() => this.#notes.keep(path)));
    }
  }
}

function migrationsOf(sql: SqlStorage, lsn: number): MigrationRow[] {
  if (first(sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_migration'") === undefined) return [];
  return all<MigrationRow>(
    sql,
    `SELECT name, checksum, applied_at, duration_ms, lsn FROM __dosql_migration WHERE branch = ${MAIN} AND lsn <= ? ORDER BY name`,
    lsn,
  );
}

function leftOut(sql: SqlStorage): string[] {
  return all<[string]>(
    sql,
    "SELECT name FROM pragma_table_list WHERE type = 'virtual' AND schema = 'main' ORDER BY name",
  )
    .flat()
    .filter((name) => !isInternal(name));
}
