import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { icebergRead } from 'icebird';
import { afterAll, expect, test } from 'vitest';
import { IcebergTable, transformed } from '../../src/iceberg/index.ts';
import type { Affinity, Relation } from '../../src/schema/relation.ts';
import { fileOf } from '../../src/tier/hand-over.ts';
import {
  icebergColumns,
  icebergFile,
  icebergPartitions,
  type FileLayout,
} from '../../src/tier/iceberg-layout.ts';
import type { ColdFile } from '../../src/tier/manifest.ts';
import { pathOf } from '../../src/tier/places.ts';
import type { SqlValue } from '../../src/value/row.ts';
import { startStoreServer } from './store-server.ts';
import { query } from './write-readers.ts';

const server = await startStoreServer();
const { store, origin } = server;
const folder = mkdtempSync(join(tmpdir(), 'dosql-iceberg-tier-'));
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const FOLDER = 'tables/r-1';
const DAY = 86_400_000;

function relationOf(columns: readonly (readonly [id: number, name: string, affinity: Affinity])[]): Relation {
  return {
    id: 1,
    tableId: 1,
    branch: 0,
    name: 'r',
    table: 'r',
    since: 0,
    until: undefined,
    sql: '',
    columns: columns.map(([id, name, affinity]) => ({
      id,
      name,
      affinity,
      collation: undefined,
      isGenerated: false,
    })),
    primaryKey: [],
    key: { kind: 'rowid', name: 'rowid', columnId: undefined },
    layout: { slots: [], parts: 1, updatesInOneRow: true },
  };
}

/** A file of the cold store, with a number; all of its rows have one value in the columns `partitionBy`. */
async function coldFile(
  relation: Relation,
  layout: FileLayout,
  partition: string,
  rows: SqlValue[][],
  partitionBy: readonly string[] = [],
): Promise<ColdFile> {
  const columns = relation.columns.map(({ id, name }, i) => ({
    id,
    name,
    value: partitionBy.includes(name) ? rows[0]?.[i] : undefined,
  }));
  const { bytes, file } = await fileOf({ relation, partition, lsn: 1, columns, rows }, [], layout);
  const path = pathOf(relation, { partitionBy }, file);
  await store.write(path, bytes);
  return { ...file, id: 1, path, place: 'cold', etag: '', gone: undefined, goneCount: 0 };
}

async function assign(
  relation: Relation,
  layout: FileLayout,
  files: readonly ColdFile[],
  partitionBy: readonly string[] = [],
): Promise<void> {
  const table = new IcebergTable({ store, folder: FOLDER });
  const time = relation.columns.find(({ id }) => layout.stored.get(id) === 'iso');
  const partitions = icebergPartitions(relation, time, { partition: 'day', partitionBy }, files);
  const columns = icebergColumns(relation, layout);
  await table.create({ location: `${origin}/${FOLDER}`, columns, partitions });
  await table.assign({
    columns,
    partitions,
    files: files.map((file) => icebergFile(file, relation, layout, partitions, origin)),
  });
}

const at = (day: number, hour: number): string => new Date(day * DAY + hour * 3_600_000).toISOString();

test('cold files of one schema are read by others, before and after columns change', async () => {
  const first = relationOf([
    [1, 'id', 'integer'],
    [2, 's', 'text'],
    [3, 'v', 'real'],
    [4, 'at', 'text'],
    [5, 'n', 'numeric'],
  ]);
  const layout: FileLayout = {
    stored: new Map([
      [1, 'integer'],
      [2, 'text'],
      [3, 'real'],
      [4, 'iso'],
      [5, 'number'],
    ]),
    added: new Map(),
  };
  const one = await coldFile(first, layout, '2022-01-08', [
    [1, 'a', 1.5, at(19_000, 1), 3],
    [2n ** 63n - 1n, null, null, at(19_000, 2), 2.5],
    [3, 'ü €', 'text', 'no time', null],
  ]);
  // All of one kind, which would be stored otherwise if it were alone.
  const two = await coldFile(first, layout, '2022-01-09', [[4, null, 2, at(19_001, 0), null]]);
  await assign(first, layout, [one, two]);
  const read = async (): Promise<Record<string, unknown>[]> =>
    (await icebergRead({ tableUrl: `${origin}/${FOLDER}` })).toSorted((a, b) => (a['id'] < b['id'] ? -1 : 1));
  expect(await read()).toEqual([
    { id: 1n, s: 'a', v: 1.5, at: new Date(at(19_000, 1)), n: 3 },
    { id: 3n, s: 'ü €', v: null, at: null, n: null },
    { id: 4n, s: null, v: 2, at: new Date(at(19_001, 0)), n: null },
    { id: 2n ** 63n - 1n, s: null, v: null, at: new Date(at(19_000, 2)), n: 2.5 },
  ]);
  const entries = await new IcebergTable({ store, folder: FOLDER }).files();
  expect(new Set(entries.map(({ partition }) => partition['at_day']))).toEqual(new Set([19_000, 19_001]));

  const paths = await Promise.all(
    [one, two].map(async ({ path }, i) => {
      const local = join(folder, `${i}.parquet`);
      writeFileSync(local, (await store.read(path)) ?? '');
      return local;
    }),
  );
  for (const path of paths) {
    const schema = await query(
      `SELECT name, field_id, type FROM parquet_schema('${path}') WHERE field_id IS NOT NULL ORDER BY field_id`,
    );
    expect(schema.map(({ name, field_id, type }) => [name, Number(field_id), type])).toEqual([
      ['id', 1, 'INT64'],
      ['s', 2, 'BYTE_ARRAY'],
      ['v', 3, 'DOUBLE'],
      ['at', 4, 'INT64'],
      ['n', 5, 'DOUBLE'],
    ]);
  }
  const list = paths.map((path) => `'${path}'`).join(', ');
  expect(
    await query(
      `SELECT count(*)::INT AS n, sum(v) AS v, max(id)::VARCHAR AS id, count("at")::INT AS times, epoch_ms(min("at"))::VARCHAR AS "from" FROM read_parquet([${list}])`,
    ),
  ).toEqual([{ n: 4, v: 3.5, id: '9223372036854775807', times: 3, from: String(Date.parse(at(19_000, 1))) }]);

  const second = relationOf([
    [1, 'id', 'integer'],
    [2, 'renamed', 'text'],
    [4, 'at', 'text'],
    [6, 'v', 'text'],
  ]);
  const after: FileLayout = {
    stored: new Map([
      [1, 'integer'],
      [2, 'text'],
      [4, 'iso'],
      [6, 'text'],
    ]),
    added: new Map(),
  };
  const three = await coldFile(second, after, '2022-01-10', [[5, 'e', at(19_002, 0), 'new']]);
  await assign(second, after, [two, three]);
  expect(await read()).toEqual([
    { id: 4n, renamed: null, at: new Date(at(19_001, 0)), v: undefined },
    { id: 5n, renamed: 'e', at: new Date(at(19_002, 0)), v: 'new' },
  ]);
});

