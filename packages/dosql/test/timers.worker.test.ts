import { env } from 'cloudflare:workers';
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { DB, type AlarmResult, type Database, type Timer } from '../src/index.ts';

/** Far enough ahead for no alarm to go off by itself while a test runs. */
const FUTURE = Date.UTC(2100, 0);
let objects = 0;

interface Bench {
  readonly db: Database;
  readonly storage: DurableObjectStorage;
  readonly ran: string[];
  /** Runs the alarm as if it were so many ms after FUTURE, and as if set for `scheduledTime`. */
  readonly at: (ms: number, scheduledTime?: number) => Promise<AlarmResult>;
}

/** Opens a database with a clock of its own, which begins at FUTURE, in a new object. */
function bench<T>(callback: (bench: Bench) => Promise<T>): Promise<T> {
  const stub = env.TEST.get(env.TEST.idFromName(`timers ${objects++}`));
  return runInDurableObject(stub, async (_, { storage }) => {
    let now = FUTURE;
    const db = await DB('timers', { storage, clock: () => now });
    await db.cancel('dosql:trim');
    const ran: string[] = [];
    db.onTimer(
      't',
      ({ name, payload, attempt }) => void ran.push(`${name} ${JSON.stringify(payload)} ${attempt}`),
    );
    return callback({
      db,
      storage,
      ran,
      at: async (ms, scheduledTime) => {
        now = FUTURE + ms;
        // As the platform does: an alarm that goes off is set no more.
        await storage.deleteAlarm();
        return db.alarm(
          scheduledTime === undefined
            ? undefined
            : { isRetry: false, retryCount: 0, scheduledTime: FUTURE + scheduledTime },
        );
      },
    });
  });
}

const names = ({ failed }: AlarmResult): string[] => failed.map(({ name }) => name);

