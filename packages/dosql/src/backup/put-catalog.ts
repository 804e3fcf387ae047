import { DoSQLError } from '../error.ts';
import { MAIN } from '../schema/line.ts';
import { first } from '../sql/read.ts';
import type { CatalogRows } from './catalog-rows.ts';

/** Records what was defined at `lsn` or has been since, where it is not recorded; returns whether there was something. */
export function putCatalog(sql: SqlStorage, { relations, objects }: CatalogRows, lsn: number): boolean {
  let isNew = false;
  const isThere = (text: string, ...bindings: (string | number)[]): boolean =>
    first(sql, `SELECT 1 FROM ${text}`, ...bindings) !== undefined;
  for (const [id, tableId, name, since, until, text, shape] of relations) {
    // What began at one LSN is one version: none of its columns can tell otherwise.
    if ((until ?? Infinity) <= lsn) continue;
    if (isThere(`__dosql_relation WHERE branch = ${MAIN} AND since = ?`, since)) continue;
    if (isThere('__dosql_relation WHERE id = ?', id))
      throw new DoSQLError(
        'HISTORY_EXPIRED',
        `"${name}" has the number ${id} in the archive, which another table has got since: the log before LSN ${since} cannot be read`,
      );
    isNew = true;
    sql.exec(
      `INSERT INTO __dosql_relation(id, table_id, branch, name, since, until, sql, shape) VALUES(?, ?, ${MAIN}, ?, ?, ?, ?, ?)`,
      id,
      tableId,
      name,
      since,
      until,
      text,
      shape,
    );
  }
  for (const [type, name, table, since, until, text, place] of objects) {
    if ((until ?? Infinity) <= lsn) continue;
    const same = `__dosql_object WHERE branch = ${MAIN} AND type = ? AND name = ? AND since = ?`;
    if (isThere(same, type, name, since)) continue;
    isNew = true;
    sql.exec(
      `INSERT INTO __dosql_object(branch, type, name, tbl_name, since, until, sql, place) VALUES(${MAIN}, ?, ?, ?, ?, ?, ?, ?)`,
      type,
      name,
      table,
      since,
      until,
      text,
      place,
    );
  }
  return isNew;
}
