import { expect, it } from 'vitest';
import { withDatabase } from './support/database.ts';
it('view of a dropped branch', () =>
  withDatabase(async (db) => {
    await db.exec('CREATE TABLE t(a INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT a FROM t; INSERT INTO t VALUES(1)');
    const a = await db.branch('a');
    await a.exec('DROP VIEW v');
    await db.dropBranch('a');
    const b = await db.branch('b');
    expect(await b.query('SELECT * FROM v')).toEqual([{ a: 1 }]);
  }));
it('stale handle', () =>
  withDatabase(async (db) => {
    await db.exec('CREATE TABLE t(a INTEGER PRIMARY KEY)');
    const a = await db.branch('a');
    await db.dropBranch('a');
    await db.branch('b');
    await expect(a.run('INSERT INTO t VALUES(1)')).rejects.toMatchObject({ code: 'NO_SUCH_BRANCH' });
  }));
it('merge of a dropped branch with the id of another', () =>
  withDatabase(async (db) => {
    await db.exec('CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES(1, 1)');
    await db.branch('a');
    await db.run('INSERT INTO t VALUES(2, 1)');
    console.log(await db.merge('main', { into: 'a' }));
    await db.dropBranch('a');
    const b = await db.branch('b', { from: { lsn: 2 } });
    console.log(await b.query('select * from t'));
    await b.run('UPDATE t SET b = 5');
    console.log(await db.merge('b'), await db.query('SELECT * FROM t'), await db.query('SELECT 1'));
  }));
it('autoincrement of a table that main has dropped', () =>
  withDatabase(async (db) => {
    await db.exec('CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b); INSERT INTO t(b) VALUES(1), (2), (3); DELETE FROM t WHERE a = 3');
    const b = await db.branch('b');
    await db.exec('DROP TABLE t');
    await b.run('INSERT INTO t(b) VALUES(9)');
    expect(await b.query('SELECT a FROM t')).toEqual([{ a: 1 }, { a: 2 }, { a: 4 }]);
  }));
