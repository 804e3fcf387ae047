import { PermanentError, RetryLaterError, type Batch, type ChangeEvent } from '@dotdo/cdc';
import { describe, expect, it } from 'vitest';
import { failure } from './support/database.ts';
import { deliveryBench, shortly } from './support/deliver.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

const TABLE = 'CREATE TABLE t(id INTEGER PRIMARY KEY, x)';

describe('a sink that fails', () => {
  it('is tried again after waits that a seed determines, and loses nothing', async () => {
    for (const seed of seeds(71)) {
      const waits = async (): Promise<number[]> =>
        deliveryBench(async ({ db, cdc, sink, alarms }) => {
          await db.exec(TABLE);
          const random = new Random(seed);
          await cdc.deliver('s', sink, { random: () => random.next() });
          await alarms();
          sink.answer = () => {
            throw new Error('no route');
          };
          await db.run('INSERT INTO t(x) VALUES (1)');
          const at = await alarms(30);
          sink.answer = () => {};
          await alarms();
          expect(sink.seen.slice(0, -1).map(({ attempt }) => attempt)).toEqual(at.map((_, i) => i + 1));
          expect(shortly(sink.taken)).toEqual(['insert 1=1']);
          return at.slice(1).map((ms, i) => ms - (at[i] as number));
        });
      const first = await waits();
      expect(await waits(), `seed ${seed}`).toEqual(first);
      first.forEach((ms, i) => expect(ms).toBeLessThanOrEqual(Math.min(300_000, 1_000 * 2 ** i)));
      const random = new Random(seed);
      expect(first).toEqual(
        first.map((_, i) => Math.floor(random.next() * Math.min(300_000, 1_000 * 2 ** i))),
      );
    }
  });

  it('costs nothing but lag when it is down for a day, whatever is written meanwhile', async () => {
    await deliveryBench(async (bench) => {
      const { db, cdc, sink, alarms } = bench;
      await db.exec(TABLE);
      const delivery = await cdc.deliver('s', sink, { batch: { changes: 10 } });
      await alarms();
      sink.answer = () => {
        throw new Error('down');
      };
      for (let hour = 0; hour < 24; hour++) {
        await db.run('INSERT INTO t(x) VALUES (?)', [hour]);
        bench.now = hour * 3_600_000;
        while (bench.now < (hour + 1) * 3_600_000) await alarms(1);
      }
      expect(await delivery.status()).toMatchObject({ error: 'down', deadLetters: 0, lag: { changes: 24 } });
      // Once every 150 s on average, and not with every commit.
      expect(sink.seen.length).toBeLessThan(1_500);
      // A batch that was tried stays as it is, however much has come since.
      expect(new Set(sink.ids).size).toBe(1);
      sink.answer = () => {};
      await alarms();
      expect(shortly(sink.taken)).toEqual(Array.from({ length: 24 }, (_, i) => `insert ${i + 1}=${i}`));
      expect(await delivery.status()).toMatchObject({ error: undefined, failures: 0, lag: { changes: 0 } });
    });
  });

  it('that says when to come again is not asked before', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink);
      await alarms();
      sink.answer = () => {
        if (sink.seen.length === 1) throw new RetryLaterError('busy', 77_000);
      };
      await db.run('INSERT INTO t(x) VALUES (1)');
      const at = await alarms();
      expect(at[1]).toBeGreaterThanOrEqual(77_000);
      expect(at).toHaveLength(2);
    });
  });

  it('that never answers is given up and tried again', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink, { timeoutMs: 20 });
      await alarms();
      let aborted = 0;
      sink.answer = (_, { signal }) => {
        signal.addEventListener('abort', () => aborted++);
        return sink.seen.length < 3 ? new Promise(() => {}) : undefined;
      };
      await db.run('INSERT INTO t(x) VALUES (1)');
      await alarms();
      expect([sink.seen.length, sink.taken.length, aborted]).toEqual([3, 1, 2]);
    });
  });

  it.each(['none', 'initial'] as const)(
    'whose answer is lost gets the same batch again, whatever was committed since: snapshot %s',
    async (snapshot) => {
      await deliveryBench(async ({ db, cdc, sink, alarms }) => {
        await db.exec(TABLE);
        await db.exec('INSERT INTO t(x) VALUES (1), (2), (3), (4), (5)');
        const from = snapshot === 'none' ? { fromLSN: 0 } : {};
        await cdc.deliver('s', sink, { snapshot, batch: { changes: 2 }, ...from });
        sink.answer = async () => {
          if (sink.seen.length % 3 === 0 || sink.seen.length > 30) return;
          await db.exec('UPDATE t SET x = x + 10; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2, 0)');
          throw new Error('the answer was lost');
        };
        await alarms();
        const batches = [...Map.groupBy(sink.seen, ({ batch }) => batch.id).values()];
        expect(batches.filter((sent) => sent.length === 3)).toHaveLength(10);
        for (const sent of batches)
          for (const { batch } of sent) expect(batch).toEqual((sent[0] as { batch: Batch }).batch);
        // Whoever counts each batch once holds what the table holds.
        const rows = new Map<unknown, unknown>();
        for (const event of batches.flatMap((sent) => sent[0]?.batch.events ?? [])) {
          if (!('key' in event)) continue;
          if (event.after === null) rows.delete(event.key['id']);
          else rows.set(event.after['id'], event.after['x']);
        }
        const expected = await db.query<{ id: number; x: number }>('SELECT * FROM t ORDER BY id');
        expect([...rows].toSorted(([a], [b]) => Number(a) - Number(b))).toEqual(
          expected.map(({ id, x }) => [id, x]),
        );
      });
    },
  );

  it('is sent each batch by one run at a time, however many alarms there are', async () => {
    await deliveryBench(async ({ db, cdc, sink }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink, { batch: { changes: 3 } });
      let now = 0;
      let most = 0;
      sink.answer = async () => {
        most = Math.max(most, ++now);
        await scheduler.wait(1);
        now--;
      };
      await db.alarm();
      await db.exec(
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO t(x) SELECT i FROM n',
      );
      await Promise.all([db.alarm(), db.alarm(), scheduler.wait(2).then(() => db.alarm())]);
      await db.alarm();
      expect(most).toBe(1);
      expect(new Set(sink.ids).size).toBe(sink.ids.length);
      expect(shortly(sink.taken)).toEqual(Array.from({ length: 20 }, (_, i) => `insert ${i + 1}=${i + 1}`));
    });
  });
});

