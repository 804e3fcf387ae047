import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { diskFile, readAll, type Plain } from './parquet-support.ts';

const seed = Number(process.env['VITE_SEED'] ?? Date.now() % 1e6);
const runs = Number(process.env['VITE_RUNS'] ?? 1);

let duckdb: DuckDBConnection;
const folder = mkdtempSync(join(tmpdir(), 'parquet-duckdb-'));

beforeAll(async () => {
  console.log(`VITE_SEED=${seed}`);
  const instance = await DuckDBInstance.create(':memory:');
  duckdb = await instance.connect();
  await duckdb.run('SET threads = 1');
});

afterAll(() => rmSync(folder, { recursive: true }));

async function ask(sql: string): Promise<unknown[][]> {
  return (await duckdb.runAndReadAll(sql)).getRows();
}

/** How a value of a type is made of a 64-bit number `k`, what DuckDB is asked for to compare, and what that becomes. */
interface Type {
  readonly sql: string;
  readonly make: string;
  readonly asked?: string;
  readonly expected?: (value: string) => Plain;
}

/** An integer as vectors have it, whichever of their kinds it is. */
const integer = (text: string): Plain => {
  const value = BigInt(text);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
};
const real = Number;

const TYPES: Record<string, Type> = {
  bool: { sql: 'BOOLEAN', make: 'k % 2 = 0', asked: 'COL::INT::VARCHAR', expected: integer },
  tinyint: { sql: 'TINYINT', make: 'k % 100', expected: integer },
  smallint: { sql: 'SMALLINT', make: 'k % 30000', expected: integer },
  int: { sql: 'INTEGER', make: 'k % 2147483647', expected: integer },
  bigint: { sql: 'BIGINT', make: 'k', expected: integer },
  safe: { sql: 'BIGINT', make: 'k % 9007199254740992', expected: integer },
  utinyint: { sql: 'UTINYINT', make: 'abs(k % 256)', expected: integer },
  usmallint: { sql: 'USMALLINT', make: 'abs(k % 65536)', expected: integer },
  uint: { sql: 'UINTEGER', make: 'abs(k % 4294967296)', expected: integer },
  ubigint: { sql: 'UBIGINT', make: 'abs(k::HUGEINT)', expected: integer },
  float: { sql: 'FLOAT', make: 'k / 1000.0', asked: 'COL::DOUBLE::VARCHAR', expected: real },
  double: { sql: 'DOUBLE', make: 'sin(k) * k', expected: real },
  decimal4: { sql: 'DECIMAL(4,1)', make: '(k % 9999) / 10', expected: real },
  decimal9: { sql: 'DECIMAL(9,2)', make: '(k % 999999999)::DECIMAL(18,0) / 100', expected: real },
  decimal18: { sql: 'DECIMAL(18,6)', make: '(k % 100000000000000)::DECIMAL(18,0) / 1000', expected: real },
  decimal38: {
    sql: 'DECIMAL(38,10)',
    make: '(k::DECIMAL(38,0) * 1000003)::DECIMAL(38,0) / 1000000',
    expected: real,
  },
  whole: { sql: 'DECIMAL(18,0)', make: 'k % 100000000000000000', expected: integer },
  whole38: { sql: 'DECIMAL(38,0)', make: 'k', expected: integer },
  text: { sql: 'VARCHAR', make: "CASE WHEN k % 11 = 0 THEN '' ELSE 'é🦆' || k END" },
  long: { sql: 'VARCHAR', make: "repeat('ab', abs(k % 100)::INT) || k" },
  fixed: { sql: 'VARCHAR', make: "lpad(abs(k % 1000)::VARCHAR, 8, '0')" },
  blob: { sql: 'BLOB', make: 'unhex(md5(k::VARCHAR))', asked: 'lower(hex(COL))' },
  uuid: { sql: 'UUID', make: 'md5(k::VARCHAR)::UUID' },
  date: {
    sql: 'DATE',
    make: "DATE '2000-01-01' + (k % 100000)::INT",
    asked: "(COL - DATE '1970-01-01')::VARCHAR",
    expected: integer,
  },
  time: {
    sql: 'TIME',
    make: "TIME '00:00:00' + to_microseconds(abs(k % 86400000000))",
    asked: 'epoch_us(COL)::VARCHAR',
    expected: integer,
  },
  timestamp: {
    sql: 'TIMESTAMP',
    make: 'make_timestamp(k % 4000000000000000)',
    asked: 'epoch_us(COL)::VARCHAR',
    expected: integer,
  },
  timestamptz: {
    sql: 'TIMESTAMPTZ',
    make: 'make_timestamp(k % 4000000000000000)::TIMESTAMPTZ',
    asked: 'epoch_us(COL)::VARCHAR',
    expected: integer,
  },
  timestamp_ms: {
    sql: 'TIMESTAMP_MS',
    make: 'make_timestamp(k % 4000000000000000)',
    asked: 'epoch_ms(COL)::VARCHAR',
    expected: integer,
  },
  timestamp_ns: {
    sql: 'TIMESTAMP_NS',
    make: 'make_timestamp_ns(k % 4000000000000000000)',
    asked: 'epoch_ns(COL)::VARCHAR',
    expected: integer,
  },
  enum: { sql: "ENUM('a', 'b', 'it''s')", make: "['a', 'b', 'it''s'][1 + abs(k % 3)::INT]" },
  json: { sql: 'JSON', make: "json_object('k', k)" },
};

