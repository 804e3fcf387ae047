import { createCDC, type Change, type Database } from '../../src/index.ts';

/** Every place in the object's own tables that holds `marker`, as text or within a blob. */
export function found(sql: SqlStorage, marker: string): string[] {
  const tables = [
    ...sql.exec("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '_cf_*'").raw(),
  ].flat() as string[];
  return tables.flatMap((table) => {
    const names = [...sql.exec('SELECT name FROM pragma_table_xinfo(?)', table).raw()].flat() as string[];
    return names.flatMap((name) => {
      const holds = `instr(CAST("${name}" AS BLOB), CAST(? AS BLOB)) > 0`;
      const count = Number(
        sql.exec(`SELECT count(*) AS n FROM "${table}" WHERE ${holds}`, marker).one()['n'],
      );
      return count > 0 ? [`${table}.${name}: ${count}`] : [];
    });
  });
}

/** All changes that followers of a line get from the beginning. */
export async function changesOf(db: Database): Promise<Change[]> {
  const changes: Change[] = [];
  const signal = AbortSignal.timeout(10_000);
  const end = db.lsn();
  for await (const change of createCDC(db).subscribe(0n, { signal })) {
    if (change.lsn <= end) changes.push(change);
    if (change.lsn >= end) break;
  }
  return changes;
}

/** The changes of one line after an LSN, without waiting for more. */
export async function entriesAfter(db: Database, after: bigint): Promise<Change[]> {
  const { entries } = (await db.backend.read(after, 10_000)) as unknown as { entries: Change[] };
  return entries;
}