describe('timers', () => {
  it('run when due, earliest first, with their payloads, and leave the alarm set for the next', async () => {
    await bench(async ({ db, storage, ran, at }) => {
      await db.schedule('t:c', new Date(FUTURE + 300), { deep: [1, null] });
      await db.schedule('t:a', FUTURE + 100);
      await db.schedule('t:b', FUTURE + 200.5, 'text');
      expect(await storage.getAlarm()).toBe(FUTURE + 100);
      const first = await at(250);
      expect(first).toEqual({
        ran: ['t:a', 't:b'],
        failed: [],
        isOwnDue: false,
        next: new Date(FUTURE + 300),
      });
      expect(await at(300)).toEqual({ ran: ['t:c'], failed: [], isOwnDue: false, next: undefined });
      expect(ran).toEqual(['t:a null 1', 't:b "text" 1', 't:c {"deep":[1,null]} 1']);
    });
  });

  it('are replaced by name and cancelled, and the alarm moves with them', async () => {
    await bench(async ({ db, storage, ran, at }) => {
      await db.schedule('t', FUTURE + 100, 1);
      await db.schedule('t', FUTURE + 500, 2);
      expect(await storage.getAlarm()).toBe(FUTURE + 500);
      await db.schedule('t', FUTURE + 50, 3);
      await db.schedule('t:other', FUTURE + 200);
      expect(await storage.getAlarm()).toBe(FUTURE + 50);
      expect(await db.cancel('t')).toBe(true);
      expect(await db.cancel('t')).toBe(false);
      expect(await storage.getAlarm()).toBe(FUTURE + 200);
      await db.cancel('t:other');
      expect(await storage.getAlarm()).toBeNull();
      expect((await at(1_000)).ran).toEqual([]);
      expect(ran).toEqual([]);
    });
  });

  it('can be left as they are where they are set, but not while they run', async () => {
    await bench(async ({ db, storage, ran, at }) => {
      await db.schedule('t', FUTURE + 100, 'first', { ifAbsent: true });
      await db.schedule('t', FUTURE + 50, 'second', { ifAbsent: true });
      expect(await storage.getAlarm()).toBe(FUTURE + 100);
      let isAgain = true;
      db.onTimer('t', async ({ payload }) => {
        ran.push(String(payload));
        if (isAgain) await db.schedule('t', FUTURE + 300, 'third', { ifAbsent: true });
        isAgain = false;
      });
      expect((await at(100)).ran).toEqual(['t']);
      expect(await storage.getAlarm()).toBe(FUTURE + 300);
      await db.schedule('t', FUTURE + 400, 'fourth', { ifAbsent: true });
      expect((await at(300)).ran).toEqual(['t']);
      expect(ran).toEqual(['first', 'third']);
      await db.schedule('t', FUTURE + 500, 'fifth', { ifAbsent: true });
      expect((await at(500)).ran).toEqual(['t']);
    });
  });

  it('that are set in a transaction are kept or undone with it', async () => {
    await bench(async ({ db, storage, at }) => {
      await db.schedule('t:kept', FUTURE + 500);
      const undone = db.transaction(async () => {
        await db.schedule('t:undone', FUTURE + 100);
        await db.cancel('t:kept');
        throw new Error('undo');
      });
      await expect(undone).rejects.toThrow('undo');
      expect(await storage.getAlarm()).toBe(FUTURE + 500);
      await db.transaction(() => db.schedule('t:too', FUTURE + 200));
      expect((await at(500)).ran).toEqual(['t:too', 't:kept']);
    });
  });

  it('of an open transaction are not run before it has ended', async () => {
    await bench(async ({ db, ran, at }) => {
      const open = db.transaction(async () => {
        await db.schedule('t:undone', FUTURE);
        await scheduler.wait(3);
        throw new Error('undo');
      });
      const alarm = at(10);
      await expect(open).rejects.toThrow('undo');
      expect((await alarm).ran).toEqual([]);
      expect(ran).toEqual([]);
    });
  });

  it('whose handler throws run again later, counted, and hold nothing else up', async () => {
    await bench(async ({ db, storage, ran, at }) => {
      let works = false;
      db.onTimer('broken', ({ attempt }) => {
        if (!works) throw new Error(`attempt ${attempt}`);
        ran.push(`worked ${attempt}`);
      });
      await db.schedule('broken', FUTURE + 1);
      await db.schedule('t', FUTURE + 2);
      await db.schedule('unknown', FUTURE + 3);
      const first = await at(10);
      expect(first.ran).toEqual(['t']);
      expect(first.failed.map(({ name, error }) => `${name} ${(error as Error).message}`)).toEqual([
        'broken attempt 1',
        'unknown BAD_PARAMETER: timer "unknown" has no handler: call db.onTimer() before db.alarm()',
      ]);
      expect(await storage.getAlarm()).toBe(FUTURE + 1_010);
      expect(names(await at(1_010))).toEqual(['broken', 'unknown']);
      expect(names(await at(3_009))).toEqual([]);
      works = true;
      expect(await at(3_010)).toMatchObject({ ran: ['broken'], failed: [{ name: 'unknown' }] });
      expect(ran).toEqual(['t null 1', 'worked 3']);
      db.onTimer('unknown', () => {});
      expect((await at(1_000_000)).ran).toEqual(['unknown']);
    });
  });

  it.each(['schedule', 'cancel and schedule'])('can be set anew by their own handler: %s', async (way) => {
    await bench(async ({ db, storage, ran, at }) => {
      db.onTimer('again', async ({ payload }) => {
        ran.push(`again ${String(payload)}`);
        if (way !== 'schedule') await db.cancel('again');
        await db.schedule('again', FUTURE + 100 * (Number(payload) + 1), Number(payload) + 1);
      });
      await db.schedule('again', FUTURE + 100, 1);
      for (let i = 1; i <= 3; i++)
        expect(await at(100 * i)).toMatchObject({ ran: ['again'], isOwnDue: false });
      expect(ran).toEqual(['again 1', 'again 2', 'again 3']);
      expect(await storage.getAlarm()).toBe(FUTURE + 400);
    });
  });

  it('bear an alarm that comes twice, one after the other or at once', async () => {
    await bench(async ({ db, at }) => {
      await db.exec('CREATE TABLE paid(id TEXT PRIMARY KEY)');
      let runs = 0;
      db.onTimer('pay', async ({ name }: Timer) => {
        runs++;
        await scheduler.wait(1);
        await db.run('INSERT OR IGNORE INTO paid VALUES(?)', [name]);
      });
      for (let i = 0; i < 5; i++) await db.schedule(`pay:${i}`, FUTURE + i);
      const [a, b] = await Promise.all([at(100), at(100)]);
      await at(100);
      expect([...new Set([...a.ran, ...b.ran])].toSorted()).toEqual([
        'pay:0',
        'pay:1',
        'pay:2',
        'pay:3',
        'pay:4',
      ]);
      expect(runs).toBeLessThanOrEqual(10);
      expect(await db.query('SELECT count(*) AS n FROM paid')).toEqual([{ n: 5 }]);
    });
  });

  it('set anew while an alarm that came twice still runs the old one are not lost', async () => {
    await bench(async ({ db, ran, at }) => {
      const { promise: gone, resolve } = Promise.withResolvers<void>();
      let runs = 0;
      db.onTimer('slow', async ({ payload }) => {
        ran.push(`slow ${String(payload)}`);
        if (runs++ === 0) await gone;
      });
      await db.schedule('slow', FUTURE + 1, 'old');
      const first = at(10);
      await at(10);
      await db.schedule('slow', FUTURE + 50, 'new');
      resolve();
      await first;
      expect((await at(50)).ran).toEqual(['slow']);
      expect(ran).toEqual(['slow old', 'slow old', 'slow new']);
    });
  });

  it('are not lost when a transaction that was open beside them is undone', async () => {
    await bench(async ({ db, storage, at }) => {
      await db.exec('CREATE TABLE u(x)');
      let undone: Promise<unknown> | undefined;
      db.onTimer('beside', async () => {
        undone = db
          .transaction(async (tx) => {
            await tx.run('INSERT INTO u VALUES(1)');
            await scheduler.wait(2);
            throw new Error('undo');
          })
          .catch(() => {});
      });
      await db.schedule('beside', FUTURE + 1);
      await db.schedule('t', FUTURE + 60);
      expect((await at(10)).ran).toEqual(['beside']);
      await undone;
      expect(await storage.getAlarm()).toBe(FUTURE + 60);
      expect((await at(60)).ran).toEqual(['t']);
    });
  });

  it('refuse names, times and payloads that are none', async () => {
    await bench(async ({ db }) => {
      for (const [name, at, payload] of [
        ['', 1, 1],
        ['t', Number.NaN, 1],
        ['t', 1e300, 1],
        ['t', new Date(8.64e15), 1],
        ['t', '2100' as never, 1],
        ['t', 1, () => {}],
      ] as const)
        await expect(db.schedule(name, at, payload)).rejects.toMatchObject({ code: 'BAD_PARAMETER' });
    });
  });
});

