import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { expect, it, vi } from 'vitest';
import { DB, restore, type Database, type TierOptions } from '../src/index.ts';
import { failure, newObject } from './support/database.ts';

vi.setConfig({ testTimeout: 60_000 });

const DAY = 86_400_000;
const START = Date.parse('2026-03-01T00:00:00.000Z');
const TIER = { column: 'at', hotFor: '1d', partitionBy: ['type'], sortBy: ['sensor'] } as const;
const TYPES = ['co2', 'temperature', 'humidity'];
const EVERY = 'SELECT * FROM readings ORDER BY id';

let objects = 0;

interface World {
  readonly db: Database;
  readonly clock: { now: number };
  readonly prefix: string;
  /** The paths in the cold store, each without what makes it unlike others. */
  readonly paths: () => Promise<string[]>;
}

/** Five days of readings, of three types alternately, one every hour, and a clock that stands two days after. */
function withReadings(use: (world: World) => Promise<void>, type = 'TEXT'): Promise<void> {
  const clock = { now: START };
  const prefix = `parts-${++objects}`;
  return runInDurableObject(newObject(), async (_, { storage }) => {
    const db = await DB('test', {
      storage: { hot: storage, cold: env.BUCKET, coldPrefix: prefix },
      clock: () => clock.now,
      history: { keep: '900d' },
    });
    await db.exec(
      `CREATE TABLE readings(id INTEGER PRIMARY KEY, sensor TEXT, type ${type}, value REAL, at INTEGER); CREATE INDEX readings_at ON readings(at)`,
    );
    for (let hour = 0; hour < 120; hour++) await insert(db, TYPES[hour % 3] ?? null, hour);
    await insert(db, 'co2', 10_000);
    clock.now = START + 7 * DAY;
    const paths = async (): Promise<string[]> => {
      const listed = await env.BUCKET.list({ prefix: `${prefix}/tables/readings-1/data/` });
      return listed.objects.map(({ key }) => key.split('/').slice(4, -1).join('/'));
    };
    await use({ db, clock, prefix, paths });
  });
}

async function insert(db: Database, type: SqlStorageValue | bigint, hour: number): Promise<void> {
  const bound = typeof type === 'bigint' ? type.toString() : type;
  const mark = typeof type === 'bigint' ? 'CAST(? AS INTEGER)' : '?';
  await db.run(`INSERT INTO readings(sensor, type, value, at) VALUES ('a', ${mark}, ?, ?)`, [
    bound,
    hour + 0.5,
    START + hour * 3_600_000,
  ]);
}

async function pass(db: Database): Promise<void> {
  expect((await db.tierPass()).more).toBe(false);
  expect((await db.tierStatus())[0]?.problem).toBeUndefined();
}

/** How many files a query reads. */
async function filesRead(db: Database, where: string): Promise<number | undefined> {
  return (await db.explain(`SELECT count(*) FROM readings WHERE ${where}`)).files?.files.read;
}

const day = (n: number): string => new Date(START + n * DAY).toISOString().slice(0, 10);

it('puts the rows of each value and day into a file of their own, in folders that say so', async () => {
  await withReadings(async ({ db, paths }) => {
    const queries = [
      EVERY,
      'SELECT type, count(*), sum(value), min(at) FROM readings GROUP BY type ORDER BY type',
      "SELECT * FROM readings WHERE type IN ('co2', 'humidity') AND value < 50 ORDER BY id",
      'SELECT r.id FROM readings r JOIN readings s ON s.id = r.id + 3 AND s.type = r.type ORDER BY 1',
    ];
    const before = [];
    for (const sql of queries) before.push(await db.query(sql));
    await db.tier('readings', TIER);
    expect(await db.tierPass()).toEqual({ rows: 120, files: 15, moved: 15, expired: 0, more: false });
    const after = [];
    for (const sql of queries) after.push(await db.query(sql));
    expect(after).toEqual(before);
    const folders = TYPES.toSorted().flatMap((type) =>
      [0, 1, 2, 3, 4].map((n) => `type=${type}/day=${day(n)}`),
    );
    expect(await paths()).toEqual(folders);
    expect(await filesRead(db, "type = 'co2'")).toBe(5);
    expect(await filesRead(db, `type IN ('co2', 'humidity') AND at < ${START + DAY}`)).toBe(2);
    expect(await filesRead(db, "type = 'none'")).toBe(0);
    expect(await filesRead(db, 'type IS NULL')).toBe(0);
    expect(await filesRead(db, "type > 'i'")).toBe(5);
  });
});

