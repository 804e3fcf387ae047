import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileStore } from '@dotdo/fsx';
import { icebergRead } from 'icebird';
import { afterAll, describe, expect, test } from 'vitest';
import {
  dataFile,
  IcebergTable,
  transformed,
  withFieldIds,
  type DataFile,
  type NewTable,
} from '../../src/iceberg/index.ts';
import { readManifestList } from '../../src/iceberg/manifest.ts';
import { currentSnapshot } from '../../src/iceberg/metadata.ts';
import { createParquetWriter } from '../../src/scan/parquet/write.ts';
import type { WriteColumn } from '../../src/scan/parquet/write-schema.ts';
import type { SqlValue } from '../../src/value/row.ts';
import { startStoreServer } from './store-server.ts';
import { query } from './write-readers.ts';

const folder = mkdtempSync(join(tmpdir(), 'dosql-iceberg-'));
const server = await startStoreServer();
const { store, origin } = server;
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const COLUMNS = withFieldIds([
  { name: 'id', type: 'int64', required: true },
  { name: 'sensor', type: 'utf8' },
  { name: 'at', type: 'timestamp', unit: 'us' },
  { name: 'value', type: 'double' },
]);

const DAY_US = 86_400_000_000;

/** Rows of one day as a file of the store. */
async function fileOf(table: string, name: string, day: number, ids: readonly number[]): Promise<DataFile> {
  const rows = ids.map((id): SqlValue[] => [
    id,
    id % 3 === 0 ? null : `sensor ${id}`,
    day * DAY_US + id * 1000,
    id / 7,
  ]);
  return writeRows(table, name, COLUMNS, rows, { at_day: day });
}

async function writeRows(
  table: string,
  name: string,
  columns: readonly WriteColumn[],
  rows: readonly SqlValue[][],
  partition: DataFile['partition'],
): Promise<DataFile> {
  const writer = createParquetWriter({ columns });
  writer.write(
    columns.map((_, i) => ({
      kind: 'mixed',
      length: rows.length,
      nulls: undefined,
      values: rows.map((row) => row[i] ?? null),
    })),
  );
  await store.write(`${table}/${name}`, new Uint8Array(Buffer.concat(writer.finish())));
  return dataFile(name, columns, writer.summary(), partition);
}

function newTable(name: string): NewTable {
  return {
    location: `${origin}/${name}`,
    columns: COLUMNS,
    partitions: [{ column: 'at', transform: 'day' }],
  };
}

async function idsOf(name: string): Promise<number[]> {
  const rows = await icebergRead({ tableUrl: `${origin}/${name}` });
  return rows.map(({ id }) => Number(id)).toSorted((a, b) => a - b);
}

async function readAll(files: FileStore, prefix: string): Promise<string[]> {
  const { files: entries } = await files.list(prefix);
  return entries.map(({ path }) => path);
}

