import { defineConfig } from 'vitest/config';

/** Scans of files in Node, against DuckDB there. */
// vitest reads the default export.
// oxlint-disable-next-line import/no-default-export
export default defineConfig({
  test: {
    name: 'dosql-scan',
    environment: 'node',
    include: ['test/scan/**/*.test.ts'],
    testTimeout: 60_000,
  },
});
