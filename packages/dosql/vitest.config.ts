import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url).href);

export default defineConfig({
  plugins: [cloudflareTest({ wrangler: { configPath: './test/wrangler.jsonc' } })],
  // The READMEs import the package by its name; the tests run them on the source.
  resolve: { alias: [{ find: /^@dotdo\/dosql$/, replacement: at('src/index.ts') }] },
  test: {
    name: 'dosql',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['test/browser/**', 'test/crash/**', 'test/streams/**'],
    // What a method throws to its caller over RPC is reported in the object that it was thrown in, too.
    onUnhandledError: (error) => !('durableObjectId' in error),
    // workerd sees neither files nor variables, so texts that have to agree are handed in, and the seed to replay, or how many to run.
    provide: {
      readmes: ['../../README.md', 'README.md', '../cdc/README.md'].map((file) =>
        readFileSync(at(file), 'utf8'),
      ),
      readmeCode: readFileSync(at('test/readme.ts'), 'utf8'),
      seed: process.env['VITE_SEED'] ?? '',
      runs: process.env['VITE_RUNS'] ?? '',
    },
  },
});
