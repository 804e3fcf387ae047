import { conflict, sides, T, type MergeCase, type Sides } from './merge-cases-shape.ts';

const cells = (name: string, of: Sides): MergeCase => sides(name, 'cells', of);
const json = (name: string, base: string, ours: string, theirs: string, merged?: string): MergeCase =>
  sides(name, 'json', {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, j TEXT); INSERT INTO t VALUES (1, '${base}');`,
    ours: `UPDATE t SET j = '${ours}'`,
    theirs: `UPDATE t SET j = '${theirs}'`,
    ...(merged === undefined ? { gives: conflict('t', { id: 1 }, 'j') } : { rows: { t: [[1, merged]] } }),
  });

const R2 = [2, 'a2', 'b2'];
const R3 = [3, 'a3', 'b3'];
/** One row of a table of these columns. */
const one = (columns: string, ...values: string[]): string =>
  `CREATE TABLE t(id INTEGER PRIMARY KEY, ${columns}); INSERT INTO t VALUES (1, ${values.join(', ')});`;

/** One row changed on both sides. */
export const CELL_CASES: readonly MergeCase[] = [
  cells('different cells of a row', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1",
    theirs: "UPDATE t SET b = 'y' WHERE id = 1",
    gives: { merged: true, inserted: 0, updated: 1, deleted: 0 },
    rows: { t: [[1, 'x', 'y'], R2, R3] },
  }),
  cells('one cell to different values', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1",
    theirs: "UPDATE t SET a = 'y' WHERE id = 1",
    gives: conflict('t', { id: 1 }, 'a'),
  }),
  cells('one cell to the same value', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1",
    theirs: "UPDATE t SET a = 'x' WHERE id = 1",
    gives: { merged: true, inserted: 0, updated: 0, deleted: 0 },
    rows: { t: [[1, 'x', 'b1'], R2, R3] },
  }),
  cells('one cell alike and another by theirs', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1",
    theirs: "UPDATE t SET a = 'x', b = 'y' WHERE id = 1",
    rows: { t: [[1, 'x', 'y'], R2, R3] },
  }),
  cells('all cells differently', {
    setup: T,
    ours: 'UPDATE t SET a = 1, b = 2 WHERE id = 1',
    theirs: 'UPDATE t SET a = 2, b = 1 WHERE id = 1',
    gives: conflict('t', { id: 1 }, 'a', 'b'),
  }),
  cells('a cell set and set back', {
    setup: T,
    ours: "UPDATE t SET a = 'x'; UPDATE t SET a = 'a' || id",
    theirs: "UPDATE t SET a = 'y' WHERE id = 1",
    rows: { t: [[1, 'y', 'b1'], R2, R3] },
  }),
  cells('NULL to different values', {
    setup: one('a', 'NULL'),
    ours: 'UPDATE t SET a = 0',
    theirs: "UPDATE t SET a = ''",
    gives: conflict('t', { id: 1 }, 'a'),
  }),
  cells('to NULL on both sides', {
    setup: one('a, b', '1', '1'),
    ours: 'UPDATE t SET a = NULL',
    theirs: 'UPDATE t SET a = NULL, b = NULL',
    rows: { t: [[1, null, null]] },
  }),
  cells('to NULL here and to a value there', {
    setup: one('a', '1'),
    ours: 'UPDATE t SET a = NULL',
    theirs: 'UPDATE t SET a = 2',
    gives: conflict('t', { id: 1 }, 'a'),
  }),
  cells('NULL is not the empty text', {
    setup: one('a, b', 'NULL', '1'),
    ours: 'UPDATE t SET b = 2',
    theirs: "UPDATE t SET a = ''",
    rows: { t: [[1, '', 2]] },
  }),
  cells('REAL cells that hold integral values', {
    setup: one('r REAL, s REAL, n', '2', '3.0', '1'),
    ours: 'UPDATE t SET n = 2',
    theirs: 'UPDATE t SET r = 4',
    rows: { t: [[1, 4, 3, 2]] },
    afterwards: [{ on: 'main', query: 'SELECT typeof(r), typeof(s) FROM t', gives: [['real', 'real']] }],
  }),
  cells('a REAL cell set to one integral value on both sides', {
    setup: one('r REAL, n', '1.5', '1'),
    ours: 'UPDATE t SET r = 2',
    theirs: 'UPDATE t SET r = 2.0, n = 2',
    rows: { t: [[1, 2, 2]] },
  }),
  cells('1 and 1.0 in a typeless cell', {
    setup: one('x, n', '0', '1'),
    ours: 'UPDATE t SET x = 1',
    theirs: 'UPDATE t SET x = 1.0, n = 2',
    rows: { t: [[1, 1, 2]] },
  }),
  cells('1 and the text 1 in a typeless cell', {
    setup: one('x', '0'),
    ours: 'UPDATE t SET x = 1',
    theirs: "UPDATE t SET x = '1'",
    gives: conflict('t', { id: 1 }, 'x'),
  }),
  cells('a value that keeps its type on the way', {
    setup: one('x, y', '0', '0'),
    ours: 'UPDATE t SET y = 1',
    theirs: 'UPDATE t SET x = 5.0',
    afterwards: [{ on: 'main', query: 'SELECT typeof(x), typeof(y) FROM t', gives: [['real', 'integer']] }],
  }),
  cells('integers that doubles cannot tell apart', {
    setup: one('x INTEGER', '0'),
    ours: 'UPDATE t SET x = 9007199254740992',
    theirs: 'UPDATE t SET x = 9007199254740993',
    gives: conflict('t', { id: 1 }, 'x'),
  }),
  cells('the largest integers, merged exactly', {
    setup: one('x INTEGER, y INTEGER', '9223372036854775806', '-9223372036854775807'),
    ours: 'UPDATE t SET x = 9223372036854775807',
    theirs: 'UPDATE t SET y = -9223372036854775808',
    afterwards: [
      {
        on: 'main',
        query: 'SELECT CAST(x AS TEXT), CAST(y AS TEXT) FROM t',
        gives: [['9223372036854775807', '-9223372036854775808']],
      },
    ],
  }),
  cells('decimals and infinities', {
    setup: one('x, y, z', '0.1', '1e300', '0'),
    ours: 'UPDATE t SET x = 0.1 + 0.2',
    theirs: 'UPDATE t SET y = 9e999, z = -9e999',
    afterwards: [
      {
        on: 'main',
        query: 'SELECT x = 0.30000000000000004, y = 9e999, z = -9e999 FROM t',
        gives: [[1, 1, 1]],
      },
    ],
  }),
  cells('blobs by their bytes', {
    setup: one('x BLOB, y', "x'00ff'", '1'),
    ours: "UPDATE t SET x = x'00ff00'",
    theirs: "UPDATE t SET x = x'00ff00', y = x''",
    afterwards: [
      { on: 'main', query: 'SELECT hex(x), typeof(y), length(y) FROM t', gives: [['00FF00', 'blob', 0]] },
    ],
  }),
  cells('blobs that differ', {
    setup: one('x BLOB', "x'00'"),
    ours: "UPDATE t SET x = x'01'",
    theirs: "UPDATE t SET x = x'0100'",
    gives: conflict('t', { id: 1 }, 'x'),
  }),
  cells('a blob and a text of the same bytes', {
    setup: one('x', '0'),
    ours: "UPDATE t SET x = x'61'",
    theirs: "UPDATE t SET x = 'a'",
    gives: conflict('t', { id: 1 }, 'x'),
  }),
  cells('a large blob on one side', {
    setup: one('x, y', "x'00'", '1'),
    ours: 'UPDATE t SET y = 2',
    theirs: 'UPDATE t SET x = zeroblob(900000)',
    afterwards: [{ on: 'main', query: 'SELECT length(x), y FROM t', gives: [[900_000, 2]] }],
  }),
  cells('texts that differ in case and in form', {
    setup: one('x TEXT COLLATE NOCASE, y', "'a'", "'ä'"),
    ours: "UPDATE t SET x = 'A'",
    theirs: "UPDATE t SET x = 'b'",
    gives: conflict('t', { id: 1 }, 'x'),
  }),
  cells('a text changed in case only, by a column that compares without', {
    setup: one('x TEXT COLLATE NOCASE, y', "'a'", '1'),
    ours: 'UPDATE t SET y = 2',
    theirs: "UPDATE t SET x = 'A'",
    rows: { t: [[1, 'A', 2]] },
  }),
  cells('emoji and combining characters', {
    setup: one('x, y', "'👩‍👩‍👧'", "'e'"),
    ours: "UPDATE t SET x = '👩‍👩‍👦'",
    theirs: `UPDATE t SET y = 'e\u0301'`,
    rows: { t: [[1, '👩‍👩‍👦', 'e\u0301']] },
  }),
  cells('a generated column follows', {
    setup:
      'CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, g AS (a || b) STORED, v AS (a)); INSERT INTO t(id, a, b) VALUES (1, 1, 1);',
    ours: 'UPDATE t SET a = 2',
    theirs: 'UPDATE t SET b = 3',
    rows: { t: [[1, 2, 3, '23', 2]] },
  }),
  cells('a generated column is never itself in conflict', {
    setup:
      'CREATE TABLE t(id INTEGER PRIMARY KEY, a, g AS (a * 2) STORED); INSERT INTO t(id, a) VALUES (1, 1);',
    ours: 'UPDATE t SET a = 2',
    theirs: 'UPDATE t SET a = 3',
    gives: conflict('t', { id: 1 }, 'a'),
  }),
  cells('a STRICT table', {
    setup: "CREATE TABLE t(id INTEGER PRIMARY KEY, a ANY, i INT) STRICT; INSERT INTO t VALUES (1, '01', 1);",
    ours: "UPDATE t SET a = '001'",
    theirs: 'UPDATE t SET i = 2',
    rows: { t: [[1, '001', 2]] },
  }),
  cells('a row of 90 columns', {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, ${Array.from({ length: 90 }, (_, i) => `c${i} DEFAULT 0`).join(', ')}); INSERT INTO t(id) VALUES (1);`,
    ours: `UPDATE t SET ${Array.from({ length: 45 }, (_, i) => `c${i * 2} = 1`).join(', ')}`,
    theirs: `UPDATE t SET ${Array.from({ length: 45 }, (_, i) => `c${i * 2 + 1} = 2`).join(', ')}`,
    afterwards: [
      {
        on: 'main',
        query: `SELECT ${Array.from({ length: 90 }, (_, i) => `c${i}`).join(' + ')} FROM t`,
        gives: [[135]],
      },
    ],
  }),
];

