import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, describe, expect, it } from 'vitest';
import { DoSQLError } from '../../src/error.ts';
import { Budget } from '../../src/scan/budget.ts';
import { createParquetWriter } from '../../src/scan/parquet/write.ts';
import type { Condition } from '../../src/scan/table.ts';
import type { Vector } from '../../src/scan/vector.ts';
import { counted } from '../support/counted.ts';
import { memoryFile, readAll } from './parquet-support.ts';
import { Random } from './write-tables.ts';

const seed = Number(process.env['VITE_SEED'] ?? Date.now() % 1e6);
const flips = Number(process.env['VITE_RUNS'] ?? 3000);
const folder = mkdtempSync(join(tmpdir(), 'parquet-damage-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What damaged bytes may ask for at most: without it a flip of a size could take a while to be found out. */
const LIMITS = { decodedBytes: 2 ** 26 };
const CODES = new Set(['CORRUPT_FILE', 'TOO_BIG', 'NO_SUCH_COLUMN', 'SYNTAX']);

const numbers = (values: number[]): Vector => ({
  kind: 'number',
  length: values.length,
  nulls: undefined,
  values: Float64Array.from(values),
});

function texts(values: readonly string[]): Vector {
  const parts = values.map((value) => Buffer.from(value));
  const offsets = new Uint32Array(values.length + 1);
  parts.forEach((part, i) => (offsets[i + 1] = (offsets[i] as number) + part.length));
  return { kind: 'bytes', length: values.length, nulls: undefined, data: Buffer.concat(parts), offsets };
}

const COLUMNS = ['id', 'few', 'real', 'text', 'flag'];

function ours(): Uint8Array {
  const writer = createParquetWriter({
    columns: [
      { name: 'id', type: 'int64', required: true },
      { name: 'few', type: 'utf8' },
      { name: 'real', type: 'double' },
      { name: 'text', type: 'utf8' },
      { name: 'flag', type: 'boolean' },
    ],
    rowGroupRows: 600,
    pageRows: 150,
    bloom: ['few'],
  });
  const rows = Array.from({ length: 1000 }, (_, i) => i);
  writer.write([
    numbers(rows.map((i) => i * 3)),
    {
      ...texts(rows.map((i) => (i % 5 === 0 ? '' : `few-${i % 4}`))),
      nulls: Uint8Array.from(rows, (i) => (i % 5 === 0 ? 1 : 0)),
    } as Vector,
    numbers(rows.map((i) => Math.sin(i) * 1000)),
    texts(rows.map((i) => `text ${(i * 7919) % 1009}`)),
    numbers(rows.map((i) => (i % 3 === 0 ? 1 : 0))),
  ]);
  return new Uint8Array(Buffer.concat(writer.finish()));
}

/** All that a file answers, or the code of its error. */
async function answer(
  bytes: Uint8Array,
  conditions: readonly Condition[] = [],
  columns?: readonly string[],
): Promise<unknown> {
  try {
    const read = await readAll(memoryFile(bytes), {
      conditions,
      ...(columns === undefined ? {} : { columns }),
      budget: new Budget(LIMITS),
    });
    return [...read.columns];
  } catch (error) {
    // Anything but an error of ours is a crash.
    if (!(error instanceof DoSQLError) || !CODES.has(error.code)) throw error;
    return error.code;
  }
}

const CONDITIONS: readonly (readonly Condition[])[] = [
  [],
  [{ column: 'id', operator: '>=', values: [2000] }],
  [{ column: 'few', operator: '=', values: ['few-2'] }],
  [{ column: 'id', operator: 'in', values: [30, 2700] }],
];

/** Pruned answers are compared by the rows that the condition is about: more may be there, and that is right too. */
function wanted(answer: unknown, [condition]: readonly Condition[]): unknown {
  if (typeof answer === 'string' || condition === undefined) return answer;
  const columns = new Map(answer as [string, unknown[]][]);
  const keys = columns.get(condition.column) as (number | string | null)[];
  const isWanted = keys.map((key) =>
    condition.operator === '>='
      ? key !== null && Number(key) >= Number(condition.values[0])
      : condition.values.includes(key as number),
  );
  return [...columns].map(([name, values]) => [name, values.filter((_, i) => isWanted[i])]);
}

describe('a damaged file of ours is found out', () => {
  const bytes = ours();

  it(`${flips} flips of a bit or a byte: the right answer or CORRUPT_FILE`, async () => {
    console.log(`VITE_SEED=${seed}`);
    const random = new Random(seed);
    const right = await Promise.all(
      CONDITIONS.map(async (conditions) => wanted(await answer(bytes, conditions, COLUMNS), conditions)),
    );
    let found = 0;
    for (let flip = 0; flip < flips; flip++) {
      const damaged = bytes.slice();
      const at = random.below(bytes.length);
      damaged[at] =
        (damaged[at] as number) ^ (random.below(2) === 0 ? 1 << random.below(8) : 1 + random.below(255));
      const turn = flip % CONDITIONS.length;
      const conditions = CONDITIONS[turn] as readonly Condition[];
      const given = wanted(await answer(damaged, conditions, COLUMNS), conditions);
      if (given === 'CORRUPT_FILE') found++;
      else expect(given, `byte ${at}, seed ${seed}, flip ${flip}`).toEqual(right[turn]);
    }
    counted('damaged Parquet files', { files: flips, 'found out': found });
    // Flips that are not found are in what the query does not read.
    expect(found).toBeGreaterThan(flips / 3);
  });

  it('flips in pages that are read singly are found out as well', async () => {
    const rows = Array.from({ length: 6000 }, (_, i) => i);
    const writer = createParquetWriter({
      columns: [
        { name: 'id', type: 'int64', required: true },
        { name: 'text', type: 'utf8' },
      ],
      rowGroupRows: 4000,
      pageRows: 300,
      codec: 'uncompressed',
    });
    writer.write([numbers(rows), texts(rows.map((i) => `${(i * 2_654_435_761) % 1e9}`.repeat(4)))]);
    const large = new Uint8Array(Buffer.concat(writer.finish()));
    const random = new Random(seed);
    const conditions: Condition[] = [{ column: 'id', operator: 'in', values: [650, 2400] }];
    const names = ['id', 'text'];
    const right = wanted(await answer(large, conditions, names), conditions);
    let found = 0;
    for (let flip = 0; flip < flips / 4; flip++) {
      const damaged = large.slice();
      // The pages of those rows, or the indexes behind all pages.
      const at = flip % 2 === 0 ? random.below(large.length / 2) : large.length - 1 - random.below(6000);
      damaged[at] = (damaged[at] as number) ^ (1 << random.below(8));
      const given = wanted(await answer(damaged, conditions, names), conditions);
      if (given === 'CORRUPT_FILE') found++;
      else expect(given, `byte ${at}, seed ${seed}, flip ${flip}`).toEqual(right);
    }
    expect(found).toBeGreaterThan(flips / 40);
  });

  it('every truncation is CORRUPT_FILE', async () => {
    for (let length = 0; length < bytes.length; length += 1 + (length % 7)) {
      expect(await answer(bytes.slice(0, length)), `${length} bytes`).toBe('CORRUPT_FILE');
      // The end is there, and what lies before is gone.
      expect(await answer(bytes.slice(bytes.length - length)), `${length} last bytes`).toBe('CORRUPT_FILE');
    }
  });

  it('bytes that were moved, zeroed or put in are found out', async () => {
    const random = new Random(seed);
    const right = await answer(bytes);
    for (let run = 0; run < 300; run++) {
      const damaged = bytes.slice();
      const at = random.below(bytes.length - 40);
      const length = 1 + random.below(40);
      if (run % 3 === 0) damaged.fill(0, at, at + length);
      else if (run % 3 === 1)
        damaged.copyWithin(at, random.below(bytes.length - 40), random.below(bytes.length - 40) + length);
      else damaged.reverse();
      const given = await answer(damaged);
      if (given !== 'CORRUPT_FILE') expect(given, `${at} ${length} ${seed}`).toEqual(right);
    }
  });
});

describe('a damaged file of others gives an answer or an error, and never takes long', () => {
  for (const options of [
    'COMPRESSION snappy',
    'COMPRESSION zstd, PARQUET_VERSION v2',
    'COMPRESSION uncompressed, PARQUET_VERSION v2',
    'COMPRESSION lz4_raw',
    'COMPRESSION gzip',
    'COMPRESSION brotli',
  ])
    it(options, async () => {
      const path = join(folder, 'foreign.parquet');
      const duckdb = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
      await duckdb.run(
        `COPY (SELECT i, CASE WHEN i % 7 = 0 THEN NULL ELSE 'k' || i % 9 END AS few, sin(i) AS real, 'text' || hash(i) AS text, i % 3 = 0 AS flag,
          (hash(i) >> 1)::BIGINT AS wide, i::DECIMAL(38, 3) AS huge, DATE '2020-01-01' + i::INT AS day FROM range(700) r(i)) TO '${path}' (FORMAT parquet, ${options})`,
      );
      const bytes = new Uint8Array(readFileSync(path));
      const random = new Random(seed);
      for (let flip = 0; flip < flips / 12; flip++) {
        const damaged = bytes.slice();
        const count = 1 + random.below(3);
        // Half of them in the last bytes, where the metadata is.
        const from = random.below(2) === 0 ? 0 : Math.floor(bytes.length * 0.8);
        for (let i = 0; i < count; i++) damaged[from + random.below(bytes.length - from)] = random.below(256);
        const conditions: Condition[] = flip % 2 === 0 ? [] : [{ column: 'i', operator: '<', values: [100] }];
        const started = performance.now();
        await answer(damaged, conditions);
        const took = performance.now() - started;
        expect(took, `seed ${seed}, flip ${flip}`).toBeLessThan(5000);
      }
      for (let length = 0; length < bytes.length; length += 197) await answer(bytes.slice(0, length));
    });
});
