import { createCDC, PermanentError, type Batch, type ChangeEvent, type DeliverOptions } from '@dotdo/cdc';
import { describe, expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { withDatabase } from './support/database.ts';
import { deliveryBench, Recorder, shortly } from './support/deliver.ts';
import { found } from './support/found.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

const TABLE = 'CREATE TABLE t(id INTEGER PRIMARY KEY, x)';

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one));
}

/** Refuses for good what has a row of which `x` begins with `SECRET`. */
function refusing({ events }: Batch): void {
  if (textOf(events).includes('SECRET')) throw new PermanentError('no SECRET');
}

/** The numbers of a batch's events. */
function numbered({ sequence, events, erased = [] }: Batch): [number, ChangeEvent][] {
  const numbers = Array.from({ length: events.length + erased.length }, (_, i) => sequence + i);
  const left = numbers.filter((number) => !erased.includes(number));
  return events.map((event, i) => [left[i] as number, event]);
}

describe('purging what deliveries keep', () => {
  it('removes dead letters of the rows, however large, and later changes are held back no more', async () => {
    await deliveryBench(async ({ db, cdc, sink, state, alarms }) => {
      await db.exec(TABLE);
      const delivery = await cdc.deliver('s', sink, { retry: { attempts: 1 }, batch: { bytes: 3_000_000 } });
      await alarms();
      sink.answer = refusing;
      await db.run("INSERT INTO t VALUES (1, 'SECRET'), (2, 'SECRET'), (3, 'free')");
      await db.run('UPDATE t SET x = ? WHERE id = 1', [`SECRET${'x'.repeat(1_200_000)}CANARY`]);
      await db.run("UPDATE t SET x = x || '!'");
      await alarms();
      expect((await delivery.status()).deadLetters).toBe(5);
      const { sql } = state.storage;
      expect(found(sql, 'CANARY')).toEqual(
        expect.arrayContaining([expect.stringMatching(/__dosql_state.value/)]),
      );
      expect(await db.purge('t', { where: 'id = 1' })).toMatchObject({ rows: 1, deadLetters: 3 });
      expect(found(sql, 'CANARY')).toEqual([]);
      expect(shortly((await cdc.deadLetters('s')).map(({ event }) => event))).toEqual([
        'insert 2=SECRET',
        'update 2=SECRET!',
      ]);
      expect([...sql.exec("SELECT key FROM __dosql_state WHERE key GLOB 'dead-key*'")]).toHaveLength(1);
      expect([...sql.exec("SELECT key FROM __dosql_state WHERE key GLOB 'piece:*'")]).toEqual([]);
      expect((await delivery.status()).deadLetters).toBe(2);
      await db.run("INSERT INTO t VALUES (1, 'new')");
      await db.run("UPDATE t SET x = 'held' WHERE id = 2");
      await alarms();
      expect(shortly(sink.taken)).toEqual(['insert 3=free', 'update 3=free!', 'delete 1=', 'insert 1=new']);
      expect(await cdc.replay('s')).toEqual({ delivered: 0, left: 3 });
      expect(await db.purge('t', { where: 'id = 2', keepKeys: false })).toMatchObject({ deadLetters: 3 });
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await delivery.status()).toMatchObject({ deadLetters: 0, error: undefined });
    });
  });

  it('tells of a deletion that waited behind a dead letter, by its key alone', async () => {
    await deliveryBench(async ({ db, cdc, sink, state, alarms }) => {
      await db.exec(TABLE);
      await cdc.deliver('s', sink, { retry: { attempts: 1 } });
      await alarms();
      sink.answer = refusing;
      await db.exec("INSERT INTO t VALUES (1, 'a'); UPDATE t SET x = 'SECRET'; DELETE FROM t");
      await alarms();
      expect(await cdc.deadLetters('s')).toHaveLength(2);
      expect(await db.purge('t', { where: "x = 'SECRET'" })).toMatchObject({ rows: 0, deadLetters: 2 });
      expect(found(state.storage.sql, 'SECRET')).toEqual([]);
      await db.run("INSERT INTO t VALUES (1, 'next')");
      await alarms();
      expect(sink.taken.slice(1)).toMatchObject([
        { op: 'delete', key: { id: 1 }, before: { id: 1, x: null }, after: null },
        { op: 'insert', after: { id: 1, x: 'next' } },
      ]);
      expect(await cdc.deadLetters('s')).toEqual([]);
    });
  });

  it.each(['none', 'initial'] as const)(
    'takes rows out of a batch that is sent again, whose other events keep their numbers: snapshot %s',
    async (snapshot) => {
      await deliveryBench(async ({ db, cdc, sink, state, alarms }) => {
        await db.exec(TABLE);
        const insert = (from: number): Promise<unknown> =>
          db.run('INSERT INTO t VALUES (?, ?), (?, ?), (?, ?), (?, ?)', [
            from,
            'a',
            from + 1,
            'SECRET',
            from + 2,
            'c',
            from + 3,
            'SECRET',
          ]);
        await insert(1);
        const options = { snapshot, transactions: true, ...(snapshot === 'none' ? { fromLSN: 0 } : {}) };
        await cdc.deliver('s', sink, options);
        sink.answer = () => {
          throw new Error('the answer was lost: SECRET');
        };
        await alarms(2);
        const first = sink.seen[0]?.batch as Batch;
        await db.purge('t', { where: "x = 'SECRET'" });
        expect(found(state.storage.sql, 'SECRET')).toEqual([]);
        sink.answer = () => {};
        const sent = sink.seen.length;
        await alarms();
        const again = sink.seen[sent]?.batch as Batch;
        expect([again.id, again.sequence]).toEqual([first.id, first.sequence]);
        expect(shortly(again.events).filter((text) => text.startsWith('insert'))).toEqual([
          'insert 1=a',
          'insert 3=c',
        ]);
        const before = new Map(numbered(first));
        for (const [number, event] of numbered(again)) expect(event).toEqual(before.get(number));
        expect(again.erased).toHaveLength(2);
        const rest = sink.taken.slice(again.events.length).filter((event) => 'key' in event);
        expect(shortly(rest)).toEqual(['delete 2=', 'delete 4=']);
        await insert(5);
        await alarms();
        expect(shortly(sink.taken.filter((event) => 'key' in event).slice(4))).toHaveLength(4);
      });
    },
  );

  it('a batch of nothing else is not sent again', async () => {
    await deliveryBench(async ({ db, cdc, sink, alarms }) => {
      await db.exec(TABLE);
      const delivery = await cdc.deliver('s', sink);
      await alarms();
      sink.answer = () => {
        throw new Error('down');
      };
      await db.run("INSERT INTO t VALUES (1, 'SECRET')");
      await alarms(1);
      await db.purge('t', { where: 'TRUE', keepKeys: false });
      sink.answer = () => {};
      await alarms();
      expect(sink.seen).toHaveLength(1);
      expect(await delivery.status()).toMatchObject({ failures: 0, lag: { changes: 0 } });
    });
  });

  it.each([
    ['fails', () => Promise.reject(new Error('SECRET was lost'))],
    ['refuses it for good', () => Promise.reject(new PermanentError('SECRET'))],
    ['refuses some', () => Promise.resolve({ failed: [{ index: 1, message: 'SECRET' }] })],
    ['takes it', () => Promise.resolve()],
  ])('while a sink has it and %s: nothing is kept of it or sent again', async (_, answer) => {
    for (const snapshot of ['none', 'initial'] as const)
      await deliveryBench(async ({ db, cdc, sink, state, alarms }) => {
        await db.exec(
          'CREATE TABLE t(id TEXT PRIMARY KEY, x) WITHOUT ROWID; CREATE TABLE u(id TEXT PRIMARY KEY)',
        );
        await db.run("INSERT INTO t VALUES ('a', 1), ('b SECRET', 'SECRET'), ('c', 3)");
        await cdc.deliver('s', sink, {
          snapshot,
          retry: { attempts: 1 },
          batch: { changes: 2 },
          ...(snapshot === 'none' ? { fromLSN: 0 } : {}),
        });
        let sends = 0;
        sink.answer = async ({ events }) => {
          if (!textOf(events).includes('SECRET') || sends++ > 0) return;
          await db.purge('t', { where: "x = 'SECRET'", keepKeys: false });
          return answer();
        };
        await alarms();
        expect(sends).toBe(1);
        expect(found(state.storage.sql, 'SECRET')).toEqual([]);
        expect(await cdc.deadLetters('s')).toEqual([]);
        const taken = new Set(shortly(sink.taken).filter((text) => /[ac]=/.test(text)));
        expect([...taken]).toEqual(['insert a=1', 'insert c=3']);
        expect(await db.query('SELECT count(*) AS n FROM t')).toEqual([{ n: 2 }]);
      });
  });

  it('finds letters that the log has forgotten, by their keys, by their images, or by not showing whose they are', async () => {
    let now = Date.UTC(2100, 0);
    await withDatabase(
      async (db, { storage: { sql } }) => {
        const cdc = createCDC(db);
        await db.exec(
          'CREATE TABLE t(id TEXT PRIMARY KEY, owner TEXT, x); CREATE TABLE o(id INTEGER PRIMARY KEY, owner, x)',
        );
        cdc.publication('masked', { tables: { t: { mask: { id: { hash: 'k' }, owner: 'null' } } } });
        cdc.publication('hidden', { tables: { t: { columns: ['x'] } } });
        const sink = new Recorder();
        sink.answer = ({ events }) => ({ failed: events.map((_, index) => ({ index, message: 'no' })) });
        for (const [name, options] of Object.entries<DeliverOptions>({
          plain: {},
          masked: { publication: 'masked' },
          hidden: { publication: 'hidden' },
        }))
          await cdc.deliver(name, sink, options);
        await db.run(
          "INSERT INTO t VALUES ('1', 'ann', 'SECRET 1'), ('2', 'bob', 'x'), ('3', 'ann', 'SECRET 3')",
        );
        await db.run("INSERT INTO o VALUES (1, 'ann', 'x')");
        await db.run("UPDATE t SET owner = 'ann' WHERE id = '2'");
        await db.run("UPDATE t SET owner = 'bob', x = 'SECRET 3' WHERE id = '3'");
        await db.run("DELETE FROM t WHERE id IN ('2', '3')");
        await db.run("INSERT INTO t VALUES ('4', 'cy', 'free')");
        now += 10_000;
        await db.alarm();
        now += 86_400_000;
        await db.alarm();
        await db.run("INSERT INTO t VALUES ('5', 'cy', 'free')");
        await db.alarm();
        expect((await db.earliest()).lsn).toBeGreaterThan(5n);
        const count = async (slot: string): Promise<string[]> =>
          (await cdc.deadLetters(slot)).map(({ event }) =>
            'key' in event ? `${event.op} ${textOf(event.after?.['x'])}` : '',
          );
        expect(await count('hidden')).toContain('insert "SECRET 1"');
        await db.purge('t', { where: "owner = 'ann'" });
        expect(found(sql, 'SECRET')).toEqual([]);
        expect(await count('plain')).toEqual(
          expect.arrayContaining(['insert "x"', 'insert "free"', 'insert "free"']),
        );
        // Of rows that nothing tells apart any more all go, but those that the log still knows.
        expect(await count('hidden')).toEqual(['insert "free"', 'insert "free"']);
      },
      { clock: () => now, history: { keep: '1h' } },
    );
  });

  it("a table's past goes from letters, and a batch is read again as the rows are now", async () => {
    await deliveryBench(async ({ db, cdc, sink, state, alarms }) => {
      await db.exec(TABLE);
      await db.run("INSERT INTO t VALUES (1, 'OLD'), (2, 'b')");
      await cdc.deliver('s', sink, { snapshot: 'initial' });
      await cdc.deliver('dead', sink, { fromLSN: 0, retry: { attempts: 1 } });
      sink.answer = ({ slot }) => {
        throw slot === 'dead' ? new PermanentError('no') : new Error('down');
      };
      await alarms(3);
      await db.run("UPDATE t SET x = 'now' WHERE id = 1");
      expect(await db.purge('t', { before: { lsn: db.lsn() } })).toMatchObject({ deadLetters: 2 });
      expect(found(state.storage.sql, 'OLD')).toEqual([]);
      sink.answer = () => {};
      await alarms();
      expect(shortly(sink.taken)).toEqual(['insert 1=now', 'insert 2=b', 'snapshot-end']);
    });
  });
});

