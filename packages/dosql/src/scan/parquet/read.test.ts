import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import type { Vector } from '../vector.ts';
import { decompress } from './codec.ts';
import { planReads } from './fetch.ts';
import { openParquet } from './index.ts';
import { Malformed } from './malformed.ts';
import { splitRanges } from './split.ts';
import type { RowRange } from './take.ts';
import { createParquetWriter } from './write.ts';

describe('the codecs of the runtime', () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) % 251);
  const codecs: [string, number, (bytes: Uint8Array) => Uint8Array][] = [
    ['gzip', 2, gzipSync],
    ['brotli', 4, brotliCompressSync],
    ['zstd', 6, zstdCompressSync],
  ];
  for (const [name, codec, compress] of codecs)
    it(`${name}: exactly what is due, or an error`, () => {
      const compressed = compress(bytes);
      expect(decompress(codec, compressed, bytes.length)).toEqual(bytes);
      expect(() => decompress(codec, compressed, bytes.length - 1)).toThrow(Malformed);
      expect(() => decompress(codec, compressed, bytes.length + 1)).toThrow(Malformed);
      expect(() => decompress(codec, compressed, 100)).toThrow(Malformed);
      expect(() => decompress(codec, compressed.subarray(0, 50), bytes.length)).toThrow(Malformed);
      const damaged = compressed.slice();
      damaged.fill(0, 0, 8);
      expect(() => decompress(codec, damaged, bytes.length)).toThrow(Malformed);
    });

  it('gzip of several members', () => {
    const [first, second] = [gzipSync(bytes.subarray(0, 1000)), gzipSync(bytes.subarray(1000))] as const;
    const joined = new Uint8Array(first.length + second.length);
    joined.set(first);
    joined.set(second, first.length);
    expect(decompress(2, joined, bytes.length)).toEqual(bytes);
  });
});

it('a file of ours is written and read', async () => {
  const values = Float64Array.from({ length: 5000 }, (_, i) => i * i);
  for (const codec of ['zstd', 'snappy', 'gzip', 'uncompressed'] as const) {
    const writer = createParquetWriter({
      columns: [{ name: 'n', type: 'int64' }],
      codec,
      rowGroupRows: 3000,
    });
    writer.write([{ kind: 'number', length: values.length, nulls: undefined, values }]);
    const parts = writer.finish();
    const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
    const file: RangeFile = {
      name: codec,
      size: bytes.length,
      etag: codec,
      read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
    };
    const budget = new Budget();
    const parquet = await openParquet(file, budget);
    const found: number[] = [];
    const { signal } = new AbortController();
    for await (const batch of parquet.scan({ columns: ['n'], conditions: [], budget, signal }))
      found.push(...numbersOf(batch.column('n')));
    expect(found).toEqual([...values]);
  }
});

it('a scan whose batches are not kept frees what it read, where that is its own', async () => {
  const values = Float64Array.from({ length: 90_000 }, (_, i) => (i * i) % 100_003);
  const nulls = Uint8Array.from(values, (value, i) => (i < 30_000 || value % 7 > 0 ? 0 : 1));
  for (const codec of ['zstd', 'snappy', 'uncompressed'] as const)
    for (const isCopied of [true, false]) {
      const writer = createParquetWriter({
        columns: [{ name: 'n', type: 'int64' }],
        codec,
        rowGroupRows: 30_000,
      });
      writer.write([{ kind: 'number', length: values.length, nulls, values }]);
      const bytes = new Uint8Array(await new Blob(writer.finish()).arrayBuffer());
      const given: Uint8Array[] = [];
      const read = (offset: number, length: number): Promise<Uint8Array> => {
        const part = bytes.slice(offset, offset + length);
        given.push(part);
        return Promise.resolve(part);
      };
      const file: RangeFile = { name: codec, size: bytes.length, etag: codec, isCopied, read };
      const budget = new Budget();
      const parquet = await openParquet(file, budget);
      given.length = 0;
      const found: (number | null)[] = [];
      const request = { columns: ['n'], conditions: [], isTransient: true, budget };
      for await (const batch of parquet.scan(request)) {
        const vector = batch.column('n');
        found.push(...numbersOf(vector).map((value, i) => (vector.nulls?.[i] === 1 ? null : value)));
      }
      expect(found).toEqual(Array.from(values, (value, i) => (nulls[i] === 1 ? null : value)));
      expect(given.length).toBeGreaterThan(0);
      expect(given.every(({ length }) => (length === 0) === isCopied)).toBe(true);
    }
});

