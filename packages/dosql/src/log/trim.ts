import type { Engine } from '../engine.ts';
import { all, first } from '../sql/read.ts';

/** How much of the log is kept hot. */
export interface Window {
  readonly keepMs: number;
  readonly maxBytes: number;
}

/** Rows deleted in one step: a few ms. */
const STEP_ROWS = 1_000;
const SAMPLE_ROWS = 200;

/**
 * Deletes one step's worth of the log's oldest whole transactions that are outside the window.
 * Returns whether more is left to delete.
 *
 * The last row always stays: SQLite gives the LSN after it, so no LSN is given twice.
 */
export function trimStep(engine: Engine, window: Window): boolean {
  const { log } = engine;
  const { sql } = engine.storage;
  const end = log.end();
  const { lsn: from } = log.earliest();
  const target = Math.min(
    Math.max(log.lsnAt(engine.nowMs() - window.keepMs), beyondSize(sql, from, end, window.maxBytes)),
    end - 1,
  );
  const step = log.wholeUpTo(Math.min(target, from + STEP_ROWS));
  // A transaction longer than a step goes as a whole, or not at all.
  const to = step > from ? step : log.wholeUpTo(target);
  if (to <= from) return false;
  const at = first<[number]>(sql, 'SELECT at FROM __dosql_log WHERE lsn = ?', to)?.[0];
  engine.storage.transactionSync(() => {
    sql.exec('DELETE FROM __dosql_log WHERE lsn <= ?', to);
    sql.exec('DELETE FROM __dosql_tx WHERE last <= ?', to);
    sql.exec('DELETE FROM __dosql_relation WHERE until <= ?', to);
    sql.exec('DELETE FROM __dosql_view WHERE until <= ?', to);
    log.setMeta('trimmed_lsn', to);
    if (at !== undefined) log.setMeta('trimmed_at', at);
  });
  engine.points.clear();
  engine.catalog.forget(to);
  return to < target;
}

/** The LSN up to which changes have to go for the log to be about `maxBytes`, judged by a sample of its rows. */
function beyondSize(sql: SqlStorage, from: number, end: number, maxBytes: number): number {
  const count = end - from;
  if (count === 0 || !Number.isFinite(maxBytes)) return from;
  const names = all<[string]>(sql, "SELECT name FROM pragma_table_info('__dosql_log')");
  const columns = names.map(([name]) => `ifnull(octet_length(${name}), 0)`);
  const sizes = balance(columns);
  const stride = Math.max(1, Math.floor(count / SAMPLE_ROWS));
  const average = first<[number | null]>(
    sql,
    `WITH RECURSIVE at(lsn) AS (SELECT ? UNION ALL SELECT lsn + ${stride} FROM at WHERE lsn + ${stride} <= ?) SELECT avg(${sizes}) + ${columns.length} FROM at JOIN __dosql_log USING (lsn)`,
    from + 1,
    end,
  )?.[0];
  const keep = Math.floor(maxBytes / (average ?? 100));
  return count > keep ? end - keep : from;
}

/** A sum as a balanced tree: expressions may be 100 levels deep. */
function balance(terms: readonly string[]): string {
  if (terms.length === 1) return terms[0] as string;
  const half = Math.ceil(terms.length / 2);
  return `(${balance(terms.slice(0, half))} + ${balance(terms.slice(half))})`;
}
