import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, startLocally, type LocalApp } from '../local.ts';

interface Change {
  readonly lsn: number;
  readonly table: string;
  readonly op: string;
  readonly after: { readonly title?: string } | null;
}
interface Page {
  readonly changes: readonly Change[];
  readonly lsn: number;
}

let app: LocalApp;

beforeAll(async () => {
  app = await startLocally();
});
afterAll(async () => app.harness.close());

async function withProject(tenant: string): Promise<Client> {
  const client = await Client.signUp(app.url, tenant);
  await client.post('/projects', { name: 'First', owner_id: 1 });
  return client;
}

function addTask(client: Client, title: string): Promise<unknown> {
  return client.post('/tasks', { project_id: 1, title });
}

/** A socket, with the changes that it has got so far. */
class Ear {
  readonly heard: Change[] = [];
  readonly socket: WebSocket;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.addEventListener('message', ({ data }) => this.heard.push(JSON.parse(String(data)) as Change));
  }

  /** Waits until the socket is open. */
  static async open(client: Client, query = ''): Promise<Ear> {
    const ear = new Ear(client.openLive(query));
    await new Promise((resolve, reject) => {
      ear.socket.addEventListener('open', resolve);
      ear.socket.addEventListener('error', reject);
    });
    return ear;
  }

  get titles(): (string | undefined)[] {
    return this.heard.map(({ after }) => after?.title);
  }

  /** Waits until it has heard these titles, and no others. */
  async hears(titles: readonly string[]): Promise<void> {
    await expect.poll(() => this.titles, { timeout: 20_000 }).toEqual(titles);
  }
}

/** The status with which the server refuses a socket, as a client that speaks plain HTTP sees it. */
async function refusal(client: Client, query: string, headers: Record<string, string> = {}): Promise<number> {
  const { href } = new URL(`/t/${client.tenant}/activity/live${query}`, app.url);
  const response = await app.harness.fetch(href, {
    headers: { upgrade: 'websocket', authorization: `Bearer ${client.token}`, ...headers },
  });
  response.webSocket?.accept();
  response.webSocket?.close();
  return response.status;
}

describe('the change stream', () => {
  it('is read page by page, each change once', async () => {
    const client = await withProject('pages');
    for (const title of ['a', 'b', 'c', 'd']) await addTask(client, title);
    const all = await client.get<Page>('/activity');
    expect(all.changes.map(({ table, op }) => `${op} ${table}`)).toEqual([
      'insert users',
      'insert projects',
      ...Array.from({ length: 4 }, () => 'insert tasks'),
    ]);
    const read: Change[] = [];
    let { lsn } = await client.get<{ earliest: Page }>('/status').then(({ earliest }) => earliest);
    for (;;) {
      const page = await client.get<Page>(`/activity?after=${lsn}&limit=2`);
      if (page.lsn === lsn) break;
      read.push(...page.changes);
      lsn = page.lsn;
    }
    expect(read).toEqual(all.changes);
  });

  it('tells when it is asked for what it does not hold', async () => {
    const client = await withProject('outside');
    expect((await client.send('GET', '/activity?after=9999')).status).toBe(400);
    expect((await client.send('GET', '/activity?after=-1')).status).toBe(400);
    expect(await refusal(client, '?after=9999')).toBe(400);
  });
});

describe('the live stream', () => {
  it('brings every change to every socket of its tenant, and to no other', async () => {
    const [acme, globex] = [await withProject('acme'), await withProject('globex')];
    const ears = [await Ear.open(acme), await Ear.open(acme)];
    const other = await Ear.open(globex);
    await addTask(acme, 'one');
    await addTask(globex, 'theirs');
    await addTask(acme, 'two');
    for (const ear of ears) await ear.hears(['one', 'two']);
    await other.hears(['theirs']);
    expect(ears[0]?.heard).toEqual(ears[1]?.heard);
    for (const { socket } of [...ears, other]) socket.close();
  });

  it('begins after the LSN that is asked for', async () => {
    const client = await withProject('after');
    await addTask(client, 'before');
    const { lsn } = await client.get<{ lsn: number }>('/status');
    await addTask(client, 'missed');
    const ear = await Ear.open(client, `?after=${lsn}`);
    await ear.hears(['missed']);
    await addTask(client, 'new');
    await ear.hears(['missed', 'new']);
    ear.socket.close();
  });

  it('goes on after hibernation, with nothing missed and nothing twice', async () => {
    const client = await withProject('sleepy');
    const ear = await Ear.open(client);
    await addTask(client, 'one');
    await ear.hears(['one']);
    for (const title of ['two', 'three']) {
      const worker = app.harness.getWorker();
      await worker.evictDurableObject('Tenant', { name: 'sleepy', webSockets: 'hibernate' });
      expect(ear.socket.readyState).toBe(WebSocket.OPEN);
      await addTask(client, title);
      await addTask(client, `${title} and a half`);
    }
    await ear.hears(['one', 'two', 'two and a half', 'three', 'three and a half']);
    ear.socket.close();
  });

  it('goes on for the others when a socket closes, also asleep', async () => {
    const client = await withProject('leaving');
    const [stays, leaves] = [await Ear.open(client), await Ear.open(client)];
    await addTask(client, 'one');
    await leaves.hears(['one']);
    await app.harness.getWorker().evictDurableObject('Tenant', { name: 'leaving', webSockets: 'hibernate' });
    const closed = new Promise((resolve) => leaves.socket.addEventListener('close', resolve));
    leaves.socket.close();
    await closed;
    await addTask(client, 'two');
    await stays.hears(['one', 'two']);
    expect(leaves.titles).toEqual(['one']);
    stays.socket.close();
  });

  it('answers pings and takes nothing else', async () => {
    const client = await withProject('talker');
    const socket = client.openLive();
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    expect(socket.protocol).toBe('activity');
    const answer = new Promise((resolve) => socket.addEventListener('message', ({ data }) => resolve(data)));
    socket.send('ping');
    expect(await answer).toBe('pong');
    const closed = new Promise<number>((resolve) =>
      socket.addEventListener('close', ({ code }) => resolve(code)),
    );
    socket.send('hello');
    expect(await closed).toBe(1003);
  });

  it('is for WebSockets of its own site, with a token', async () => {
    const client = await withProject('guarded');
    expect((await client.send('GET', '/activity/live')).status).toBe(426);
    expect(await refusal(client, '', { origin: 'https://evil.example' })).toBe(403);
    expect(await refusal(client, '', { origin: 'null' })).toBe(403);
    expect(await refusal(client, '', { origin: app.url.origin })).toBe(101);
    expect(await refusal(client, '', { authorization: 'Bearer guess' })).toBe(401);
    const stranger = await withProject('stranger');
    expect(await refusal(client, '', { authorization: `Bearer ${stranger.token}` })).toBe(403);
  });
});
