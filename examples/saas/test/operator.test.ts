import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HttpClient, until, type LocalApp } from '@dotdo/example-shared/local/app';
import { issueToken } from '@dotdo/example-shared/token';
import { Client, OPERATOR_SECRET, operatorOf, startLocally } from '../local.ts';
import type { Operator } from '../operator.ts';
import type { Env } from '../src/worker.ts';
import { withTasks } from './tenants.ts';

interface Counted {
  readonly tenant: string;
  readonly status: string;
  readonly n: number;
}

let app: LocalApp;
let operator: Operator;

beforeAll(async () => {
  app = await startLocally();
  operator = await operatorOf(app.url);
});
afterAll(async () => app.harness.close());

/** The tenants on the operator's list whose names begin so, and their versions, read two at a time. */
async function listed(beginning: string): Promise<[string, number][]> {
  const found: [string, number][] = [];
  for await (const { name, schema_version } of operator.tenants(2))
    if (name.startsWith(beginning)) found.push([name, schema_version]);
  return found;
}

function counts(...tenants: readonly string[]): Promise<Counted[]> {
  return operator.query<Counted>(
    `SELECT tenant, status, count(*) AS n FROM tasks
     WHERE tenant IN (SELECT value FROM json_each(?)) GROUP BY tenant, status ORDER BY tenant, status`,
    [JSON.stringify(tenants)],
  );
}

function evict(className: 'Tenant' | 'Fleet', name: string): Promise<void> {
  return app.harness.getWorker().evictDurableObject(className, { name });
}

describe("the operator's list", () => {
  it('has every tenant that has signed up, once, with the version of its schema', async () => {
    for (const name of ['list-b', 'list-a', 'list-c']) await Client.signUp(app.url, name);
    await expect
      .poll(() => listed('list-'))
      .toEqual([
        ['list-a', 3],
        ['list-b', 3],
        ['list-c', 3],
      ]);
    for (const name of ['list-a', 'list-a', 'list-b']) expect(await operator.migrate(name)).toBe(3);
    expect(await listed('list-')).toHaveLength(3);
  });

  it('comes to have a tenant whose object was stopped right after it signed up', async () => {
    await Client.signUp(app.url, 'cut-off');
    await evict('Tenant', 'cut-off');
    await expect.poll(() => listed('cut-off')).toEqual([['cut-off', 3]]);
  });
});

describe('the numbers of all tenants', () => {
  it('follow every tenant, whoever is put to sleep meanwhile', async () => {
    const [a, b] = [
      await withTasks(app.url, 'sum-a', ['1', '2', '3']),
      await withTasks(app.url, 'sum-b', ['1']),
    ];
    await a.patch('/tasks/1', { status: 'done' });
    await evict('Fleet', 'fleet');
    await a.send('DELETE', '/tasks/2');
    await evict('Tenant', 'sum-a');
    await evict('Tenant', 'sum-b');
    await b.post('/tasks', { project_id: 1, title: '2', status: 'review' });
    const expected = [
      { tenant: 'sum-a', status: 'done', n: 1 },
      { tenant: 'sum-a', status: 'todo', n: 1 },
      { tenant: 'sum-b', status: 'review', n: 1 },
      { tenant: 'sum-b', status: 'todo', n: 1 },
    ];
    await expect.poll(() => counts('sum-a', 'sum-b')).toEqual(expected);
    const changes = await operator.query(
      `SELECT entity, op, count(*) AS n FROM changes WHERE tenant = 'sum-a' GROUP BY entity, op ORDER BY entity, op`,
    );
    expect(changes).toEqual([
      { entity: 'projects', op: 'insert', n: 1 },
      { entity: 'tasks', op: 'delete', n: 1 },
      { entity: 'tasks', op: 'insert', n: 3 },
      { entity: 'tasks', op: 'update', n: 1 },
      { entity: 'users', op: 'insert', n: 1 },
    ]);
  });

  it('never hold what people have written, nor who they are', async () => {
    const client = await withTasks(app.url, 'discreet', ['Private title']);
    await client.post('/users', { name: 'Private Name', email: 'private@discreet.test' });
    await client.patch('/tasks/1', { description: 'Private words', label: 'private' });
    await client.patch('/tasks/1', { status: 'done', assignee_id: 2 });
    await until(async () => (await counts('discreet')).some(({ status }) => status === 'done'));
    const storage = await app.harness.getWorker().getDurableObjectStorage('Fleet', { name: 'fleet' });
    const tables = await storage.exec(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
    );
    let rows = 0;
    // Not only its own tables: neither the log nor what is kept of deliveries has them.
    for (const { name } of tables as { name: string }[]) {
      const found = await storage.exec(`SELECT * FROM "${name}"`);
      rows += found.length;
      const text = JSON.stringify(found, (_, value: unknown) =>
        value instanceof ArrayBuffer || ArrayBuffer.isView(value)
          ? Buffer.from(value).toString('latin1')
          : value,
      );
      expect(text).not.toMatch(/private|olive|@/i);
    }
    expect(rows).toBeGreaterThan(10);
  });

  it('are read as of a point, too, and written by no query', async () => {
    const client = await withTasks(app.url, 'past', ['1']);
    await until(async () => (await counts('past')).length === 1);
    const sql = "SELECT count(*) AS n FROM tasks WHERE tenant = 'past'";
    const then = new Date().toISOString();
    await client.post('/tasks', { project_id: 1, title: '2', status: 'done' });
    await until(async () => (await counts('past')).length === 2);
    expect(await operator.query(sql)).toEqual([{ n: 2 }]);
    expect(await operator.query(sql, [], then)).toEqual([{ n: 1 }]);
    await expect(operator.query(sql, [], '1')).rejects.toMatchObject({ status: 410 });
    for (const [status, body] of [
      [400, { sql: "DELETE FROM tasks WHERE tenant = 'past'" }],
      [400, { sql: 'DROP TABLE tenants' }],
      [400, { sql: 'SELECT * FROM nothing' }],
      [400, { sql: "SELECT * FROM 'r2://tenants/acme/backup/*.json'" }],
      [400, { sql: 'SELECT', params: [{}] }],
      [400, { sql: 'SELECT 1; SELECT 2' }],
      [400, { query: 'SELECT 1' }],
      [400, { sql: '' }],
      [400, { sql, as_of: 'yesterday' }],
    ] as const)
      await expect(operator.send('POST', '/query', body)).rejects.toMatchObject({ status });
    expect(await operator.query(sql)).toEqual([{ n: 2 }]);
    const many =
      'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n';
    expect(await operator.send('POST', '/query', { sql: many })).toMatchObject({
      rows: { length: 1_000 },
      truncated: true,
    });
  });
});