describe('a table', () => {
  test('is read by others with its rows, file by file and column by column', async () => {
    const table = new IcebergTable({ store, folder: 'read' });
    await table.create(newTable('read'));
    const first = await fileOf('read', 'data/a.parquet', 19_000, [1, 2, 3]);
    await table.append([first, await fileOf('read', 'data/b.parquet', 19_001, [4, 5])]);
    await table.append([await fileOf('read', 'data/c.parquet', 19_031, [6])]);
    const rows = await icebergRead({ tableUrl: `${origin}/read` });
    expect(rows.toSorted((a, b) => Number(a.id) - Number(b.id)).slice(0, 3)).toEqual([
      { id: 1n, sensor: 'sensor 1', at: new Date(19_000 * 86_400_000 + 1), value: 1 / 7 },
      { id: 2n, sensor: 'sensor 2', at: new Date(19_000 * 86_400_000 + 2), value: 2 / 7 },
      { id: 3n, sensor: null, at: new Date(19_000 * 86_400_000 + 3), value: 3 / 7 },
    ]);
    expect(await idsOf('read')).toEqual([1, 2, 3, 4, 5, 6]);
    const entries = await table.files();
    expect(
      entries.map(({ file_path, record_count, partition }) => [file_path, record_count, partition]),
    ).toEqual([
      [`${origin}/read/data/c.parquet`, 1, { at_day: 19_031 }],
      [`${origin}/read/data/a.parquet`, 3, { at_day: 19_000 }],
      [`${origin}/read/data/b.parquet`, 2, { at_day: 19_001 }],
    ]);
    const a = entries[1];
    expect(a?.null_value_counts).toContainEqual({ key: 2, value: 1 });
    expect(a?.lower_bounds).toContainEqual({ key: 1, value: new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]) });
    expect(a?.upper_bounds).toContainEqual({ key: 2, value: new TextEncoder().encode('sensor 2') });
    const { summary } = currentSnapshot(await table.metadata()) ?? expect.fail('no snapshot');
    expect(summary).toMatchObject({
      operation: 'append',
      'added-records': '1',
      'total-records': '6',
      'total-data-files': '3',
    });
  });

  test('names its columns by the ids that its files have', async () => {
    const path = join(folder, 'ids.parquet');
    await fileOf('ids', 'x.parquet', 1, [1]);
    writeFileSync(path, (await store.read('ids/x.parquet')) ?? '');
    const schema = await query(
      `SELECT name, field_id FROM parquet_schema('${path}') WHERE field_id IS NOT NULL`,
    );
    expect(schema).toEqual(COLUMNS.map(({ name, fieldId }) => ({ name, field_id: BigInt(fieldId ?? 0) })));
    expect(await query(`SELECT id, sensor, epoch_us("at") AS us FROM '${path}'`)).toEqual([
      { id: 1n, sensor: 'sensor 1', us: BigInt(DAY_US + 1000) },
    ]);
  });

  test('has files replaced and removed, and refuses to remove what it has not', async () => {
    const table = new IcebergTable({ store, folder: 'replace' });
    await table.create(newTable('replace'));
    const old = await fileOf('replace', 'old.parquet', 1, [1, 2]);
    await table.append([old, await fileOf('replace', 'stays.parquet', 2, [3])]);
    await table.append([await fileOf('replace', 'other.parquet', 2, [4])]);
    const merged = await fileOf('replace', 'new.parquet', 1, [1, 2, 5]);
    const { summary } = await table.overwrite({ add: [merged], remove: ['old.parquet'] });
    expect(summary).toMatchObject({
      operation: 'overwrite',
      'deleted-records': '2',
      'added-records': '3',
      'total-records': '5',
      'total-data-files': '3',
    });
    expect(await idsOf('replace')).toEqual([1, 2, 3, 4, 5]);
    await expect(table.overwrite({ add: [], remove: ['old.parquet'] })).rejects.toThrow(
      'is no file of the table now',
    );
    const removal = await table.overwrite({ add: [], remove: ['other.parquet', 'stays.parquet'] });
    expect(removal.summary.operation).toBe('delete');
    expect(await idsOf('replace')).toEqual([1, 2, 5]);
    await table.append([await fileOf('replace', 'again.parquet', 2, [9])]);
    expect(await idsOf('replace')).toEqual([1, 2, 5, 9]);
  });

  test('forgets old snapshots and removes only what they alone had', async () => {
    let now = 1000;
    const effects = {
      now: () => now,
      random: (count: number) => crypto.getRandomValues(new Uint8Array(count)),
    };
    const table = new IcebergTable({ store, folder: 'expire', effects });
    await table.create(newTable('expire'));
    await table.append([
      await fileOf('expire', 'data/1.parquet', 1, [1]),
      await fileOf('expire', 'data/2.parquet', 1, [2]),
    ]);
    now = 2000;
    await table.overwrite({ add: [], remove: ['data/1.parquet'] });
    now = 3000;
    await table.append([await fileOf('expire', 'data/3.parquet', 1, [3])]);
    expect(await table.expire({ olderThan: 500 })).toEqual([]);
    expect(await table.expire({ olderThan: 10_000, retainLast: 3 })).toEqual([]);
    const gone = await table.expire({ olderThan: 10_000 });
    expect(gone).toContain(`${origin}/expire/data/1.parquet`);
    expect(gone).not.toContain(`${origin}/expire/data/2.parquet`);
    expect(await readAll(store, 'expire/data/')).toEqual(['expire/data/2.parquet', 'expire/data/3.parquet']);
    expect(await idsOf('expire')).toEqual([2, 3]);
    // What is left of metadata is what the one snapshot names, besides the versions of the metadata.
    const left = (await readAll(store, 'expire/metadata/')).filter((path) => path.endsWith('.avro'));
    expect(left.length).toBe(3);
    const metadata = await table.metadata();
    expect(metadata.snapshots?.length).toBe(1);
    expect(metadata['snapshot-log']?.length).toBe(1);
  });

  test('keeps every row when many write at once', async () => {
    await new IcebergTable({ store, folder: 'many' }).create(newTable('many'));
    const writers = Array.from({ length: 8 }, async (_, i) => {
      const table = new IcebergTable({ store, folder: 'many' });
      await table.append([await fileOf('many', `${i}.parquet`, i, [i, i + 100])]);
    });
    await Promise.all(writers);
    expect(await idsOf('many')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102, 103, 104, 105, 106, 107]);
    const metadata = await new IcebergTable({ store, folder: 'many' }).metadata();
    expect(metadata['last-sequence-number']).toBe(8);
    // Objects of attempts that came too late are gone.
    const objects = (await readAll(store, 'many/metadata/')).filter((path) => path.endsWith('.avro'));
    expect(objects.length).toBe(16);
  });

  test('has few manifests after many appends, and its rows are all there', async () => {
    const table = new IcebergTable({ store, folder: 'merged' });
    await table.create(newTable('merged'));
    const file = { format: 'parquet', recordCount: 1, sizeBytes: 100 } as const;
    for (let i = 0; i < 205; i++) await table.append([{ ...file, path: `${i}`, partition: { at_day: i } }]);
    const entries = await table.files();
    const names = entries.map(({ file_path }) => Number(file_path.split('/').at(-1)));
    expect(names.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 205 }, (_, i) => i));
    const metadata = await table.metadata();
    const list = currentSnapshot(metadata)?.['manifest-list'].replace(origin, '').slice(1) ?? '';
    const manifests = readManifestList((await store.read(list)) ?? expect.fail('no list'), list);
    expect(manifests.length).toBeLessThan(30);
    expect(Math.min(...manifests.map((manifest) => manifest.min_sequence_number))).toBe(1);
    expect(currentSnapshot(metadata)?.summary['total-data-files']).toBe('205');
  });

  test('goes on where the version hint is behind or lost', async () => {
    const table = new IcebergTable({ store, folder: 'hint' });
    await table.create(newTable('hint'));
    await table.append([await fileOf('hint', '1.parquet', 1, [1])]);
    await store.write('hint/metadata/version-hint.text', '1');
    await table.append([await fileOf('hint', '2.parquet', 1, [2])]);
    await store.delete('hint/metadata/version-hint.text');
    await table.append([await fileOf('hint', '3.parquet', 1, [3])]);
    expect(await idsOf('hint')).toEqual([1, 2, 3]);
  });

  test('is partitioned by values of any type, NULL among them', async () => {
    const columns = withFieldIds([
      { name: 'day', type: 'date' },
      { name: "it's 1", type: 'utf8' },
      { name: 'n', type: 'int32' },
    ]);
    const table = new IcebergTable({ store, folder: 'parts' });
    const partitions = [
      { column: 'day', transform: 'month' },
      { column: "it's 1", transform: 'identity' },
      { column: 'n', transform: 'identity' },
    ] as const;
    await table.create({ location: `${origin}/parts`, columns, partitions });
    const month = transformed('month', 'date', -1) as number;
    expect(month).toBe(-1);
    await table.append([
      await writeRows('parts', 'a.parquet', columns, [[-1, "it's", 7]], {
        day_month: month,
        "it's 1": "it's",
        n: 7,
      }),
      await writeRows('parts', 'b.parquet', columns, [[40, null, 8]], { day_month: 1, "it's 1": null, n: 8 }),
    ]);
    expect((await table.files()).map(({ partition }) => partition)).toEqual([
      { day_month: -1, it_x27s_x201: "it's", n: 7 },
      { day_month: 1, it_x27s_x201: null, n: 8 },
    ]);
    const rows = await icebergRead({ tableUrl: `${origin}/parts` });
    // icebird goes by names where others go by ids, and has its own idea of odd ones.
    expect(rows.map(({ day, n }) => [day, n])).toEqual([
      [new Date(-86_400_000), 7],
      [new Date(40 * 86_400_000), 8],
    ]);
  });
});

test('refusals say what is wrong', async () => {
  const table = new IcebergTable({ store, folder: 'refused' });
  await expect(table.append([])).rejects.toThrow('NO_SUCH_TABLE');
  const columns: WriteColumn[] = [{ name: 'a', type: 'timestamp', unit: 'ns' }];
  await expect(table.create({ location: 'x://y', columns })).rejects.toThrow('column a is timestamp in ns');
  const partitions = [{ column: 'sensor', transform: 'day' }] as const;
  await expect(table.create({ ...newTable('refused'), partitions })).rejects.toThrow(
    'column sensor is string',
  );
  await table.create(newTable('refused'));
  const file = { path: 'a', format: 'parquet', recordCount: 1, sizeBytes: 1 } as const;
  await expect(table.append([{ ...file, columns: [{ name: 'b' }] }])).rejects.toThrow('no column b');
  await expect(table.append([{ ...file, partition: { b: 1 } }])).rejects.toThrow('not partitioned by b');
  await store.write('refused/metadata/v1.metadata.json', '{"format-version": 1}');
  await expect(table.metadata()).rejects.toThrow(
    /^CORRUPT_FILE: refused\/metadata\/v1.metadata.json.*format version is 1/,
  );
});
