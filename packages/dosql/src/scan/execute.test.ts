import { describe, expect, it } from 'vitest';
import { parse } from '../sql/statement.ts';
import type { SqlValue } from '../value/row.ts';
import { Budget } from './budget.ts';
import { execute, project, type ExecuteOptions } from './execute.ts';
import { planAnalytics } from './plan.ts';
import { rowsTable } from './rows-table.ts';
import type { ScanTable } from './table.ts';
import { unionTable } from './union-table.ts';
import type { ScanColumn } from './vector.ts';

const COLUMNS: readonly ScanColumn[] = [
  { name: 'id', type: 'integer' },
  { name: 'v', type: 'real' },
  { name: 's', type: 'text' },
  { name: '__proto__', type: 'integer' },
  { name: 'at', type: 'timestamp', unit: 'ms' },
];
const ROWS: readonly (readonly SqlValue[])[] = [
  [1, 1.5, 'ä', 7, '2026-01-01T00:00:00Z'],
  [2, null, 'b', null, '2026-01-02 10:00:00.5'],
  [9_007_199_254_740_993n, -3, null, 7, null],
];

async function run(
  sql: string,
  table: ScanTable = rowsTable(COLUMNS, ROWS),
  values: readonly SqlValue[] = [],
  options?: ExecuteOptions,
  budget: Budget = new Budget(),
): Promise<{ names: string[]; rows: SqlValue[][] }> {
  const [statement] = parse(sql);
  const reference = statement?.references[0];
  const plan =
    statement === undefined || reference === undefined ? null : planAnalytics(statement, reference);
  if (plan === null) throw new Error(`not planned: ${sql}`);
  return execute(plan, table, values, budget, options);
}

describe('a query over rows', () => {
  it('names columns as SQLite does', async () => {
    const { names } = await run('SELECT ID, v AS x, count(*)  , "s" FROM t GROUP BY 1, 2, 4');
    expect(names).toEqual(['id', 'x', 'count(*)', 's']);
  });

  it('gives all columns for a star, one called __proto__ too', async () => {
    const { names, rows } = await run('SELECT * FROM t WHERE __proto__ = 7 ORDER BY id DESC LIMIT 1');
    expect(names).toEqual(['id', 'v', 's', '__proto__', 'at']);
    expect(rows).toEqual([[9_007_199_254_740_992, -3, null, 7, null]]);
  });

  it('fails for a sum beyond 64 bits, also where other groups are asked for', async () => {
    const most = 2n ** 63n - 1n;
    const table = rowsTable(COLUMNS.slice(0, 2), [
      [most, 1],
      [most, 1],
      [3, 2],
      [most, 2.5],
    ]);
    const sql = 'SELECT v, sum(id), avg(id) FROM t WHERE v >= ? GROUP BY v ORDER BY v DESC LIMIT 1 OFFSET 1';
    expect((await run(sql, table, [2])).rows).toEqual([[2, 3, 3]]);
    await expect(run(sql, table, [1])).rejects.toThrow(/beyond 64 bits/);
  });

  it('keeps integers exact where bigints are wanted', async () => {
    const { rows } = await run('SELECT id, v, sum(id) FROM t GROUP BY id, v ORDER BY id', undefined, [], {
      bigints: true,
    });
    expect(rows).toEqual([
      [1n, 1.5, 1n],
      [2n, null, 2n],
      [9_007_199_254_740_993n, -3, 9_007_199_254_740_993n],
    ]);
  });

  it('gives times as ISO 8601 and compares them as instants', async () => {
    const { rows } = await run("SELECT at FROM t WHERE at >= '2026-01-02T12:00:00+02:00'");
    expect(rows).toEqual([['2026-01-02T10:00:00.500Z']]);
  });

  it('takes numbers as REAL and bigints as INTEGER, as the platform binds them', async () => {
    const { rows } = await run('SELECT 7 / ?, 7 / ?, typeof(?1) FROM t LIMIT ?3', undefined, [2, 2n, 1]);
    expect(rows).toEqual([[3.5, 3, 'real']]);
  });

  it('answers without rows and without columns', async () => {
    const empty = rowsTable(COLUMNS, []);
    expect((await run('SELECT count(*), sum(v), max(s) FROM t', empty)).rows).toEqual([[0, null, null]]);
    expect((await run('SELECT count(*) FROM t GROUP BY id', empty)).rows).toEqual([]);
    expect((await run('SELECT 1 FROM t')).rows).toEqual([[1], [1], [1]]);
    expect((await run('SELECT * FROM t LIMIT 0')).rows).toEqual([]);
  });

  it('takes an alias for the column that the table has by its name, in GROUP BY', async () => {
    await expect(run('SELECT substr(s, 1, 1) AS id, count(*) FROM t GROUP BY id')).rejects.toMatchObject({
      code: 'SYNTAX',
    });
  });

  it('refuses columns that are not there, and limits that are no numbers', async () => {
    await expect(run('SELECT missing FROM t')).rejects.toMatchObject({ code: 'NO_SUCH_COLUMN' });
    await expect(run('SELECT id FROM t LIMIT ?', undefined, ['x'])).rejects.toMatchObject({
      code: 'BAD_PARAMETER',
    });
  });

  it('stops at the limit of rows, but not for rows that are not in the result', async () => {
    const budget = (): Budget => new Budget({ rows: 2 });
    await expect(run('SELECT id FROM t', undefined, [], {}, budget())).rejects.toMatchObject({
      code: 'TOO_BIG',
    });
    expect((await run('SELECT id FROM t ORDER BY v LIMIT 2', undefined, [], {}, budget())).rows).toHaveLength(
      2,
    );
  });

  it('stops when it is told to', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(run('SELECT count(*) FROM t', undefined, [], { signal })).rejects.toThrow('enough');
  });

  it('fails where a sum is beyond 64 bits', async () => {
    const rows = [[9_223_372_036_854_775_807n], [1n]];
    const table = rowsTable([{ name: 'n', type: 'integer' }], rows);
    await expect(run('SELECT sum(n) FROM t', table)).rejects.toThrow('integer overflow');
    expect((await run('SELECT total(n), avg(n) FROM t', table)).rows).toEqual([[2 ** 63, 2 ** 62]]);
  });
});

