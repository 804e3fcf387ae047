import { env } from 'cloudflare:workers';
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { createCDC, type ChangeEvent, type ChangeRow, type ChangeValue, type JsonEvent } from '@dotdo/cdc';
import { parquetReadObjects } from 'hyparquet';
import { describe, expect, inject, it } from 'vitest';
import { DB } from '@dotdo/dosql';
import { listen, messages, openChat, openOrders, say, watch } from './guide-client.ts';
import { follow as followUsers, openCdc } from './guide-readme.ts';
import { syncSearch, type Shop } from './guide.ts';
import { newObject, withDatabase } from './support/database.ts';
import { expectSnippetsIn } from './support/snippets.ts';

const SOON = { timeout: 10_000 };

interface Open {
  readonly name: string;
  readonly id: string;
  readonly stub: () => DurableObjectStub<Shop>;
  readonly token: (customer: number, role?: 'customer' | 'staff') => string;
}

let shops = 0;

/** A new shop, and what its users sign in with. */
function newShop(): Open {
  const name = `shop ${shops++} ${Math.random()}`;
  return {
    name,
    id: env.SHOP.idFromName(name).toString(),
    stub: () => env.SHOP.getByName(name),
    token: (customer, role = 'customer') => btoa(JSON.stringify({ shop: name, customer, role })),
  };
}

function inside<T>({ stub }: Open, use: (shop: Shop) => Promise<T>): Promise<T> {
  return runInDurableObject(stub(), use);
}

/** The texts under a prefix of the guide's bucket that say something of `about`. */
async function archived(prefix: string, about = ''): Promise<string[]> {
  const { objects } = await env.ARCHIVE.list({ prefix });
  const texts = await Promise.all(objects.map(async ({ key }) => (await env.ARCHIVE.get(key))?.text()));
  return texts.filter((text) => text !== undefined).filter((text) => text.includes(about));
}

/** What the receiver of the webhook has taken of items with this in their name. */
async function taken(about: string): Promise<JsonEvent[]> {
  const batches = (await archived('crm/', about)).map((text) => JSON.parse(text) as JsonEvent[]);
  return batches.flat().filter((event) => JSON.stringify(event).includes(about));
}

