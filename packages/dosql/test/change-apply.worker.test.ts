import { describe, expect, it } from 'vitest';
import { apply, mainPlaces, unchecked, type Applied, type TableChange } from '../src/change/index.ts';
import type { Database } from '../src/index.ts';
import type { Engine } from '../src/engine.ts';
import { withDatabase } from './support/database.ts';

/** A table's rows and keys to bring about, as queries over the tables that are there. */
interface Wanted {
  readonly target: string;
  readonly keys?: string;
  readonly fresh?: string;
  readonly match?: 'key' | 'primaryKey';
}

/** Applies changes to tables of main by their names; what breaks a constraint is undone. */
async function applied(db: Database, wanted: Readonly<Record<string, Wanted>>): Promise<Applied> {
  const engine = (db as unknown as { engine: Engine }).engine;
  let result: Applied | undefined;
  await unchecked(engine, (areEnforced) => {
    const places = mainPlaces(engine.storage.sql, engine.catalog);
    const changes = Object.entries(wanted).map(([name, { keys, ...rest }]): TableChange => {
      const place = places.find(({ relation }) => relation.name === name);
      if (place === undefined) throw new Error(`no table ${name}`);
      return { place, keys, ...rest };
    });
    result = apply(engine, places, changes, areEnforced);
    if (result.violations.length > 0) throw new Error('undone');
  }).catch((error: unknown) => {
    if (result === undefined) throw error;
  });
  return result as Applied;
}

const NOTHING = { inserted: 0, updated: 0, deleted: 0, violations: [] };

