import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { expect, it, vi } from 'vitest';
import { createCDC, DB, type Database } from '../src/index.ts';
import { failure, newObject } from './support/database.ts';

vi.setConfig({ testTimeout: 60_000 });

const DAY = 86_400_000;
const START = Date.parse('2026-03-01T00:00:00.000Z');

/** A database whose clock stands at the end of ten days of readings, one every hour of three sensors. */
function withReadings(
  use: (db: Database, clock: { now: number }) => Promise<void>,
  { cold, coldPrefix }: { cold?: R2Bucket; coldPrefix?: string } = {},
): Promise<void> {
  const clock = { now: START };
  return runInDurableObject(newObject(), async (_, { storage }) => {
    const db = await DB('test', {
      storage: cold === undefined ? storage : { hot: storage, cold, coldPrefix },
      clock: () => clock.now,
      history: { keep: '30d' },
    });
    await db.exec(
      'CREATE TABLE readings(id INTEGER PRIMARY KEY, sensor TEXT NOT NULL, value REAL, at TEXT NOT NULL, note); CREATE INDEX readings_at ON readings(at)',
    );
    for (let hour = 0; hour < 240; hour++) {
      clock.now = START + hour * 3_600_000;
      const at = new Date(clock.now).toISOString();
      await db.run('INSERT INTO readings(sensor, value, at) VALUES (?, ?, ?), (?, ?, ?), (?, ?, ?)', [
        'a',
        hour,
        at,
        'b',
        hour / 2,
        at,
        'c',
        -hour,
        at,
      ]);
    }
    clock.now = START + 10 * DAY;
    await use(db, clock);
  });
}

const tiers = { column: 'at', hotFor: '2d', sortBy: ['sensor'] } as const;

it('names the columns of a query over a view of cold rows as SQLite does', async () => {
  await withReadings(async (db) => {
    await db.exec("CREATE VIEW of_a AS SELECT * FROM readings WHERE sensor = 'a'");
    const sql = 'SELECT (SELECT count(*) FROM of_a), EXISTS (SELECT 1 FROM of_a) FROM of_a LIMIT 1';
    const before = await db.query(sql);
    await db.tier('readings', tiers);
    await db.tierPass();
    expect(await db.query(sql)).toEqual(before);
  });
});

it('makes old rows cold, and reads them as before', async () => {
  await withReadings(async (db, clock) => {
    const queries = [
      'SELECT count(*), sum(value), min(at), max(at) FROM readings',
      'SELECT sensor, count(*), avg(value) FROM readings GROUP BY sensor ORDER BY sensor',
      "SELECT substr(at, 1, 10) AS day, max(value) FROM readings WHERE sensor = 'a' GROUP BY day ORDER BY day",
      'SELECT * FROM readings ORDER BY id',
      'SELECT * FROM readings WHERE id = 5',
      "SELECT r.id, s.id FROM readings r JOIN readings s ON s.at = r.at AND s.sensor = 'b' WHERE r.sensor = 'a' AND r.at < '2026-03-03' ORDER BY 1",
      'SELECT id FROM readings WHERE value = (SELECT max(value) FROM readings)',
      "SELECT count(*) FROM readings WHERE at BETWEEN '2026-03-02' AND '2026-03-04' AND sensor IN ('a', 'c')",
      'SELECT sensor, row_number() OVER (PARTITION BY sensor ORDER BY at DESC) AS n, value FROM readings ORDER BY sensor, n LIMIT 20',
    ];
    const before = [];
    for (const sql of queries) before.push(await db.query(sql));
    await db.tier('readings', tiers);
    const pass = await db.tierPass();
    expect(pass).toMatchObject({ rows: 8 * 72, files: 8, more: false });
    const after = [];
    for (const sql of queries) after.push(await db.query(sql));
    expect(after).toEqual(before);
    expect(await db.tierStatus()).toMatchObject([{ table: 'readings', coldRows: 576, files: 8 }]);
    clock.now += DAY;
    expect(await db.tierPass()).toMatchObject({ rows: 72 });
    const again = [];
    for (const sql of queries) again.push(await db.query(sql));
    expect(again).toEqual(before);
  });
});

