import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalApp } from '@dotdo/example-shared/local/app';
import { Client, startLocally } from '../local.ts';

interface Row {
  readonly id: number;
  readonly [column: string]: unknown;
}
interface Refused {
  readonly error: string;
  readonly issues?: readonly { readonly field: string; readonly message: string }[];
  readonly earliest?: { readonly lsn: number };
}

let app: LocalApp;
let acme: Client;

beforeAll(async () => {
  app = await startLocally();
  acme = await Client.signUp(app.url, 'acme');
});
afterAll(async () => app.harness.close());

/** A tenant that no other test knows. */
function fresh(tenant: string): Promise<Client> {
  return Client.signUp(app.url, tenant);
}

/** A tenant with a project. */
async function withProject(tenant: string): Promise<Client> {
  const client = await fresh(tenant);
  await client.post('/projects', { name: 'First', owner_id: 1 });
  return client;
}

async function tasksOf(client: Client, query = ''): Promise<Row[]> {
  return (await client.get<{ tasks: Row[] }>(`/tasks${query}`)).tasks;
}

async function lsnOf(client: Client): Promise<number> {
  return (await client.get<{ lsn: number }>('/status')).lsn;
}

describe('signing up', () => {
  const signUp = (body: unknown): Promise<Response> =>
    fetch(new URL('/signup', app.url), { method: 'POST', body: JSON.stringify(body) });
  const owner = { email: 'Olive@Example.test', name: 'Olive' };

  it('makes the owner the first user', async () => {
    const { users } = await acme.get<{ users: Row[] }>('/users');
    expect(users).toMatchObject([{ id: 1, email: 'owner@acme.test', role: 'owner' }]);
  });

  it('works once for a name, also when two do it at once', async () => {
    const both = await Promise.all([signUp({ tenant: 'race', owner }), signUp({ tenant: 'race', owner })]);
    expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 409]);
    expect((await signUp({ tenant: 'race', owner })).status).toBe(409);
  });

  it('refuses names that no tenant can have', async () => {
    for (const tenant of [
      'www',
      'api',
      'a',
      'Acme',
      '1st',
      'a_b',
      'a.b',
      `a${'b'.repeat(63)}`,
      '',
      7,
      null,
    ]) {
      const response = await signUp({ tenant, owner });
      expect(response.status).toBe(400);
      expect((await response.json<Refused>()).issues).toMatchObject([{ field: 'tenant' }]);
    }
  });

  it('is not for making many databases in a minute', async () => {
    const from = async (address: string): Promise<number> => {
      const body = JSON.stringify({ tenant: `many-${crypto.randomUUID().slice(0, 8)}`, owner });
      const headers = { 'cf-connecting-ip': address };
      const response = await app.harness.fetch(new URL('/signup', app.url).href, {
        method: 'POST',
        body,
        headers,
      });
      expect(response.headers.get('retry-after')).toBe(response.status === 429 ? '60' : null);
      return response.status;
    };
    // A minute may end meanwhile, and another begin: of 25 at most 20 are let in.
    const statuses: number[] = [];
    for (let i = 0; i < 25; i++) statuses.push(await from('203.0.113.7'));
    expect(statuses.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 201));
    expect(statuses).toContain(429);
    expect(await from('203.0.113.8')).toBe(201);
  });

  it('is a POST', async () => {
    const response = await fetch(new URL('/signup', app.url));
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });
});

