import { describe, expect, it } from 'vitest';
import type { ConflictError } from '../src/change/index.ts';
import { failure, withDatabase } from './support/database.ts';
import { change, schemaOf, shapeOf } from './support/history.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';
import { exactRows, tableNames } from './support/rows.ts';

describe('reverting', () => {
  it.each(seeds(21))(
    'undoes any transaction that nothing has followed, and makes it again (seed %i)',
    async (seed) => {
      await withDatabase(async (db, { storage: { sql } }) => {
        const random = new Random(seed);
        await db.exec(schemaOf(random));
        const names = tableNames(sql);
        let undone = 0;
        for (let i = 0; i < 120; i++) {
          const before = await exactRows(db, names);
          const from = db.lsn();
          await db
            .transaction(async (tx) => {
              for (let n = random.int(4); n >= 0; n--)
                await tx.run(change(random, shapeOf(sql, random.pick(names)))).catch(() => undefined);
            })
            .catch(() => undefined);
          if (db.lsn() === from || random.chance(0.4)) continue;
          const tx = db.lsn();
          const after = await exactRows(db, names);
          await db.revert(random.chance(0.5) ? tx : from + 1n);
          expect(await exactRows(db, names)).toEqual(before);
          await db.cherryPick(tx);
          expect(await exactRows(db, names)).toEqual(after);
          undone++;
        }
        expect(undone).toBeGreaterThan(20);
      });
    },
  );

  it('keeps what others have changed since, in other rows and in other cells of the same row', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES(1, 'a', 'b'), (2, 'a', 'b')",
      );
      const { lsn } = await db.run("UPDATE t SET a = 'x'");
      await db.exec("UPDATE t SET b = 'y' WHERE id = 1; INSERT INTO t VALUES(3, 'a', 'b')");
      expect(await db.revert(lsn)).toMatchObject({ inserted: 0, updated: 2, deleted: 0, lsn: db.lsn() });
      expect(await db.query('SELECT * FROM t')).toEqual([
        { id: 1, a: 'a', b: 'y' },
        { id: 2, a: 'a', b: 'b' },
        { id: 3, a: 'a', b: 'b' },
      ]);
    });
  });

  it('changes nothing where a cell has changed again, and says which', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(a TEXT, b INTEGER, c, d, PRIMARY KEY(a, b)); INSERT INTO t VALUES('k', 9007199254740993, 1, 1), ('l', 2, 1, 1)",
      );
      const { lsn } = await db.run('UPDATE t SET c = 2');
      await db.run("UPDATE t SET c = 3, d = 4 WHERE a = 'k'");
      const end = db.lsn();
      const error = (await failure(db.revert(lsn))) as ConflictError;
      expect(error.code).toBe('MERGE_CONFLICT');
      expect(error.message).toContain('"t" (a = "k", b = "9007199254740993"): c');
      const key = { a: 'k', b: 9007199254740993n };
      expect(error.conflicts).toEqual([
        {
          table: 't',
          key,
          columns: ['c'],
          base: expect.objectContaining({ ...key, c: 2, d: 1 }),
          ours: expect.objectContaining({ ...key, c: 3, d: 4 }),
          theirs: expect.objectContaining({ ...key, c: 1, d: 1 }),
        },
      ]);
      expect(db.lsn()).toBe(end);
      expect(await db.query('SELECT c FROM t')).toEqual([{ c: 3 }, { c: 2 }]);
      // What is so already is no conflict.
      await db.run("UPDATE t SET c = 1 WHERE a = 'k'");
      expect(await db.revert(lsn)).toMatchObject({ updated: 1 });
    });
  });

  it('a row that was deleted and is there again, or was inserted and has changed, is a conflict', async () => {
    await withDatabase(async (db) => {
      await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 'a')");
      const deleted = await db.run('DELETE FROM t WHERE id = 1');
      await db.run("INSERT INTO t VALUES(1, 'b')");
      const first = (await failure(db.revert(deleted.lsn))) as ConflictError;
      expect(first.conflicts).toEqual([
        {
          table: 't',
          key: { id: 1 },
          columns: ['a'],
          base: null,
          ours: { id: 1, a: 'b' },
          theirs: { id: 1, a: 'a' },
        },
      ]);
      const inserted = await db.run("INSERT INTO t VALUES(2, 'c')");
      await db.run("UPDATE t SET a = 'd' WHERE id = 2");
      const second = (await failure(db.revert(inserted.lsn))) as ConflictError;
      expect(second.conflicts).toMatchObject([
        { key: { id: 2 }, columns: ['a'], ours: { a: 'd' }, theirs: null },
      ]);
      await db.run('DELETE FROM t WHERE id = 2');
      expect(await db.revert(inserted.lsn)).toMatchObject({ inserted: 0, updated: 0, deleted: 0 });
      const updated = await db.run("UPDATE t SET a = 'e' WHERE id = 1");
      await db.run('DELETE FROM t');
      expect(((await failure(db.revert(updated.lsn))) as ConflictError).conflicts).toMatchObject([
        { key: { id: 1 }, ours: null },
      ]);
    });
  });

  it('undoing what others refer to by now is a violation, and changes nothing', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE CASCADE)',
      );
      const { lsn } = await db.run('INSERT INTO p VALUES(1), (2)');
      await db.run('INSERT INTO c VALUES(10, 1)');
      const error = await failure(db.revert(lsn));
      expect(error.code).toBe('CONSTRAINT_FOREIGNKEY');
      expect(error.message).toContain('"c" (id = 10)');
      expect(await db.query('SELECT * FROM p')).toHaveLength(2);
      expect(await db.query('PRAGMA foreign_keys')).toEqual([{ foreign_keys: 1 }]);
      expect((await failure(db.run('INSERT INTO c VALUES(11, 9)'))).code).toBe('CONSTRAINT_FOREIGNKEY');
    });
  });

  it('refuses what is no transaction of the log, and what changed the schema', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
      const { lsn } = await db.run('INSERT INTO t VALUES(1)');
      for (const [tx, code] of [
        [lsn + 1n, 'BAD_PARAMETER'],
        [0, 'HISTORY_EXPIRED'],
        [-1, 'BAD_PARAMETER'],
        [1.5, 'BAD_PARAMETER'],
        ['1' as unknown as number, 'BAD_PARAMETER'],
        [1, 'FORBIDDEN'],
      ] as const)
        expect([tx, (await failure(db.revert(tx))).code]).toEqual([
          tx,
          code === 'HISTORY_EXPIRED' ? 'BAD_PARAMETER' : code,
        ]);
      await db.exec('DROP TABLE t');
      expect((await failure(db.revert(lsn))).code).toBe('NO_SUCH_TABLE');
    });
  });
});
