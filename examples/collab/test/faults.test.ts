import { until, type LocalApp } from '@dotdo/example-shared/local/app';
import { createTestHarness, experimental_readRawConfig } from 'wrangler';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DocumentClient } from '../src/client/document-client.ts';
import type { Fault } from './faults.worker.ts';
import { Person, textsIn, type DocumentAccess } from '../local.ts';

let app: LocalApp;
let people: Person[];
let windows: DocumentClient[] = [];

beforeAll(async () => {
  process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
  const root = new URL('..', import.meta.url).pathname;
  const { rawConfig } = experimental_readRawConfig({ config: `${root}wrangler.jsonc` });
  const config = {
    ...rawConfig,
    main: 'test/faults.worker.ts',
    vars: { TOKEN_SECRET: 'signs the tokens of these tests' },
  };
  const harness = createTestHarness({ root, workers: [{ config }] });
  const { url } = await harness.listen();
  app = { url: new URL(url), harness };
  const ada = await Person.found(app.url.origin, 'acme', 'Ada');
  people = [ada, await ada.invite('Bo'), await ada.invite('Cy'), await ada.invite('Di')];
});
afterAll(async () => app.harness.close());
afterEach(() => {
  for (const window of windows) window.close();
  windows = [];
});

/** A document that all may edit, and a window of each person. */
async function everyone(title: string): Promise<{ access: DocumentAccess; open: DocumentClient[] }> {
  const [ada, ...others] = people as [Person, ...Person[]];
  const access = await ada.create(title);
  for (const { id } of others) await access.post('/members', { user: id, role: 'editor' });
  const open = await Promise.all(people.map((person) => person.document(access.id).open()));
  windows.push(...open);
  return { access, open };
}

/** Has something go wrong with a document; a request that the object does not survive is no failure. */
async function fault(what: Fault, { id }: DocumentAccess): Promise<void> {
  await fetch(new URL(`/fault/${what}/${encodeURIComponent(`acme/${id}`)}`, app.url)).catch(() => {});
}

async function blocksOf(access: DocumentAccess): Promise<string[]> {
  const { blocks } = await access.get<{ blocks: { text: string }[] }>('/blocks');
  return blocks.map(({ text }) => text);
}

async function agree(access: DocumentAccess, open: readonly DocumentClient[]): Promise<string[]> {
  await expect
    .poll(() => open.every(({ replica, status }) => status === 'live' && replica.isSettled), {
      timeout: 30_000,
    })
    .toBe(true);
  const texts = await blocksOf(access);
  for (const window of open) await expect.poll(() => textsIn(window), { timeout: 10_000 }).toEqual(texts);
  return texts;
}

/** Waits for one message to go its way. */
function soon(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 10);
  });
}

