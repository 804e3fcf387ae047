import type { Random } from '../support/random.ts';
import { constant, expression, type Column, type Type } from './expression.ts';

/** A table of a script. */
export interface Table {
  readonly name: string;
  /** The columns that expressions name: none whose collation makes different values equal. */
  readonly columns: readonly (readonly [name: string, type: Type])[];
  /** What tells a row from all others; empty where there may be equal rows. */
  readonly key: readonly string[];
}

/** The table of most queries, with a key that SQLite gives. */
const ITEM: Table = {
  name: 'item',
  columns: [
    ['id', 'I'],
    ['n', 'I'],
    ['r', 'R'],
    ['s', 'T'],
    ['at', 'T'],
  ],
  key: ['id'],
};
const PAIR: Table = {
  name: 'pair',
  columns: [
    ['k', 'T'],
    ['m', 'I'],
    ['v', 'R'],
    ['j', 'T'],
    ['at', 'T'],
  ],
  key: ['k', 'm'],
};
const PART: Table = {
  name: 'part',
  columns: [
    ['id', 'I'],
    ['item', 'I'],
    ['d', 'T'],
    ['twice', 'I'],
    ['loud', 'T'],
    ['at', 'T'],
  ],
  key: ['id'],
};
const EXACT: Table = {
  name: 'exact',
  columns: [
    ['id', 'I'],
    ['n', 'I'],
    ['r', 'R'],
    ['t', 'T'],
    ['at', 'T'],
  ],
  key: ['id'],
};
const LOOSE: Table = {
  name: 'loose',
  columns: [
    ['n', 'I'],
    ['s', 'T'],
    ['at', 'T'],
  ],
  key: [],
};

/** The tables of every script; with this, {@link SCHEMA} defines them. */
export const TABLES: readonly Table[] = [ITEM, PAIR, PART, EXACT, LOOSE];

/** Views, read like tables. */
export const VIEWS: readonly Table[] = [
  {
    name: 'item_part',
    columns: [
      ['id', 'I'],
      ['s', 'T'],
      ['d', 'T'],
      ['r', 'R'],
    ],
    key: [],
  },
  {
    name: 'by_s',
    columns: [
      ['s', 'T'],
      ['n', 'I'],
      ['total', 'R'],
    ],
    key: ['s'],
  },
];

/** Every kind of table and of generated column, a trigger of each event, and views over the tables. */
export const SCHEMA: readonly string[] = [
  'CREATE TABLE item(id INTEGER PRIMARY KEY, n INTEGER, r REAL, s TEXT, c TEXT COLLATE NOCASE, x, at TEXT)',
  'CREATE TABLE pair(k TEXT, m INTEGER, v NUMERIC, j TEXT, at TEXT, PRIMARY KEY(k, m)) WITHOUT ROWID',
  "CREATE TABLE part(id INTEGER PRIMARY KEY AUTOINCREMENT, item INTEGER, d TEXT NOT NULL DEFAULT 'd' CHECK (length(d) < 12), twice INTEGER AS (item * 2), loud TEXT AS (upper(d)) STORED, at TEXT, UNIQUE (item, d))",
  'CREATE TABLE exact(id INTEGER PRIMARY KEY, n INT, r REAL, t TEXT, b BLOB, z ANY, at TEXT) STRICT',
  'CREATE TABLE loose(n INTEGER, s TEXT, at TEXT)',
  'CREATE TABLE audit(id INTEGER PRIMARY KEY, what TEXT, key INTEGER)',
  'CREATE VIEW item_part AS SELECT item.id, item.s, part.d, item.r FROM item LEFT JOIN part ON part.item = item.id',
  'CREATE VIEW by_s(s, n, total) AS SELECT s, count(*), total(r) FROM item GROUP BY s',
  "CREATE TRIGGER part_in AFTER INSERT ON part BEGIN INSERT INTO audit(what, key) VALUES ('in; ', NEW.id); END",
  "CREATE TRIGGER part_set AFTER UPDATE OF d ON part WHEN NEW.d <> OLD.d BEGIN INSERT INTO audit(what, key) SELECT CASE WHEN NEW.d > OLD.d THEN 'up' ELSE 'down' END, NEW.id; END",
  "CREATE TRIGGER part_out BEFORE DELETE ON part BEGIN INSERT INTO audit(what, key) VALUES ('out', OLD.id); END",
];

