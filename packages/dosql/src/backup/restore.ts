import { createR2Backend, type FileStore } from '@dotdo/fsx';
import { DoSQLError } from '../error.ts';
import type { Point } from '../history/point.ts';
import { Log } from '../log/log.ts';
import { isInternal, MAIN } from '../schema/line.ts';
import { OP } from '../schema/capture.ts';
import { RELATION_TABLE } from '../schema/catalog.ts';
import { OBJECT_TABLE } from '../schema/objects.ts';
import type { Relation } from '../schema/relation.ts';
import { MIGRATION_TABLE } from '../migration.ts';
import { all, first } from '../sql/read.ts';
import { describe } from '../value/parameter.ts';
import { BASE_KEY, type BaseAbout } from './base.ts';
import { isAt, joinCatalogs, relationOf, type CatalogRows } from './catalog-rows.ts';
import { getFile } from './cold-file.ts';
import { newestManifest, type BackupManifest } from './manifest.ts';
import { createNotes, insertSegment } from './notes.ts';
import { openRows } from './rows-file.ts';
import { loadLog } from './restore-log.ts';
import { TableFiller, type Course } from './restore-table.ts';
import { restoreTiers } from './restore-tiers.ts';
import { earliestLsn, targetLsn } from './target.ts';

/** Where a database is made anew, of what, and as of when. */
export interface RestoreSource {
  /** The storage of an object that holds nothing: `ctx.storage`. */
  readonly storage: DurableObjectStorage;
  /** Where `db.backup()` wrote to. */
  readonly from: FileStore | { readonly bucket: R2Bucket; readonly prefix: string };
  /** A point that the backup reaches back to; by default its end. */
  readonly at?: Point | undefined;
}

/** What has been restored. */
export interface Restored {
  /** The name of the database that was backed up. */
  readonly name: string;
  /** The state is that of this LSN; the next change gets the one after it. */
  readonly lsn: bigint;
  readonly tables: number;
  /** Rows of the base, and of the log, that were read. */
  readonly rows: number;
  readonly files: number;
  readonly bytes: number;
  /** Tables that were not in the backup. */
  readonly leftOut: readonly string[];
}

/** There from the beginning of a restore to its end: what it is in is no database yet. */
const MARK = '__dosql_restoring';

/** See `restore`. */
export async function restoreFrom({ storage, from, at }: RestoreSource): Promise<Restored> {
  const cold = storeOf(from);
  await assertEmpty(storage);
  const { manifest } = await newestManifest(cold);
  const target = await targetLsn(cold, manifest, at, Date.now());
  storage.sql.exec(`CREATE TABLE ${MARK}(at)`);
  try {
    const restored = await fill(storage, cold, manifest, target);
    // Its cold files are there, and there it goes on.
    if ('bucket' in from) new Log(storage.sql).setMeta('cold_prefix', from.prefix);
    storage.sql.exec(`DROP TABLE ${MARK}`);
    await setForeignKeys(storage, true);
    return restored;
  } catch (error) {
    await storage.deleteAll();
    await setForeignKeys(storage, true);
    throw error;
  }
}

function storeOf(from: RestoreSource['from']): FileStore {
  if (typeof from !== 'object' || from === null)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `from is ${describe(from)}: give a file store, or { bucket, prefix }`,
    );
  return 'bucket' in from ? createR2Backend(from.bucket, { prefix: from.prefix }) : from;
}

/** What an earlier attempt has left is no database. */
async function assertEmpty(storage: DurableObjectStorage): Promise<void> {
  const { sql } = storage;
  if (first(sql, 'SELECT 1 FROM sqlite_schema WHERE name = ?', MARK) !== undefined) await storage.deleteAll();
  const names = all<[string]>(sql, "SELECT name FROM sqlite_schema WHERE type = 'table'")
    .flat()
    .filter((name) => !/^(?:sqlite_|_cf_|__miniflare_)/i.test(name));
  const keys = await storage.list({ limit: 1 });
  if (names.length === 0 && keys.size === 0) return;
  const what = names.length > 0 ? `the table "${names[0]}"` : `the key ${describe([...keys.keys()][0])}`;
  throw new DoSQLError(
    'FORBIDDEN',
    `the storage holds ${what}: restore into a new object, or call ctx.storage.deleteAll() first`,
  );
}

