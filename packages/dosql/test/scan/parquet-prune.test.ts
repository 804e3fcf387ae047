import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import {
  Float64,
  Int32,
  Table as ArrowTable,
  tableToIPC,
  TimestampMicrosecond,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { parquetWriteBuffer, type BasicType, type ColumnSource } from 'hyparquet-writer';
import { EnabledStatistics, Table, WriterPropertiesBuilder, writeParquet } from 'parquet-wasm/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Budget } from '../../src/scan/budget.ts';
import { openParquet } from '../../src/scan/parquet/index.ts';
import { createParquetWriter } from '../../src/scan/parquet/write.ts';
import type { RangeFile } from '../../src/scan/file.ts';
import type { Batch, Condition } from '../../src/scan/table.ts';
import type { BytesVector, Vector } from '../../src/scan/vector.ts';
import { memoryFile, readAll, valuesOf, type Plain } from './parquet-support.ts';
import { Random } from './write-tables.ts';

const seed = Number(process.env['VITE_SEED'] ?? Date.now() % 1e6);
const runs = Number(process.env['VITE_RUNS'] ?? 16);
const folder = mkdtempSync(join(tmpdir(), 'parquet-prune-'));
const ROWS = 40_000;

const files = new Map<string, { file: RangeFile; columns: Map<string, Plain[]> }>();

const number = (values: number[]): Vector => ({
  kind: 'number',
  length: values.length,
  nulls: undefined,
  values: Float64Array.from(values),
});

function texts(values: readonly string[]): BytesVector {
  const parts = values.map((value) => Buffer.from(value));
  const offsets = new Uint32Array(values.length + 1);
  parts.forEach((part, i) => (offsets[i + 1] = (offsets[i] as number) + part.length));
  return { kind: 'bytes', length: values.length, nulls: undefined, data: Buffer.concat(parts), offsets };
}

/** The same table by DuckDB and by us, which alone writes indexes of pages. */
function ours(): Uint8Array {
  const rows = Array.from({ length: ROWS }, (_, i) => i);
  const writer = createParquetWriter({
    columns: [
      { name: 'id', type: 'int64', required: true },
      { name: 'sorted', type: 'int64' },
      { name: 'mixed', type: 'int32' },
      { name: 'real', type: 'double' },
      { name: 'name', type: 'utf8' },
      { name: 'at', type: 'timestamp', unit: 'us' },
      { name: 'wide', type: 'utf8' },
    ],
    rowGroupRows: 15_000,
    pageRows: 700,
    bloom: ['mixed', 'name'],
  });
  const nulls = Uint8Array.from(rows, (i) => (i % 13_000 < 3_000 ? 1 : 0));
  writer.write([
    number(rows),
    { ...number(rows.map((i) => Math.floor(i / 7))), nulls } as Vector,
    number(rows.map((i) => (i * 7919) % 100_003)),
    number(rows.map((i) => (i % 977 === 0 ? NaN : Math.sin(i / 5000)))),
    texts(rows.map((i) => `k${String(Math.floor(i / 3)).padStart(6, '0')}`)),
    number(rows.map((i) => 1_700_000_000_000_000 + i * 1_000_500)),
    texts(rows.map((i) => `${'w'.repeat(60)}${(i * 2_654_435_761) % 1e9}`)),
  ]);
  return Buffer.concat(writer.finish());
}

interface Row {
  readonly id: number;
  readonly sorted: number | null;
  readonly mixed: number;
  readonly real: number;
  readonly name: string;
  /** In milliseconds. */
  readonly at: number;
  readonly wide: string;
}

function rowOf(i: number): Row {
  return {
    id: i,
    sorted: i % 13_000 < 3_000 ? null : Math.floor(i / 7),
    mixed: (i * 7919) % 100_003,
    real: Math.sin(i / 5000),
    name: `k${String(Math.floor(i / 3)).padStart(6, '0')}`,
    at: 1_700_000_000_000 + i * 1000.5,
    wide: `${'w'.repeat(60)}${i % 500}`,
  };
}

/** The same with the page index of arrow-rs. */
function byParquetWasm(): Uint8Array {
  const rows = Array.from({ length: ROWS }, (_, i) => rowOf(i));
  const table = new ArrowTable({
    id: vectorFromArray(
      rows.map(({ id }) => id),
      new Int32(),
    ),
    sorted: vectorFromArray(
      rows.map(({ sorted }) => sorted),
      new Int32(),
    ),
    mixed: vectorFromArray(
      rows.map(({ mixed }) => mixed),
      new Int32(),
    ),
    real: vectorFromArray(
      rows.map(({ real }) => real),
      new Float64(),
    ),
    name: vectorFromArray(
      rows.map(({ name }) => name),
      new Utf8(),
    ),
    at: vectorFromArray(
      rows.map(({ at }) => at),
      new TimestampMicrosecond('UTC'),
    ),
    wide: vectorFromArray(
      rows.map(({ wide }) => wide),
      new Utf8(),
    ),
  });
  const properties = new WriterPropertiesBuilder()
    .setStatisticsEnabled(EnabledStatistics.Page)
    .setMaxRowGroupSize(15_000)
    .setDataPageSizeLimit(6_000)
    .setWriteBatchSize(300)
    .setDictionaryEnabled(false)
    .setColumnDictionaryEnabled('wide', true)
    .build();
  return writeParquet(Table.fromIPCStream(tableToIPC(table, 'stream')), properties);
}

/** The same with the page index and the bloom filters of hyparquet-writer. */
function byHyparquet(): Uint8Array {
  const rows = Array.from({ length: ROWS }, (_, i) => rowOf(i));
  const column = <T>(name: keyof Row, type: BasicType, data: T[], bloomFilter = false): ColumnSource => ({
    name,
    type,
    data,
    columnIndex: true,
    offsetIndex: true,
    bloomFilter,
  });
  return new Uint8Array(
    parquetWriteBuffer({
      rowGroupSize: 15_000,
      pageSize: 6000,
      columnData: [
        column(
          'id',
          'INT32',
          rows.map(({ id }) => id),
        ),
        column(
          'sorted',
          'INT32',
          rows.map(({ sorted }) => sorted),
        ),
        column(
          'mixed',
          'INT32',
          rows.map(({ mixed }) => mixed),
          true,
        ),
        column(
          'real',
          'DOUBLE',
          rows.map(({ real }) => real),
        ),
        column(
          'name',
          'STRING',
          rows.map(({ name }) => name),
          true,
        ),
        column(
          'at',
          'TIMESTAMP',
          rows.map(({ at }) => new Date(Math.floor(at))),
        ),
        column(
          'wide',
          'STRING',
          rows.map(({ wide }) => wide),
        ),
      ],
    }),
  );
}

beforeAll(async () => {
  console.log(`VITE_SEED=${seed}`);
  const bytes = new Uint8Array(ours());
  const path = join(folder, 'duck.parquet');
  const duckdb = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  await duckdb.run(
    `COPY (SELECT i AS id, CASE WHEN i % 13000 < 3000 THEN NULL ELSE i // 7 END AS sorted, ((i * 7919) % 100003)::INT AS mixed,
      sin(i / 5000) AS real, 'k' || lpad((i // 3)::VARCHAR, 6, '0') AS name,
      make_timestamp(1700000000000000 + i * 1000500) AS at, repeat('w', 60) || i % 500 AS wide
      FROM range(${ROWS}) r(i)) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 6144)`,
  );
  for (const [name, content] of [
    ['ours', bytes],
    ['DuckDB', new Uint8Array(readFileSync(path))],
    ['parquet-wasm', byParquetWasm()],
    ['hyparquet-writer', byHyparquet()],
  ] as const) {
    const file = memoryFile(content, name);
    files.set(name, { file, columns: (await readAll(file)).columns });
  }
});

afterAll(() => rmSync(folder, { recursive: true }));

type Constant = string | number | bigint;

/** Whether a value, as the reader gives it, fulfils a condition, told the slow way. */
function fulfils(value: Plain, { operator, values }: Condition, unit: number): boolean {
  if (operator === 'is null') return value === null || Number.isNaN(value);
  if (value === null) return false;
  if (operator === 'is not null') return true;
  const given = unit === 1 ? value : Number(value) / unit;
  const [constant] = values as readonly Constant[] as [Constant];
  switch (operator) {
    case '=':
      return given === constant;
    case 'in':
      return (values as Constant[]).includes(given);
    case '<':
      return given < constant;
    case '<=':
      return given <= constant;
    case '>':
      return given > constant;
    default:
      return given >= constant;
  }
}

function randomCondition(random: Random): Condition {
  const row = random.below(ROWS + 1000) - 500;
  const [column, value] = random.pick<[string, Constant]>([
    ['id', row],
    ['sorted', Math.floor(row / 7)],
    ['mixed', (Math.abs(row) * 7919) % 100_003],
    ['real', Math.sin(row / 5000)],
    ['name', `k${String(Math.floor(Math.abs(row) / 3)).padStart(6, '0')}`],
    ['at', 1_700_000_000_000 + row * 1000.5],
  ]);
  const operator = random.pick(['=', '<', '<=', '>', '>=', 'in', 'is null', 'is not null'] as const);
  if (operator.startsWith('is')) return { column, operator, values: [] };
  if (operator !== 'in') return { column, operator, values: [value] };
  return { column, operator, values: [value, typeof value === 'string' ? 'k000007' : Number(value) + 7] };
}

const NAMES = ['id', 'sorted', 'mixed', 'real', 'name', 'at', 'wide'];

describe('row groups and pages are left out only where no row of theirs is wanted', () => {
  for (const name of ['ours', 'DuckDB', 'parquet-wasm', 'hyparquet-writer'])
    it(name, async () => {
      const random = new Random(seed);
      const { file, columns } = files.get(name) as { file: RangeFile; columns: Map<string, Plain[]> };
      const at = (await openParquet(file, new Budget())).columns.find((column) => column.name === 'at');
      const unit = at?.unit === 'us' ? 1000 : 1;
      let pruned = 0;
      for (let run = 0; run < runs; run++) {
        const conditions = Array.from({ length: 1 + random.below(2) }, () => randomCondition(random));
        const asked = ['id', ...NAMES.filter(() => random.below(3) === 0)];
        const {
          columns: got,
          rows,
          budget,
        } = await readAll(file, { columns: [...new Set(asked)], conditions });
        const ids = got.get('id') as number[];
        const label = JSON.stringify({ seed, run, conditions, asked });
        // Each row that is there is there once, in order, and all of its columns are its own.
        for (let i = 1; i < ids.length; i++)
          if ((ids[i] as number) <= (ids[i - 1] as number)) expect.fail(label);
        // Not toEqual, which takes seconds for so many.
        for (const [column, values] of got) {
          const wrong = ids.findIndex((id, i) => !Object.is(values[i], columns.get(column)?.[id]));
          if (wrong >= 0) expect.fail(`row ${ids[wrong]} of ${column} is ${values[wrong]}: ${label}`);
        }
        const there = new Set(ids);
        for (let id = 0; id < ROWS; id++)
          if (
            !there.has(id) &&
            conditions.every((condition) =>
              fulfils(
                columns.get(condition.column)?.[id] as Plain,
                condition,
                condition.column === 'at' ? unit : 1,
              ),
            )
          )
            expect.fail(`row ${id} is missing: ${label}`);
        pruned += ROWS - rows;
        expect(budget.counts.rowGroups.total).toBe(
          budget.counts.rowGroups.pruned + budget.counts.rowGroups.read,
        );
      }
      expect(pruned).toBeGreaterThan((runs * ROWS) / 4);
    });
});

/** A file that notes what is read of it. */
function noted(file: RangeFile): RangeFile & { reads: [number, number][] } {
  const reads: [number, number][] = [];
  return {
    ...file,
    etag: `${file.etag}-noted-${Math.random()}`,
    reads,
    read: (offset, length, signal) => {
      reads.push([offset, length]);
      return file.read(offset, length, signal);
    },
  };
}

it('rows are counted without reading any', async () => {
  for (const { file } of files.values()) {
    const budget = new Budget();
    const { rows } = await readAll(file, { columns: [], budget });
    expect(rows).toBe(ROWS);
    expect(budget.counts.bytes).toBe(0);
  }
});

it('few pages are read for few rows', async () => {
  const file = noted(files.get('ours')?.file as RangeFile);
  const budget = new Budget();
  const condition: Condition = { column: 'id', operator: '=', values: [20_000] };
  const { rows } = await readAll(file, { columns: ['id', 'wide'], conditions: [condition], budget });
  expect(rows).toBe(700);
  expect(budget.counts.rowGroups).toEqual({ total: 3, pruned: 2, read: 1 });
  // `id` takes so little that it is read whole, of `wide` a single page is.
  expect(budget.counts.pages.pruned).toBeGreaterThan(20);
  expect(budget.counts.pages.read).toBeLessThan(40);
  expect(budget.counts.bytes).toBeLessThan(2 ** 16 + 70_000);
  expect(file.reads.length).toBeLessThanOrEqual(5);
});

it('a bloom filter leaves out what bounds do not', async () => {
  const { file } = files.get('ours') as { file: RangeFile };
  // Within the bounds of every row group, and in none.
  const present = new Set(Array.from({ length: ROWS }, (_, i) => (i * 7919) % 100_003));
  let pruned = 0;
  for (let value = 50_000; value < 50_040; value++) {
    if (present.has(value)) continue;
    const budget = new Budget();
    const { rows } = await readAll(file, {
      columns: NAMES,
      conditions: [{ column: 'mixed', operator: '=', values: [value] }],
      budget,
    });
    if (rows === 0) pruned++;
  }
  expect(pruned).toBeGreaterThan(15);
});

describe('late columns', () => {
  it('are read for the rows that are named, and only their pages', async () => {
    const { file, columns } = files.get('ours') as { file: RangeFile; columns: Map<string, Plain[]> };
    const random = new Random(seed);
    for (let run = 0; run < 20; run++) {
      const budget = new Budget();
      const parquet = await openParquet(noted(file), budget);
      const from = random.below(ROWS);
      const conditions: Condition[] = [{ column: 'id', operator: '>=', values: [from] }];
      for await (const batch of parquet.scan({ columns: ['id'], conditions, budget })) {
        const ids = valuesOf(batch.column('id'), false) as number[];
        const pick = (): Uint32Array => {
          const count = 1 + random.below(6);
          const rows = new Set(Array.from({ length: count }, () => random.below(batch.rowCount)));
          return Uint32Array.from(rows).sort();
        };
        const wanted = [pick(), pick()];
        for (const rows of wanted) await batch.fetch(['wide', 'sorted', 'id'], rows);
        for (const name of ['wide', 'sorted']) {
          const vector = batch.column(name);
          expect(vector.length).toBe(batch.rowCount);
          const values = valuesOf(vector, name === 'wide');
          for (const row of wanted.flatMap((rows) => [...rows]))
            expect(values[row], `${name} ${row} ${seed} ${run}`).toEqual(
              columns.get(name)?.[ids[row] as number],
            );
        }
        await batch.fetch(['wide']);
        expect(valuesOf(batch.column('wide'), true)).toEqual(ids.map((id) => columns.get('wide')?.[id]));
      }
    }
  });

  it('are read of batches that are kept after the scan has ended', async () => {
    const { file, columns } = files.get('DuckDB') as { file: RangeFile; columns: Map<string, Plain[]> };
    const budget = new Budget();
    const parquet = await openParquet(file, budget);
    const kept: Batch[] = [];
    for await (const batch of parquet.scan({ columns: ['id'], conditions: [], budget })) kept.push(batch);
    const last = kept.at(-1) as Batch;
    await last.fetch(['name']);
    expect(valuesOf(last.column('name'), true)).toEqual(columns.get('name')?.slice(-last.rowCount));
  });

  it('are read ahead once they have been asked for time and again', async () => {
    const path = join(folder, 'large.parquet');
    const duckdb = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
    const rows = 1_100_000;
    await duckdb.run(
      `COPY (SELECT i + 0.5 AS a, i * 3 + 0.25 AS b FROM range(${rows}) r(i)) TO '${path}' (FORMAT parquet, COMPRESSION uncompressed)`,
    );
    const file = noted(memoryFile(new Uint8Array(readFileSync(path))));
    const budget = new Budget();
    const parquet = await openParquet(file, budget);
    let waited = 0;
    let batches = 0;
    let row = 0;
    for await (const batch of parquet.scan({ columns: ['a'], conditions: [], budget })) {
      const before = file.reads.length;
      await batch.fetch(['b']);
      batches++;
      if (file.reads.length > before) waited++;
      const b = batch.column('b');
      if (b.kind !== 'number') throw new Error(b.kind);
      for (const value of b.values) if (value !== row++ * 3 + 0.25) expect.fail(`row ${row}: ${value}`);
    }
    expect(row).toBe(rows);
    expect(batches).toBe(9);
    expect(waited).toBeLessThan(8);
    expect(budget.counts.bytes).toBeLessThan(file.size + 2 ** 17);
  });

  it('cost few bytes where few rows are wanted', async () => {
    const budget = new Budget();
    const parquet = await openParquet(noted(files.get('ours')?.file as RangeFile), budget);
    for await (const batch of parquet.scan({ columns: ['id'], conditions: [], budget })) {
      const before = budget.counts.bytes;
      await batch.fetch(['wide'], Uint32Array.of(5000, 5001));
      expect(budget.counts.bytes - before).toBeLessThan(60_000);
      expect(() => batch.column('name')).toThrow(/NO_SUCH_COLUMN/);
      await expect(batch.fetch(['nothing'])).rejects.toThrow(/NO_SUCH_COLUMN/);
    }
  });
});

it('an aborted scan stops', async () => {
  const { file } = files.get('ours') as { file: RangeFile };
  const budget = new Budget();
  const parquet = await openParquet(noted(file), budget);
  const controller = new AbortController();
  const scan = parquet.scan({ columns: ['wide'], conditions: [], budget, signal: controller.signal });
  const iterator = scan[Symbol.asyncIterator]();
  await iterator.next();
  controller.abort(new Error('enough'));
  await expect(
    (async () => {
      for (;;) if ((await iterator.next()).done === true) return;
    })(),
  ).rejects.toThrow('enough');
});

it('the statistics of a column join those of its row groups', async () => {
  for (const { file } of files.values()) {
    const parquet = await openParquet(file, new Budget());
    expect(parquet.stats('id')).toMatchObject({ min: 0, max: ROWS - 1, nullCount: 0 });
    expect(parquet.stats('sorted')).toMatchObject({
      min: Math.floor(3000 / 7),
      max: Math.floor(38_999 / 7),
    });
    expect(parquet.stats('missing')).toBeUndefined();
  }
});