describe("the app's own alarm", () => {
  it('that is earlier goes off first and is told, also when a timer is due by then', async () => {
    await bench(async ({ db, storage, at }) => {
      await storage.setAlarm(FUTURE + 100);
      await db.schedule('t', FUTURE + 101);
      expect(await storage.getAlarm()).toBe(FUTURE + 100);
      expect(await at(105)).toEqual({ ran: ['t'], failed: [], isOwnDue: true, next: undefined });
    });
  });

  it('that is later, or at the same time, comes back after the timer before it', async () => {
    await bench(async ({ db, storage, at }) => {
      await storage.setAlarm(FUTURE + 500);
      await db.schedule('t:1', FUTURE + 100);
      await db.schedule('t:2', FUTURE + 500);
      expect(await storage.getAlarm()).toBe(FUTURE + 100);
      expect(await at(100)).toMatchObject({ ran: ['t:1'], isOwnDue: false, next: new Date(FUTURE + 500) });
      expect(await at(500)).toMatchObject({ ran: ['t:2'], isOwnDue: true, next: undefined });
    });
  });

  it('that replaced ours is told from it, later or earlier', async () => {
    await bench(async ({ db, storage, at }) => {
      await db.schedule('t', FUTURE + 100);
      await storage.setAlarm(FUTURE + 500);
      expect(await at(500, 500)).toMatchObject({ ran: ['t'], isOwnDue: true });
      await db.schedule('t', FUTURE + 700);
      await storage.setAlarm(FUTURE + 600);
      expect(await at(600, 600)).toMatchObject({ ran: [], isOwnDue: true, next: new Date(FUTURE + 700) });
      expect(await at(700, 700)).toMatchObject({ ran: ['t'], isOwnDue: false, next: undefined });
    });
  });

  it('that is set by a handler, or moved, is kept', async () => {
    await bench(async ({ db, storage, at }) => {
      db.onTimer('sets', () => storage.setAlarm(FUTURE + 900));
      await db.schedule('sets', FUTURE + 100);
      await db.schedule('t', FUTURE + 400);
      expect(await at(100)).toMatchObject({ ran: ['sets'], isOwnDue: false, next: new Date(FUTURE + 400) });
      await storage.setAlarm(FUTURE + 300);
      await db.schedule('t:2', FUTURE + 350);
      expect(await at(300)).toMatchObject({ ran: [], isOwnDue: true, next: new Date(FUTURE + 350) });
      expect(await at(400)).toMatchObject({ ran: ['t:2', 't'], isOwnDue: false, next: undefined });
      expect(await storage.getAlarm()).toBeNull();
    });
  });
});

