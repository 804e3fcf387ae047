/** The table that the benchmarks of the past and of branches work on, the same on every engine. */
export const SCHEMA: readonly string[] = [
  'CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, category INTEGER, price REAL, note TEXT, stock INTEGER, tag TEXT)',
  'CREATE INDEX item_category ON item(category)',
];

/** Counts the rows and adds up what changes in them. */
export const AGGREGATE = 'SELECT count(*) AS n, sum(stock) AS total FROM item';
/** One row by its key. */
export const POINT = 'SELECT * FROM item WHERE id = ?';
/** A hundred rows by their keys. */
export const RANGE = 'SELECT * FROM item WHERE id BETWEEN ? AND ?';

/** Inserts rows `first` to `last`, where `numbers` is a query for `i` from the one to the other. */
export function insertRows(numbers: string): string {
  return `INSERT INTO item SELECT i, 'item ' || i, i % 500, i * 1.25, 'a note about item ' || i, i % 1000, CASE i % 2 WHEN 0 THEN 'even' ELSE 'odd' END FROM (${numbers}) AS numbers`;
}

/** The numbers `first` to `last` in SQLite's words. */
export function sqliteNumbers(first: number, last: number): string {
  return `WITH RECURSIVE n(i) AS (VALUES(${first}) UNION ALL SELECT i + 1 FROM n WHERE i < ${last}) SELECT i FROM n`;
}

/** Ranges of row numbers, from 1 to `rows`, none longer than fits a transaction well. */
export function portions(rows: number): [first: number, last: number][] {
  const size = 100_000;
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => [
    i * size + 1,
    Math.min(rows, (i + 1) * size),
  ]);
}

/** The sum of `stock` over `rows` rows as they are inserted. */
export function stockOf(rows: number): number {
  const left = rows % 1_000;
  return Math.floor(rows / 1_000) * 499_500 + (left * (left + 1)) / 2;
}

/** `count` keys spread over `rows` rows, no two the same while there are no more of them than rows. */
export function someKeys(count: number, rows: number, skip = 0): number[] {
  return Array.from({ length: count }, (_, i) => (((skip + i) * 7_919) % rows) + 1);
}

/** Which rows are changed: every so many of the table, or neighbours. */
export type Rows =
  | { readonly step: number; readonly rest: number }
  | { readonly first: number; readonly last: number };

/** Adds 1 to `stock` of `rows`. */
export function updateOf(rows: Rows): { sql: string; values: number[] } {
  const update = 'UPDATE item SET stock = stock + 1 WHERE id';
  return 'step' in rows
    ? { sql: `${update} % ? = ?`, values: [rows.step, rows.rest] }
    : { sql: `${update} BETWEEN ? AND ?`, values: [rows.first, rows.last] };
}
