import { test } from 'vitest';
import { sqliteColumns } from '../scan/parquet/write-sqlite.ts';
import { createParquetWriter } from '../scan/parquet/write.ts';
test('speed', () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => [`sensor-${(i * 7919) % 500}`, ['a', 'b', 'c'][i % 3] as string, Math.random() * 100, (i * 31) % 101, 1.7e12 + i * 864, new Date(1.7e12 + i * 864).toISOString(), '2024-01-01']);
  for (let r = 0; r < 5; r++) {
    const t = Date.now();
    const g = sqliteColumns(['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => ({ name })));
    g.add(rows);
    const { columns, vectors } = g.finish();
    const t1 = Date.now();
    const w = createParquetWriter({ columns });
    w.write(vectors);
    w.finish();
    console.log(t1 - t, Date.now() - t1, w.summary().sizeBytes);
  }
}, 60000);
