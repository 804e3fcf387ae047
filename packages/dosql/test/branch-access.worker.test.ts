import { describe, expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { withDatabase } from './support/database.ts';
import { Random } from './support/random.ts';
import { rowsOf } from './support/rows-of.ts';
import { seeds } from './support/seeds.ts';

const ROWS = 6_000;
const [LEAST, MOST] = ['-9223372036854775808', '9223372036854775807'];
const IN_RANGES = /BETWEEN g\.low AND g\.high/;
const ONE_BY_ONE = /AS m WHERE NOT EXISTS/;

/** Two tables with the same rows: what a branch does to the first, main does to the other. */
async function fill(db: Database, columns: string): Promise<void> {
  for (const table of ['t', 'twin']) {
    await db.exec(`CREATE TABLE ${table}(${columns})`);
    await db.run(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
      INSERT INTO ${table}(rowid, a, b) SELECT i * 2, i % 50, 'row ' || i FROM n`,
      [ROWS],
    );
    await db.exec(
      `INSERT INTO ${table}(rowid, a, b) VALUES (${LEAST}, 1, 'least'), (-7, 2, 'negative'), (${MOST}, 3, 'most')`,
    );
  }
}

const QUERIES = [
  'SELECT count(*), sum(a), min(b), max(rowid) FROM $',
  'SELECT CAST(rowid AS TEXT), a, b FROM $',
  'SELECT a, count(*), group_concat(DISTINCT typeof(b)) FROM $ GROUP BY a HAVING count(*) > 1',
  'SELECT DISTINCT a FROM $',
];

describe.each(['id INTEGER PRIMARY KEY, a INTEGER, b TEXT', 'a INTEGER, b TEXT'])(
  'all rows of t(%s) on a branch are read',
  (columns) => {
    it.each(seeds(20_261_122))('as if there were no branch (seed %i)', async (seed) => {
      await withDatabase(async (db) => {
        const random = new Random(seed);
        await fill(db, columns);
        await db.branch('b');
        const branch = await db.checkout('b');
        const key = (): string =>
          random.chance(0.1) ? random.pick([LEAST, MOST, '-7']) : String(2 * random.int(ROWS + 1));
        for (let round = 0; round < 12; round++) {
          const [first, length] = [random.int(2 * ROWS), random.int(60)];
          const statement = random.pick([
            `UPDATE $ SET a = a + 1 WHERE rowid = ${key()}`,
            `UPDATE $ SET a = a + 1, b = NULL WHERE rowid BETWEEN ${first} AND ${first + length}`,
            `DELETE FROM $ WHERE rowid BETWEEN ${first} AND ${first + length}`,
            `DELETE FROM $ WHERE rowid = ${key()}`,
            `INSERT OR REPLACE INTO $(rowid, a, b) VALUES (${random.pick([key(), String(2 * first + 1)])}, ${round}, 'new')`,
          ]);
          await branch.run(statement.replace('$', 't'));
          await db.run(statement.replace('$', 'twin'));
          // What main does from now on, the branch does not see.
          if (random.chance(0.5))
            await db.run(`UPDATE t SET a = -a WHERE rowid BETWEEN ${first - 20} AND ${first}`);
          if (random.chance(0.3))
            await db.run('INSERT OR IGNORE INTO t(rowid, a) VALUES (?, 0)', [first + 1]);
          for (const query of QUERIES)
            expect(await rowsOf(branch, query.replace('$', 't'))).toEqual(
              await rowsOf(db, query.replace('$', 'twin')),
            );
        }
        expect((await branch.explain('SELECT sum(a) FROM t')).sql).toMatch(IN_RANGES);
      });
    });
  },
);

describe('how rows of a branch are read', () => {
  it('goes by what the statement asks for', async () => {
    await withDatabase(async (db) => {
      await fill(db, 'id INTEGER PRIMARY KEY, a INTEGER, b TEXT');
      await db.exec('CREATE VIEW v AS SELECT a, b FROM t');
      await db.branch('b');
      const branch = await db.checkout('b');
      const statement = branch.prepare('SELECT sum(a) AS s FROM t');
      const sum = async (): Promise<number> => Number((await statement.first())?.['s']);
      const text = async (sql: string): Promise<string> => (await branch.explain(sql)).sql;
      const before = await sum();
      expect(await text('SELECT sum(a) FROM t')).not.toMatch(/g\.low|NOT EXISTS/);

      await branch.run('UPDATE t SET a = a + 1 WHERE id = 2');
      expect(await sum()).toBe(before + 1);
      for (const sql of ['SELECT sum(a) FROM t', 'SELECT * FROM t', 'SELECT a, count(*) FROM t GROUP BY a'])
        expect(await text(sql)).toMatch(IN_RANGES);
      for (const sql of [
        'SELECT sum(a) FROM t WHERE a > 3',
        'SELECT a FROM t ORDER BY id DESC',
        'SELECT a FROM t LIMIT 5',
        'SELECT (SELECT a FROM t)',
        'SELECT count(*) FROM t, t AS other',
        'SELECT count(*) FROM v',
      ])
        expect(await text(sql)).toMatch(ONE_BY_ONE);

      await branch.run('UPDATE t SET a = a + 1');
      expect(await sum()).toBe(before + 1 + ROWS + 3);
    });
  });

  it('is one by one without a rowid', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id TEXT PRIMARY KEY, a) WITHOUT ROWID; INSERT INTO t VALUES ('x', 1), ('y', 2)",
      );
      await db.branch('b');
      const branch = await db.checkout('b');
      await branch.run("DELETE FROM t WHERE id = 'x'");
      expect((await branch.explain('SELECT * FROM t')).sql).toMatch(ONE_BY_ONE);
      expect(await branch.query('SELECT a FROM t')).toEqual([{ a: 2 }]);
    });
  });
});