/** Indexes of every kind, of which a script has some. */
export const INDEXES: readonly string[] = [
  'CREATE INDEX item_n ON item(n, s DESC)',
  'CREATE INDEX item_s ON item(s COLLATE NOCASE)',
  'CREATE INDEX item_c ON item(c)',
  'CREATE INDEX item_lower ON item(lower(s), n)',
  'CREATE INDEX item_part_n ON item(n) WHERE n > 3 AND s IS NOT NULL',
  'CREATE INDEX pair_v ON pair(v, k)',
  "CREATE INDEX pair_j ON pair(json_extract(j, '$.a'))",
  'CREATE INDEX part_loud ON part(loud)',
  'CREATE INDEX loose_s ON loose(s, n)',
];

/** The columns of a table as an expression names them, behind an alias if there is one. */
export function columnsOf({ columns }: Table, alias = ''): Column[] {
  return columns.map(([name, type]) => ({ sql: alias === '' ? name : `${alias}.${name}`, type }));
}

/** Rows to begin with. */
export function fill(random: Random): string[] {
  const rows = (count: number, row: (i: number) => readonly string[]): string =>
    random.times(count, (i) => `(${row(i).join(', ')})`).join(', ');
  return [
    `INSERT INTO item VALUES ${rows(24, (i) => [String(i + 1), ...values(random, 'IRTT'), anything(random), time(random)])}`,
    `INSERT OR IGNORE INTO pair VALUES ${rows(20, (i) => [`'${'abcd'.charAt(i % 4)}'`, String(i % 7), ...values(random, 'R'), json(random), time(random)])}`,
    `INSERT OR IGNORE INTO part(item, d, at) VALUES ${rows(16, () => [String(1 + random.int(26)), `'${random.pick(['a', 'b', 'Abc', 'd'])}'`, time(random)])}`,
    `INSERT INTO exact VALUES ${rows(10, (i) => [String(i * 3), ...values(random, 'IRT'), random.pick(["x'00ff'", "x''", 'NULL']), anything(random), time(random)])}`,
    `INSERT INTO loose VALUES ${rows(14, () => [...values(random, 'IT'), time(random)])}`,
  ];
}

function values(random: Random, types: string): string[] {
  return Array.from(types, (type) => constant(random, type as Type));
}

/** A value of any class, for a column that takes any. */
function anything(random: Random): string {
  return random.pick(['NULL', '7', "'seven'", "x'07'", '7.5', '9007199254740993', "''"]);
}

/** A time of the first days of 2026, by which tables can be tiered. */
export function time(random: Random): string {
  const text = new Date(Date.UTC(2026, 0, 1 + random.int(6), random.int(24), random.int(60))).toISOString();
  return random.chance(0.05) ? 'NULL' : `'${text}'`;
}

/** JSON as SQL text. */
export function json(random: Random): string {
  const value = {
    a: random.pick<unknown>([1, 2, 'x', null, true, 2.5]),
    b: random.times(random.int(4), (i) => i * 2),
    c: random.chance(0.5) ? { d: random.pick(['x', 'ü', '"']) } : undefined,
  };
  return random.chance(0.1) ? 'NULL' : `'${JSON.stringify(value).replaceAll("'", "''")}'`;
}

