import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { until } from '@dotdo/example-shared/local/app';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestHarness } from 'wrangler';
import { deployment, startDeployment } from '../deployment.ts';
import { migrateFleet, type Progress } from '../fleet.ts';
import { Client, OPERATOR_SECRET, operatorOf } from '../local.ts';
import { Operator } from '../operator.ts';
import type { Env } from '../src/worker.ts';

const NAMES = Array.from({ length: 12 }, (_, i) => `tenant-${String(i + 1).padStart(2, '0')}`);

let url: URL;
let harness: TestHarness;
let operator: Operator;

/** Twelve tenants that were left at version 1 by an older deployment, and one of them will not go further. */
beforeAll(async () => {
  ({ url, harness } = await startDeployment({ migrationCount: 1 }));
  for (const name of NAMES) await Client.signUp(url, name);
  operator = await operatorOf(url);
  // Until all have told of themselves and been backed up: nothing wakes them then but what the tests do.
  const { TENANT_DATA } = await harness.getWorker<Env>().getEnv();
  await until(async () => {
    const { objects } = await TENANT_DATA.list({ prefix: 'tenants/' });
    const backups = objects.filter(({ key }) => key.includes('/backup/'));
    const [told] = await operator.query<{ n: number }>('SELECT count(*) AS n FROM feeds');
    return (
      backups.length >= NAMES.length && told?.n === NAMES.length && (await versions())[1] === NAMES.length
    );
  });
  await setChecksum((checksum) => `not ${checksum}`);
  await harness.update(deployment());
  url = new URL((await harness.listen()).url);
  operator = await operatorOf(url);
});
afterAll(async () => harness.close());

/** Of the migration that tenant-07 has had, as if its file had been another then. */
async function setChecksum(change: (checksum: string) => string): Promise<void> {
  const storage = await harness.getWorker().getDurableObjectStorage('Tenant', { name: 'tenant-07' });
  const [row] = await storage.exec<{ checksum: string }>('SELECT checksum FROM __dosql_migration');
  await storage.exec('UPDATE __dosql_migration SET checksum = ?', change(row?.checksum ?? ''));
}

/** How many tenants are at which version, as the operator knows it. */
async function versions(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for await (const { schema_version } of operator.tenants(5))
    counts[schema_version] = (counts[schema_version] ?? 0) + 1;
  return counts;
}

function run(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, ['fleet.ts', ...args], {
    cwd: `${import.meta.dirname}/..`,
    env: { ...process.env, OPERATOR_SECRET },
  });
}

it('brings all tenants to the newest schema, some at a time, and goes on where it was stopped', async () => {
  const stop = new AbortController();
  const seen: Progress[] = [];
  const begun = await migrateFleet(operator, {
    concurrency: 2,
    signal: stop.signal,
    onProgress: (progress) => {
      seen.push(progress);
      if (progress.done === 4) stop.abort();
    },
  });
  expect(begun).toMatchObject({ version: 3, failures: [] });
  expect(begun.migrated).toBeLessThan(7);
  expect(begun.migrated + begun.left).toBe(12);
  expect(seen[0]).toEqual({ done: 2, total: 12, failed: 0 });
  expect(await versions()).toEqual({ 1: begun.left, 3: begun.migrated });

  const rest = await migrateFleet(operator, { concurrency: 3 });
  expect(rest).toMatchObject({ version: 3, migrated: begun.left - 1, left: 0 });
  expect(rest.failures).toEqual([{ tenant: 'tenant-07', error: expect.stringContaining('001_initial') }]);
  expect(await versions()).toEqual({ 1: 1, 3: 11 });
});

it('takes those that failed again, once what stood in the way is gone', async () => {
  const failed = await run('migrate', url.href).catch((error: unknown) => error);
  expect(failed).toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/0 migrated[^]*tenant-07: .*001_initial/),
  });
  await setChecksum((checksum) => checksum.replace('not ', ''));
  const { stdout, stderr } = await run('migrate', url.href, '--concurrency', '4');
  expect(stdout).toContain('schema version 3: 1 migrated, 0 not tried');
  expect(stderr).toContain('1 of 1 tenants');
  expect(await versions()).toEqual({ 3: 12 });
});

it('tells how all tenants are', async () => {
  const { stdout } = await run('report', url.href);
  expect(stdout).toMatch(/schema version +tenants\n.*\n +3 +12\n/);
});

it('leaves the others alone where the first one fails, or too many do', async () => {
  const tenants = async function* () {
    for (const name of NAMES) yield { name, schema_version: name === 'tenant-02' ? 3 : 1, created_at: '' };
  };
  const migrate = async (tenant: string): Promise<number> => {
    if (tenant > 'tenant-03') throw new Error('no');
    return 3;
  };
  expect(await migrateFleet({ tenants, migrate }, { concurrency: 1, maxFailures: 3 })).toEqual({
    version: 3,
    migrated: 2,
    left: 6,
    failures: ['tenant-04', 'tenant-05', 'tenant-06'].map((tenant) => ({ tenant, error: 'no' })),
  });
  const never = async (): Promise<never> => {
    throw new Error('no');
  };
  expect(await migrateFleet({ tenants, migrate: never })).toEqual({
    version: undefined,
    migrated: 0,
    left: 11,
    failures: [{ tenant: 'tenant-01', error: 'no' }],
  });
});

it('needs the secret', async () => {
  await expect(run('report', 'nowhere')).rejects.toMatchObject({
    stderr: expect.stringContaining('OPERATOR_SECRET'),
  });
  const stranger = await Operator.of(url, 'a secret of someone else');
  await expect(migrateFleet(stranger)).rejects.toMatchObject({ status: 401 });
});