it('finds rows of a column that has values too large for the manifest, or none', async () => {
  await withReadings(async (db) => {
    await db.exec(
      'ALTER TABLE readings ADD COLUMN label TEXT; CREATE UNIQUE INDEX readings_label ON readings(label)',
    );
    await db.run("UPDATE readings SET label = CASE id WHEN 5 THEN ? ELSE 'short' END WHERE id IN (5, 6)", [
      'x'.repeat(2_000),
    ]);
    const queries = [
      "SELECT id FROM readings WHERE label = 'short'",
      'SELECT id FROM readings WHERE label IS NOT NULL ORDER BY id',
      "SELECT r.id FROM readings r JOIN readings s ON s.id = r.id WHERE r.label > 'w'",
      "SELECT count(*) FROM readings WHERE label IS NULL AND at < '2026-03-03'",
    ];
    const before = [];
    for (const sql of queries) before.push(await db.query(sql));
    await db.tier('readings', tiers);
    await db.tierPass();
    const after = [];
    for (const sql of queries) after.push(await db.query(sql));
    expect(after).toEqual(before);
    expect((await db.explain(queries[0] as string)).files?.files).toEqual({ total: 8, pruned: 7, read: 1 });
    const again = db.run("INSERT INTO readings(sensor, at, label) VALUES ('a', '2026-03-09', 'short')");
    expect((await failure(again)).code).toBe('CONSTRAINT_UNIQUE');
  });
});

it('writes cold rows as if they were hot', async () => {
  await withReadings(async (db) => {
    await db.tier('readings', tiers);
    await db.tierPass();
    expect((await db.run('UPDATE readings SET value = 1000 WHERE id = 1')).changes).toBe(1);
    expect(await db.get('SELECT value FROM readings WHERE id = 1')).toEqual({ value: 1000 });
    const batch = await db.batch([
      { sql: 'UPDATE readings SET note = 1 WHERE id = :id RETURNING id', params: { id: 7 } },
      { sql: 'SELECT note FROM readings WHERE id = ?', params: [7] },
      { sql: 'SELECT count(*) FROM readings' },
    ]);
    expect(batch.map(({ rows }) => rows[0])).toEqual([{ id: 7 }, { note: 1 }, { 'count(*)': 720 }]);
    expect(new Set(batch.map(({ lsn }) => lsn))).toEqual(new Set([batch[0]?.lsn]));
    expect((await db.run("DELETE FROM readings WHERE sensor = 'c' AND at < '2026-03-02'")).changes).toBe(24);
    expect(await db.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 696 });
    const error = await failure(
      db.run("INSERT INTO readings(id, sensor, value, at) VALUES (2, 'x', 0, '2026-03-10')"),
    );
    expect(error.code).toBe('CONSTRAINT_UNIQUE');
    const upsert = await db.run(
      "INSERT INTO readings(id, sensor, value, at) VALUES (4, 'x', 7, '2026-03-01') ON CONFLICT(id) DO UPDATE SET value = excluded.value",
    );
    expect(upsert.changes).toBe(1);
    expect(await db.get('SELECT sensor, value FROM readings WHERE id = 4')).toEqual({
      sensor: 'a',
      value: 7,
    });
    expect(await db.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 696 });
    await db.tierPass();
    expect(await db.get('SELECT count(*) AS n, sum(id) AS s FROM readings')).toMatchObject({ n: 696 });
  });
});

it('reads the past of rows that have become cold since', async () => {
  await withReadings(async (db, clock) => {
    await db.run('UPDATE readings SET value = 5 WHERE id = 10');
    const lsn = db.lsn();
    const then = await db.query('SELECT * FROM readings ORDER BY id');
    await db.run('UPDATE readings SET value = 6 WHERE id = 10');
    await db.run('DELETE FROM readings WHERE id = 11');
    await db.tier('readings', tiers);
    await db.tierPass();
    await db.run('UPDATE readings SET value = 7 WHERE id = 10');
    await db.run('DELETE FROM readings WHERE id = 12');
    clock.now += DAY;
    await db.tierPass();
    expect(await db.asOf({ lsn }).query('SELECT * FROM readings ORDER BY id')).toEqual(then);
    expect(
      await db.query('SELECT r.* FROM readings FOR SYSTEM_TIME AS OF LSN ? AS r, (SELECT 1) ORDER BY r.id', [
        lsn,
      ]),
    ).toEqual(then);
    expect(
      await db.query('SELECT value FROM readings FOR SYSTEM_TIME ALL WHERE id = 10 ORDER BY _lsn_from'),
    ).toMatchObject([{ value: 3 }, { value: 5 }, { value: 6 }, { value: 7 }]);
  });
});

