import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { diskFile, readAll } from './parquet-support.ts';
import { openDuck } from './duckdb-compare.ts';

const folder = join(import.meta.dirname, 'parquet-testing');

/** What DuckDB is asked for, by the type that it sees. */
const ASKED: Readonly<Record<string, string>> = {
  BLOB: 'lower(hex(COL))',
  BOOLEAN: 'COL::INT',
  FLOAT: 'COL::DOUBLE',
  TIMESTAMP: 'epoch_ns(COL)',
};

it.each(globSync('*.parquet', { cwd: folder }).toSorted())('reads %s as DuckDB does', async (name) => {
  const path = join(folder, name);
  const duck = await openDuck();
  const file = diskFile(path);
  const { columns, rows } = await readAll(file);
  file.close();
  expect(rows).toBeGreaterThan(0);
  for (const [column, values] of columns) {
    const answer = await duck.runAndReadAll(`SELECT "${column}" FROM '${path}'`);
    const type = answer.columnType(0).toString();
    const asked = (ASKED[type] ?? 'COL').replace('COL', `"${column}"`);
    const text = await duck.runAndReadAll(`SELECT ${asked}::VARCHAR FROM '${path}'`);
    const expected = text.getRows().map(([value]) => value);
    const isNumber = !['VARCHAR', 'BLOB'].includes(type);
    expect(
      values.map((value) => (isNumber ? Number(value) : value)),
      `${basename(path)}: ${column}, ${type}`,
    ).toEqual(expected.map((value) => (isNumber ? Number(value) : value)));
  }
});