/** A statement that writes, and whether SQLite may refuse it. */
export function write(random: Random): string {
  const id = random.int(28);
  const [n, r, s] = values(random, 'IRT') as [string, string, string];
  const at = time(random);
  const k = `'${random.pick(['a', 'b', 'c', 'e'])}'`;
  const item = columnsOf(ITEM).filter(({ sql }) => sql !== 'at');
  const set = expression(random, item, 'I', 1);
  return random.pick([
    `INSERT INTO item VALUES (${id}, ${n}, ${r}, ${s}, ${s}, ${anything(random)}, ${at})`,
    `INSERT INTO item(n, r, s, at) VALUES (${n}, ${r}, ${s}, ${at}), (${n}, ${r}, 'two', ${at})`,
    `INSERT INTO item(id, n, s, at) VALUES (${id}, ${n}, ${s}, ${at}) ON CONFLICT(id) DO UPDATE SET n = ifnull(item.n, 0) + 1, s = excluded.s WHERE item.n < 20`,
    `INSERT INTO item(id, n) VALUES (${id}, ${n}) ON CONFLICT DO NOTHING`,
    `INSERT INTO item(id, n, s, at) SELECT id + 100, n, d, part.at FROM part JOIN (SELECT 1 AS n) ORDER BY id LIMIT ${random.int(3)}`,
    `UPDATE item SET n = ${set} WHERE id % 5 = ${random.int(5)}`,
    `UPDATE item SET (r, s) = (SELECT v, k FROM pair WHERE pair.m = item.n % 7 ORDER BY k LIMIT 1) WHERE id < ${random.int(8)}`,
    `UPDATE item SET c = upper(s), x = NULL FROM (SELECT min(item) AS low FROM part) AS p WHERE item.id = p.low`,
    `DELETE FROM item WHERE id = ${id}`,
    `DELETE FROM item WHERE n > (SELECT avg(n) FROM item) AND id > 20`,
    `REPLACE INTO pair VALUES (${k}, ${id % 7}, ${r}, ${json(random)}, ${at})`,
    `INSERT INTO pair(k, m, v, at) VALUES (${k}, ${id % 7}, ${r}, ${at}) ON CONFLICT(k, m) DO UPDATE SET v = excluded.v, j = json_set(ifnull(pair.j, '{}'), '$.n', ${id})`,
    `UPDATE pair SET v = v + 0.25, j = json_patch(j, '{"b":null}') WHERE k = ${k}`,
    `UPDATE OR IGNORE pair SET m = m + 1 WHERE k = ${k} AND m = ${id % 7}`,
    `DELETE FROM pair WHERE k = ${k} AND m IN (SELECT n FROM loose)`,
    `INSERT INTO part(item, d, at) VALUES (${id}, ${s}, ${at})`,
    `INSERT OR IGNORE INTO part(item, at) VALUES (${id}, ${at})`,
    `INSERT OR REPLACE INTO part(item, d, at) VALUES (${id}, 'a', ${at})`,
    `UPDATE part SET d = d || 'x' WHERE item = ${id}`,
    `UPDATE part SET d = 'far too long a text' WHERE id = ${id}`,
    `DELETE FROM part WHERE id = ${id}`,
    `INSERT INTO exact(id, n, r, t, z, at) VALUES (${id}, ${n}, ${r}, ${s}, ${anything(random)}, ${at})`,
    `UPDATE exact SET n = 'no number' WHERE id = ${id}`,
    `UPDATE exact SET z = t, t = upper(t) WHERE n IS NOT NULL`,
    `DELETE FROM exact WHERE id IN (SELECT id FROM exact ORDER BY id DESC LIMIT 1)`,
    `INSERT INTO loose SELECT n, s, at FROM item WHERE id < ${random.int(4)} ORDER BY id`,
    `UPDATE loose SET n = ${n} WHERE s = ${s}`,
    `DELETE FROM loose WHERE n = ${n}`,
  ]);
}

/** A statement that writes and returns rows of the table `item` or `pair`. */
export function returning(random: Random): readonly [sql: string, types: string] {
  const id = random.int(28);
  const [n, r, s] = values(random, 'IRT') as [string, string, string];
  return random.pick<readonly [string, string]>([
    [
      `INSERT INTO item(id, n, r, s) VALUES (${id + 200}, ${n}, ${r}, ${s}) ON CONFLICT(id) DO UPDATE SET n = excluded.n RETURNING id, n + 1 AS more, s`,
      'IIT',
    ],
    [
      `UPDATE item SET n = ifnull(n, 0) + 1 WHERE id BETWEEN ${id} AND ${id + 3} RETURNING id, n, upper(s)`,
      'IIT',
    ],
    [`DELETE FROM item WHERE id = ${id} RETURNING *`, 'IIRTTTT'],
    [`REPLACE INTO pair(k, m, v) VALUES ('r', ${id % 4}, ${r}) RETURNING k, m, v, j IS NULL`, 'TIRI'],
    [`UPDATE pair SET v = -v WHERE m = ${id % 7} RETURNING k || m AS km, v`, 'TR'],
    [`DELETE FROM loose WHERE s = ${s} RETURNING n, s`, 'IT'],
    [`UPDATE part SET d = lower(d) WHERE item < ${id} AND d <> lower(d) RETURNING id, loud, twice`, 'ITI'],
  ]);
}

/** A statement about the schema, one for each step of a script; those before it have been run. */
export function define(random: Random, step: number): readonly string[] {
  const n = random.int(9);
  return (
    [
      [
        `ALTER TABLE item ADD COLUMN extra TEXT DEFAULT 'e${n}'`,
        'UPDATE item SET extra = s WHERE id % 2 = 0',
      ],
      ['ALTER TABLE item RENAME COLUMN extra TO more', `CREATE INDEX item_more ON item(more, n)`],
      [
        'DROP VIEW by_s',
        'CREATE VIEW by_s(s, n, total) AS SELECT s, count(*), total(r) FROM item WHERE n IS NOT NULL GROUP BY s',
      ],
      ['DROP INDEX IF EXISTS item_more', 'ALTER TABLE item DROP COLUMN more'],
      ['CREATE TABLE copy AS SELECT id, n, s FROM item', 'DROP TRIGGER part_set'],
      ['ALTER TABLE loose ADD COLUMN length INTEGER AS (length(s))', 'DROP TABLE copy'],
    ][step] ?? []
  );
}