/** Of which numbers the values are made, by the row `i`. */
const SHAPES = [
  'i',
  'i % 7',
  'i // 911',
  '(hash(i, SEED) >> 1)::BIGINT',
  '-(hash(i, SEED) >> 1)::BIGINT',
  '(hash(i, SEED) % 3000)::BIGINT',
  '(hash(i // 20, SEED) >> 1)::BIGINT',
];

/** Where NULLs are. */
const NULLS = [
  'false',
  'true',
  'i % 3 = 0',
  '(i // 700) % 2 = 0',
  'hash(i, SEED + 1) % 50 = 0',
  'i > 100',
  'i <> 1234',
];

function columnsOf(count: number, run: number): { name: string; type: Type; sql: string }[] {
  const columns: { name: string; type: Type; sql: string }[] = [];
  let turn = seed + 31 * run;
  for (const [name, type] of Object.entries(TYPES))
    for (let i = 0; i < count; i++) {
      turn = (turn * 48_271 + 11) % 2_147_483_647;
      const shape = SHAPES[turn % SHAPES.length];
      const nulls = NULLS[Math.floor(turn / 1000) % NULLS.length];
      const value = `CASE WHEN ${nulls} THEN NULL ELSE (SELECT ${type.make} FROM (SELECT (${shape})::BIGINT AS k)) END::${type.sql}`;
      columns.push({
        name: `${name}${i}`,
        type,
        sql: `${value} AS ${name}${i}`.replaceAll('SEED', String(seed + run)),
      });
    }
  return columns;
}

const OPTIONS = [
  'COMPRESSION uncompressed',
  'COMPRESSION snappy',
  'COMPRESSION zstd',
  'COMPRESSION gzip',
  'COMPRESSION brotli',
  'COMPRESSION lz4_raw',
  'COMPRESSION snappy, PARQUET_VERSION v2',
  'COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE 2048',
  'COMPRESSION uncompressed, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 5000',
  'COMPRESSION snappy, ROW_GROUP_SIZE 2048, DICTIONARY_SIZE_LIMIT 100',
];

describe('files of DuckDB are read as DuckDB reads them', () => {
  for (let run = 0; run < runs; run++)
    for (const [i, options] of OPTIONS.entries())
      it(`${options} (${run})`, async () => {
        const columns = columnsOf(1, 100 * run + i);
        const path = join(folder, `${run}-${i}.parquet`);
        const rows = [0, 1, 2500, 4100, 6000][(seed + run + i) % 5] as number;
        await duckdb.run(
          `COPY (SELECT ${columns.map(({ sql }) => sql).join(', ')} FROM range(${rows}) r(i)) TO '${path}' (FORMAT parquet, ${options})`,
        );
        const read = await readAll(diskFile(path));
        expect(read.rows).toBe(rows);
        const asked = columns.map(({ name, type }) =>
          (type.asked ?? 'COL::VARCHAR').replace('COL', `"${name}"`),
        );
        const wanted = await ask(`SELECT ${asked.join(', ')} FROM '${path}'`);
        for (const [at, { name, type }] of columns.entries()) {
          const expected = wanted.map((row) =>
            row[at] === null ? null : (type.expected ?? String)(row[at] as string),
          );
          const got = read.columns
            .get(name)
            ?.map((value) => (typeof value === 'bigint' ? integer(String(value)) : value));
          expect(got, `${name}, ${options}`).toEqual(expected);
        }
      });
});

