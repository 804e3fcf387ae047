import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Budget } from '../../src/scan/budget.ts';
import type { SourceEnvironment } from '../../src/scan/source/environment.ts';
import { openSource, type Source, type SourceOptions } from '../../src/scan/source/source.ts';
import type { Condition } from '../../src/scan/table.ts';
import { storeOf } from './disk-store.ts';
import { duckRows, rowsOf, type Shown } from './source-values.ts';

const folder = mkdtempSync(join(tmpdir(), 'dosql-files-'));
let duck: DuckDBConnection;
let environment: SourceEnvironment;

beforeAll(async () => {
  duck = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  await duck.run(`SET TimeZone = 'UTC'`);
  await duck.run(
    `COPY (SELECT i AS id, i * 0.5 AS value, 'name ' || i % 7 AS name, TIMESTAMP '2026-01-01' + INTERVAL (i) MINUTE AS at, 2020 + i % 3 AS year, CASE WHEN i % 5 = 0 THEN NULL ELSE 'kind ' || i % 2 END AS kind FROM range(3000) t(i)) TO '${folder}/hive' (FORMAT parquet, PARTITION_BY (year, kind))`,
  );
  await duck.run(
    `COPY (SELECT 1::INTEGER AS a, 'x' AS b, 2::BIGINT AS n, TIMESTAMP_MS '2026-01-01 00:00:00.001' AS t) TO '${folder}/u1.parquet'`,
  );
  await duck.run(
    `COPY (SELECT 2.5::DOUBLE AS "A", DATE '2026-01-02' AS d, 9007199254740993::BIGINT AS n, TIMESTAMP '2026-01-01 00:00:00.000001' AS t) TO '${folder}/u2.parquet'`,
  );
  await duck.run(`COPY (SELECT 'text' AS a) TO '${folder}/v2.parquet'`);
  await duck.run(`COPY (SELECT 1::INTEGER AS a, [1, 2] AS l) TO '${folder}/nested.parquet'`);
  environment = { files: storeOf(folder), fetcher: fetch, random: () => 0.5 };
});
afterAll(() => {
  duck.closeSync();
  rmSync(folder, { recursive: true });
});

const open = (url: string, options: Partial<SourceOptions> = {}): Promise<Source> =>
  openSource(url, environment, { budget: new Budget(), ...options });

const sorted = (rows: Shown[][]): string[] => rows.map((row) => JSON.stringify(row)).toSorted();

describe('Parquet files', () => {
  it('of a partitioned folder are the table that was written', async () => {
    const table = await open('fsx://hive/**/*.parquet');
    expect(table.columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'id integer',
      'value real',
      'name text',
      'at timestamp',
      'year integer',
      'kind text',
    ]);
    const expected = await duckRows(
      duck,
      `read_parquet('${folder}/hive/**/*.parquet', hive_partitioning = true)`,
      table.columns,
    );
    expect(sorted(await rowsOf(table))).toEqual(sorted(expected));
    expect(sorted(await rowsOf(table, (name) => name === 'name' || name === 'kind'))).toEqual(
      sorted(expected),
    );
    expect(expected.length).toBe(3000);
  });

  it('are left out by the names of their folders, and by their statistics', async () => {
    const table = await open('fsx://hive/year=*/**', { filename: true });
    const scan = async (...conditions: Condition[]): Promise<Budget> => {
      const budget = new Budget();
      for await (const batch of table.scan({ columns: ['filename'], conditions, budget })) {
        expect(batch.rowCount).toBeGreaterThan(0);
        expect(() => batch.column('filename')).not.toThrow();
      }
      return budget;
    };
    expect((await scan({ column: 'year', operator: '=', values: [2021] })).counts.files).toMatchObject({
      pruned: 6,
      read: 3,
    });
    expect((await scan({ column: 'kind', operator: 'is null', values: [] })).counts.files.read).toBe(3);
    expect((await scan({ column: 'id', operator: '>', values: [99_999] })).counts.files).toMatchObject({
      pruned: 9,
      read: 0,
    });
    expect((await scan({ column: 'Id', operator: '=', values: [1] })).counts.files.read).toBeGreaterThan(0);
  });

  it('have their columns matched by name, with the type that holds the values of all', async () => {
    const table = await open('fsx://u*.parquet');
    expect(table.columns).toEqual([
      { name: 'a', type: 'real' },
      { name: 'b', type: 'text' },
      { name: 'n', type: 'integer' },
      { name: 't', type: 'timestamp', unit: 'us', isUtc: false },
      { name: 'd', type: 'date' },
    ]);
    expect(await rowsOf(table)).toEqual([
      ['1', 'x', '2', '2026-01-01T00:00:00.001', null],
      ['2.5', null, '9007199254740993', '2026-01-01T00:00:00.000001', '2026-01-02'],
    ]);
  });

  it('are refused when their types do not go together, but for one that is given', async () => {
    await expect(open('fsx://{u1,v2}.parquet')).rejects.toThrow(
      `BAD_PARAMETER: the column "a" is integer in fsx://u1.parquet and text in fsx://v2.parquet: read it with { types: { "a": 'text' } }`,
    );
    const asText = await open('fsx://{u1,v2}.parquet', { types: { a: 'text', n: 'real' } });
    expect((await rowsOf(asText)).map(([a, , n]) => [a, n])).toEqual([
      ['1', '2'],
      ['text', null],
    ]);
    const asAny = await open('fsx://{u1,u2,v2}.parquet', { types: { a: 'any', t: 'text' } });
    expect((await rowsOf(asAny)).map(([a, , , t]) => [a, t])).toEqual([
      ['1', '2026-01-01T00:00:00.001'],
      ['2.5', '2026-01-01T00:00:00.000001'],
      ['text', null],
    ]);
  });

  it('have a file name that can be named, and columns that cannot be read', async () => {
    const table = await open('fsx://nested.parquet');
    expect(table.columns).toEqual([{ name: 'a', type: 'integer' }]);
    expect(table.hidden).toEqual([{ name: 'filename', type: 'text' }]);
    expect(table.unreadable.map(({ name }) => name)).toEqual(['l']);
    const scan = async (column: string): Promise<number> => {
      let count = 0;
      for await (const batch of table.scan({ columns: [column], conditions: [], budget: new Budget() })) {
        expect(batch.column(column).length).toBe(batch.rowCount);
        count += batch.rowCount;
      }
      return count;
    };
    expect(await scan('filename')).toBe(1);
    expect(await scan('A')).toBe(1);
    await expect(scan('L')).rejects.toThrow(/SYNTAX: the column "L" cannot be read: /);
    await expect(scan('z')).rejects.toThrow('NO_SUCH_COLUMN: no file has a column "z"');
  });

  it('are refused when the file is none', async () => {
    await expect(open('fsx://no.parquet')).rejects.toThrow('NO_SUCH_FILE: there is no file fsx://no.parquet');
    await expect(open('fsx://u1.parquet', { format: 'csv' }).then((table) => rowsOf(table))).rejects.toThrow(
      /CORRUPT_FILE/,
    );
  });
});
