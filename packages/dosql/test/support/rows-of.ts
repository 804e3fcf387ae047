import type { Database, SqlParameter } from '../../src/index.ts';

/** Rows as arrays, in the order of their text. */
export async function rowsOf(
  db: Database,
  sql: string,
  params: readonly SqlParameter[] = [],
): Promise<unknown[][]> {
  const rows = await db
    .prepare(sql)
    .bind(...params)
    .raw();
  return (rows as unknown[][]).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}