describe('the way to a tenant', () => {
  const at = (path: string, headers: Record<string, string> = {}, base = String(app.url)): Promise<number> =>
    app.harness.fetch(new URL(path, base).href, { headers }).then(({ status }) => status);

  it('is its path, its subdomain, or a header', async () => {
    const authorization = `Bearer ${acme.token}`;
    expect(await at('/t/acme/tasks', { authorization })).toBe(200);
    expect(await at('/tasks', { authorization, 'x-tenant-id': 'acme' })).toBe(200);
    expect(await at('/tasks', { authorization }, 'http://acme.example.com')).toBe(200);
    expect(await at('/tasks', { authorization }, 'http://acme.localhost')).toBe(200);
    expect(await at('/tasks', { authorization, 'x-tenant-id': 'acme' }, 'http://www.example.com')).toBe(200);
    expect(await at('/tasks', { authorization })).toBe(404);
    expect(await at('/tasks', { authorization }, 'http://acme.other.com')).toBe(404);
  });

  it('is closed without its token', async () => {
    const globex = await fresh('globex');
    expect(await at('/t/acme/tasks')).toBe(401);
    const [tenant, id, signature = ''] = acme.token.split('.');
    // Not the last character: of that one some bits are not the signature's.
    const changed = signature.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'));
    for (const token of [
      'x',
      'acme',
      `${tenant}.${id}`,
      `${tenant}.${id}.${changed}`,
      `globex.${id}.${signature}`,
    ])
      expect(await at('/t/acme/tasks', { authorization: `Bearer ${token}` })).toBe(401);
    expect(await at('/t/acme/tasks', { authorization: `Bearer ${globex.token}` })).toBe(403);
    expect(await at('/tasks', { authorization: `Bearer ${globex.token}` }, 'http://acme.example.com')).toBe(
      403,
    );
  });

  it('leads nowhere for a tenant that did not sign up, and leaves nothing there', async () => {
    expect(await at('/t/nobody/tasks')).toBe(404);
    expect(await at('/t/nobody/tasks', { authorization: `Bearer ${acme.token}` })).toBe(404);
    expect(await at('/t/../tasks')).toBe(404);
    expect(await at('/t/Acme/tasks', { authorization: `Bearer ${acme.token}` })).toBe(404);
    const storage = await app.harness.getWorker().getDurableObjectStorage('Tenant', { name: 'nobody' });
    // The local runtime itself keeps an object's name in a table.
    const tables = await storage.exec("SELECT name FROM sqlite_schema WHERE name <> '__miniflare_do_name'");
    expect(tables).toEqual([]);
  });
});

describe('users and projects', () => {
  it('are created, listed and read', async () => {
    const client = await fresh('people');
    const bo = await client.post<Row>('/users', { email: ' Bo@People.test', name: ' Bo ' });
    expect(bo).toMatchObject({ id: 2, email: 'bo@people.test', name: 'Bo', role: 'member' });
    expect(await client.get('/users/2')).toEqual(bo);
    const { users } = await client.get<{ users: Row[] }>('/users');
    expect(users.map(({ name }) => name)).toEqual(['Bo', 'Olive Owner']);
    await client.post('/projects', { name: 'One', owner_id: 2, description: 'First' });
    await client.post('/tasks', { project_id: 1, title: 'a' });
    await client.post('/tasks', { project_id: 1, title: 'b' });
    const one = {
      id: 1,
      name: 'One',
      description: 'First',
      status: 'active',
      owner_name: 'Bo',
      task_count: 2,
    };
    expect(await client.get('/projects')).toMatchObject({ projects: [one] });
    expect(await client.get('/projects/1')).toMatchObject(one);
    expect(await client.get('/projects?status=archived')).toEqual({ projects: [] });
  });

  it('tell a taken address, a missing owner and a missing row apart', async () => {
    const taken = await acme.send<Refused>('POST', '/users', { email: 'OWNER@acme.test', name: 'Again' });
    expect([taken.status, taken.body.error]).toEqual([409, 'this email is taken']);
    expect((await acme.send('POST', '/projects', { name: 'x', owner_id: 99 })).status).toBe(422);
    for (const path of ['/users/99', '/projects/99', '/tasks/99', '/tasks/99/history'])
      expect((await acme.send('GET', path)).status).toBe(404);
    for (const path of ['/projects/99', '/tasks/99'])
      expect((await acme.send('DELETE', path)).status).toBe(404);
  });

  it('take their tasks along when a project is deleted', async () => {
    const client = await withProject('cascade');
    await client.post('/tasks', { project_id: 1, title: 'gone' });
    const lsn = await lsnOf(client);
    expect((await client.send('DELETE', '/projects/1')).status).toBe(204);
    expect(await tasksOf(client)).toEqual([]);
    expect(await tasksOf(client, `?as_of=lsn:${lsn}`)).toMatchObject([
      { title: 'gone', project_name: 'First' },
    ]);
  });
});