it('takes every value: NULL, empty and long text, numbers, blobs, and what no path may have', async () => {
  const values = [
    null,
    '',
    '..',
    '.',
    'a/b',
    'a\\b',
    '%2F',
    '%252e',
    'a=b',
    'ü €',
    '👩‍🚀',
    'x'.repeat(999),
    '€'.repeat(999),
    '__HIVE_DEFAULT_PARTITION__',
    '5',
    5n,
    5.5,
    2n ** 60n + 1n,
    new Uint8Array([0, 255]).buffer,
    'a\u0000b',
  ];
  await withReadings(async ({ db, paths }) => {
    for (const [i, value] of values.entries())
      for (const _ of [1, 2]) await insert(db, value, -100 + i * 0.01);
    await insert(db, null, 10_000);
    const typed = 'SELECT id, typeof(type) AS t, quote(type) AS type FROM readings ORDER BY id';
    const before = await db.query(typed);
    await db.tier('readings', TIER);
    await pass(db);
    const [status] = await db.tierStatus();
    expect(status).toMatchObject({ coldRows: 120 + 2 * values.length, files: 15 + values.length });
    expect(await db.query(typed)).toEqual(before);
    const old = (await paths()).filter((path) => path.endsWith(day(-5)));
    expect(old).toHaveLength(values.length);
    for (const path of old) expect(path).toMatch(/^type=[^/\\]{0,60}\/day=[\d-]+$/);
    const nulls = old.filter((path) => path.includes('type=__HIVE_DEFAULT_PARTITION__/'));
    expect(nulls).toHaveLength(2);
    expect(old).toContain(`type=${encodeURIComponent('ü €')}/day=${day(-5)}`);
    expect(old).toContain(`type=a_b/day=${day(-5)}`);
    expect(await filesRead(db, 'type IS NULL')).toBe(1);
    expect(await filesRead(db, 'type IS NOT NULL')).toBe(15 + values.length - 1);
    await db.run("UPDATE readings SET value = 0 WHERE type = 'a/b'");
    await db.tier('readings', null);
    expect(await db.query(typed)).toEqual(before);
  }, '');
});

it('follows rows that come late, change, go and get another value, and puts together what is of one value', async () => {
  await withReadings(async ({ db, clock, paths }) => {
    await db.tier('readings', TIER);
    await pass(db);
    const lsn = db.lsn();
    const then = await db.query(EVERY);
    await db.run("UPDATE readings SET type = 'co2' WHERE type = 'humidity' AND at < ?", [START + DAY]);
    await db.run(
      "INSERT INTO readings(id, type, value, at) VALUES (2, 'no', 1, 0) ON CONFLICT(id) DO UPDATE SET type = 'upserted'",
    );
    await db.run("DELETE FROM readings WHERE type = 'temperature' AND at >= ?", [START + 4 * DAY]);
    await insert(db, 'temperature', 49.5);
    await insert(db, null, 49.5);
    await insert(db, 'co2', 10_001);
    const now = await db.query(EVERY);
    await pass(db);
    expect(await db.query(EVERY)).toEqual(now);
    expect(await db.asOf({ lsn }).query(EVERY)).toEqual(then);
    clock.now += 2 * 3_600_000;
    await pass(db);
    expect(await paths()).toEqual(
      [
        ...TYPES.flatMap((type) => [0, 1, 2, 3, 4].map((n) => `type=${type}/day=${day(n)}`)),
        `type=__HIVE_DEFAULT_PARTITION__/day=${day(2)}`,
        `type=upserted/day=${day(0)}`,
      ]
        .filter((path) => path !== `type=humidity/day=${day(0)}` && path !== `type=temperature/day=${day(4)}`)
        .toSorted(),
    );
    const draft = await db.branch('draft');
    await draft.run("UPDATE readings SET type = 'drafted' WHERE type = 'co2' AND at < ?", [START + DAY]);
    expect(await db.query(EVERY)).toEqual(now);
    await db.merge('draft');
    await db.dropBranch('draft');
    await pass(db);
    expect(await db.get("SELECT count(*) AS n FROM readings WHERE type = 'drafted'")).toEqual({ n: 16 });
    const { rows } = await db.purge('readings', { where: "type = 'drafted'" });
    expect(rows).toBe(16);
    await pass(db);
    expect(await paths()).not.toContain(`type=drafted/day=${day(0)}`);
    expect((await db.query(EVERY)).length).toBe(now.length - 16);
  });
});

