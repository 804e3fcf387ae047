import { expect, it } from 'vitest';
import { DB } from '../src/index.ts';
import { OP } from '../src/schema/capture.ts';
import { failure, withDatabase } from './support/database.ts';

const SCHEMA = `
  CREATE TABLE parent(id INTEGER PRIMARY KEY, a TEXT);
  CREATE TABLE nameless(a TEXT, oid TEXT);
  CREATE TABLE pair(x TEXT COLLATE NOCASE, y INT, a TEXT, PRIMARY KEY (x, y)) WITHOUT ROWID;
  CREATE TABLE child(p INTEGER PRIMARY KEY REFERENCES parent(id) ON UPDATE CASCADE, a TEXT);
  CREATE TABLE source(id INTEGER, to_id INTEGER);
  INSERT INTO parent VALUES (1, 'one'), (2, 'two');
  INSERT INTO nameless VALUES ('one', 'mine');
  INSERT INTO pair VALUES ('k', 1, 'one');
  INSERT INTO child VALUES (1, 'one');
  INSERT INTO source VALUES (2, 20);
`;
const MOVED = [OP.delete, OP.insert];

/** Statements that change keys, or might, and what the log says of each. */
const STATEMENTS: [sql: string, ops: readonly number[]][] = [
  ["UPDATE parent SET a = 'new' WHERE id = 2", [OP.update]],
  ["UPDATE parent SET id = id, a = 'new' WHERE id = 2", [OP.update]],
  ['UPDATE parent SET id = 9 WHERE id = 2', MOVED],
  ['UPDATE parent SET rowid = 9 WHERE id = 2', MOVED],
  ['UPDATE parent SET "_RowID_" = 9 WHERE id = 2', MOVED],
  ['UPDATE parent AS t SET [oid] = 9 WHERE t.id = 2', MOVED],
  ["UPDATE parent SET (a, ID) = (SELECT 'new', 9) WHERE id = 2", MOVED],
  ['UPDATE parent SET id = to_id FROM source WHERE source.id = parent.id', MOVED],
  ["INSERT INTO parent VALUES (2, 'new') ON CONFLICT(id) DO UPDATE SET rowid = 9", MOVED],
  ["INSERT INTO parent VALUES (2, 'new') ON CONFLICT(id) DO UPDATE SET a = excluded.a", [OP.update]],
  ['UPDATE OR REPLACE parent SET id = 2 WHERE id = 1', [OP.delete, ...MOVED, ...MOVED]],
  ['UPDATE parent SET id = 9 WHERE id = 1', [...MOVED, ...MOVED]],
  ["UPDATE nameless SET oid = 'other'", [OP.update]],
  ['UPDATE nameless SET rowid = 9', MOVED],
  ['UPDATE nameless SET _rowid_ = 9', MOVED],
  ["UPDATE pair SET a = 'new'", [OP.update]],
  ['UPDATE pair SET y = 2', MOVED],
  ["UPDATE pair SET x = 'K'", MOVED],
  ["UPDATE pair SET x = 'k', y = 1", [OP.update]],
  ["INSERT INTO pair VALUES ('K', 1, 'new') ON CONFLICT DO UPDATE SET x = excluded.x", MOVED],
];

it.each(STATEMENTS)('a changed key is logged as delete and insert, and no other change is: %s', (sql, ops) =>
  withDatabase(async (db, { storage }) => {
    await db.exec(SCHEMA);
    const before = db.lsn();
    const tables = ['parent', 'nameless', 'pair', 'child'];
    const contents = (lsn: bigint): Promise<unknown[]> =>
      Promise.all(
        tables.map((table) =>
          db.query(`SELECT * FROM ${table} FOR SYSTEM_TIME AS OF LSN ? ORDER BY 1`, [lsn]),
        ),
      );
    const then = await contents(before);
    storage.sql.exec(sql);
    const logged = storage.sql
      .exec('SELECT op FROM __dosql_log WHERE lsn > ? ORDER BY lsn', Number(before))
      .raw<[number]>();
    expect([...logged].flat()).toEqual(ops);
    await db.run("INSERT INTO parent VALUES (100, 'later')");
    expect(await contents(before)).toEqual(then);
  }),
);

