import type { Engine } from '../engine.ts';
import { balanced } from '../sql/compound.ts';
import { all, first } from '../sql/read.ts';
import { leaseOf } from './lease.ts';
import { fromJulian } from './log.ts';

/** How much of the log is kept hot. */
export interface Window {
  readonly keepMs: number;
  readonly maxBytes: number;
}

/** The timer that trims the log. */
export const TRIM_TIMER = 'dosql:trim';

/** Rows deleted in one step: a few ms. */
const STEP_ROWS = 1_000;
const SAMPLE_ROWS = 200;

/**
 * Moves the window's beginning on and deletes one step's worth of what lies before it. Returns whether more
 * is left to delete. However long a transaction is, a step is not: the window begins after the transaction
 * at once, its rows go step by step.
 *
 * What a branch needs stays, however old and large it becomes, until the branch is dropped; what a slot needs, until
 * the slot is too far behind; what was recalled, as long as its lease holds.
 *
 * The last row always stays: SQLite gives the LSN after it, so no LSN is given twice.
 */
export function trimStep(engine: Engine, window: Window, lowestHold: () => number | undefined): boolean {
  const { log } = engine;
  const { sql } = engine.storage;
  const end = log.end();
  const { lsn: from } = log.earliest();
  const outside = Math.max(tooOld(engine, from, window.keepMs), tooMany(sql, from, end, window.maxBytes));
  // A branch reads main as it was when it forked, and merging compares with that, however long ago it was.
  const held = engine.branching?.heldFrom ?? end;
  // Asked only when there is something to trim: those who are too far behind are let go of.
  const awaited = outside > from ? (lowestHold() ?? end) : end;
  const lease = leaseOf(log);
  const leased = lease !== undefined && lease.untilMs > engine.nowMs() ? lease.lsn : end;
  const begin = Math.max(from, log.wholeUpTo(Math.min(outside, held, awaited, leased, end - 1)));
  const oldest = first<[number | null]>(sql, 'SELECT min(lsn) FROM __dosql_log')?.[0] ?? end;
  // Of a transaction that is being recalled some rows may be there already, before the window's beginning.
  const last = Math.min(begin, leased);
  if (begin === from && oldest > last) return false;
  const to = Math.min(last, oldest + STEP_ROWS - 1);
  engine.storage.transactionSync(() => {
    if (begin > from) {
      // A purge may have left no row of that very LSN.
      const at = first<[number]>(
        sql,
        'SELECT at FROM __dosql_log WHERE lsn <= ? ORDER BY lsn DESC LIMIT 1',
        begin,
      )?.[0];
      log.setMeta('trimmed_lsn', begin);
      if (at !== undefined) log.setMeta('trimmed_at', at);
      engine.catalog.trim(begin);
    }
    sql.exec('DELETE FROM __dosql_log WHERE lsn <= ?', to);
    sql.exec('DELETE FROM __dosql_tx WHERE last <= ?', to);
  });
  if (begin > from) {
    engine.loadedHistory?.points.clear();
    engine.catalog.forget(begin);
  }
  return to < last;
}

/** When the window has to move on, in ms; while the log is empty, when a change made now will be too old. */
export function trimDue(engine: Engine, window: Window): number {
  const { log, storage } = engine;
  const from = log.earliest().lsn;
  if (tooMany(storage.sql, from, log.end(), window.maxBytes) > from) return 0;
  return (oldestAfter(storage.sql, from)?.ms ?? engine.nowMs()) + window.keepMs;
}

function oldestAfter(sql: SqlStorage, lsn: number): { lsn: number; ms: number } | undefined {
  const row = first<[number, number]>(
    sql,
    'SELECT lsn, at FROM __dosql_log WHERE lsn > ? ORDER BY lsn LIMIT 1',
    lsn,
  );
  return row && { lsn: row[0], ms: fromJulian(row[1]) };
}

/** The last LSN that is older than is kept; `from` when none is. */
function tooOld(engine: Engine, from: number, keepMs: number): number {
  const limit = engine.nowMs() - keepMs;
  const oldest = oldestAfter(engine.storage.sql, from);
  return oldest === undefined || oldest.ms > limit ? from : engine.log.lsnAt(limit);
}

/** The LSN up to which changes have to go for the log to be about `maxBytes`, judged by a sample of its rows. */
function tooMany(sql: SqlStorage, from: number, end: number, maxBytes: number): number {
  const count = end - from;
  // The log is a part of the database: no need to measure it while the whole is small enough.
  if (count === 0 || sql.databaseSize <= maxBytes) return from;
  const keep = Math.floor(maxBytes / averageBytes(sql, from, end));
  return count > keep ? end - keep : from;
}

/** What a row of the log after `from` takes, in bytes, by a sample. */
export function averageBytes(sql: SqlStorage, from: number, end: number): number {
  const names = all<[string]>(sql, "SELECT name FROM pragma_table_info('__dosql_log')");
  const columns = names.map(([name]) => `ifnull(octet_length(${name}), 0)`);
  const sizes = balanced(columns, '+');
  const stride = Math.max(1, Math.floor((end - from) / SAMPLE_ROWS));
  const average = first<[number | null]>(
    sql,
    `WITH RECURSIVE at(lsn) AS (SELECT ? UNION ALL SELECT lsn + ${stride} FROM at WHERE lsn + ${stride} <= ?) SELECT avg(${sizes}) + ${columns.length} FROM at JOIN __dosql_log USING (lsn)`,
    from + 1,
    end,
  )?.[0];
  return average ?? 100;
}
