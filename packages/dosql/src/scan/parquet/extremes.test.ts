import { expect, it } from 'vitest';
import { Random } from '../../../test/support/random.ts';
import { Budget } from '../budget.ts';
import { MemoryFile } from '../source/files.ts';
import { scanQuery } from '../index.ts';
import type { Vector } from '../vector.ts';
import { openParquet, type ParquetFile } from './index.ts';
import { createParquetWriter } from './write.ts';

const GROUP_ROWS = 1000;
const seed = 11;

/** Four row groups of days, of integers beyond 2^53 in the last one, of none but NULLs in the first one, and of REALs. */
async function written(): Promise<ParquetFile> {
  const random = new Random(seed);
  const length = 4 * GROUP_ROWS;
  const days = Int32Array.from({ length }, () => random.int(20_000) - 5000);
  const wide = BigInt64Array.from(
    { length },
    (_, i) => BigInt(random.int(1_000_000)) * (i < 3 * GROUP_ROWS ? 1n : 2n ** 43n),
  );
  const reals = Float64Array.from({ length }, () => random.int(1000) / 8);
  const nulls = Uint8Array.from({ length }, (_, i) => (i < GROUP_ROWS || random.chance(0.1) ? 1 : 0));
  const vectors: Vector[] = [
    { kind: 'number', length, nulls: undefined, values: days },
    { kind: 'bigint', length, nulls, values: wide },
    { kind: 'number', length, nulls: undefined, values: reals },
  ];
  const writer = createParquetWriter({
    columns: [
      { name: 'day', type: 'date' },
      { name: 'wide', type: 'int64' },
      { name: 'real', type: 'double' },
    ],
    rowGroupRows: GROUP_ROWS,
  });
  writer.write(vectors);
  const bytes = new Uint8Array(await new Blob(writer.finish()).arrayBuffer());
  return openParquet(new MemoryFile('extremes', bytes, 'extremes'), new Budget());
}

it(`the least and the greatest of a file are told by its footer, where that has them (seed ${seed})`, async () => {
  const file = await written();
  const ask = async (sql: string): Promise<{ rows: unknown; decoded: number }> => {
    const budget = new Budget();
    const { rows } = await scanQuery(sql, file, { budget, bigints: true });
    return { rows, decoded: budget.counts.decodedBytes };
  };
  const both = 'SELECT min(day), max(day), max(wide), min(wide) FROM t';
  const { rows, decoded } = await ask(both);
  expect(decoded).toBe(0);
  const all = await ask(`${both} WHERE day IS NOT NULL`);
  expect(all.decoded).toBeGreaterThan(0);
  expect(rows).toEqual(all.rows);
  for (const sql of [
    'SELECT min(real) FROM t',
    'SELECT min(day), count(*) FROM t',
    'SELECT max(day + 1) FROM t',
    "SELECT max(day) FILTER (WHERE day < '2000-01-01') FROM t",
    'SELECT max(day) FROM t WHERE wide > 7',
    'SELECT max(wide) FROM t GROUP BY day',
  ])
    expect((await ask(sql)).decoded, sql).toBeGreaterThan(0);
});
