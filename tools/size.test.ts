import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';
import { beforeAll, expect, it } from 'vitest';

const ENTRY_BYTES = 49_000;
const SQLITE_BYTES = 115_000;
const ALL_BYTES = 285_000;

/** What esbuild has made of it, and the sizes of its files, gzipped, by their names. */
interface Bundle {
  readonly metafile: Metafile;
  readonly sizes: ReadonlyMap<string, number>;
}

let all: Bundle;
/** Without what reads and writes files, which is loaded when a database is tiered, backed up, or reads a URL. */
let withoutFiles: Bundle;

async function bundle(left: readonly string[]): Promise<Bundle> {
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
    external: ['cloudflare:*', 'node:*', ...left],
  });
  const { metafile } = result;
  const names = Object.keys(metafile.outputs);
  const sizes = new Map(
    result.outputFiles.map(({ path, text }) => [
      names.find((name) => path.endsWith(name)) ?? path,
      gzipSync(text, { level: 9 }).length,
    ]),
  );
  return { metafile, sizes };
}

beforeAll(async () => {
  all = await bundle(['apache-arrow']);
  const files = ['tier/index', 'tier/copy', 'arrow/index', 'backup/index', 'restore'].map(
    (name) => `./${name}.js`,
  );
  withoutFiles = await bundle(['apache-arrow', ...files]);
});

/** A file of a bundle, and those that it cannot be loaded without. */
function loadedWith({ metafile }: Bundle, name: string, loaded: Set<string> = new Set()): Set<string> {
  if (loaded.has(name)) return loaded;
  loaded.add(name);
  for (const { path, kind } of metafile.outputs[name]?.imports ?? [])
    if (kind === 'import-statement' && path in metafile.outputs)
      loadedWith({ metafile, sizes: new Map() }, path, loaded);
  return loaded;
}

function bytes({ sizes }: Bundle, names: Iterable<string>): number {
  return [...names].reduce((sum, name) => sum + (sizes.get(name) ?? Number.NaN), 0);
}

it('what opening a database loads stays under 49 kB, minified and gzipped', () => {
  const entry = Object.entries(all.metafile.outputs).find(
    ([, { entryPoint }]) => entryPoint === '<stdin>',
  )?.[0];
  const size = bytes(all, loadedWith(all, entry ?? ''));
  console.log(`loaded at once: ${size} bytes`);
  expect(size).toBeLessThan(ENTRY_BYTES);
});

it('with all that is loaded on first use, but for files, it stays under 115 kB, and with it under 285', () => {
  const sqlite = bytes(withoutFiles, withoutFiles.sizes.keys());
  const size = bytes(all, all.sizes.keys());
  console.log(`with what is loaded on first use: ${sqlite} bytes, with files ${size}`);
  expect(sqlite).toBeLessThan(SQLITE_BYTES);
  expect(size).toBeLessThan(ALL_BYTES);
});

it('loads no dependency of others, but for apache-arrow when that is asked for', () => {
  const { inputs } = all.metafile;
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
