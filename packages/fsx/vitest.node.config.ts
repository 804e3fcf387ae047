import { defineConfig } from 'vitest/config';

/** What runs on Node.js itself: the store over a folder. */
// vitest reads the default export.
// oxlint-disable-next-line import/no-default-export
export default defineConfig({
  test: { name: 'fsx-node', environment: 'node', include: ['test/node/**/*.test.ts'] },
});