it('reads the past of rows that were cold all the while that there was a column', async () => {
  await withReadings(async (db) => {
    await db.tier('readings', tiers);
    await db.tierPass();
    await db.exec('ALTER TABLE readings ADD COLUMN kind INTEGER DEFAULT 7');
    const lsn = db.lsn();
    const then = await db.query('SELECT * FROM readings ORDER BY id');
    await db.exec('ALTER TABLE readings DROP COLUMN kind');
    const check = async (what: string): Promise<void> => {
      const past = db.asOf({ lsn });
      expect(await past.query('SELECT * FROM readings ORDER BY id'), what).toEqual(then);
      expect(await past.query('SELECT r.* FROM readings r, (SELECT 1) ORDER BY r.id'), what).toEqual(then);
      expect(await past.get('SELECT count(*) AS n FROM readings WHERE kind = 7'), what).toEqual({ n: 720 });
    };
    const clash = db.run("INSERT INTO readings(id, sensor, at) VALUES (1, 'a', '2026-03-01')");
    expect((await failure(clash)).code).toBe('CONSTRAINT_UNIQUE');
    await check('a row is hot again, unchanged');
    await db.run('UPDATE readings SET value = -1 WHERE id = 2');
    await check('another was changed');
    await db.tierPass();
    await check('they are cold again');
    await db.tier('readings', null);
    await check('all are hot');
  });
});

it('copies files to the bucket, from which they are read', async () => {
  await withReadings(
    async (db) => {
      const before = await db.query('SELECT * FROM readings ORDER BY id');
      await db.tier('readings', tiers);
      expect(await db.tierPass()).toMatchObject({ rows: 576, moved: 8 });
      const { objects } = await env.BUCKET.list({ prefix: 'cold-test/' });
      expect(objects.length).toBe(8);
      expect(await db.query('SELECT * FROM readings ORDER BY id')).toEqual(before);
      expect(await db.tierStatus()).toMatchObject([{ waiting: { files: 0 } }]);
      const { files } = await db.explain(
        "SELECT count(*) FROM readings WHERE at >= '2026-03-02' AND at < '2026-03-03'",
      );
      expect(files).toMatchObject({ engine: 'scan', files: { total: 8, pruned: 7, read: 1 } });
    },
    { cold: env.BUCKET, coldPrefix: 'cold-test' },
  );
});

it('asks the cold store nothing for an INSERT from json_each of rows that no file can have', async () => {
  let calls = 0;
  const cold = new Proxy(env.BUCKET, {
    get(bucket, name) {
      const member: unknown = Reflect.get(bucket, name, bucket);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        calls++;
        return Reflect.apply(member, bucket, args);
      };
    },
  });
  await withReadings(
    async (db, clock) => {
      await db.exec(
        'CREATE TABLE keyed(at INTEGER, sensor TEXT, value REAL, PRIMARY KEY(at, sensor)) WITHOUT ROWID',
      );
      const insert = (rows: readonly (readonly [at: number, sensor: string, value: number])[]) =>
        db.query(
          `INSERT INTO keyed(at, sensor, value)
           SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?) WHERE true
               ON CONFLICT DO NOTHING RETURNING sensor`,
          [JSON.stringify(rows)],
        );
      for (let day = 0; day < 5; day++) await insert([[START + day * DAY, 'b', day]]);
      await db.tier('keyed', { column: 'at', hotFor: '2d' });
      expect(await db.tierPass('keyed')).toMatchObject({ rows: 5, moved: 5 });
      calls = 0;
      expect(await insert([[clock.now, 'b', 1]])).toEqual([{ sensor: 'b' }]);
      // Of the days of the files, but no sensor that they have.
      expect(await insert([[START, 'a', 1]])).toEqual([{ sensor: 'a' }]);
      expect(calls).toBe(0);
      expect(
        await insert([
          [START + DAY, 'b', 9],
          [START + 2 * DAY - 1, 'b', 9],
        ]),
      ).toEqual([{ sensor: 'b' }]);
      expect(await db.query('SELECT count(*) AS n, sum(value) AS s FROM keyed')).toEqual([{ n: 8, s: 21 }]);
    },
    { cold, coldPrefix: 'cold-keyed' },
  );
});

