import { describe, expect, it } from 'vitest';
import { runInDurableObject } from 'cloudflare:test';
import { DB, type Database, type KeyValue, type Row } from '../src/index.ts';
import { Engine } from '../src/engine.ts';
import { blame, type Blame } from '../src/history/blame.ts';
import { failure, newObject, withDatabase } from './support/database.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

const START = Date.UTC(2030, 0, 1);

/** Blame as an engine of its own on the same storage gives it. */
async function blameOf(storage: DurableObjectStorage, table: string, key: KeyValue): Promise<Blame[]> {
  const engine = new Engine(storage, undefined);
  engine.log.open(0);
  engine.catalog.load();
  await engine.loadHistory();
  return blame(engine, table, key);
}

describe('one row’s history', () => {
  it('names the transaction of each version', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v)');
      await db.run('INSERT INTO t VALUES (1, 1)');
      const one = db.lsn();
      await db.transaction(async (tx) => {
        await tx.run('UPDATE t SET v = 2');
        await tx.run('INSERT INTO t VALUES (2, 2)');
        await tx.run('UPDATE t SET v = 3');
      });
      const two = db.lsn();
      const versions = await db.history('t', 1);
      expect(versions.map(({ row, tx, op }) => [row.v, tx, op])).toEqual([
        [1, one, 'insert'],
        [2, two, 'update'],
        [3, two, 'update'],
      ]);
      expect(two).toBeGreaterThan(one);
    });
  });

  it('begins before the history kept without a change or a transaction', async () => {
    await runInDurableObject(newObject(), async (_, { storage }) => {
      storage.sql.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1)');
      const db = await DB('test', { storage });
      await db.run('UPDATE t SET v = 2');
      const [first, second] = await db.history('t', 1);
      expect(first).toMatchObject({ row: { id: 1, v: 1 }, op: undefined, tx: undefined, lsnFrom: 0n });
      expect(second).toMatchObject({ op: 'update', tx: db.lsn(), lsnTo: null });
    });
  });

  it('goes through renames of the table, of its key, and through its end', async () => {
    await withDatabase(async (db) => {
      await db.exec("CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1)");
      await db.exec(
        'UPDATE t SET v = 2; ALTER TABLE t RENAME k TO id; ALTER TABLE t RENAME TO u; UPDATE u SET v = 3',
      );
      expect((await db.history('u', 'a')).map(({ row }) => row)).toEqual([
        { k: 'a', v: 1 },
        { k: 'a', v: 2 },
        { id: 'a', v: 3 },
      ]);
      await db.exec('DROP TABLE u');
      const versions = await db.history('u', 'a');
      expect(versions).toHaveLength(3);
      expect(versions.at(-1)?.lsnTo).toBeLessThan(db.lsn());
      expect(await failure(db.history('never', 1))).toMatchObject({ code: 'NO_SUCH_TABLE' });
    });
  });

  it('keeps integers of 64 bits exact, also of the present', async () => {
    await withDatabase(async (db) => {
      const big = 9_007_199_254_740_993n;
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v INT, r REAL)');
      await db.run('INSERT INTO t VALUES (?, ?, 1e300)', [big, -big]);
      await db.run('INSERT INTO t VALUES (?, 0, 0)', [big - 1n]);
      await db.run('UPDATE t SET r = 2e300');
      for (let i = 0; i < 9; i++)
        expect((await db.history('t', big)).map(({ row }) => row)).toEqual([
          { id: big, v: -big, r: 1e300 },
          { id: big, v: -big, r: 2e300 },
        ]);
    });
  });
});

const TABLES: Record<
  string,
  { sql: string; key: (n: number) => Record<string, KeyValue & (string | number)> }
