import { env } from 'cloudflare:workers';
import { createMemoryBackend, type FileStore } from '@dotdo/fsx';
import { runInDurableObject } from 'cloudflare:test';
import { expect, it, vi } from 'vitest';
import { createCDC, DB, DoSQLError, type Database } from '../src/index.ts';
import { picture } from './support/backup.ts';
import { failure, newObject } from './support/database.ts';
import { FailingStore, type Failing } from './support/failing-store.ts';
import { Random } from './support/random.ts';
import { alarms, archivedDays, START, type Moment } from './support/recall.ts';
import { seeds } from './support/seeds.ts';

vi.setConfig({ testTimeout: 240_000 });

const HOUR = 3_600_000;
const CODES = /STORAGE_UNAVAILABLE|CORRUPT_FILE|NO_SUCH_FILE/;

/** An object whose log goes to a store, and what happens to it. */
class World {
  readonly clock = { now: START };
  readonly store: FileStore;
  readonly #stub = newObject();

  constructor(store: FileStore) {
    this.store = store;
  }

  open<T>(use: (db: Database, storage: DurableObjectStorage) => Promise<T>): Promise<T> {
    return runInDurableObject(env.TEST.get(this.#stub.id), async (_, state) => {
      const { storage } = state;
      if (this.store instanceof FailingStore) {
        this.store.isKilled = false;
        this.store.abort = () => state.abort('killed');
        this.store.sync = () => storage.sync();
      }
      const hot = { kind: 'durable-object', storage } as const;
      const db = await DB('test', {
        storage: { kind: 'tiered', hot, cold: this.store },
        clock: () => this.clock.now,
        history: { keep: '1d', archive: true },
      });
      return use(db, storage);
    });
  }

  /** Lets every lease end, and what it kept go. */
  async forget(db: Database): Promise<void> {
    this.clock.now += HOUR;
    await alarms(db, this.clock);
  }
}

/** What the window holds, and what is said of it, as text. */
function windowOf(sql: SqlStorage, after: number): string[] {
  const read = (text: string): string[] => [...sql.exec(text).raw()].map((row) => JSON.stringify(row));
  return [
    ...read(`SELECT lsn, rel, op, at, k, i0, t0, n0, b0 FROM __dosql_log WHERE lsn > ${after} ORDER BY lsn`),
    ...read(`SELECT first, last FROM __dosql_tx WHERE last > ${after} ORDER BY last`),
    ...read(
      `SELECT id, table_id, name, since, until, shape FROM __dosql_relation WHERE until IS NULL OR until > ${after} ORDER BY id`,
    ),
    ...read(
      `SELECT type, name, since, until, place FROM __dosql_object WHERE until IS NULL OR until > ${after} ORDER BY place, since`,
    ),
  ];
}

/** How many rows the table `entry` had. */
function entries({ picture }: Moment): number {
  return picture.filter((line) => line.startsWith('entry: ')).length;
}

it('wherever a recall fails or is cut off, the window is whole, and the next one completes it', async () => {
  const store = new FailingStore(createMemoryBackend());
  const world = new World(store);
  const wholes = new Map<number, string[]>();
  const days = await world.open(async (db, { sql }) => {
    const days = await archivedDays(db, sql, world.clock, 4);
    await db.exec(
      'CREATE VIEW ids AS SELECT id FROM entry; ALTER TABLE entry ADD COLUMN more; CREATE INDEX by_day ON entry(day)',
    );
    days.push(...(await again(db, sql, world.clock, 2)));
    await db.exec('DROP VIEW ids; DROP INDEX by_day');
    await db.run('UPDATE entry SET more = id');
    await world.forget(db);
    world.clock.now += 48 * HOUR;
    await world.forget(db);
    await db.recall({ lsn: 0 });
    for (let lsn = 0; lsn <= Number(db.lsn()); lsn++) wholes.set(lsn, windowOf(sql, lsn));
    return days;
  });
  // The window holds just what the log had after its beginning.
  const check = async (db: Database, { sql }: DurableObjectStorage): Promise<number> => {
    const lsn = Number((await db.earliest()).lsn);
    expect(windowOf(sql, lsn)).toEqual(wholes.get(lsn));
    for (const day of days)
      if (day.lsn >= lsn)
        expect(await db.asOf({ lsn: day.lsn }).query('SELECT * FROM entry')).toHaveLength(entries(day));
    return lsn;
  };
  const attempt = async (failing: Failing | undefined): Promise<number> => {
    let hot = 0;
    await world.open(async (db, storage) => {
      await world.forget(db);
      hot = await check(db, storage);
      expect(hot).toBeGreaterThan(Number(days[3]?.lsn));
    });
    let calls = 0;
    await world
      .open(async (db) => {
        store.begin(failing);
        try {
          await Promise.race([db.recall({ lsn: 0 }), store.killed]);
        } catch (error) {
          if (store.isKilled) throw error;
          expect(
            DoSQLError.from(error)?.code,
            `${failing?.kind} at ${failing?.call}: ${String(error)}`,
          ).toMatch(CODES);
        } finally {
          calls = store.end();
        }
      })
      .catch((error: unknown) => {
        calls = store.end();
        if (!store.isKilled) throw error;
      });
    await world.open(async (db, storage) => {
      const begun = await check(db, storage);
      if (failing !== undefined && failing.call === 1 && !failing.kind.includes('after'))
        expect(begun).toBe(hot);
      await db.run('DELETE FROM entry WHERE id = -1');
      await db.recall({ lsn: 0 });
      expect(await check(db, storage)).toBe(0);
    });
    return calls;
  };
  const calls = await attempt(undefined);
  expect(calls).toBeGreaterThan(4);
  for (const kind of ['before', 'after', 'stop', 'short-read', 'unseen', 'killed', 'killed-after'] as const)
    for (let call = 1; call <= calls; call++) await attempt({ call, kind });
});

