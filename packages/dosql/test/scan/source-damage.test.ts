import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { DoSQLError } from '../../src/error.ts';
import { Budget } from '../../src/scan/budget.ts';
import { openCsv } from '../../src/scan/source/csv.ts';
import { MemoryFile } from '../../src/scan/source/files.ts';
import { openJson } from '../../src/scan/source/json.ts';
import { counted } from '../support/counted.ts';
import { Random } from '../support/random.ts';
import { rowsOf } from './source-values.ts';

const seed = Number(process.env['VITE_SEED'] ?? 20_261_121);
const runs = Number(process.env['VITE_RUNS'] ?? 2_500);

const CSV = `id,"na""me",at,value,ok\n${Array.from({ length: 30 }, (_, i) => `${i},"x ""${i}"", y\n",2026-01-0${1 + (i % 9)}T00:00:00.00${i % 10}Z,${i / 7},${i % 2 === 0}`).join('\r\n')}\n`;
const OBJECTS = Array.from({ length: 30 }, (_, i) =>
  JSON.stringify({
    id: i,
    'na"me': `x "${i}" é𝄞`,
    deep: { a: [i, { b: null }] },
    value: i / 7,
    ok: i % 2 === 0,
    none: null,
  }),
);

/** Bytes that mean something to one format or another. */
const ODD = [
  0, 9, 10, 13, 32, 34, 39, 44, 45, 46, 48, 58, 59, 91, 92, 93, 101, 123, 124, 125, 0xc3, 0xed, 0xef, 0xff,
];

function damaged(random: Random, source: Uint8Array): Uint8Array {
  let bytes = Uint8Array.from(source);
  for (let i = random.int(4); i >= 0; i--) {
    const at = random.int(bytes.length);
    const kind = random.int(5);
    if (kind === 0) bytes[at] = random.pick(ODD);
    else if (kind === 1) bytes[at] = (bytes[at] as number) ^ (1 << random.int(8));
    else if (kind === 2) bytes = bytes.slice(0, at + 1);
    else if (kind === 3)
      bytes = Uint8Array.from([...bytes.subarray(0, at), random.pick(ODD), ...bytes.subarray(at)]);
    else bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + random.int(20))]);
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}

it(`reads ${runs} damaged files or says what is wrong with them, seed ${seed}`, async () => {
  const random = new Random(seed);
  const utf8 = new TextEncoder();
  const sources = [CSV, CSV.replaceAll('\n', '\r'), OBJECTS.join('\n'), `[${OBJECTS.join(',\n')}]`].map(
    (text) => utf8.encode(text),
  );
  let read = 0;
  for (let i = 0; i < runs; i++) {
    const s = random.int(sources.length);
    const source = sources[s] as Uint8Array;
    const isGzip = random.chance(0.1);
    const bytes = isGzip ? damaged(random, gzipSync(source)) : damaged(random, source);
    const file = new MemoryFile('x', bytes, '');
    const chunkBytes = random.pick([undefined, 64, 200, 1000]);
    const label = `run ${i}: ${JSON.stringify(new TextDecoder().decode(bytes).slice(0, 2000))} by ${chunkBytes}`;
    try {
      const table = await (s < 2 ? openCsv : openJson)(file, new Budget(), { chunkBytes });
      const rows = await rowsOf(table, (name) => name === 'ok');
      for (const row of rows) expect(row.length).toBe(table.columns.length);
      read++;
    } catch (error) {
      if (!(error instanceof DoSQLError)) throw new Error(label, { cause: error });
      expect(error.code, label).toBe('CORRUPT_FILE');
      expect(error.message.length, label).toBeLessThan(600);
    }
  }
  counted('damaged CSV and JSON files', { files: runs, read });
  // Most damage is to some value.
  expect(read).toBeGreaterThan(runs / 20);
  expect(read).toBeLessThan(runs);
}, 60_000);
