import { physicalName } from '../schema/line.ts';
import { all } from '../sql/read.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import { BEGIN_COPY, END_COPY } from './overlay.ts';

/**
 * Does what copies rows to a branch's tables, in one step: neither the log nor a trigger of the user's takes note.
 *
 * SQLite takes no row into a table with a foreign key to one that is not there, such as one that was dropped, though
 * rows that are there may stay, and be changed in other columns. Where that hinders copying, empty tables stand
 * there meanwhile: no row can refer to one that has gone.
 */
export function copying(storage: DurableObjectStorage, branch: number, copy: () => void): void {
  const { sql } = storage;
  const run = (): void => {
    sql.exec(BEGIN_COPY);
    copy();
    sql.exec(END_COPY);
  };
  try {
    storage.transactionSync(run);
  } catch (error) {
    const parents = String(error).includes('no such table') ? missingParents(sql, branch) : new Map();
    if (parents.size === 0) throw error;
    storage.transactionSync(() => {
      for (const definition of parents.values()) sql.exec(definition);
      run();
      for (const name of parents.keys()) sql.exec(`DROP TABLE ${quoteName(name)}`);
    });
  }
}

/** Tables that a branch's foreign keys refer to and that are not there, by name, with SQL that makes each. */
function missingParents(sql: SqlStorage, branch: number): Map<string, string> {
  const keys = all<[string, string]>(
    sql,
    `SELECT f."table", json_group_array(f."to") FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f
     WHERE s.type = 'table' AND s.name BETWEEN ?1 AND ?1 || char(1114111)
     AND NOT EXISTS (SELECT 1 FROM sqlite_schema AS p WHERE p.type = 'table' AND p.name = f."table" COLLATE NOCASE)
     GROUP BY s.name, f.id`,
    physicalName(branch, ''),
  );
  const parents = new Map<string, { name: string; columns: Map<string, string>; keys: Set<string> }>();
  for (const [name, to] of keys) {
    const parent = parents.get(lowerName(name)) ?? { name, columns: new Map(), keys: new Set() };
    parents.set(lowerName(name), parent);
    const named = JSON.parse(to) as (string | null)[];
    // Without names it is the primary key that is meant.
    const columns = named.map((column, i) => column ?? `__dosql_${i}`);
    for (const column of columns) parent.columns.set(lowerName(column), quoteName(column));
    const isPrimary = named.includes(null);
    parent.keys.add(`${isPrimary ? 'PRIMARY KEY' : 'UNIQUE'}(${columns.map(quoteName).join(', ')})`);
  }
  return new Map(
    [...parents.values()].map(({ name, columns, keys }) => [
      name,
      `CREATE TABLE ${quoteName(name)}(${[...columns.values(), ...keys].join(', ')})`,
    ]),
  );
}