/** Goes on where {@link archivedDays} has ended. */
async function again(
  db: Database,
  sql: SqlStorage,
  clock: { now: number },
  count: number,
): Promise<Moment[]> {
  const moments: Moment[] = [];
  for (let i = 0; i < count; i++) {
    await db.run('INSERT INTO entry(day) VALUES (?)', [`again ${i}`]);
    moments.push({ lsn: db.lsn(), ms: clock.now, picture: picture(sql) });
    clock.now += 48 * HOUR;
    await alarms(db, clock);
  }
  return moments;
}

it('a transaction that is larger than a segment comes back whole, also when it is cut off in between', async () => {
  const store = new FailingStore(createMemoryBackend());
  const world = new World(store);
  const ROWS = 120_000;
  const before = await world.open(async (db, { sql }) => {
    await db.exec('CREATE TABLE entry(id INTEGER PRIMARY KEY, v)');
    await db.run("INSERT INTO entry VALUES (0, 'first')");
    const lsn = db.lsn();
    await db.transaction(async (tx) => {
      const insert =
        'INSERT INTO entry(v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n';
      await tx.run(insert, [ROWS / 2]);
      await tx.exec('ALTER TABLE entry ADD COLUMN later');
      await tx.run(insert, [ROWS / 2]);
    });
    await db.run("INSERT INTO entry(v) VALUES ('last')");
    world.clock.now += 72 * HOUR;
    await db.run("UPDATE entry SET v = 'changed' WHERE id = 0");
    await trimmed(db, sql, world);
    return lsn;
  });
  const check = async (db: Database): Promise<void> => {
    expect(await db.asOf({ lsn: before }).query('SELECT * FROM entry')).toEqual([{ id: 0, v: 'first' }]);
    expect(await db.asOf({ lsn: before + 70_000n }).query('SELECT * FROM entry')).toEqual([
      { id: 0, v: 'first' },
    ]);
    const then = await db
      .asOf({ lsn: before + BigInt(ROWS) + 1n })
      .get('SELECT count(*) AS n, max(later) AS m FROM entry');
    expect(then).toEqual({ n: ROWS + 1, m: null });
    const { changes } = await createCDC(db).read(before, { limit: 10 ** 6 });
    expect(new Set(changes.slice(0, ROWS).map(({ tx }) => tx)).size).toBe(1);
  };
  for (const failing of [
    { call: 2, kind: 'killed' },
    { call: 3, kind: 'before' },
    { call: 3, kind: 'killed-after' },
  ] as const) {
    await world
      .open(async (db) => {
        store.begin(failing);
        try {
          await Promise.race([db.recall({ lsn: before }), store.killed]);
        } finally {
          store.end();
        }
      })
      .catch(() => store.end());
    await world.open(async (db, { sql }) => {
      // It begins after the transaction while that is not all there.
      expect((await db.earliest()).lsn).toBeGreaterThan(before + BigInt(ROWS));
      if (failing.kind !== 'killed-after') await db.recall({ lsn: before }).then(() => check(db));
      await trimmed(db, sql, world);
    });
  }
  await world.open(async (db, { sql }) => {
    await db.recall({ lsn: before });
    await check(db);
    await trimmed(db, sql, world);
    // What is there of it before the window goes with a purge.
    store.begin({ call: 3, kind: 'before' });
    expect((await failure(db.recall({ lsn: before }))).code).toBe('STORAGE_UNAVAILABLE');
    store.end();
    const count = (): number => Number(sql.exec('SELECT count(*) AS n FROM __dosql_log').one()['n']);
    expect(count()).toBeGreaterThan(10_000);
    await db.purge('entry', { where: 'id < 100000' });
    expect(count()).toBeLessThan(100_010);
    expect((await failure(db.recall({ lsn: before }))).code).toBe('HISTORY_EXPIRED');
    expect(
      sql
        .exec('SELECT count(*) AS n FROM __dosql_log WHERE lsn < ? AND n0 IS NOT NULL', Number(before) + ROWS)
        .one(),
    ).toEqual({ n: 0 });
  });
});

