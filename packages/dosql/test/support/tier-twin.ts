import { expect } from 'vitest';
import { createCDC, DoSQLError, type Database, type Reader } from '../../src/index.ts';

/** Tables that are written alike, the first of each pair tiered; so are their views, indexes and triggers. */
const TWINS: Readonly<Record<string, string>> = { r: 'p', q: 'o' };

/** A statement about the tables that are not tiered. */
export function onTwin(sql: string): string {
  return sql.replaceAll(/(?<![\w'])[rq](?=\b|_)/g, (name) => TWINS[name] as string);
}

/** What running a statement comes to: what it gives, or the error's code. */
export async function outcomeOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    const known = DoSQLError.from(error);
    if (known === undefined) throw error;
    return known.code;
  }
}

/** Rows as texts that tell all values apart, in an order of their own. */
export async function textsOf(
  from: Reader,
  sql: string,
  params: (string | number)[] = [],
): Promise<string[]> {
  const rows = await from.query(sql, params, { integers: 'bigint' });
  return rowsAsTexts(rows);
}

/** Rows as texts in an order of their own; a column that is called as the text of its expression is called as its twin. */
export function rowsAsTexts(rows: readonly object[]): string[] {
  const entries = rows.map((row) =>
    Object.entries(row).map(([name, value]) => [onTwin(name), value as unknown]),
  );
  return entries.map((row) => JSON.stringify(row, plainly)).sort();
}

/** Writes values so that those of different classes differ. */
export function plainly(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number' && !Number.isInteger(value)) return `${value}r`;
  return value instanceof Uint8Array ? `x'${[...value].join()}'` : value;
}

/** The tiered tables are as their twins: now, at these points, in the stream from the beginning and in its snapshot. */
export async function checkTwins(
  db: Database,
  points: readonly bigint[],
  trace: string,
  tables = ['r'],
): Promise<void> {
  for (const table of tables) {
    const sql = `SELECT * FROM ${table}`;
    expect(await textsOf(db, sql), trace).toEqual(await textsOf(db, onTwin(sql)));
    for (const lsn of points) {
      const then = db.asOf({ lsn });
      expect(await textsOf(then, sql), `as of ${lsn}\n${trace}`).toEqual(await textsOf(then, onTwin(sql)));
    }
    const [rows, twins] = [await snapshotOf(db, table), await snapshotOf(db, onTwin(table))];
    expect(rows, trace).toEqual(twins);
  }
  await checkStreams(db, trace);
}

/** The changes of a tiered table are those of its twin, transaction by transaction. */
export async function checkStreams(db: Database, trace: string): Promise<void> {
  const changes = new Map<string, Map<bigint, string[]>>();
  const { lsn } = await db.earliest();
  await db.exec('CREATE TABLE IF NOT EXISTS z(id)');
  const { lsn: end } = await db.run('INSERT INTO z VALUES (1)');
  for await (const { tx, table, op, key, before, after } of createCDC(db).subscribe(lsn)) {
    if (tx >= end) break;
    const of = changes.get(table) ?? new Map<bigint, string[]>();
    changes.set(table, of);
    // Rows of one transaction come in the order in which SQLite has met them, which nobody has asked for.
    of.set(tx, [...(of.get(tx) ?? []), JSON.stringify([op, key, before, after], plainly)].sort());
  }
  for (const [table, twin] of Object.entries(TWINS)) {
    const [ours, theirs] = [table, twin].map((name) => [...(changes.get(name)?.values() ?? [])]) as [
      string[][],
      string[][],
    ];
    // Where the log has been trimmed, that may have been between a change and that of the twin.
    if (lsn > 0n && Math.abs(ours.length - theirs.length) === 1)
      (ours.length > theirs.length ? ours : theirs).shift();
    expect(ours, trace).toEqual(theirs);
  }
}

/** The rows that a follower begins with. */
async function snapshotOf(db: Database, table: string): Promise<string[]> {
  const rows: string[] = [];
  for await (const event of createCDC(db).subscribe(0n, { snapshot: 'only', tables: [table], batch: 7 }))
    if ('after' in event) rows.push(JSON.stringify(event.after, plainly));
  return rows;
}