async function fill(
  storage: DurableObjectStorage,
  cold: FileStore,
  manifest: BackupManifest,
  target: number,
): Promise<Restored> {
  const { sql } = storage;
  await setForeignKeys(storage, false);
  const { base } = manifest;
  const course: Course = { target, first: base.first, last: base.last };
  const window = windowAt(manifest, target);
  new Log(sql).open(0);
  sql.exec(`${RELATION_TABLE}; ${OBJECT_TABLE}; ${MIGRATION_TABLE}`);
  createNotes(sql);
  const stretch = { after: Math.min(window.lsn, base.first, target), to: Math.max(target, base.last) };
  const log = await loadLog(sql, cold, manifest.segments, stretch, target);
  const catalog = joinCatalogs([...log.catalogs, manifest]);
  const counts = { rows: log.rows, files: log.files, bytes: log.bytes };
  const relations = catalog.relations.map(relationOf);
  const tables = relations.filter(({ since, until }) => isAt(since, until ?? null, target));
  for (const relation of tables) {
    const filler = new TableFiller(sql, relation, versionsOf(relations, relation), course);
    filler.begin();
    await addBase(cold, manifest, relation, filler, counts);
    await restoreTiers(sql, cold, manifest, relation, filler, counts);
    filler.end();
    // Lets what was written be synced, and memory go.
    await storage.sync();
  }
  defineObjects(sql, catalog, target);
  setSequences(sql, manifest, tables, target);
  keepCatalog(sql, catalog, window.lsn, target);
  keepLog(sql, window, target);
  keepNumbers(sql, manifest);
  keepNotes(sql, manifest, target);
  return {
    name: manifest.name,
    lsn: BigInt(target),
    tables: tables.length,
    ...counts,
    files: counts.files + 1,
    leftOut: manifest.leftOut.filter((name) => !isInternal(name)),
  };
}

/** Where the restored database's window begins: as in the backed up one, or with the segment that the target is in. */
function windowAt({ window, segments, lsn }: BackupManifest, target: number): { lsn: number; at: number } {
  if (target >= window.lsn) return window;
  const at = segments.findIndex(({ last }) => last >= target);
  const [segment, before] = [segments[at], segments[at - 1]];
  if (segment === undefined) return { lsn, at: window.at };
  return { lsn: segment.first - 1, at: before?.toAt ?? segment.fromAt };
}

/** All versions of a table. A number may be given again once the versions that had it are forgotten. */
function versionsOf(relations: readonly Relation[], { tableId }: Relation): Relation[] {
  return relations.filter((relation) => relation.tableId === tableId);
}

async function addBase(
  cold: FileStore,
  { base }: BackupManifest,
  { tableId }: Relation,
  filler: TableFiller,
  counts: { rows: number; files: number; bytes: number },
): Promise<void> {
  for (const info of base.files) {
    if (info.tableId !== tableId) continue;
    const bytes = await getFile(cold, info);
    const file = await openRows(info.path, bytes);
    const about = file.about(BASE_KEY);
    if (about === undefined) throw new DoSQLError('CORRUPT_FILE', `"${info.path}" holds no rows of a table`);
    counts.rows += await filler.add(file, JSON.parse(about) as BaseAbout);
    counts.files++;
    counts.bytes += bytes.length;
  }
}

/** Indexes once their tables are full; triggers in their order, since the newest fires first. */
function defineObjects(sql: SqlStorage, { objects }: CatalogRows, target: number): void {
  const there = objects.filter(([, , , since, until]) => isAt(since, until, target));
  for (const wanted of ['index', 'view', 'trigger'])
    for (const [type, , , , , text] of there) if (type === wanted) sql.exec(text);
}

