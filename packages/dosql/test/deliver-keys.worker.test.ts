import { file, PermanentError, queue, webhook, type DeliverOptions, type Sink } from '@dotdo/cdc';
import { expect, it } from 'vitest';
import { deliveryBench } from './support/deliver.ts';

const CANARY = 'canary-4711';

/** Anything as text, with the bytes of files as they read. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (one instanceof Uint8Array) return new TextDecoder().decode(one);
    return typeof one === 'bigint' ? String(one) : one;
  });
}

/** Sinks of every kind, and all that they are given. */
function sinksInto(seen: unknown[]): Record<string, Sink> {
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    seen.push(url, [...new Headers(init.headers)], init.body);
    return new Response();
  };
  return {
    webhook: webhook('https://hook.example', { fetch }),
    debezium: webhook('https://hook.example', { fetch, envelope: 'debezium' }),
    file: file({ write: async (path, data) => void seen.push(path, data) }),
    queue: queue({ sendBatch: async (messages) => void seen.push([...messages]) }),
    own: { send: async (batch) => void seen.push(batch) },
    refusing: {
      send: async (batch) => {
        seen.push(batch);
        throw new PermanentError('no');
      },
    },
  };
}

it.each(['hidden', 'masked'])(
  'a key that is %s leaves by no sink, dead letter, status or position, wherever a snapshot stands',
  (publication) =>
    deliveryBench(async ({ db, cdc, alarms }) => {
      await db.exec(
        'CREATE TABLE a(mail TEXT PRIMARY KEY, x) WITHOUT ROWID; CREATE TABLE b(mail TEXT, n, x, PRIMARY KEY(mail, n)) WITHOUT ROWID',
      );
      for (let i = 0; i < 6; i++) {
        await db.run('INSERT INTO a VALUES (?, ?)', [`${CANARY}-${i}`, i]);
        await db.run('INSERT INTO b VALUES (?, ?, ?)', [`${CANARY}-${i}`, i, i]);
      }
      cdc.publication('hidden', { tables: { a: { columns: ['x'] }, b: { columns: ['n', 'x'] } } });
      cdc.publication('masked', {
        tables: { a: { mask: { mail: { hash: 'k' } } }, b: { mask: { mail: 'null' } } },
      });
      const seen: unknown[] = [];
      const options: DeliverOptions = {
        publication,
        snapshot: 'initial',
        batch: { changes: 2 },
        retry: { attempts: 1 },
        slice: { batches: 1 },
      };
      const deliveries = [];
      for (const [name, sink] of Object.entries(sinksInto(seen)))
        deliveries.push(await cdc.deliver(name, sink, options));
      const told: unknown[] = [];
      let inside = 0;
      for (let i = 0; i < 60; i++) {
        if (i < 20) await db.run('UPDATE a SET x = x + 1');
        if ((await alarms(1)).length === 0) break;
        for (const delivery of deliveries) {
          const status = await delivery.status();
          expect(status.position.split(':')[0]).toBe((await delivery.slot.position()).split(':')[0]);
          if (status.position.includes(':~')) inside++;
          told.push(status);
        }
      }
      expect(inside).toBeGreaterThan(5);
      const letters = await cdc.deadLetters('refusing', { limit: 1_000 });
      expect(letters.length).toBeGreaterThan(10);
      expect(letters.some(({ event }) => 'isSnapshot' in event && event.isSnapshot)).toBe(true);
      await cdc.replay('refusing');
      expect(seen.length).toBeGreaterThan(30);
      for (const text of [textOf(seen), textOf(told), textOf(letters)]) {
        expect(text).not.toContain(CANARY);
        expect(text).not.toContain('"cursor"');
      }
    }),
);

it('a row of a snapshot says that it is one, and no event has a cursor', async () => {
  await deliveryBench(async ({ db, cdc, sink, alarms }) => {
    await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES (1, 'a')");
    const delivery = await cdc.deliver('s', sink, { snapshot: 'initial' });
    sink.answer = () => {
      if (sink.seen.length === 1) throw new Error('the answer was lost');
    };
    await alarms();
    const [first, again] = sink.seen.map(({ batch }) => batch);
    expect(again).toEqual(first);
    expect(first?.events[0]).toMatchObject({ op: 'insert', isSnapshot: true });
    expect(first?.events.some((event) => 'cursor' in event)).toBe(false);
    expect((await delivery.status()).position).toBe(await delivery.slot.position());
  });
});
