import { describe, expect, it } from 'vitest';
import { failure, withDatabase } from './support/database.ts';

describe('a branch that has been dropped', () => {
  it('leaves nothing to the next: its handle is not that one’s', () =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(a INTEGER PRIMARY KEY)');
      for (const name of ['other', 'same', 'same']) {
        const dropped = await db.branch('same');
        await db.dropBranch('same');
        const next = await db.branch(name);
        for (const use of [
          () => dropped.run('INSERT INTO t VALUES(1)'),
          () => dropped.query('SELECT * FROM t'),
          () => dropped.exec('CREATE TABLE u(a)'),
          () => dropped.branch('of a dropped one'),
          () => dropped.merge(name),
        ])
          expect((await failure(use)).code).toBe('NO_SUCH_BRANCH');
        expect(await next.query('SELECT * FROM t')).toEqual([]);
        await db.dropBranch(name);
      }
    }));

  it('leaves nothing to the next: what it had dropped is there', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(a INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT a FROM t; INSERT INTO t VALUES(1)',
      );
      await (await db.branch('a')).exec('DROP VIEW v');
      await db.dropBranch('a');
      const next = await db.branch('b');
      expect(await next.query('SELECT * FROM v')).toEqual([{ a: 1 }]);
    }));
});

describe('tables of a branch that are made whole', () => {
  it('are made in any order, of a branch that wrote to what refers to others first', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE team(id INTEGER PRIMARY KEY); CREATE TABLE member(id INTEGER PRIMARY KEY, team INTEGER REFERENCES team(id)); ' +
          'INSERT INTO team VALUES(1), (2); INSERT INTO member VALUES(1, 1), (2, 2)',
      );
      const a = await db.branch('a');
      await a.run('UPDATE member SET team = 2 WHERE id = 1');
      await a.run('INSERT INTO team VALUES(3)');
      const b = await a.branch('b');
      expect(await b.query('SELECT * FROM member ORDER BY id')).toEqual([
        { id: 1, team: 2 },
        { id: 2, team: 2 },
      ]);
      expect((await failure(b.run('INSERT INTO member VALUES(9, 9)'))).code).toBe('CONSTRAINT_FOREIGNKEY');
      await b.run('INSERT INTO member VALUES(3, 3)');
    }));

  it('are made in any order, once main has dropped its own', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE member(id INTEGER PRIMARY KEY, team INTEGER REFERENCES team(id)); CREATE TABLE team(id INTEGER PRIMARY KEY); ' +
          'INSERT INTO team VALUES(1); INSERT INTO member VALUES(1, 1)',
      );
      const b = await db.branch('b');
      await db.exec('DROP TABLE member; DROP TABLE team');
      await b.run('INSERT INTO member VALUES(2, 1)');
      expect(await b.query('SELECT id FROM member JOIN team USING (id)')).toEqual([{ id: 1 }]);
      expect((await failure(b.run('DELETE FROM team'))).code).toBe('CONSTRAINT_FOREIGNKEY');
    }));

  it('give the AUTOINCREMENT that main would have given', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b); INSERT INTO t(b) VALUES(1), (2), (3); DELETE FROM t WHERE a = 3',
      );
      const b = await db.branch('b');
      await db.exec('DROP TABLE t');
      await b.run('INSERT INTO t(b) VALUES(9)');
      expect(await b.query('SELECT a FROM t')).toEqual([{ a: 1 }, { a: 2 }, { a: 4 }]);
    }));
});
