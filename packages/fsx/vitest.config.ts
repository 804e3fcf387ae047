import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url).href);

export default defineConfig({
  plugins: [cloudflareTest({ wrangler: { configPath: './test/wrangler.jsonc' } })],
  // The README's example imports the package by its name; the tests run it on the source.
  resolve: { alias: { '@dotdo/fsx': at('src/index.ts') } },
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['test/node/**'],
    // workerd sees no files, so the two texts that have to agree are handed in.
    provide: {
      readme: readFileSync(at('README.md'), 'utf8'),
      example: readFileSync(at('test/readme.ts'), 'utf8'),
    },
  },
});

declare module 'vitest' {
  interface ProvidedContext {
    readme: string;
    example: string;
  }
}
