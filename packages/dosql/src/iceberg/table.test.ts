import { createMemoryBackend } from '@dotdo/fsx';
import { expect, test } from 'vitest';
import { IcebergTable } from './index.ts';
import { parseJson, printJson } from './metadata.ts';

test('the runtime itself writes a table and reads it back', async () => {
  const table = new IcebergTable({ store: createMemoryBackend(), folder: 'lake/t' });
  await table.create({ location: 's3://lake/t', columns: [{ name: 'id', type: 'int64' }] });
  const file = { format: 'parquet', recordCount: 2, sizeBytes: 100 } as const;
  await table.append([{ ...file, path: 'a.parquet', columns: [{ name: 'id', lower: 1, upper: 2n ** 60n }] }]);
  await table.overwrite({ add: [{ ...file, path: 'b.parquet' }], remove: ['a.parquet'] });
  expect((await table.files()).map(({ file_path }) => file_path)).toEqual(['s3://lake/t/b.parquet']);
});

test('whole numbers beyond what a double holds go through JSON as they are', () => {
  const text = '{"a":9007199254740993,"b":[-9223372036854775808,1.5,1e300],"c":"9007199254740993"}';
  expect(parseJson(text)).toEqual({
    a: 9007199254740993n,
    b: [-(2n ** 63n), 1.5, 1e300],
    c: '9007199254740993',
  });
  expect(printJson(parseJson(text))).toBe(text.replace('1e300', '1e+300'));
});
