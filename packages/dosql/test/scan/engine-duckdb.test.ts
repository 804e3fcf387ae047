import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Budget } from '../../src/scan/budget.ts';
import { execute } from '../../src/scan/execute.ts';
import { planAnalytics } from '../../src/scan/plan.ts';
import type { ScanColumn } from '../../src/scan/vector.ts';
import { parse } from '../../src/sql/statement.ts';
import type { SqlValue } from '../../src/value/row.ts';
import { Random } from '../support/random.ts';
import { tableOf } from './engine-tables.ts';

const seed = Number(process.env['VITE_SEED'] ?? 31);
const COLUMNS: readonly ScanColumn[] = [
  { name: 'id', type: 'integer' },
  { name: 'ms', type: 'timestamp', unit: 'ms' },
  { name: 'us', type: 'timestamp', unit: 'us', isUtc: false },
  { name: 'ns', type: 'timestamp', unit: 'ns' },
  { name: 'day', type: 'date' },
  { name: 'clock', type: 'time', unit: 'us' },
  { name: 'v', type: 'real' },
  { name: 'n', type: 'integer' },
  { name: 's', type: 'text' },
];

const FIRST = Date.UTC(1966, 0, 1);
const SPAN = Date.UTC(2031, 0, 1) - FIRST;

function randomRow(random: Random, id: number): SqlValue[] {
  const orNull = (value: SqlValue): SqlValue => (random.chance(0.1) ? null : value);
  const at = (): number => FIRST + Math.floor(random.next() * SPAN);
  const ns = BigInt(at()) * 1_000_000n + BigInt(random.int(1_000_000));
  return [
    id,
    orNull(at()),
    orNull(at() * 1000 + random.int(1000)),
    orNull(ns),
    orNull(Math.floor(at() / 86_400_000)),
    orNull(random.int(86_400) * 1_000_000 + (random.chance(0.5) ? random.int(1_000_000) : 0)),
    orNull(random.next() * 1000 - 200),
    orNull(random.int(50)),
    orNull(`k${random.int(6)}`),
  ];
}

const QUERIES: readonly string[] = [
  ...['second', 'minute', 'hour', 'day', 'week', 'month', 'quarter', 'year', 'decade'].flatMap((part) =>
    ['ms', 'us', 'ns', 'day'].map(
      (column) => `SELECT id, epoch_ms(date_trunc('${part}', ${column})) FROM t ORDER BY id`,
    ),
  ),
  ...[
    'year',
    'quarter',
    'month',
    'day',
    'hour',
    'minute',
    'second',
    'dayofweek',
    'isodow',
    'dayofyear',
    'week',
    'epoch',
  ].flatMap((part) =>
    ['ms', 'us', 'day'].map((column) => `SELECT id, date_part('${part}', ${column}) FROM t ORDER BY id`),
  ),
  'SELECT id, year(ms), month(us), day(day), hour(ms), epoch_ms(us), dayofweek(day) FROM t ORDER BY id',
  'SELECT median(v), median(n), quantile_cont(v, 0.9), quantile_cont(n, 0.25), quantile_disc(n, 0.5) FROM t',
  'SELECT s, median(v), stddev(v), stddev_pop(v), var_samp(n), var_pop(v), variance(v) FROM t GROUP BY s ORDER BY s NULLS FIRST',
  "SELECT epoch_ms(median(us)), epoch_ms(date_trunc('second', quantile_disc(ns, 0.3))), epoch_ms(quantile_disc(ms, 0.9)) FROM t",
  "SELECT s, epoch_ms(date_trunc('second', quantile_disc(ns, 0.5))), epoch_ms(quantile_disc(day, 0)) FROM t GROUP BY s ORDER BY s NULLS FIRST",
  "SELECT count(*) FROM t WHERE ms >= '1990-06-01 00:00:00' AND ms < '2010-06-01'",
  "SELECT count(*) FROM t WHERE us BETWEEN '1990-06-01T12:00:00.123' AND '2010-06-01 10:00:00+00'",
  "SELECT count(*) FROM t WHERE ns > '2001-01-01' OR day = '1999-12-31' OR day < '1970-01-05'",
  "SELECT count(*) FROM t WHERE day IN ('2001-01-01', '2002-02-02') OR day > '2020-01-01'",
  "SELECT count(*) FROM t WHERE clock >= '12:30:00' AND clock < '18:00:00.5'",
  'SELECT epoch_ms(min(ms)), epoch_ms(max(us)), epoch_ms(min(day)) FROM t',
  "SELECT epoch_ms(date_trunc('month', ms)) AS m, count(*), sum(v) FROM t GROUP BY m ORDER BY m NULLS FIRST",
  'SELECT count(*) FROM t WHERE ms < us OR day > ms',
  // The condition holds nowhere in some batches, everywhere in others: the order is that of times in all of them.
  ...[60, 200, 333, 471].flatMap((id) => [
    `SELECT id FROM t ORDER BY CASE WHEN id >= ${id} THEN ns END DESC NULLS LAST, id`,
    `SELECT id FROM t ORDER BY coalesce(CASE WHEN id < ${id} THEN ns END, us) NULLS LAST, id LIMIT 50`,
    `SELECT id FROM t ORDER BY date_trunc('day', coalesce(CASE WHEN id < ${id} THEN us END, ms)) NULLS LAST, id`,
  ]),
  'SELECT count(DISTINCT day), count(DISTINCT ns), count(DISTINCT ms) FROM t',
];

