import { dryRun } from '@dotdo/example-shared/local/deploy';
import { expect, it } from 'vitest';

it('can be deployed as it stands, with its migrations', () => {
  const { status, output } = dryRun(`${import.meta.dirname}/..`);
  expect(output).toContain('.do/migrations/analytics/region/001_initial.sql');
  expect(output).toContain('.do/migrations/analytics/site/001_initial.sql');
  expect(output).toContain('env.ARCHIVE');
  expect(status).toBe(0);
});
