import type { FileStore } from '@dotdo/fsx';
import { Core, type BackupPolicy } from './core.ts';
import { Database } from './database.ts';
import { Engine } from './engine.ts';
import { DoSQLError } from './error.ts';
import type { Migrations } from './migration.ts';
import type { Limits } from './scan/budget.ts';
import type { Buckets, FetchAccess } from './scan/url.ts';
import type { FileAccess, TierOptions } from './tier/index.ts';
import { durationMs } from './value/duration.ts';
import { describe } from './value/parameter.ts';

/** A file store of `@dotdo/dosql/fsx` that keeps its files in a Durable Object's storage. */
interface StorageBackend {
  readonly kind: 'durable-object';
  readonly storage: DurableObjectStorage;
}

/** One that keeps hot files in a Durable Object and cold ones elsewhere. */
interface TieredStorageBackend {
  readonly kind: 'tiered';
  readonly hot: StorageBackend | FileStore;
  readonly cold: FileStore;
}

/**
 * Where a database lives: the object's storage, alone or with cold storage beside it, for the rows of tiered tables.
 * In a bucket they are under `coldPrefix`, by default the database's name and an id of its own, so that objects do
 * not share one: `db.coldPrefix` tells it.
 */
export type DatabaseStorage =
  | DurableObjectStorage
  | { readonly hot: DurableObjectStorage; readonly cold?: R2Bucket; readonly coldPrefix?: string | undefined }
  | StorageBackend
  | TieredStorageBackend;

/** How to open a database. */
export interface DatabaseOptions {
  readonly storage: DatabaseStorage;
  readonly migrations?: Migrations;
  /** How much of the change log is kept: for so long, and not more bytes. 7 days and 1 GiB by default. */
  readonly history?: {
    readonly keep?: string | number;
    readonly maxBytes?: number;
    /** Changes go to the cold storage before they are trimmed, and are kept there so long; true is for ever. */
    readonly archive?: string | number | true;
    /** Of archived changes so many bytes are brought back at most for reading points before that; 1 GiB by default. */
    readonly recallBytes?: number;
  };
  /** Backs up to the cold storage by the object's alarm, so often: `'10m'`, or ms. */
  readonly backup?: { readonly every: string | number };
  /** Tables of which old rows become Parquet files in the cold storage, by their names; SQL reads them as before. */
  readonly tiers?: Readonly<Record<string, TierOptions>>;
  /** Buckets by the names that `r2://name/…` has for them in SQL, or with a prefix; none other is reachable. */
  readonly buckets?: Buckets;
  /** Hosts that `https://…` in SQL may name: exact names, or `*.example.com`. None by default. */
  readonly fetch?: FetchAccess;
  /** What one query over files may read, decode and give. */
  readonly limits?: Partial<Limits>;
  /** ms since the epoch; for tests. By default SQLite's own clock. */
  readonly clock?: () => number;
}

interface OpenDatabase {
  readonly name: string;
  readonly database: Promise<Database>;
  readonly engine: Engine;
}

const DEFAULT_KEEP = '7d';
const DEFAULT_MAX_BYTES = 2 ** 30;
const open = new WeakMap<DurableObjectStorage, OpenDatabase>();

/**
 * Opens the database in a Durable Object's storage: brings its schema up to date and begins to log every
 * change. Opening the same storage again, also while it is being opened, gives the same database.
 *
 * ```ts
 * export class Tenant extends DurableObject {
 *   readonly db = DB('tenant', { storage: this.ctx.storage, migrations: { folder: '.do/migrations/saas' } });
 *
 *   async tasks() {
 *     return (await this.db).query('SELECT * FROM tasks');
 *   }
 *
 *   override async alarm() {
 *     await (await this.db).alarm();
 *   }
 * }
 * ```
 *
 * @throws DoSQLError `NAME_MISMATCH` when the storage holds a database of another name,
 * `STORAGE_UNAVAILABLE` when the class is not SQLite-backed, `MIGRATION_FAILED`, `MIGRATION_CHANGED` and
 * `MIGRATION_MISSING`, `BAD_PARAMETER` for options that are none.
 */
export async function DB(name: string, options: DatabaseOptions): Promise<Database> {
  if (typeof name !== 'string' || name === '')
    throw new DoSQLError('BAD_PARAMETER', `a database's name is text, not ${describe(name)}`);
  const storage = storageOf(options?.storage);
  const known = open.get(storage);
  if (known !== undefined && !known.engine.isGone) {
    if (known.name === name) return known.database;
    throw new DoSQLError('NAME_MISMATCH', `this storage holds the database "${known.name}", not "${name}"`);
  }
  assertSqlite(storage);
  const engine = new Engine(storage, options.clock);
  const entry: OpenDatabase = { name, engine, database: openDatabase(name, engine, options) };
  open.set(storage, entry);
  // A failed opening may be tried again, with a mended migration for instance.
  entry.database.catch(() => open.delete(storage));
  return entry.database;
}

