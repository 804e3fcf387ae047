import { globSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const squeeze = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();
const read = (name: string): string => readFileSync(`${import.meta.dirname}/../${name}`, 'utf8');

it('the README shows only code of the app, the page and the demo', () => {
  const files = globSync(['demo.ts', 'src/**/*.ts'], { cwd: `${import.meta.dirname}/..` });
  const run = squeeze(files.map(read).join('\n'));
  const blocks = [...read('README.md').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code = '']) =>
    squeeze(code),
  );
  expect(blocks.length).toBeGreaterThan(0);
  for (const block of blocks) expect(run).toContain(block);
});

it('the README names every path that the tenant answers', () => {
  const routes = [...read('src/routes.ts').matchAll(/\[\/\^(\S+)\$\/, \{/g)].map(([, path = '']) =>
    path.replaceAll('\\/', '/').replaceAll(/\(\?<(\w+)>[^)]+\)/g, ':$1'),
  );
  expect(routes.length).toBeGreaterThan(15);
  for (const path of routes) expect(read('README.md')).toContain(`\`${path}\``);
});