/** JSON objects in text cells. */
export const JSON_CASES: readonly MergeCase[] = [
  json('different keys changed', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":1,"b":2}', '{"a":2,"b":2}'),
  json('keys added on both sides', '{}', '{"a":1}', '{"b":2}', '{"a":1,"b":2}'),
  json('one key changed differently', '{"a":1}', '{"a":2}', '{"a":3}'),
  json('one key changed alike', '{"a":1,"b":1}', '{"a":2,"b":1}', '{"a":2,"b":3}', '{"a":2,"b":3}'),
  json('a key removed here, another changed there', '{"a":1,"b":1}', '{"b":1}', '{"a":1,"b":2}', '{"b":2}'),
  json('a key removed and changed', '{"a":1,"b":1}', '{"b":1}', '{"a":2,"b":1}'),
  json(
    'nested objects',
    '{"u":{"x":1,"y":{"z":1}}}',
    '{"u":{"x":2,"y":{"z":1}}}',
    '{"u":{"x":1,"y":{"z":2}}}',
    '{"u":{"x":2,"y":{"z":2}}}',
  ),
  json('a nested key changed differently', '{"u":{"x":1}}', '{"u":{"x":2}}', '{"u":{"x":3}}'),
  json('arrays are taken as a whole', '{"a":[1,2]}', '{"a":[1,2,3]}', '{"a":[0,1,2]}'),
  json(
    'an array and another key',
    '{"a":[1],"b":1}',
    '{"a":[1,2],"b":1}',
    '{"a":[1],"b":2}',
    '{"a":[1,2],"b":2}',
  ),
  json(
    'numbers keep their digits',
    '{"n":9007199254740993,"d":0.10,"k":1}',
    '{"n":9007199254740993,"d":0.10,"k":2}',
    '{"n":9007199254740993,"d":0.10,"k":1,"m":12345678901234567890.5}',
    '{"n":9007199254740993,"d":0.10,"k":2,"m":12345678901234567890.5}',
  ),
  json('unicode keys', '{"ä":1,"💥":1}', '{"ä":2,"💥":1}', '{"ä":1,"💥":2}', '{"ä":2,"💥":2}'),
  json(
    '__proto__ as a key',
    '{"__proto__":1,"b":1}',
    '{"__proto__":2,"b":1}',
    '{"__proto__":1,"b":2}',
    '{"__proto__":2,"b":2}',
  ),
  json('a key given twice', '{"a":1,"a":2}', '{"a":1,"a":2,"b":1}', '{"a":1,"a":2,"c":1}'),
  json('what is no JSON', '{"a":1', '{"a":2', '{"a":1,"b":2'),
  json('a text that is no object', '[1]', '[1,2]', '[0,1]'),
  json('one side is no object any more', '{"a":1}', 'null', '{"a":1,"b":2}'),
  json(
    'white space does not count',
    '{"a":1,"b":1}',
    '{ "a": 1, "b": 2 }',
    '{"a":5,"b":1}',
    '{ "a": 5, "b": 2 }',
  ),
  sides('objects inserted on both sides for one key', 'json', {
    setup: 'CREATE TABLE t(id INTEGER PRIMARY KEY, j TEXT);',
    ours: `INSERT INTO t VALUES (1, '{"a":1}')`,
    theirs: `INSERT INTO t VALUES (1, '{"b":1}')`,
    gives: conflict('t', { id: 1 }, 'j'),
  }),
  sides('in a column without a type, and another cell', 'json', {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, j, n); INSERT INTO t VALUES (1, '{"a":1,"b":1}', 1);`,
    ours: `UPDATE t SET j = json_set(j, '$.a', 2)`,
    theirs: `UPDATE t SET j = json_set(j, '$.b', 2), n = 2`,
    rows: { t: [[1, '{"a":2,"b":2}', 2]] },
  }),
  sides('JSONB is a blob', 'json', {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, j BLOB); INSERT INTO t VALUES (1, jsonb('{"a":1,"b":1}'));`,
    ours: `UPDATE t SET j = jsonb_set(j, '$.a', 2)`,
    theirs: `UPDATE t SET j = jsonb_set(j, '$.b', 2)`,
    gives: conflict('t', { id: 1 }, 'j'),
  }),
];

