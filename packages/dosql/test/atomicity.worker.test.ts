import { describe, expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { codeOf, request } from './support/request.ts';

describe('what fails in the middle', () => {
  it('undoes DDL with everything that DoSQL keeps about it', async () => {
    await request('ddl', async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)');
      await db.run("INSERT INTO t VALUES(1, 'one')");
      const before = db.lsn();
      const work = db.transaction(async (tx) => {
        await tx.exec(
          'ALTER TABLE t ADD COLUMN b TEXT; ALTER TABLE t RENAME COLUMN a TO c; CREATE TABLE u(x, y, z)',
        );
        await tx.run("INSERT INTO t VALUES(2, 'two', 'b')");
        await scheduler.wait(1);
        const wide = Array.from({ length: 60 }, (_, i) => `c${i} INTEGER`).join(', ');
        await tx.exec(`DROP TABLE t; CREATE TABLE t(${wide}); INSERT INTO t(c0) VALUES(1)`);
        throw new Error('undo');
      });
      expect(await codeOf(work)).toBe('Error: undo');
      expect(db.lsn()).toBe(before);
      await db.run("UPDATE t SET a = 'uno'");
      await db.exec('CREATE TABLE u(x INTEGER PRIMARY KEY); INSERT INTO u VALUES(7)');
      expect(await db.query('SELECT * FROM t')).toEqual([{ id: 1, a: 'uno' }]);
      expect(await db.asOf({ lsn: before }).query('SELECT * FROM t')).toEqual([{ id: 1, a: 'one' }]);
      expect(await db.history('u', 7)).toHaveLength(1);
      const { lsn } = await db.run('DELETE FROM u');
      expect(await db.asOf({ before: lsn }).query('SELECT * FROM u')).toEqual([{ x: 7 }]);
    });
  });

  it('ends at a later LSN with each write, which what reads in between has as well', async () => {
    await request('lsns', async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      const start = db.lsn();
      const sqls = ['INSERT INTO t VALUES (1)', 'SELECT * FROM t', 'DELETE FROM t', 'SELECT * FROM t'];
      const results = await db.batch(sqls.map((sql) => ({ sql })));
      expect(results.map(({ lsn }) => lsn - start)).toEqual([1n, 1n, 2n, 2n]);
    });
  });

  it('of several statements is all or none: exec and batch', async () => {
    await request('exec', async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      const lsn = db.lsn();
      const sql =
        'INSERT INTO t VALUES(1); CREATE TABLE u(x); INSERT INTO t VALUES(1); INSERT INTO t VALUES(2)';
      expect(await codeOf(db.exec(sql))).toBe('CONSTRAINT_UNIQUE');
      expect(
        await codeOf(db.batch([1, 2, 1, 3].map((id) => ({ sql: 'INSERT INTO t VALUES(?)', params: [id] })))),
      ).toBe('CONSTRAINT_UNIQUE');
      expect(await codeOf(db.exec('INSERT INTO t VALUES(1); SELEC; INSERT INTO t VALUES(2)'))).toBe('SYNTAX');
      expect(db.lsn()).toBe(lsn);
      expect(await db.query("SELECT name FROM sqlite_schema WHERE name = 'u'")).toEqual([]);
      expect(await db.query('SELECT * FROM t')).toEqual([]);
    });
  });
});

describe('a deferred foreign key that is violated at the end', () => {
  const setUp = `CREATE TABLE parent(id INTEGER PRIMARY KEY);
    CREATE TABLE child(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE strict(id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent(id));
    INSERT INTO parent VALUES(1); INSERT INTO child VALUES(1, 1)`;
  const ways: Record<string, (db: Database) => Promise<unknown>> = {
    'a statement': (db) => db.run('INSERT INTO child VALUES(2, 99)'),
    'a delete': (db) => db.run('DELETE FROM parent'),
    exec: (db) => db.exec('INSERT INTO child VALUES(2, 99); INSERT INTO child VALUES(3, 1)'),
    batch: (db) => db.batch([{ sql: 'INSERT INTO child VALUES(2, 99)' }]),
    transaction: (db) =>
      db.transaction(async (tx) => {
        await tx.run('INSERT INTO child VALUES(2, 99)');
        await scheduler.wait(1);
        await tx.run('INSERT INTO child VALUES(3, 1)');
      }),
    pragma: (db) => db.exec('PRAGMA defer_foreign_keys = ON; INSERT INTO strict VALUES(1, 99)'),
    'db.sql': async (db) => db.sql.exec('INSERT INTO child VALUES(2, 99)'),
    transactionSync: async (db) =>
      db.storage.transactionSync(() => db.sql.exec('INSERT INTO child VALUES(2, 99)')),
    prepare: (db) => db.prepare('INSERT INTO child VALUES(2, 99)').run(),
    'a table dropped': (db) => db.exec('DROP TABLE parent'),
  };

  it.each(Object.entries(ways))('undoes it and leaves the object alive: %s', async (name, way) => {
    await request(`deferred ${name}`, async (db) => {
      await db.exec(setUp);
      const lsn = db.lsn();
      expect(await codeOf(way(db))).toBe('CONSTRAINT_FOREIGNKEY');
      expect(db.lsn()).toBe(lsn);
    });
    await request(`deferred ${name}`, async (db) => {
      expect(await db.query('SELECT * FROM child')).toEqual([{ id: 1, parent: 1 }]);
      expect(await db.query('SELECT * FROM parent')).toEqual([{ id: 1 }]);
      await db.transaction(async (tx) => {
        await tx.run('INSERT INTO child VALUES(2, 2)');
        await tx.run('INSERT INTO parent VALUES(2)');
      });
      expect(await db.query('SELECT * FROM child')).toHaveLength(2);
    });
  });
});
