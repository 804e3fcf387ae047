import { until } from '@dotdo/example-shared/local/app';
import { describe, expect, it } from 'vitest';
import type { DocumentClient } from '../src/client/document-client.ts';
import { textsIn, type DocumentAccess } from '../local.ts';
import { startWithPeople } from './people.ts';

const { app, ada, bo, windows } = await startWithPeople();

/** A document that Ada and Bo may edit. */
async function shared(title: string): Promise<{ adas: DocumentAccess; bos: DocumentAccess }> {
  const adas = await ada.create(title);
  await adas.post('/members', { user: bo.id, role: 'editor' });
  return { adas, bos: bo.document(adas.id) };
}

async function open(access: DocumentAccess, branch?: string): Promise<DocumentClient> {
  const window = await access.open(branch === undefined ? {} : { branch });
  windows.push(window);
  return window;
}

/** Puts blocks at the end of a window's document. */
function add(window: DocumentClient, ...texts: string[]): string[] {
  let last = window.replica.blocks.at(-1)?.id ?? null;
  const ids = texts.map((text) => (last = window.replica.insert(last, 'paragraph', text)));
  window.replica.nextRun();
  window.changed();
  return ids;
}

function write(window: DocumentClient, id: string, text: string): void {
  window.replica.write(id, text);
  window.changed();
}

async function settled(...all: DocumentClient[]): Promise<void> {
  await until(() => all.every(({ replica }) => replica.isSettled));
}

async function shows(window: DocumentClient, texts: readonly string[]): Promise<void> {
  await expect.poll(() => textsIn(window), { timeout: 10_000 }).toEqual(texts);
}

/** Puts a document's object to sleep, or ends it with its sockets. */
function evict({ id }: DocumentAccess, webSockets: 'hibernate' | 'close'): Promise<void> {
  return app.harness.getWorker().evictDurableObject('Document', { name: `acme/${id}`, webSockets });
}

describe('two windows', () => {
  it('show the same, whoever writes', async () => {
    const { adas, bos } = await shared('Plan');
    const [a, b] = [await open(adas), await open(bos)];
    const [first = ''] = add(a, 'One', 'Two');
    await shows(b, ['One', 'Two']);
    write(b, first, 'One, by Bo');
    await shows(a, ['One, by Bo', 'Two']);
    expect(await adas.get('/blocks')).toMatchObject({ blocks: [{ text: 'One, by Bo' }, { text: 'Two' }] });
  });

  it('put what both write in one block at the same time together', async () => {
    const { adas, bos } = await shared('Merge');
    const [a, b] = [await open(adas), await open(bos)];
    const [id = ''] = add(a, 'the fox jumps');
    await shows(b, ['the fox jumps']);
    a.disconnect();
    b.disconnect();
    write(a, id, 'the quick fox jumps');
    write(b, id, 'the fox jumps high');
    a.connect();
    b.connect();
    await settled(a, b);
    await shows(a, ['the quick fox jumps high']);
    await shows(b, ['the quick fox jumps high']);
  });

  it('see each other come, point and go', async () => {
    const { adas, bos } = await shared('Cursors');
    const a = await open(adas);
    const [id = ''] = add(a, 'Here');
    const b = await open(bos);
    await until(() => a.replica.peers.size === 2);
    b.moveTo({ block: id, from: 2, to: 4 });
    await until(() => [...a.replica.peers.values()].some(({ cursor }) => cursor?.from === 2));
    expect([...a.replica.peers.values()].find(({ key }) => key === b.key)).toMatchObject({ name: 'Bo' });
    // A cursor stays where it was in the text.
    write(a, id, 'Just Here');
    await until(() => a.replica.peers.get(b.key)?.cursor?.from === 7);
    b.close();
    await until(() => a.replica.peers.size === 1);
  });
});

describe('the object asleep', () => {
  it('wakes with its sockets, who is there and where they are', async () => {
    const { adas, bos } = await shared('Sleepy');
    const [a, b] = [await open(adas), await open(bos)];
    const statuses = new Set<string>();
    const [id = ''] = add(a, 'One');
    await shows(b, ['One']);
    b.moveTo({ block: id, from: 1, to: 1 });
    await until(() => a.replica.peers.get(b.key)?.cursor?.from === 1);
    for (const text of ['Two', 'Three']) {
      await evict(adas, 'hibernate');
      add(a, text);
      await settled(a);
      statuses.add(a.status).add(b.status);
    }
    await shows(b, ['One', 'Two', 'Three']);
    expect([...statuses]).toEqual(['live']);
    await evict(adas, 'hibernate');
    const c = await open(adas);
    expect(c.replica.peers.get(b.key)).toMatchObject({ name: 'Bo', cursor: { from: 1 } });
  });
});
