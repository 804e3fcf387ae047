import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url).href);
const read = (path: string): string => readFileSync(at(path), 'utf8');
/** The texts of a folder's files with this ending, by their names without it. */
const texts = (folder: string, ending: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(at(folder))
      .filter((name) => name.endsWith(ending) && !name.endsWith('.test.ts'))
      .map((name) => [basename(name, ending), read(`${folder}/${name}`)]),
  );

/**
 * What DoSQL loads on first use is loaded at once: where an object ends that has just asked for a module, the tests' own
 * loader would never have it for others.
 */
function loadAtOnce(code: string, id: string): string | undefined {
  const modules: string[] = [];
  const loaded = code.replaceAll(/\bawait import\(('(?:\.|@dotdo\/)[^']+')\)/g, (_, path: string) => {
    modules.push(path);
    return `await loaded${modules.length - 1}`;
  });
  if (!/\/packages\/(?:dosql|cdc)\/(?:src|dist)\//.test(id) || modules.length === 0) return undefined;
  return modules.map((path, i) => `import * as loaded${i} from ${path};`).join('') + loaded;
}

export default defineConfig({
  plugins: [
    { name: 'load-at-once', enforce: 'pre', transform: loadAtOnce },
    cloudflareTest({
      wrangler: { configPath: './test/wrangler.jsonc' },
      // What is fetched goes to the tests' own Worker, by the name that the plugin gives it: none asks the network.
      miniflare: { outboundService: 'vitest-plugin-runner-dosql' },
    }),
  ],
  // The READMEs import the package by its name; the tests run them on the source.
  resolve: { alias: [{ find: /^@dotdo\/dosql$/, replacement: at('src/index.ts') }] },
  test: {
    name: 'dosql',
    include: ['src/**/*.test.ts', 'test/**/*.test.ts'],
    exclude: ['test/browser/**', 'test/crash/**', 'test/project/**', 'test/scan/**', 'test/streams/**'],
    // A project has one worker for two cores by default. None of the tests is about how long it takes.
    maxWorkers: 3,
    testTimeout: 30_000,
    // What a method throws to its caller over RPC is reported in the object that it was thrown in, too.
    onUnhandledError: (error) => !('durableObjectId' in error),
    // workerd sees neither files nor variables, so texts that have to agree are handed in, and the seed to replay, or how many to run.
    provide: {
      readmes: ['../../README.md', 'README.md'].map(read),
      readmeCode: ['test/readme.ts', 'test/guide-tiering.ts'].map(read).join('\n'),
      guides: ['../../docs/guides/change-streams.md', '../cdc/README.md'].map(read),
      tieringGuide: read('../../docs/guides/tiering-and-files.md'),
      tieringCode: read('test/guide-tiering.ts'),
      guideCode: ['test/guide.ts', 'test/guide-client.ts', 'test/guide-readme.ts'].map(read).join('\n'),
      docs: texts('../../docs/guides', '.md'),
      docCode: texts('test/guides', '.ts'),
      errorSource: read('src/error.ts'),
      seed: process.env['VITE_SEED'] ?? '',
      runs: process.env['VITE_RUNS'] ?? '',
    },
  },
});
