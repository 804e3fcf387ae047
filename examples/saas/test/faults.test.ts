import { expect, it, onTestFinished } from 'vitest';
import type { TestHarness } from 'wrangler';
import { startDeployment } from '../deployment.ts';
import { Client, operatorOf } from '../local.ts';
import type { Operator } from '../operator.ts';
import { withTasks } from './tenants.ts';

interface Task {
  readonly id: number;
  readonly status: string;
}

async function startFaulty(fault: 'r2' | 'answers'): Promise<{
  url: URL;
  harness: TestHarness;
  operator: Operator;
}> {
  const started = await startDeployment({ main: './test/faulty.worker.ts', vars: { FAULT: fault } });
  onTestFinished(() => started.harness.close());
  return { ...started, operator: await operatorOf(started.url) };
}

/** Numbers that come in the same order each time, from 0 to below `bound`. */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => (state = (state * 48_271) % 2_147_483_647) % bound;
}

it('goes on while R2 is away, all but what R2 is needed for', async () => {
  const { url, operator } = await startFaulty('r2');
  const client = await Client.signUp(url, 'acme');
  await client.post('/projects', { name: 'First', owner_id: 1 });
  await client.post('/tasks', { project_id: 1, title: 'one' });
  const { lsn } = await client.get<{ lsn: number }>('/status');
  await client.patch('/tasks/1', { title: 'mistake' });
  await client.post('/restore', { to: `lsn:${lsn}` });
  expect(await client.get('/tasks/1')).toMatchObject({ title: 'one' });
  await expect(operator.send('POST', '/tenants/acme/backup')).rejects.toMatchObject({ status: 503 });
  await expect(operator.send('POST', '/tenants/copy/restore', { from: 'acme' })).rejects.toMatchObject({
    status: 503,
  });
  const count = "SELECT count(*) AS n FROM changes WHERE entity = 'tasks'";
  await client.post('/tasks', { project_id: 1, title: 'two' });
  // A title does not leave, nor does its change.
  await expect.poll(() => operator.query(count)).toEqual([{ n: 2 }]);
});

it('has the right numbers in the end, whatever is stopped, lost and repeated on the way', async () => {
  const { url, harness, operator } = await startFaulty('answers');
  const next = numbers(20_261_121);
  const clients = await Promise.all(['one', 'two', 'three'].map((name) => Client.signUp(url, name)));
  for (const client of clients) await client.post('/projects', { name: 'First', owner_id: 1 });
  const evict = async (className: 'Tenant' | 'Fleet', name: string): Promise<void> => {
    try {
      await harness.getWorker().evictDurableObject(className, { name });
    } catch (error) {
      // Someone else has just stopped it.
      if (!String(error).includes('not currently running')) throw error;
    }
  };
  const statuses = ['todo', 'in_progress', 'review', 'done'];
  const work = async (client: Client): Promise<void> => {
    for (let i = 1; i <= 7; i++) {
      await client.post('/tasks', { project_id: 1, title: `${i}` });
      await client.send('PATCH', `/tasks/${1 + next(i)}`, { status: statuses[next(4)] });
      if (next(4) === 0) await client.send('DELETE', `/tasks/${1 + next(i)}`);
      if (next(4) === 0) await evict('Tenant', client.tenant);
      if (next(6) === 0) await evict('Fleet', 'fleet');
    }
  };
  await Promise.all(clients.map(work));
  const expected: string[] = [];
  const written: { tenant: string; n: number }[] = [];
  for (const client of clients) {
    const { tenant } = client;
    const { tasks } = await client.get<{ tasks: Task[] }>('/tasks');
    expected.push(...tasks.map(({ id, status }) => `${tenant} ${id} ${status}`));
    const { changes } = await client.get<{ changes: object[] }>('/activity?limit=1000');
    written.push({ tenant, n: changes.length });
  }
  const counted = 'SELECT tenant, count(*) AS n FROM changes GROUP BY tenant ORDER BY n, tenant';
  const byCount = written.toSorted((a, b) => a.n - b.n || (a.tenant < b.tenant ? -1 : 1));
  await expect.poll(() => operator.query(counted), { timeout: 40_000 }).toEqual(byCount);
  const known = await operator.query<Task & { tenant: string }>('SELECT tenant, id, status FROM tasks');
  const shown = known.map(({ tenant, id, status }) => `${tenant} ${id} ${status}`);
  expect(shown.toSorted()).toEqual(expected.toSorted());
  const listed = await operator.query('SELECT name FROM tenants ORDER BY name');
  expect(listed).toEqual([{ name: 'one' }, { name: 'three' }, { name: 'two' }]);
});

it('makes a tenant whose object is lost anew under its name, as it was before a mistake', async () => {
  const { url, operator } = await startFaulty('answers');
  const client = await withTasks(url, 'lost', ['one', 'two']);
  const { lsn } = await client.get<{ lsn: number }>('/status');
  await client.post('/tasks', { project_id: 1, title: 'mistake', status: 'done' });
  await operator.backUp('lost');
  const tasks = "SELECT id, status FROM tasks WHERE tenant = 'lost' ORDER BY id";
  await expect.poll(() => operator.query(tasks)).toHaveLength(3);

  await fetch(new URL('/objects/lost', url), { method: 'DELETE' });
  expect((await client.send('GET', '/tasks')).status).toBe(404);

  expect(await operator.restore('lost', { from: 'lost', at: `lsn:${lsn}` })).toMatchObject({ lsn });
  // Those who had a token have one again.
  expect(await client.get('/tasks')).toMatchObject({ tasks: [{ title: 'one' }, { title: 'two' }] });
  await client.patch('/tasks/1', { status: 'review' });
  const now = [
    { id: 1, status: 'review' },
    { id: 2, status: 'todo' },
  ];
  await expect.poll(() => operator.query(tasks)).toEqual(now);
  // It goes on being backed up to where it was.
  await operator.backUp('lost');
  const { token } = await operator.restore('copy', { from: 'lost' });
  expect(await new Client(url, 'copy', token).get('/tasks/1')).toMatchObject({ status: 'review' });
});
