import { afterAll, beforeAll, expect, it } from 'vitest';
import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import { operatorOf, startLocally } from '../local.ts';
import type { Operator } from '../operator.ts';
import type { Env } from '../src/worker.ts';
import { withTasks } from './tenants.ts';

let app: LocalApp;
let operator: Operator;

beforeAll(async () => {
  app = await startLocally();
  operator = await operatorOf(app.url);
});
afterAll(async () => app.harness.close());

it('what happened on days that are over lies in the lake, and every query goes on reading it', async () => {
  const worker = app.harness.getWorker<Env>();
  const client = await withTasks(app.url, 'acme');
  await until(async () => (await operator.query('SELECT 1 FROM changes')).length === 2);
  const fleet = await worker.getDurableObjectStorage('FLEET', { name: 'fleet' });
  for (const [day, tenant] of [
    ['2025-11-01', 'acme'],
    ['2025-11-01', 'globex'],
    ['2025-11-02', 'globex'],
  ])
    await fleet.exec(
      `INSERT INTO changes (tenant, at, entity, op, row_id, status_before, status_after)
       VALUES (?, ? || 'T12:00:00.000Z', 'tasks', 'update', 1, 'todo', 'done')`,
      tenant,
      day,
    );
  // The newest row stays, so that no number is given twice.
  await client.post('/projects', { name: 'Second', owner_id: 1 });
  await until(async () => (await operator.query('SELECT 1 FROM changes')).length === 6);
  const sql = `
    SELECT substr(at, 1, 10) AS day, tenant, count(*) AS n FROM changes
    WHERE status_after = 'done' GROUP BY day, tenant ORDER BY day, tenant`;
  const before = await operator.query(sql);
  expect(before).toHaveLength(3);
  await worker.evictDurableObject('FLEET', { name: 'fleet' });
  const { LAKE } = await worker.getEnv();
  const days = async (): Promise<string[]> => {
    // Whoever asks wakes the fleet, which then looks for what is old.
    expect(await operator.query(sql)).toEqual(before);
    const { objects } = await LAKE.list({ prefix: 'fleet/tables/' });
    return objects.map(({ key }) => /partition=([\d-]+)\/[\w-]+\.parquet$/.exec(key)?.[1] ?? key);
  };
  await expect.poll(days, { timeout: 20_000 }).toEqual(['2025-11-01', '2025-11-02']);
  const hot = await fleet.exec('SELECT count(*) AS n FROM changes');
  expect(hot).toEqual([{ n: 3 }]);
  expect(await operator.query('SELECT count(*) AS n FROM changes')).toEqual([{ n: 6 }]);
});