const SCHEMA = `
  CREATE TABLE t(id INTEGER PRIMARY KEY, owner TEXT, body TEXT);
  CREATE TABLE doc(slug TEXT PRIMARY KEY, owner TEXT, body TEXT);
  CREATE TABLE "it's"(a TEXT COLLATE NOCASE, b, owner TEXT, body, PRIMARY KEY(a, b)) WITHOUT ROWID;
  CREATE TABLE loose(owner TEXT, body TEXT);
`;
const TABLES = ['t', 'doc', "it's", 'loose'];

/** Writes something of some owner's: keys and bodies hold the owner's name. */
async function write(random: Random, db: Database, i: number): Promise<void> {
  const owner = random.pick(['ann', 'bob', 'cy']);
  const [n, body] = [random.int(5), `${owner}-secret-${i}${random.chance(0.15) ? ' poison' : ''}`];
  const set = "owner = ?1, body = ?1 || '-secret'";
  const [sql, params] = random.pick<[string, (string | number)[]]>([
    ['INSERT OR REPLACE INTO t VALUES (?, ?, ?)', [n, owner, body]],
    ['INSERT OR REPLACE INTO doc VALUES (?, ?, ?)', [`${owner}-${n}`, owner, body]],
    [`INSERT OR REPLACE INTO "it's" VALUES (?, ?, ?, ?)`, [`${owner}-${n}`, n, owner, body]],
    ['INSERT INTO loose VALUES (?, ?)', [owner, body]],
    [`UPDATE t SET ${set} WHERE id = ?2`, [owner, n]],
    [`UPDATE OR REPLACE doc SET slug = ?1 || '-' || ?2, ${set} WHERE rowid = ?2`, [owner, n]],
    [`UPDATE OR REPLACE "it's" SET a = ?1 || '-' || ?2, ${set} WHERE b = ?2`, [owner, n]],
    ['DELETE FROM t WHERE id = ?', [n]],
    ['DELETE FROM doc WHERE rowid = ?', [n]],
    [`DELETE FROM "it's" WHERE b = ?`, [n]],
    ['DELETE FROM loose WHERE rowid = ?', [n]],
  ]);
  await db.run(sql, params);
}

