import { createCDC } from '@dotdo/cdc';
import { describe, expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';
import { deliveryBench, Recorder, shortly } from './support/deliver.ts';

const TABLE = 'CREATE TABLE t(id INTEGER PRIMARY KEY, x)';
const timers = ({ storage }: DurableObjectState): string[] =>
  [...storage.sql.exec('SELECT name FROM __dosql_timer ORDER BY name').raw<[string]>()].flat();

describe('a commit', () => {
  const ways: Record<string, (db: Database) => Promise<unknown>> = {
    run: (db) => db.run('INSERT INTO t(x) VALUES (1)'),
    exec: (db) => db.exec('INSERT INTO t(x) VALUES (1); INSERT INTO t(x) VALUES (2)'),
    batch: (db) => db.batch([{ sql: 'INSERT INTO t(x) VALUES (1)' }]),
    transaction: (db) =>
      db.transaction(async (tx) => {
        await tx.run('INSERT INTO t(x) VALUES (1)');
        await scheduler.wait(1);
      }),
    'a savepoint': (db) =>
      db.transaction((tx) => tx.transaction((inner) => inner.run('INSERT INTO t(x) VALUES (1)'))),
    'db.sql': async (db) => void db.sql.exec('INSERT INTO t(x) VALUES (1)'),
    'OR FAIL': (db) => failure(db.run('INSERT OR FAIL INTO t(id, x) VALUES (7, 1), (7, 2)')),
    DDL: (db) => db.exec('CREATE TABLE u(y)'),
    restore: (db) => db.restore({ lsn: 2n }),
  };

  it.each(Object.entries(ways))('sets the timer and the alarm with it: %s', async (_, way) => {
    await deliveryBench(async ({ db, cdc, sink, state, alarms, next }) => {
      for (const sql of [TABLE, 'INSERT INTO t VALUES (5, 5)', 'DELETE FROM t']) await db.exec(sql);
      await cdc.deliver('s', sink, { lingerMs: 40 });
      await alarms();
      expect([timers(state), await next()]).toEqual([[], null]);
      const from = db.lsn();
      await way(db);
      expect(db.lsn()).toBeGreaterThan(from);
      expect([timers(state), await next()]).toEqual([['dosql:deliver:s'], 40]);
      await alarms();
      const seen = sink.taken.length;
      expect(seen).toBe(_ === 'DDL' ? 0 : Number(db.lsn() - from));
      expect([timers(state), await next()]).toEqual([[], null]);
    });
  });

  it('that is undone leaves no timer, and does not hide that of the next', async () => {
    await deliveryBench(async ({ db, cdc, sink, state, alarms, next }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink);
      await alarms();
      const undo = async (work: () => Promise<unknown>): Promise<void> => {
        const undone = db.transaction(async (tx) => {
          await tx.run('INSERT INTO t(x) VALUES (1)');
          await work();
          throw new Error('undo');
        });
        await expect(undone).rejects.toThrow('undo');
      };
      await undo(async () => {});
      expect([timers(state), await next()]).toEqual([[], null]);
      await undo(() => db.schedule('dosql:deliver:s', Date.UTC(2100, 0) + 5));
      expect([timers(state), await next()]).toEqual([[], null]);
      await db.run('INSERT INTO t(x) VALUES (1)');
      await undo(() => db.cancel('dosql:deliver:s'));
      expect([timers(state), await next()]).toEqual([['dosql:deliver:s'], 0]);
      await db.run('INSERT INTO t(x) VALUES (2)');
      await alarms();
      expect(shortly(sink.taken)).toEqual(['insert 1=1', 'insert 2=2']);
    });
  });

  it('of nothing sets no timer, nor do reads', async () => {
    await deliveryBench(async ({ db, cdc, sink, next, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink);
      await alarms();
      await db.run('UPDATE t SET x = 1');
      await db.transaction((tx) => tx.query('SELECT * FROM t'));
      await (await cdc.slot('other')).ack(db.lsn());
      expect(await next()).toBeNull();
    });
  });

  it.each([-50, 50])("keeps the app's own alarm, %i ms from the timer", async (ms) => {
    await deliveryBench(async (bench) => {
      const { db, cdc, sink, state, alarm, alarms, next } = bench;
      await db.exec(TABLE);
      await cdc.deliver('s', sink, { lingerMs: 100 });
      await alarms();
      await state.storage.setAlarm(Date.UTC(2100, 0) + 100 + ms);
      await db.run('INSERT INTO t(x) VALUES (1)');
      await scheduler.wait(0);
      expect(await next()).toBe(Math.min(100, 100 + ms));
      const results = [];
      for (const now of [50, 100, 150]) {
        bench.now = now;
        results.push((await alarm())?.isOwnDue ?? null);
      }
      expect(results).toEqual(ms < 0 ? [true, false, null] : [null, false, true]);
      expect(sink.taken).toHaveLength(1);
    });
  });

  it('made while a batch is being sent is sent too', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink);
      await alarms();
      sink.answer = async () => {
        if (sink.seen.length > 5) return;
        await db.run('INSERT INTO t(x) VALUES (?)', [sink.seen.length]);
        await scheduler.wait(1);
      };
      await db.run('INSERT INTO t(x) VALUES (0)');
      await alarms();
      expect(shortly(sink.taken)).toEqual([0, 1, 2, 3, 4, 5].map((x) => `insert ${x + 1}=${x}`));
    });
  });
});

