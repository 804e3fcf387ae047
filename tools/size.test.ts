import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { beforeAll, expect, it } from 'vitest';
import { bundleSize, type BundleSize } from '../bench/harness/bundle-size.ts';

const OPENED_BYTES = 30_000;
const SQLITE_BYTES = 109_500;
const ALL_BYTES = 270_000;

let size: BundleSize;

beforeAll(async () => {
  size = await bundleSize();
});

it('what opening a database without migrations loads stays under 30 kB, minified and gzipped', () => {
  console.log(`loaded at once: ${size.opened} bytes`);
  expect(size.opened).toBeGreaterThan(0);
  expect(size.opened).toBeLessThan(OPENED_BYTES);
});

it('with all that is loaded on first use, but for files, it stays under 109.5 kB, and with it under 270', () => {
  console.log(`with what is loaded on first use: ${size.withoutFiles} bytes, with files ${size.all}`);
  expect(size.withoutFiles).toBeLessThan(SQLITE_BYTES);
  expect(size.all).toBeLessThan(ALL_BYTES);
});

it('loads no dependency of others, but for apache-arrow when that is asked for', () => {
  const { inputs } = size.metafile;
  expect(Object.keys(inputs).filter((file) => file.includes('node_modules'))).toEqual([]);
  const importers = Object.entries(inputs).filter(([, { imports }]) =>
    imports.some(({ path, kind }) => path === 'apache-arrow' && kind === 'dynamic-import'),
  );
  expect(importers.map(([file]) => file.split('/').slice(-2).join('/'))).toEqual(['arrow/stream.js']);
});

it('the browser client stays under 3.5 kB', async () => {
  const { outputFiles } = await build({
    entryPoints: [new URL('../packages/cdc/src/client/index.ts', import.meta.url).pathname],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2024',
  });
  const size = gzipSync(outputFiles[0]?.text ?? '', { level: 9 }).length;
  console.log(`the browser client: ${size} bytes`);
  expect(size).toBeGreaterThan(0);
  expect(size).toBeLessThan(3_500);
});