it('every type of DuckDB is readable or says why not', async () => {
  const path = join(folder, 'all.parquet');
  await duckdb.run(`COPY (SELECT * FROM test_all_types()) TO '${path}' (FORMAT parquet)`);
  const file = diskFile(path);
  const read = await readAll(file);
  expect(read.rows).toBe(3);
  expect([...read.columns.values()].every((values) => values.length === 3 && values[2] === null)).toBe(true);
  expect(read.columns.get('interval')).toEqual(['PT0S', 'P999M999DT999.999S', null]);
  expect(read.columns.get('bigint')).toEqual([-(2n ** 63n), 2n ** 63n - 1n, null]);
  expect(read.columns.get('ubigint')).toEqual([0, 2 ** 64, null]);
  await expect(readAll(file, { columns: ['int_array'] })).rejects.toThrow(
    /SYNTAX: the column "int_array" of .* cannot be read: it holds a list or a map/,
  );
  await expect(readAll(file, { columns: ['missing'] })).rejects.toThrow(
    /NO_SUCH_COLUMN: .* no column "missing"/,
  );
});

it('a row group of many batches is the same as DuckDB reads it', async () => {
  const path = join(folder, 'large.parquet');
  const rows = 450_000;
  await duckdb.run(
    `COPY (SELECT i, i % 1000 AS few, CASE WHEN i % 5 = 0 THEN NULL ELSE 't' || i % 70000 END AS text, i // 100000 AS runs
      FROM range(${rows}) r(i)) TO '${path}' (FORMAT parquet, ROW_GROUP_SIZE 500000)`,
  );
  const { columns, rows: found } = await readAll(diskFile(path));
  expect(found).toBe(rows);
  const numbers = Array.from({ length: rows }, (_, i) => i);
  // Not toEqual, which takes seconds for so many.
  const differs = (name: string, wanted: (i: number) => Plain): number =>
    numbers.findIndex((i) => columns.get(name)?.[i] !== wanted(i));
  expect(differs('i', (i) => i)).toBe(-1);
  expect(differs('few', (i) => i % 1000)).toBe(-1);
  expect(differs('text', (i) => (i % 5 === 0 ? null : `t${i % 70_000}`))).toBe(-1);
  expect(differs('runs', (i) => Math.floor(i / 100_000))).toBe(-1);
});

it('reals come back bit by bit', async () => {
  const path = join(folder, 'reals.parquet');
  const values = ['-0.0', '0.0', 'NaN', 'inf', '-inf', '5e-324', '1.7976931348623157e308'].map(
    (text) => `'${text}'`,
  );
  await duckdb.run(
    `COPY (SELECT unnest([${values.join(', ')}]::DOUBLE[]) AS d, d::FLOAT AS f FROM (SELECT 1)) TO '${path}' (FORMAT parquet)`.replace(
      'd::FLOAT',
      `unnest(['-0.0', '0.0', 'NaN', 'inf', '-inf', '1e-45', '3.4028234663852886e38']::FLOAT[])`,
    ),
  );
  const { columns } = await readAll(diskFile(path));
  expect(columns.get('d')).toEqual([-0, 0, NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE]);
  expect(columns.get('f')).toEqual([
    -0,
    0,
    NaN,
    Infinity,
    -Infinity,
    Math.fround(1e-45),
    Math.fround(3.4028234663852886e38),
  ]);
});

it('columns of any name are read, also such as objects have', async () => {
  const path = join(folder, 'names.parquet');
  await duckdb.run(
    `COPY (SELECT 1 AS "__proto__", 2 AS "it's", 3 AS "a b", 4 AS "é.x") TO '${path}' (FORMAT parquet)`,
  );
  const { columns } = await readAll(diskFile(path));
  expect([...columns]).toEqual([
    ['__proto__', [1]],
    ["it's", [2]],
    ['a b', [3]],
    ['é.x', [4]],
  ]);
});
