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
    ['by looking each row up, when many have', 1_500, /NOT EXISTS/],
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
      expect((await db.explain(past, [lsn])).sql).toMatch(shape);
      expect(await db.asOf({ lsn }).get('SELECT count(*) AS n, sum(a) AS s, max(b) AS b FROM t')).toEqual(
        await db.get(`SELECT count(*) AS n, sum(id / 2 % 50) AS s, 'row 999' AS b FROM (${past})`, [lsn]),
      );
      expect(await db.asOf({ lsn }).query('SELECT id FROM t WHERE a = 7 ORDER BY id')).toEqual(
        copy.filter(({ a }) => a === 7).map(({ id }) => ({ id })),
      );
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