const BAG = 'CREATE TABLE bag(a, b);';
const bag = (name: string, of: Omit<Sides, 'setup'> & { readonly setup?: string }): MergeCase =>
  sides(name, 'keyless', {
    ...of,
    setup: BAG + (of.setup ?? "INSERT INTO bag VALUES (1, 'x'), (2, 'y'), (2, 'y');"),
  });

/** Tables without a key: their rows are told by all of their values, and counted. */
export const KEYLESS_CASES: readonly MergeCase[] = [
  bag('different rows inserted', {
    ours: "INSERT INTO bag VALUES (3, 'o')",
    theirs: "INSERT INTO bag VALUES (4, 't')",
    rows: {
      bag: [
        [1, 'x'],
        [2, 'y'],
        [2, 'y'],
        [3, 'o'],
        [4, 't'],
      ],
    },
  }),
  bag('the same row inserted on both sides is there twice', {
    ours: "INSERT INTO bag VALUES (3, 'n')",
    theirs: "INSERT INTO bag VALUES (3, 'n')",
    gives: { merged: true, inserted: 1, updated: 0, deleted: 0 },
    rows: {
      bag: [
        [1, 'x'],
        [2, 'y'],
        [2, 'y'],
        [3, 'n'],
        [3, 'n'],
      ],
    },
  }),
  bag('one of two equal rows deleted', {
    theirs: 'DELETE FROM bag WHERE rowid = (SELECT max(rowid) FROM bag)',
    rows: {
      bag: [
        [1, 'x'],
        [2, 'y'],
      ],
    },
  }),
  bag('one of two equal rows deleted on each side', {
    ours: 'DELETE FROM bag WHERE rowid = (SELECT max(rowid) FROM bag)',
    theirs: 'DELETE FROM bag WHERE rowid = (SELECT max(rowid) FROM bag)',
    rows: { bag: [[1, 'x']] },
  }),
  bag('the same row deleted on both sides', {
    ours: 'DELETE FROM bag WHERE a = 1',
    theirs: 'DELETE FROM bag WHERE a = 1',
    rows: {
      bag: [
        [2, 'y'],
        [2, 'y'],
      ],
    },
  }),
  bag('different rows updated', {
    ours: "UPDATE bag SET b = 'o' WHERE a = 1",
    theirs: "UPDATE bag SET b = 't' WHERE a = 2",
    rows: {
      bag: [
        [1, 'o'],
        [2, 't'],
        [2, 't'],
      ],
    },
  }),
  bag('an update is a row gone and a row come', {
    ours: "UPDATE bag SET b = 'o' WHERE a = 1",
    theirs: "UPDATE bag SET b = 't' WHERE a = 1",
    rows: {
      bag: [
        [1, 'o'],
        [1, 't'],
        [2, 'y'],
        [2, 'y'],
      ],
    },
  }),
  bag('rows of NULLs', {
    setup: 'INSERT INTO bag VALUES (NULL, NULL), (NULL, NULL);',
    ours: 'INSERT INTO bag VALUES (NULL, NULL)',
    theirs: 'DELETE FROM bag WHERE rowid = 1',
    rows: {
      bag: [
        [null, null],
        [null, null],
      ],
    },
  }),
  bag('rows of blobs and large integers', {
    setup: "INSERT INTO bag VALUES (x'00', 9007199254740993), (x'00', 9007199254740992);",
    ours: "INSERT INTO bag VALUES (x'00ff', 1)",
    theirs: 'DELETE FROM bag WHERE b = 9007199254740993',
    afterwards: [
      {
        on: 'main',
        query: 'SELECT hex(a), CAST(b AS TEXT) FROM bag',
        gives: [
          ['00', '9007199254740992'],
          ['00FF', '1'],
        ],
      },
    ],
  }),
  bag('a rowid that was given to different rows', {
    ours: "INSERT INTO bag VALUES (3, 'o'), (4, 'o')",
    theirs: "INSERT INTO bag VALUES (5, 't')",
    rows: {
      bag: [
        [1, 'x'],
        [2, 'y'],
        [2, 'y'],
        [3, 'o'],
        [4, 'o'],
        [5, 't'],
      ],
    },
  }),
  bag('everything deleted here, a row inserted there', {
    ours: 'DELETE FROM bag',
    theirs: "INSERT INTO bag VALUES (2, 'y')",
    rows: { bag: [[2, 'y']] },
  }),
  bag('many equal rows', {
    setup:
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 500) INSERT INTO bag SELECT 0, 'z' FROM n;",
    ours: 'DELETE FROM bag WHERE rowid <= 100',
    theirs: "DELETE FROM bag WHERE rowid > 450; INSERT INTO bag VALUES (1, 'z')",
    afterwards: [
      {
        on: 'main',
        query: 'SELECT a, b, count(*) FROM bag GROUP BY 1, 2',
        gives: [
          [0, 'z', 350],
          [1, 'z', 1],
        ],
      },
    ],
  }),
  bag('a unique column does not make a key of rows that hold NULL there', {
    setup: "CREATE UNIQUE INDEX u ON bag(a); INSERT INTO bag VALUES (NULL, 'p'), (1, 'q');",
    ours: "INSERT INTO bag VALUES (NULL, 'p')",
    theirs: "INSERT INTO bag VALUES (2, 'r')",
    rows: {
      bag: [
        [null, 'p'],
        [null, 'p'],
        [1, 'q'],
        [2, 'r'],
      ],
    },
  }),
];
