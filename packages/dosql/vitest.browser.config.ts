import { defineConfig } from 'vitest/config';

/** The client of change streams in Chromium, against a server in workerd. */
// vitest reads the default export.
// oxlint-disable-next-line import/no-default-export
export default defineConfig({
  test: {
    name: 'dosql-browser',
    environment: 'node',
    include: ['test/browser/**/*.test.ts'],
    // Starting a runtime and a browser takes a while on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
