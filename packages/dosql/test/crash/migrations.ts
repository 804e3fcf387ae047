import type { Migration } from '../../src/index.ts';

/** What the accounts hold together, before and after every transfer. */
export const TOTAL = 1_000;

/** The value that rows of `item` have in a column that is added while they are there, as SQLite quotes it. */
export const ADDED_DEFAULT = "'d'";

const BASE: readonly Migration[] = [
  {
    name: '001_accounts',
    sql: `CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, note TEXT);
          WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)
          INSERT INTO account(id, balance) SELECT i, ${TOTAL / 10} FROM n;
          UPDATE account SET note = 'account ' || id;`,
  },
  {
    name: '002_items',
    sql: `CREATE TABLE item(id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, n INTEGER NOT NULL, label TEXT, old TEXT);
          CREATE INDEX item_owner ON item(owner);
          CREATE TABLE part(id INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES item(id) ON DELETE CASCADE, qty REAL);
          CREATE INDEX part_item ON part(item);
          INSERT INTO item VALUES(1, 0, 1, 'one', 'x'), (2, 0, 2, 'two', 'y');
          INSERT INTO part VALUES(1, 1, 0.5), (2, 2, 1.5);`,
  },
  {
    name: '003_transfers',
    sql: `CREATE TABLE transfer(owner INTEGER NOT NULL, seq INTEGER NOT NULL, source INTEGER NOT NULL, target INTEGER NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY(owner, seq)) WITHOUT ROWID;
          ALTER TABLE item RENAME COLUMN label TO title;
          ALTER TABLE item DROP COLUMN old;
          CREATE TABLE scratch(id INTEGER PRIMARY KEY, v TEXT);
          INSERT INTO scratch SELECT id, title FROM item;
          DROP TABLE scratch;
          CREATE TABLE fired(name TEXT PRIMARY KEY, payload TEXT NOT NULL);`,
  },
];

/** The first `count` migrations: a base, then such as come to a database that is in use. */
export function migrationsUpTo(count: number): Migration[] {
  const later = Array.from({ length: Math.max(0, count - BASE.length) }, (_, i): Migration => {
    const n = i + BASE.length + 1;
    return {
      name: `${String(n).padStart(3, '0')}_more`,
      sql: `ALTER TABLE item ADD COLUMN c${n} TEXT DEFAULT ${ADDED_DEFAULT};
            UPDATE item SET c${n} = 'x' || id WHERE id % 2 = 0;
            CREATE TABLE extra${n}(id INTEGER PRIMARY KEY, v TEXT);
            INSERT INTO extra${n} SELECT id, title FROM item ORDER BY id LIMIT 20;
            DELETE FROM extra${n} WHERE id % 3 = 0;`,
    };
  });
  return [...BASE.slice(0, count), ...later];
}

/** The columns of every table once the first `count` migrations, and nothing of another, have been applied. */
export function schemaUpTo(count: number): Record<string, string[]> {
  const schema: Record<string, string[]> = {};
  if (count >= 1) schema['account'] = ['id', 'balance', 'note'];
  if (count === 2) schema['item'] = ['id', 'owner', 'n', 'label', 'old'];
  if (count >= 2) schema['part'] = ['id', 'item', 'qty'];
  if (count >= 3) {
    const later = Array.from({ length: count - 3 }, (_, i) => i + 4);
    schema['item'] = ['id', 'owner', 'n', 'title', ...later.map((n) => `c${n}`)];
    schema['transfer'] = ['owner', 'seq', 'source', 'target', 'amount'];
    schema['fired'] = ['name', 'payload'];
    for (const n of later) schema[`extra${n}`] = ['id', 'v'];
  }
  return schema;
}
