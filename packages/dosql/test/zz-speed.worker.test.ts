import { it } from 'vitest';
import { withDatabase } from './support/database.ts';

const now = async (): Promise<number> => {
  await scheduler.wait(2);
  return Date.now();
};
async function time(name: string, n: number, f: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < 300; i++) await f(i);
  const best: number[] = [];
  for (let r = 0; r < 5; r++) {
    const a = await now();
    for (let i = 0; i < n; i++) await f(i);
    best.push(((await now()) - a - 2) * 1000 / n);
  }
  console.log(name, best.map((x) => x.toFixed(1)).join(' '), 'us');
}

it('speed', { timeout: 300_000 }, () =>
  withDatabase(async (db) => {
    await db.exec(`CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c REAL, p INTEGER REFERENCES p(id)); CREATE INDEX tb ON t(b); CREATE INDEX tc ON t(c);
    CREATE TABLE u(id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
    CREATE TABLE w(id INTEGER PRIMARY KEY, a TEXT, b INTEGER);
    INSERT INTO p SELECT value, 'p' || value FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 100) SELECT value FROM n);
    INSERT INTO t SELECT value, 'a' || value, value % 100, value / 3.0, value % 100 + 1 FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 20000) SELECT value FROM n);
    INSERT INTO u SELECT value, 'a' || value, value % 100 FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 20000) SELECT value FROM n);
    INSERT INTO w SELECT value, 'a' || value, value % 100 FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 20000) SELECT value FROM n);`);
    const br = await db.branch('x');
    const N = 2000;
    const q = 'SELECT * FROM t WHERE id = ?';
    await time('main point', N, (i) => db.get(q, [(i * 7919) % 20000]));
    await time('branch point, no overlay', N, (i) => br.get(q, [(i * 7919) % 20000]));
    for (let i = 1; i < 200; i++) await br.run('UPDATE t SET b = b + 1 WHERE id = ?', [i * 10]);
    await time('branch point, overlay', N, (i) => br.get(q, [(i * 7919) % 20000]));
    await time('main by sql', N, (i) => db.get('SELECT * FROM "x/t" WHERE id = ?', [(i * 7919) % 20000]));
    await time('main update', N, (i) => db.run('UPDATE t SET c = c + 1 WHERE id = ?', [i % 500]));
    await time('branch update', N, (i) => br.run('UPDATE t SET c = c + 1 WHERE id = ?', [i % 500]));
    await time('main insert', N, () => db.run("INSERT INTO t(a, b, c, p) VALUES ('a', 1, 2, 3)"));
    await time('branch insert', N, () => br.run("INSERT INTO t(a, b, c, p) VALUES ('a', 1, 2, 3)"));
    await time('main update, read', N, async (i) => { await db.run('UPDATE t SET c = c + 1 WHERE id = ?', [i % 500]); await db.get(q, [i % 500]); });
    await time('branch update, read', N, async (i) => { await br.run('UPDATE t SET c = c + 1 WHERE id = ?', [i % 500]); await br.get(q, [i % 500]); });
    await db.run('UPDATE u SET b = b + 1 WHERE id < 100');
    await time('branch point, behind 100+', N, (i) => br.get('SELECT * FROM u WHERE id = ?', [(i * 7919) % 20000]));
    const b2 = await db.branch('y');
    await db.run('UPDATE w SET b = b + 1 WHERE id < 100');
    await time('branch y point, behind 99', N, (i) => b2.get('SELECT * FROM w WHERE id = ?', [(i * 7919) % 20000]));
    await time('branch y range, behind 99', 200, (i) => b2.query('SELECT * FROM w WHERE id BETWEEN ? AND ? + 50', [i * 7, i * 7]));
    await time('main range', 200, (i) => db.query('SELECT * FROM w WHERE id BETWEEN ? AND ? + 50', [i * 7, i * 7]));
  }));
