import { expect, test } from 'vitest';
import { Budget } from '../../src/scan/budget.ts';
import { openParquet } from '../../src/scan/parquet/index.ts';
import { createParquetWriter } from '../../src/scan/parquet/write.ts';
import { isoText, mergeOther } from '../../src/scan/parquet/write-other.ts';
import { formatIso, parseIso } from '../../src/scan/parquet/write-iso.ts';
import {
  COLUMNS_KEY,
  sqliteColumns,
  type SqliteColumn,
  type StoredColumn,
} from '../../src/scan/parquet/write-sqlite.ts';
import type { ColumnType, Vector } from '../../src/scan/vector.ts';
import type { SqlValue } from '../../src/value/row.ts';
import { memoryFile } from './parquet-support.ts';
import { Random } from './write-tables.ts';

const seed = Number(process.env.VITE_SEED ?? Date.now() % 2 ** 31);
const runs = Number(process.env.VITE_RUNS ?? 40);

interface ReadBack {
  readonly stored: readonly StoredColumn[];
  readonly types: readonly ColumnType[];
  readonly columns: SqlValue[][];
}

/** Writes rows, reads the file, and puts the columns together again. */
async function readBack(columns: readonly SqliteColumn[], rows: readonly SqlValue[][]): Promise<ReadBack> {
  const gathered = sqliteColumns(columns);
  gathered.add(rows.slice(0, 10));
  gathered.add(rows.slice(10));
  const table = gathered.finish();
  const writer = createParquetWriter({ columns: table.columns, keyValue: table.keyValue, rowGroupRows: 200 });
  writer.write(table.vectors);
  const bytes = new Uint8Array(Buffer.concat(writer.finish()));
  const budget = new Budget();
  const file = await openParquet(memoryFile(bytes), budget);
  const stored = JSON.parse(file.keyValue.get(COLUMNS_KEY) ?? '') as StoredColumn[];
  expect(stored).toEqual(table.stored);
  const read: SqlValue[][] = columns.map(() => []);
  const names = file.columns.map(({ name }) => name);
  for await (const batch of file.scan({ columns: names, conditions: [], budget }))
    stored.forEach(({ name, stored: storedAs, other }, i) => {
      let vector = batch.column(name);
      if (storedAs === 'iso') vector = isoText(vector);
      if (other !== undefined)
        vector = mergeOther(vector, batch.column(other), storedAs === 'blob' ? 'blob' : 'text');
      for (let row = 0; row < batch.rowCount; row++) read[i]?.push(valueAt(vector, row, storedAs === 'blob'));
    });
  return { stored, types: file.columns.map(({ type }) => type), columns: read };
}

function valueAt(vector: Vector, row: number, isBlob: boolean): SqlValue {
  if (vector.nulls?.[row] === 1) return null;
  if (vector.kind === 'dictionary') return valueAt(vector.dictionary, vector.codes[row] as number, isBlob);
  if (vector.kind === 'runs')
    return valueAt(
      vector.values,
      vector.ends.findIndex((end) => row < end),
      isBlob,
    );
  if (vector.kind !== 'bytes') return vector.values[row] ?? null;
  const bytes = vector.data.slice(vector.offsets[row], vector.offsets[row + 1]);
  return isBlob ? bytes : new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(bytes);
}

/** Integers of either type are one here; so are their copies. */
function comparable(value: SqlValue): string {
  if (value instanceof Uint8Array) return `blob ${Buffer.from(value).toString('hex')}`;
  return Object.is(value, -0)
    ? 'number -0'
    : `${typeof value === 'bigint' ? 'number' : typeof value} ${value}`;
}

function transposed(rows: readonly SqlValue[][], width: number): string[][] {
  return Array.from({ length: width }, (_, i) => rows.map((row) => comparable(row[i] ?? null)));
}

