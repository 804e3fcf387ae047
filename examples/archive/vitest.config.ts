import { defineConfig } from 'vitest/config';

/** The tests run the demo as a person does, with fewer readings. */
export default defineConfig({
  test: { name: 'archive', include: ['test/**/*.test.ts'], testTimeout: 120_000, hookTimeout: 120_000 },
});
