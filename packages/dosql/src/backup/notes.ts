import type { Engine } from '../engine.ts';
import { all, first } from '../sql/read.ts';
import type { ColdFileInfo } from './cold-file.ts';

/** A stretch of the log in the cold store. */
export interface Segment extends ColdFileInfo {
  /** Its first and last LSN; the segment before it ends just before `first`. */
  readonly first: number;
  readonly last: number;
  /** Times of its first and last change, as julian days. */
  readonly fromAt: number;
  readonly toAt: number;
  readonly rows: number;
  /** About what its rows take in the log; undefined for one that is older than this was noted. */
  readonly logBytes?: number | undefined;
}

type SegmentRow = [
  first: number,
  last: number,
  fromAt: number,
  toAt: number,
  rows: number,
  path: string,
  sizeBytes: number,
  checksum: string,
  logBytes: number | null,
];

/** What the database notes of its backups, besides the segments: texts of JSON by these keys. */
type NoteKey = 'epoch' | 'base' | 'manifest' | 'sequence' | 'adopted';

/**
 * What of the database is in the cold store, noted in the object's SQLite: the cold store is never listed for it. A path
 * is noted as garbage before it is written, and no more once something refers to it, so whatever is cut off leaves
 * nothing behind.
 */
export class Notes {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get #sql(): SqlStorage {
    return this.#engine.storage.sql;
  }

  /** Creates what is missing. */
  open(): void {
    createNotes(this.#sql);
  }

  /** True once something has been noted. */
  get exists(): boolean {
    return hasNotes(this.#sql);
  }

  /** The segments, in order. */
  segments(): Segment[] {
    const columns = 'first, last, from_at, to_at, rows, path, size, checksum, log_bytes';
    return all<SegmentRow>(this.#sql, `SELECT ${columns} FROM __dosql_segment ORDER BY first`).map(
      ([first, last, fromAt, toAt, rows, path, sizeBytes, checksum, logBytes]) => ({
        first,
        last,
        fromAt,
        toAt,
        rows,
        path,
        sizeBytes,
        checksum,
        logBytes: logBytes ?? undefined,
      }),
    );
  }

  /** The last segment. */
  lastSegment(): Segment | undefined {
    const last = first<[number]>(this.#sql, 'SELECT first FROM __dosql_segment ORDER BY first DESC LIMIT 1');
    return last && this.segments().at(-1);
  }

  addSegment(segment: Segment): void {
    insertSegment(this.#sql, segment);
    this.keep(segment.path);
  }

  removeSegment({ first, path }: Segment, until: number): void {
    this.#sql.exec('DELETE FROM __dosql_segment WHERE first = ?', first);
    this.discard(path, until);
  }

  get<T>(key: NoteKey): T | undefined {
    const text = first<[string]>(this.#sql, 'SELECT value FROM __dosql_backup WHERE key = ?', key)?.[0];
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  set(key: NoteKey, value: unknown): void {
    if (value === undefined) this.#sql.exec('DELETE FROM __dosql_backup WHERE key = ?', key);
    else
      this.#sql.exec(
        'INSERT OR REPLACE INTO __dosql_backup(key, value) VALUES(?, ?)',
        key,
        JSON.stringify(value),
      );
  }

  /** Takes note that the bytes at `path` are to be deleted after `until`. */
  discard(path: string, until: number): void {
    this.#sql.exec(
      'INSERT INTO __dosql_backup_garbage(path, until) VALUES(?, ?) ON CONFLICT(path) DO UPDATE SET until = min(until, excluded.until)',
      path,
      until,
    );
  }

  /** Takes note that something refers to `path`. */
  keep(path: string): void {
    this.#sql.exec('DELETE FROM __dosql_backup_garbage WHERE path = ?', path);
  }

  /** Nobody may restore from what is garbage any more: its bytes are to be deleted after `until`. */
  expireGarbage(until: number): void {
    this.#sql.exec('UPDATE __dosql_backup_garbage SET until = min(until, ?)', until);
  }

  /** Keeps the bytes of these cold files of tiered tables, and of no others. */
  holdTierFiles(paths: readonly string[]): void {
    this.#sql.exec('DELETE FROM __dosql_backup_file');
    this.#sql.exec(
      'INSERT OR IGNORE INTO __dosql_backup_file(path) SELECT value FROM json_each(?)',
      JSON.stringify(paths),
    );
  }

  /** Paths whose bytes may be deleted by now. */
  garbage(nowMs: number): string[] {
    return all<[string]>(
      this.#sql,
      'SELECT path FROM __dosql_backup_garbage WHERE until <= ? ORDER BY until LIMIT 200',
      nowMs,
    ).flat();
  }
}

/** Creates what notes are kept in. */
export function createNotes(sql: SqlStorage): void {
  sql.exec(
    'CREATE TABLE IF NOT EXISTS __dosql_segment(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, from_at REAL NOT NULL, to_at REAL NOT NULL, ' +
      'rows INTEGER NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, checksum TEXT NOT NULL, log_bytes INTEGER) STRICT; ' +
      'CREATE TABLE IF NOT EXISTS __dosql_backup(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID; ' +
      'CREATE TABLE IF NOT EXISTS __dosql_backup_garbage(path TEXT PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID; ' +
      // Cold files that the newest base refers to: they are not deleted when their table does not need them any more.
      'CREATE TABLE IF NOT EXISTS __dosql_backup_file(path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID',
  );
}

/** Whether the database has ever been backed up. */
export function hasNotes(sql: SqlStorage): boolean {
  return first(sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_segment'") !== undefined;
}

/** Notes a segment. */
export function insertSegment(
  sql: SqlStorage,
  { first, last, fromAt, toAt, rows, path, sizeBytes, checksum, logBytes }: Segment,
): void {
  sql.exec(
    'INSERT INTO __dosql_segment(first, last, from_at, to_at, rows, path, size, checksum, log_bytes) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)',
    first,
    last,
    fromAt,
    toAt,
    rows,
    path,
    sizeBytes,
    checksum,
    logBytes ?? null,
  );
}
