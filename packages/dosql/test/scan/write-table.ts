import { expect } from 'vitest';
import { createParquetWriter, type WriteOptions } from '../../src/scan/parquet/write.ts';
import { slice, type TestColumn } from './write-tables.ts';

/** A file of these columns, written in so many calls. */
export function writeTable(
  table: readonly TestColumn[],
  options: Partial<WriteOptions> = {},
  steps = 1,
): Uint8Array<ArrayBuffer> {
  const columns = table.map(({ column }) => column);
  const writer = createParquetWriter({ columns, ...options });
  const rows = table[0]?.values.length ?? 0;
  for (let step = 0; step < steps; step++) {
    const from = Math.floor((rows * step) / steps);
    const to = Math.floor((rows * (step + 1)) / steps);
    writer.write(table.map(({ vector }) => slice(vector, from, to)));
  }
  const bytes = new Uint8Array(Buffer.concat(writer.finish()));
  expect(writer.summary()).toMatchObject({ rowCount: rows, sizeBytes: bytes.length });
  return bytes;
}
