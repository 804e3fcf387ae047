import type { LiveClient, LiveQuery } from '@dotdo/cdc/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import { Client, startLocally } from '../local.ts';
import { withTasks } from './tenants.ts';

interface Task {
  readonly title: string;
}

let app: LocalApp;
let connections: LiveClient[] = [];

beforeAll(async () => {
  app = await startLocally();
});
afterAll(async () => app.harness.close());
afterEach(() => {
  for (const connection of connections) connection.close();
  connections = [];
});

function addTask(client: Client, title: string): Promise<unknown> {
  return client.post('/tasks', { project_id: 1, title });
}

/** Puts a tenant's object to sleep. */
function evict(name: string, webSockets: 'hibernate' | 'close'): Promise<void> {
  return app.harness.getWorker().evictDurableObject('Tenant', { name, webSockets });
}

/** A live query of a tenant's tasks, with what it has told. */
class Ear {
  readonly heard: string[] = [];
  readonly connection: LiveClient;
  readonly tasks: LiveQuery<Task>;

  constructor(client: Client) {
    this.connection = client.live();
    connections.push(this.connection);
    this.tasks = this.connection.query<Task>({ table: 'tasks' });
    this.tasks.onChange((changes) => {
      for (const { op, before, after } of changes) this.heard.push(`${op} ${(after ?? before)?.title}`);
    });
  }

  /** Waits until the query is live. */
  static async open(client: Client): Promise<Ear> {
    const ear = new Ear(client);
    await until(() => ear.tasks.status === 'live');
    return ear;
  }

  get titles(): string[] {
    return Array.from(this.tasks.rows.values(), ({ title }) => title);
  }

  /** Waits until these rows are there, and no others. */
  async shows(titles: readonly string[]): Promise<void> {
    await expect.poll(() => this.titles).toEqual(titles);
  }
}

/** The status with which the server answers a request for a socket, as a client that speaks plain HTTP sees it. */
async function answer(
  client: Client,
  headers: Record<string, string> = {},
  query = '?publication=board',
): Promise<number> {
  const { href } = new URL(`/t/${client.tenant}/live${query}`, app.url);
  const response = await app.harness.fetch(href, {
    headers: { upgrade: 'websocket', authorization: `Bearer ${client.token}`, ...headers },
  });
  response.webSocket?.accept();
  response.webSocket?.close();
  return response.status;
}

/** A socket of a client's own making. */
async function openRaw({ tenant, token }: Client): Promise<WebSocket> {
  const url = new URL(`/t/${tenant}/live?publication=board`, app.url);
  const socket = new WebSocket(url.href.replace(/^http/, 'ws'), ['dosql.cdc', `bearer.${token}`]);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('error', reject);
  });
  return socket;
}