> = {
  'INTEGER PRIMARY KEY': {
    sql: 't(id INTEGER PRIMARY KEY, v, w)',
    key: (n) => ({ id: n * 3_000_000_000 - 5 }),
  },
  'TEXT PRIMARY KEY': { sql: 't(id TEXT PRIMARY KEY, v, w)', key: (n) => ({ id: `k${n}💥` }) },
  'INT PRIMARY KEY': { sql: 't(id INT PRIMARY KEY, v, w)', key: (n) => ({ id: n }) },
  'composite key': {
    sql: 't(a TEXT, b INT, v, w, PRIMARY KEY (b, a))',
    key: (n) => ({ a: `k${n % 3}`, b: n }),
  },
  'WITHOUT ROWID': { sql: 't(id TEXT PRIMARY KEY, v, w) WITHOUT ROWID', key: (n) => ({ id: `k${n}` }) },
  'composite WITHOUT ROWID': {
    sql: 't(v, a TEXT, b INT, w, PRIMARY KEY (a, b)) WITHOUT ROWID',
    key: (n) => ({ a: `k${n % 3}`, b: n }),
  },
  'rows of several log rows': {
    sql: `t(id TEXT PRIMARY KEY, v, w, ${Array.from({ length: 90 }, (_, i) => `c${i}`).join()})`,
    key: (n) => ({ id: `k${n}` }),
  },
};

/** Points at which the row was recorded, and its values then. */
interface Recorded {
  readonly lsn: number;
  readonly rows: ReadonlyMap<number, readonly [unknown, unknown]>;
}

async function liveKeys(
  db: Database,
  random: Random,
  { sql, key }: { sql: string; key: (n: number) => Record<string, string | number> },
): Promise<Recorded[]> {
  await db.exec(`CREATE TABLE ${sql}`);
  const names = Object.keys(key(0));
  const where = names.map((name) => `${name} = ?`).join(' AND ');
  const recorded: Recorded[] = [];
  for (let i = 0; i < 120; i++) {
    const [one, other] = [key(random.int(8)), key(random.int(8))];
    const value = random.chance(0.2) ? 'x'.repeat(700_000) : random.int(100);
    const statements = [
      {
        sql: `REPLACE INTO t(${names.join()}, v, w) VALUES (${names.map(() => '?').join()}, ?, ?)`,
        params: [...Object.values(one), value, i],
      },
      { sql: `UPDATE t SET v = ? WHERE ${where}`, params: [i, ...Object.values(one)] },
      { sql: `DELETE FROM t WHERE ${where}`, params: Object.values(one) },
      {
        sql: `UPDATE OR REPLACE t SET ${names.map((name) => `${name} = ?`).join()} WHERE ${where}`,
        params: [...Object.values(other), ...Object.values(one)],
      },
    ];
    await db.batch(random.some(statements).slice(0, 1 + random.int(2)));
    const rows = new Map<number, readonly [unknown, unknown]>();
    for (let n = 0; n < 8; n++) {
      const row = await db.get<Row>(`SELECT v, w FROM t WHERE ${where}`, Object.values(key(n)));
      if (row !== null) rows.set(n, [row.v, row.w]);
    }
    recorded.push({ lsn: Number(db.lsn()), rows });
  }
  return recorded;
}

