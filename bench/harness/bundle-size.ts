import { gzipSync } from 'node:zlib';
import { build, type Metafile } from 'esbuild';

/** What is loaded when a database is tiered, backed up, or reads a URL, and not before. */
const OF_FILES = ['tier/index', 'tier/copy', 'arrow/index', 'backup/index', 'restore'].map(
  (name) => `./${name}.js`,
);

/** What esbuild has made of it, and the sizes of its files, minified and gzipped, by their names. */
interface Bundle {
  readonly metafile: Metafile;
  readonly sizes: ReadonlyMap<string, number>;
}

/** Bytes, minified and gzipped. */
export interface BundleSize {
  /** What opening a database loads. */
  readonly opened: number;
  /** With all that is loaded on first use, but for what reads and writes files. */
  readonly withoutFiles: number;
  readonly all: number;
  /** What esbuild has seen of the whole. */
  readonly metafile: Metafile;
}

/** How large the database is in a Worker that imports `DB`. */
export async function bundleSize(): Promise<BundleSize> {
  const all = await bundle(['apache-arrow']);
  const withoutFiles = await bundle(['apache-arrow', ...OF_FILES]);
  const [entry = ''] =
    Object.entries(all.metafile.outputs).find(([, { entryPoint }]) => entryPoint === '<stdin>') ?? [];
  return {
    opened: bytes(all, loadedWith(all, entry)),
    withoutFiles: bytes(withoutFiles, withoutFiles.sizes.keys()),
    all: bytes(all, all.sizes.keys()),
    metafile: all.metafile,
  };
}

async function bundle(left: readonly string[]): Promise<Bundle> {
  const { metafile, outputFiles } = await build({
    stdin: {
      contents: "export { DB, DoSQLError } from '@dotdo/dosql';",
      resolveDir: import.meta.dirname,
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
  const names = Object.keys(metafile.outputs);
  const sizes = new Map(
    outputFiles.map(({ path, text }) => [
      names.find((name) => path.endsWith(name)) ?? path,
      gzipSync(text, { level: 9 }).length,
    ]),
  );
  return { metafile, sizes };
}

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
