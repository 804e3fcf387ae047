import { expect, test } from 'vitest';
import { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import { expand } from '../values.ts';
import type { PlainVector } from '../vector.ts';
import { openParquet } from './parquet-file.ts';
import { createParquetWriter } from './write.ts';
import type { Codec } from './write-codec.ts';
import { sqliteColumns } from './write-sqlite.ts';

const COUNT = 5000;

function fileOf(parts: readonly Uint8Array[], name: string): RangeFile {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return {
    name,
    size: bytes.length,
    etag: name,
    read: (offset, length) => Promise.resolve(bytes.slice(offset, offset + length)),
  };
}

test.each<Codec>(['zstd', 'snappy', 'gzip', 'uncompressed'])(
  'a file that the runtime itself packs with %s is read as it was written',
  async (codec) => {
    const rows = Array.from({ length: COUNT }, (_, i) => [
      i,
      `sensor-${i % 7}`,
      new Date(1_700_000_000_000 + i).toISOString(),
    ]);
    const gathered = sqliteColumns([{ name: 'id' }, { name: 'sensor' }, { name: 'at' }]);
    gathered.add(rows);
    const { columns, vectors, keyValue } = gathered.finish();
    const writer = createParquetWriter({ columns, keyValue, codec, rowGroupRows: 2000, bloom: ['sensor'] });
    writer.write(vectors);
    const budget = new Budget();
    const file = await openParquet(fileOf(writer.finish(), codec), budget);
    expect(file.rowCount).toBe(COUNT);
    const ids: number[] = [];
    const instants: number[] = [];
    for await (const batch of file.scan({ columns: ['id', 'at'], conditions: [], budget })) {
      const id = batch.column('id');
      const at = batch.column('at');
      if (id.kind !== 'number' || at.kind !== 'number') throw new Error('not numbers');
      ids.push(...id.values);
      instants.push(...at.values);
    }
    expect(ids).toEqual(rows.map(([id]) => id));
    expect(instants.map((instant) => new Date(instant).toISOString())).toEqual(rows.map(([, , at]) => at));
  },
);

/** Of eight bits, so many are random: how far the bytes can be packed. */
function randomBytes(count: number, bits: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let from = 0; from < count; from += 65_536)
    crypto.getRandomValues(bytes.subarray(from, from + 65_536));
  return bytes.map((byte) => byte >>> (8 - bits));
}

test.each<Codec>(['zstd', 'snappy'])(
  'what the runtime has no room for when it packs with %s is read as it was written',
  async (codec) => {
    const count = 60_000;
    const noise = new Float64Array(randomBytes(8 * count, 8).buffer);
    const doubles = noise.map((value) => (Number.isNaN(value) ? 0 : value));
    const names = Array.from(
      { length: count },
      (_, i) => `${(i * 2_654_435_761) % 20_011} ${(i % 20_011) ** 3}`,
    );
    const large = Array.from({ length: count }, (_, i) => (i % 1500 === 7 ? randomBytes(150_000, 6) : null));
    const noisy = Array.from({ length: count }, (_, i) => (i % 6000 === 7 ? randomBytes(90_000, 8) : null));
    const writer = createParquetWriter({
      columns: [
        { name: 'd', type: 'double' },
        { name: 'n', type: 'utf8' },
        { name: 'l', type: 'binary' },
        { name: 'r', type: 'binary' },
      ],
      codec,
    });
    writer.write([
      { kind: 'number', length: count, nulls: undefined, values: doubles },
      { kind: 'mixed', length: count, nulls: undefined, values: names },
      { kind: 'mixed', length: count, nulls: undefined, values: large },
      { kind: 'mixed', length: count, nulls: undefined, values: noisy },
    ]);
    const budget = new Budget();
    const file = await openParquet(fileOf(writer.finish(), `large ${codec}`), budget);
    let row = 0;
    for await (const batch of file.scan({ columns: ['d', 'n', 'l', 'r'], conditions: [], budget })) {
      const vectors = ['d', 'n', 'l', 'r'].map((name) => expand(batch.column(name)));
      for (let i = 0; i < batch.rowCount; i++, row++) {
        const [d, n, l, r] = vectors.map((vector) => valueAt(vector, i));
        const expected = [doubles[row], new TextEncoder().encode(names[row]), large[row], noisy[row]];
        if (
          d !== expected[0] ||
          !isEqual(n, expected[1]) ||
          !isEqual(l, expected[2]) ||
          !isEqual(r, expected[3])
        )
          expect.fail(`row ${row} is another`);
      }
    }
    expect(row).toBe(count);
  },
  30_000,
);

function valueAt(vector: PlainVector, i: number): unknown {
  if (vector.nulls?.[i] === 1) return null;
  return vector.kind === 'bytes'
    ? vector.data.subarray(vector.offsets[i], vector.offsets[i + 1])
    : vector.values[i];
}

function isEqual(a: unknown, b: unknown): boolean {
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