/** AUTOINCREMENT goes on behind every number that may have been given. */
function setSequences(
  sql: SqlStorage,
  manifest: BackupManifest,
  tables: readonly Relation[],
  target: number,
): void {
  const hasTable = first(sql, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'") !== undefined;
  if (!hasTable) return;
  const isEnd = target === manifest.lsn;
  for (const [tableId, value] of isEnd ? manifest.sequences : manifest.base.sequences) {
    const table = tables.find((relation) => relation.tableId === tableId)?.table;
    if (table === undefined) continue;
    const now = first<[number]>(sql, 'SELECT seq FROM sqlite_sequence WHERE name = ?', table)?.[0];
    if (now === undefined)
      sql.exec('INSERT INTO sqlite_sequence(name, seq) VALUES(?, CAST(? AS INTEGER))', table, String(value));
    else if (isEnd || value > now)
      sql.exec('UPDATE sqlite_sequence SET seq = CAST(? AS INTEGER) WHERE name = ?', String(value), table);
  }
}

/** What was defined from the window's beginning to the target. */
function keepCatalog(
  sql: SqlStorage,
  { relations, objects }: CatalogRows,
  from: number,
  target: number,
): void {
  const isKept = (since: number, until: number | null): boolean =>
    since <= target && (until === null || until > from);
  const ended = (until: number | null): number | null => (until === null || until > target ? null : until);
  for (const [id, tableId, name, since, until, text, shape] of relations)
    if (isKept(since, until))
      sql.exec(
        `INSERT INTO __dosql_relation(id, table_id, branch, name, since, until, sql, shape) VALUES(?, ?, ${MAIN}, ?, ?, ?, ?, ?)`,
        id,
        tableId,
        name,
        since,
        ended(until),
        text,
        shape,
      );
  for (const [type, name, table, since, until, text, place] of objects)
    if (isKept(since, until))
      sql.exec(
        `INSERT INTO __dosql_object(branch, type, name, tbl_name, since, until, sql, place) VALUES(${MAIN}, ?, ?, ?, ?, ?, ?, ?)`,
        type,
        name,
        table,
        since,
        ended(until),
        text,
        place,
      );
}

/** Of the log what lies in the window, without the rows of branches, which are not restored; its last LSN stays. */
function keepLog(
  sql: SqlStorage,
  window: { readonly lsn: number; readonly at: number },
  target: number,
): void {
  sql.exec('DELETE FROM __dosql_log WHERE lsn > ? OR (lsn <= ? AND lsn < ?)', target, window.lsn, target);
  sql.exec('DELETE FROM __dosql_tx WHERE last > ? OR last <= ?', target, window.lsn);
  sql.exec(
    'DELETE FROM __dosql_log WHERE rel <> 0 AND rel NOT IN (SELECT id FROM __dosql_relation) AND lsn <> ?',
    target,
  );
  const at = first<[number | null]>(sql, 'SELECT max(at) FROM __dosql_log')?.[0] ?? window.at;
  if (target > 0)
    sql.exec(
      `INSERT INTO __dosql_log(lsn, rel, op, at) VALUES(?, 0, ${OP.schema}, ?) ON CONFLICT(lsn) DO UPDATE SET rel = 0, op = ${OP.schema} WHERE rel <> 0 AND rel NOT IN (SELECT id FROM __dosql_relation)`,
      target,
      at,
    );
  const log = new Log(sql);
  log.setMeta('trimmed_lsn', window.lsn);
  log.setMeta('trimmed_at', window.at);
}

/** Versions of tables get numbers that none has had which the archive knows. */
function keepNumbers(sql: SqlStorage, { numbers = [0, 0] }: BackupManifest): void {
  const log = new Log(sql);
  log.setMeta('id', numbers[0]);
  log.setMeta('tableId', numbers[1]);
}

/** What a further backup goes on from. A segment that goes on past the target is of another course of things. */
function keepNotes(sql: SqlStorage, manifest: BackupManifest, target: number): void {
  for (const [name, checksum, appliedAt, durationMs, lsn] of manifest.migrations)
    if (lsn <= target)
      sql.exec(
        `INSERT INTO __dosql_migration(branch, name, checksum, applied_at, duration_ms, lsn) VALUES(${MAIN}, ?, ?, ?, ?, ?)`,
        name,
        checksum,
        appliedAt,
        durationMs,
        lsn,
      );
  if (earliestLsn(manifest) > target) return;
  for (const segment of manifest.segments) if (segment.last <= target) insertSegment(sql, segment);
  const note = (key: string, value: unknown): void =>
    void sql.exec('INSERT INTO __dosql_backup(key, value) VALUES(?, ?)', key, JSON.stringify(value));
  note('adopted', true);
  if (manifest.base.last <= target) note('base', { ...manifest.base, tierFiles: manifest.tierFiles });
}

/** The pragma is heeded only while no transaction is open, and the first write of a turn opens one. */
async function setForeignKeys(storage: DurableObjectStorage, isOn: boolean): Promise<void> {
  const { sql } = storage;
  const isSet = (): boolean => (first<[number]>(sql, 'PRAGMA foreign_keys')?.[0] === 1) === isOn;
  for (let attempt = 0; !isSet(); attempt++) {
    if (attempt > 20)
      throw new DoSQLError(
        'STORAGE_UNAVAILABLE',
        'foreign keys cannot be set while others write: restore in an object that does nothing else',
      );
    await storage.sync();
    sql.exec(`PRAGMA foreign_keys = ${isOn ? 'ON' : 'OFF'}`);
  }
}
