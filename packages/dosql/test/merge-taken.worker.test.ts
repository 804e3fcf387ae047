import { describe, expect, it } from 'vitest';
import { withDatabase } from './support/database.ts';

const SCHEMA = [
  'CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL, code TEXT UNIQUE, size INTEGER CHECK (size < 1000))',
  'CREATE INDEX item_size ON item(size)',
  "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO item SELECT i, 'item ' || i, 'c' || i, i FROM n",
  "INSERT INTO item SELECT 10000 + 20 * id, 'far ' || id, 'far' || id, id FROM item",
  "CREATE TRIGGER renamed AFTER UPDATE OF name ON item BEGIN UPDATE item SET size = -1 WHERE id = NEW.id AND NEW.name = 'later'; END",
];
const ITEMS = 'SELECT * FROM item ORDER BY id';
const TRIGGERS =
  "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'item' ORDER BY rowid";

/** What a branch does to rows that main leaves alone, and how many rows the merge then changes. */
const WRITES: readonly [what: string, writes: readonly string[], changed: object][] = [
  ['changes rows', ['UPDATE item SET size = size + 1 WHERE id < 300'], { updated: 299 }],
  ['changes rows far apart', ['UPDATE item SET size = size + 1 WHERE id > 10000'], { updated: 300 }],
  [
    'changes rows far apart, and makes one large',
    [
      'UPDATE item SET size = size + 1 WHERE id > 10000',
      "UPDATE item SET name = printf('%.*c', 400000, 'x') WHERE id = 10020",
    ],
    { updated: 300 },
  ],
  [
    'changes, inserts and deletes rows far apart',
    [
      'UPDATE item SET size = size + 1 WHERE id > 10000',
      "INSERT INTO item VALUES(10001, 'new', 'new', 4)",
      'DELETE FROM item WHERE id % 100 = 20 AND id > 10000',
    ],
    { updated: 240, inserted: 1, deleted: 60 },
  ],
  [
    'changes, inserts and deletes rows',
    [
      'UPDATE item SET size = size + 1 WHERE id BETWEEN 101 AND 299',
      "INSERT INTO item VALUES(1000, 'new', 'new', 4)",
      'DELETE FROM item WHERE id % 10 = 3 AND id < 300',
    ],
    { updated: 179, inserted: 1, deleted: 30 },
  ],
  [
    'changes rows, some of them back',
    ['UPDATE item SET size = size + 1 WHERE id < 10', 'UPDATE item SET size = size - 1 WHERE id < 8'],
    { updated: 2 },
  ],
  [
    'puts a row in the place of another',
    ['DELETE FROM item WHERE id = 7', "INSERT INTO item VALUES(7, 'other', 'other', 70)"],
    { updated: 1, inserted: 0, deleted: 0 },
  ],
  [
    'lets unique values pass from row to row',
    [
      "UPDATE item SET code = 'x' WHERE id = 5",
      "UPDATE item SET code = 'c5' WHERE id = 6",
      "UPDATE item SET code = 'c6' WHERE id = 5",
    ],
    { updated: 2 },
  ],
  ['makes rows large', ["UPDATE item SET name = printf('%.*c', 400000, 'x') WHERE id < 4"], { updated: 3 }],
  [
    'makes a row too large to be logged at once',
    [
      "UPDATE item SET name = printf('%.*c', 1200000, 'x') WHERE id = 4",
      "UPDATE item SET name = printf('%.*c', 1200000, 'y') WHERE id = 4",
    ],
    { updated: 1 },
  ],
];

describe('rows that main takes as they are', () => {
  for (const [what, writes, changed] of WRITES)
    it(`are merged and logged when a branch ${what}`, () =>
      withDatabase(async (db, { storage }) => {
        for (const sql of SCHEMA) await db.exec(sql);
        const branch = await db.branch('b');
        for (const sql of writes) await branch.run(sql);
        await db.run('UPDATE item SET size = 0 WHERE id = 300');
        const lsn = db.lsn();
        const [before, theirs] = [await db.query(ITEMS), await branch.query(ITEMS)];
        const triggers = storage.sql.exec(TRIGGERS).toArray();
        expect(await db.merge('b')).toMatchObject({
          merged: true,
          conflicts: [],
          violations: [],
          ...changed,
        });
        const isOurs = ({ id }: { readonly id?: unknown }): boolean => id === 300;
        const merged = theirs.map((row) => (isOurs(row) ? before.find(isOurs) : row));
        expect(await db.query(ITEMS)).toEqual(merged);
        expect(await db.asOf({ lsn }).query(ITEMS)).toEqual(before);
        expect(storage.sql.exec(TRIGGERS).toArray()).toEqual(triggers);
        // The user's trigger still fires after the one that logs.
        const since = db.lsn();
        await db.run("UPDATE item SET name = 'later' WHERE id = 9");
        const versions = (await db.history<{ size: number }>('item', 9)).filter(
          ({ lsnFrom }) => lsnFrom > since,
        );
        expect(versions.map(({ row }) => row.size)).toEqual([merged.find((row) => row?.id === 9)?.size, -1]);
      }));

  it('are merged beside rows that both sides changed', () =>
    withDatabase(async (db) => {
      for (const sql of SCHEMA) await db.exec(sql);
      const branch = await db.branch('b');
      await branch.run('UPDATE item SET size = size + 1 WHERE id <= 300');
      await db.run("UPDATE item SET code = 'main ' || id WHERE id <= 20");
      await db.run('UPDATE item SET size = 0 WHERE id = 30');
      expect(await db.merge('b', { strategy: 'ours' })).toMatchObject({ merged: true, updated: 299 });
      expect(await db.query('SELECT size, code FROM item WHERE id IN (20, 30, 40)')).toEqual([
        { size: 21, code: 'main 20' },
        { size: 0, code: 'c30' },
        { size: 41, code: 'c40' },
      ]);
    }));

  it('keep AUTOINCREMENT from giving their ids again', () =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, a)');
      await db.run("INSERT INTO counted(id, a) VALUES(10, 'gone')");
      await db.run('DELETE FROM counted');
      const branch = await db.branch('b');
      const insert = async (line: typeof db): Promise<unknown> =>
        line.query("INSERT INTO counted(a) VALUES('x') RETURNING id");
      expect(await insert(branch)).toEqual([{ id: 11 }]);
      await branch.run('DELETE FROM counted');
      expect(await insert(branch)).toEqual([{ id: 12 }]);
      expect(await db.merge('b')).toMatchObject({ merged: true, inserted: 1 });
      await db.run('DELETE FROM counted');
      expect(await insert(db)).toEqual([{ id: 13 }]);
    }));
});
