import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { Compression, Table, writeParquet, WriterPropertiesBuilder } from 'parquet-wasm/node';
import { afterAll, describe, expect, test } from 'vitest';
import {
  arrowStream,
  arrowTable,
  rowTypes,
  rowVectors,
  type ArrowColumnType,
} from '../../src/arrow/index.ts';
import type { WriteColumn } from '../../src/scan/parquet/write-schema.ts';
import type { Vector } from '../../src/scan/vector.ts';
import type { SqlValue } from '../../src/value/row.ts';
import { arrowValues, readWithDuckdb } from './write-readers.ts';
import { Random, randomColumn, slice, type TestColumn } from './write-tables.ts';

const seed = Number(process.env.VITE_SEED ?? Date.now() % 2 ** 31);
const runs = Number(process.env.VITE_RUNS ?? 30);
const folder = mkdtempSync(join(tmpdir(), 'dosql-arrow-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

function typeOf({ type, unit, isUtc }: WriteColumn): ArrowColumnType {
  switch (type) {
    case 'double':
      return { type: 'real' };
    case 'utf8':
      return { type: 'text' };
    case 'binary':
      return { type: 'blob' };
    case 'timestamp':
    case 'time':
      return { type, unit, isUtc };
    case 'date':
      return { type };
    default:
      return { type: 'integer' };
  }
}

/** The values in Arrow are int64 for every integer, which tests compare by their digits. */
function readAs({ column }: TestColumn): WriteColumn {
  return column.type === 'boolean' ? { ...column, type: 'int64' } : column;
}

describe('a stream', () => {
  for (let run = 0; run < runs; run++)
    test(`has the values of its vectors, seed ${seed + run}`, async () => {
      const random = new Random(seed + run);
      const rows = random.pick([0, 1, 9, 1000]);
      const table = Array.from({ length: 1 + random.below(6) }, (_, i) =>
        randomColumn(random, `c${i}`, rows),
      );
      const steps = 1 + random.below(3);
      const batches = Array.from({ length: steps }, (_, step) =>
        table.map(({ vector }) =>
          slice(vector, Math.floor((rows * step) / steps), Math.floor((rows * (step + 1)) / steps)),
        ),
      );
      const names = table.map(({ column }) => column.name);
      const types = table.map(({ column }) => typeOf(column));
      const bytes = await bytesOf(arrowStream(names, types, batches));
      const read = tableFromIPC(bytes);
      const direct = await arrowTable(names, types, batches);
      expect(read.numRows).toBe(rows);
      table.forEach((column, i) => {
        for (const arrow of [read, direct]) {
          const vector = arrow.getChildAt(i);
          if (vector === null) expect.fail(`no column ${i}`);
          expect(arrowValues(vector, readAs(column))).toEqual(column.values);
        }
      });
      // Arrow's other implementation, and DuckDB behind it.
      const path = join(folder, `${run}.parquet`);
      const properties = new WriterPropertiesBuilder().setCompression(Compression.UNCOMPRESSED).build();
      writeFileSync(path, writeParquet(Table.fromIPCStream(bytes), properties));
      const others = await readWithDuckdb(path, undefined, table.map(readAs));
      others.forEach((values, i) => {
        if (values !== undefined) expect(values).toEqual(table[i]?.values);
      });
    });

  test('is made batch by batch, as its reader asks, and stops when the reader does', async () => {
    let made = 0;
    let isStopped = false;
    function* batches(): Generator<readonly Vector[]> {
      try {
        for (;;) {
          made++;
          yield rowVectors([[made]], 1);
        }
      } finally {
        isStopped = true;
      }
    }
    const reader = arrowStream(['n'], [{ type: 'integer' }], batches()).getReader();
    await reader.read();
    expect(made).toBe(0);
    await reader.read();
    await reader.read();
    expect(made).toBe(2);
    await reader.cancel();
    expect(isStopped).toBe(true);
  });

  test('breaks off with an error for a value that is not of its column’s type', async () => {
    const refused: [SqlValue, ArrowColumnType][] = [
      ['x', { type: 'integer' }],
      [0.5, { type: 'integer' }],
      [1, { type: 'text' }],
      ['x', { type: 'blob' }],
      ['soon', { type: 'timestamp' }],
      [new Uint8Array(1), { type: 'real' }],
    ];
    for (const [value, type] of refused) {
      const stream = arrowStream(['c'], [type], [rowVectors([[null], [value]], 1)]);
      await expect(bytesOf(stream)).rejects.toThrow(`BAD_PARAMETER: column c is ${type.type} and has`);
    }
    await expect(arrowTable(['a', 'b'], [{ type: 'text' }], [])).rejects.toThrow('BAD_PARAMETER');
    await expect(arrowTable(['a'], [{ type: 'text' }], [[]])).rejects.toThrow('BAD_PARAMETER');
  });
});

describe('rows of a query', () => {
  const rows: SqlValue[][] = [
    [1, 1, 'a', null, new Uint8Array([1]), 1, '2024-01-02T03:04:05.678Z'],
    [2n ** 62n, 0.5, null, null, null, 'one', null],
    [null, null, 'ü', null, new Uint8Array(0), new Uint8Array([7]), null],
    [-3, -0, '', null, null, null, null],
    [4, Infinity, "it's", null, null, 2.5, null],
  ];
  const names = ['i', 'r', '__proto__', 'n', 'b', 'any', 'at'];

  test('get the types that all their values have', () => {
    expect(rowTypes(rows, 7).map(({ type }) => type)).toEqual([
      'integer',
      'real',
      'text',
      'text',
      'blob',
      'any',
      'text',
    ]);
    expect(rowTypes([], 2).map(({ type }) => type)).toEqual(['text', 'text']);
  });

  test('come out as they are, of several classes as a union', async () => {
    const bytes = await bytesOf(arrowStream(names, rowTypes(rows, 7), [rowVectors(rows, 7)]));
    const table = tableFromIPC(bytes);
    expect(table.schema.fields.map(({ name }) => name)).toEqual(names);
    const column = (i: number): unknown[] => [...(table.getChildAt(i) ?? [])];
    expect(column(0)).toEqual([1n, 2n ** 62n, null, -3n, 4n]);
    expect(column(1)).toEqual([1, 0.5, null, -0, Infinity]);
    expect(column(2)).toEqual(['a', null, 'ü', '', "it's"]);
    expect(column(3)).toEqual([null, null, null, null, null]);
    expect(column(4)).toEqual([new Uint8Array([1]), null, new Uint8Array(0), null, null]);
    expect(column(5)).toEqual([1n, 'one', new Uint8Array([7]), null, 2.5]);
  });

  test('are times where their column is said to be one', async () => {
    const types: ArrowColumnType[] = [
      { type: 'timestamp', unit: 'us' },
      { type: 'date' },
      { type: 'time', unit: 'ms' },
      { type: 'timestamp', unit: 'ms', isUtc: false },
    ];
    const values = [['2024-01-02T03:04:05.678901Z', '2024-01-02', '03:04:05.678', '2024-01-02 03:04']];
    const table = await arrowTable(['a', 'b', 'c', 'd'], types, [rowVectors(values, 4)]);
    const numbers = [0, 1, 2, 3].map((i) => table.getChildAt(i)?.data[0]?.values[0] as number | bigint);
    expect(numbers).toEqual([1_704_164_645_678_901n, 19_724, 11_045_678, 1_704_164_640_000n]);
    expect(table.schema.fields.map(({ type }) => String(type))).toEqual([
      'Timestamp<MICROSECOND, UTC>',
      'Date32<DAY>',
      'Time32<MILLISECOND>',
      'Timestamp<MILLISECOND>',
    ]);
  });
});
