import { all, first } from '../sql/read.ts';
import type { IcebergPolicy } from './iceberg-options.ts';

/** The tables in which it is noted what Iceberg tables have. */
export const ICEBERG_TABLES: string =
  'CREATE TABLE IF NOT EXISTS __dosql_tier_iceberg(table_id INTEGER PRIMARY KEY, state TEXT NOT NULL) STRICT; ' +
  // Files that some snapshot may name: those without gone_at the present one, the others only one until then.
  'CREATE TABLE IF NOT EXISTS __dosql_tier_iceberg_file(path TEXT PRIMARY KEY, table_id INTEGER NOT NULL, gone_at INTEGER) STRICT, WITHOUT ROWID';

/** What is known of an Iceberg table. */
export interface IcebergState {
  readonly policy: IcebergPolicy;
  /** Its folder in the cold store. */
  readonly folder: string;
  /** The column that is stored as instants, if one is. */
  readonly timeId: number | undefined;
  /** Its columns and partitions as they were committed last, as text. */
  readonly shape?: string | undefined;
  /** Its present snapshot. */
  readonly snapshot?: string | undefined;
  /** A commit has been begun, and is not known to be done. */
  readonly isPending?: boolean | undefined;
  /** The next commit takes away all former snapshots, and what changes that were cut off have left. */
  readonly isErasing?: boolean | undefined;
}

/** Notes what Iceberg tables have, in the object's SQLite. */
export class IcebergNotes {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  /** The ids of the tables that are Iceberg tables, too. */
  tableIds(): number[] {
    return all<[number]>(this.#sql, 'SELECT table_id FROM __dosql_tier_iceberg ORDER BY table_id').map(
      ([id]) => id,
    );
  }

  state(tableId: number): IcebergState | undefined {
    const row = first<[string]>(
      this.#sql,
      'SELECT state FROM __dosql_tier_iceberg WHERE table_id = ?',
      tableId,
    );
    return row === undefined ? undefined : (JSON.parse(row[0]) as IcebergState);
  }

  setState(tableId: number, state: IcebergState): void {
    this.#sql.exec(
      'INSERT OR REPLACE INTO __dosql_tier_iceberg(table_id, state) VALUES(?, ?)',
      tableId,
      JSON.stringify(state),
    );
  }

  /** The files that the present snapshot has, or will have when a commit is done. */
  live(tableId: number): string[] {
    return all<[string]>(
      this.#sql,
      'SELECT path FROM __dosql_tier_iceberg_file WHERE table_id = ? AND gone_at IS NULL',
      tableId,
    ).map(([path]) => path);
  }

  /** When the first file went that former snapshots still have; undefined when they have none. */
  firstGone(tableId: number): number | undefined {
    const [at] = first<[number | null]>(
      this.#sql,
      'SELECT min(gone_at) FROM __dosql_tier_iceberg_file WHERE table_id = ?',
      tableId,
    ) ?? [null];
    return at ?? undefined;
  }

  /** Files are about to be named by a snapshot: from now on they are held. */
  hold(tableId: number, paths: readonly string[]): void {
    this.#sql.exec(
      'INSERT INTO __dosql_tier_iceberg_file(path, table_id) SELECT value, ? FROM json_each(?) WHERE TRUE ' +
        'ON CONFLICT(path) DO UPDATE SET gone_at = NULL WHERE gone_at IS NOT NULL',
      tableId,
      JSON.stringify(paths),
    );
  }

  /** The present snapshot, made at `at`, has just these files; those made before `expired` are gone. */
  committed(tableId: number, paths: readonly string[], at: number, expired: number): void {
    this.#sql.exec(
      'UPDATE __dosql_tier_iceberg_file SET gone_at = ? WHERE table_id = ? AND gone_at IS NULL AND path NOT IN (SELECT value FROM json_each(?))',
      at,
      tableId,
      JSON.stringify(paths),
    );
    this.#sql.exec(
      'DELETE FROM __dosql_tier_iceberg_file WHERE table_id = ? AND gone_at < ?',
      tableId,
      Math.min(expired, Number.MAX_SAFE_INTEGER),
    );
  }

  /** There is no Iceberg table any more. */
  forget(tableId: number): void {
    this.#sql.exec('DELETE FROM __dosql_tier_iceberg_file WHERE table_id = ?', tableId);
    this.#sql.exec('DELETE FROM __dosql_tier_iceberg WHERE table_id = ?', tableId);
  }
}
