import { expect, test } from 'vitest';
import { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
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
