import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { createCDC, type Cdc, type ChangeEvent, type Slot } from '@dotdo/cdc';
import { describe, expect, it } from 'vitest';
import { DB, type Database } from '../src/index.ts';
import { failure, newObject, withDatabase } from './support/database.ts';

/** Far enough ahead for no alarm to go off by itself while a test runs. */
const FUTURE = Date.UTC(2100, 0);
const HOUR = 3_600_000;

const TABLE = 'CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)';

/** A database that keeps its log for an hour, with a clock that `pass` moves; both outlive the object. */
class Clocked {
  readonly #stub = newObject();
  #now = FUTURE;

  use<T>(work: (db: Database, cdc: Cdc, pass: (hours: number) => Promise<void>) => Promise<T>): Promise<T> {
    return runInDurableObject(this.#stub, async (_, { storage }) => {
      const db = await DB('slots', { storage, clock: () => this.#now, history: { keep: '1h' } });
      const pass = async (hours: number): Promise<void> => {
        this.#now += hours * HOUR;
        for (;;) {
          await storage.deleteAlarm();
          expect((await db.alarm()).failed).toEqual([]);
          if (((await storage.getAlarm()) ?? Infinity) > this.#now) return;
        }
      };
      return work(db, createCDC(db), pass);
    });
  }

  evict(): Promise<void> {
    return evictDurableObject(this.#stub);
  }
}

async function ids(slot: Slot, limit?: number): Promise<unknown[]> {
  return (await slot.read(limit)).map((event) => ('key' in event ? event.key['id'] : event.op));
}

async function ackAll(slot: Slot): Promise<void> {
  for (;;) {
    const last = (await slot.read()).at(-1);
    if (last === undefined) return;
    await slot.ack(last.cursor ?? last.lsn);
  }
}

describe('a slot', () => {
  it('reads no more changes than it is asked for, also of one transaction', async () => {
    await withDatabase(async (db) => {
      await db.exec(TABLE);
      const slot = await createCDC(db).slot('few');
      await db.run("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
      await db.run('UPDATE t SET v = id');
      const seen: string[] = [];
      for (;;) {
        const events = await slot.read(2);
        if (events.length === 0) break;
        expect(events).toHaveLength(2);
        seen.push(
          ...events.map((event) => ('key' in event ? `${event.op} ${String(event.key['id'])}` : event.op)),
        );
        await slot.ack(events[1]?.lsn as bigint);
      }
      expect(seen).toEqual(['insert 1', 'insert 2', 'insert 3', 'update 1', 'update 2', 'update 3']);
    });
  });

  it('begins at the present, gives the same until it is acknowledged, and survives the object', async () => {
    const object = new Clocked();
    await object.use(async (db, cdc) => {
      await db.exec(`${TABLE}; INSERT INTO t VALUES (1, 'before')`);
      const slot = await cdc.slot('s');
      expect(await ids(slot)).toEqual([]);
      await db.exec(
        "INSERT INTO t VALUES (2, 'a'); INSERT INTO t VALUES (3, 'b'); INSERT INTO t VALUES (4, 'c')",
      );
      expect(await ids(slot)).toEqual([2, 3, 4]);
      expect(await ids(slot)).toEqual([2, 3, 4]);
      await slot.ack((await slot.read())[0]?.lsn ?? 0n);
    });
    await object.evict();
    await object.use(async (db, cdc) => {
      const slot = await cdc.slot('s');
      expect(await ids(slot)).toEqual([3, 4]);
      expect(await cdc.slots()).toEqual(['s']);
      expect(await slot.lag()).toMatchObject({ changes: 2 });
      await slot.ack(db.lsn());
      expect(await ids(slot)).toEqual([]);
      expect(await slot.lag()).toEqual({ changes: 0, bytes: 0, seconds: 0 });
      expect(await slot.position()).toBe(String(db.lsn()));
    });
  });

  it('holds the log for as long as it is behind, and says how far', async () => {
    const object = new Clocked();
    await object.use(async (db, cdc, pass) => {
      await db.exec(TABLE);
      const slot = await cdc.slot('s');
      for (let id = 1; id <= 10; id++) await db.run('INSERT INTO t VALUES (?, ?)', [id, 'x'.repeat(100)]);
      await pass(5);
      const lag = await slot.lag();
      expect(lag).toMatchObject({ changes: 10, seconds: 5 * 3_600 });
      expect(lag.bytes).toBeGreaterThan(1_000);
      expect(lag.bytes).toBeLessThan(10_000);
      expect(await ids(slot)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      await slot.ack((await slot.read())[3]?.lsn ?? 0n);
      await pass(1);
      expect(await ids(slot)).toEqual([5, 6, 7, 8, 9, 10]);
      expect((await failure(cdc.read(0))).code).toBe('LSN_EXPIRED');
      await ackAll(slot);
      await db.run("INSERT INTO t VALUES (11, 'y')");
      await pass(3);
      await slot.drop();
      await pass(3);
      expect(await cdc.slots()).toEqual([]);
      // The last change stays: it says what was before.
      expect((await db.earliest()).lsn).toBe(db.lsn() - 1n);
    });
  });

  it('is let go of when it falls behind by more than maxLag, says so, and begins again with a snapshot', async () => {
    for (const maxLag of [{ changes: 3 }, { bytes: 500 }, { seconds: 7_200 }]) {
      const object = new Clocked();
      await object.use(async (db, cdc, pass) => {
        await db.exec(TABLE);
        await cdc.slot('dead', { maxLag });
        // Opened again and moved, it may lag no further than was said.
        const slot = await cdc.slot('dead');
        await slot.ack((await db.run("INSERT INTO t VALUES (0, 'x')")).lsn);
        const patient = await cdc.slot('patient', { tables: ['t'] });
        for (let id = 1; id <= 3; id++) await db.run('INSERT INTO t VALUES (?, ?)', [id, 'x']);
        await pass(1.5);
        expect(await ids(slot)).toEqual([1, 2, 3]);
        for (let id = 4; id <= 9; id++) await db.run('INSERT INTO t VALUES (?, ?)', [id, 'x'.repeat(500)]);
        await pass(2);
        // The other one still needs the log, so it is all there.
        expect(await ids(patient)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
        await ackAll(patient);
        await pass(2);
        const error = await failure(slot.read());
        expect([error.code, error.message]).toEqual([
          'LSN_EXPIRED',
          expect.stringMatching(
            /^LSN_EXPIRED: slot "dead" stands at LSN \d+ .*reset\(\{ snapshot: 'initial' \}\)/,
          ),
        ]);
        await slot.reset({ snapshot: 'initial' });
        expect(await ids(slot)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 'snapshot-end']);
        await ackAll(slot);
        await db.run("INSERT INTO t VALUES (10, 'z')");
        expect(await ids(slot)).toEqual([10]);
      });
    }
  });

  it('does not hold what it does not want', async () => {
    const object = new Clocked();
    await object.use(async (db, cdc, pass) => {
      await db.exec(`${TABLE}; CREATE TABLE other(id INTEGER PRIMARY KEY)`);
      const slot = await cdc.slot('s', { tables: ['other'] });
      for (let id = 1; id <= 5; id++) await db.run('INSERT INTO t VALUES (?, ?)', [id, 'x']);
      expect(await ids(slot)).toEqual([]);
      expect(await slot.lag()).toMatchObject({ changes: 0 });
      await pass(3);
      // The last change stays: it says what was before.
      expect((await db.earliest()).lsn).toBe(db.lsn() - 1n);
    });
  });

  it('reads a snapshot once, half-way over an eviction, with writes going on', async () => {
    const object = new Clocked();
    const seen: ChangeEvent[] = [];
    await object.use(async (db) => {
      await db.exec(TABLE);
      for (let id = 1; id <= 20; id++) await db.run('INSERT INTO t VALUES (?, ?)', [id, 'x']);
    });
    for (let i = 0; ; i++) {
      const isEnd = await object.use(async (db, cdc) => {
        const slot = await cdc.slot('s', { snapshot: 'initial' });
        const events = await slot.read(6);
        if (i < 6) await db.run('UPDATE t SET v = v || ? WHERE id % 3 = ?', ['y', i % 3]);
        const last = events.at(-1);
        if (last === undefined) return true;
        seen.push(...events);
        await slot.ack(last.cursor ?? last.lsn);
        return false;
      });
      if (isEnd) break;
      await object.evict();
    }
    const rows = new Map<unknown, unknown>();
    for (const event of seen)
      if ('key' in event && event.after !== null) rows.set(event.key['id'], event.after['v']);
    expect(seen.filter((event) => event.op === 'insert')).toHaveLength(20);
    await object.use(async (db) => {
      const present = await db.query<{ id: number; v: string }>('SELECT * FROM t');
      expect([...rows]).toEqual(present.map(({ id, v }) => [id, v]));
    });
  });

  it('never moves back, nor past the end, but where it is told to', async () => {
    await withDatabase(async (db) => {
      await db.exec(`${TABLE}; INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
      const slot = await createCDC(db).slot('s', { fromLSN: 0 });
      const [first, , third] = (await slot.read()).map(({ lsn }) => lsn);
      await slot.ack(third ?? 0n);
      await slot.ack(first ?? 0n);
      await slot.ack(0);
      expect(await slot.position()).toBe(String(third));
      expect((await failure(slot.ack(db.lsn() + 1n))).code).toBe('BAD_PARAMETER');
      for (const none of [-1, 0.5, 'x', '1:[', '1:{}', '1:[1]', '1:["t",{}]', null, Number.NaN])
        expect((await failure(slot.ack(none as never))).code).toBe('BAD_PARAMETER');
      await slot.reset(first ?? 0n);
      expect(await ids(slot)).toEqual([2, 3]);
    });
  });

  it('goes back with the transaction that acknowledged it', async () => {
    await withDatabase(async (db) => {
      const cdc = createCDC(db);
      await db.exec(`${TABLE}; INSERT INTO t VALUES (1, 'a')`);
      const slot = await cdc.slot('s', { fromLSN: 0 });
      const before = await slot.position();
      const failed = db.transaction(async (tx) => {
        await tx.run("INSERT INTO t VALUES (2, 'b')");
        await slot.ack(1n);
        throw new Error('no');
      });
      await expect(failed).rejects.toThrow('no');
      expect(await slot.position()).toBe(before);
    });
  });

  it.each([
    ['', 'text of up to'],
    ['x'.repeat(201), 'text of up to'],
    [null, 'text of up to'],
  ])('has a name: %j is none', async (name, message) => {
    await withDatabase(async (db) => {
      const error = await failure(async () => createCDC(db).slot(name as string));
      expect([error.code, error.message]).toEqual(['BAD_PARAMETER', expect.stringContaining(message)]);
    });
  });

  it('of any name is its own', async () => {
    await withDatabase(async (db) => {
      const cdc = createCDC(db);
      await db.exec(TABLE);
      const names = ['__proto__', 'a', 'A', 'a:b', "it's", '𝄞', '%'];
      for (const name of names) await cdc.slot(name);
      expect((await cdc.slots()).toSorted()).toEqual(names.toSorted());
      await (await cdc.slot('a')).drop();
      expect((await cdc.slots()).toSorted()).toEqual(names.filter((name) => name !== 'a').toSorted());
    });
  });
});
