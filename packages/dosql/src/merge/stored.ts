import { storedJson, storedRows, type Stored } from './rows.ts';

/** A row, and how often it is there. */
export interface Count {
  readonly count: number;
  readonly row: readonly Stored[];
}

/** Rows by a text that tells whether they are equal. */
export type Counts = ReadonlyMap<string, Count>;

/** Rows inserted by one statement. */
const ROWS_AT_ONCE = 2_000;

/** How often each row is there. */
export function counted(rows: Iterable<readonly Stored[]>): Counts {
  const counts = new Map<string, { count: number; row: readonly Stored[] }>();
  for (const row of rows) {
    const key = row.map(storedJson).join();
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { count: 1, row });
    else known.count++;
  }
  return counts;
}

/** Puts rows into a table of DoSQL's own. */
export function fill(
  sql: SqlStorage,
  table: string,
  slots: readonly string[],
  rows: readonly (readonly Stored[])[],
): void {
  for (let i = 0; i < rows.length; i += ROWS_AT_ONCE) {
    const json = rows.slice(i, i + ROWS_AT_ONCE).map((row) => `[${row.map(storedJson).join(',')}]`);
    sql.exec(`INSERT INTO ${table}(${slots.join(', ')}) ${storedRows(slots.length)}`, `[${json.join(',')}]`);
  }
}
