import { readFileSync } from 'node:fs';
import { foreignCode, pathsIn } from '@dotdo/example-shared/local/readme';
import { expect, it } from 'vitest';

const root = `${import.meta.dirname}/..`;

it('the README shows only code of the app, the page and the demo', () => {
  const { blocks, foreign } = foreignCode(root);
  expect(blocks).toBeGreaterThan(0);
  expect(foreign).toEqual([]);
});

it('the README shows the tables as the migration makes them', () => {
  const [, sql = ''] = /```sql\n([^]*?)```/.exec(readFileSync(`${root}/README.md`, 'utf8')) ?? [];
  expect(sql).toContain('CREATE TABLE');
  expect(readFileSync(`${root}/../../.do/migrations/iot/001_telemetry.sql`, 'utf8')).toContain(sql);
});

it('the README names every path that the app answers', () => {
  const paths = pathsIn(root, ['src/routes.ts', 'src/ingest.ts', 'src/worker.ts']);
  expect(paths.length).toBeGreaterThan(15);
  const readme = readFileSync(`${root}/README.md`, 'utf8');
  for (const path of paths) expect(readme).toContain(`\`${path}\``);
});