/** Takes each event once, by its number, as `receive` does. */
class Receiver extends Recorder {
  readonly rows = new Map<string, unknown>();
  readonly #numbers = new Set<number>();
  /** No event that has this text may come from now on. */
  never = '\0';

  take(batch: Batch): void {
    expect(textOf(batch.events)).not.toContain(this.never);
    for (const [number, event] of numbered(batch)) {
      if (!('key' in event) || this.#numbers.has(number)) continue;
      this.#numbers.add(number);
      const at = (row: object | null): string => {
        const key = Object.fromEntries(
          Object.entries(event.key).map(([name, value]) => [
            name,
            Object.entries(row ?? {}).find(([one]) => one === name)?.[1] ?? value,
          ]),
        );
        return textOf([event.table, key]);
      };
      if (event.op !== 'insert') this.rows.delete(at(event.before));
      if (event.after !== null) this.rows.set(at(event.after), event.after);
    }
  }
}

it.each(seeds(5).flatMap((seed) => [0, 10, 20, 30].map((more) => seed + more)))(
  'whatever deliveries are at, they keep nothing of what is purged, and all else arrives (seed %i)',
  (seed) =>
    deliveryBench(async (bench) => {
      const { db, cdc, state, alarms } = bench;
      const random = new Random(seed);
      const { sql } = state.storage;
      const keepKeys = random.chance(0.5);
      await db.exec(SCHEMA);
      const branch = random.chance(0.5) ? await db.branch('b') : undefined;
      cdc.publication('masked', {
        tables: {
          t: true,
          doc: { mask: { slug: { hash: 'k' }, owner: 'null' } },
          "it's": { mask: { a: { truncate: 1 }, owner: { hash: 'k' } } },
        },
      });
      cdc.publication('hidden', {
        tables: { t: { columns: ['body'] }, doc: { columns: ['body'] }, "it's": { columns: ['b', 'body'] } },
      });
      for (let i = 0; i < 40; i++) await write(random, random.pick([db, branch ?? db]), i);
      const all: Record<string, DeliverOptions> = {
        rows: { snapshot: 'initial', tables: TABLES },
        log: { fromLSN: 0, tables: TABLES },
        masked: { snapshot: 'initial', publication: 'masked' },
        hidden: { snapshot: random.pick(['none', 'initial']), publication: 'hidden', fromLSN: 0 },
      };
      if (branch !== undefined) all['branch'] = { snapshot: 'initial', tables: TABLES };
      const sinks = new Map(Object.keys(all).map((name) => [name, new Receiver()]));
      let isKind = false;
      for (const [name, options] of Object.entries(all)) {
        const sink = sinks.get(name) as Receiver;
        sink.answer = async (batch) => {
          const fate = isKind ? 1 : random.next();
          if (fate < 0.2) throw new Error(`not taken: ${textOf(batch.events)}`);
          if (random.chance(0.3)) await scheduler.wait(0);
          const isPoison = (event: ChangeEvent): boolean => !isKind && textOf(event).includes('poison');
          if (batch.events.some(isPoison)) throw new PermanentError(`poison: ${textOf(batch.events)}`);
          sink.take(batch);
          if (fate < 0.4) throw new Error('the answer was lost');
        };
        const batch = { changes: 1 + random.int(12) };
        const line = name === 'branch' && branch !== undefined ? createCDC(branch) : cdc;
        await line.deliver(name, sink, {
          ...options,
          batch,
          retry: { attempts: 1 },
          random: () => random.next(),
        });
      }
      for (let i = 0; i < 40; i++) {
        await write(random, random.pick([db, branch ?? db]), i);
        if (random.chance(0.2)) await alarms(1 + random.int(3));
      }
      const running = alarms(random.int(6));
      if (random.chance(0.5)) await scheduler.wait(0);
      for (const table of TABLES) await db.purge(table, { where: "owner = 'ann'", keepKeys });
      for (const sink of sinks.values()) sink.never = 'ann-secret';
      await running;
      const mark = keepKeys ? 'ann-secret' : 'ann';
      const kept = [
        ...sql
          .exec("SELECT key || ' ' || value FROM __dosql_state WHERE key || value LIKE ?", `%${mark}%`)
          .raw(),
      ].flat();
      expect(kept).toEqual([]);
      expect(found(sql, mark)).toEqual([]);
      for (let i = 0; i < 10; i++) {
        await write(random, db, i);
        await db.run("UPDATE t SET owner = 'bob', body = 'bob' WHERE owner = 'ann'");
        if (random.chance(0.2)) await alarms(1 + random.int(3));
      }
      for (const sink of sinks.values()) sink.never = '\0';
      isKind = true;
      bench.now += 3_600_000;
      await alarms();
      for (const name of Object.keys(all)) {
        await (name === 'branch' && branch !== undefined ? createCDC(branch) : cdc).replay(name);
        await alarms();
        expect(await cdc.deadLetters(name)).toEqual([]);
      }
      expect([...sql.exec("SELECT key FROM __dosql_state WHERE key GLOB 'dead-key*'")]).toEqual([]);
      for (const [name, line] of [
        ['rows', db],
        ['log', db],
        ['branch', branch],
      ] as const) {
        if (line === undefined) continue;
        const rows = [...(sinks.get(name) as Receiver).rows.values()].map((row) => textOf(row));
        const expected: string[] = [];
        for (const table of TABLES)
          for (const row of await line.query(`SELECT * FROM "${table}"`)) expected.push(textOf(row));
        // Of what has gone without a word the receiver may have some.
        const known = keepKeys ? rows : expected.filter((row) => rows.includes(row));
        expect(known.toSorted(), name).toEqual(expected.toSorted());
      }
    }),
);
