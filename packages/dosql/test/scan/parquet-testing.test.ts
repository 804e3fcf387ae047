import type { DuckDBConnection } from '@duckdb/node-api';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { Budget } from '../../src/scan/budget.ts';
import { openParquet } from '../../src/scan/parquet/index.ts';
import { openDuck } from './duckdb-compare.ts';
import { diskFile, readAll, type Plain } from './parquet-support.ts';

/** What DuckDB is asked for, by the type that it sees: times in ns. */
const ASKED: readonly [type: RegExp, asked: string][] = [
  [/^BLOB/, 'lower(hex(COL))'],
  [/^BOOLEAN/, 'COL::INT'],
  [/^FLOAT/, 'COL::DOUBLE'],
  [/^(?:DATE|TIME)/, 'epoch_ns(COL)'],
];
const NANOSECONDS: Readonly<Record<string, bigint>> = {
  day: 86_400_000_000_000n,
  s: 1_000_000_000n,
  ms: 1_000_000n,
  us: 1_000n,
  ns: 1n,
};

/** Of columns that DuckDB does not read, those that hold the same. */
const TWINS: Readonly<Record<string, (column: string) => readonly [file: string, column: string]>> = {
  'byte_stream_split_extended.gzip.parquet': (column) => [
    'byte_stream_split_extended.gzip.parquet',
    column.replace('byte_stream_split', 'plain'),
  ],
  'hadoop_lz4_compressed.parquet': (column) => ['lz4_raw_compressed.parquet', column],
  'hadoop_lz4_compressed_larger.parquet': (column) => ['lz4_raw_compressed_larger.parquet', column],
  'non_hadoop_lz4_compressed.parquet': (column) => ['lz4_raw_compressed.parquet', column],
};

/** Files of `data` that are not sound, and why. */
const UNSOUND: Readonly<Record<string, RegExp>> = {
  'datapage_v1-corrupt-checksum.parquet': /"a" does not have its checksum/,
  'rle-dict-uncompressed-corrupt-checksum.parquet': /"long_field" does not have its checksum/,
  // It says that all values are there, of which a tenth is not; DuckDB runs out of bytes, too.
  'fixed_length_byte_array.parquet': /values of a page end early/,
};

/** What Spark wrote; DuckDB lets the last one overflow. */
const INT96_FROM_SPARK = [
  1_704_141_296_123_456n,
  1_704_070_800_000_000n,
  253_402_225_200_000_000n,
  1_735_599_600_000_000n,
  null,
  9_089_380_393_200_000_000n,
];

/** It wants a map to have values. */
const NOT_FOR_DUCKDB: readonly string[] = ['map_no_value.parquet'];

const NESTED = /\[\]$|^STRUCT|^MAP/;

let duck: DuckDBConnection;

beforeAll(async () => {
  duck = await openDuck();
});

function filesIn(folder: string): string[] {
  return globSync('*.parquet', { cwd: join(import.meta.dirname, folder) }).toSorted();
}

interface Read {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, readonly Plain[]>;
  /** ns of the unit of a column of times. */
  readonly units: ReadonlyMap<string, bigint>;
}

async function read(path: string): Promise<Read> {
  const file = diskFile(path);
  try {
    const { columns } = await openParquet(file, new Budget());
    const units = columns.flatMap(({ name, type, unit }): [string, bigint][] => {
      const ns = NANOSECONDS[type === 'date' ? 'day' : String(unit)];
      return ns === undefined ? [] : [[name, ns]];
    });
    return { ...(await readAll(file)), units: new Map(units) };
  } finally {
    file.close();
  }
}

/** The flat columns of a file as DuckDB sees them, and their types; undefined where it cannot open the file. */
async function typesIn(path: string): Promise<ReadonlyMap<string, string> | undefined> {
  const none = await duck.run(`SELECT * FROM '${path}' LIMIT 0`).catch(() => undefined);
  const types = none?.columnNames().map((name, i) => [name, String(none.columnType(i))] as const);
  return types && new Map(types.filter(([, type]) => !NESTED.test(type)));
}

