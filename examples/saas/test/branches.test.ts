import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalApp } from '@dotdo/example-shared/local/app';
import { Client, startLocally } from '../local.ts';

interface Row {
  readonly id: number;
  readonly [column: string]: unknown;
}
interface Conflict {
  readonly table: string;
  readonly key: { readonly id: number };
  readonly ours: Row | null;
  readonly theirs: Row | null;
  readonly columns: readonly string[];
}
interface Refused {
  readonly error: string;
  readonly issues?: readonly { readonly field: string }[];
  readonly conflicts?: readonly Conflict[];
  readonly violations?: readonly { readonly table: string; readonly type: string }[];
}
interface RowDiff {
  readonly key: { readonly id: number };
  readonly type: string;
  readonly before: Row | null;
  readonly after: Row | null;
  readonly columns: readonly string[];
}

/** A name with all that a URL has its own ideas about. */
const NAME = 'spring/Größe v1.5';

let app: LocalApp;
let tenantCount = 0;

beforeAll(async () => {
  app = await startLocally();
});
afterAll(async () => app.harness.close());

/** A tenant with a project, four tasks, and the branch. */
async function withBranch(): Promise<Client> {
  tenantCount++;
  const client = await Client.signUp(app.url, `branches-${tenantCount}`);
  await client.post('/projects', { name: 'First', owner_id: 1 });
  for (const title of ['a', 'b', 'c', 'd']) await client.post('/tasks', { project_id: 1, title });
  await client.post('/branches', { name: NAME });
  return client;
}

function at(path: string, name = NAME): string {
  return `/branches/${encodeURIComponent(name)}${path}`;
}

function on(path: string, name = NAME): string {
  return `${path}${path.includes('?') ? '&' : '?'}branch=${encodeURIComponent(name)}`;
}

async function tasksOf(client: Client, path = '/tasks'): Promise<Row[]> {
  return (await client.get<{ tasks: Row[] }>(path)).tasks;
}

async function statuses(client: Client, path = '/tasks'): Promise<unknown[]> {
  return (await tasksOf(client, path)).map(({ status }) => status);
}

async function diffOf(client: Client): Promise<RowDiff[]> {
  return (await client.get<{ changes: RowDiff[] }>(at('/diff'))).changes;
}

function merge(client: Client, body: object = {}): Promise<{ status: number; body: Refused & Row }> {
  return client.send<Refused & Row>('POST', at('/merge'), body);
}

async function conflictsOf(client: Client): Promise<Conflict[]> {
  return (await client.get<{ conflicts: Conflict[] }>(at('/conflicts'))).conflicts;
}

function resolve(client: Client, id: number, take: unknown): Promise<{ status: number; body: unknown }> {
  return client.send('POST', at('/conflicts/resolve'), { table: 'tasks', key: { id }, take });
}