/** Refuses a batch that has a row of which `x` is `'poison'`. */
function refusing(batch: Batch): void {
  const isPoison = (event: ChangeEvent): boolean => 'after' in event && event.after?.['x'] === 'poison';
  if (batch.events.some(isPoison)) throw new PermanentError('no poison');
}

function rowOf(event: ChangeEvent): number {
  return 'key' in event ? Number(event.key['id']) : 0;
}

describe('dead letters', () => {
  it('are what is refused for good, and the later changes of its row; all else is delivered in order', async () => {
    for (const seed of seeds(31)) {
      await deliveryBench(async ({ db, cdc, sink, alarms }) => {
        const random = new Random(seed);
        await db.exec(TABLE);
        const from = db.lsn();
        const delivery = await cdc.deliver('s', sink, {
          batch: { changes: 16 },
          random: () => random.next(),
        });
        await alarms();
        sink.answer = refusing;
        await db.run(
          'INSERT INTO t(id, x) VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0)',
        );
        for (let i = 0; i < 150; i++) {
          const x = random.chance(0.04) ? 'poison' : i;
          await db.run('UPDATE t SET x = ? WHERE id = ?', [x, 1 + random.int(8)]);
          if (random.chance(0.1)) await alarms();
        }
        await alarms();
        const log = (await cdc.read(from, { limit: 1_000 })).changes;
        const dead = new Set<unknown>();
        const expected: ChangeEvent[][] = [[], []];
        for (const change of log) {
          if (change.after?.['x'] === 'poison') dead.add(change.key['id']);
          expected[dead.has(change.key['id']) ? 1 : 0]?.push(change);
        }
        expect(expected[1]?.length, `seed ${seed}`).toBeGreaterThan(0);
        expect(sink.taken, `seed ${seed}`).toEqual(expected[0]);
        const letters = await cdc.deadLetters('s', { limit: 1_000 });
        const byRow = (events: readonly ChangeEvent[] = []): ChangeEvent[] =>
          events.toSorted((a, b) => rowOf(a) - rowOf(b));
        expect(byRow(letters.map(({ event }) => event)), `seed ${seed}`).toEqual(byRow(expected[1]));
        expect(
          letters.filter(({ isBehind }) => !isBehind).every(({ error }) => error === 'PERMANENT: no poison'),
        ).toBe(true);
        expect((await delivery.status()).deadLetters).toBe(letters.length);
        expect(await cdc.deadLetters('s', { after: letters[0]?.id ?? 0, limit: 2 })).toEqual(
          letters.slice(1, 3),
        );
        // Once the sink takes it, all comes in the order of each row, and later changes are free again.
        sink.answer = () => {};
        sink.taken.length = 0;
        expect(await cdc.replay('s')).toEqual({ delivered: letters.length, left: 0 });
        expect(byRow(sink.taken)).toEqual(byRow(expected[1]));
        expect(sink.seen.at(-1)?.batch.isReplay).toBe(true);
        expect(await cdc.deadLetters('s')).toEqual([]);
        await db.run('UPDATE t SET x = -1');
        await alarms();
        expect(sink.taken.slice(expected[1]?.length)).toHaveLength(8);
        expect((await delivery.status()).deadLetters).toBe(0);
      });
    }
  });

  it('can be replayed in part, in the order of their rows, discarded, and refused again', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink, { retry: { attempts: 1 } });
      await alarms();
      sink.answer = refusing;
      await db.exec(
        "INSERT INTO t VALUES (1, 'poison'), (2, 'poison'), (3, 1); UPDATE t SET x = 5; UPDATE t SET x = 6 WHERE id = 2; DELETE FROM t WHERE id = 2",
      );
      await alarms();
      const ids = async (): Promise<string[]> =>
        (await cdc.deadLetters('s')).map(({ id, event }) => `${id}: ${shortly([event]).join()}`);
      expect(await ids()).toEqual([
        '1: insert 1=poison',
        '2: insert 2=poison',
        '3: update 1=5',
        '4: update 2=5',
        '5: update 2=6',
        '6: delete 2=',
      ]);
      expect(shortly(sink.taken)).toEqual(['insert 3=1', 'update 3=5']);
      expect(await failure(cdc.replay('s', { ids: [6] }))).toMatchObject({ code: 'BAD_PARAMETER' });
      // Refused again: what is behind stays behind.
      expect(await cdc.replay('s', { ids: [1, 3] })).toEqual({ delivered: 0, left: 2 });
      expect(await ids()).toHaveLength(6);
      expect(await cdc.discard('s', [1, 1, 77])).toBe(1);
      expect(await cdc.replay('s', { ids: [3] })).toEqual({ delivered: 1, left: 0 });
      sink.answer = () => {};
      expect(await cdc.replay('s', { limit: 2 })).toEqual({ delivered: 2, left: 0 });
      expect(await ids()).toEqual(['5: update 2=6', '6: delete 2=']);
      await cdc.replay('s');
      expect(shortly(sink.taken.slice(2))).toEqual([
        'update 1=5',
        'insert 2=poison',
        'update 2=5',
        'update 2=6',
        'delete 2=',
      ]);
      await db.run('UPDATE t SET x = 7 WHERE id = 1');
      await alarms();
      expect(shortly(sink.taken.slice(7))).toEqual(['update 1=7']);
    });
  });

  it('whose replay fails are sent by the alarm once the sink is back', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink, { retry: { attempts: 1 } });
      await alarms();
      sink.answer = refusing;
      await db.run("INSERT INTO t VALUES (1, 'poison')");
      await alarms();
      sink.answer = () => {
        throw new Error('down');
      };
      expect(await cdc.replay('s')).toEqual({ delivered: 0, left: 1 });
      sink.answer = () => {};
      await alarms();
      expect(shortly(sink.taken)).toEqual(['insert 1=poison']);
      expect(await cdc.deadLetters('s')).toEqual([]);
    });
  });

  it('are also what a sink names of a batch that it has taken', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink);
      await alarms();
      sink.answer = () =>
        sink.seen.length === 1 ? { failed: [{ index: 1, message: 'too large' }] } : undefined;
      await db.exec('INSERT INTO t(x) VALUES (1), (2), (3)');
      await alarms();
      await db.run('UPDATE t SET x = 4');
      await alarms();
      expect(shortly(sink.taken)).toEqual(['insert 1=1', 'insert 3=3', 'update 1=4', 'update 3=4']);
      expect((await cdc.deadLetters('s')).map(({ error, isBehind }) => [error, isBehind])).toEqual([
        ['too large', false],
        ['an earlier change of this row is a dead letter', true],
      ]);
    });
  });

  it('keep values of every kind and size, and hold only what may leave', async () => {
    await deliveryBench(async ({ db, cdc, sink, state, alarms }) => {
      const canary = 'canary-4711';
      await db.exec(
        'CREATE TABLE "it\'s a"(k BLOB, "a b" TEXT, __proto__ REAL, secret TEXT, masked TEXT, n INTEGER, PRIMARY KEY (k, "a b")) WITHOUT ROWID',
      );
      cdc.publication('p', {
        tables: {
          "it's a": { columns: ['k', 'a b', '__proto__', 'masked', 'n'], mask: { masked: { truncate: 2 } } },
        },
      });
      await cdc.deliver('s', sink, { publication: 'p', retry: { attempts: 1 }, batch: { bytes: 3_000_000 } });
      await alarms();
      sink.answer = () => {
        throw new PermanentError('no');
      };
      const insert = 'INSERT INTO "it\'s a" VALUES (?, ?, ?, ?, ?, ?)';
      await db.run(insert, [new Uint8Array([0, 255]), '', Infinity, canary, canary, 2n ** 62n]);
      await db.run(insert, [
        new Uint8Array(400_000).fill(7),
        '😀'.repeat(150_000),
        null,
        canary,
        canary,
        null,
      ]);
      await alarms();
      const letters = await cdc.deadLetters('s');
      expect(letters.map(({ event }) => event)).toEqual(
        sink.seen.at(-1) && (await cdc.read(0, { publication: 'p' })).changes,
      );
      const kept = state.storage.sql
        .exec<{ value: string }>('SELECT key || value AS value FROM __dosql_state')
        .toArray();
      expect(kept.length).toBeGreaterThan(4);
      expect(kept.some(({ value }) => value.includes(canary))).toBe(false);
      sink.answer = () => {};
      expect(await cdc.replay('s')).toEqual({ delivered: 2, left: 0 });
      expect(sink.taken).toEqual((await cdc.read(0, { publication: 'p' })).changes);
      expect(
        JSON.stringify(sink.seen, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
      ).not.toContain(canary);
    });
  });
});