let connection: DuckDBConnection;
const rows = new Random(seed).times(700, (id) => randomRow(new Random(seed * 1000 + id), id));

beforeAll(async () => {
  connection = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  await connection.run("SET TimeZone = 'UTC'");
  await connection.run(
    'CREATE TABLE t(id INTEGER, ms TIMESTAMP, us TIMESTAMP, ns TIMESTAMP_NS, day DATE, clock TIME, v DOUBLE, n INTEGER, s VARCHAR)',
  );
  const line = ([id, ms, us, ns, day, clock, v, n, s]: SqlValue[]): string => {
    const or = (value: SqlValue | undefined, text: (value: SqlValue) => string): string =>
      value === null || value === undefined ? 'NULL' : text(value);
    return `(${String(id)}, ${or(ms, (x) => `epoch_ms(${String(x)}::BIGINT)`)}, ${or(us, (x) => `make_timestamp(${String(x)}::BIGINT)`)}, ${or(ns, (x) => `make_timestamp_ns(${String(x)}::BIGINT)`)}, ${or(day, (x) => `DATE '1970-01-01' + (${String(x)})::INTEGER`)}, ${or(clock, (x) => `TIME '00:00:00' + to_microseconds(${String(x)}::BIGINT)`)}, ${or(v, String)}, ${or(n, String)}, ${or(s, (x) => `'${String(x)}'`)})`;
  };
  await connection.run(`INSERT INTO t VALUES ${rows.map(line).join(', ')}`);
});

afterAll(() => connection.closeSync());

function shown(value: unknown): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toPrecision(9);
  return String(value);
}

describe(`functions of analysts as DuckDB answers them (seed ${seed})`, () => {
  it.each(QUERIES)('%s', async (sql) => {
    const expected = (await connection.runAndReadAll(sql)).getRows();
    const { table } = tableOf(new Random(seed), COLUMNS, rows);
    const [statement] = parse(sql);
    const reference = statement?.references[0];
    if (statement === undefined || reference === undefined) throw new Error(sql);
    const plan = planAnalytics(statement, reference);
    if (plan === null) throw new Error(`declined: ${sql}`);
    const got = await execute(plan, table, [], new Budget());
    expect(got.rows.map((row) => row.map(shown).join(' | '))).toEqual(
      expected.map((row) => row.map(shown).join(' | ')),
    );
  });

  it('estimates distinct values to some per cent', async () => {
    const many = new Random(seed).times(20_000, (id): SqlValue[] => [id, `t${id % 5000}`]);
    const columns: readonly ScanColumn[] = [
      { name: 'id', type: 'integer' },
      { name: 's', type: 'text' },
    ];
    const { table } = tableOf(new Random(seed), columns, many);
    const [statement] = parse(
      'SELECT approx_count_distinct(id), approx_count_distinct(s), approx_count_distinct(id % 10) FROM t',
    );
    const plan = planAnalytics(statement!, statement!.references[0]!);
    const { rows } = await execute(plan!, table, [], new Budget());
    const [ids, texts, few] = rows[0] as number[];
    expect(Math.abs(ids! / 20_000 - 1)).toBeLessThan(0.08);
    expect(Math.abs(texts! / 5000 - 1)).toBeLessThan(0.08);
    expect(few).toBe(10);
  });
});