it('is as before to all that works on rows: streams, branches, setting back, undoing, histories, erasing', async () => {
  await withReadings(
    async (db, clock) => {
      const start = db.lsn();
      const all = await db.query('SELECT * FROM readings ORDER BY id');
      await db.run('UPDATE readings SET value = 77 WHERE id IN (2, 3)');
      const mistake = db.lsn();
      await db.tier('readings', tiers);
      await db.tierPass();
      expect(await db.tierStatus()).toMatchObject([{ coldRows: 576 }]);

      const snapshot: unknown[] = [];
      for await (const event of createCDC(db).subscribe(0n, {
        snapshot: 'only',
        tables: ['readings'],
        batch: 50,
      }))
        if ('after' in event) snapshot.push(event.after);
      expect(snapshot).toEqual(await db.query('SELECT * FROM readings ORDER BY id'));
      const some: unknown[] = [];
      const where = { readings: "sensor = 'b' AND value > 20" };
      for await (const event of createCDC(db).subscribe(0n, {
        snapshot: 'only',
        tables: ['readings'],
        where,
      }))
        if ('after' in event) some.push(event.after);
      expect(some).toEqual(
        await db.query("SELECT * FROM readings WHERE sensor = 'b' AND value > 20 ORDER BY id"),
      );

      expect((await db.history('readings', 2)).map(({ row }) => row['value'])).toEqual([0, 77]);
      expect((await db.history('readings', 40)).length).toBe(1);
      expect((await db.blame('readings', 41)).length).toBe(5);

      const draft = await db.branch('draft');
      expect(await draft.query('SELECT * FROM readings ORDER BY id')).toEqual(
        await db.query('SELECT * FROM readings ORDER BY id'),
      );
      expect(
        (await draft.run("UPDATE readings SET value = value + 1 WHERE at < '2026-03-02' AND sensor = 'a'"))
          .changes,
      ).toBe(24);
      expect((await draft.run('DELETE FROM readings WHERE id = 100')).changes).toBe(1);
      expect(
        (await failure(draft.run('INSERT INTO readings(id, sensor, at) VALUES (50, ?, ?)', ['x', 'y']))).code,
      ).toBe('CONSTRAINT_UNIQUE');
      expect(await db.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 720 });
      expect(await draft.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 719 });
      clock.now += DAY;
      await db.tierPass();
      expect(await draft.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 719 });
      expect(await db.query('SELECT count(*) AS n FROM "draft/readings"')).toEqual([{ n: 719 }]);
      expect((await db.diff('main', 'draft')).length).toBe(25);
      expect((await failure(db.exec('ALTER TABLE readings ADD COLUMN extra'))).code).toBe('FORBIDDEN');
      expect(await db.merge('draft')).toMatchObject({ merged: true, updated: 24, deleted: 1 });
      expect(await db.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 719 });
      await db.dropBranch('draft');
      await db.tierPass();

      await db.revert(mistake);
      expect(await db.get('SELECT value FROM readings WHERE id = 2')).toEqual({ value: 0 });
      await db.tierPass();
      await db.restore({ lsn: start });
      expect(await db.query('SELECT * FROM readings ORDER BY id')).toEqual(all);
      await db.tierPass();
      expect((await db.tierStatus())[0]?.coldRows).toBeGreaterThan(500);

      const report = await db.purge('readings', { where: "sensor = 'c'" });
      expect(report.rows).toBe(240);
      expect(await db.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 480 });
      const { objects } = await env.BUCKET.list({ prefix: 'cold-all/' });
      const status = await db.tierStatus();
      expect(objects.length).toBeLessThanOrEqual(status[0]?.files ?? 0);
      await db.tier('readings', null);
      expect(await db.tierStatus()).toEqual([]);
      expect(await db.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 480 });
    },
    { cold: env.BUCKET, coldPrefix: 'cold-all' },
  );
});
