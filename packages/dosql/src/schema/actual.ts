import { all, first } from '../sql/read.ts';
import { RESERVED } from '../sql/statement.ts';
import { isInternal, lineOf, MAIN } from './line.ts';

/** A table as SQLite's own schema has it. */
export interface ActualTable {
  readonly name: string;
  readonly sql: string;
  readonly isWithoutRowid: boolean;
  readonly isStrict: boolean;
}

/** A text that is another one whenever the schema is: without what the triggers of DoSQL's own say, which follows from it. */
export function fingerprintOf(sql: SqlStorage): string {
  const text = `SELECT group_concat(type || ' ' || name || ' ' || iif(name GLOB '${RESERVED}[dfisu]*' AND type = 'trigger', '', ifnull(sql, ''))) FROM sqlite_schema`;
  return first<[string | null]>(sql, text)?.[0] ?? '';
}

/** In the order of the schema: that of the pragma is not the same once the database has been opened again. */
export function actualTables(sql: SqlStorage): ActualTable[] {
  return all<[string, string, number, number]>(
    sql,
    "SELECT l.name, s.sql, l.wr, l.strict FROM pragma_table_list AS l JOIN sqlite_schema AS s ON s.name = l.name AND s.type = 'table' WHERE l.type = 'table' AND l.schema = 'main' ORDER BY s.rowid",
  )
    .filter(([name]) => !isInternal(name) || lineOf(name).branch !== MAIN)
    .map(([name, sql, wr, strict]) => ({ name, sql, isWithoutRowid: wr === 1, isStrict: strict === 1 }));
}

/**
 * Tables with a trigger newer than those that capture them. SQLite fires the newest first, and what such a
 * trigger does to the very row would be logged before the change that fired it.
 */
export function firedTooLate(sql: SqlStorage): string[] {
  const isUsers = `(substr(u.name, 1, 8) <> '${RESERVED}' OR u.name GLOB '${RESERVED}b[0-9]*')`;
  return all<[string]>(
    sql,
    `SELECT DISTINCT u.tbl_name FROM sqlite_schema AS u JOIN sqlite_schema AS c ON c.tbl_name = u.tbl_name COLLATE NOCASE AND c.rowid < u.rowid WHERE u.type = 'trigger' AND c.type = 'trigger' AND ${isUsers} AND c.name GLOB '${RESERVED}[disu]*'`,
  ).flat();
}
