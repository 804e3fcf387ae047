import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';
import { beforeAll, expect, it } from 'vitest';

const ENTRY_BYTES = 42_000;
const ALL_BYTES = 112_000;

let metafile: Metafile;
/** Sizes of the bundle's files, gzipped, by their names. */
let sizes: Map<string, number>;

beforeAll(async () => {
  const result = await build({
    stdin: {
      contents: "export { DB, DoSQLError } from '@dotdo/dosql';",
      resolveDir: new URL('../bench', import.meta.url).pathname,
    },
    bundle: true,
    splitting: true,
    outdir: 'out',
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd'],
    external: ['cloudflare:*', 'node:*'],
  });
  metafile = result.metafile;
  const names = Object.keys(metafile.outputs);
  sizes = new Map(
    result.outputFiles.map(({ path, text }) => [
      names.find((name) => path.endsWith(name)) ?? path,
      gzipSync(text, { level: 9 }).length,
    ]),
  );
});

/** A file of the bundle, and those that it cannot be loaded without. */
function loadedWith(name: string, loaded: Set<string> = new Set()): Set<string> {
  if (loaded.has(name)) return loaded;
  loaded.add(name);
  for (const { path, kind } of metafile.outputs[name]?.imports ?? [])
    if (kind === 'import-statement' && path in metafile.outputs) loadedWith(path, loaded);
  return loaded;
}

function bytes(names: Iterable<string>): number {
  return [...names].reduce((sum, name) => sum + (sizes.get(name) ?? Number.NaN), 0);
}

it('what opening a database loads stays under 42 kB, minified and gzipped', () => {
  const entry = Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint !== undefined)?.[0];
  const size = bytes(loadedWith(entry ?? ''));
  console.log(`loaded at once: ${size} bytes`);
  expect(size).toBeLessThan(ENTRY_BYTES);
});

it('with all that is loaded on first use it stays under 112 kB', () => {
  const size = bytes(sizes.keys());
  console.log(`with what is loaded on first use: ${size} bytes`);
  expect(size).toBeLessThan(ALL_BYTES);
});

it('loads no dependency of others', () => {
  expect(Object.keys(metafile.inputs).filter((file) => file.includes('node_modules'))).toEqual([]);
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
