import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [cloudflareTest({ wrangler: { configPath: './test/wrangler.jsonc' } })],
  test: {
    name: 'dosql',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['test/crash/**'],
    // What a method throws to its caller over RPC is reported in the object that it was thrown in, too.
    onUnhandledError: (error) => !('durableObjectId' in error),
  },
});
