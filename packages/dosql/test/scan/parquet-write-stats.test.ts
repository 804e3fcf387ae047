import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  parquetMetadata,
  parquetSchema,
  readColumnIndex,
  readOffsetIndex,
  type FileMetaData,
} from 'hyparquet';
import { afterAll, expect, test } from 'vitest';
import { createParquetWriter } from '../../src/scan/parquet/write.ts';
import { FOOTER_MARK } from '../../src/scan/parquet/write-checksum.ts';
import { query } from './write-readers.ts';
import { writeTable } from './write-table.ts';
import { Random, randomColumn } from './write-tables.ts';

const seed = Number(process.env.VITE_SEED ?? Date.now() % 2 ** 31);
const runs = Number(process.env.VITE_RUNS ?? 20);
const folder = mkdtempSync(join(tmpdir(), 'dosql-write-stats-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

function save(bytes: Uint8Array): string {
  const path = join(folder, `${files++}.parquet`);
  writeFileSync(path, bytes);
  return path;
}

function metadataOf(bytes: Uint8Array<ArrayBuffer>): FileMetaData {
  return parquetMetadata(bytes.buffer);
}

function viewOf(bytes: Uint8Array, offset: unknown, length: unknown): { view: DataView; offset: number } {
  return { view: new DataView(bytes.buffer, bytes.byteOffset + Number(offset), Number(length)), offset: 0 };
}

/** What bounds are compared as: bytes of text in hex, whose order is that of the bytes. */
function key(value: unknown, type: string): number | bigint | string {
  if (value instanceof Date) return BigInt(value.getTime());
  if (typeof value === 'boolean') return value ? 1n : 0n;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  const text = value as string;
  if (type === 'utf8') return Buffer.from(text).toString('hex');
  if (type === 'double' || type === 'binary') return value as number | string;
  return BigInt(text);
}

for (let run = 0; run < runs; run++)
  test(`statistics and indexes bound the values, seed ${seed + run}`, () => {
    const random = new Random(seed + run);
    const rows = random.pick([1, 50, 1000, 2500]);
    const columns = Array.from({ length: 6 }, (_, i) => randomColumn(random, `c${i}`, rows));
    // Times have parsers of their own for each unit; their numbers are those of integers.
    const table = columns.filter(({ column }) => !['timestamp', 'time', 'date'].includes(column.type));
    if (table.length === 0) return;
    const rowGroupRows = random.pick([10_000, 300]);
    const bytes = writeTable(table, { rowGroupRows, pageRows: random.pick([20_000, 64]) });
    const metadata = metadataOf(bytes);
    const parsers = { stringFromBytes: (text: Uint8Array) => text };
    metadata.row_groups.forEach((group, g) =>
      group.columns.forEach((chunk, c) => {
        const { column, values } = table[c] as (typeof table)[number];
        const all = values.slice(g * rowGroupRows, (g + 1) * rowGroupRows);
        const { statistics } = chunk.meta_data ?? {};
        const present = all.filter((value) => value !== null);
        expect(Number(statistics?.null_count)).toBe(all.length - present.length);
        const { page_locations } = readOffsetIndex(
          viewOf(bytes, chunk.offset_index_offset, chunk.offset_index_length),
        );
        expect(page_locations[0]?.offset).toBe(chunk.meta_data?.data_page_offset);
        if (chunk.column_index_offset === undefined) {
          expect(present.every(Number.isNaN) || values.some(Number.isNaN)).toBe(true);
          return;
        }
        const schema = parquetSchema(metadata).children[c]?.element;
        if (schema === undefined) expect.fail('no schema');
        const index = readColumnIndex(
          viewOf(bytes, chunk.column_index_offset, chunk.column_index_length),
          schema,
          parsers,
        );
        page_locations.forEach(({ first_row_index }, p) => {
          const end = page_locations[p + 1]?.first_row_index ?? all.length;
          const part = all.slice(Number(first_row_index), Number(end));
          const here = part.filter((value) => value !== null && !Number.isNaN(value));
          expect(index.null_pages[p]).toBe(part.every((value) => value === null));
          expect(Number(index.null_counts?.[p])).toBe(part.filter((value) => value === null).length);
          if (here.length === 0) return;
          const low = key(index.min_values[p], column.type);
          const high = key(index.max_values[p], column.type);
          for (const value of here) {
            const own = key(value, column.type);
            if (own < low || own > high) expect.fail(`${value} is not within ${low} and ${high}`);
          }
        });
        const bounded = index.null_pages
          .map((isNull, p) => (isNull ? undefined : p))
          .filter((p) => p !== undefined);
        const isRising = bounded.every(
          (p, i) =>
            i === 0 ||
            (key(index.min_values[bounded[i - 1] as number], column.type) <=
              key(index.min_values[p], column.type) &&
              key(index.max_values[bounded[i - 1] as number], column.type) <=
                key(index.max_values[p], column.type)),
        );
        if (index.boundary_order === 'ASCENDING') expect(isRising).toBe(true);
        else expect(isRising).toBe(false);
      }),
    );
  });

test('bounds of numbers are exact, NaN left out, zeros signed so that they bound both', async () => {
  const columns = [
    { name: 'd', type: 'double' },
    { name: 'i', type: 'int64' },
    { name: 'n', type: 'double' },
    { name: 's', type: 'utf8' },
    { name: 'e', type: 'utf8' },
  ] as const;
  const writer = createParquetWriter({ columns });
  const column = (values: (string | number | bigint | null)[]) =>
    ({ kind: 'mixed', length: 3, nulls: undefined, values }) as const;
  writer.write([
    column([0, Number.NaN, -0]),
    column([-(2n ** 63n), 2n ** 63n - 1n, null]),
    column([Number.NaN, Number.NaN, null]),
    column(['ä', 'z', 'B']),
    column([null, null, null]),
  ]);
  const path = save(Buffer.concat(writer.finish()));
  const rows = await query(
    `SELECT stats_min_value AS low, stats_max_value AS high, stats_null_count AS nulls FROM parquet_metadata('${path}')`,
  );
  expect(rows).toEqual([
    { low: '-0.0', high: '0.0', nulls: 0n },
    { low: '-9223372036854775808', high: '9223372036854775807', nulls: 1n },
    { low: null, high: null, nulls: 1n },
    { low: 'B', high: 'ä', nulls: 0n },
    { low: null, high: null, nulls: 3n },
  ]);
  expect(writer.summary().columns.map(({ nanCount, nullCount }) => [nanCount, nullCount])).toEqual([
    [1, 0],
    [0, 1],
    [2, 1],
    [0, 0],
    [0, 3],
  ]);
});

test('long text is cut in statistics, between characters, and still bounds the values', () => {
  const long = [`${'a'.repeat(63)}üb`, '\u{d7ff}'.repeat(40), '\u{10ffff}'.repeat(40), '\u{7f}'.repeat(70)];
  for (const text of long) {
    const writer = createParquetWriter({ columns: [{ name: 's', type: 'utf8' }] });
    writer.write([{ kind: 'mixed', length: 1, nulls: undefined, values: [text] }]);
    const metadata = metadataOf(new Uint8Array(Buffer.concat(writer.finish())));
    const statistics = metadata.row_groups[0]?.columns[0]?.meta_data?.statistics;
    const [low, high] = [statistics?.min_value, statistics?.max_value].map((bound) => {
      const cut = bound as string;
      return Buffer.from(cut);
    }) as [Buffer, Buffer];
    expect(low.length).toBeLessThanOrEqual(64);
    expect(Buffer.compare(low, Buffer.from(text))).toBeLessThan(0);
    expect(Buffer.compare(high, Buffer.from(text))).toBeGreaterThanOrEqual(0);
    expect(low.includes('\ufffd') || high.includes('\ufffd')).toBe(false);
  }
});

test('who looks for one value is told by bloom filters which row groups cannot have it', async () => {
  const columns = [
    { name: 's', type: 'utf8' },
    { name: 'i', type: 'int64' },
    { name: 'n', type: 'int32' },
    { name: 'd', type: 'double' },
  ] as const;
  const writer = createParquetWriter({ columns, rowGroupRows: 1000, bloom: columns.map(({ name }) => name) });
  const values = Array.from({ length: 3000 }, (_, i) => i);
  const numbers = { kind: 'number', length: 3000, nulls: undefined } as const;
  writer.write([
    {
      kind: 'mixed',
      length: 3000,
      nulls: undefined,
      values: values.map((i) => `${'text '.repeat(i % 20)}${i}`),
    },
    { ...numbers, values: Float64Array.from(values, (i) => i * 2 ** 33 - 7) },
    { ...numbers, values: Int32Array.from(values, (i) => i - 1500) },
    { ...numbers, values: Float64Array.from(values, (i) => i / 7) },
  ]);
  const path = save(Buffer.concat(writer.finish()));
  const excluded = async (column: string, value: string): Promise<boolean[]> => {
    const rows = await query(
      `SELECT bloom_filter_excludes AS e FROM parquet_bloom_probe('${path}', '${column}', ${value})`,
    );
    return rows.map(({ e }) => e as boolean);
  };
  let wrong = 0;
  for (let i = 0; i < 3000; i += 97) {
    const group = Math.floor(i / 1000);
    const probes = [
      await excluded('s', `'${'text '.repeat(i % 20)}${i}'`),
      await excluded('i', `(${i * 2 ** 33 - 7})::BIGINT`),
      await excluded('n', `(${i - 1500})::INTEGER`),
      await excluded('d', `(${i}::DOUBLE / 7)`),
    ];
    for (const probe of probes) {
      expect(probe[group]).toBe(false);
      wrong += probe.filter((isExcluded, g) => g !== group && !isExcluded).length;
    }
  }
  expect(wrong).toBeLessThan(10);
});

test('every checksum is where the format says, over what it says', () => {
  const random = new Random(seed);
  const table = Array.from({ length: 5 }, (_, i) => randomColumn(random, `c${i}`, 700));
  const names = table.map(({ column }) => column.name);
  const bytes = writeTable(table, { rowGroupRows: 300, pageRows: 100, bloom: names });
  const end = bytes.length;
  const view = new DataView(bytes.buffer);
  expect(bytes.subarray(end - 25, end - 9)).toEqual(FOOTER_MARK);
  const footerStart = end - 8 - view.getUint32(end - 8, true);
  const footer = crc32(bytes.subarray(end - 8, end - 4), crc32(bytes.subarray(footerStart, end - 29)));
  expect(view.getUint32(end - 29, true)).toBe(footer);
  const metadata = metadataOf(bytes);
  const text = metadata.key_value_metadata?.find(({ key }) => key === 'dosql.checksums')?.value;
  const checksums = JSON.parse(text ?? '') as { algorithm: string; chunks: number[][] };
  expect(checksums.algorithm).toBe('crc32');
  metadata.row_groups.forEach((group, g) =>
    group.columns.forEach((chunk, c) => {
      const meta = chunk.meta_data;
      const start = Number(meta?.dictionary_page_offset ?? meta?.data_page_offset);
      const size = Number(meta?.total_compressed_size);
      expect(crc32(bytes.subarray(start, start + size))).toBe(checksums.chunks[g]?.[c]);
      for (const [offset, length] of [
        [chunk.column_index_offset, chunk.column_index_length],
        [chunk.offset_index_offset, chunk.offset_index_length],
      ]) {
        if (offset === undefined) continue;
        const index = bytes.subarray(Number(offset), Number(offset) + Number(length));
        expect(index.at(-1)).toBe(0);
        const sealed = new DataView(index.buffer, index.byteOffset).getUint32(index.length - 5, true);
        expect(crc32(index.subarray(0, -5))).toBe(sealed);
      }
      const at = Number(chunk.offset_index_offset) + Number(chunk.offset_index_length) - 5;
      const { page_locations } = readOffsetIndex(
        viewOf(bytes, chunk.offset_index_offset, chunk.offset_index_length),
      );
      page_locations.toReversed().forEach(({ offset, compressed_page_size }, i) => {
        const page = bytes.subarray(Number(offset), Number(offset) + compressed_page_size);
        expect(view.getUint32(at - 4 * (i + 1), true)).toBe(crc32(page));
      });
      const bloom = Number(meta?.bloom_filter_offset);
      const filter = bytes.subarray(bloom, bloom + Number(meta?.bloom_filter_length));
      const head = filter.length - 2 ** Math.floor(Math.log2(filter.length));
      const sealed = new DataView(filter.buffer, filter.byteOffset).getUint32(head - 5, true);
      expect(crc32(filter.subarray(head), crc32(filter.subarray(0, head - 5)))).toBe(sealed);
    }),
  );
});

test('the file says how it is sorted and what the caller has it say', async () => {
  const writer = createParquetWriter({
    columns: [
      { name: 'a', type: 'int64', fieldId: 7 },
      { name: 'b', type: 'utf8' },
    ],
    sortedBy: [{ column: 'b', descending: true }, { column: 'a' }],
    keyValue: { 'my key': 'ünïcode' },
  });
  writer.write([
    { kind: 'mixed', length: 2, nulls: undefined, values: [1, 2] },
    { kind: 'mixed', length: 2, nulls: undefined, values: ['x', 'y'] },
  ]);
  const bytes = new Uint8Array(Buffer.concat(writer.finish()));
  const metadata = metadataOf(bytes);
  expect(metadata.row_groups[0]?.sorting_columns).toEqual([
    { column_idx: 1, descending: true, nulls_first: false },
    { column_idx: 0, descending: false, nulls_first: true },
  ]);
  expect(metadata.key_value_metadata).toContainEqual({ key: 'my key', value: 'ünïcode' });
  const [schema] = await query(`SELECT field_id FROM parquet_schema('${save(bytes)}') WHERE name = 'a'`);
  expect(schema).toEqual({ field_id: 7n });
});

test.each([
  [[5, 10, 1, 20], 'UNORDERED'],
  [[1, 9, 2, 8], 'UNORDERED'],
  [[1, 2, 2, 3], 'ASCENDING'],
  [[9, 8, 8, 6], 'DESCENDING'],
  [[null, null, 3, 4], 'ASCENDING'],
])('pages of %j are %s', (values, order) => {
  const writer = createParquetWriter({ columns: [{ name: 'a', type: 'int64' }], pageRows: 2 });
  writer.write([{ kind: 'mixed', length: 4, nulls: undefined, values }]);
  const bytes = new Uint8Array(Buffer.concat(writer.finish()));
  const metadata = metadataOf(bytes);
  const chunk = metadata.row_groups[0]?.columns[0];
  const element = parquetSchema(metadata).children[0]?.element;
  if (element === undefined) expect.fail('no schema');
  const view = viewOf(bytes, chunk?.column_index_offset, chunk?.column_index_length);
  expect(readColumnIndex(view, element).boundary_order).toBe(order);
});

test('a row group ends before large values fill the memory', () => {
  const writer = createParquetWriter({ columns: [{ name: 'b', type: 'binary' }], codec: 'snappy' });
  const blob = new Uint8Array(2 ** 21);
  const codes = new Uint8Array(100);
  const dictionary = { kind: 'mixed', length: 1, nulls: undefined, values: [blob] } as const;
  writer.write([{ kind: 'dictionary', length: 100, nulls: undefined, codes, dictionary }]);
  const metadata = metadataOf(new Uint8Array(Buffer.concat(writer.finish())));
  const rows = metadata.row_groups.map(({ num_rows }) => Number(num_rows));
  expect(rows.reduce((sum, count) => sum + count, 0)).toBe(100);
  expect(Math.max(...rows)).toBeLessThan(40);
});
