import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { DB } from '../src/index.ts';
import { failure, newObject, withDatabase } from './support/database.ts';

describe("the platform's traps", () => {
  it('an unread RETURNING does not reset the object', async () => {
    const stub = newObject();
    await runInDurableObject(stub, async (_, { storage }) => {
      const db = await DB('t', { storage });
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a)');
      await db.run('INSERT INTO t(a) VALUES (1), (2), (3) RETURNING id');
      db.sql.exec('INSERT INTO t(a) VALUES (4), (5) RETURNING id');
      await db.get('INSERT INTO t(a) VALUES (6), (7) RETURNING id');
      await db.transaction(async (tx) => {
        await tx.get('INSERT INTO t(a) VALUES (8), (9) RETURNING id');
      });
    });
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (_, { storage }) => {
      expect(await (await DB('t', { storage })).get('SELECT count(*) AS n FROM t')).toEqual({ n: 9 });
    });
  });

  it('a thrown callback rolls back what it wrote, also after an await, also DDL', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a)');
      const lsn = db.lsn();
      await expect(
        db.transaction(async (tx) => {
          await tx.run('INSERT INTO t(a) VALUES (1)');
          await new Promise((resolve) => setTimeout(resolve, 5));
          await tx.exec('CREATE TABLE u(x); INSERT INTO u VALUES (1); ALTER TABLE t ADD COLUMN b');
          throw new Error('changed my mind');
        }),
      ).rejects.toThrow('changed my mind');
      expect(await db.query('SELECT * FROM t')).toEqual([]);
      expect((await failure(db.query('SELECT * FROM u'))).code).toBe('NO_SUCH_TABLE');
      expect(db.lsn()).toBe(lsn);
      await db.run('INSERT INTO t(a) VALUES (2)');
      expect((await db.history('t', 1)).map(({ row }) => row)).toEqual([{ id: 1, a: 2 }]);
    });
  });

  it('several statements in one exec are all or none', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      expect(
        (
          await failure(
            db.exec('INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); INSERT INTO t VALUES (1)'),
          )
        ).code,
      ).toBe('CONSTRAINT_UNIQUE');
      expect((await failure(db.exec('INSERT INTO t VALUES (1); INSERT INTO nowhere VALUES (2)'))).code).toBe(
        'NO_SUCH_TABLE',
      );
      expect(
        (await failure(() => db.sql.exec('INSERT INTO t VALUES (1); INSERT INTO t VALUES (1)'))).code,
      ).toBe('CONSTRAINT_UNIQUE');
      expect(await db.query('SELECT * FROM t')).toEqual([]);
    });
  });

  it('a deferred foreign key that is violated is an error, not the end of the object', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)',
      );
      expect((await failure(db.run('INSERT INTO c VALUES (1, 7)'))).code).toBe('CONSTRAINT_FOREIGNKEY');
      expect((await failure(db.transaction((tx) => tx.run('INSERT INTO c VALUES (1, 7)')))).code).toBe(
        'CONSTRAINT_FOREIGNKEY',
      );
      expect((await failure(db.batch([{ sql: 'INSERT INTO c VALUES (1, 7)' }]))).code).toBe(
        'CONSTRAINT_FOREIGNKEY',
      );
      await db.transaction(async (tx) => {
        await tx.run('INSERT INTO c VALUES (1, 7)');
        await tx.run('INSERT INTO p VALUES (7)');
      });
      expect((await failure(db.run('DELETE FROM p'))).code).toBe('CONSTRAINT_FOREIGNKEY');
      expect(await db.query('SELECT * FROM c')).toEqual([{ id: 1, p: 7 }]);
    });
  });

  it('a value that is too big is TOO_BIG, and reads and writes go on', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a)');
      expect((await failure(db.run('INSERT INTO t(a) VALUES (?)', ['x'.repeat(9_000_000)]))).code).toBe(
        'TOO_BIG',
      );
      expect((await failure(db.run('INSERT INTO t(a) VALUES (zeroblob(9000000))'))).code).toBe('TOO_BIG');
      expect((await failure(db.query(`SELECT '${'x'.repeat(200_000)}'`))).code).toBe('TOO_BIG');
      await db.run('INSERT INTO t(a) VALUES (1)');
      expect(await db.query('SELECT * FROM t')).toEqual([{ id: 1, a: 1 }]);
    });
  });

  it("DoSQL's own tables and names are out of reach", async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      const statements = [
        'SELECT * FROM __dosql_log',
        'SELECT * FROM "__DoSQL_log"',
        'SELECT * FROM [__dosql_log]',
        'SELECT * FROM `__dosql_log`',
        "SELECT * FROM '__dosql_log'",
        'SELECT * FROM main.__dosql_log',
        'SELECT 1 WHERE 1 IN __dosql_log',
        'DELETE FROM/**/__dosql_log',
        'DROP TABLE __dosql_meta',
        'DROP TRIGGER __dosql_insert_1',
        'CREATE TABLE __dosql_mine(a)',
        'ALTER TABLE t RENAME TO __dosql_t',
        'CREATE VIEW v AS SELECT * FROM __dosql_log',
        'CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM __dosql_log; END',
        "SELECT * FROM pragma_table_info('__dosql_log')",
        'PRAGMA table_info(__dosql_log)',
        'WITH a AS (SELECT * FROM __dosql_log) SELECT * FROM a',
      ];
      for (const sql of statements)
        expect([sql, (await failure(db.exec(sql))).code]).toEqual([sql, 'FORBIDDEN']);
      for (const sql of statements)
        expect([sql, (await failure(() => db.sql.exec(sql))).code]).toEqual([sql, 'FORBIDDEN']);
      expect(await db.get('SELECT \'__dosql_log\' AS text, 1 AS "not __dosql_x"')).toEqual({
        text: '__dosql_log',
        'not __dosql_x': 1,
      });
      expect(
        await db.query(
          "SELECT name, type FROM sqlite_schema WHERE substr(name, 1, 4) <> '_cf_' ORDER BY name",
        ),
      ).toEqual([{ name: 't', type: 'table' }]);
      expect(await db.query('SELECT m.name FROM sqlite_master AS m JOIN t ON 0')).toEqual([]);
      expect((await db.query('PRAGMA table_list')).map(({ name }) => name)).not.toContainEqual(
        expect.stringMatching(/^__dosql/),
      );
    });
  });

  it('changes() and last_insert_rowid() tell of the user’s statements only', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a)');
      await db.run('INSERT INTO t(a) VALUES (1), (2), (3)');
      expect(await db.get('SELECT changes() AS c, last_insert_rowid() AS l')).toEqual({ c: 3, l: 3 });
      expect(await db.run('UPDATE t SET a = 0 WHERE id < 3')).toMatchObject({ changes: 2 });
      expect(await db.get('SELECT changes() AS c, last_insert_rowid() AS l')).toEqual({ c: 2, l: 3 });
    });
  });

  it('REPLACE is logged with what it deletes, also where a trigger fires itself', async () => {
    for (const trigger of [
      '',
      'CREATE TRIGGER touch AFTER UPDATE ON t BEGIN UPDATE t SET n = n + 1 WHERE id = NEW.id; END;',
    ]) {
      await withDatabase(async (db) => {
        await db.exec(`CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, n INTEGER DEFAULT 0); ${trigger}`);
        await db.exec("INSERT INTO t(id, a) VALUES (1, 'x'), (2, 'y')");
        const lsn = db.lsn();
        await db.run("INSERT OR REPLACE INTO t(id, a) VALUES (3, 'x')");
        await db.run('UPDATE t SET a = a WHERE id = 3');
        expect(await db.query('SELECT * FROM t')).toEqual([
          { id: 2, a: 'y', n: 0 },
          { id: 3, a: 'x', n: trigger === '' ? 0 : 1 },
        ]);
        expect(await db.asOf({ lsn }).query('SELECT id, a FROM t ORDER BY id')).toEqual([
          { id: 1, a: 'x' },
          { id: 2, a: 'y' },
        ]);
        expect((await db.history('t', 1)).at(-1)?.lsnTo).not.toBeNull();
      });
    }
  });

  it('cascades nest 9 deep: the tenth level of triggers is the log’s', async () => {
    const chain = (depth: number): string =>
      Array.from({ length: depth + 1 }, (_, i) =>
        i === 0
          ? 'CREATE TABLE c0(id INTEGER PRIMARY KEY); INSERT INTO c0 VALUES (1);'
          : `CREATE TABLE c${i}(id INTEGER PRIMARY KEY, p REFERENCES c${i - 1}(id) ON DELETE CASCADE); INSERT INTO c${i} VALUES (1, 1);`,
      ).join(' ');
    await withDatabase(async (db) => {
      await db.exec(chain(9));
      await db.run('DELETE FROM c0');
      expect(await db.query('SELECT * FROM c9')).toEqual([]);
    });
    await withDatabase(async (db) => {
      await db.exec(chain(10));
      expect((await failure(db.run('DELETE FROM c0'))).message).toMatch(/nested too deep/);
      expect(await db.query('SELECT id FROM c10')).toEqual([{ id: 1 }]);
    });
  });
});
