import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import { Client, operatorOf, startLocally } from '../local.ts';
import type { Operator } from '../operator.ts';
import type { Env } from '../src/worker.ts';
import { withTasks } from './tenants.ts';

interface Row {
  readonly id: number;
}
let app: LocalApp;
let operator: Operator;

beforeAll(async () => {
  app = await startLocally();
  operator = await operatorOf(app.url);
});
afterAll(async () => app.harness.close());

/** A tenant with a project and these tasks, in a backup. */
async function backedUp(tenant: string, titles: readonly string[]): Promise<Client> {
  const client = await withTasks(app.url, tenant, titles);
  await operator.backUp(tenant);
  return client;
}

/** Everything of a tenant that a client can read. */
async function everything(client: Client): Promise<unknown> {
  const [users, projects, tasks, activity] = await Promise.all(
    ['/users', '/projects', '/tasks', '/activity'].map((path) => client.get(path)),
  );
  return { users, projects, tasks, activity };
}

async function keysIn(bucket: 'TENANT_DATA' | 'LAKE'): Promise<string[]> {
  const env = await app.harness.getWorker<Env>().getEnv();
  const keys: string[] = [];
  for (let cursor: string | undefined; ;) {
    const page = await env[bucket].list(cursor === undefined ? {} : { cursor });
    keys.push(...page.objects.map(({ key }) => key));
    if (!page.truncated) return keys;
    ({ cursor } = page);
  }
}

describe('a backup', () => {
  it('is made soon after a tenant signs up, without being asked for', async () => {
    await Client.signUp(app.url, 'soon');
    await until(async () =>
      (await keysIn('TENANT_DATA')).some((key) => key.startsWith('tenants/soon/backup/')),
    );
  });

  it('lies in the folder of its tenant, and nothing lies outside of all of them', async () => {
    // One name begins the other.
    await backedUp('folder', ['a']);
    await backedUp('folder-two', ['b']);
    const keys = await keysIn('TENANT_DATA');
    for (const tenant of ['folder', 'folder-two'])
      expect(keys.filter((key) => key.startsWith(`tenants/${tenant}/backup/`)).length).toBeGreaterThan(0);
    expect(
      keys.filter((key) => !/^tenants\/[a-z][a-z0-9-]*\/(?:backup|base|log)\/[\w./-]+$/.test(key)),
    ).toEqual([]);
    expect(keys.filter((key) => key.includes('..'))).toEqual([]);
  });

  it('writes nothing again that has not changed', async () => {
    const client = await backedUp('steady', ['a']);
    const before = await keysIn('TENANT_DATA');
    await operator.backUp('steady');
    expect(await keysIn('TENANT_DATA')).toEqual(before);
    await client.patch('/tasks/1', { title: 'b' });
    await operator.backUp('steady');
    expect((await keysIn('TENANT_DATA')).length).toBeGreaterThan(before.length);
  });
});