it('expires a day with all of its values at once, and sums them up together', async () => {
  await withReadings(async ({ db, clock }) => {
    await db.exec('CREATE TABLE days(day INTEGER PRIMARY KEY, n INTEGER, total REAL)');
    const select = `SELECT at / ${DAY} AS day, count(*) AS n, sum(value) AS total FROM readings GROUP BY day`;
    const sums = await db.query(`${select} ORDER BY day LIMIT 3`);
    await db.tier('readings', { ...TIER, expireAfter: '5d', rollup: { into: 'days', select } });
    clock.now = START + 8 * DAY;
    await pass(db);
    expect(await db.query('SELECT * FROM days ORDER BY day')).toEqual(sums);
    expect(await db.tierStatus()).toMatchObject([{ files: 6, coldRows: 48 }]);
  });
});

it('does not cut what would be too many files, nor by values that are too large to be noted', async () => {
  await withReadings(async ({ db, clock, paths }) => {
    for (let i = 0; i < 98; i++) await insert(db, `t-${i}`, 50);
    for (let i = 0; i < 97; i++) await insert(db, `t-${i}`, 30);
    await insert(db, 'x'.repeat(1_001), 5);
    await insert(db, 'co2', 10_001);
    const before = await db.query(EVERY);
    await db.tier('readings', TIER);
    await pass(db);
    const of = async (n: number): Promise<string[]> =>
      (await paths()).filter((path) => path.endsWith(day(n)));
    expect(await of(0)).toEqual([
      `partition=${day(0)}`,
      ...TYPES.toSorted().map((type) => `type=${type}/day=${day(0)}`),
    ]);
    expect(await of(1)).toHaveLength(100);
    expect(await of(2)).toEqual([`partition=${day(2)}`]);
    expect(await filesRead(db, `type = 't-5' AND at >= ${START + DAY}`)).toBe(2);
    // What comes late has one value too many for the day, another has not.
    await insert(db, 'late', 31);
    await insert(db, 'co2', 5);
    await insert(db, 'co2', 10_002);
    await pass(db);
    clock.now += 2 * 3_600_000;
    await pass(db);
    expect(await of(0)).toHaveLength(4);
    expect(await of(1)).toHaveLength(101);
    const rows = await db.query(EVERY);
    expect(rows.filter(({ id }) => before.some((row) => row['id'] === id))).toEqual(before);
    expect(rows).toHaveLength(before.length + 3);
  });
});

