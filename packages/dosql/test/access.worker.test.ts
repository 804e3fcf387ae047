import { describe, expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

const ROWS = 4_000;

async function fill(db: Database): Promise<void> {
  await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a INTEGER, b TEXT); CREATE INDEX t_a ON t(a)');
  await db.run(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO t SELECT i * 2, i % 50, 'row ' || i FROM n",
    [ROWS],
  );
}

/** Changes about so many rows in every way there is. */
async function change(db: Database, count: number): Promise<void> {
  const every = Math.floor(ROWS / count);
  await db.run('UPDATE t SET a = a + 100 WHERE id / 2 % ? = 0', [every]);
  await db.run('DELETE FROM t WHERE id / 2 % ? = 1', [every * 3]);
  await db.run('INSERT INTO t SELECT id + 1, a, b FROM t WHERE id / 2 % ? = 2', [every * 3]);
  await db.run('UPDATE t SET id = -id WHERE id / 2 % ? = 3', [every * 5]);
}

describe('the past is read', () => {
  const all = 'SELECT * FROM t ORDER BY id';
  const cases: [how: string, changes: number, shape: RegExp][] = [
    ['by the ranges between the changed keys, while few have changed', 20, /BETWEEN g\.low AND g\.high/],
    ['by looking each row up, when more have', 500, /NOT EXISTS/],
    ['by merging all rows with the changes, when most have', 3_000, /GROUP BY __dosql_key/],
  ];

  it.each(cases)('%s', async (_, changes, shape) => {
    await withDatabase(async (db) => {
      await fill(db);
      const copy = await db.query(all);
      const lsn = db.lsn();
      await change(db, changes);
      expect(await db.query(all)).not.toEqual(copy);
      const past = 'SELECT * FROM t FOR SYSTEM_TIME AS OF LSN ?';
      expect(await db.query(`${past} ORDER BY id`, [lsn])).toEqual(copy);
      const numbers = 'SELECT id, a FROM t FOR SYSTEM_TIME AS OF LSN ?';
      expect(await db.query(`${numbers} ORDER BY id`, [lsn])).toEqual(copy.map(({ id, a }) => ({ id, a })));
      expect((await db.explain(numbers, [lsn])).sql).toMatch(shape);
      expect((await db.explain(past, [lsn])).sql).toMatch(shape);
      expect(await db.asOf({ lsn }).get('SELECT count(*) AS n, sum(a) AS s, max(b) AS b FROM t')).toEqual(
        await db.get(`SELECT count(*) AS n, sum(id / 2 % 50) AS s, 'row 999' AS b FROM (${past})`, [lsn]),
      );
      expect(await db.asOf({ lsn }).query('SELECT id FROM t WHERE a = 7 ORDER BY id')).toEqual(
        copy.filter(({ a }) => a === 7).map(({ id }) => ({ id })),
      );
    });
  });

  it('by how many rows there are, where keys are no running numbers', async () => {
    await withDatabase(async (db) => {
      await fill(db);
      await db.run('UPDATE t SET id = id * 1000000000000');
      const lsn = db.lsn();
      const copy = await db.query(all);
      const past = 'SELECT * FROM t FOR SYSTEM_TIME AS OF LSN ?';
      for (const [changes, shape] of [
        [20, /BETWEEN g\.low AND g\.high/],
        [600, /NOT EXISTS/],
        [4_000, /GROUP BY __dosql_key/],
      ] as const) {
        await db.run('UPDATE t SET a = a + 1 WHERE id <= ?', [changes * 2_000_000_000_000]);
        expect((await db.explain(past, [lsn])).sql).toMatch(shape);
        expect(await db.query(`${past} ORDER BY id`, [lsn])).toEqual(copy);
      }
    });
  });

  it('with texts looked up, when all have changed and they are too large to be sorted with the changes', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, b TEXT)');
      const sizes = Array.from({ length: 600 }, (_, i) => 29_000 + i);
      await db.run("INSERT INTO t(b) SELECT replace(hex(zeroblob(value / 2)), '0', 'é') FROM json_each(?)", [
        JSON.stringify(sizes),
      ]);
      const rows = 'SELECT id, length(b) AS n, b FROM t ORDER BY id';
      const copy = await db.query(rows);
      const lsn = db.lsn();
      await db.run('UPDATE t SET b = id');
      const past = rows.replace('FROM t', 'FROM t FOR SYSTEM_TIME AS OF LSN ?');
      expect(await db.query(past, [lsn])).toEqual(copy);
      expect((await db.explain(past, [lsn])).sql).toMatch(/NOT EXISTS/);
      expect((await db.explain(past.replaceAll('b', 'id'), [lsn])).sql).toMatch(/GROUP BY __dosql_key/);
    });
  });

  it('with values as they are, whatever a condition compares them with', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(r REAL); INSERT INTO u VALUES(5)',
      );
      await db.run('INSERT INTO t(v) SELECT 5.0 FROM json_each(?)', [JSON.stringify(Array(600).fill(0))]);
      const lsn = db.lsn();
      await db.run('UPDATE t SET v = 6');
      const past = 'SELECT typeof(v) AS type FROM t FOR SYSTEM_TIME AS OF LSN ? WHERE v IN (SELECT r FROM u)';
      expect((await db.explain(past, [lsn])).sql).toMatch(/GROUP BY __dosql_key/);
      expect(await db.query(past, [lsn])).toEqual(Array.from({ length: 600 }, () => ({ type: 'real' })));
    });
  });

  it('by the table itself, where nothing has changed since', async () => {
    await withDatabase(async (db) => {
      await fill(db);
      const plan = await db.explain('SELECT * FROM t FOR SYSTEM_TIME AS OF LSN ? WHERE a = ?', [db.lsn(), 7]);
      expect(plan.sql).toBe('SELECT * FROM main."t" AS "t" WHERE a = ?2');
      expect(plan.steps.map(({ detail }) => detail)).toEqual(['SEARCH t USING INDEX t_a (a=?)']);
      expect((await failure(db.explain('SELECT * FROM nowhere'))).code).toBe('NO_SUCH_TABLE');
    });
  });
});
