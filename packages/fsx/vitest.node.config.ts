import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url).href);

/** What runs on Node.js itself: the store over a folder. */
// vitest reads the default export.
// oxlint-disable-next-line import/no-default-export
export default defineConfig({
  resolve: { alias: { '@dotdo/fsx/node': at('src/node/index.ts') } },
  test: {
    name: 'fsx-node',
    environment: 'node',
    include: ['test/node/**/*.test.ts'],
    testTimeout: 30_000,
  },
});
