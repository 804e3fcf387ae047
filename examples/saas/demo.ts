/**
 * Starts the app on this machine, drives it over HTTP as three tenants and checks every claim that it
 * prints: `npm run demo -w examples/saas`.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { RowChange } from '@dotdo/cdc/client';
import { until } from '@dotdo/example-shared/local/app';
import { line, say, step, table } from '@dotdo/example-shared/local/transcript';
import { Client, operatorOf, startLocally, WebhookReceiver } from './local.ts';
import type { Env } from './src/worker.ts';

interface Task {
  readonly id: number;
  readonly title: string;
  readonly status: string;
  readonly label: string | null;
  readonly assignee_name: string | null;
}
interface Change {
  readonly lsn: number;
  readonly timestamp: string;
  readonly table: string;
  readonly op: string;
  readonly before: Task | null;
  readonly after: Task | null;
}
interface RowDiff {
  readonly type: string;
  readonly before: Task | null;
  readonly after: Task | null;
}
interface Merged {
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}
interface Webhook {
  readonly lag: { readonly changes: number };
}
interface Status {
  readonly schema_version: number;
  readonly migrations: readonly unknown[];
  readonly lsn: number;
  readonly size_bytes: number;
}

const TASKS = [
  { title: 'Book the launch venue', status: 'done', assignee_id: 1, priority: 3 },
  { title: 'Write the press release', status: 'review', assignee_id: 2, priority: 3 },
  { title: 'Rehearse the demo', status: 'in_progress', assignee_id: 3, priority: 2, due_date: '2026-12-01' },
  { title: 'Invite the first customers', status: 'in_progress', assignee_id: 2, priority: 1 },
  { title: 'Order stickers', status: 'todo', assignee_id: null, priority: 0 },
];

const started = performance.now();
console.log('\nThree companies, three databases, one Worker\n');

const { url, harness } = await startLocally();
say(`The app runs in the Workers runtime at ${url.origin}`, started);
const receiver = await WebhookReceiver.start();

try {
  const acme = await signUp('acme', 'Ada');
  const globex = await signUp('globex', 'Grace');
  const initech = await signUp('initech', 'Iris');

  await step('Acme invites two people and plans a launch', async () => {
    for (const name of ['Bo', 'Cleo'])
      await acme.post('/users', { name, email: `${name.toLowerCase()}@acme.test` });
    await acme.post('/projects', { name: 'Launch', owner_id: 1 });
    for (const task of TASKS) await acme.post('/tasks', { project_id: 1, ...task });
  });
  await step('Globex has a secret project, Initech has not begun', async () => {
    await globex.post('/projects', { name: 'Secret', owner_id: 1 });
    await globex.post('/tasks', { project_id: 1, title: 'Buy Acme' });
  });

  const { token } = await acme.post<{ token: string }>('/users/2/tokens', {});
  const live = new Client(url, 'acme', token).live();
  const tasks = live.query<Task>({ table: 'tasks' });
  const people = live.query({ table: 'users' });
  let arrived = 0;
  tasks.onChange((changes) => (arrived += changes.length));
  await step('Bo opens the board: it comes over a WebSocket, and stays in step', async () => {
    await until(() => tasks.status === 'live' && people.status === 'live');
    line(`${tasks.rows.size} tasks and ${people.rows.size} people are there`);
    assert.equal(tasks.rows.size, TASKS.length);
  });

  await step('Ada labels a task over HTTP, and Bo sees it', async () => {
    const seen = new Promise<readonly RowChange<Task>[]>((resolve) => tasks.onChange(resolve));
    await acme.patch('/tasks/5', { label: 'print' });
    const [change] = await seen;
    assert.deepEqual([change?.op, change?.before?.label, change?.after?.label], ['update', null, 'print']);
    line(`${change?.op} tasks  ${change?.after?.title}  label: ${change?.after?.label}`);
  });
  await step('What the publication does not name has not left the database', async () => {
    const { users } = await acme.get<{ users: object[] }>('/users');
    const [columns, published] = [users, [...people.rows.values()]].map((rows) => Object.keys(rows[0] ?? {}));
    assert.ok(columns?.includes('email'));
    assert.deepEqual(published, ['id', 'name', 'role']);
    line(`users have ${columns?.join(', ')}`);
    line(`Bo got  ${published?.join(', ')}`);
  });

  const right = await tasksOf(acme);
  const open = right.filter(({ status }) => status !== 'done');
  await step('Then a script goes wrong: it marks every task of Acme as done', async () => {
    for (const { id } of open) await acme.patch(`/tasks/${id}`, { status: 'done' });
  });
  const wrong = await tasksOf(acme);
  assert.ok(wrong.every(({ status }) => status === 'done'));
  show(wrong);

  const mistake = await step("Acme's change stream tells when it began", async () => {
    const { changes } = await acme.get<{ changes: Change[] }>('/activity');
    const updates = changes.filter(({ op, after }) => op === 'update' && after?.status === 'done');
    for (const { lsn, timestamp, table, op, before, after } of updates)
      line(
        `LSN ${lsn}  ${timestamp.slice(11, 23)}  ${op} ${table}  ${before?.status} → ${after?.status}  ${after?.title}`,
      );
    assert.equal(updates.length, open.length);
    return updates[0] as Change;
  });

  const point = mistake.lsn - 1;
  const past = await step(`The same query as of LSN ${point}, just before`, async () =>
    tasksOf(acme, `&as_of=lsn:${point}`),
  );
  assert.deepEqual(past, right);
  assert.deepEqual(await tasksOf(acme, `&as_of=lsn:${point + open.length}`), wrong);
  show(past);

  await step(`Acme sets the board back to LSN ${point}; the mistake stays on record`, async () => {
    const { changes } = await acme.post<{ changes: number }>('/restore', { to: `lsn:${point}` });
    assert.equal(changes, open.length);
    assert.deepEqual(await tasksOf(acme), right);
    const { versions } = await acme.get<{ versions: { row: Task }[] }>('/tasks/2/history');
    const statuses = versions.map(({ row }) => row.status);
    assert.deepEqual(statuses, ['review', 'done', 'review']);
    line(`${changes} rows are as they were, in one transaction that could be undone`);
    line(`"${versions[0]?.row.title}" was in ${statuses.join(', then ')}`);
  });

  const branch = `/branches/${encodeURIComponent('launch/crunch')}`;
  await step('Acme makes a branch: nothing is copied', async () => {
    await acme.post('/branches', { name: 'launch/crunch' });
  });
  await step('There it moves all that is in progress to review, and gives it to Cleo', async () => {
    const { changes } = await acme.post<{ changes: number }>(`${branch}/bulk`, {
      where: { status: 'in_progress' },
      set: { status: 'review', assignee_id: 3 },
    });
    assert.equal(changes, 2);
    line(`${changes} tasks changed; main has ${await countOf(acme, 'review')} in review, as before`);
    assert.equal(await countOf(acme, 'review'), 1);
  });
  await step('What it would change', async () => {
    await acme.patch('/tasks/1', { title: 'Book the big launch venue' });
    const { changes } = await acme.get<{ changes: RowDiff[] }>(`${branch}/diff`);
    for (const { type, before, after } of changes)
      line(`${type}  ${after?.title}  ${before?.status} → ${after?.status}`);
    assert.deepEqual(
      changes.map(({ after }) => after?.id),
      [3, 4],
    );
  });
  await step('Main has changed meanwhile, and the branch is merged into it: all or nothing', async () => {
    const { inserted, updated, deleted } = await acme.post<Merged>(`${branch}/merge`, {});
    assert.deepEqual({ inserted, updated, deleted }, { inserted: 0, updated: 2, deleted: 0 });
    line(`${updated} rows updated`);
    assert.equal(await countOf(acme, 'review'), 3);
    assert.equal((await acme.send('DELETE', branch)).status, 204);
  });
  const boardBeforeWebhook = await tasksOf(acme);
  const { lsn: beforeWebhook } = await acme.get<Status>('/status');
  show(boardBeforeWebhook);

  await step("Acme's other software is told by webhook", async () => {
    await acme.put('/webhook', { url: receiver.url, secret: receiver.secret });
    await acme.patch('/tasks/5', { status: 'done' });
    await until(() => receiver.payloads.length > 0);
    for (const { table, op, before, after } of receiver.payloads.flatMap(({ events }) => events) as Change[])
      line(
        `POST /hook, rightly signed: ${op} ${table}  ${after?.title}  ${before?.status} → ${after?.status}`,
      );
    await until(async () => (await acme.get<Webhook>('/webhook')).lag.changes === 0);
  });

  await step("Bo's board was in step all the while, and had nothing of the others", async () => {
    const shown = (tasks: Iterable<Task>): unknown =>
      new Map(Array.from(tasks, ({ id, title, status, label }) => [id, { title, status, label }]));
    const now = await tasksOf(acme);
    await until(() => isDeepStrictEqual(shown(tasks.rows.values()), shown(now)));
    line(`${arrived} changes of tasks came, and led to what the database has`);
    live.close();
  });

  const operator = await operatorOf(url);
  await step('Whoever runs the app sees how all of them do, and no word of what they wrote', async () => {
    const all =
      'SELECT tenant, status, count(*) AS tasks FROM tasks GROUP BY tenant, status ORDER BY tenant, status';
    const expected = await Promise.all([acme, globex].map(countsOf));
    await until(async () => isDeepStrictEqual(await operator.query(all), expected.flat()));
    for (const { tenant, status, tasks } of expected.flat())
      line(`${tenant.padEnd(8)}${status.padEnd(13)}${tasks}`);
    const { rows } = await operator.send<{ rows: object[] }>('POST', '/query', {
      sql: 'SELECT t.*, c.* FROM tasks AS t JOIN changes AS c ON c.tenant = t.tenant',
    });
    assert.ok(rows.length > 0);
    assert.doesNotMatch(JSON.stringify(rows), /Buy Acme|stickers|launch|print|Ada|Grace|@/i);
  });

  await step('Each tenant is backed up to a folder of its own in R2', async () => {
    for (const { tenant } of [acme, globex, initech]) await operator.backUp(tenant);
    const { TENANT_DATA } = await harness.getWorker<Env>().getEnv();
    const { objects } = await TENANT_DATA.list();
    const folders = Map.groupBy(objects, ({ key }) => key.split('/').slice(0, 2).join('/'));
    assert.deepEqual([...folders.keys()], ['tenants/acme', 'tenants/globex', 'tenants/initech']);
    for (const [folder, files] of folders) {
      const size = files.reduce((sum, { size }) => sum + size, 0);
      line(`${folder.padEnd(16)}${files.length} files, ${Math.round(size / 1024)} KiB`);
    }
  });
  await step('From those files alone Acme is made anew, as it was before its webhook', async () => {
    const made = await operator.restore('acme-audit', { from: 'acme', at: `lsn:${beforeWebhook}` });
    const audit = new Client(url, 'acme-audit', made.token);
    assert.deepEqual(await tasksOf(audit), boardBeforeWebhook);
    assert.deepEqual(await tasksOf(audit, `&as_of=lsn:${point}`), right);
    line(`${made.files} files read, ${boardBeforeWebhook.length} tasks there, and their past`);
    await refused(acme, 'acme-audit', 403, "Acme's token there");
  });

  await step('No tenant sees another', async () => {
    const titles = async (client: Client): Promise<string[]> =>
      (await client.get<{ tasks: Task[] }>('/tasks')).tasks.map(({ title }) => title);
    const [ofAcme, ofGlobex, ofInitech] = [await titles(acme), await titles(globex), await titles(initech)];
    assert.deepEqual([ofAcme.length, ofGlobex, ofInitech], [TASKS.length, ['Buy Acme'], []]);
    line(
      `tasks that each sees: Acme ${ofAcme.length}, Globex ${ofGlobex.length}, Initech ${ofInitech.length}`,
    );
    await refused(acme, 'globex', 403, "Acme's token at Globex");
    await refused(new Client(url, 'globex', 'guess'), 'globex', 401, 'a made-up token at Globex');
    await refused(acme, 'umbrella', 404, 'a tenant that never signed up');
    const [, claims = ''] = acme.token.split('.');
    const { iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<
      'iat' | 'exp',
      number
    >;
    assert.equal(exp - iat, 30 * 86_400);
    line('and a token holds for 30 days');
  });
} finally {
  receiver.close();
  await harness.close();
}
say('All of it. Every line above was checked, and nothing is left behind.\n', started);

async function signUp(tenant: string, owner: string): Promise<Client> {
  return step(`${tenant} signs up`, async () => {
    const client = await Client.signUp(url, tenant, owner);
    const { schema_version, size_bytes } = await client.get<Status>('/status');
    assert.equal(schema_version, 3);
    line(`a database of its own: schema version ${schema_version}, ${Math.round(size_bytes / 1024)} KiB`);
    return client;
  });
}

async function tasksOf(client: Client, and = ''): Promise<Task[]> {
  return (await client.get<{ tasks: Task[] }>(`/tasks?project_id=1${and}`)).tasks;
}

/** How many tasks of a tenant have which status, as the operator's numbers have it. */
async function countsOf(client: Client): Promise<{ tenant: string; status: string; tasks: number }[]> {
  const { tasks } = await client.get<{ tasks: Task[] }>('/tasks');
  const { tenant } = client;
  return [...Map.groupBy(tasks, ({ status }) => status)]
    .map(([status, { length }]) => ({ tenant, status, tasks: length }))
    .toSorted((a, b) => (a.status < b.status ? -1 : 1));
}

async function countOf(client: Client, status: string): Promise<number> {
  return (await client.get<{ tasks: Task[] }>(`/tasks?status=${status}`)).tasks.length;
}

async function refused(client: Client, tenant: string, expected: number, who: string): Promise<void> {
  const { status, body } = await client.sendTo<{ error: string }>(tenant, 'GET', '/tasks');
  assert.equal(status, expected);
  line(`${who}: ${status} ${body.error}`);
}

function show(tasks: readonly Task[]): void {
  table(
    ['task', 'status', 'assignee'],
    tasks.map(({ title, status, assignee_name }) => [title, status, assignee_name ?? '–']),
  );
}
