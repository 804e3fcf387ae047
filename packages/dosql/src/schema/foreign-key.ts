import { DoSQLError } from '../error.ts';
import { all, first } from '../sql/read.ts';
import { NO_RELATION } from './capture.ts';
import type { Catalog } from './catalog.ts';

/**
 * A deferred foreign key that is violated at commit would reset the object, so it is looked for before.
 *
 * @throws DoSQLError `CONSTRAINT_FOREIGNKEY`
 */
export function checkKeys(sql: SqlStorage, catalog: Catalog, since: number): void {
  if (first<[number]>(sql, 'PRAGMA foreign_keys')?.[0] === 0) return;
  const violated = violatedKey(sql, catalog, since);
  if (violated === undefined) return;
  throw new DoSQLError(
    'CONSTRAINT_FOREIGNKEY',
    `FOREIGN KEY constraint failed: a row of "${violated.table}" refers to a row of "${violated.parent}" that is not there`,
  );
}

/**
 * A foreign key that the changes after `since` have left violated; undefined when there is none.
 *
 * Only tables that changed are looked at, and those that refer to them: SQLite's own check reads a table
 * from end to end, so its cost is that of the tables that the transaction touched.
 */
export function violatedKey(
  sql: SqlStorage,
  catalog: Catalog,
  since: number,
): { table: string; parent: string } | undefined {
  const changed = all<[number]>(
    sql,
    'SELECT DISTINCT rel FROM __dosql_log WHERE lsn > ? AND rel <> ?',
    since,
    NO_RELATION,
  ).map(([id]) => catalog.relation(id).table.toLowerCase());
  if (changed.length === 0) return undefined;
  for (const { table: name } of catalog.current()) {
    const parents = all<[string]>(sql, 'SELECT "table" FROM pragma_foreign_key_list(?)', name);
    if (
      !changed.includes(name.toLowerCase()) &&
      !parents.some(([parent]) => changed.includes(parent.toLowerCase()))
    )
      continue;
    const violation = first<[string, number | null, string]>(
      sql,
      'SELECT "table", rowid, parent FROM pragma_foreign_key_check(?) LIMIT 1',
      name,
    );
    if (violation !== undefined) return { table: violation[0], parent: violation[2] };
  }
  return undefined;
}
