/**
 * Signs up a thousand tenants on this machine, deploys a newer version of the app, and brings all of them to its
 * schema, stopped once in the middle: `npm run demo:fleet -w examples/saas`. `TENANTS` says how many.
 */
import assert from 'node:assert/strict';
import { until } from '@dotdo/example-shared/local/app';
import { line, say, step } from '@dotdo/example-shared/local/transcript';
import { deployment, startDeployment } from './deployment.ts';
import { migrateFleet, showProgress } from './fleet.ts';
import { Client, operatorOf } from './local.ts';
import type { Operator } from './operator.ts';

const count = Number(process.env['TENANTS'] ?? 1_000);
const names = Array.from({ length: count }, (_, i) => `tenant-${String(i + 1).padStart(5, '0')}`);

const started = performance.now();
console.log(`\n${count} companies, ${count} databases, and a new column for each of them\n`);
const { url, harness } = await startDeployment({ migrationCount: 2 });
say(`The app of last month runs at ${url.origin}: its schema is at version 2`, started);

try {
  let operator = await operatorOf(url);
  await step(`${count} tenants sign up, and each begins a project`, async () => {
    await each(names, 8, async (name, done) => {
      const client = await Client.signUp(url, name);
      await client.post('/projects', { name: 'First', owner_id: 1 });
      showProgress({ done, total: count, failed: 0 });
    });
  });
  await step("They come onto the operator's list by themselves, and into the numbers", async () => {
    await until(async () => (await versionsOf(operator)) === `2: ${count}`, 300_000);
    await until(async () => (await projectsOf(operator)) === count, 300_000);
    line(`schema version and tenants: ${await versionsOf(operator)}`);
  });

  await step('The app of today is deployed: its schema is at version 3', async () => {
    await harness.update(deployment());
    operator = await operatorOf(new URL((await harness.listen()).url));
  });
  const half = await step('The fleet is migrated, until someone stops it half-way', async () => {
    const stop = new AbortController();
    const result = await migrateFleet(operator, {
      signal: stop.signal,
      onProgress: (progress) => {
        if (progress.done >= count / 2) stop.abort();
        showProgress(progress);
      },
    });
    line(`${result.migrated} migrated, ${result.left} not tried, ${result.failures.length} failed`);
    assert.ok(result.left > 0);
    assert.deepEqual(result.failures, []);
    return result;
  });
  await step('Called again, it goes on with those that are left', async () => {
    const { migrated, left, failures } = await migrateFleet(operator, { onProgress: showProgress });
    line(`${migrated} migrated, ${left} not tried, ${failures.length} failed`);
    // Whoever was visited meanwhile has been migrated by that.
    assert.ok(migrated <= half.left);
    assert.deepEqual([left, failures], [0, []]);
    assert.equal(await versionsOf(operator), `3: ${count}`);
    line(`schema version and tenants: ${await versionsOf(operator)}`);
  });
} finally {
  await harness.close();
}
say('All of it. Every line above was checked, and nothing is left behind.\n', started);

async function versionsOf(operator: Operator): Promise<string> {
  const rows = await operator.query<{ version: number; n: number }>(
    'SELECT schema_version AS version, count(*) AS n FROM tenants GROUP BY version ORDER BY version',
  );
  return rows.map(({ version, n }) => `${version}: ${n}`).join(', ');
}

async function projectsOf(operator: Operator): Promise<number> {
  const [row] = await operator.query<{ n: number }>(
    "SELECT count(*) AS n FROM changes WHERE entity = 'projects' AND op = 'insert'",
  );
  return row?.n ?? 0;
}

/** Does something with each, some at once; `done` tells how many have been begun. */
async function each(
  names: readonly string[],
  concurrency: number,
  work: (name: string, done: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const go = async (): Promise<void> => {
    while (next < names.length) {
      const name = names[next++] as string;
      await work(name, next);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, go));
}
