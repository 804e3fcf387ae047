import { env } from 'cloudflare:workers';
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { expect, it } from 'vitest';
import { createCDC, DB, type Database, type DatabaseOptions } from '../src/index.ts';

/** Far enough ahead for no alarm to go off by itself while a test runs. */
const FUTURE = Date.UTC(2100, 0);
const HOUR = 3_600_000;

interface Bench {
  readonly db: Database;
  readonly storage: DurableObjectStorage;
  /** Moves the clock on. */
  readonly pass: (ms: number) => void;
  /** Runs the alarm at the time that it is set for. */
  readonly trim: () => Promise<void>;
  /** Runs alarms until the next one is not at once; returns how many rows of the log each deleted. */
  readonly trimAll: () => Promise<number[]>;
}

function bench<T>(
  name: string,
  history: DatabaseOptions['history'],
  callback: (bench: Bench) => Promise<T>,
  begin = FUTURE,
): Promise<T> {
  const stub = env.TEST.get(env.TEST.idFromName(`trimming ${name}`));
  return runInDurableObject(stub, async (_, { storage }) => {
    let now = begin;
    const db = await DB('trimming', {
      storage,
      clock: () => now,
      ...(history === undefined ? {} : { history }),
    });
    const count = (): number => Number(storage.sql.exec('SELECT count(*) AS n FROM __dosql_log').one()['n']);
    const trim = async (): Promise<void> => {
      now = Math.max(now, (await storage.getAlarm()) ?? now);
      await storage.deleteAlarm();
      expect((await db.alarm()).failed).toEqual([]);
    };
    const trimAll = async (): Promise<number[]> => {
      const steps: number[] = [];
      do {
        const before = count();
        await trim();
        steps.push(before - count());
      } while ((await storage.getAlarm()) === now);
      return steps;
    };
    return callback({ db, storage, pass: (ms) => void (now += ms), trim, trimAll });
  });
}

const rows = (db: Database, lsn: bigint): Promise<unknown> =>
  db.asOf({ lsn }).query('SELECT id FROM t ORDER BY id');

it('what is older than is kept goes, points before are HISTORY_EXPIRED, the stream is LSN_EXPIRED', async () => {
  await bench('age', { keep: '1h' }, async ({ db, pass, trimAll }) => {
    await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
    const lsns: bigint[] = [];
    for (let id = 1; id <= 10; id++) {
      lsns.push((await db.run('INSERT INTO t VALUES(?)', [id])).lsn);
      pass(HOUR / 4);
    }
    // It is 2:30 now: the change of 1:30, the seventh, is what a reader an hour back sees.
    await trimAll();
    const { lsn, timestamp } = await db.earliest();
    expect([lsn, timestamp]).toEqual([lsns[6], new Date(FUTURE + 1.5 * HOUR)]);
    expect(await rows(db, lsn)).toHaveLength(7);
    expect(await db.asOf(timestamp).query('SELECT id FROM t')).toHaveLength(7);
    expect(await db.asOf({ ago: '1h' }).query('SELECT id FROM t')).toHaveLength(7);
    const naming = expect.stringContaining(`LSN ${lsn}, ${timestamp.toISOString()}`);
    const expired = { code: 'HISTORY_EXPIRED', message: naming };
    await expect(rows(db, lsn - 1n)).rejects.toMatchObject(expired);
    await expect(db.asOf(new Date(+timestamp - 1)).query('SELECT 1')).rejects.toMatchObject({
      code: 'HISTORY_EXPIRED',
    });
    await expect(db.asOf(new Date(+timestamp - 1)).query('SELECT * FROM t')).rejects.toMatchObject(expired);
    await expect(db.query('SELECT * FROM t FOR SYSTEM_TIME AS OF LSN 1')).rejects.toMatchObject(expired);
    await expect(db.backend.read(lsn - 1n, 10)).rejects.toMatchObject({ code: 'LSN_EXPIRED' });
    const stream = createCDC(db).subscribe(lsn - 1n);
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'LSN_EXPIRED' });
    expect((await db.backend.read(lsn, 10)).entries.map((entry) => entry.lsn)).toEqual(lsns.slice(7));
  });
});

