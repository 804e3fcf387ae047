import { DoSQLError } from '../error.ts';
import { first } from '../sql/read.ts';
import { toJulian, type Log } from './log.ts';

/**
 * What reading a point fails with that lies before the window but not before the archive. Who can wait recalls the log
 * back to `lsn` and tries again; who cannot is told what to do.
 */
export class ArchivedPoint extends DoSQLError {
  readonly point: string;
  readonly lsn: number;

  constructor(point: string, lsn: number) {
    super(
      'WAITS',
      `${point} lies in the archive, which takes waiting: use db.query(), or await db.recall() before`,
    );
    this.point = point;
    this.lsn = lsn;
  }
}

/** The points of which the archive has the log up to the window, without a gap. */
export class Archived {
  readonly #sql: SqlStorage;
  readonly #log: Log;

  constructor(sql: SqlStorage, log: Log) {
    this.#sql = sql;
    this.#log = log;
  }

  /** The earliest point, its time as a julian day; undefined where nothing is archived. */
  begin(): readonly [lsn: number, at: number] | undefined {
    return this.#segment('first - 1, from_at', 'TRUE ORDER BY first');
  }

  /** The LSN from which on the log tells the state at `ms`. */
  lsnAt(ms: number): number | undefined {
    const at = toJulian(ms);
    return this.#segment<[number]>(
      `iif(to_at <= ${at}, last, first - 1)`,
      `from_at <= ${at} ORDER BY first DESC`,
    )?.[0];
  }

  /** What is asked of one segment; undefined where there is none, or the log has been trimmed past the last one. */
  #segment<T extends readonly unknown[] = [number, number]>(columns: string, which: string): T | undefined {
    if (first(this.#sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_segment'") === undefined)
      return undefined;
    return first<T>(
      this.#sql,
      `SELECT ${columns} FROM __dosql_segment WHERE (SELECT max(last) FROM __dosql_segment) >= ${this.#log.earliest().lsn} AND ${which} LIMIT 1`,
    );
  }
}