describe('whatever happens', () => {
  it.each(['nothing', 'crash', 'sleep', 'tunnel'])(
    'while four people write (%s), no word is lost or there twice',
    async (what) => {
      const { access, open } = await everyone(what);
      const [first] = open as [DocumentClient];
      const shared = first.replica.insert(null, 'paragraph', 'start');
      first.changed();
      await agree(access, open);
      const words: string[] = [];
      for (let round = 0; round < 12; round++) {
        for (const [i, window] of open.entries()) {
          const { replica } = window;
          const word = `w${round}x${i}`;
          words.push(word);
          const text = replica.textOf(shared) ?? '';
          // Some at the beginning, some at the end, some in blocks of their own.
          if (round % 4 === 3) replica.insert(i % 2 === 0 ? shared : null, 'list', word);
          else replica.write(shared, i % 2 === 0 ? `${word} ${text}` : `${text} ${word}`);
          window.changed();
        }
        if (round % 4 === 1) {
          if (what === 'crash') await fault('crash', access);
          if (what === 'sleep')
            await app.harness
              .getWorker()
              .evictDurableObject('Document', { name: `acme/${access.id}`, webSockets: 'hibernate' });
          const away = open[round % open.length];
          if (what === 'tunnel') away?.disconnect();
        }
        await soon();
        if (what === 'tunnel' && round % 4 === 0) for (const window of open) window.connect();
      }
      for (const window of open) window.connect();
      const texts = await agree(access, open);
      const found = texts
        .join(' ')
        .split(' ')
        .filter((word) => word !== 'start');
      expect(found.toSorted()).toEqual(words.toSorted());
    },
  );

  it('blocks that are put in at one place at the same time have an order, the same for all', async () => {
    const { access, open } = await everyone('Places');
    for (const [i, { replica }] of open.entries()) {
      let last: string | null = null;
      for (let n = 0; n < 100; n++) last = replica.insert(last, 'paragraph', `${i} ${n}`);
    }
    for (const window of open) window.changed();
    const texts = await agree(access, open);
    const { blocks } = await access.get<{ blocks: { position: string }[] }>('/blocks');
    expect(new Set(blocks.map(({ position }) => position)).size).toBe(400);
    for (const i of open.keys())
      expect(texts.filter((text) => text.startsWith(`${i} `))).toEqual(
        Array.from({ length: 100 }, (_, n) => `${i} ${n}`),
      );
    // Hundreds at one place: positions run out there, and are given anew.
    const [first] = open as [DocumentClient];
    for (let n = 0; n < 450; n++) first.replica.insert(null, 'paragraph', `top ${n}`);
    first.changed();
    const all = await agree(access, open);
    expect(all.slice(0, 450)).toEqual(Array.from({ length: 450 }, (_, n) => `top ${449 - n}`));
  });
});

describe('a client that lies', () => {
  /** What becomes of a message: how the socket is closed, or what it is answered. */
  async function say(message: unknown): Promise<{ code?: number; refused?: string; ack?: number }> {
    const [ada] = people as [Person];
    const access = await ada.create('Lies');
    const address = `${access.url.replace(/^http/, 'ws')}/live?client=${crypto.randomUUID()}`;
    const socket = new WebSocket(address, ['collab', `bearer.${ada.token}`]);
    return new Promise((resolve) => {
      socket.addEventListener('close', ({ code }) => resolve({ code }));
      socket.addEventListener('message', ({ data }) => {
        const { type, ack, refused } = JSON.parse(String(data)) as {
          type: string;
          ack?: number;
          refused?: string;
        };
        if (type === 'welcome') socket.send(typeof message === 'string' ? message : JSON.stringify(message));
        if (ack === undefined) return;
        resolve({ ack, ...(refused === undefined ? {} : { refused }) });
        socket.close();
      });
    });
  }
  const id = 'block-0001';
  const insert = { op: 'insert', id, after: null, kind: 'paragraph', text: 'abc', properties: {} };
  const edit = (...operations: unknown[]): object => ({ type: 'edit', seq: 1, base: 0, run: 1, operations });

  it.each([
    ['no JSON', 'hello', 4400],
    ['nothing of ours', { type: 'admin' }, 4400],
    ['a kind that is none', edit({ ...insert, kind: 'script' }), 4400],
    ['an address that is code', edit({ ...insert, properties: { url: 'javascript:alert(1)' } }), 4400],
    ['half a character', edit({ ...insert, text: '\ud83d' }), 4400],
    ['too long a text', edit({ ...insert, text: 'x'.repeat(20_001) }), 4400],
    ['two edits of one block', edit(insert, { op: 'edit', id, change: [] }), 4400],
    ['too long a message', 'x'.repeat(300_000), 1009],
  ])('and says %s is hung up on', async (_, message, code) => {
    expect(await say(message)).toEqual({ code });
  });

  it('and asks for what cannot be is refused, and nothing is done', async () => {
    for (const [message, reason] of [
      [{ ...edit(insert), base: 10 ** 12 }, 'the base lies in the future'],
      [edit(insert, { op: 'move', id, after: id }), 'a block does not come after itself'],
      [edit(insert, insert), undefined],
      [{ type: 'undo', seq: 1 }, 'there is nothing to undo'],
    ] as const) {
      const answer = await say(message);
      if (reason === undefined) expect(answer).toEqual({ code: 4400 });
      else expect(answer).toEqual({ ack: 1, refused: reason });
    }
    // What has gone stays gone, and to say so is no failure.
    expect(await say(edit({ op: 'edit', id, change: [[0, 1, 'x']] }))).toEqual({ ack: 1 });
  });

  it('and says it all too fast is hung up on', async () => {
    const { access } = await everyone('Flood');
    const [ada] = people as [Person];
    const address = `${access.url.replace(/^http/, 'ws')}/live?client=${crypto.randomUUID()}`;
    const socket = new WebSocket(address, ['collab', `bearer.${ada.token}`]);
    const code = await new Promise((resolve) => {
      socket.addEventListener('close', ({ code }) => resolve(code));
      socket.addEventListener('open', () => {
        for (let i = 0; i < 400; i++) socket.send('{"type":"cursor","cursor":null}');
      });
    });
    expect(code).toBe(4429);
  });
});