describe('tasks', () => {
  it('come by priority, then due date, with the names that belong to them', async () => {
    const client = await withProject('order');
    await client.post('/projects', { name: 'Second', owner_id: 1 });
    const create = (title: string, fields: object): Promise<unknown> =>
      client.post('/tasks', { project_id: 1, title, ...fields });
    await create('later', { priority: 1, due_date: '2026-12-02' });
    await create('sooner', { priority: 1, due_date: '2026-12-01', assignee_id: 1 });
    await create('first', { priority: 2, status: 'review' });
    await create('elsewhere', { project_id: 2, label: 'odd' });
    const tasks = await tasksOf(client);
    expect(tasks.map(({ title }) => title)).toEqual(['first', 'sooner', 'later', 'elsewhere']);
    expect(tasks[1]).toMatchObject({ assignee_name: 'Olive Owner', project_name: 'First' });
    expect(tasks[3]).toMatchObject({ assignee_name: null, project_name: 'Second', label: 'odd' });
    const titles = async (query: string): Promise<unknown[]> =>
      (await tasksOf(client, query)).map(({ title }) => title);
    expect(await titles('?project_id=2')).toEqual(['elsewhere']);
    expect(await titles('?status=review')).toEqual(['first']);
    expect(await titles('?assignee_id=1')).toEqual(['sooner']);
    expect(await titles('?project_id=1&status=todo&assignee_id=1')).toEqual(['sooner']);
    expect(await titles('?project_id=3')).toEqual([]);
  });

  it('keep what a patch does not name, and know when they were done', async () => {
    const client = await withProject('patch');
    await client.post('/tasks', { project_id: 1, title: 'a', assignee_id: 1, priority: 5 });
    const done = await client.patch<Row>('/tasks/1', { status: 'done' });
    expect(done).toMatchObject({ title: 'a', assignee_id: 1, priority: 5, status: 'done' });
    expect(done['completed_at']).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
    const same = await client.patch<Row>('/tasks', { id: 1, assignee_id: null });
    expect(same).toMatchObject({ assignee_id: null, completed_at: done['completed_at'] });
    expect(await client.patch('/tasks/1', { status: 'todo' })).toMatchObject({ completed_at: null });
    expect((await client.send('PATCH', '/tasks/1', { project_id: 99 })).status).toBe(422);
    expect((await client.send('PATCH', '/tasks/99', { title: 'x' })).status).toBe(404);
  });

  it('take concurrent patches of different fields', async () => {
    const client = await withProject('concurrent');
    await client.post('/tasks', { project_id: 1, title: 'a' });
    await Promise.all([
      client.patch('/tasks/1', { title: 'b' }),
      client.patch('/tasks/1', { priority: 7 }),
      client.patch('/tasks/1', { label: 'both' }),
    ]);
    expect(await client.get('/tasks/1')).toMatchObject({ title: 'b', priority: 7, label: 'both' });
  });

  it('take hostile text for what it is', async () => {
    const client = await withProject('hostile');
    const title = `'); DROP TABLE tasks; --<img src=x onerror=alert(1)>\u{1F600}`;
    await client.post('/tasks', { project_id: 1, title });
    expect(await client.get('/tasks/1')).toMatchObject({ title });
    const query = await client.send<Refused>('GET', `/tasks?status=${encodeURIComponent("' OR 1=1 --")}`);
    expect([query.status, query.body.issues?.[0]?.field]).toEqual([400, 'status']);
  });
});

describe('input', () => {
  it('is refused with each field that is wrong, and why', async () => {
    const { status, body } = await acme.send<Refused>('POST', '/tasks', {
      project_id: '1',
      title: ' ',
      status: 'open',
      priority: 1.5,
      due_date: '2026-02-30',
      assignee_id: {},
      colour: 'red',
    });
    expect(status).toBe(400);
    expect(body.issues?.map(({ field }) => field).toSorted()).toEqual(
      ['assignee_id', 'colour', 'due_date', 'priority', 'project_id', 'status', 'title'].toSorted(),
    );
    expect(body.issues).toContainEqual({ field: 'colour', message: 'unknown field' });
    expect(body.error).toContain('status: give todo, in_progress, review or done');
  });

  it('names a field that is missing', async () => {
    const { body } = await acme.send<Refused>('POST', '/tasks', { title: 'x' });
    expect(body.issues).toEqual([{ field: 'project_id', message: 'is missing' }]);
  });

  it('is JSON, an object, and not too large', async () => {
    for (const body of ['{', '', '[]', '1', 'null', '"x"'])
      expect((await acme.send('POST', '/users', body)).status).toBe(400);
    expect((await acme.send('POST', '/users', 'x'.repeat(64 * 1024 + 1))).status).toBe(413);
    const lone = await acme.send('POST', '/users', '{"email":"a@b.co","name":"\\ud800"}');
    expect(lone.status).toBe(400);
  });

  it('is refused in a query as in a body', async () => {
    for (const query of [
      '?asof=1',
      '?status=x',
      '?project_id=x',
      '?status=todo&status=done',
      '?project_id=1e3',
    ])
      expect((await acme.send('GET', `/tasks${query}`)).status).toBe(400);
  });

  it('comes by the methods that a path takes', async () => {
    const put = await acme.send('PUT', '/tasks', {});
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, POST, PATCH']);
    expect((await acme.send('POST', '/tasks/1', {})).headers.get('allow')).toBe('GET, PATCH, DELETE');
    for (const path of ['/', '/task', '/tasks/', '/tasks/x', '/tasks/1/histories', '/__proto__'])
      expect((await acme.send('GET', path)).status).toBe(404);
  });
});