async function openDatabase(name: string, engine: Engine, options: DatabaseOptions): Promise<Database> {
  const window = {
    keepMs: durationMs(options.history?.keep ?? DEFAULT_KEEP, 'history.keep'),
    maxBytes: options.history?.maxBytes ?? DEFAULT_MAX_BYTES,
  };
  const policy = backupPolicy(options);
  for (const [name, bytes] of [
    ['maxBytes', window.maxBytes],
    ['recallBytes', policy.recallBytes],
  ] as const)
    if (!(bytes > 0))
      throw new DoSQLError('BAD_PARAMETER', `history.${name} is ${describe(bytes)}: give bytes above 0`);
  refuseUnfinished(engine.storage);
  engine.open(name);
  const core = new Core(name, engine, window, fileAccess(options), policy);
  // Migrations are refused what cold rows forbid.
  if (engine.hasOwn('__dosql_tier')) await core.files();
  if (options.migrations !== undefined) {
    const { loadMigrations, migrate } = await import('./migration.ts');
    await migrate(engine, await loadMigrations(options.migrations));
  }
  if (engine.hasOwn('__dosql_branch')) await core.branching();
  await openTiers(core, options.tiers);
  await core.startTrimming();
  await core.startBackups();
  return new Database(core);
}

/** Sets how tables are tiered, once their migrations have run, and goes on with what was tiered before. */
async function openTiers(core: Core, tiers: DatabaseOptions['tiers']): Promise<void> {
  if (tiers === undefined && !core.engine.hasOwn('__dosql_tier')) return;
  const { tiering } = await core.files();
  for (const [table, policy] of Object.entries(tiers ?? {})) await tiering.set(table, policy);
  await tiering.start();
}

function fileAccess({ storage, buckets, fetch, limits }: DatabaseOptions): FileAccess {
  return { cold: coldOf(storage), buckets, fetch, limits };
}

/** @throws DoSQLError `BAD_PARAMETER` */
function backupPolicy({ history, backup, storage }: DatabaseOptions): BackupPolicy {
  const archive = history?.archive;
  const wanted = archive !== undefined ? 'history.archive' : backup !== undefined ? 'backup' : undefined;
  if (wanted !== undefined && coldOf(storage) === undefined)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `${wanted} is set, but there is no cold storage: give storage: { hot: ctx.storage, cold: env.BUCKET }`,
    );
  return {
    archive: archive === undefined || archive === true ? archive : durationMs(archive, 'history.archive'),
    everyMs: backup === undefined ? undefined : durationMs(backup.every, 'backup.every'),
    recallBytes: history?.recallBytes ?? DEFAULT_MAX_BYTES,
  };
}

/** What a restore that was cut off has left is no database. */
function refuseUnfinished({ sql }: DurableObjectStorage): void {
  const [mark] = sql.exec("SELECT 1 FROM sqlite_schema WHERE name = '__dosql_restoring'").raw();
  if (mark !== undefined)
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      'a restore of this database was cut off: call restore() again',
    );
}

function coldOf(storage: DatabaseStorage): FileAccess['cold'] {
  if (!('cold' in storage) || storage.cold === undefined) return undefined;
  if ('kind' in storage) return storage.cold;
  const { cold, coldPrefix } = storage as { cold: R2Bucket; coldPrefix?: string };
  return { bucket: cold, prefix: coldPrefix };
}

function storageOf(storage: DatabaseStorage | undefined): DurableObjectStorage {
  const found = findStorage(storage);
  if (found !== undefined) return found;
  throw new DoSQLError(
    'BAD_PARAMETER',
    `storage is ${describe(storage)}: give ctx.storage, { hot, cold } or a backend`,
  );
}

function findStorage(storage: unknown): DurableObjectStorage | undefined {
  if (typeof storage !== 'object' || storage === null) return undefined;
  if ('transactionSync' in storage && 'getAlarm' in storage) return storage as DurableObjectStorage;
  if ('hot' in storage) return findStorage(storage.hot);
  if ('storage' in storage) return findStorage(storage.storage);
  return undefined;
}

/** Reaching for `sql` of an object that is not SQLite-backed throws. */
function assertSqlite(storage: DurableObjectStorage): void {
  try {
    storage.sql.exec('SELECT 1').toArray();
  } catch (cause) {
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      'the class is not SQLite-backed: list it under new_sqlite_classes, not new_classes, in wrangler.jsonc',
      { cause },
    );
  }
}