const MAKERS: readonly ((random: Random) => SqlValue)[] = [
  () => null,
  (random) => random.below(1000),
  (random) => random.next() * 10,
  (random) => random.pick([2n ** 62n, -(2n ** 63n), 2n ** 63n - 1n]),
  (random) => random.pick(['', 'x', 'ünïcode', '2024-01-01', '\ufeff']),
  (random) => new Date(random.below(2 ** 40) * 3).toISOString(),
  (random) => Uint8Array.from({ length: random.below(5) }, () => random.below(256)),
  (random) => random.pick([-0, Infinity, 1e300, 2 ** 53, Number.MIN_VALUE]),
];

for (let run = 0; run < runs; run++)
  test(`values of every class come back as they were, seed ${seed + run}`, async () => {
    const random = new Random(seed + run);
    const count = random.pick([0, 1, 9, 500]);
    const columns = ['a', 'a$other', 'B', '__proto__'].map((name) => ({
      name,
      affinity: random.pick(['integer', 'text', 'blob', 'numeric', undefined] as const),
    }));
    const makers = columns.map(
      () => [random.pick(MAKERS), random.pick(MAKERS), random.pick(MAKERS)] as const,
    );
    const share = random.pick([0, 0.005, 0.3]);
    const rows = Array.from({ length: count }, () =>
      makers.map(([usual, odd, odder]) =>
        (random.next() >= share ? usual : random.below(2) === 0 ? odd : odder)(random),
      ),
    );
    const read = await readBack(columns, rows);
    expect(read.columns.map((values) => values.map(comparable))).toEqual(transposed(rows, columns.length));
  });

test('a column has the type of most of its values, the others stand beside it', async () => {
  const rows: SqlValue[][] = Array.from({ length: 300 }, (_, i) => [
    i === 7 ? 'seven' : i,
    i % 2 === 0 ? i : i + 0.5,
    new Date(1.7e12 + i).toISOString(),
    i === 3 ? 'soon' : new Date(1.7e12 + i).toISOString(),
    i === 5 ? 2n ** 60n : null,
    1,
  ]);
  const { stored, types } = await readBack(
    [
      { name: 'id' },
      { name: 'price', affinity: 'numeric' },
      { name: 'at', affinity: 'text' },
      { name: 'mostly', affinity: 'text' },
      { name: 'big', affinity: 'integer' },
      { name: 'real', affinity: 'real' },
    ],
    rows,
  );
  expect(stored).toEqual([
    { name: 'id', stored: 'integer', other: 'id$other' },
    { name: 'price', stored: 'number' },
    { name: 'at', stored: 'iso' },
    { name: 'mostly', stored: 'text' },
    { name: 'big', stored: 'integer' },
    { name: 'real', stored: 'real' },
  ]);
  expect(types).toEqual(['integer', 'real', 'timestamp', 'text', 'integer', 'real', 'blob']);
});

test('only what Date.toISOString prints is taken for an instant', () => {
  const random = new Random(seed);
  const instants = [0, -1, 253_402_300_799_999, -62_167_219_200_000, 951_782_399_999, 4_107_542_400_000];
  for (let i = 0; i < 2000; i++)
    instants.push(Math.floor(random.next() * 315_569_520_000_000) - 62_167_219_200_000);
  for (const instant of instants) {
    const text = new Date(instant).toISOString();
    expect(parseIso(text)).toBe(instant);
    expect(formatIso(instant)).toBe(text);
    const at = random.below(text.length);
    const changed = text.slice(0, at) + random.pick(['0', '9', 'x', '-', ' ', '7']) + text.slice(at + 1);
    const date = new Date(changed);
    const isCanonical = !Number.isNaN(date.getTime()) && date.toISOString() === changed;
    expect([changed, !Number.isNaN(parseIso(changed))]).toEqual([changed, isCanonical]);
  }
  for (const text of [
    '2023-02-29T00:00:00.000Z',
    '2023-01-01T24:00:00.000Z',
    '+010000-01-01T00:00:00.000Z',
    '2024-01-01T00:00:00.000z',
  ])
    expect(parseIso(text)).toBeNaN();
});
