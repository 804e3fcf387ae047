import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      'packages/*/vitest.config.ts',
      'packages/*/vitest.*.config.ts',
      'examples/*/vitest.config.ts',
      'tools/vitest.config.ts',
    ],
    // Two cores: a few workers at a time, each with a Workers runtime beside it.
    maxWorkers: 2,
    // What a method throws to its caller over RPC is reported in the object that it was thrown in, too.
    onUnhandledError: (error) => !('durableObjectId' in error),
  },
});
