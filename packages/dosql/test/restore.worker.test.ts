import { describe, expect, it } from 'vitest';
import { createCDC } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';
import { alter, change, schemaOf, shapeOf } from './support/history.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';
import { exactRows, tableNames } from './support/rows.ts';

describe('restoring', () => {
  it.each(seeds(7))(
    'sets a random history back to each of its points, and forth again (seed %i)',
    async (seed) => {
      await withDatabase(async (db, { storage: { sql } }) => {
        const random = new Random(seed);
        await db.exec(schemaOf(random));
        const names = tableNames(sql);
        const points: bigint[] = [db.lsn()];
        const live = async (count: number): Promise<void> => {
          for (let i = 0; i < count; i++) {
            await db.run(change(random, shapeOf(sql, random.pick(names)))).catch(() => undefined);
            if (random.chance(0.1)) points.push(db.lsn());
          }
        };
        await live(150);
        for (let round = 0; round < 15; round++) {
          const before = db.lsn();
          const present = await exactRows(db, names);
          const lsn = random.pick(points);
          const wanted = await exactRows(db, names, lsn);
          await db.restore({ lsn });
          expect(await exactRows(db, names)).toEqual(wanted);
          expect(await exactRows(db, names, before)).toEqual(present);
          if (random.chance(0.5)) {
            await db.restore({ lsn: before });
            expect(await exactRows(db, names)).toEqual(present);
          }
          await live(15);
        }
      });
    },
  );

  it.each(seeds(51))(
    'rows go back across changes of the schema, and keep what columns added since hold (seed %i)',
    async (seed) => {
      await withDatabase(async (db, { storage: { sql } }) => {
        const random = new Random(seed);
        await db.exec(schemaOf(random));
        const live = async (count: number): Promise<void> => {
          for (let i = 0; i < count; i++) {
            const shape = shapeOf(sql, random.pick(tableNames(sql)));
            await db
              .exec(random.chance(0.1) ? alter(random, shape) : change(random, shape))
              .catch(() => undefined);
          }
        };
        await live(60);
        const points = [db.lsn()];
        for (let round = 0; round < 12; round++) {
          await live(25);
          const lsn = random.pick(points);
          const names = tableNames(sql);
          await db.restore({ lsn });
          for (const name of names) {
            const now = shapeOf(sql, name).columns;
            const then = await db
              .asOf({ lsn })
              .query(`SELECT * FROM ${name.startsWith('plain') ? 'plain' : name}`)
              .catch(() => undefined);
            const names = Object.keys(then?.[0] ?? {}).filter(
              (column) => now.includes(column) && !column.startsWith('extra') && !column.startsWith('made'),
            );
            if (then === undefined || then.length === 0 || names.length === 0) continue;
            const pick = (rows: readonly Record<string, unknown>[]): string[] =>
              rows
                .map((row) =>
                  JSON.stringify(
                    names.map((column) => row[column]),
                    (_, value: unknown) => (value instanceof Uint8Array ? [...value] : value),
                  ),
                )
                .toSorted();
            expect(pick(await db.query(`SELECT * FROM ${name}`))).toEqual(pick(then));
          }
          points.push(db.lsn());
        }
      });
    },
  );

  it('is logged and streamed as changes of one transaction, and touches no more than has changed', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t SELECT value, 'a' FROM json_each('[1,2,3,4,5,6,7,8,9]')",
      );
      const lsn = db.lsn();
      await db.exec(
        "UPDATE t SET a = 'b' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES(10, 'c'); UPDATE t SET a = 'z' WHERE id = 3; UPDATE t SET a = 'a' WHERE id = 3",
      );
      const before = db.lsn();
      const result = await db.restore({ lsn });
      expect(result).toEqual({ changes: 3, lsn: before + 3n });
      const changes = [];
      for await (const change of createCDC(db).subscribe(before, { signal: AbortSignal.timeout(5_000) })) {
        changes.push(change);
        if (change.lsn === result.lsn) break;
      }
      expect(changes.map(({ op, key }) => [op, key])).toEqual([
        ['delete', { id: 10 }],
        ['update', { id: 1 }],
        ['insert', { id: 2 }],
      ]);
      expect(new Set(changes.map(({ tx }) => tx))).toEqual(new Set([result.lsn]));
      expect(await db.restore({ lsn })).toEqual({ changes: 0, lsn: result.lsn });
      expect(await db.restore({ before: result.lsn })).toMatchObject({ changes: 3 });
      expect(await exactRows(db, ['t'])).toEqual(await exactRows(db, ['t'], before));
    });
  });

  it('creates a dropped table again with its indexes and triggers, and empties one that is new', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE "it\'s"(a TEXT, b BLOB, n NOT NULL DEFAULT 7); CREATE UNIQUE INDEX "u 1" ON "it\'s"(a); CREATE TABLE said(what); CREATE TRIGGER tr AFTER INSERT ON "it\'s" BEGIN INSERT INTO said VALUES(NEW.a); END;' +
          "INSERT INTO \"it's\"(rowid, a, b) VALUES(5, 'x', x'00ff'), (-9223372036854775808, 'y', NULL)",
      );
      const lsn = db.lsn();
      const present = await exactRows(db, ["it's", 'said']);
      await db.exec(
        'DROP TABLE "it\'s"; CREATE TABLE fresh(id INTEGER PRIMARY KEY); INSERT INTO fresh VALUES(1)',
      );
      const before = db.lsn();
      expect(await db.restore({ lsn })).toMatchObject({ changes: 3 });
      expect(await exactRows(db, ["it's", 'said'])).toEqual(present);
      expect(await db.query('SELECT * FROM fresh')).toEqual([]);
      expect((await failure(db.run("INSERT INTO \"it's\"(a) VALUES('x')"))).code).toBe('CONSTRAINT_UNIQUE');
      await db.run("INSERT INTO \"it's\"(a) VALUES('z')");
      expect(await db.query("SELECT * FROM said WHERE what = 'z'")).toHaveLength(1);
      await db.restore({ lsn: before });
      expect(
        await db.query('SELECT (SELECT count(*) FROM fresh) AS f, (SELECT count(*) FROM "it\'s") AS i'),
      ).toEqual([{ f: 1, i: 0 }]);
    });
  });

  it('fills a table that was created anew under its name, by the names of its columns', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, gone); INSERT INTO t VALUES(1, 'a', 1), (2, 'b', 2)",
      );
      const lsn = db.lsn();
      await db.exec(
        "CREATE TABLE t2(id INTEGER PRIMARY KEY, a TEXT NOT NULL, extra INTEGER DEFAULT 5); INSERT INTO t2(id, a) SELECT id, a FROM t; DROP TABLE t; ALTER TABLE t2 RENAME TO t; DELETE FROM t WHERE id = 1; UPDATE t SET a = 'changed'",
      );
      await db.restore({ lsn });
      expect(await db.query('SELECT * FROM t')).toEqual([
        { id: 1, a: 'a', extra: 5 },
        { id: 2, a: 'b', extra: 5 },
      ]);
    });
  });

  it('columns added since keep their values, and have their defaults in rows that come back', async () => {
    await withDatabase(async (db) => {
      await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 'a'), (2, 'b')");
      const lsn = db.lsn();
      await db.exec(
        'ALTER TABLE t ADD COLUMN n INTEGER NOT NULL DEFAULT 7; ALTER TABLE t RENAME COLUMN a TO "the a"; UPDATE t SET n = 8, "the a" = \'x\' WHERE id = 1; DELETE FROM t WHERE id = 2',
      );
      await db.restore({ lsn });
      expect(await db.query('SELECT * FROM t')).toEqual([
        { id: 1, 'the a': 'a', n: 8 },
        { id: 2, 'the a': 'b', n: 7 },
      ]);
    });
  });

  it('some tables alone go back, unless their rows would no longer fit the others', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE CASCADE); CREATE TABLE o(x)',
      );
      const empty = db.lsn();
      await db.exec('INSERT INTO p VALUES(1); INSERT INTO c VALUES(1, 1), (2, 1); INSERT INTO o VALUES(1)');
      const full = db.lsn();
      await db.exec('DELETE FROM p; INSERT INTO o VALUES(2)');
      const end = db.lsn();
      const error = await failure(db.restore({ lsn: full }, { tables: ['c'] }));
      expect([error.code, error.message]).toEqual([
        'CONSTRAINT_FOREIGNKEY',
        expect.stringContaining('"c" (id = 1)'),
      ]);
      expect(error.message).toContain('"c" (id = 2)');
      expect(db.lsn()).toBe(end);
      expect(await db.restore({ lsn: full }, { tables: ['C', 'p'] })).toMatchObject({ changes: 3 });
      expect(await db.query('SELECT x FROM o')).toHaveLength(2);
      expect((await failure(db.restore({ lsn: empty }, { tables: ['p'] }))).code).toBe(
        'CONSTRAINT_FOREIGNKEY',
      );
      expect(await db.restore({ lsn: empty })).toMatchObject({ changes: 5 });
      expect((await failure(db.restore({ lsn: empty }, { tables: ['nope'] }))).code).toBe('NO_SUCH_TABLE');
      expect((await failure(db.restore({ lsn: empty }, { tables: 'p' as unknown as string[] }))).code).toBe(
        'BAD_PARAMETER',
      );
      expect((await failure(db.restore({ lsn: 99_999 }))).code).toBe('BAD_PARAMETER');
    });
  });

  it('waits for an open transaction, and others wait for it', async () => {
    await withDatabase(async (db) => {
      await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 'a')");
      const lsn = db.lsn();
      const open = db.transaction(async (tx) => {
        await tx.run("UPDATE t SET a = 'b'");
        await new Promise((resolve) => setTimeout(resolve, 20));
        await tx.run("INSERT INTO t VALUES(2, 'b')");
        expect((await failure(db.restore({ lsn }))).code).toBe('NESTED_TRANSACTION');
      });
      const restored = db.restore({ lsn });
      const inserted = db.run("INSERT INTO t VALUES(3, 'c')");
      await Promise.all([open, restored, inserted]);
      expect(await restored).toMatchObject({ changes: 2 });
      expect(await db.query('SELECT * FROM t')).toEqual([
        { id: 1, a: 'a' },
        { id: 3, a: 'c' },
      ]);
      expect(await db.query('PRAGMA foreign_keys')).toEqual([{ foreign_keys: 1 }]);
    });
  });

  it('works in the turn of other writes, and right after writes around it', async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE CASCADE); INSERT INTO p VALUES(1); INSERT INTO c VALUES(1, 1)',
      );
      const lsn = db.lsn();
      sql.exec('UPDATE c SET p = NULL');
      sql.exec('DELETE FROM p');
      await db.restore({ lsn });
      expect(await db.query('SELECT * FROM c')).toEqual([{ id: 1, p: 1 }]);
      sql.exec('DELETE FROM p');
      expect(await db.query('SELECT * FROM c')).toEqual([]);
    });
  });
});
