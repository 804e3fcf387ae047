import { defineConfig } from 'vitest/config';

/** The Durable Streams protocol's own tests, in Node, against a server in workerd. */
// vitest reads the default export.
// oxlint-disable-next-line import/no-default-export
export default defineConfig({
  test: {
    name: 'dosql-streams',
    environment: 'node',
    include: ['test/streams/**/*.test.ts'],
    maxConcurrency: 6,
  },
});
