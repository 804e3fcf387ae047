import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      'packages/*/vitest.config.ts',
      'packages/*/vitest.*.config.ts',
      'examples/*/vitest.config.ts',
      'tools/vitest.config.ts',
    ],
    // Each has a Workers runtime beside it and waits for it half of the time.
    maxWorkers: 4,
    // What a method throws to its caller over RPC is reported in the object that it was thrown in, too.
    onUnhandledError: (error) => !('durableObjectId' in error),
  },
});