/** A column as DuckDB reads it; undefined where it does not. */
async function expectedOf(path: string, column: string, type: string): Promise<Plain[] | undefined> {
  const asked = ASKED.find(([of]) => of.test(type))?.[1] ?? 'COL';
  const value = asked.replace('COL', `"${column.replaceAll('"', '""')}"`);
  try {
    const answer = await duck.runAndReadAll(`SELECT (${value})::VARCHAR FROM '${path}'`);
    return answer.getRows().map(([text]) => text as string | null);
  } catch (error) {
    if (/Unsupported compression codec|encoding is only supported/.test(String(error))) return undefined;
    throw error;
  }
}

/** A value as what it is compared by. */
function comparable(value: Plain, type: string): Plain {
  if (value === null) return null;
  // Past SQLite's integers a number is a real.
  if (type === 'UBIGINT' && Number(value) >= 2 ** 63) return Number(value);
  if (!/^(?:FLOAT|DOUBLE|DECIMAL)/.test(type)) return String(value);
  return Number(typeof value === 'string' ? value.replace(/\binf\b/, 'Infinity') : value);
}

async function compare(path: string): Promise<void> {
  const { columns, units, rows } = await read(path);
  const types = await typesIn(path);
  expect(types === undefined).toBe(NOT_FOR_DUCKDB.includes(basename(path)));
  if (types === undefined) {
    expect([...columns.keys()]).toEqual([]);
    return;
  }
  expect([...columns.keys()]).toEqual([...types.keys()]);
  for (const [column, type] of types) {
    const unit = units.get(column);
    const own = columns
      .get(column)
      ?.map((value) => (value === null || unit === undefined ? value : BigInt(value) * unit));
    expect(own).toHaveLength(rows);
    let expected = await expectedOf(path, column, type);
    if (expected === undefined) {
      const [file, twin] = TWINS[basename(path)]?.(column) ?? [];
      const same = await read(join(path, '..', String(file)));
      expected = [...(same.columns.get(String(twin)) ?? [])];
      expect(expected).not.toHaveLength(0);
    }
    expect(
      own?.map((value) => comparable(value, type)),
      `${column}, ${type}`,
    ).toEqual(expected.map((value) => comparable(value, type)));
  }
}

describe('Apache’s test files', () => {
  const files = filesIn('parquet-testing/data').filter((name) => UNSOUND[name] === undefined);

  it.each(files.filter((name) => name !== 'int96_from_spark.parquet'))('%s', (name) =>
    compare(join(import.meta.dirname, 'parquet-testing/data', name)),
  );

  it('int96_from_spark.parquet, with times that nanoseconds of 64 bits do not reach', async () => {
    const { columns } = await read(
      join(import.meta.dirname, 'parquet-testing/data/int96_from_spark.parquet'),
    );
    expect(columns.get('a')).toEqual(INT96_FROM_SPARK);
  });

  it.each(Object.entries(UNSOUND))('%s is refused', async (name, why) => {
    const reading = read(join(import.meta.dirname, 'parquet-testing/data', name));
    await expect(reading).rejects.toThrow(why);
    await expect(reading).rejects.toMatchObject({ code: 'CORRUPT_FILE' });
  });
});

describe('Apache’s bad files', () => {
  const sound: Readonly<Record<string, string>> = {
    'ARROW-GH-43605.parquet': 'dictionary codes of no width: all the first one',
    'ARROW-GH-45185.parquet': 'has no flat column',
    'ARROW-RS-GH-6229-LEVELS.parquet': 'has no flat column',
  };

  it.each(Object.entries(sound))('%s is read: %s', (name) =>
    compare(join(import.meta.dirname, 'parquet-testing/bad_data', name)),
  );

  it.each(
    globSync('*', { cwd: join(import.meta.dirname, 'parquet-testing/bad_data') })
      .toSorted()
      .filter((name) => sound[name] === undefined),
  )('%s is refused', async (name) => {
    const reading = read(join(import.meta.dirname, 'parquet-testing/bad_data', name));
    await expect(reading).rejects.toMatchObject({ code: 'CORRUPT_FILE' });
  });
});

describe('what pyarrow writes', () => {
  it.each(filesIn('pyarrow'))('%s', (name) => compare(join(import.meta.dirname, 'pyarrow', name)));
});
