import type { Lag, MaxLag } from '@dotdo/cdc';
import type { Engine } from '../engine.ts';
import { all, first } from '../sql/read.ts';
import { fromJulian } from './log.ts';
import { averageBytes } from './trim.ts';

/** The name in which the log is kept until it is archived. */
export const ARCHIVE_HOLD = 'dosql:archive';

const DEFAULT_MAX_BYTES = 1_073_741_824;

/**
 * Those who still need the log after an LSN, by name. Trimming stops there, unless one has fallen behind by more than
 * it may: then it is let go of, as a consumer that is gone must not fill the storage.
 */
export class Holds {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Keeps the log after `lsn` in the name `name`, in place of what it held before; without `maxLag`, as far as before. */
  set(name: string, lsn: bigint, maxLag: MaxLag | undefined): void {
    const { sql } = this.#engine.storage;
    if (maxLag === undefined && this.#exists()) {
      sql.exec('UPDATE __dosql_hold SET lsn = ? WHERE name = ?', Number(lsn), name);
      if (first<[number]>(sql, 'SELECT changes()')?.[0] === 1) return;
    }
    const { changes, bytes = DEFAULT_MAX_BYTES, seconds } = maxLag ?? {};
    sql.exec(
      'CREATE TABLE IF NOT EXISTS __dosql_hold(name TEXT PRIMARY KEY, lsn INTEGER NOT NULL, changes INTEGER, bytes INTEGER, seconds REAL) WITHOUT ROWID',
    );
    sql.exec(
      'INSERT OR REPLACE INTO __dosql_hold(name, lsn, changes, bytes, seconds) VALUES(?, ?, ?, ?, ?)',
      name,
      Number(lsn),
      changes ?? null,
      bytes,
      seconds ?? null,
    );
  }

  /** After which LSN `name` keeps the log, and whether only up to some size; undefined when it keeps nothing. */
  of(name: string): { readonly lsn: number; readonly isBounded: boolean } | undefined {
    if (!this.#exists()) return undefined;
    const { sql } = this.#engine.storage;
    const text = 'SELECT lsn, bytes FROM __dosql_hold WHERE name = ?';
    const row = first<[number, number | null]>(sql, text, name);
    return row && { lsn: row[0], isBounded: row[1] !== Infinity };
  }

  /** Lets go of what `name` holds. */
  release(name: string): void {
    if (this.#exists()) this.#engine.storage.sql.exec('DELETE FROM __dosql_hold WHERE name = ?', name);
  }

  /** The LSN after which the log is needed; undefined when nobody needs it. Lets go of those too far behind. */
  lowest(): number | undefined {
    if (!this.#exists()) return undefined;
    const { sql } = this.#engine.storage;
    const kept = all<[string, number, number | null, number | null, number | null]>(
      sql,
      'SELECT name, lsn, changes, bytes, seconds FROM __dosql_hold ORDER BY lsn',
    );
    for (const [name, lsn, changes, bytes, seconds] of kept) {
      const lag = lagOf(this.#engine, lsn);
      const isGone =
        lag.changes > (changes ?? Infinity) ||
        lag.bytes > (bytes ?? Infinity) ||
        lag.seconds > (seconds ?? Infinity);
      if (!isGone) return lsn;
      this.release(name);
    }
    return undefined;
  }

  #exists(): boolean {
    return (
      first(this.#engine.storage.sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_hold'") !== undefined
    );
  }
}

/** How far a cursor at `lsn` is behind. */
export function lagOf(engine: Engine, lsn: number): Lag {
  const { sql } = engine.storage;
  const end = engine.log.end();
  const changes = Math.max(0, end - lsn);
  if (changes === 0) return { changes, bytes: 0, seconds: 0 };
  const at = first<[number]>(sql, 'SELECT at FROM __dosql_log WHERE lsn > ? ORDER BY lsn LIMIT 1', lsn)?.[0];
  const ms = at === undefined ? 0 : engine.nowMs() - fromJulian(at);
  return {
    changes,
    bytes: Math.round(changes * averageBytes(sql, lsn, end)),
    seconds: Math.max(0, ms / 1_000),
  };
}