test('files that are cut by the values of columns are read by others, the values from folders, too', async () => {
  const relation = relationOf([
    [1, 'id', 'integer'],
    [2, 'type', 'text'],
    [3, 'n', 'integer'],
    [4, 'at', 'text'],
  ]);
  const layout: FileLayout = {
    stored: new Map([
      [1, 'integer'],
      [2, 'text'],
      [3, 'integer'],
      [4, 'iso'],
    ]),
    added: new Map(),
  };
  const cut = ['type', 'n'];
  const values: [string | null, SqlValue][] = [
    ['co2', 1],
    ['ü € & #1?', 2n ** 62n],
    [null, null],
    ['', 2.5],
  ];
  const files = [];
  for (const [i, [type, n]] of values.entries())
    files.push(await coldFile(relation, layout, '2022-01-08', [[i, type, n, at(19_000, i)]], cut));
  await assign(relation, layout, files, cut);
  const entries = await new IcebergTable({ store, folder: FOLDER }).files();
  expect(entries.map(({ partition }) => partition)).toEqual([
    { type: 'co2', n: 1, at_day: 19_000 },
    { type: 'ü € & #1?', n: 2n ** 62n, at_day: 19_000 },
    { type: null, n: null, at_day: 19_000 },
    // The number has no place in a column of whole ones.
    { type: '', n: null, at_day: 19_000 },
  ]);
  const rows = await icebergRead({ tableUrl: `${origin}/${FOLDER}` });
  expect(rows.map(({ id, type, n }) => [id, type, n])).toEqual([
    [0n, 'co2', 1n],
    [1n, 'ü € & #1?', 2n ** 62n],
    [2n, null, null],
    [3n, '', null],
  ]);

  for (const { path } of files) {
    const local = join(folder, path);
    mkdirSync(dirname(local), { recursive: true });
    writeFileSync(local, (await store.read(path)) ?? '');
  }
  const all = join(folder, FOLDER, '**/*.parquet');
  expect(
    await query(
      `SELECT id::INT AS id, type, day::VARCHAR AS day FROM read_parquet('${all}', hive_partitioning = true) ORDER BY id`,
    ),
  ).toEqual(values.map(([type], id) => ({ id, type, day: '2022-01-08' })));
  // One policy's files among those of another have no partition of their own.
  const whole = await coldFile(relation, layout, '2022-01-09', [[9, 'co2', 1, at(19_001, 0)]]);
  expect(
    icebergPartitions(relation, relation.columns[3], { partition: 'day', partitionBy: cut }, [whole]),
  ).toEqual([{ column: 'at', transform: 'day', name: 'at_day' }]);
});

test('bounds hold what a column has, also where it has values of other classes', async () => {
  const relation = relationOf([
    [1, 'i', 'integer'],
    [2, 's', 'text'],
    [3, 'b', 'blob'],
  ]);
  const layout: FileLayout = {
    stored: new Map([
      [1, 'integer'],
      [2, 'text'],
      [3, 'blob'],
    ]),
    added: new Map(),
  };
  const file = await coldFile(relation, layout, '2022-01-08', [
    [-2.5, 'x', new Uint8Array([1])],
    [7.5, new Uint8Array([2]), 5],
    [3, null, null],
  ]);
  const { columns } = icebergFile(file, relation, layout, [], 's3://b');
  expect(columns).toEqual([
    { name: 'i', lower: -3n, upper: 8n },
    { name: 's', lower: 'x', upper: undefined },
    { name: 'b', lower: undefined, upper: new Uint8Array([1]) },
  ]);
});

test('times lie in hours, days, months and years, also before 1970', () => {
  const us = (text: string): bigint => BigInt(Date.parse(text)) * 1000n;
  const of = (text: string): unknown[] =>
    (['hour', 'day', 'month', 'year'] as const).map((transform) =>
      transformed(transform, 'timestamptz', us(text)),
    );
  expect(of('1970-01-01T00:00:00Z')).toEqual([0, 0, 0, 0]);
  expect(of('1969-12-31T23:59:59Z')).toEqual([-1, -1, -1, -1]);
  expect(of('2026-03-01T05:30:00Z')).toEqual([492_317, 20_513, 674, 56]);
  expect(() => transformed('hour', 'date', 5)).toThrow('no such times');
});
