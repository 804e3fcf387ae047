import { dryRun } from '@dotdo/example-shared/local/deploy';
import { expect, it } from 'vitest';

it('can be deployed', () => {
  const { status, output } = dryRun(`${import.meta.dirname}/..`);
  expect(output).toContain('env.DOCUMENTS');
  expect(output).toContain('env.ARCHIVE');
  expect(status).toBe(0);
});
