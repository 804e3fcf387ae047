import { runInDurableObject } from 'cloudflare:test';
import { createDOBackend, createMemoryBackend, createTieredBackend, type FileStore } from '@dotdo/fsx';
import { createFaultyBackend } from '@dotdo/fsx/testing';
import { expect, it, vi } from 'vitest';
import { DB, type Database } from '../src/index.ts';
import { failure, newObject } from './support/database.ts';

/** What the alarm does for tiered tables, and what comes between. */
vi.setConfig({ testTimeout: 60_000 });

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** In the future, so that alarms that are set by this clock do not go off. */
const START = Date.parse('2046-03-01T00:00:00.000Z');

interface Given {
  readonly db: Database;
  readonly clock: { now: number };
  readonly storage: DurableObjectStorage;
  readonly cold: FileStore;
}

/** A database of three days of rows, one an hour. */
function withRows(
  use: (given: Given) => Promise<void>,
  wrap = (store: FileStore): FileStore => store,
): Promise<void> {
  const clock = { now: START };
  const cold = createMemoryBackend();
  return runInDurableObject(newObject(), async (_, { storage }) => {
    const db = await DB('test', {
      storage: createTieredBackend(createDOBackend(storage), wrap(cold), {}),
      clock: () => clock.now,
      history: { keep: '9000d' },
    });
    await db.exec('CREATE TABLE r(id INTEGER PRIMARY KEY, v INTEGER, at INTEGER)');
    for (let hour = 72; hour > 0; hour--)
      await db.run('INSERT INTO r(v, at) VALUES (?, ?)', [hour, START - hour * HOUR]);
    await use({ db, clock, storage, cold });
  });
}

const tiers = { column: 'at', hotFor: '1d' } as const;
const ALL = 'SELECT count(*) AS n, count(DISTINCT id) AS d, sum(v) AS v FROM r';
const WHOLE = { n: 72, d: 72, v: (72 * 73) / 2 };

/** When the timer of passes is due, in ms. */
function dueAt(storage: DurableObjectStorage): number | null {
  const sql = "SELECT at FROM __dosql_timer WHERE name = 'dosql:tier'";
  return storage.sql.exec<{ at: number }>(sql).toArray()[0]?.at ?? null;
}

it('does the same once, twice, late and at the same time', async () => {
  await withRows(async ({ db, clock, storage, cold }) => {
    await db.tier('r', tiers);
    await Promise.all([db.alarm(), db.alarm(), db.tierPass(), db.alarm()]);
    const [status] = await db.tierStatus();
    expect(status).toMatchObject({ coldRows: 48, files: 2, waiting: { files: 0 }, problem: undefined });
    const { files } = await cold.list();
    expect(files.length).toBe(2);
    expect(await db.get(ALL)).toEqual(WHOLE);
    expect(dueAt(storage)).toBeLessThanOrEqual(clock.now + HOUR);
    clock.now += 30 * DAY;
    await Promise.all([db.alarm(), db.alarm()]);
    await db.alarm();
    expect((await db.tierStatus())[0]?.coldRows).toBe(71);
    expect(await db.get(ALL)).toEqual(WHOLE);
  });
});