it('a timer set by commits is set again by one that is made while it runs, and by no other', async () => {
  await deliveryBench(async ({ db, alarms, next }) => {
    await db.exec('CREATE TABLE t(x)');
    let left = 3;
    db.backend.onTimer('mine', async () => {
      if (left-- > 0) await db.run('INSERT INTO t VALUES (1)');
      await scheduler.wait(1);
    });
    const stop = db.backend.scheduleOnCommit('mine', 10);
    await db.run('INSERT INTO t VALUES (1)');
    expect(await alarms()).toEqual([10, 20, 30, 40]);
    stop();
    await db.run('INSERT INTO t VALUES (1)');
    expect(await next()).toBeNull();
  });
});

describe('a delivery', () => {
  it('begins where its slot does, with the rows that are there if asked', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(`${TABLE}; INSERT INTO t(x) VALUES (1), (2), (3)`);
      await cdc.deliver('all', sink, { snapshot: 'initial', batch: { changes: 2 } });
      await alarms();
      await db.run('UPDATE t SET x = 9 WHERE id = 1');
      await alarms();
      expect(shortly(sink.taken)).toEqual([
        'insert 1=1',
        'insert 2=2',
        'insert 3=3',
        'snapshot-end',
        'update 1=9',
      ]);
      const sequences = sink.seen.map(({ batch }) => [batch.sequence, batch.events.length]);
      let next = 0;
      for (const [first, count] of sequences) {
        expect(first).toBe(next);
        next += count as number;
      }
    });
  });

  it('sends 10,000 changes in bounded slices, in order, whole', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink, { batch: { changes: 250 }, slice: { batches: 7 } });
      await alarms();
      await db.exec(
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) INSERT INTO t(x) SELECT i FROM n',
      );
      const ran = await alarms();
      expect(ran).toHaveLength(Math.ceil(sink.seen.length / 7));
      expect(Math.max(...sink.seen.map(({ batch }) => batch.events.length))).toBeLessThanOrEqual(250);
      expect(sink.seen.length).toBeLessThan(45);
      expect(sink.taken.map((event) => 'after' in event && event.after?.['x'])).toEqual(
        Array.from({ length: 10_000 }, (_, i) => i + 1),
      );
    });
  });

  it('cuts batches by bytes, and sends what is larger than one alone', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink, { batch: { bytes: 10_000 } });
      await alarms();
      for (const size of [10, 10, 30_000, 4_000, 4_000, 4_000])
        await db.run('INSERT INTO t(x) VALUES (zeroblob(?))', [size * 0.7]);
      await alarms();
      expect(sink.seen.map(({ batch }) => batch.events.length)).toEqual([2, 1, 2, 1]);
    });
  });

  it('never parts what shares a position: transactions come whole with their boundaries or not at all', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink, { transactions: true, batch: { changes: 1 } });
      await alarms();
      await db.exec('INSERT INTO t(x) VALUES (1), (2); DELETE FROM t WHERE id = 1');
      await db.run('INSERT INTO t(x) VALUES (3)');
      await alarms();
      const ops = sink.taken.map(({ op }) => op);
      expect(ops.filter((op) => op === 'insert' || op === 'delete')).toHaveLength(4);
      expect(ops.filter((op) => op === 'commit')).toHaveLength(2);
    });
  });

  it('that is stopped sends no more, goes on when it is said again, and leaves nothing when it is dropped', async () => {
    await deliveryBench(async ({ db, cdc, sink, state, alarms, next }) => {
      await db.exec(TABLE);
      const delivery = await cdc.deliver("it's: a %/slot", sink);
      await alarms();
      await delivery.stop();
      await db.run('INSERT INTO t(x) VALUES (1)');
      expect([await next(), sink.taken]).toEqual([null, []]);
      expect(await delivery.status()).toMatchObject({ lag: { changes: 1 }, failures: 0, deadLetters: 0 });
      const again = await cdc.deliver("it's: a %/slot", sink);
      await alarms();
      expect(shortly(sink.taken)).toEqual(['insert 1=1']);
      expect(await again.status()).toMatchObject({ lag: { changes: 0 } });
      await again.drop();
      expect(state.storage.sql.exec('SELECT * FROM __dosql_state').toArray()).toEqual([]);
      expect(timers(state)).toEqual([]);
    });
  });

  it('whose slot is reset sends again, under new numbers', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      const from = db.lsn();
      const delivery = await cdc.deliver('s', sink);
      sink.answer = () => {
        throw new Error('down');
      };
      await db.exec('INSERT INTO t(x) VALUES (1), (2)');
      await alarms(3);
      const { length } = sink.ids;
      await delivery.slot.reset(from + 1n);
      sink.answer = () => {};
      await alarms();
      expect(new Set(sink.ids.slice(0, length)).size).toBe(1);
      expect(sink.ids.at(-1)).not.toBe(sink.ids[0]);
      expect(sink.seen.at(-1)?.batch.sequence).toBe(2);
      expect(shortly(sink.taken)).toEqual(['insert 2=2']);
      // A reset while a batch is on its way is not undone by it.
      sink.answer = async () => {
        sink.answer = () => {};
        await delivery.slot.reset(from);
      };
      await db.run('INSERT INTO t(x) VALUES (3)');
      await alarms();
      expect(shortly(sink.taken.slice(1))).toEqual(['insert 3=3', 'insert 1=1', 'insert 2=2', 'insert 3=3']);
    });
  });

  it('tells of a log that was trimmed past its slot, and goes on from a snapshot', async () => {
    await deliveryBench(async (bench) => {
      const { db, cdc, sink, alarms, alarm } = bench;
      await db.exec(TABLE);
      const delivery = await cdc.deliver('s', sink, { maxLag: { changes: 2 } });
      await alarms();
      sink.answer = () => {
        throw new Error('down');
      };
      await db.exec('INSERT INTO t(x) VALUES (1), (2), (3), (4)');
      await alarms(2);
      bench.now += 8 * 86_400_000;
      await db.run('INSERT INTO t(x) VALUES (5)');
      await db.schedule('dosql:trim', Date.UTC(2100, 0) + bench.now);
      for (let i = 0; i < 5; i++) await alarm();
      bench.now += 400_000;
      await alarm();
      expect((await delivery.status()).error).toMatch(/^LSN_EXPIRED/);
      sink.answer = () => {};
      await delivery.slot.reset({ snapshot: 'initial' });
      bench.now += 400_000;
      for (let i = 0; i < 5; i++) await alarm();
      expect(shortly(sink.taken)).toEqual(
        [1, 2, 3, 4, 5].map((x) => `insert ${x}=${x}`).concat('snapshot-end'),
      );
    });
  });

  it('is refused by names that are none', async () => {
    await withDatabase(async (db) => {
      const cdc = createCDC(db);
      expect((await failure(cdc.deliver('', new Recorder()))).code).toBe('BAD_PARAMETER');
      expect((await failure(cdc.replay('none'))).code).toBe('BAD_PARAMETER');
      expect(await cdc.deadLetters('none')).toEqual([]);
    });
  });
});
