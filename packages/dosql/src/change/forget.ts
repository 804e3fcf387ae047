import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { Point } from '../history/point.ts';
import { MAIN } from '../schema/line.ts';
import { OP } from '../schema/capture.ts';
import type { Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { ErasedPast, type Forget } from './delivered.ts';
import { keepEnd } from './erase.ts';
import type { ErasureReport } from './purge.ts';

/** Keeps from when on the past of a table can be read, where that is not the whole window. */
const CREATE =
  'CREATE TABLE IF NOT EXISTS __dosql_forgotten(table_id INTEGER PRIMARY KEY, lsn INTEGER NOT NULL)';

/**
 * Erases the past of tables before `point` from the log. Their rows stay, and so does their past from then on: it is
 * read from changes after the point only. Before it the tables were not there, for those who read the past.
 *
 * @throws DoSQLError what resolving the point throws, `BAD_PARAMETER` while a branch reads main as of a point before. A
 * branch that forked after it has no past before it.
 */
export function eraseHistory(
  engine: Engine,
  { name }: Relation,
  named: readonly Relation[],
  point: Point,
  forget: Forget | undefined,
): ErasureReport {
  const { catalog, history, log, storage } = engine;
  const { sql } = storage;
  const tables = named.filter(({ branch }) => branch === MAIN);
  if (tables.length === 0)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `only branches have a table "${name}", whose past merging needs: give { where } to erase rows of it`,
    );
  const lsn = history.points.resolve(point);
  assertNoBranch(sql, lsn);
  sql.exec(CREATE);
  const end = log.end();
  const deadLetters = forget?.(new ErasedPast(engine, tables, lsn)) ?? 0;
  let logEntries = 0;
  for (const { tableId } of tables) {
    const versions = catalog.versions(tableId, MAIN);
    const ids = JSON.stringify(versions.map(({ id }) => id));
    const isOld = 'lsn <= ?1 AND rel IN (SELECT value FROM json_each(?2))';
    const [count] = all<[number]>(
      sql,
      `SELECT count(*) FROM __dosql_log WHERE ${isOld} AND op BETWEEN ${OP.insert} AND ${OP.updateBefore}`,
      lsn,
      ids,
    );
    logEntries += count?.[0] ?? 0;
    sql.exec(`DELETE FROM __dosql_log WHERE ${isOld}`, lsn, ids);
    for (const { id, since, until } of versions) {
      if (until !== undefined && until <= lsn) sql.exec('DELETE FROM __dosql_relation WHERE id = ?', id);
      else if (since < lsn) sql.exec('UPDATE __dosql_relation SET since = ? WHERE id = ?', lsn, id);
    }
    sql.exec(
      'INSERT INTO __dosql_forgotten(table_id, lsn) VALUES(?, ?) ON CONFLICT(table_id) DO UPDATE SET lsn = max(lsn, excluded.lsn)',
      tableId,
      lsn,
    );
  }
  keepEnd(engine, end);
  catalog.load();
  const erased = { rows: 0, logEntries };
  return {
    table: name,
    ...erased,
    tables: { [name]: erased },
    branches: 0,
    deadLetters,
    files: 0,
    lsn: BigInt(log.end()),
  };
}

/** Tables whose past before some LSN has been erased, and that LSN. */
export function forgotten(sql: SqlStorage): ReadonlyMap<number, number> {
  if (!exists(sql, '__dosql_forgotten')) return new Map();
  return new Map(all<[number, number]>(sql, 'SELECT table_id, lsn FROM __dosql_forgotten'));
}

/** A branch that reads main as of then would no longer find the table. */
function assertNoBranch(sql: SqlStorage, lsn: number): void {
  if (!exists(sql, '__dosql_branch')) return;
  const [branch] = all<[string]>(sql, 'SELECT name FROM __dosql_branch WHERE origin < ? LIMIT 1', lsn);
  if (branch !== undefined)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `branch "${branch[0]}" reads the past that is to be erased: merge it and drop it first`,
    );
}

function exists(sql: SqlStorage, table: string): boolean {
  return all(sql, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", table).length > 0;
}