it('goes on for a day without the cold store, asking seldom, and catches up', async () => {
  let isDown = true;
  let calls = 0;
  const wrap = (store: FileStore): FileStore => {
    const down = createFaultyBackend(store, { rates: { before: 1 } });
    return new Proxy(store, {
      get:
        (_, name: keyof FileStore) =>
        (...args: never[]) => {
          calls++;
          const to = isDown ? down : store;
          return (to[name] as (...args: never[]) => unknown).apply(to, args);
        },
    });
  };
  await withRows(async ({ db, clock, storage, cold }) => {
    await db.tier('r', tiers);
    const until = clock.now + DAY;
    let alarms = 0;
    for (; clock.now < until; alarms++) {
      const at = dueAt(storage) as number;
      expect(at).toBeGreaterThan(clock.now - 1);
      clock.now = Math.max(clock.now, at);
      await db.alarm();
      if (alarms % 20 === 0) expect(await db.get(ALL)).toEqual(WHOLE);
      if (alarms % 50 === 0) await db.run('UPDATE r SET v = v WHERE id = ?', [1 + (alarms % 40)]);
    }
    expect(alarms).toBeLessThan(24 * 61);
    expect(calls).toBeLessThan(24 * 61 * 4);
    const [status] = await db.tierStatus();
    expect(status?.problem).toMatch(/cold store/);
    expect(status?.waiting.files).toBe(status?.files);
    expect(status?.waiting.files).toBeGreaterThan(0);
    expect((await cold.list()).files).toEqual([]);
    isDown = false;
    for (let i = 0; i < 4; i++) {
      clock.now += 2 * HOUR;
      await db.alarm();
    }
    expect(await db.tierStatus()).toMatchObject([{ waiting: { files: 0 }, problem: undefined }]);
    expect(await db.get(ALL)).toEqual(WHOLE);
    expect((await createDOBackend(storage).list()).files).toEqual([]);
  }, wrap);
});

it('ends by itself when nothing is tiered and nothing is left to delete', async () => {
  await withRows(async ({ db, clock, storage, cold }) => {
    await db.tier('r', tiers);
    await db.alarm();
    await db.tier('r', null);
    expect((await cold.list()).files.length).toBe(2);
    for (let i = 0; i < 3 && dueAt(storage) !== null; i++) {
      clock.now = Math.max(clock.now, dueAt(storage) as number);
      await db.alarm();
    }
    expect((await cold.list()).files).toEqual([]);
    expect(dueAt(storage)).toBeNull();
    expect(await db.get(ALL)).toEqual(WHOLE);
  });
});

it('keeps in a rollup what expires, each row once', async () => {
  let calls = 0;
  const wrap = (store: FileStore): FileStore =>
    createFaultyBackend(store, { seed: 3, rates: { before: 0.15, after: 0.15 } });
  await withRows(async ({ db, clock }) => {
    await db.exec('CREATE TABLE kept(n INTEGER, v INTEGER)');
    const rollup = { into: 'kept', select: 'SELECT count(*) AS n, sum(v) AS v FROM r' };
    await db.tier('r', { ...tiers, expireAfter: '3d', rollup });
    for (let i = 0; i < 40; i++) {
      clock.now += 3 * HOUR;
      await db.alarm();
      const pay =
        'UPDATE r SET v = v + CASE id WHEN (SELECT min(id) FROM r) THEN 1 ELSE -1 END WHERE id IN ((SELECT min(id) FROM r), (SELECT max(id) FROM r))';
      await db.run(pay).catch(() => calls++);
      const row = await db
        .get<{ n: number }>(
          'SELECT (SELECT count(*) FROM r) + (SELECT ifnull(sum(n), 0) FROM kept) AS n, (SELECT ifnull(sum(v), 0) FROM r) + (SELECT ifnull(sum(v), 0) FROM kept) AS v',
        )
        .catch(() => null);
      if (row !== null) expect(row).toEqual({ n: 72, v: WHOLE.v });
    }
    expect(await db.get('SELECT count(*) > 2 AS more FROM kept')).toEqual({ more: 1 });
  }, wrap);
});

