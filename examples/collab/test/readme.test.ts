import { readFileSync } from 'node:fs';
import { foreignCode, pathsIn } from '@dotdo/example-shared/local/readme';
import { expect, it } from 'vitest';

const root = `${import.meta.dirname}/..`;

it('the README shows only code of the app', () => {
  const { blocks, foreign } = foreignCode(root);
  expect(blocks).toBeGreaterThan(3);
  expect(foreign).toEqual([]);
});

it('the README names every path', () => {
  const paths = pathsIn(root, ['src/routes.ts', 'src/workspace.ts']);
  expect(paths.length).toBeGreaterThan(15);
  const readme = readFileSync(`${root}/README.md`, 'utf8');
  for (const path of [...paths, '/join', '/workspaces']) expect(readme).toContain(`\`${path}\``);
});
