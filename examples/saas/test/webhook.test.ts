import type { JsonEvent } from '@dotdo/cdc';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import { Client, startLocally, WebhookReceiver } from '../local.ts';
import { withTasks } from './tenants.ts';

interface Status {
  readonly url: string;
  readonly lag: { readonly changes: number; readonly seconds: number };
  readonly failures: number;
  readonly error?: string;
  readonly retry_at?: string;
  readonly dead_letters: readonly {
    readonly id: number;
    readonly error: string;
    readonly event: { readonly after: object | null };
  }[];
}
interface Refused {
  readonly error: string;
  readonly issues?: readonly { readonly field: string }[];
}

let app: LocalApp;

beforeAll(async () => {
  app = await startLocally();
});
afterAll(async () => app.harness.close());

/** A tenant with a project, and a webhook that is posted to the receiver. */
async function withWebhook(tenant: string): Promise<{ client: Client; receiver: WebhookReceiver }> {
  const receiver = await WebhookReceiver.start();
  onTestFinished(() => receiver.close());
  const client = await withTasks(app.url, tenant);
  const { url, secret } = receiver;
  await client.put('/webhook', { url, secret });
  return { client, receiver };
}

function addTask(client: Client, title: string): Promise<unknown> {
  return client.post('/tasks', { project_id: 1, title });
}

function status(client: Client): Promise<Status> {
  return client.get<Status>('/webhook');
}

/** The titles of the tasks that have come, as often as they have. */
function titlesAt({ payloads }: WebhookReceiver): unknown[] {
  const events = payloads.flatMap(({ events }) => events as JsonEvent[]);
  return events.map(({ after }) => after?.['title']);
}

async function untilThere(receiver: WebhookReceiver, titles: readonly string[]): Promise<void> {
  await expect.poll(() => titlesAt(receiver)).toEqual(titles);
}