describe('a branch', () => {
  it('is made, listed and dropped', async () => {
    const client = await withBranch();
    const { branches } = await client.get<{ branches: Row[] }>('/branches');
    expect(branches).toEqual([
      { name: NAME, base_lsn: expect.any(Number), created_at: expect.any(String), changes: 0 },
    ]);
    expect((await client.send('POST', '/branches', { name: NAME })).status).toBe(409);
    expect((await client.send('DELETE', at(''))).status).toBe(204);
    expect(await client.get('/branches')).toEqual({ branches: [] });
    expect((await client.send('DELETE', at(''))).status).toBe(404);
  });

  it('has a name that a URL and a query can carry', async () => {
    const client = await withBranch();
    for (const name of [
      '',
      ' ',
      'main',
      'MAIN',
      '/a',
      'a/',
      '.',
      '..',
      'a?b',
      'a\0',
      '+',
      'a'.repeat(101),
      7,
    ]) {
      const { status, body } = await client.send<Refused>('POST', '/branches', { name });
      expect([name, status, body.issues?.[0]?.field]).toEqual([name, 400, 'name']);
    }
    for (const name of ['日本', 'a b', '1', 'tasks']) {
      await client.post('/branches', { name });
      expect(await tasksOf(client, on('/tasks', name))).toHaveLength(4);
    }
  });

  it('has rows of its own, and leaves main as it is', async () => {
    const client = await withBranch();
    expect(await client.patch(on('/tasks/1'), { title: 'A' })).toMatchObject({ title: 'A' });
    expect(await client.patch(on('/tasks'), { id: 2, label: 'x' })).toMatchObject({ label: 'x' });
    expect((await client.send('DELETE', on('/tasks/3'))).status).toBe(204);
    const project = await client.post<Row>(on('/projects'), { name: 'Second', owner_id: 1 });
    const task = await client.post<Row>(on('/tasks'), { project_id: project.id, title: 'e' });
    expect(task).toMatchObject({ title: 'e', project_name: 'Second' });
    const titles = async (path: string): Promise<unknown> =>
      (await tasksOf(client, path)).map(({ title }) => title);
    expect(await titles(on('/tasks'))).toEqual(['A', 'b', 'd', 'e']);
    expect(await titles('/tasks')).toEqual(['a', 'b', 'c', 'd']);
    expect(await titles('/tasks?branch=main')).toEqual(['a', 'b', 'c', 'd']);
    expect(await client.get(on('/projects/1'))).toMatchObject({ task_count: 3 });
    expect(await client.get(on('/projects'))).toMatchObject({ projects: [{}, {}] });
    expect((await client.send('GET', `/projects/${project.id}`)).status).toBe(404);
    expect((await client.send('DELETE', on(`/projects/${project.id}`))).status).toBe(204);
    expect(await titles(on('/tasks'))).toEqual(['A', 'b', 'd']);
    // Nor does it show in what main tells of its changes.
    const { changes } = await client.get<{ changes: unknown[] }>('/activity');
    expect(changes).toHaveLength(6);
  });

  it('gives new rows ids that main gives to no others', async () => {
    const client = await withBranch();
    const ids = [];
    for (const path of [on('/tasks'), '/tasks', on('/tasks'), '/tasks'])
      ids.push((await client.post<Row>(path, { project_id: 1, title: path })).id);
    ids.push((await client.post<Row>(on('/projects'), { name: 'p', owner_id: 1 })).id);
    expect(ids).toEqual([5, 6, 7, 8, 2]);
    expect((await merge(client)).status).toBe(200);
    expect((await tasksOf(client)).map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('is 404 when there is none, on every path', async () => {
    const client = await withBranch();
    const paths: [method: string, path: string][] = [
      ['GET', on('/tasks', 'no')],
      ['POST', on('/tasks', 'no')],
      ['PATCH', on('/tasks/1', 'no')],
      ['DELETE', on('/tasks/1', 'no')],
      ['GET', on('/projects', 'no')],
      ['DELETE', on('/projects/1', 'no')],
      ...['no', 'main'].flatMap((name): [string, string][] => [
        ['DELETE', at('', name)],
        ['POST', at('/bulk', name)],
        ['GET', at('/diff', name)],
        ['POST', at('/merge', name)],
        ['GET', at('/conflicts', name)],
        ['POST', at('/conflicts/resolve', name)],
      ]),
    ];
    for (const [method, path] of paths) {
      const body = method === 'GET' || method === 'DELETE' ? undefined : { title: 'x', project_id: 1 };
      expect([method, path, (await client.send(method, path, body)).status]).toEqual([method, path, 404]);
    }
    expect(await tasksOf(client)).toHaveLength(4);
    expect((await client.send('GET', '/branches/%E0%A4/diff')).status).toBe(400);
    expect((await client.send('GET', '/tasks?branch=a&branch=b')).status).toBe(400);
  });

  it('is refused where a path knows none, rather than ignored', async () => {
    const client = await withBranch();
    for (const path of ['/users', '/users/1', '/tasks/1/history', '/activity', '/export', '/status'])
      expect([path, (await client.send('GET', on(path))).status]).toEqual([path, 400]);
    expect((await client.send('POST', on('/users'), { email: 'x@y.test', name: 'x' })).status).toBe(400);
  });

  it("is one tenant's, whatever another calls its own", async () => {
    const [acme, globex] = [await withBranch(), await withBranch()];
    await acme.post('/branches', { name: 'secret' });
    await acme.patch(on('/tasks/1'), { title: 'of acme' });
    expect(await tasksOf(globex, on('/tasks'))).toMatchObject([{ title: 'a' }, {}, {}, {}]);
    expect((await globex.send('GET', on('/tasks', 'secret'))).status).toBe(404);
    expect((await globex.sendTo(acme.tenant, 'GET', on('/tasks'))).status).toBe(403);
    expect((await globex.sendTo(acme.tenant, 'DELETE', at(''))).status).toBe(403);
    expect(await acme.get('/branches')).toMatchObject({ branches: [{ name: NAME }, { name: 'secret' }] });
  });
});

describe('admins', () => {
  it('alone use branches, and a role counts as it is now', async () => {
    const owner = await withBranch();
    const as = async (role: string): Promise<Client> => {
      const { id } = await owner.post<Row>('/users', { email: `${role}@x.test`, name: role, role });
      const { token } = await owner.post<{ token: string }>(`/users/${id}/tokens`, {});
      return new Client(app.url, owner.tenant, token);
    };
    const [admin, member] = [await as('admin'), await as('member')];
    expect(await member.get('/status')).toMatchObject({ user: { role: 'member' } });
    expect(await tasksOf(member)).toHaveLength(4);
    for (const [method, path] of [
      ['GET', '/branches'],
      ['POST', '/branches'],
      ['DELETE', at('')],
      ['POST', at('/bulk')],
      ['GET', at('/diff')],
      ['POST', at('/merge')],
      ['GET', at('/conflicts')],
      ['POST', at('/conflicts/resolve')],
      ['GET', on('/tasks')],
      ['POST', on('/tasks')],
      ['GET', on('/tasks', 'no')],
      ['POST', '/users/1/tokens'],
    ] as const) {
      const { status } = await member.send(method, path, method === 'POST' ? {} : undefined);
      expect([method, path, status]).toEqual([method, path, 403]);
    }
    const asAdmin = { email: 'e@x.test', name: 'Eve', role: 'admin' };
    expect((await member.send('POST', '/users', asAdmin)).status).toBe(403);
    expect(await admin.get('/branches')).toMatchObject({ branches: [{ name: NAME }] });
    const asOwner = { email: 'o@x.test', name: 'Ole', role: 'owner' };
    expect((await admin.send('POST', '/users', asOwner)).status).toBe(403);
    expect((await admin.send('POST', '/users/1/tokens', {})).status).toBe(403);
    expect((await admin.send('POST', '/users', asAdmin)).status).toBe(201);
    await app.harness.getWorker().evictDurableObject('Tenant', { name: owner.tenant });
    const storage = await app.harness.getWorker().getDurableObjectStorage('Tenant', { name: owner.tenant });
    await storage.exec("UPDATE users SET role = 'member' WHERE name = 'admin'");
    expect((await admin.send('GET', '/branches')).status).toBe(403);
  });

  it('are not whom a header says they are', async () => {
    const owner = await withBranch();
    const { id } = await owner.post<Row>('/users', { email: 'm@x.test', name: 'm' });
    const { token } = await owner.post<{ token: string }>(`/users/${id}/tokens`, {});
    const { status } = await app.harness.fetch(new URL(`/t/${owner.tenant}/branches`, app.url).href, {
      headers: { authorization: `Bearer ${token}`, 'x-user-id': '1' },
    });
    expect(status).toBe(403);
    expect((await owner.send('POST', '/users/99/tokens', {})).status).toBe(404);
    const [tenant, , random, signature] = token.split('.');
    const forged = new Client(app.url, owner.tenant, `${tenant}.1.${random}.${signature}`);
    expect((await forged.send('GET', '/branches')).status).toBe(401);
  });
});

describe('a bulk edit', () => {
  it('changes what it is told to, on the branch only, and nothing that is so already', async () => {
    const client = await withBranch();
    await client.patch('/tasks/1', { status: 'done' });
    await client.post('/branches', { name: 'bulk' });
    const bulk = (body: object): Promise<{ changes: number }> => client.post(at('/bulk', 'bulk'), body);
    expect(await bulk({ where: {}, set: { status: 'done' } })).toMatchObject({ changes: 3 });
    expect(await bulk({ where: {}, set: { status: 'done' } })).toMatchObject({ changes: 0 });
    const tasks = await tasksOf(client, on('/tasks', 'bulk'));
    expect(tasks.every((task) => task['completed_at'] !== null)).toBe(true);
    const set = { assignee_id: 1, priority: 3, due_date: '2026-12-24', label: 'x' };
    expect(await bulk({ where: { status: 'done', assignee_id: null, label: null }, set })).toMatchObject({
      changes: 4,
    });
    expect((await tasksOf(client, on('/tasks', 'bulk')))[0]).toMatchObject(set);
    const undo = { assignee_id: null, due_date: null, label: null, status: 'todo' };
    expect(await bulk({ where: { assignee_id: 1, label: 'x', project_id: 1 }, set: undo })).toMatchObject({
      changes: 4,
    });
    expect((await tasksOf(client, on('/tasks', 'bulk')))[0]).toMatchObject({ ...undo, completed_at: null });
    expect(await bulk({ where: { project_id: 2 }, set: { priority: 9 } })).toMatchObject({ changes: 0 });
    expect(await statuses(client)).toEqual(['done', 'todo', 'todo', 'todo']);
  });

  it('is refused when it says nothing, too much or what cannot be', async () => {
    const client = await withBranch();
    for (const body of [
      { where: {}, set: {} },
      { set: { status: 'done' } },
      { where: {} },
      { where: { title: 'a' }, set: { status: 'done' } },
      { where: {}, set: { title: 'x' } },
      { where: {}, set: { status: 'no' } },
      { where: {}, set: { status: 'done' }, also: 1 },
    ])
      expect((await client.send('POST', at('/bulk'), body)).status).toBe(400);
    expect((await client.send('POST', at('/bulk'), { where: {}, set: { assignee_id: 99 } })).status).toBe(
      422,
    );
    expect((await client.send('GET', at('/bulk'))).headers.get('allow')).toBe('POST');
    expect(await diffOf(client)).toEqual([]);
  });
});

describe('the difference', () => {
  it('is what the branch has changed, not what main has', async () => {
    const client = await withBranch();
    await client.patch('/tasks/4', { title: 'changed on main' });
    await client.post('/tasks', { project_id: 1, title: 'new on main' });
    expect(await diffOf(client)).toEqual([]);
    await client.patch(on('/tasks/1'), { status: 'review' });
    await client.send('DELETE', on('/tasks/2'));
    await client.post(on('/tasks'), { project_id: 1, title: 'new' });
    await client.patch('/tasks/1', { title: 'A' });
    const changes = await diffOf(client);
    expect(changes.toSorted((a, b) => a.key.id - b.key.id)).toMatchObject([
      {
        table: 'tasks',
        key: { id: 1 },
        type: 'modified',
        before: { title: 'a', status: 'todo' },
        after: { title: 'a', status: 'review' },
      },
      { key: { id: 2 }, type: 'removed', before: { title: 'b' }, after: null },
      { key: { id: 6 }, type: 'added', before: null, after: { title: 'new' } },
    ]);
    const modified = changes.find(({ type }) => type === 'modified');
    expect(modified?.columns).toContain('status');
    expect(modified?.columns).not.toContain('title');
  });
});

describe('merging', () => {
  it('brings all changes of the branch to main at once, and to those who listen', async () => {
    const client = await withBranch();
    await client.post(at('/bulk'), { where: {}, set: { status: 'review' } });
    await client.send('DELETE', on('/tasks/4'));
    await client.post(on('/tasks'), { project_id: 1, title: 'e' });
    const counts = { inserted: 1, updated: 3, deleted: 1, lsn: expect.any(Number) };
    expect(await merge(client, { dryRun: true })).toMatchObject({
      status: 200,
      body: { ...counts, merged: false },
    });
    expect(await statuses(client)).toEqual(['todo', 'todo', 'todo', 'todo']);
    const { lsn } = await client.get<{ lsn: number }>('/status');
    expect(await merge(client)).toMatchObject({ status: 200, body: { ...counts, merged: true } });
    expect(await statuses(client)).toEqual(['review', 'review', 'review', 'todo']);
    const { changes } = await client.get<{ changes: Row[] }>(`/activity?after=${lsn}`);
    expect(changes).toHaveLength(5);
    expect(await diffOf(client)).toEqual([]);
    expect(await merge(client)).toMatchObject({
      body: { merged: true, inserted: 0, updated: 0, deleted: 0 },
    });
  });

  it('asks nobody about times that the app keeps', async () => {
    const client = await withBranch();
    const storage = await app.harness.getWorker().getDurableObjectStorage('Tenant', { name: client.tenant });
    const setTimes = (column: string, time: string): Promise<unknown> =>
      storage.exec(`UPDATE tasks SET ${column} = '${time}' WHERE ${column} IS NOT NULL`);
    await client.send('DELETE', at(''));
    await setTimes('updated_at', '2026-01-01 00:00:00');
    await client.post('/branches', { name: NAME });
    await client.patch(on('/tasks/1'), { priority: 5 });
    await client.patch('/tasks/1', { title: 'A' });
    await client.patch(on('/tasks/2'), { status: 'done' });
    await client.patch('/tasks/2', { status: 'done' });
    // What both have changed at once would have the same times.
    for (const column of ['updated_at', 'completed_at']) await setTimes(column, '2026-01-02 00:00:00');
    expect(await merge(client, { dryRun: true })).toMatchObject({ status: 200, body: { updated: 2 } });
    expect(await merge(client)).toMatchObject({ status: 200, body: { updated: 2 } });
    const later = expect.not.stringMatching(/^2026-01-0[12]/);
    expect(await client.get('/tasks/1')).toMatchObject({ title: 'A', priority: 5, updated_at: later });
    expect(await client.get('/tasks/2')).toMatchObject({ status: 'done', completed_at: later });
    expect(await conflictsOf(client)).toEqual([]);
  });

  it('meets conflicts, changes nothing, and goes through when they are resolved', async () => {
    const client = await withBranch();
    await client.post(at('/bulk'), { where: {}, set: { status: 'done', priority: 2 } });
    await client.patch('/tasks/1', { status: 'review', title: 'A' });
    await client.patch('/tasks/2', { priority: 7, status: 'in_progress' });
    await client.send('DELETE', '/tasks/3');
    await client.patch('/tasks/4', { label: 'mine' });
    expect(await merge(client, { dryRun: true })).toMatchObject({ status: 409 });
    expect(await conflictsOf(client)).toEqual([]);
    const refused = await merge(client);
    expect(refused.status).toBe(409);
    expect(refused.body.error).toBe('3 rows have changed on main too: resolve this and merge again');
    expect(refused.body.conflicts).toMatchObject([
      { table: 'tasks', key: { id: 1 }, ours: { status: 'review' }, theirs: { status: 'done' } },
      { key: { id: 2 }, ours: { priority: 7 }, theirs: { priority: 2 } },
      { key: { id: 3 }, ours: null, theirs: { status: 'done' } },
    ]);
    expect((await conflictsOf(client)).map(({ key }) => key.id)).toEqual([1, 2, 3]);
    expect(await tasksOf(client)).toMatchObject([
      { id: 2 },
      { id: 1, status: 'review' },
      { id: 4, priority: 0 },
    ]);

    for (const take of ['mine', { colour: 'red' }, { status: 'no' }, null, 1])
      expect((await resolve(client, 1, take)).status).toBe(400);
    expect((await resolve(client, 4, 'ours')).status).toBe(404);
    expect(await resolve(client, 1, 'theirs')).toMatchObject({ status: 200, body: { conflicts: [{}, {}] } });
    expect((await resolve(client, 1, 'theirs')).status).toBe(404);
    expect(await resolve(client, 2, { priority: 7, status: 'done' })).toMatchObject({ status: 200 });
    expect((await merge(client)).body.conflicts).toMatchObject([{ key: { id: 3 } }]);
    expect(await resolve(client, 3, 'ours')).toMatchObject({ status: 200, body: { conflicts: [] } });
    expect(await merge(client)).toMatchObject({ status: 200, body: { updated: 3, deleted: 0 } });
    expect(await tasksOf(client)).toMatchObject([
      { id: 2, priority: 7, status: 'done', completed_at: expect.any(String) },
      { id: 1, title: 'A', status: 'done', priority: 2, completed_at: expect.any(String) },
      { id: 4, status: 'done', label: 'mine' },
    ]);
    expect(await conflictsOf(client)).toEqual([]);
  });

  it("takes either side's row, also of one that a side has deleted", async () => {
    const client = await withBranch();
    await client.post(at('/bulk'), { where: {}, set: { status: 'done' } });
    await client.send('DELETE', on('/tasks/2'));
    await client.patch('/tasks/1', { status: 'review' });
    await client.patch('/tasks/2', { title: 'B' });
    await client.send('DELETE', '/tasks/3');
    expect((await merge(client)).status).toBe(409);
    await resolve(client, 1, 'ours');
    await resolve(client, 2, 'theirs');
    await resolve(client, 3, 'theirs');
    expect(await merge(client)).toMatchObject({ status: 200 });
    expect(await tasksOf(client)).toMatchObject([
      { id: 1, status: 'review', completed_at: null },
      { id: 3, status: 'done', title: 'c' },
      { id: 4, status: 'done' },
    ]);
  });

  it('leaves no conflicts behind when the branch is dropped', async () => {
    const client = await withBranch();
    await client.patch(on('/tasks/1'), { title: 'A' });
    await client.patch('/tasks/1', { title: 'AA' });
    expect((await merge(client)).status).toBe(409);
    await client.send('DELETE', at(''));
    await client.post('/branches', { name: NAME });
    expect(await conflictsOf(client)).toEqual([]);
    expect((await resolve(client, 1, 'theirs')).status).toBe(404);
  });

  it('keeps the conflicts of two branches about one row apart', async () => {
    const client = await withBranch();
    await client.post('/branches', { name: 'other' });
    await client.patch(on('/tasks/1'), { title: 'A' });
    await client.patch(on('/tasks/1', 'other'), { title: 'B' });
    await client.patch('/tasks/1', { title: 'C' });
    expect((await merge(client)).status).toBe(409);
    expect((await client.send('POST', at('/merge', 'other'), {})).status).toBe(409);
    await resolve(client, 1, 'theirs');
    expect(await client.get(at('/conflicts', 'other'))).toMatchObject({ conflicts: [{ key: { id: 1 } }] });
    expect((await client.send('POST', at('/merge', 'other'), {})).status).toBe(409);
    expect(await merge(client)).toMatchObject({ status: 200 });
    expect(await client.get('/tasks/1')).toMatchObject({ title: 'A' });
  });

  it('tells of rows that would not fit together', async () => {
    const client = await withBranch();
    const second = await client.post<Row>('/projects', { name: 'Second', owner_id: 1 });
    await client.post('/branches', { name: 'late' });
    await client.post(on('/tasks', 'late'), { project_id: second.id, title: 'orphan' });
    await client.send('DELETE', `/projects/${second.id}`);
    const { status, body } = await client.send<Refused>('POST', at('/merge', 'late'), {});
    expect([status, body.conflicts]).toEqual([409, []]);
    expect(body.violations).toMatchObject([{ table: 'tasks', type: 'foreignkey' }]);
    expect(body.error).toContain('would not fit together');
    expect(await tasksOf(client)).toHaveLength(4);
  });

  it('takes a body that says so', async () => {
    const client = await withBranch();
    for (const body of [{ dryRun: 'yes' }, { strategy: 'theirs' }])
      expect((await merge(client, body)).status).toBe(400);
    for (const body of [
      { table: 'sqlite_schema', key: { id: 1 }, take: 'ours' },
      { table: 'tasks', key: 1, take: 'ours' },
      { table: 'tasks', key: { id: 1 } },
    ])
      expect((await client.send('POST', at('/conflicts/resolve'), body)).status).toBe(400);
  });
});