describe('a tenant made anew from R2 alone', () => {
  it('has all that it had, its past, and users that sign in anew', async () => {
    const client = await backedUp('first', ['one', 'two']);
    await client.post('/users', { name: 'Bo', email: 'bo@first.test', role: 'admin' });
    await client.patch('/tasks/1', { status: 'done' });
    await client.send('DELETE', '/tasks/2');
    const { lsn } = await operator.backUp('first');
    const before = await everything(client);
    const made = await operator.restore('second', { from: 'first' });
    expect(made).toMatchObject({ tenant: 'second', lsn });
    const second = new Client(app.url, 'second', made.token);
    expect(await everything(second)).toEqual(before);
    expect(await second.get('/tasks/2/history')).toMatchObject({ versions: [{ row: { title: 'two' } }] });
    expect(await second.get('/status')).toMatchObject({ schema_version: 3, user: { role: 'owner' } });
    // They are two from then on.
    expect(await second.post<Row>('/tasks', { project_id: 1, title: 'only here' })).toMatchObject({ id: 3 });
    expect((await client.get<{ tasks: Row[] }>('/tasks')).tasks).toHaveLength(1);
    expect((await second.sendTo('first', 'GET', '/tasks')).status).toBe(403);
    expect((await client.sendTo('second', 'GET', '/tasks')).status).toBe(403);
    // And the new one is backed up like any other, and on the operator's list and in its numbers.
    await operator.backUp('second');
    expect((await operator.restore('third', { from: 'second' })).lsn).toBeGreaterThan(lsn);
    await expect
      .poll(() =>
        operator.query(
          `SELECT name, (SELECT count(*) FROM tasks WHERE tenant = name) AS tasks FROM tenants
           WHERE name IN ('first', 'second', 'third') ORDER BY name`,
        ),
      )
      .toEqual([
        { name: 'first', tasks: 1 },
        { name: 'second', tasks: 2 },
        { name: 'third', tasks: 2 },
      ]);
  });

  it('is as of any point that the backup reaches to', async () => {
    const client = await backedUp('points', ['one']);
    const { lsn } = await client.get<{ lsn: number }>('/status');
    await client.patch('/tasks/1', { title: 'mistake' });
    await operator.backUp('points');
    const made = await operator.restore('points-then', { from: 'points', at: `lsn:${lsn}` });
    const then = new Client(app.url, 'points-then', made.token);
    expect(await then.get('/tasks/1')).toMatchObject({ title: 'one' });
    for (const [at, status] of [
      ['lsn:99999', 400],
      ['2099-01-01T00:00:00Z', 400],
      ['2001-01-01T00:00:00Z', 410],
      ['soon', 400],
    ] as const) {
      await expect(operator.restore('points-never', { from: 'points', at })).rejects.toMatchObject({
        status,
      });
    }
    // What was refused has left nothing: the name is free.
    await Client.signUp(app.url, 'points-never');
  });

  it('takes the place of no tenant that is there', async () => {
    await backedUp('taken', ['keep me']);
    const other = await backedUp('other', ['other']);
    await expect(operator.restore('taken', { from: 'other' })).rejects.toMatchObject({ status: 409 });
    await expect(operator.restore('other', { from: 'other' })).rejects.toMatchObject({ status: 409 });
    expect(await other.get('/tasks')).toMatchObject({ tasks: [{ title: 'other' }] });
    const both = await Promise.allSettled([
      operator.restore('contested', { from: 'taken' }),
      operator.restore('contested', { from: 'other' }),
      Client.signUp(app.url, 'contested'),
    ]);
    expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('is made of the backups of a tenant, by its name, and of nothing else in the bucket', async () => {
    await backedUp('source', ['a']);
    for (const from of [
      '..',
      '../source',
      'source/',
      'source/../other',
      'tenants/source',
      '',
      'Source',
      '%2e%2e',
      null,
    ])
      await expect(operator.send('POST', '/tenants/escaped/restore', { from })).rejects.toMatchObject({
        status: 400,
      });
    // A name that only begins another has no backups of its own.
    for (const from of ['sourc', 'nobody'])
      await expect(operator.restore('escaped', { from })).rejects.toMatchObject({ status: 404 });
  });

  it('can be made again after an attempt that was cut off', async () => {
    await backedUp('whole', ['a']);
    const storage = await app.harness.getWorker().getDurableObjectStorage('Tenant', { name: 'half' });
    // What lies in an object without a name: here some of a database that never became a tenant.
    await storage.exec('CREATE TABLE tasks (id INTEGER PRIMARY KEY); INSERT INTO tasks VALUES (7)');
    await app.harness.getWorker().evictDurableObject('Tenant', { name: 'half' });
    const made = await operator.restore('half', { from: 'whole' });
    expect(await new Client(app.url, 'half', made.token).get('/tasks')).toMatchObject({
      tasks: [{ title: 'a' }],
    });
  });

  it('goes on after it is put to sleep, and stays the one that it was', async () => {
    await backedUp('sleeper', ['a']);
    const made = await operator.restore('woken', { from: 'sleeper' });
    const woken = new Client(app.url, 'woken', made.token);
    await app.harness.getWorker().evictDurableObject('Tenant', { name: 'woken' });
    await woken.patch('/tasks/1', { title: 'b' });
    await app.harness.getWorker().evictDurableObject('Tenant', { name: 'woken' });
    expect(await woken.get('/tasks/1')).toMatchObject({ title: 'b' });
    await expect(operator.restore('woken', { from: 'sleeper' })).rejects.toMatchObject({ status: 409 });
  });
});