it('runs a statement that has waited for its turn while its rows became cold', async () => {
  // The transaction begins at every point of a pass, also where that has read the rows and has not taken them away.
  for (let turns = 0; turns < 160; turns += 20)
    await withRows(async ({ db }) => {
      await db.tier('r', tiers);
      await db.tierStatus();
      const pass = db.tierPass();
      for (let i = 0; i < turns; i++) await Promise.resolve();
      const transaction = db.transaction(async (tx) => {
        await tx.run('INSERT INTO r(v) VALUES (0)');
        await scheduler.wait(10);
        await tx.run('DELETE FROM r WHERE v = 0');
      });
      for (let i = 0; i < 1_000; i++) await Promise.resolve();
      const first = async (): Promise<unknown> => {
        for await (const row of db.iterate(ALL)) return row;
        return undefined;
      };
      const reads = [db.query(ALL), db.get(ALL), db.prepare(ALL).first(), first()];
      const writes = [
        db.run('UPDATE r SET v = v + 1 WHERE id = 1'),
        db.exec('UPDATE r SET v = v + 1 WHERE id = 2; UPDATE r SET v = v + 1 WHERE id = 3'),
        db.batch([{ sql: 'UPDATE r SET v = v + 1 WHERE id = 4' }, { sql: ALL }]),
      ];
      await Promise.all([pass, transaction, ...writes]);
      for (const found of (await Promise.all(reads)).flat()) expect(found).toMatchObject({ n: 72, d: 72 });
      expect(await db.get(ALL)).toEqual({ ...WHOLE, v: WHOLE.v + 4 });
    });
});

it('writes every row that its WHERE takes, where rows become cold between looking and writing', async () => {
  for (let turns = 0; turns < 160; turns += 20)
    await withRows(async ({ db, clock }) => {
      await db.tier('r', tiers);
      await db.tierPass();
      clock.now += DAY;
      const pass = db.tierPass();
      for (let i = 0; i < turns; i++) await Promise.resolve();
      const before = db.transaction(() => scheduler.wait(5));
      const update = db.run('UPDATE r SET v = v + 1 WHERE v <> (SELECT 0)');
      const after = db.transaction(() => scheduler.wait(5));
      await Promise.all([pass, before, update, after]);
      expect((await update).changes).toBe(72);
      expect(await db.get(ALL)).toEqual({ ...WHOLE, v: WHOLE.v + 72 });
    });
});

it('gives no rowid twice, whatever has been set back, expired or written on a branch', async () => {
  await withRows(async ({ db, clock }) => {
    const lsn = db.lsn();
    await db.tier('r', tiers);
    await db.run('INSERT INTO r(v, at) VALUES (73, ?)', [clock.now]);
    clock.now += 5 * DAY;
    await db.tierPass();
    expect((await db.tierStatus())[0]?.coldRows).toBe(72);
    await db.restore({ lsn });
    expect((await db.run('INSERT INTO r(v, at) VALUES (0, ?)', [clock.now])).lastRowId).toBe(73);
    const draft = await db.branch('draft');
    await db.run('INSERT INTO r(v, at) VALUES (0, ?), (0, ?)', [clock.now, clock.now]);
    await db.run('DELETE FROM r WHERE id = 73');
    await db.tierPass();
    expect((await draft.run('INSERT INTO r(v, at) VALUES (0, 0)')).lastRowId).toBe(74);
    await db.dropBranch('draft');
    await db.tier('r', { ...tiers, expireAfter: '3650d' });
    await db.run('DELETE FROM r WHERE id > 72');
    await db.run('UPDATE r SET at = 0 WHERE id = 72');
    await db.tierPass();
    await db.run('INSERT INTO r(v, at) VALUES (0, ?)', [clock.now]);
    expect(await db.get('SELECT count(*) = count(DISTINCT id) AS ok, max(id) AS id FROM r')).toEqual({
      ok: 1,
      id: 73,
    });
  });
});

it('ends tiering beside a pass without losing what the pass makes cold', async () => {
  for (let turns = 0; turns < 12; turns += 2)
    await withRows(async ({ db }) => {
      await db.tier('r', tiers);
      const pass = db.tierPass();
      for (let i = 0; i < turns; i++) await Promise.resolve();
      await Promise.all([pass, db.tier('r', null)]);
      expect(await db.tierStatus()).toEqual([]);
      expect(await db.get(ALL)).toEqual(WHOLE);
    });
});