it('triggers of an older form are made anew when a database is opened', () =>
  withDatabase(async (db, { storage }) => {
    await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'one')");
    const triggers = (): unknown[] =>
      storage.sql.exec("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name").toArray();
    const made = triggers();
    const [update] = storage.sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_schema WHERE name LIKE '\\_\\_dosql\\_update%' ESCAPE '\\'",
      )
      .toArray();
    storage.sql.exec(`DROP TRIGGER ${update?.name}`);
    storage.sql.exec(`CREATE TRIGGER ${update?.name} AFTER UPDATE ON t BEGIN SELECT 1; END`);
    storage.sql.exec("DELETE FROM __dosql_meta WHERE key = 'triggers'");
    const again = await DB('test', { storage: new Proxy(storage, bound()) });
    expect(triggers()).toEqual(made);
    await again.run("UPDATE t SET a = 'two'");
    expect((await again.history('t', 1)).map(({ row }) => row['a'])).toEqual(['one', 'two']);
  }));

it('where SQLite takes rows of less than two images, each has a row of its own', () =>
  withDatabase(async (_, { storage }) => {
    await storage.deleteAll();
    const refusing = new Proxy(storage, bound('zeroblob'));
    const db = await DB('test', { storage: refusing });
    await db.exec(
      "CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT) WITHOUT ROWID; INSERT INTO t VALUES ('x', 'one')",
    );
    const before = db.lsn();
    expect((await db.run("UPDATE t SET a = 'two'")).rowsWritten).toBe(4);
    await db.run("UPDATE t SET id = 'y'");
    const ops = storage.sql
      .exec('SELECT op FROM __dosql_log WHERE lsn > ? ORDER BY lsn', Number(before))
      .raw<[number]>();
    expect([...ops].flat()).toEqual([OP.updateBefore, OP.updateAfter, ...MOVED]);
    expect(await db.asOf({ lsn: before }).query('SELECT * FROM t')).toEqual([{ id: 'x', a: 'one' }]);
    expect((await db.history('t', 'x')).map(({ row }) => row['a'])).toEqual(['one', 'two']);
  }));

it('a row that is too large for two images in the log keeps its value, and says so', () =>
  withDatabase(async (db) => {
    await db.exec(
      'CREATE TABLE t(id INTEGER PRIMARY KEY, a BLOB); INSERT INTO t VALUES (1, zeroblob(5000000))',
    );
    const refused = await failure(db.run('UPDATE t SET a = zeroblob(4900000)'));
    expect(refused.code).toBe('TOO_BIG');
    expect(await db.get('SELECT length(a) AS size FROM t')).toEqual({ size: 5_000_000 });
    await db.run('UPDATE t SET id = 2');
    await db.run('DELETE FROM t');
    expect((await db.history('t', 2)).map(({ row }) => (row['a'] as Uint8Array).length)).toEqual([5_000_000]);
  }));

/** What stands for a storage as another one, whose SQLite says that what has `tooBig` in it is too big. */
function bound(tooBig?: string): ProxyHandler<DurableObjectStorage> {
  return {
    get(storage, name) {
      const value: unknown = Reflect.get(storage, name, storage);
      if (typeof value === 'function') return (value as (...args: unknown[]) => unknown).bind(storage);
      if (name !== 'sql') return value;
      return new Proxy(storage.sql, {
        get(sql, of) {
          const found: unknown = Reflect.get(sql, of, sql);
          if (typeof found !== 'function') return found;
          return (query: string, ...bindings: unknown[]): unknown => {
            if (of === 'exec' && tooBig !== undefined && query.includes(tooBig))
              throw new Error('string or blob too big: SQLITE_TOOBIG');
            return (found as (...args: unknown[]) => unknown).call(sql, query, ...bindings);
          };
        },
      });
    },
  };
}