function numbersOf(vector: Vector): number[] {
  if (vector.kind !== 'number') throw new Error(vector.kind);
  return [...vector.values];
}

describe('places that lie near each other are read at once', () => {
  it('never more than twice what is wanted, and all that is', () => {
    let state = 11;
    const below = (count: number): number => (state = (state * 48_271) % 2_147_483_647) % count;
    for (let run = 0; run < 500; run++) {
      const places = Array.from({ length: 1 + below(20) }, () => ({
        offset: below(2_000_000),
        length: 1 + below(run % 2 === 0 ? 100 : 200_000),
      }));
      const reads = planReads(places);
      const wanted = places.reduce((sum, { length }) => sum + length, 0);
      expect(reads.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(2 * wanted);
      expect(reads.flatMap((read) => read.places).length).toBe(places.length);
      for (const { offset, length, places } of reads)
        for (const place of places) {
          expect(place.offset).toBeGreaterThanOrEqual(offset);
          expect(place.offset + place.length).toBeLessThanOrEqual(offset + length);
        }
    }
  });

  it('neighbours are one request, what is far apart is not', () => {
    const at = (offset: number, length: number): { offset: number; length: number } => ({ offset, length });
    expect(planReads([at(0, 1000), at(1000, 1000)])).toMatchObject([at(0, 2000)]);
    expect(planReads([at(50_000, 40_000), at(0, 40_000)])).toMatchObject([at(0, 90_000)]);
    expect(planReads([at(0, 1000), at(50_000, 1000)])).toHaveLength(2);
    expect(planReads([at(0, 2 ** 20), at(2 ** 21, 2 ** 20)])).toHaveLength(2);
  });
});

describe('a row group in batches', () => {
  const paged = (...firstRows: number[]): { firstRows: number[] } => ({ firstRows });

  it('all rows are in one, in their order, whatever the ranges', () => {
    let state = 7;
    const below = (count: number): number => (state = (state * 48_271) % 2_147_483_647) % count;
    for (let run = 0; run < 300; run++) {
      const ranges: RowRange[] = [];
      for (let at = 0, count = 1 + below(8); count > 0; count--) {
        const start = at + below(2) * below(5000);
        const end = start + 1 + below(below(2) === 0 ? 400_000 : 4000);
        const last = ranges.at(-1);
        if (last?.end === start) ranges[ranges.length - 1] = { start: last.start, end };
        else ranges.push({ start, end });
        at = end;
      }
      const step = 1 + below(100_000);
      const starts = Array.from({ length: 20 }, (_, i) => i * step);
      const batches = [...splitRanges(ranges, [paged(...starts), paged(0)])];
      const rows = ranges.reduce((count, { start, end }) => count + end - start, 0);
      let at = 0;
      let before = -1;
      for (const batch of batches) {
        const size = batch.reduce((count, { start, end }) => count + end - start, 0);
        expect(size).toBeGreaterThan(0);
        expect(size).toBeLessThanOrEqual(262_144);
        at += size;
        for (const { start, end } of batch) {
          expect(start).toBeGreaterThanOrEqual(before);
          expect(end).toBeGreaterThan(start);
          expect(ranges.some((range) => range.start <= start && end <= range.end)).toBe(true);
          before = end;
        }
      }
      expect(at).toBe(rows);
    }
  });

  it('they are cut where pages begin', () => {
    const starts = Array.from({ length: 50 }, (_, i) => i * 20_000);
    const batches = [...splitRanges([{ start: 0, end: 1_000_000 }], [paged(...starts), paged(0, 77_777)])];
    expect(batches.length).toBeGreaterThan(5);
    expect(batches.every((ranges) => ranges.every(({ start }) => start % 20_000 === 0))).toBe(true);
  });
});