describe('the live board', () => {
  it('keeps the rows of every user of its tenant in step, and of no other', async () => {
    const [acme, globex] = [await withTasks(app.url, 'acme'), await withTasks(app.url, 'globex')];
    await addTask(acme, 'one');
    const { id } = await acme.post<{ id: number }>('/users', { name: 'Mo', email: 'mo@acme.test' });
    const { token } = await acme.post<{ token: string }>(`/users/${id}/tokens`, {});
    const ears = [await Ear.open(acme), await Ear.open(new Client(app.url, 'acme', token))];
    const other = await Ear.open(globex);
    await addTask(acme, 'two');
    await addTask(globex, 'theirs');
    await acme.patch('/tasks/1', { title: 'One' });
    await acme.send('DELETE', '/tasks/2');
    for (const ear of ears) {
      await ear.shows(['One']);
      expect(ear.heard).toEqual(['insert one', 'insert two', 'update One', 'delete two']);
    }
    await other.shows(['theirs']);
  });

  it('goes on after hibernation, with nothing missed and nothing twice', async () => {
    const client = await withTasks(app.url, 'sleepy');
    const ear = await Ear.open(client);
    const statuses: string[] = [];
    ear.tasks.subscribe(() => statuses.push(ear.tasks.status));
    await addTask(client, 'one');
    await ear.shows(['one']);
    for (const title of ['two', 'three']) {
      await evict('sleepy', 'hibernate');
      await addTask(client, title);
      await addTask(client, `${title} and a half`);
    }
    const titles = ['one', 'two', 'two and a half', 'three', 'three and a half'];
    await ear.shows(titles);
    expect(ear.heard).toEqual(titles.map((title) => `insert ${title}`));
    // The socket was open all the while.
    expect(new Set(statuses)).toEqual(new Set(['live']));
  });

  it('goes offline with its rows when the connection breaks, and comes back with what it has missed', async () => {
    const client = await withTasks(app.url, 'shaky');
    await addTask(client, 'one');
    const ear = await Ear.open(client);
    const statuses: string[] = [];
    ear.tasks.subscribe(() => statuses.push(`${ear.tasks.status} ${ear.titles.join()}`));
    await evict('shaky', 'close');
    await addTask(client, 'missed');
    await ear.shows(['one', 'missed']);
    await until(() => ear.tasks.status === 'live');
    expect(statuses[0]).toBe('offline one');
    expect(ear.heard).toEqual(['insert one', 'insert missed']);
  });

  it('goes on for the others when someone leaves, also asleep', async () => {
    const client = await withTasks(app.url, 'leaving');
    const [stays, leaves] = [await Ear.open(client), await Ear.open(client)];
    await addTask(client, 'one');
    await leaves.shows(['one']);
    await evict('leaving', 'hibernate');
    leaves.connection.close();
    await addTask(client, 'two');
    await stays.shows(['one', 'two']);
    expect(leaves.titles).toEqual(['one']);
  });

  it('lets nothing out that is not published, whatever it is asked for', async () => {
    const client = await withTasks(app.url, 'discreet');
    await addTask(client, 'one');
    const socket = await openRaw(client);
    let bytes = '';
    socket.addEventListener('message', ({ data }) => (bytes += String(data)));
    const ask = (id: string, request: object): void =>
      socket.send(JSON.stringify({ type: 'subscribe', id, snapshot: 'initial', ...request }));
    ask('all', {});
    ask('columns', { tables: ['users'], columns: { users: ['id', 'email'] } });
    ask('where', { tables: ['users'], where: { users: "email LIKE 'o%'" } });
    ask('table', { tables: ['__dosql_timer'] });
    await until(() => bytes.includes('"ready"') && bytes.match(/"error"/g)?.length === 3);
    await client.post('/users', { name: 'Mo', email: 'mo@discreet.test' });
    await until(() => bytes.includes('Mo'));
    expect(bytes).toContain('Olive Owner');
    expect(bytes).not.toContain('@');
    expect(bytes).not.toContain('_at');
    socket.close();
  });

  it('answers pings', async () => {
    const socket = await openRaw(await withTasks(app.url, 'talker'));
    expect(socket.protocol).toBe('dosql.cdc');
    const pong = new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)));
    socket.send('ping');
    expect(await pong).toBe('pong');
    socket.close();
  });

  it('is for WebSockets of its own site, with a token', async () => {
    const client = await withTasks(app.url, 'guarded');
    expect(await answer(client, { upgrade: '' })).toBe(426);
    expect(await answer(client, {}, '')).toBe(400);
    expect(await answer(client, {}, '?publication=other')).toBe(403);
    expect(await answer(client, { origin: 'https://evil.example' })).toBe(403);
    expect(await answer(client, { origin: 'null' })).toBe(403);
    expect(await answer(client, { origin: app.url.origin })).toBe(101);
    expect(await answer(client, { authorization: 'Bearer guess' })).toBe(401);
    const stranger = await withTasks(app.url, 'stranger');
    expect(await answer(client, { authorization: `Bearer ${stranger.token}` })).toBe(403);
  });
});
