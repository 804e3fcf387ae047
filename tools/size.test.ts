import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

it('the engine without cold storage stays under 30 kB, minified and gzipped, and loads no dependency of others', async () => {
  const { outputFiles, metafile } = await build({
    stdin: {
      contents: "export { DB, DoSQLError } from '@dotdo/dosql';",
      resolveDir: new URL('../bench', import.meta.url).pathname,
    },
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd'],
    external: ['cloudflare:*', 'node:*'],
  });
  expect(gzipSync(outputFiles[0]?.text ?? '', { level: 9 }).length).toBeLessThan(30_000);
  const foreign = Object.keys(metafile.inputs).filter((file) => file.includes('node_modules'));
  expect(foreign).toEqual([]);
});