describe('the past', () => {
  it('is read by LSN, by time and by ms, on every list', async () => {
    const client = await withProject('past');
    await client.post('/tasks', { project_id: 1, title: 'old' });
    const lsn = await lsnOf(client);
    const { changes } = await client.get<{ changes: { lsn: number; timestamp: string }[] }>('/activity');
    const timestamp = changes.at(-1)?.timestamp ?? '';
    // A change can share the millisecond of the one before it, and time then tells only the last of them.
    await expect.poll(() => Date.now() > Date.parse(timestamp)).toBe(true);
    await client.patch('/tasks/1', { title: 'new' });
    await client.post('/users', { email: 'late@past.test', name: 'Late' });
    await client.send('DELETE', '/projects/1');
    for (const point of [`lsn:${lsn}`, timestamp, String(Date.parse(timestamp))]) {
      const as_of = `as_of=${encodeURIComponent(point)}`;
      expect(await tasksOf(client, `?${as_of}&project_id=1`)).toMatchObject([{ title: 'old' }]);
      expect(await client.get(`/tasks/1?${as_of}`)).toMatchObject({ title: 'old', project_name: 'First' });
      expect(await client.get(`/projects?${as_of}`)).toMatchObject({ projects: [{ task_count: 1 }] });
      expect((await client.get<{ users: Row[] }>(`/users?${as_of}`)).users).toHaveLength(1);
    }
    expect(await tasksOf(client)).toEqual([]);
  });

  it('begins where the history begins', async () => {
    const { earliest } = await acme.get<{ earliest: { lsn: number; timestamp: string } }>('/status');
    expect(await tasksOf(acme, `?as_of=${earliest.timestamp}`)).toEqual([]);
    const before = await acme.send<Refused>('GET', '/tasks?as_of=2020-01-01T00:00:00Z');
    expect([before.status, before.body.earliest]).toEqual([410, earliest]);
    for (const point of ['lsn:999999', '2999-01-01', 'yesterday', 'lsn:x', '']) {
      const outside = await acme.send<Refused>('GET', `/tasks?as_of=${point}`);
      expect([outside.status, outside.body.earliest]).toEqual([400, earliest]);
    }
  });

  it('of one task is all its versions, also after its end', async () => {
    const client = await withProject('versions');
    await client.post('/tasks', { project_id: 1, title: 'a' });
    await client.patch('/tasks/1', { title: 'b' });
    await client.send('DELETE', '/tasks/1');
    const { versions } = await client.get<{ versions: { op: string; lsn_to: number; row: Row }[] }>(
      '/tasks/1/history',
    );
    expect(versions.map(({ op, row }) => [op, row['title']])).toEqual([
      ['insert', 'a'],
      ['update', 'b'],
    ]);
    expect(versions[1]?.lsn_to).toBe(await lsnOf(client));
  });
});

describe('the whole tenant', () => {
  it('is exported as it was when it was asked for, parents first', async () => {
    const client = await withProject('exported');
    // More than the streams on the way hold, so that most of it is read after the project has gone.
    const description = 'é'.repeat(10_000);
    const ids = Array.from({ length: 300 }, (_, i) => i + 1);
    await Promise.all(
      ids.map((i) => client.post('/tasks', { project_id: 1, title: `task ${i}`, description })),
    );
    const response = await fetch(new URL('/t/exported/export', app.url), {
      headers: { authorization: `Bearer ${client.token}` },
    });
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    expect((await client.send('DELETE', '/projects/1')).status).toBe(204);
    const lines = (await response.text()).trimEnd().split('\n');
    const rows = lines.map((line) => JSON.parse(line) as { table: string; row: Row });
    expect(rows.slice(0, 2).map(({ table }) => table)).toEqual(['users', 'projects']);
    const tasks = rows.filter(({ table }) => table === 'tasks').map(({ row }) => row);
    expect(tasks.map(({ id }) => id)).toEqual(ids);
    expect(tasks.every((task) => task['description'] === description)).toBe(true);
    expect(await tasksOf(client)).toEqual([]);
  });

  it('tells its schema and how far its history reaches', async () => {
    expect(await acme.get('/status')).toMatchObject({
      tenant: 'acme',
      schema_version: 3,
      migrations: [{ name: '001_initial' }, { name: '002_completed_at' }, { name: '003_label' }],
      lsn: expect.any(Number),
      earliest: { lsn: expect.any(Number), timestamp: expect.any(String) },
      size_bytes: expect.any(Number),
    });
  });
});