/** Trims everything that is old, as many steps as it takes. */
async function trimmed(db: Database, sql: SqlStorage, world: World): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await world.forget(db);
    if (Number(sql.exec('SELECT count(*) AS n FROM __dosql_log').one()['n']) < 1_000) return;
  }
  throw new Error('it is not trimmed');
}

/** A store that counts what is read, and waits where it is told to. */
function slow(): { store: FileStore; reads: string[]; wait: { before: () => Promise<void> } } {
  const memory = createMemoryBackend();
  const reads: string[] = [];
  const wait = { before: async () => {} };
  const store = new Proxy(memory, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      if (key !== 'read') return value.bind(target) as unknown;
      return async (path: string) => {
        reads.push(path);
        await wait.before();
        return target.read(path);
      };
    },
  });
  return { store, reads, wait };
}

it('who needs the same waits for the same reads, and who needs less does not wait for all', async () => {
  const { store, reads } = slow();
  const world = new World(store);
  await world.open(async (db, { sql }) => {
    const days = await archivedDays(db, sql, world.clock, 6);
    const lsns = days.map(({ lsn }) => lsn);
    for (const [first, second] of [
      [0, 0],
      [0, 4],
      [4, 0],
      [3, 1],
    ] as const) {
      await world.forget(db);
      reads.length = 0;
      const done: number[] = [];
      await Promise.all(
        [first, second].map(async (day) => {
          const lsn = lsns[day] as bigint;
          const rows = await db.asOf({ lsn }).query('SELECT * FROM entry');
          expect(rows).toHaveLength(entries(days[day] as Moment));
          done.push(day);
        }),
      );
      expect(new Set(reads).size).toBe(reads.length);
      if (first !== second) expect(done).toEqual([Math.max(first, second), Math.min(first, second)]);
    }
  });
});

it.each(seeds(77))('recalls, writes, trimming and backups go on at once (seed %i)', async (seed) => {
  console.log(`recall: VITE_SEED=${seed}`);
  const random = new Random(seed);
  const { store, wait } = slow();
  const world = new World(store);
  wait.before = () => scheduler.wait(random.int(4));
  await world.open(async (db, { sql }) => {
    const moments = await archivedDays(db, sql, world.clock, 6);
    const pause = (): Promise<void> => scheduler.wait(random.int(6));
    for (let round = 0; round < 12; round++) {
      if (random.chance(0.5)) await world.forget(db);
      else world.clock.now += random.int(8) * 60_000;
      const recall = async (): Promise<void> => {
        await pause();
        const moment = random.pick(moments);
        const rows = await db.asOf({ lsn: moment.lsn }).query('SELECT * FROM entry');
        expect(rows.length, `LSN ${moment.lsn} in round ${round}`).toBe(entries(moment));
      };
      const writer = async (): Promise<void> => {
        for (let i = 0; i < 6; i++) {
          await pause();
          await db.run('INSERT INTO entry(day) VALUES (?)', [`${round}.${i}`]);
          if (random.chance(0.4))
            await db.run('DELETE FROM entry WHERE id = (SELECT max(id) - 2 FROM entry)');
          moments.push({ lsn: db.lsn(), ms: world.clock.now, picture: picture(sql) });
        }
      };
      await Promise.all([
        recall(),
        recall(),
        recall(),
        writer(),
        pause().then(() => alarms(db, world.clock)),
        pause().then(() => db.backup()),
        pause().then(() => db.history('entry', 1)),
      ]);
    }
    await db.recall({ lsn: 0 });
    const { changes } = await createCDC(db).read(0, { limit: 10 ** 6 });
    const log = Number(
      sql.exec('SELECT count(*) AS n FROM __dosql_log WHERE rel <> 0 AND op <> 6').one()['n'],
    );
    expect(changes.length).toBeGreaterThan(100);
    expect(log).toBeGreaterThanOrEqual(changes.length);
    for (const moment of moments)
      expect(await db.asOf({ lsn: moment.lsn }).query('SELECT * FROM entry')).toHaveLength(entries(moment));
  });
});

