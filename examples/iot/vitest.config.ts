import { defineConfig } from 'vitest/config';

/** The tests run the app as it is deployed, bundle and all, in the local Workers runtime, and talk HTTP to it. */
export default defineConfig({
  test: {
    name: 'iot',
    // Each file has a runtime of its own beside it, and waits for it half of the time.
    maxWorkers: 3,
    include: ['test/**/*.test.ts'],
    // Starting a runtime and a browser takes a while on a busy machine.
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
