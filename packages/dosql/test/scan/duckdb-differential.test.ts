import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Budget, openParquet } from '../../src/scan/index.ts';
import { Random } from '../support/random.ts';
import { expectSame, openDuck } from './duckdb-compare.ts';
import { duckColumn } from './duckdb-expressions.ts';
import { DuckQueries } from './duckdb-queries.ts';
import { randomTable, randomWriter } from './duckdb-tables.ts';
import { diskFile } from './parquet-support.ts';

const seed = Number(process.env['VITE_SEED'] ?? 2026);
const runs = Number(process.env['VITE_RUNS'] ?? 180);
/** Queries over each file. */
const QUERIES = 10;

const folder = mkdtempSync(join(tmpdir(), 'dosql-differential-'));
let duck: DuckDBConnection;
let answered = 0;
let asked = 0;

beforeAll(async () => {
  console.log(`VITE_SEED=${seed}`);
  duck = await openDuck();
});

afterAll(() => {
  duck.closeSync();
  rmSync(folder, { recursive: true });
});

describe('queries over a file are answered as DuckDB answers them', () => {
  for (let file = 0; file < Math.ceil(runs / QUERIES); file++)
    it(`with seed ${seed + file}`, async () => {
      const random = new Random((seed + file) * 7919);
      const isLarge = runs > 500 && random.chance(0.05);
      const table = randomTable(random, isLarge ? 30_000 : random.pick([0, 1, 30, 700, 2500, 2500, 5000]));
      const writer = randomWriter(random);
      const path = join(folder, `${file}.parquet`);
      await writer.write(path, table, duck);
      await duck.run(
        `CREATE OR REPLACE VIEW t AS SELECT ${table.map(duckColumn).join(', ')} FROM read_parquet('${path}')`,
      );
      const source = diskFile(path);
      const parquet = await openParquet(source, new Budget());
      const queries = new DuckQueries(random, table);
      for (let i = 0; i < QUERIES; i++) {
        asked++;
        if (await expectSame(queries.query(), parquet, duck, `${writer.name}, query ${i}`)) answered++;
      }
      source.close();
    });

  it('nearly all of them', () => {
    expect(answered).toBeGreaterThan(asked * 0.95);
  });
});
