import { defineConfig } from 'vitest/config';

/** Whole projects, as guides show them: built, run and tested in folders of their own, with our packages as published. */
// vitest reads the default export.
// oxlint-disable-next-line import/no-default-export
export default defineConfig({
  test: {
    name: 'dosql-project',
    environment: 'node',
    include: ['test/project/**/*.test.ts'],
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
});
