import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url).href);

export default defineConfig({
  plugins: [cloudflareTest({ wrangler: { configPath: './test/wrangler.jsonc' } })],
  // The README's examples import the package by its name; the tests run them on the source.
  resolve: {
    alias: [
      { find: /^@dotdo\/fsx$/, replacement: at('src/index.ts') },
      { find: /^@dotdo\/fsx\/testing$/, replacement: at('src/testing/index.ts') },
    ],
  },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['test/node/**'],
    testTimeout: 30_000,
    // workerd sees no files, so the texts that have to agree are handed in.
    provide: {
      readme: readFileSync(at('README.md'), 'utf8'),
      examples: [
        'test/readme.ts',
        'test/readme-transaction.ts',
        'test/readme-testing.worker.test.ts',
        'test/node/readme.ts',
      ].map((file) => readFileSync(at(file), 'utf8')),
    },
  },
});

declare module 'vitest' {
  interface ProvidedContext {
    readme: string;
    examples: string[];
  }
}