it('reads files as they were cut when the policy has become another', async () => {
  await withReadings(async ({ db, clock, paths }) => {
    const tier = { column: 'at', hotFor: '1d' };
    const before = await db.query(EVERY);
    clock.now = START + 3 * DAY;
    await db.tier('readings', tier);
    await pass(db);
    clock.now = START + 4 * DAY;
    await db.tier('readings', { ...tier, partition: 'hour', partitionBy: ['type', 'sensor'] });
    await pass(db);
    clock.now = START + 7 * DAY;
    await db.tier('readings', { ...tier, partition: 'month', partitionBy: ['type'] });
    await pass(db);
    await db.tier('readings', { ...tier, partitionBy: ['type'] });
    await pass(db);
    expect(await db.query(EVERY)).toEqual(before);
    const all = await paths();
    expect(all.slice(0, 2)).toEqual([`partition=${day(0)}`, `partition=${day(1)}`]);
    expect(all).toContain(`type=co2/sensor=a/hour=${day(2)}T00`);
    expect(await filesRead(db, "type = 'co2' AND sensor = 'a'")).toBe(2 + 8 + 2);
    await db.run("UPDATE readings SET value = -1 WHERE type = 'co2'");
    await pass(db);
    expect(await db.query("SELECT * FROM readings WHERE type <> 'co2' ORDER BY id")).toEqual(
      before.filter(({ type }) => type !== 'co2'),
    );
  });
});

it('goes by columns as they are: generated, renamed, of any case; those it is cut by stay', async () => {
  await withReadings(async ({ db, paths }) => {
    await db.exec('ALTER TABLE readings ADD COLUMN "a kind" TEXT AS (substr(type, 1, 1) || \'?\') VIRTUAL');
    const before = await db.query(EVERY);
    await db.tier('readings', { ...TIER, partitionBy: ['A Kind'] });
    await pass(db);
    expect(await db.query(EVERY)).toEqual(before);
    expect(await paths()).toContain(`a%20kind=c%3F/day=${day(0)}`);
    for (const sql of ['DROP COLUMN "a kind"', 'RENAME COLUMN "a kind" TO kind']) {
      const { code, message } = await failure(db.exec(`ALTER TABLE readings ${sql}`));
      expect(code).toBe('FORBIDDEN');
      expect(message).toContain('"A Kind" is a column that it is tiered by');
    }
    await db.tier('readings', { ...TIER, partitionBy: [] });
    await db.exec(
      'ALTER TABLE readings RENAME COLUMN type TO category; ALTER TABLE readings DROP COLUMN "a kind"',
    );
    expect(await filesRead(db, "category = 'co2'")).toBe(5);
    await db.run("UPDATE readings SET category = 'other' WHERE category = 'co2' AND at < ?", [START + DAY]);
    await pass(db);
    expect((await db.query(EVERY)).length).toBe(before.length);
  });
});

it('comes back from a backup as it was, and is cut on', async () => {
  await withReadings(async ({ db, clock, prefix }) => {
    await db.tier('readings', TIER);
    await pass(db);
    await insert(db, null, 49.5);
    await db.run("UPDATE readings SET type = 'co2' WHERE id = 2");
    await db.backup();
    const before = await db.query(EVERY);
    await runInDurableObject(newObject(), async (_, { storage }) => {
      await restore({ storage, from: { bucket: env.BUCKET, prefix } });
      const again = await DB('test', {
        storage: { hot: storage, cold: env.BUCKET, coldPrefix: prefix },
        clock: () => clock.now,
      });
      expect(await again.query(EVERY)).toEqual(before);
      expect(await filesRead(again, "type = 'humidity'")).toBe(5);
      await insert(again, 'co2', 10_001);
      await pass(again);
      expect(await again.query(`${EVERY} LIMIT 122`)).toEqual(before);
    });
  });
});

it.each<[Partial<TierOptions>, string]>([
  [{ partitionBy: 'type' as unknown as string[] }, 'tiers.readings.partitionBy'],
  [{ partitionBy: ['a', 'b', 'c', 'd', 'e'] }, 'at most 4 columns'],
  [{ partitionBy: ['type', 'TYPE'] }, 'each column once'],
  [{ partitionBy: ['At'] }, 'which tells the time'],
  [{ partitionBy: ['typ'] }, 'no column of it'],
])('refuses %j', async (options, message) => {
  await withReadings(async ({ db }) => {
    expect((await failure(db.tier('readings', { ...TIER, ...options }))).message).toContain(message);
  });
});