it('what has been purged does not come back, also when it is purged while it is being recalled', async () => {
  for (const isUnderWay of [false, true]) {
    const { store, wait } = slow();
    const world = new World(store);
    await world.open(async (db, { sql }) => {
      await db.exec('CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT)');
      await db.run("INSERT INTO person VALUES (1, 'canary'), (2, 'Ada')");
      const days = await archivedDays(db, sql, world.clock, 4);
      const { lsn } = days[0] as Moment;
      const holds = (): string[] =>
        ['__dosql_log', 'person'].flatMap((table) =>
          [...sql.exec(`SELECT * FROM ${table}`).raw()]
            .map((row) => JSON.stringify(row))
            .filter((row) => row.includes('canary')),
        );
      const past = (): Promise<unknown[]> => db.asOf({ lsn }).query('SELECT * FROM person');
      if (isUnderWay) {
        let arrived = (): void => {};
        const isReading = new Promise<void>((resolve) => (arrived = resolve));
        let go = (): void => {};
        const released = new Promise<void>((resolve) => (go = resolve));
        wait.before = () => {
          arrived();
          return released;
        };
        const reading = failure(past());
        await isReading;
        await db.purge('person', { where: 'id = 1' });
        go();
        expect((await reading).code).toBe('HISTORY_EXPIRED');
      } else {
        await db.recall({ lsn: 0 });
        expect(holds()).toHaveLength(2);
        await db.purge('person', { where: 'id = 1' });
        // What is there stays there.
        expect(await past()).toEqual([{ id: 2, name: 'Ada' }]);
      }
      // What was recalled before has no canary any more, and goes to the archive again.
      const expected = isUnderWay ? 'HISTORY_EXPIRED' : JSON.stringify([{ id: 2, name: 'Ada' }]);
      const found = (): Promise<string> =>
        past().then(JSON.stringify, (error: unknown) => DoSQLError.from(error)?.code ?? '');
      expect(holds()).toEqual([]);
      for (let i = 0; i < 2; i++) {
        await world.forget(db);
        expect(await found()).toBe(expected);
        await db.backup();
        expect(holds()).toEqual([]);
      }
      world.clock.now += 48 * HOUR;
      await db.backup();
      const { files } = await store.list('');
      for (const { path } of files)
        expect(new TextDecoder('latin1').decode((await store.read(path)) as Uint8Array)).not.toContain(
          'canary',
        );
    });
  }
});

it('a store that is away, and a segment that is damaged or gone, are told of; what is hot is read as before', async () => {
  const memory = createMemoryBackend();
  const store = new FailingStore(memory);
  const world = new World(store);
  await world.open(async (db, { sql }) => {
    const days = await archivedDays(db, sql, world.clock, 4);
    const { lsn } = days[2] as Moment;
    const past = (): Promise<unknown[]> => db.asOf({ lsn }).query('SELECT * FROM entry');
    const before = await db.earliest();
    const state = (): string =>
      JSON.stringify([
        ...sql.exec('SELECT * FROM __dosql_log').raw(),
        ...sql.exec('SELECT * FROM __dosql_meta').raw(),
      ]);
    const log = state();
    store.begin({ call: 1, kind: 'stop' });
    const away = await failure(past());
    expect(away.code).toBe('STORAGE_UNAVAILABLE');
    expect(away.reason).toMatch(/^"log\/.*" cannot be read from the cold store: /);
    expect(
      await db.query('SELECT count(*) AS n FROM entry FOR SYSTEM_TIME AS OF LSN ?', [before.lsn]),
    ).toHaveLength(1);
    expect((await failure(createCDC(db).read(lsn))).code).toBe('STORAGE_UNAVAILABLE');
    await db.run("INSERT INTO entry(day) VALUES ('hot')");
    await db.run("DELETE FROM entry WHERE day = 'hot'");
    store.end();
    const { files } = await memory.list('log/');
    const path = files
      .map((file) => file.path)
      .toSorted()
      .at(-1) as string;
    const bytes = (await memory.read(path)) as Uint8Array;
    const random = new Random(9);
    expect(state()).not.toBe(log);
    const now = state();
    for (let i = 0; i < 20; i++) {
      const damaged = bytes.slice();
      const at = random.int(bytes.length);
      damaged[at] = (damaged[at] as number) ^ (1 << random.int(8));
      await memory.write(path, damaged);
      const error = await failure(past());
      expect([error.code, error.reason.includes(path)]).toEqual(['CORRUPT_FILE', true]);
      expect(state()).toBe(now);
    }
    await memory.delete(path);
    expect((await failure(past())).code).toBe('NO_SUCH_FILE');
    expect(await db.earliest()).toEqual(before);
    await memory.write(path, bytes);
    expect(await past()).toHaveLength(entries(days[2] as Moment));
  });
});
