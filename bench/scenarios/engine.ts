import type { Adapter, Values } from '../adapters/adapter.ts';

/** Rows in the table before anything is measured. */
export const ROWS = 50_000;
/** Statements in a batch or transaction. */
export const TOGETHER = 1_000;
/** Changes between the present and the point that is read. */
export const CHANGES_BACK = 10_000;

const SCHEMA = `
  CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, category INTEGER, price REAL, note TEXT, stock INTEGER, tag TEXT);
  CREATE INDEX item_category ON item(category);
`;
const INSERT = 'INSERT INTO item(name, category, price, note, stock, tag) VALUES(?, ?, ?, ?, ?, ?)';
const INSERT_KEYED = 'INSERT INTO item VALUES(?, ?, ?, ?, ?, ?, ?)';
const POINT = 'SELECT * FROM item WHERE id = ?';
const RANGE = 'SELECT * FROM item WHERE id BETWEEN ? AND ?';
const AGGREGATE = 'SELECT count(*), sum(stock), avg(price) FROM item';

let batches = 0;

/** Rows whose keys no other rows have: each batch begins a million further on. */
function keyed(count: number): Values[] {
  const first = ++batches * 1_000_000;
  return times(count, (i) => [first + i, ...values(i)]);
}

function values(i: number): Values {
  return [`item ${i}`, i % 500, i * 1.25, `a note about item ${i}`, i % 1_000, i % 2 === 0 ? 'even' : 'odd'];
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i));
}

/** Fills the table. */
export async function setUp(adapter: Adapter): Promise<void> {
  await adapter.setUp(SCHEMA);
  for (let i = 0; i < ROWS; i += 5_000)
    await adapter.writeTogether(
      INSERT,
      times(5_000, (j) => values(i + j)),
    );
}

/** One measurement: a statement, how it is run, and with what values; `runs` times over under one clock. */
export interface Scenario {
  readonly name: string;
  readonly unit: 'statement' | 'row' | 'query';
  readonly how: Exclude<keyof Adapter, 'setUp'>;
  readonly sql: string;
  readonly values: () => Values[];
  readonly runs: number;
  /** Operations that one statement is counted as; 1 if not given. */
  readonly rows?: number;
}

/** Keys spread over the table. */
function someKeys(count: number): Values[] {
  return times(count, (i) => [((i * 7_919) % ROWS) + 1]);
}

/** What is done with the same statements on every adapter. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'bulk update',
    unit: 'row',
    how: 'write',
    sql: `UPDATE item SET stock = stock + 1 WHERE id <= ${ROWS}`,
    values: () => [[]],
    runs: 1,
    rows: ROWS,
  },
  { name: 'point read', unit: 'query', how: 'read', sql: POINT, values: () => someKeys(10_000), runs: 1 },
  {
    name: 'range of 100 rows',
    unit: 'query',
    how: 'read',
    sql: RANGE,
    values: () => times(400, (i) => [i * 100 + 1, i * 100 + 100]),
    runs: 1,
  },
  {
    name: 'single run, automatic key',
    unit: 'statement',
    how: 'write',
    sql: INSERT,
    values: () => times(3_000, values),
    runs: 1,
  },
  {
    name: 'single run, update by key',
    unit: 'statement',
    how: 'write',
    sql: 'UPDATE item SET stock = stock + 1 WHERE id = ?',
    values: () => someKeys(3_000),
    runs: 1,
  },
  ...(['writeTogether', 'writeInTransaction'] as const).flatMap((how): Scenario[] => {
    const name = how === 'writeTogether' ? 'batch' : 'transaction';
    return [
      {
        name: `${name} of 1,000, automatic keys`,
        unit: 'statement',
        how,
        sql: INSERT,
        values: () => times(TOGETHER, values),
        runs: 5,
      },
      {
        name: `${name} of 1,000, explicit keys`,
        unit: 'statement',
        how,
        sql: INSERT_KEYED,
        values: () => keyed(TOGETHER),
        runs: 5,
      },
    ];
  }),
];

/** What the past costs, on one adapter: the same query on the present and as of `CHANGES_BACK` changes ago. */
export const past = {
  aggregate: { present: AGGREGATE, past: `${AGGREGATE} FOR SYSTEM_TIME AS OF LSN ?`, count: 5 },
  point: {
    present: POINT,
    past: 'SELECT * FROM item FOR SYSTEM_TIME AS OF LSN ? WHERE id = ?',
    count: 2_000,
  },
};
