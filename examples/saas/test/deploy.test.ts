import { dryRun } from '@dotdo/example-shared/local/deploy';
import { expect, it } from 'vitest';

it('can be deployed as it is, with its bindings and migrations', () => {
  const { status, output } = dryRun(`${import.meta.dirname}/..`);
  expect(status, output).toBe(0);
  for (const binding of ['env.TENANT ', 'env.FLEET ', 'env.TENANT_DATA ', 'env.LAKE ', 'env.SIGN_UP_LIMIT '])
    expect(output).toContain(binding);
  for (const file of ['saas/003_label.sql', 'saas-fleet/001_initial.sql'])
    expect(output).toContain(`.do/migrations/${file}`);
});