describe('applying changes', () => {
  it('inserts, changes and deletes what differs, and touches nothing else', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES(1, 'a', 1), (2, 'b', 2), (3, 'c', 3)",
      );
      const target = "SELECT 1, 'a', 1 UNION ALL SELECT 2, 'x', 2 UNION ALL SELECT 4, 'd', 4";
      const from = db.lsn();
      expect(await applied(db, { t: { target, keys: 'SELECT id FROM t' } })).toEqual({
        inserted: 1,
        updated: 1,
        deleted: 1,
        violations: [],
      });
      expect(db.lsn() - from).toBe(3n);
      expect(await db.query('SELECT * FROM t')).toEqual([
        { id: 1, a: 'a', b: 1 },
        { id: 2, a: 'x', b: 2 },
        { id: 4, a: 'd', b: 4 },
      ]);
      expect(await applied(db, { t: { target, keys: 'SELECT id FROM t' } })).toEqual(NOTHING);
      expect(db.lsn() - from).toBe(3n);
    });
  });

  it('keeps every value as it is stored', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE "a b"("it\'s" ANY, "__proto__", n NUMERIC, r REAL, t TEXT COLLATE NOCASE, PRIMARY KEY("it\'s", t)) WITHOUT ROWID',
      );
      const values = [
        '1',
        '1.0',
        "'1'",
        "x'31'",
        '9223372036854775807',
        '-9223372036854775808',
        "'ünï\u{1f600}' || char(0) || 'z'",
        'zeroblob(70000)',
        '0.1',
      ];
      const rows = values
        .map((value, i) => `SELECT ${i}, ${value}, ${value}, ${value}, ${i % 2 === 0 ? "'a'" : "'b'"}`)
        .join(' UNION ALL ');
      await db.exec(`CREATE TABLE s("it's" ANY, "__proto__", n NUMERIC, r REAL, t TEXT)`);
      for (const select of rows.split(' UNION ALL ')) await db.exec(`INSERT INTO s ${select}`);
      expect(await applied(db, { 'a b': { target: 'SELECT * FROM s' } })).toMatchObject({
        inserted: values.length,
        violations: [],
      });
      const exact = (table: string): Promise<unknown> =>
        db.query(
          `SELECT "it's" AS k, typeof("__proto__") || hex("__proto__") AS p, typeof(n) || quote(n) AS n, typeof(r) || quote(r) AS r, t FROM "${table}" ORDER BY 1`,
        );
      expect(await exact('a b')).toEqual(await exact('s'));
      // 1 is not 1.0 where the column keeps both, and 'a' not 'A' where they compare equal.
      await db.exec(`UPDATE s SET "__proto__" = 1.0 WHERE "it's" = 0; UPDATE s SET t = 'A' WHERE "it's" = 2`);
      expect(await applied(db, { 'a b': { target: 'SELECT * FROM s' } })).toMatchObject({
        inserted: 0,
        updated: 2,
        deleted: 0,
      });
      expect(await exact('a b')).toEqual(await exact('s'));
      expect(await applied(db, { 'a b': { target: 'SELECT * FROM s' } })).toEqual(NOTHING);
    });
  });

  it('unique values may be swapped, shifted and passed round in a ring', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, u INTEGER NOT NULL UNIQUE CHECK (u > 0), v TEXT, g AS (v || '!') STORED); CREATE UNIQUE INDEX part ON t(v) WHERE u < 1000; CREATE UNIQUE INDEX made ON t(g);" +
          "INSERT INTO t(id, u, v) SELECT value, value, 'v' || value FROM json_each('[1,2,3,4,5,6,7,8]')",
      );
      const set = async (u: string, v: string): Promise<void> => {
        const result = await applied(db, { t: { target: `SELECT id, ${u}, ${v} FROM t` } });
        expect(result).toMatchObject({ inserted: 0, updated: 8, deleted: 0, violations: [] });
      };
      await set('u + 1', 'v');
      await set('u - 1', 'v');
      await set('9 - u', 'v');
      await set('u % 8 + 1', "'v' || (id % 8 + 1)");
      expect(await db.query('SELECT u, g FROM t ORDER BY id LIMIT 2')).toEqual([
        { u: 1, g: 'v2!' },
        { u: 8, g: 'v3!' },
      ]);
    });
  });

  it("conflict clauses of the table's own do not decide", async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE ON CONFLICT REPLACE, n NOT NULL ON CONFLICT IGNORE); INSERT INTO t VALUES(1, 'a', 1), (2, 'b', 2)",
      );
      const { violations } = await applied(db, {
        t: { target: "SELECT 3, 'a', 3 UNION ALL SELECT 4, 'd', NULL" },
      });
      expect(violations).toEqual([
        {
          table: 't',
          key: { id: 3 },
          type: 'unique',
          columns: ['u'],
          message: 'UNIQUE constraint failed: t.u',
        },
        {
          table: 't',
          key: { id: 4 },
          type: 'notnull',
          columns: ['n'],
          message: 'NOT NULL constraint failed: t.n',
        },
      ]);
      expect(await db.query('SELECT id FROM t')).toEqual([{ id: 1 }, { id: 2 }]);
    });
  });

  it('reports every row that breaks a constraint', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(a TEXT, b INTEGER, u UNIQUE, c CHECK (c > 0), d CONSTRAINT small CHECK (d < 10), e NOT NULL, PRIMARY KEY(a, b)) WITHOUT ROWID;' +
          "CREATE TABLE s(w TEXT PRIMARY KEY, i INTEGER) STRICT; INSERT INTO t VALUES('k', 1, 1, 1, 1, 1)",
      );
      const good = Array.from({ length: 20 }, (_, i) => `SELECT 'good', ${i}, ${100 + i}, 1, 1, 1`);
      const bad = [
        "SELECT 'bad', 1, 1, 1, 1, 1",
        "SELECT 'bad', 9007199254740993, 2, -1, 1, 1",
        "SELECT 'bad', 3, 3, 1, 11, 1",
        "SELECT 'bad', 4, 4, 1, 1, NULL",
      ];
      const rows = [...good, ...bad].map((row) => `SELECT * FROM (${row})`);
      await db.exec(`CREATE TABLE wanted(a, b, u, c, d, e)`);
      for (const row of rows) await db.exec(`INSERT INTO wanted ${row}`);
      const { violations } = await applied(db, {
        t: { target: 'SELECT * FROM wanted' },
        s: { target: "SELECT 1, 'x', 5 UNION ALL SELECT 2, 'y', 'no'" },
      });
      const found = violations.map(({ table, key, type, columns }) => ({ table, key, type, columns }));
      expect(found).toEqual(
        expect.arrayContaining([
          { table: 't', key: { a: 'bad', b: 1 }, type: 'unique', columns: ['u'] },
          { table: 't', key: { a: 'bad', b: 9007199254740993n }, type: 'check', columns: ['c'] },
          { table: 't', key: { a: 'bad', b: 3 }, type: 'check', columns: [] },
          { table: 't', key: { a: 'bad', b: 4 }, type: 'notnull', columns: ['e'] },
          { table: 's', key: { w: 'y' }, type: 'datatype', columns: ['i'] },
        ]),
      );
      expect(found).toHaveLength(5);
      expect(await db.query('SELECT count(*) AS n FROM t')).toEqual([{ n: 1 }]);
    });
  });

  it('foreign keys are checked both ways, and act in none', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE p(a TEXT COLLATE NOCASE, b INTEGER, PRIMARY KEY(a, b)); CREATE TABLE c(id INTEGER PRIMARY KEY, a, b, FOREIGN KEY(a, b) REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE);' +
          'CREATE TABLE tree(id INTEGER PRIMARY KEY, up REFERENCES tree(id) ON DELETE SET NULL);' +
          "INSERT INTO p VALUES('x', 1), ('y', 2), ('z', 3); INSERT INTO c VALUES(1, 'X', '1'), (2, 'y', 2), (3, NULL, 9), (4, 'z', 3); INSERT INTO tree VALUES(1, NULL), (2, 1), (3, 2)",
      );
      const broken = async (wanted: Readonly<Record<string, Wanted>>): Promise<unknown> =>
        (await applied(db, wanted)).violations.map(({ table, key, type, columns }) => [
          table,
          key,
          type,
          columns,
        ]);
      const gone = (from: string): Wanted => ({
        target: 'SELECT NULL, NULL, NULL WHERE FALSE',
        keys: `SELECT rowid FROM ${from}`,
      });
      expect(await broken({ p: gone("p WHERE a <> 'z'") })).toEqual([
        ['c', { id: 1 }, 'foreignkey', ['a', 'b']],
        ['c', { id: 2 }, 'foreignkey', ['a', 'b']],
      ]);
      expect(await broken({ p: { target: "SELECT rowid, 'q', b FROM p WHERE a = 'y'" } })).toEqual([
        ['c', { id: 2 }, 'foreignkey', ['a', 'b']],
      ]);
      // The same key in other letters is the same key.
      expect(await broken({ p: { target: "SELECT rowid, 'Y', b FROM p WHERE a = 'y'" } })).toEqual([]);
      expect(
        await broken({
          c: { target: "SELECT 5, 'no', 1 UNION ALL SELECT 6, 'x', 1 UNION ALL SELECT 7, 'no', NULL" },
        }),
      ).toEqual([['c', { id: 5 }, 'foreignkey', ['a', 'b']]]);
      const end = db.lsn();
      const both = {
        p: { target: "SELECT 9, 'new', 9", keys: 'SELECT rowid FROM p' },
        c: { target: "SELECT 1, 'NEW', 9", keys: 'SELECT id FROM c' },
      };
      expect(await applied(db, both)).toEqual({ inserted: 1, updated: 1, deleted: 6, violations: [] });
      expect(db.lsn() - end).toBe(8n);
      expect(await broken({ tree: { target: 'SELECT NULL, NULL WHERE FALSE', keys: 'SELECT 1' } })).toEqual([
        ['tree', { id: 2 }, 'foreignkey', ['up']],
      ]);
      expect(
        await broken({ tree: { target: 'SELECT 2, 3 UNION ALL SELECT 3, 2', keys: 'SELECT 1' } }),
      ).toEqual([]);
    });
  });

  it("a row's own violation does not make its children violate", async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id)); INSERT INTO p VALUES(1, 'a')",
      );
      const { violations } = await applied(db, {
        p: { target: "SELECT 2, 'a'" },
        c: { target: 'SELECT 1, 2 UNION ALL SELECT 2, 3' },
      });
      expect(violations.map(({ table, key, type }) => [table, key, type])).toEqual([
        ['p', { id: 2 }, 'unique'],
        ['c', { id: 2 }, 'foreignkey'],
      ]);
    });
  });

  it('triggers of the user do not fire, and do again afterwards, in their order', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE said(what);' +
          "CREATE TRIGGER one AFTER INSERT ON t BEGIN INSERT INTO said VALUES('one'); END; CREATE TRIGGER \"it's two\" AFTER INSERT ON t BEGIN INSERT INTO said VALUES('two'); UPDATE t SET a = 'by trigger' WHERE id = NEW.id; END;" +
          "CREATE TRIGGER no BEFORE DELETE ON t BEGIN SELECT RAISE(ABORT, 'never'); END; INSERT INTO t VALUES(1, 'a')",
      );
      const before = await db.query('SELECT * FROM said');
      const objects = await db.query(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name",
      );
      expect(await applied(db, { t: { target: "SELECT 2, 'b'", keys: 'SELECT 1' } })).toMatchObject({
        inserted: 1,
        deleted: 1,
      });
      expect(await db.query('SELECT * FROM said')).toEqual(before);
      const end = db.lsn();
      await db.run("INSERT INTO t VALUES(3, 'c')");
      expect(await db.query('SELECT * FROM said')).toEqual([...before, ...before]);
      expect(
        await db.query("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name"),
      ).toEqual(objects);
      // The insert is logged before what its triggers did.
      const { lsn } = (await db.backend.read(end, 10)).entries[0] as { lsn: bigint };
      expect((await db.backend.read(end, 10)).entries.map(({ op, table }) => `${op} ${table}`)).toEqual(
        (await db.backend.read(0n, 100)).entries
          .filter(({ op }) => op !== 'schema')
          .slice(0, 4)
          .map(({ op, table }) => `${op} ${table}`),
      );
      expect(lsn).toBe(end + 1n);
    });
  });

  it('rows are told apart by their primary key, and rows without key are inserted, where that is asked for', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE w(k TEXT PRIMARY KEY, v); CREATE TABLE bag(v); INSERT INTO w(rowid, k, v) VALUES(7, 'a', 1), (8, 'b', 2); INSERT INTO bag VALUES('x')",
      );
      const result = await applied(db, {
        w: { match: 'primaryKey', target: "SELECT 'a', 9 UNION ALL SELECT 'c', 3", keys: "SELECT 'b'" },
        bag: { target: 'SELECT NULL, NULL WHERE FALSE', fresh: "SELECT 'x' UNION ALL SELECT 'y'" },
      });
      expect(result).toEqual({ inserted: 3, updated: 1, deleted: 1, violations: [] });
      expect(await db.query('SELECT rowid, * FROM w ORDER BY k')).toEqual([
        { rowid: 7, k: 'a', v: 9 },
        { rowid: 8, k: 'c', v: 3 },
      ]);
      expect(await db.query('SELECT rowid, v FROM bag')).toEqual([
        { rowid: 1, v: 'x' },
        { rowid: 2, v: 'x' },
        { rowid: 3, v: 'y' },
      ]);
    });
  });

  it('foreign keys stay off where the user has turned them off', async () => {
    await withDatabase(async (db, { storage }) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id))',
      );
      await storage.sync();
      await db.exec('PRAGMA foreign_keys = OFF');
      expect(await applied(db, { c: { target: 'SELECT 1, 5' } })).toMatchObject({
        inserted: 1,
        violations: [],
      });
      expect(await db.query('PRAGMA foreign_keys')).toEqual([{ foreign_keys: 0 }]);
    });
  });
});