describe('what happened on days that are over', () => {
  it('lies in the lake, and every query goes on reading it', async () => {
    const worker = app.harness.getWorker<Env>();
    const client = await withTasks(app.url, 'old');
    const count = async (): Promise<number> => {
      const sql = "SELECT count(*) AS n FROM changes WHERE tenant IN ('old', 'older')";
      return (await operator.query<{ n: number }>(sql))[0]?.n ?? 0;
    };
    await until(async () => (await count()) === 2);
    const fleet = await worker.getDurableObjectStorage('FLEET', { name: 'fleet' });
    for (const [day, tenant] of [
      ['2025-11-01', 'old'],
      ['2025-11-01', 'older'],
      ['2025-11-02', 'older'],
    ])
      await fleet.exec(
        `INSERT INTO changes (tenant, at, entity, op, row_id, status_before, status_after)
         VALUES (?, ? || 'T12:00:00.000Z', 'tasks', 'update', 1, 'todo', 'done')`,
        tenant,
        day,
      );
    // The newest row stays, so that no number is given twice.
    await client.post('/projects', { name: 'Second', owner_id: 1 });
    await until(async () => (await count()) === 6);
    const sql = `
      SELECT substr(at, 1, 10) AS day, tenant, count(*) AS n FROM changes
      WHERE tenant IN ('old', 'older') AND status_after = 'done' GROUP BY day, tenant ORDER BY day, tenant`;
    const before = await operator.query(sql);
    expect(before).toHaveLength(3);
    await evict('Fleet', 'fleet');
    const { LAKE } = await worker.getEnv();
    const days = async (): Promise<string[]> => {
      // Whoever asks wakes the fleet, which then looks for what is old.
      expect(await operator.query(sql)).toEqual(before);
      const { objects } = await LAKE.list({ prefix: 'fleet/tables/' });
      return objects.map(({ key }) => /partition=([\d-]+)\/[\w-]+\.parquet$/.exec(key)?.[1] ?? key);
    };
    await expect.poll(days).toEqual(['2025-11-01', '2025-11-02']);
    const hot = await fleet.exec("SELECT count(*) AS n FROM changes WHERE tenant IN ('old', 'older')");
    expect(hot).toEqual([{ n: 3 }]);
    expect(await count()).toBe(6);
  });
});

describe("the operator's paths", () => {
  it('open to a token of the operator only, which opens no tenant', async () => {
    const client = await Client.signUp(app.url, 'guarded');
    const paths = [
      ['GET', '/tenants'],
      ['POST', '/query'],
      ['POST', '/tenants/guarded/migrate'],
      ['POST', '/tenants/guarded/backup'],
      ['POST', '/tenants/other/restore'],
    ] as const;
    const base = `${app.url.origin}/operator`;
    const ofTenant = await issueToken(OPERATOR_SECRET, { aud: 'guarded', sub: '1' });
    const expired = await issueToken(OPERATOR_SECRET, { aud: '@operator', sub: 'x' }, '-1s');
    for (const [method, path] of paths) {
      const body = method === 'POST' ? {} : undefined;
      for (const [token, status] of [
        ['', 401],
        ['guess', 401],
        [client.token, 401],
        [expired, 401],
        [ofTenant, 403],
      ] as const)
        expect((await new HttpClient(base, token).send(method, path, body)).status).toBe(status);
    }
    const token = await issueToken(OPERATOR_SECRET, { aud: '@operator', sub: 'x' });
    expect((await new HttpClient(`${app.url.origin}/t/guarded`, token).send('GET', '/tasks')).status).toBe(
      401,
    );
    const known = new HttpClient(base, token);
    expect((await known.send('GET', '/nothing')).status).toBe(404);
    expect((await known.send('DELETE', '/tenants')).status).toBe(405);
    expect((await known.send('GET', '/tenants?limit=0')).status).toBe(400);
    for (const name of ['nobody', '..', '%2e%2e', 'a%2Fb', 'Guarded', '@operator'])
      for (const act of ['migrate', 'backup'])
        expect((await known.send('POST', `/tenants/${name}/${act}`)).status).toBe(404);
  });
});