describe.each(seeds(20_261_121))('seed %i', (seed) => {
  it.each(Object.keys(TABLES))(
    'points and histories by key are right without an index, with one, and as it grows: %s',
    { timeout: 60_000 },
    async (name) => {
      console.log(`history: VITE_SEED=${seed}`);
      const random = new Random(seed);
      const table = TABLES[name] as (typeof TABLES)[string];
      await withDatabase(async (db) => {
        const recorded = await liveKeys(db, random, table);
        const where = Object.keys(table.key(0))
          .map((name) => `${name} = ?`)
          .join(' AND ');
        const check = async ({ lsn, rows }: Recorded, n: number): Promise<void> => {
          const key = table.key(n);
          const sql = `SELECT v, w FROM t FOR SYSTEM_TIME AS OF LSN ? WHERE ${where}`;
          const found = await db.get<Row>(sql, [lsn, ...Object.values(key)]);
          expect(found === null ? undefined : [found.v, found.w], `${n} as of ${lsn}`).toEqual(rows.get(n));
        };
        const periods = async (): Promise<void> => {
          const names = Object.keys(table.key(0));
          for (let n = 0; n < 8; n++) {
            const [low, high] = [random.pick(recorded).lsn, random.pick(recorded).lsn];
            const period = random.pick([
              'ALL',
              `BETWEEN LSN ${low} AND ${high}`,
              `FROM LSN ${low} TO ${high}`,
            ]);
            const columns = random.pick(['v, w, _lsn_from, _lsn_to, _valid_to', 'v, w']);
            const sql = `SELECT ${columns} FROM t FOR SYSTEM_TIME ${period} WHERE`;
            const values = Object.values(table.key(n));
            const slow = names.map((name) => `+${name} = ?`).join(' AND ');
            const found = await db.query(`${sql} ${where}`, values);
            const expected = await db.query(`${sql} ${slow}`, values);
            const texts = (rows: Row[]): string[] => rows.map((row) => JSON.stringify(row)).toSorted();
            expect(texts(found), `${n}: ${sql}`).toEqual(texts(expected));
          }
        };
        const histories = async (): Promise<void> => {
          for (let n = 0; n < 8; n++) {
            const versions = await db.history(
              't',
              Object.keys(table.key(n)).length === 1
                ? (Object.values(table.key(n))[0] as string)
                : table.key(n),
            );
            for (const { lsn, rows } of recorded) {
              const held = versions.filter(
                ({ lsnFrom, lsnTo }) => lsnFrom <= lsn && (lsnTo === null || lsnTo > lsn),
              );
              expect(
                held.map(({ row }) => [row.v, row.w]),
                `${n} at ${lsn}`,
              ).toEqual(rows.has(n) ? [rows.get(n)] : []);
            }
          }
        };
        for (let i = 0; i < 60; i++) await check(random.pick(recorded.slice(60)), random.int(8));
        await histories();
        await periods();
        for (let i = 0; i < 40; i++) {
          await db.run('UPDATE t SET w = w');
          await check(random.pick(recorded), random.int(8));
        }
        await histories();
        await periods();
      });
    },
  );
});

describe('blame', () => {
  it('names the transaction that last changed each column', async () => {
    await withDatabase(async (db, { storage }) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, c BLOB)');
      await db.run("INSERT INTO t VALUES (1, 'x', 'y', x'01'), (2, 'x', 'y', x'01')");
      const inserted = db.lsn();
      await db.run('UPDATE t SET a = ? WHERE id = 1', ['z']);
      const updated = db.lsn();
      await db.run("UPDATE t SET a = a, b = 'y', c = x'01' WHERE id = 1");
      await db.exec('ALTER TABLE t ADD COLUMN d DEFAULT 5; ALTER TABLE t RENAME b TO bb');
      // Replacing a row with equal values changes nothing of it.
      await db.transaction(async (tx) => {
        await tx.run("REPLACE INTO t VALUES (1, 'z', 'new', x'01', 5)");
        await tx.run('UPDATE t SET a = a');
      });
      const replaced = db.lsn();
      const found = await blameOf(storage, 't', 1);
      expect(found.map(({ column, op, tx }) => [column, op, tx])).toEqual([
        ['id', 'insert', inserted],
        ['a', 'update', updated],
        ['bb', 'update', replaced],
        ['c', 'insert', inserted],
        ['d', 'schema', expect.anything()],
      ]);
      expect(found.map(({ value }) => value)).toEqual([1, 'z', 'new', new Uint8Array([1]), 5]);
      const added = found.at(-1)?.lsn ?? 0n;
      expect(added > updated && added < replaced).toBe(true);
      expect(found[1]?.lsn).toBe(updated);
      expect(await blameOf(storage, 't', 3)).toEqual([]);
      await db.run('DELETE FROM t WHERE id = 2');
      await db.run("INSERT INTO t VALUES (2, 'x', 'y', x'01', 5)");
      expect(new Set((await blameOf(storage, 't', 2)).map(({ lsn }) => lsn))).toEqual(new Set([db.lsn()]));
    });
  });

  it('does not know what is older than the history', async () => {
    let now = START;
    await runInDurableObject(newObject(), async (_, { storage }) => {
      storage.sql.exec('CREATE TABLE t(k TEXT PRIMARY KEY, v, w); INSERT INTO t VALUES (1, 1, 1)');
      const db = await DB('test', { storage, clock: () => now });
      now += 1_000;
      await db.run('UPDATE t SET v = 2');
      expect(
        (await blameOf(storage, 't', '1')).map(({ column, op, timestamp }) => [column, op, timestamp]),
      ).toEqual([
        ['k', undefined, undefined],
        ['v', 'update', new Date(now)],
        ['w', undefined, undefined],
      ]);
    });
  });
});