it('refuses what would not know of cold rows', async () => {
  await withRows(async ({ db }) => {
    await db.exec('CREATE TABLE other(id INTEGER PRIMARY KEY, n); CREATE VIEW seen AS SELECT v FROM r');
    const refused = [
      'CREATE TRIGGER t AFTER INSERT ON other BEGIN UPDATE r SET v = 0 WHERE id = NEW.n; END',
      'CREATE TRIGGER t AFTER INSERT ON other BEGIN UPDATE other SET n = (SELECT sum(v) FROM seen); END',
      'CREATE TRIGGER t AFTER INSERT ON r BEGIN DELETE FROM r WHERE at < NEW.at - 1000; END',
      'CREATE TRIGGER t AFTER INSERT ON r BEGIN INSERT INTO other(n) SELECT count(*) FROM r; END',
    ];
    const allowed = [
      'CREATE TRIGGER t AFTER UPDATE OF v ON r BEGIN UPDATE r SET at = NEW.at WHERE id = NEW.id; END',
      'CREATE TRIGGER t AFTER DELETE ON r BEGIN INSERT INTO other(n) VALUES(OLD.v); END',
    ];
    for (const sql of refused) {
      await db.exec(sql);
      expect((await failure(db.tier('r', tiers))).code, sql).toBe('FORBIDDEN');
      await db.exec('DROP TRIGGER t');
    }
    await db.tier('r', tiers);
    // What comes after is noted by the pass, which leaves the rows hot, and refused when there are cold ones.
    await db.exec(refused[0] as string);
    await db.tierPass();
    expect(await db.tierStatus()).toMatchObject([
      { coldRows: 0, problem: expect.stringContaining('trigger') as string },
    ]);
    await db.exec('DROP TRIGGER t');
    await db.tierPass();
    expect((await db.tierStatus())[0]).toMatchObject({ coldRows: 48, problem: undefined });
    for (const sql of [
      ...refused,
      'CREATE TABLE child(id REFERENCES r(id))',
      'ALTER TABLE other ADD COLUMN r REFERENCES r',
    ])
      expect((await failure(db.exec(sql))).code, sql).toBe('FORBIDDEN');
    for (const sql of allowed) {
      await db.exec(sql);
      await db.exec('DROP TRIGGER t');
    }
  });
});

it('leaves text that is no UTF-8 as it is, and all kinds of keys whole', async () => {
  await withRows(async ({ db, clock }) => {
    await db.exec('CREATE TABLE w(k, n INTEGER, at INTEGER, t TEXT, PRIMARY KEY(k, n)) WITHOUT ROWID');
    const at = clock.now - 5 * DAY;
    const keys = [
      2n ** 60n + 1n,
      -(2n ** 60n),
      '5',
      5,
      5.5,
      'a\u0000b',
      '\uFFFD',
      new Uint8Array([1, 255]),
      '1152921504606846977',
      '',
    ];
    for (const [n, k] of keys.entries())
      await db.run('INSERT INTO w VALUES (?, ?, ?, ?)', [k, n, at, "it's \u0000 \uFFFD"]);
    const sql = 'SELECT k, typeof(k), hex(k), n, hex(t) FROM w ORDER BY n';
    const before = await db.query(sql, [], { integers: 'bigint' });
    // A number is bound as a double, and 5.0 in a column of no affinity stays hot.
    await db.tier('w', tiers);
    await db.tierPass();
    expect((await db.tierStatus())[0]).toMatchObject({ coldRows: keys.length - 1, problem: undefined });
    expect(await db.query(sql, [], { integers: 'bigint' })).toEqual(before);
    await db.run('UPDATE w SET at = at');
    expect(await db.query(sql, [], { integers: 'bigint' })).toEqual(before);
    await db.run(
      "INSERT INTO w VALUES ('bad', 1, ?, CAST(x'66FF' AS TEXT)), (CAST(x'66FF' AS TEXT), 2, ?, 'good')",
      [at, at],
    );
    const hex = await db.query('SELECT hex(k) AS k, hex(t) AS t FROM w ORDER BY 1, 2');
    await db.tierPass();
    expect((await db.tierStatus())[0]?.problem).toMatch(/UTF-8/);
    expect(await db.query('SELECT hex(k) AS k, hex(t) AS t FROM w ORDER BY 1, 2')).toEqual(hex);
  });
});