describe('the guide and the README', () => {
  it('show only code that this test runs', () => {
    expectSnippetsIn(inject('guideCode'), inject('guides'));
  });

  it('follow the changes of an object, and begin with the rows that are there', async () => {
    const shop = newShop();
    const id = await shop.stub().place(7, 'a@example.com', 'chair');
    await inside(shop, async (object) => {
      const stop = new AbortController();
      const changes: string[] = [];
      const following = object.follow(
        0n,
        ({ op, key }) => changes.push(`${op} ${String(key.id)}`),
        stop.signal,
      );
      const rows = new Map<ChangeValue | undefined, ChangeRow>();
      const replicating = object.replicate(rows, stop.signal);
      await expect.poll(() => rows.get(id)?.item).toBe('chair');
      await object.run("UPDATE orders SET item = 'table'");
      await object.run('UPDATE orders SET id = 9');
      await expect.poll(() => [...rows.keys()]).toEqual([9]);
      await object.run('DELETE FROM orders');
      await expect.poll(() => rows.size).toBe(0);
      expect(changes).toEqual([`insert ${id}`, `update ${id}`, `delete ${id}`, 'insert 9', 'delete 9']);
      stop.abort();
      await Promise.all([following, replicating]);
    });
  });

  it('bring an index up to date by a slot, and start again when the log is gone', async () => {
    let now = Date.UTC(2100, 0);
    await withDatabase(
      async (db, { storage }) => {
        await db.exec(
          "CREATE TABLE orders(id INTEGER PRIMARY KEY, item); INSERT INTO orders VALUES (1, 'chair')",
        );
        const cdc = createCDC(db);
        const index = new Map<unknown, unknown>();
        let cleared = 0;
        const sync = (): Promise<void> =>
          syncSearch(cdc, {
            clear: async () => {
              cleared++;
              index.clear();
            },
            apply: async (events: readonly ChangeEvent[]) => {
              for (const event of events) {
                if (!('key' in event)) continue;
                index.delete(event.key.id);
                if (event.after !== null) index.set(event.after.id, event.after.item);
              }
            },
          });
        await sync();
        await db.run("INSERT INTO orders VALUES (2, 'table')");
        await sync();
        expect([...index]).toEqual([
          [1, 'chair'],
          [2, 'table'],
        ]);
        await db.run('DELETE FROM orders WHERE id = 1');
        for (let i = 0; i < 60; i++) await db.run('UPDATE orders SET item = zeroblob(1000000)');
        now += 7_200_000;
        for (let i = 0; i < 40; i++) {
          await storage.deleteAlarm();
          await db.alarm();
          now += 60_000;
        }
        await sync();
        expect([cleared, index.size]).toEqual([1, 0]);
        await sync();
        expect([...index.keys()]).toEqual([2]);
      },
      { clock: () => now, history: { keep: '1h' } },
    );
  });

  it('let out what is published, masked: by webhook, queue and files, and all to an object', async () => {
    const shop = newShop();
    const word = `chair ${Math.random()}`;
    const id = await shop.stub().place(7, 'canary@example.com', word);
    await shop
      .stub()
      .run("INSERT INTO orders(customer, email, item) VALUES (7, 'canary@example.com', 'a draft')");
    await expect.poll(() => taken(word), SOON).toMatchObject([{ op: 'insert', key: { id } }]);
    const [event] = await taken(word);
    expect(event?.after).toEqual({
      id,
      email: expect.stringMatching(/^[0-9a-f]{64}$/),
      item: word,
      status: 'placed',
    });
    await expect.poll(() => archived(`jobs/shop/jobs/`, `order ${id}`), SOON).not.toEqual([]);
    const mirror = env.MIRROR.getByName(`mirror of ${shop.id}`);
    await expect.poll(() => mirror.orders(), SOON).toHaveLength(2);
    await shop.stub().run("UPDATE orders SET status = 'paid'");
    await expect
      .poll(() => mirror.orders(), SOON)
      .toEqual([
        { id, item: word, status: 'paid' },
        { id: id + 1, item: 'a draft', status: 'paid' },
      ]);
    for (const slot of ['archive', 'lake']) await shop.stub().hurry(`dosql:deliver:${slot}`);
    const ops = async (): Promise<string[]> =>
      (await archived(`${shop.id}/changes/archive/`)).flatMap((text) =>
        text
          .trimEnd()
          .split('\n')
          .map((line) => (JSON.parse(line) as JsonEvent).op),
      );
    await expect.poll(ops, SOON).toEqual(['insert', 'update', 'insert']);
    const lake = async (): Promise<string[]> => {
      const { objects } = await env.ARCHIVE.list({ prefix: `${shop.id}/lake/lake/` });
      const files = objects.map(async ({ key }) => {
        const bytes = await (await env.ARCHIVE.get(key))?.arrayBuffer();
        return parquetReadObjects({ file: bytes as ArrayBuffer });
      });
      return (await Promise.all(files)).flat().map(({ op }) => op as string);
    };
    await expect.poll(lake, SOON).toEqual(['insert', 'update', 'insert']);
    const { objects } = await env.ARCHIVE.list();
    for (const { key } of objects) {
      const text = new TextDecoder().decode(await (await env.ARCHIVE.get(key))?.arrayBuffer());
      expect(text, key).not.toContain('canary');
    }
  });

  it('refuse a webhook that is not signed', async () => {
    const response = await fetch('https://crm.example/changes', { method: 'POST' });
    expect([response.status, await response.text()]).toEqual([401, 'the request has no header webhook-id']);
  });

  it('keep what the receiver refuses, and send it again when it does not', async () => {
    const shop = newShop();
    const word = `lamp ${Math.random()}`;
    await env.ARCHIVE.put(`unknown/${word}`, '');
    const id = await shop.stub().place(7, 'a@example.com', word);
    const other = await shop.stub().place(7, 'a@example.com', `${word} shade`);
    await expect.poll(() => shop.stub().undelivered(), SOON).toHaveLength(1);
    await shop.stub().run(`UPDATE orders SET status = 'paid'`);
    await expect.poll(() => shop.stub().undelivered(), SOON).toHaveLength(2);
    expect(await shop.stub().undelivered()).toEqual([
      { id: 1, key: { id }, error: 'PERMANENT: crm.example answered 422', isBehind: false },
      { id: 2, key: { id }, error: 'an earlier change of this row is a dead letter', isBehind: true },
    ]);
    await expect
      .poll(() => taken(word), SOON)
      .toMatchObject([{ key: { id: other } }, { key: { id: other } }]);
    expect(await inside(shop, (object) => object.crm.status())).toMatchObject({ deadLetters: 2 });
    await env.ARCHIVE.delete(`unknown/${word}`);
    expect(await shop.stub().replay()).toEqual({ delivered: 2, left: 0 });
    await expect.poll(() => taken(word), SOON).toHaveLength(4);
    expect(await shop.stub().discard([1, 2])).toBe(0);
  });

  it('keep a query of a browser in step, for each customer its own rows', { timeout: 30_000 }, async () => {
    const shop = newShop();
    await shop.stub().place(7, 'canary@example.com', 'chair');
    await shop.stub().place(8, 'canary@example.com', 'canary');
    const kept = new Map<string, string>();
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
    };
    const orders = openOrders(async () => shop.token(7), storage);
    const said: string[] = [];
    watch(orders, (text) => said.push(text));
    // As React's useSyncExternalStore calls them: each by itself.
    const { subscribe, getSnapshot } = orders;
    let renders = 0;
    const unsubscribe = subscribe(() => renders++);
    await expect.poll(() => getSnapshot().status, SOON).toBe('live');
    expect(getSnapshot()).toBe(getSnapshot());
    expect(getSnapshot().rows).toMatchObject([{ item: 'chair', status: 'placed' }]);
    await evictDurableObject(shop.stub());
    await shop.stub().run("UPDATE orders SET item = item || 's'");
    await expect.poll(() => getSnapshot().rows[0]?.item, SOON).toBe('chairs');
    await inside(shop, async (object) => object.hangUp());
    await expect.poll(() => getSnapshot().status, SOON).toBe('offline');
    await shop.stub().run("UPDATE orders SET status = 'sent'");
    await expect.poll(() => getSnapshot().rows, SOON).toEqual([]);
    expect(said).toEqual(['insert: chair', 'update: chairs', 'delete: chairs']);
    expect(renders).toBeGreaterThan(2);
    unsubscribe();
    orders.close();
    expect([...kept.keys()]).toEqual(['orders']);
    expect(JSON.stringify([...kept])).not.toContain('canary');
    expect((await fetch('https://shop.example/live', { headers: { upgrade: 'websocket' } })).status).toBe(
      401,
    );
  });

  it('have clients make streams, and append from inside, together with the data', async () => {
    const shop = newShop();
    const url = 'https://shop.example/streams/chats/7/help';
    const token = shop.token(7);
    const id = await shop.stub().place(7, 'a@example.com', 'chair');
    await openChat(url, token);
    await openChat(url, token);
    await expect(openChat(url, shop.token(8))).rejects.toThrow('403');
    for (let i = 0; i < 2; i++) await say(url, token, 'Where is it?', 'phone 1', 0);
    await inside(shop, (object) => object.send(id, 'chats/7/help'));
    await expect(inside(shop, (object) => object.send(id, 'chats/7/none'))).rejects.toThrow(
      'there is no stream',
    );
    const heard: unknown[] = [];
    const stop = listen(url, token, (message) => heard.push(message));
    await expect.poll(() => heard.length, SOON).toBe(2);
    const polled: unknown[] = [];
    for await (const message of messages(url, token)) {
      polled.push(message);
      if (polled.length === 2) await say(url, token, 'Thank you.', 'phone 1', 1);
      if (polled.length === 3) break;
    }
    expect(polled).toEqual([
      { from: 'customer', text: 'Where is it?' },
      { from: 'shop', text: `Order ${id} is on its way.` },
      { from: 'customer', text: 'Thank you.' },
    ]);
    await expect.poll(() => heard, SOON).toEqual(polled);
    stop();
    const page = await inside(shop, (object) => object.cdc.streams.read('chats/7/help'));
    expect(page.messages).toHaveLength(3);
  });

  it('serve a publication as a stream to those who may have all of it', async () => {
    const shop = newShop();
    const id = await shop.stub().place(7, 'canary@example.com', 'chair');
    const url = 'https://shop.example/streams/public';
    for await (const message of messages(url, shop.token(1, 'staff'))) {
      expect(message).toMatchObject({ op: 'insert', key: { id }, after: { item: 'chair' } });
      expect(JSON.stringify(message)).not.toContain('canary');
      break;
    }
    await expect(messages(url, shop.token(7)).next()).rejects.toThrow('403');
  });

  it('remove streams whose time is over', async () => {
    const shop = newShop();
    await inside(shop, async ({ cdc }) => {
      const options = {
        contentType: 'application/json',
        data: '[1, 2]',
        expiresAt: new Date(Date.now() + 50),
      };
      await cdc.streams.create('chats/7/old', options);
    });
    await scheduler.wait(60);
    await shop.stub().hurry('expire-streams:now');
    expect(await shop.stub().query('SELECT * FROM dosql_stream_message')).toEqual([]);
    const sql = "SELECT at FROM __dosql_timer WHERE name LIKE 'expire-streams:%'";
    const next = await runInDurableObject(shop.stub(), (_, { storage }) => storage.sql.exec(sql).one());
    expect(next['at']).toBeGreaterThan(Date.now());
  });

  it("speak Debezium's envelope", async () => {
    const shop = newShop();
    const id = await shop.stub().place(7, 'a@example.com', 'chair');
    const sent: string[][] = [];
    await inside(shop, async (object) => {
      const stop = new AbortController();
      const produce = async (key: string, value: string): Promise<void> => {
        sent.push([key, value]);
        stop.abort();
      };
      await object.toKafka(0n, produce, stop.signal);
    });
    expect(sent.map(([key, value]) => [key, JSON.parse(value ?? '') as unknown])).toMatchObject([
      [
        JSON.stringify({ id }),
        { op: 'c', before: null, after: { item: 'chair' }, source: { name: 'shop', table: 'orders' } },
      ],
    ]);
  });

  it('open change streams in a few lines', async () => {
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const db = await DB('users', { storage });
      await db.exec('CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, deleted_at TEXT)');
      await openCdc(db, env.HOOK_SECRET);
      const from = db.lsn();
      const name = `Ada ${Math.random()}`;
      await db.run('INSERT INTO users(name) VALUES (?)', [name]);
      await db.run("UPDATE users SET deleted_at = 'now'");
      const { signal } = new AbortController();
      expect(await followUsers(db, env.HOOK_SECRET, from, signal)).toEqual([
        `insert ${name}`,
        `update ${name}`,
      ]);
      await db.alarm();
      const [batch] = await archived('crm/', name);
      expect((JSON.parse(batch ?? '[]') as JsonEvent[]).map(({ op }) => op)).toEqual(['insert', 'delete']);
    });
  });
});
