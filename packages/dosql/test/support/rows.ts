import type { Database } from '../../src/index.ts';

/** Names of the user's tables. */
export function tableNames(sql: SqlStorage): string[] {
  return [
    ...sql
      .exec(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '[_]*' AND name NOT GLOB 'sqlite*' ORDER BY name",
      )
      .raw(),
  ].flat() as string[];
}

/** Every row of tables with the type of every value, and its rowid if it has one, as of now or of an LSN. */
export async function exactRows(
  db: Database,
  tables: readonly string[],
  lsn?: bigint,
): Promise<Record<string, string[]>> {
  const reader = lsn === undefined ? db : db.asOf({ lsn });
  const found: Record<string, string[]> = {};
  for (const table of tables) {
    const info = await db.query<{ name: string }>('SELECT name FROM pragma_table_xinfo(?)', [table]);
    const list = await db.get<{ wr: number }>('SELECT wr FROM pragma_table_list WHERE name = ?', [table]);
    const names = info.map(({ name }) => `"${name.replaceAll('"', '""')}"`);
    if (list?.wr === 0) names.push('rowid');
    const exact = names.map((name, i) => `typeof(${name}) || quote(${name}) AS c${i}`);
    const rows = await reader.query(`SELECT ${exact.join(', ')} FROM "${table.replaceAll('"', '""')}"`);
    found[table] = rows.map((row) => Object.values(row).join(' ')).toSorted();
  }
  return found;
}
