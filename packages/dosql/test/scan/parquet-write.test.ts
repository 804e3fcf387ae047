import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createParquetWriter } from '../../src/scan/parquet/write.ts';
import type { SqlValue } from '../../src/value/row.ts';
import type { Codec } from '../../src/scan/parquet/write-codec.ts';
import { readWithDuckdb, readWithHyparquet, readWithWasm } from './write-readers.ts';
import { writeTable } from './write-table.ts';
import { Random, randomColumn, type Plain, type TestColumn } from './write-tables.ts';

const seed = Number(process.env.VITE_SEED ?? Date.now() % 2 ** 31);
const runs = Number(process.env.VITE_RUNS ?? 60);
const folder = mkdtempSync(join(tmpdir(), 'dosql-write-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
const CODECS: readonly Codec[] = ['zstd', 'snappy', 'gzip', 'uncompressed'];

function expectEqual(
  actual: readonly (readonly Plain[] | undefined)[],
  table: readonly TestColumn[],
  reader: string,
): void {
  table.forEach(({ column, values }, i) => {
    const read = actual[i];
    if (read === undefined) return;
    const wrong = values.findIndex((value, row) => !Object.is(value, read[row]));
    if (wrong >= 0 || read.length !== values.length)
      expect.fail(
        `${reader}: ${read.length} of ${values.length} values; ${JSON.stringify(column)} row ${wrong}: ` +
          `${JSON.stringify(read[wrong])} instead of ${JSON.stringify(values[wrong])}`,
      );
  });
}

async function expectReadable(bytes: Uint8Array, table: readonly TestColumn[]): Promise<void> {
  const columns = table.map(({ column }) => column);
  // A path of its own each time: DuckDB keeps what it has read of a path.
  expectEqual(await readWithDuckdb(join(folder, `${files++}.parquet`), bytes, columns), table, 'DuckDB');
  expectEqual(await readWithHyparquet(bytes, columns), table, 'hyparquet');
  expectEqual(readWithWasm(bytes, columns), table, 'parquet-wasm');
}

describe('files', () => {
  for (let run = 0; run < runs; run++)
    test(`with seed ${seed + run} are read by others as they were written`, async () => {
      const random = new Random(seed + run);
      const rows = random.pick([0, 1, 2, 7, 100, 999, 3000]);
      const table = Array.from({ length: 1 + random.below(8) }, (_, i) =>
        randomColumn(random, `c${i}`, rows),
      );
      const names = table.map(({ column }) => column.name);
      const bytes = writeTable(
        table,
        {
          codec: random.pick(CODECS),
          rowGroupRows: random.pick([100_000, 500, 64]),
          pageRows: random.pick([20_000, 100, 17]),
          bloom: names.filter(() => random.below(3) === 0),
        },
        1 + random.below(3),
      );
      await expectReadable(bytes, table);
    });

  test('of 100 columns with odd names', async () => {
    const random = new Random(5);
    const odd = ["it's", '"a b"', '__proto__', 'constructor', 'ünïcode 😀', '$other', 'SELECT', ' '];
    const table = Array.from({ length: 100 }, (_, i) => randomColumn(random, odd[i] ?? `column ${i}`, 50));
    await expectReadable(writeTable(table, {}), table);
  });
});

describe('a writer refuses', () => {
  const write = (type: 'int32' | 'int64' | 'boolean' | 'utf8' | 'binary', value: SqlValue) => (): void => {
    const writer = createParquetWriter({ columns: [{ name: 'c', type }] });
    writer.write([{ kind: 'mixed', length: 1, nulls: undefined, values: [value] }]);
  };

  test.each([
    ['int32', 2 ** 31],
    ['int32', 0.5],
    ['int64', 2 ** 53 + 2],
    ['int64', 2n ** 63n],
    ['int64', Number.NaN],
    ['int64', '1'],
    ['boolean', 2],
    ['utf8', 1],
    ['utf8', new Uint8Array(1)],
    ['binary', 'x'],
  ] as const)('for %s: %s', (type, value) => {
    expect(write(type, value)).toThrow(/^BAD_PARAMETER: column c is written as/);
  });

  test('NULLs of a required column, and says which', () => {
    const writer = createParquetWriter({ columns: [{ name: 'a', type: 'int64', required: true }] });
    const nulls = Uint8Array.of(0, 1);
    const write = (): void =>
      writer.write([{ kind: 'number', length: 2, nulls, values: Float64Array.of(1, 2) }]);
    expect(write).toThrow('column a is required and has 1 NULL(s)');
  });

  test('vectors of other lengths or another number, and rows after the end', () => {
    const writer = createParquetWriter({ columns: [{ name: 'a', type: 'int64' }] });
    expect(() => writer.write([])).toThrow('BAD_PARAMETER');
    writer.finish();
    expect(() => writer.write([{ kind: 'mixed', length: 1, nulls: undefined, values: [1] }])).toThrow(
      'finished',
    );
  });

  test('columns of one name, unknown ones in options, and sizes that are none', () => {
    const columns = [{ name: 'a', type: 'int64' }] as const;
    expect(() => createParquetWriter({ columns: [...columns, ...columns] })).toThrow(
      'two columns are called a',
    );
    expect(() => createParquetWriter({ columns, bloom: ['b'] })).toThrow('there is no column b');
    expect(() => createParquetWriter({ columns, sortedBy: [{ column: 'c' }] })).toThrow(
      'there is no column c',
    );
    expect(() => createParquetWriter({ columns, pageRows: 0 })).toThrow('pageRows is 0');
  });
});
