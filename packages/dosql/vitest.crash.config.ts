import { defineConfig } from 'vitest/config';

/** Tests that start and kill workerd themselves, one after the other. */
// vitest reads the default export.
// oxlint-disable-next-line import/no-default-export
export default defineConfig({
  test: {
    name: 'dosql-crash',
    environment: 'node',
    include: ['test/crash/**/*.test.ts'],
    fileParallelism: false,
    maxWorkers: 1,
  },
});
