import { gzipSync } from 'node:zlib';
import { build, type Metafile, type Plugin } from 'esbuild';

/** What is loaded when a database is tiered, backed up, or reads a URL, and not before. */
const OF_FILES = ['tier/index', 'tier/copy', 'arrow/index', 'backup/index', 'restore'].map(
  (name) => `./${name}.js`,
);

/** What is loaded on first use is left out. */
const loadedAtOnce: Plugin = {
  name: 'loaded at once',
  setup: (build) =>
    build.onResolve({ filter: /.*/ }, ({ kind, path }) =>
      kind === 'dynamic-import' ? { path, external: true } : undefined,
    ),
};

/** Bytes of a bundle in one file, minified and gzipped. */
export interface BundleSize {
  /** What a database loads when it is opened without migrations. */
  readonly opened: number;
  /** With all that is loaded on first use, but for what reads and writes files. */
  readonly withoutFiles: number;
  readonly all: number;
  /** What esbuild has seen of the whole. */
  readonly metafile: Metafile;
}

/** How large the database is in a Worker that imports `DB`. */
export async function bundleSize(): Promise<BundleSize> {
  const opened = await bundle([], [loadedAtOnce]);
  const withoutFiles = await bundle(OF_FILES, []);
  const all = await bundle([], []);
  return {
    opened: opened.bytes,
    withoutFiles: withoutFiles.bytes,
    all: all.bytes,
    metafile: all.metafile,
  };
}

async function bundle(
  left: readonly string[],
  plugins: Plugin[],
): Promise<{ bytes: number; metafile: Metafile }> {
  const { metafile, outputFiles } = await build({
    stdin: {
      contents: "export { DB, DoSQLError } from '@dotdo/dosql';",
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd'],
    external: ['cloudflare:*', 'node:*', 'apache-arrow', ...left],
    plugins,
  });
  return { metafile, bytes: gzipSync(outputFiles[0]?.text ?? '', { level: 9 }).length };
}