describe('the archive', () => {
  it('may be down: versions are read from the log, and archived when it is back, once', async () => {
    const [ada] = people as [Person];
    const access = await ada.create('Archive');
    const window = await access.open();
    windows.push(window);
    window.replica.insert(null, 'paragraph', 'kept');
    window.changed();
    await until(() => window.replica.isSettled);
    await fault('bucketDown', access);
    const { id } = await access.post<{ id: number }>('/versions', { name: 'One' });
    await fault('alarmTwice', access);
    window.replica.insert(null, 'paragraph', 'more');
    window.changed();
    await until(() => window.replica.isSettled);
    expect(await access.get(`/versions/${id}`)).toMatchObject({ from: 'log', blocks: [{ text: 'kept' }] });
    await fault('crash', access);
    await fault('bucketUp', access);
    await expect
      .poll(
        async () => {
          await fault('alarmTwice', access);
          return (await access.get<{ from: string }>(`/versions/${id}`)).from;
        },
        { timeout: 30_000 },
      )
      .toBe('archive');
    expect(await access.get(`/versions/${id}`)).toMatchObject({ blocks: [{ text: 'kept' }] });
    // It goes again: what is archived cannot be read, but the log still has it.
    await fault('bucketDown', access);
    expect(await access.get(`/versions/${id}`)).toMatchObject({ from: 'log', blocks: [{ text: 'kept' }] });
  });

  it('gets one version of a day on which the document has changed, though the alarm comes twice and R2 is down', async () => {
    const [ada] = people as [Person];
    const access = await ada.create('Day');
    const add = async (text: string): Promise<void> => {
      const window = await access.open();
      windows.push(window);
      window.replica.insert(null, 'paragraph', text);
      window.changed();
      await until(() => window.replica.isSettled);
    };
    const versions = async (): Promise<{ id: number; name: string; archived_at: string | null }[]> =>
      (
        await access.get<{ versions: { id: number; name: string; archived_at: string | null }[] }>(
          '/versions',
        )
      ).versions;
    // Nobody has changed it.
    await fault('endDay', access);
    expect(await versions()).toEqual([]);
    await add('morning');
    expect(await versions()).toEqual([]);
    await fault('bucketDown', access);
    await fault('endDay', access);
    const [version] = await versions();
    expect(await versions()).toMatchObject([
      { name: expect.stringMatching(/^\d{4}-\d\d-\d\d$/), created_by: null, archived_at: null },
    ]);
    expect(await access.get(`/versions/${version?.id}`)).toMatchObject({
      from: 'log',
      blocks: [{ text: 'morning' }],
    });
    // The object has forgotten that it has set the timer, and sets it again.
    await fault('crash', access);
    await add('evening');
    await fault('endDay', access);
    expect(await versions()).toHaveLength(1);
    await fault('bucketUp', access);
    await expect
      .poll(
        async () => {
          await fault('alarmTwice', access);
          return (await versions()).map(({ archived_at }) => archived_at !== null);
        },
        { timeout: 30_000 },
      )
      .toEqual([true]);
    expect(await access.get(`/versions/${version?.id}`)).toMatchObject({
      from: 'archive',
      blocks: [{ text: 'morning' }],
    });
  });
});
