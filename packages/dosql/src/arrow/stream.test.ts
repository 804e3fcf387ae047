import { expect, test } from 'vitest';
import { arrowStream, rowTypes, rowVectors } from './index.ts';

test('the runtime makes a stream that it reads itself', async () => {
  const rows = [
    [1, 'ä'],
    [2n ** 60n, null],
  ];
  const stream = arrowStream(['id', 'name'], rowTypes(rows, 2), [rowVectors(rows, 2), rowVectors(rows, 2)]);
  const { tableFromIPC } = await import('apache-arrow');
  const table = tableFromIPC(new Uint8Array(await new Response(stream).arrayBuffer()));
  expect([...(table.getChild('id') ?? [])]).toEqual([1n, 2n ** 60n, 1n, 2n ** 60n]);
  expect([...(table.getChild('name') ?? [])]).toEqual(['ä', null, 'ä', null]);
  // Loading the module takes its time here, file by file.
}, 30_000);