it('a timer whose time is past runs at once, and is not taken for an alarm of the app', async () => {
  const stub = env.TEST.get(env.TEST.idFromName('past'));
  const work = async (storage: DurableObjectStorage): Promise<void> => {
    // By the platform's own clock, which makes the present of an alarm in the past.
    const db = await DB('past', { storage });
    const ran: string[] = [];
    db.onTimer('t', ({ name }) => void ran.push(name));
    await db.transaction(async () => {
      for (const at of [0, -5, 1, Date.now() - 1_000]) await db.schedule(`t:${at}`, at);
    });
    const alarm = (await storage.getAlarm()) ?? 0;
    await storage.deleteAlarm();
    const info = { isRetry: false, retryCount: 0, scheduledTime: alarm };
    const result = await db.alarm(info);
    expect([result.ran.length, ran.length, result.isOwnDue]).toEqual([4, 4, false]);
    const timers = storage.sql.exec('SELECT name FROM __dosql_timer').toArray();
    expect(timers).toEqual([{ name: 'dosql:trim' }]);
  };
  // Meanwhile the platform delivers no alarm itself.
  await runInDurableObject(stub, (_, state) => state.blockConcurrencyWhile(() => work(state.storage)));
});

describe('the object', () => {
  it('that was evicted wakes by the alarm, with its timers and its clock', async () => {
    const stub = env.TEST.get(env.TEST.idFromName('evicted'));
    await runInDurableObject(stub, async (object) => {
      const db = await (object as unknown as { open(): Promise<Database> }).open();
      await db.exec('CREATE TABLE log(name TEXT)');
      await db.schedule('later', FUTURE, { a: 1 });
      await db.schedule('unknown', Date.now() - 1);
    });
    await evictDurableObject(stub);
    await runDurableObjectAlarm(stub);
    await runInDurableObject(stub, async (object, { storage }) => {
      const db = await (object as unknown as { open(): Promise<Database> }).open();
      const rows = storage.sql.exec('SELECT name, attempts FROM __dosql_timer ORDER BY name').toArray();
      expect(rows).toEqual([
        { name: 'dosql:trim', attempts: 0 },
        { name: 'later', attempts: 0 },
        { name: 'unknown', attempts: expect.toSatisfy((attempts: number) => attempts > 0) },
      ]);
      expect(await storage.getAlarm()).toBeLessThan(FUTURE);
      await db.cancel('unknown');
      await db.cancel('dosql:trim');
      expect(await storage.getAlarm()).toBe(FUTURE);
    });
  });

  it('finds its alarm again when it was given up', async () => {
    const stub = env.TEST.get(env.TEST.idFromName('given up'));
    const open = (object: unknown): Promise<Database> => (object as { open(): Promise<Database> }).open();
    await runInDurableObject(stub, async (object, { storage }) => {
      await (await open(object)).schedule('later', FUTURE);
      await storage.deleteAlarm();
    });
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (object, { storage }) => {
      await open(object);
      expect(await storage.getAlarm()).not.toBeNull();
    });
  });
});
