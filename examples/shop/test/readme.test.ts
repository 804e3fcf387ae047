import { readFileSync } from 'node:fs';
import { dryRun } from '@dotdo/example-shared/local/deploy';
import { foreignCode, pathsIn } from '@dotdo/example-shared/local/readme';
import { expect, it } from 'vitest';

const root = `${import.meta.dirname}/..`;

it('the README shows only code of the app, the page and the demo', () => {
  const { blocks, foreign } = foreignCode(root);
  expect(blocks).toBeGreaterThan(0);
  expect(foreign).toEqual([]);
});

it('the README names every path that the shop answers', () => {
  const paths = pathsIn(root);
  expect(paths.length).toBeGreaterThan(20);
  const readme = readFileSync(`${root}/README.md`, 'utf8');
  for (const path of paths) expect(readme).toContain(`\`${path}\``);
});

it('the app is ready to be deployed', () => {
  const { status, output } = dryRun(root);
  expect(status, output).toBe(0);
  for (const name of ['SKU', 'INVENTORY', 'CATALOG', 'CART', 'ORDER', 'SALES', 'BANK', 'LAKE'])
    expect(output).toContain(`env.${name}`);
});
