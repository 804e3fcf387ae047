import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalApp } from '@dotdo/example-shared/local/app';
import { Client, startLocally } from '../local.ts';
import { withTasks } from './tenants.ts';

interface Task {
  readonly id: number;
  readonly title: string;
  readonly status: string;
}
interface Restored {
  readonly changes: number;
  readonly lsn: number | null;
}
interface Refused {
  readonly error: string;
  readonly issues?: readonly { readonly field: string }[];
}

const TITLES = ['one', 'two', 'three'];

let app: LocalApp;

beforeAll(async () => {
  app = await startLocally();
});
afterAll(async () => app.harness.close());

async function tasksOf(client: Client): Promise<Task[]> {
  return (await client.get<{ tasks: Task[] }>('/tasks')).tasks;
}

async function lsnOf(client: Client): Promise<number> {
  return (await client.get<{ lsn: number }>('/status')).lsn;
}

describe('restoring a board', () => {
  it('sets it back to a point, whatever happened since, and can be undone', async () => {
    const client = await withTasks(app.url, 'back', TITLES);
    const [right, lsn] = [await tasksOf(client), await lsnOf(client)];
    await client.patch('/tasks/1', { status: 'done' });
    await client.send('DELETE', '/tasks/2');
    await client.post('/tasks', { project_id: 1, title: 'four' });
    const wrong = await tasksOf(client);
    const restored = await client.post<Restored>('/restore', { to: `lsn:${lsn}` });
    expect(restored.changes).toBe(3);
    expect(await tasksOf(client)).toEqual(right);
    // It was a mistake after all; what others did meanwhile is not.
    await client.post('/tasks', { project_id: 1, title: 'meanwhile' });
    expect(await client.post('/restore/undo', { lsn: restored.lsn })).toEqual({ changes: 3 });
    const now = await tasksOf(client);
    expect(now.filter(({ title }) => title !== 'meanwhile')).toEqual(wrong);
    expect(now).toHaveLength(wrong.length + 1);
    const { versions } = await client.get<{ versions: { op: string }[] }>('/tasks/2/history');
    expect(versions.length).toBeGreaterThan(1);
  });

  it('brings a project back with its tasks, and takes a time', async () => {
    const client = await withTasks(app.url, 'project', TITLES);
    const right = await tasksOf(client);
    const { changes } = await client.get<{ changes: { timestamp: string }[] }>('/activity');
    await client.send('DELETE', '/projects/1');
    await client.post('/restore', { to: changes.at(-1)?.timestamp });
    expect(await tasksOf(client)).toEqual(right);
    // New rows come behind all that there ever were.
    expect(await client.post('/tasks', { project_id: 1, title: 'next' })).toMatchObject({ id: 4 });
  });

  it('leaves people and their rights as they are', async () => {
    const client = await withTasks(app.url, 'people', TITLES);
    const lsn = await lsnOf(client);
    const { id } = await client.post<Task>('/users', { name: 'Bo', email: 'bo@people.test', role: 'admin' });
    const { token } = await client.post<{ token: string }>(`/users/${id}/tokens`, {});
    await client.post('/restore', { to: `lsn:${lsn}` });
    const bo = new Client(app.url, 'people', token);
    expect(await bo.get('/status')).toMatchObject({ user: { id, role: 'admin' } });
    expect(await bo.post('/restore', { to: `lsn:${lsn}` })).toEqual({ changes: 0, lsn: null });
  });

  it('undoes any restore, once, and not over what has been changed since', async () => {
    const client = await withTasks(app.url, 'undo', TITLES);
    const lsn = await lsnOf(client);
    await client.patch('/tasks/1', { status: 'done' });
    const first = await client.post<Restored>('/restore', { to: `lsn:${lsn}` });
    await client.patch('/tasks/1', { status: 'review' });
    const undo = (lsn: unknown): Promise<{ status: number; body: Refused }> =>
      client.send<Refused>('POST', '/restore/undo', { lsn });
    expect(await undo(first.lsn)).toMatchObject({
      status: 409,
      body: { error: expect.stringContaining('since') },
    });
    expect(await client.get('/tasks/1')).toMatchObject({ status: 'review' });
    const second = await client.post<Restored>('/restore', { to: `lsn:${lsn}` });
    await client.patch('/tasks/2', { title: 'later' });
    const third = await client.post<Restored>('/restore', { to: `lsn:${lsn}` });
    await app.harness.getWorker().evictDurableObject('Tenant', { name: 'undo' });
    expect(await undo(second.lsn)).toMatchObject({ status: 200, body: { changes: 1 } });
    expect(await client.get('/tasks/1')).toMatchObject({ status: 'review' });
    expect(await undo(third.lsn)).toMatchObject({ status: 200, body: { changes: 1 } });
    expect(await client.get('/tasks/2')).toMatchObject({ title: 'later' });
    for (const again of [second.lsn, third.lsn]) expect((await undo(again)).status).toBe(409);
    // Nor any other transaction, such as the one that made the owner.
    for (const other of [1, lsn, 99_999]) expect((await undo(other)).status).toBe(409);
    for (const bad of ['1', null, 1.5, undefined]) expect((await undo(bad)).status).toBe(400);
  });

  it('tells which points there are', async () => {
    const client = await withTasks(app.url, 'points', TITLES);
    const right = await tasksOf(client);
    const restore = (to: unknown): Promise<{ status: number; body: Refused }> =>
      client.send<Refused>('POST', '/restore', { to });
    expect((await restore('lsn:99999')).status).toBe(400);
    expect((await restore('2099-01-01T00:00:00Z')).status).toBe(400);
    expect((await restore('2001-01-01T00:00:00Z')).status).toBe(410);
    expect((await restore('yesterday')).status).toBe(400);
    expect(await restore(7)).toMatchObject({ status: 400, body: { issues: [{ field: 'to' }] } });
    expect((await client.send('POST', '/restore', { to: 'lsn:1', tables: ['users'] })).status).toBe(400);
    expect(await tasksOf(client)).toEqual(right);
    expect((await client.send('GET', '/restore')).status).toBe(405);
  });

  it('is for admins', async () => {
    const client = await withTasks(app.url, 'guarded', TITLES);
    const { id } = await client.post<Task>('/users', { name: 'Mo', email: 'mo@guarded.test' });
    const { token } = await client.post<{ token: string }>(`/users/${id}/tokens`, {});
    const member = new Client(app.url, 'guarded', token);
    for (const path of ['/restore', '/restore/undo'])
      expect((await member.send('POST', path, { to: 'lsn:1' })).status).toBe(403);
  });

  it('reaches every page that is open', async () => {
    const client = await withTasks(app.url, 'live', TITLES);
    const lsn = await lsnOf(client);
    await client.patch('/tasks/1', { title: 'wrong' });
    const live = client.live();
    const tasks = live.query<Task>({ table: 'tasks' });
    const titles = (): string[] => Array.from(tasks.rows.values(), ({ title }) => title);
    await expect.poll(titles).toEqual(['wrong', 'two', 'three']);
    await client.post('/restore', { to: `lsn:${lsn}` });
    await expect.poll(titles).toEqual(['one', 'two', 'three']);
    live.close();
  });
});