it('a log that is too large loses its oldest part as it is written, in steps', async () => {
  await bench('size', { maxBytes: 200_000 }, async ({ db, storage }) => {
    const count = (): number => Number(storage.sql.exec('SELECT count(*) AS n FROM __dosql_log').one()['n']);
    await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT)');
    const deleted: number[] = [];
    for (let i = 0; i < 100; i++) {
      const before = count();
      await db.run(
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO t(text) SELECT hex(zeroblob(50)) FROM n',
      );
      deleted.push(before + 100 - count());
    }
    expect(Math.max(...deleted)).toBeGreaterThan(0);
    expect(Math.max(...deleted)).toBeLessThanOrEqual(1_000);
    const { bytes } = storage.sql.exec('SELECT sum(octet_length(t0)) AS bytes FROM __dosql_log').one();
    expect(Number(bytes)).toBeGreaterThan(50_000);
    expect(Number(bytes)).toBeLessThan(250_000);
    const { lsn } = await db.earliest();
    expect(await rows(db, lsn)).toHaveLength(Number(lsn) - 1);
  });
});

it('a transaction goes as a whole or stays, however long it is', async () => {
  const seed = Date.now() % 1_000_000;
  console.log(`seed ${seed}`);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  await bench('whole', { keep: HOUR }, async ({ db, storage, pass, trim }) => {
    await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT)');
    const ends: { lsn: bigint; count: number }[] = [];
    let count = 0;
    for (let i = 0; i < 40; i++) {
      const size = i === 20 ? 2_500 : 1 + random(300);
      pass(random(4 * 60_000));
      await db.transaction(async (tx) => {
        const sql =
          'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO t(text) SELECT i FROM n';
        await tx.run(sql, [Math.ceil(size / 2)]);
        pass(random(60_000));
        if (size > 1) await tx.run(sql, [Math.floor(size / 2)]);
      });
      count += size;
      ends.push({ lsn: db.lsn(), count });
    }
    for (let i = 0; i < 30; i++) {
      await trim();
      pass(random(10 * 60_000));
      const { lsn: earliest } = await db.earliest();
      const kept = ends.filter(({ lsn }) => lsn >= earliest);
      // The window begins where a transaction ends, and the stream gives whole ones only.
      if (earliest > 1n) expect(kept[0]?.lsn).toBe(earliest);
      for (const { lsn, count } of [kept[0], kept[random(kept.length)], kept.at(-1)] as typeof kept)
        expect(await db.asOf({ lsn }).query('SELECT count(*) AS n FROM t')).toEqual([{ n: count }]);
      const { entries: changes } = await db.backend.read(earliest, 10_000);
      expect(new Set(changes.map(({ tx }) => tx))).toEqual(
        new Set(kept.filter(({ lsn }) => lsn > earliest).map(({ lsn }) => lsn)),
      );
      for (const { first, last } of storage.sql.exec(
        'SELECT first, last FROM __dosql_tx WHERE last > ?',
        Number(earliest),
      ))
        expect([Number(first) > Number(earliest), Number(last) > Number(first)]).toEqual([true, true]);
    }
    expect((await db.earliest()).lsn).toBe(ends.at(-2)?.lsn);
  });
});

it('LSNs go on rising when all is trimmed, and when the object comes back', async () => {
  let last = 0n;
  for (let life = 0; life < 4; life++) {
    await bench(
      'rising',
      { keep: 0 },
      async ({ db, storage, pass, trimAll }) => {
        await db.exec('CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY)');
        expect(db.lsn()).toBeGreaterThanOrEqual(last);
        for (let i = 0; i < 3; i++) {
          const { lsn } = await db.run('INSERT INTO t DEFAULT VALUES');
          expect(lsn).toBeGreaterThan(last);
          last = lsn;
          pass(1_000);
        }
        await db.run('DELETE FROM t');
        last = db.lsn();
        pass(HOUR);
        await trimAll();
        expect(storage.sql.exec('SELECT count(*) AS n FROM __dosql_log').one()).toEqual({ n: 3 });
        expect(db.lsn()).toBe(last);
        expect(await rows(db, last)).toEqual([]);
      },
      FUTURE + 10 * HOUR * life,
    );
    await evictDurableObject(env.TEST.get(env.TEST.idFromName('trimming rising')));
  }
});