describe('several tables as one', () => {
  it('has the columns of all, NULL where one lacks them, and each value as it is', async () => {
    const hot = rowsTable(
      [
        { name: 'ID', type: 'integer' },
        { name: 'when', type: 'text' },
      ],
      [[1, '2026-01-01']],
    );
    const cold = rowsTable(
      [
        { name: 'id', type: 'integer' },
        { name: 'when', type: 'timestamp', unit: 'us' },
        { name: 'more', type: 'real' },
      ],
      [[2, 1_767_225_600_000_001, 0.5]],
    );
    const { names, rows } = await run('SELECT * FROM t', unionTable([hot, cold]));
    expect(names).toEqual(['ID', 'when', 'more']);
    expect(rows).toEqual([
      [1, '2026-01-01', null],
      [2, '2026-01-01T00:00:00.000001Z', 0.5],
    ]);
    const grouped = await run(
      'SELECT id > 1, sum(more) FROM t GROUP BY 1 ORDER BY 1',
      unionTable([hot, cold]),
    );
    expect(grouped.rows).toEqual([
      [0, null],
      [1, 0.5],
    ]);
  });

  it('passes conditions on by the names that each table has', async () => {
    const seen: string[] = [];
    const table = (name: string): ScanTable => {
      const inner = rowsTable([{ name, type: 'integer' }], [[1], [2]]);
      return {
        columns: inner.columns,
        scan(request) {
          seen.push(...request.columns, ...request.conditions.map(({ column }) => column));
          return inner.scan(request);
        },
      };
    };
    const { rows } = await run('SELECT count(*) FROM t WHERE a = 2', unionTable([table('a'), table('A')]));
    expect(rows).toEqual([[2]]);
    expect(seen).toEqual(['a', 'a', 'A', 'A']);
  });
});

describe('rows for SQLite', () => {
  it('are those that fulfil the conditions, with the columns in the order asked for', async () => {
    const batches = project(
      rowsTable(COLUMNS, ROWS),
      ['at', 'id'],
      [
        { column: 'at', operator: '<', values: [Date.UTC(2026, 0, 2)] },
        { column: 'id', operator: 'in', values: [1, 2] },
      ],
      new Budget(),
    );
    const found = [];
    for await (const batch of batches) found.push(...batch);
    expect(found).toEqual([['2026-01-01T00:00:00.000Z', 1]]);
  });
});