describe('the webhook', () => {
  it('is posted each change from then on, in order, signed, as far as it is published', async () => {
    const { client, receiver } = await withWebhook('acme');
    expect(await status(client)).toMatchObject({ url: receiver.url, failures: 0, dead_letters: [] });
    for (const title of ['one', 'two']) await addTask(client, title);
    await untilThere(receiver, ['one', 'two']);
    await client.post('/users', { name: 'Mo', email: 'mo@acme.test' });
    await until(() => JSON.stringify(receiver.payloads).includes('Mo'));
    expect(JSON.stringify(receiver.payloads)).not.toMatch(/@|First|_at"/);
    await until(async () => (await status(client)).lag.changes === 0);
  });

  it('goes on when the object has been away', async () => {
    const { client, receiver } = await withWebhook('sleepy');
    await addTask(client, 'one');
    await untilThere(receiver, ['one']);
    await app.harness.getWorker().evictDurableObject('Tenant', { name: 'sleepy' });
    await addTask(client, 'two');
    await untilThere(receiver, ['one', 'two']);
  });

  it('is tried again while the receiver is down', async () => {
    const { client, receiver } = await withWebhook('patient');
    receiver.status = 503;
    await addTask(client, 'one');
    await until(async () => (await status(client)).failures > 0);
    expect(await status(client)).toMatchObject({
      error: expect.stringContaining('answered 503'),
      retry_at: expect.any(String),
      lag: { changes: 1 },
    });
    await addTask(client, 'two');
    receiver.status = 204;
    await untilThere(receiver, ['one', 'two']);
    await until(async () => (await status(client)).failures === 0);
  });

  it('keeps what is refused for good, and posts it again when it is told to', async () => {
    const { client, receiver } = await withWebhook('refused');
    receiver.status = 422;
    await addTask(client, 'one');
    await until(async () => (await status(client)).dead_letters.length === 1);
    expect(await status(client)).toMatchObject({
      lag: { changes: 0 },
      dead_letters: [
        { id: 1, error: expect.stringContaining('answered 422'), event: { after: { title: 'one' } } },
      ],
    });
    receiver.status = 204;
    await addTask(client, 'two');
    await untilThere(receiver, ['two']);
    expect(await client.post('/webhook/replay', {})).toEqual({ delivered: 1, left: 0 });
    expect(titlesAt(receiver)).toEqual(['two', 'one']);
    expect(await status(client)).toMatchObject({ dead_letters: [] });
  });

  it('can be moved, and ends when it is deleted', async () => {
    const { client, receiver } = await withWebhook('moving');
    const next = await WebhookReceiver.start();
    onTestFinished(() => next.close());
    await addTask(client, 'one');
    await untilThere(receiver, ['one']);
    const { url, secret } = next;
    expect(await client.put('/webhook', { url, secret })).toMatchObject({ url });
    await addTask(client, 'two');
    await untilThere(next, ['two']);
    expect((await client.send('DELETE', '/webhook')).status).toBe(204);
    await addTask(client, 'three');
    for (const [method, path] of [
      ['GET', '/webhook'],
      ['DELETE', '/webhook'],
      ['POST', '/webhook/replay'],
    ] as const)
      expect((await client.send(method, path)).status).toBe(404);
    // A new one begins with what comes then.
    await client.put('/webhook', { url, secret });
    await addTask(client, 'four');
    await untilThere(next, ['two', 'four']);
    expect(titlesAt(receiver)).toEqual(['one']);
  });

  it('is for admins, and tells nobody its secret', async () => {
    const { client, receiver } = await withWebhook('guarded');
    const { id } = await client.post<{ id: number }>('/users', { name: 'Mo', email: 'mo@guarded.test' });
    const { token } = await client.post<{ token: string }>(`/users/${id}/tokens`, {});
    const member = new Client(app.url, 'guarded', token);
    for (const [method, path] of [
      ['GET', '/webhook'],
      ['PUT', '/webhook'],
      ['DELETE', '/webhook'],
      ['POST', '/webhook/replay'],
    ] as const)
      expect((await member.send(method, path, method === 'GET' ? undefined : {})).status).toBe(403);
    for (const path of ['/webhook', '/activity', '/status'])
      expect(JSON.stringify(await client.get(path))).not.toContain(receiver.secret);
  });
});

describe('the address of a webhook', () => {
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
  const put = (client: Client, body: object): Promise<{ status: number; body: Refused }> =>
    client.send<Refused>('PUT', '/webhook', body);

  it('is a host on the internet', async () => {
    const client = await Client.signUp(app.url, 'addresses');
    for (const url of [
      'http://crm.example',
      'http://10.0.0.1/',
      'http://localhost.evil.example',
      'https://localhost/',
      'https://crm.localhost/',
      'https://127.0.0.1/',
      'https://127.1/',
      'https://2130706433/',
      'https://0x7f.1/',
      'https://10.0.0.1./',
      'https://169.254.169.254/latest/meta-data',
      'https://[::1]/',
      'https://[::ffff:10.0.0.1]/',
      'https://intranet/',
      'https://printer.local/',
      'https://metadata.google.internal/',
      'https://me:secret@crm.example/',
      'ftp://crm.example',
      'crm.example',
      '',
      7,
    ]) {
      const { status, body } = await put(client, { url, secret });
      expect([url, status, body.issues?.[0]?.field]).toEqual([url, 400, 'url']);
    }
    expect((await client.send('GET', '/webhook')).status).toBe(404);
    expect(await put(client, { url: 'https://crm.example/hook', secret })).toMatchObject({ status: 200 });
  });

  it('is this machine only where the app is developed', async () => {
    const deployed = await startLocally({});
    onTestFinished(() => deployed.harness.close());
    const client = await Client.signUp(deployed.url, 'deployed');
    const { status, body } = await put(client, { url: 'http://127.0.0.1:9/hook', secret });
    expect([status, body.error]).toEqual([400, expect.stringContaining('give an https:// address')]);
    expect(await put(client, { url: 'https://crm.example/hook', secret })).toMatchObject({ status: 200 });
  });

  it('comes with a secret of 24 to 64 bytes', async () => {
    const client = await Client.signUp(app.url, 'secrets');
    const url = 'https://crm.example/hook';
    for (const bad of ['', 'whsec_', 'guess', `whsec_${'a'.repeat(31)}`, `whsec_${'*'.repeat(32)}`, null]) {
      const { status, body } = await put(client, { url, secret: bad });
      expect([bad, status, body.issues?.[0]?.field]).toEqual([bad, 400, 'secret']);
    }
    for (const length of [24, 25, 26, 64]) {
      const good = `whsec_${Buffer.alloc(length, 7).toString('base64')}`;
      expect((await put(client, { url, secret: good })).status).toBe(200);
    }
  });
});
