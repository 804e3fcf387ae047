import { conflict, sides, T, type MergeCase, type Sides } from './merge-cases-shape.ts';

const rows = (name: string, of: Sides): MergeCase => sides(name, 'rows', of);

const R1 = [1, 'a1', 'b1'];
const R2 = [2, 'a2', 'b2'];
const R3 = [3, 'a3', 'b3'];
const PAIR =
  "CREATE TABLE pair(v, a INTEGER, b TEXT COLLATE NOCASE, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO pair VALUES ('x', 1, 'k'), ('y', 1, 'l'), ('z', 2, 'k');";

/** Rows inserted, updated and deleted on either side. */
export const ROW_CASES: readonly MergeCase[] = [
  rows('nothing changed', {
    setup: T,
    gives: { merged: true, inserted: 0, updated: 0, deleted: 0 },
    rows: { t: [R1, R2, R3] },
  }),
  rows('an empty table', { setup: 'CREATE TABLE t(id INTEGER PRIMARY KEY);', rows: { t: [] } }),
  rows('only ours changed', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 1, 2)",
    gives: { merged: true, inserted: 0, updated: 0, deleted: 0 },
    rows: { t: [[1, 'x', 'b1'], R3, [4, 1, 2]] },
  }),
  rows('only theirs changed', {
    setup: T,
    theirs: "UPDATE t SET a = 'x' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 1, 2)",
    gives: { merged: true, inserted: 1, updated: 1, deleted: 1 },
    rows: { t: [[1, 'x', 'b1'], R3, [4, 1, 2]] },
  }),
  rows('different rows inserted', {
    setup: T,
    ours: 'INSERT INTO t VALUES (4, 1, 1)',
    theirs: 'INSERT INTO t VALUES (5, 2, 2)',
    gives: { merged: true, inserted: 1, updated: 0, deleted: 0 },
    rows: { t: [R1, R2, R3, [4, 1, 1], [5, 2, 2]] },
  }),
  rows('different rows updated', {
    setup: T,
    ours: 'UPDATE t SET a = 1 WHERE id = 1',
    theirs: 'UPDATE t SET a = 2 WHERE id = 2',
    rows: { t: [[1, 1, 'b1'], [2, 2, 'b2'], R3] },
  }),
  rows('different rows deleted', {
    setup: T,
    ours: 'DELETE FROM t WHERE id = 1',
    theirs: 'DELETE FROM t WHERE id = 2',
    gives: { merged: true, inserted: 0, updated: 0, deleted: 1 },
    rows: { t: [R3] },
  }),
  rows('the same row inserted', {
    setup: T,
    ours: "INSERT INTO t VALUES (4, 'x', NULL)",
    theirs: "INSERT INTO t VALUES (4, 'x', NULL)",
    gives: { merged: true, inserted: 0, updated: 0, deleted: 0 },
    rows: { t: [R1, R2, R3, [4, 'x', null]] },
  }),
  rows('one key inserted with different rows', {
    setup: T,
    ours: "INSERT INTO t VALUES (4, 'x', 'same')",
    theirs: "INSERT INTO t VALUES (4, 'y', 'same')",
    gives: conflict('t', { id: 4 }, 'a'),
    rows: { t: [R1, R2, R3, [4, 'x', 'same']] },
  }),
  rows('one automatic key given to different rows', {
    setup: T,
    ours: "INSERT INTO t(a, b) VALUES ('x', 1)",
    theirs: "INSERT INTO t(a, b) VALUES ('y', 2)",
    gives: conflict('t', { id: 4 }, 'a', 'b'),
  }),
  rows('one automatic key given to equal rows', {
    setup: T,
    ours: "INSERT INTO t(a) VALUES ('x')",
    theirs: "INSERT INTO t(a) VALUES ('x')",
    rows: { t: [R1, R2, R3, [4, 'x', null]] },
  }),
  rows('the same row deleted', {
    setup: T,
    ours: 'DELETE FROM t WHERE id = 1',
    theirs: 'DELETE FROM t WHERE id = 1',
    gives: { merged: true, inserted: 0, updated: 0, deleted: 0 },
    rows: { t: [R2, R3] },
  }),
  rows('deleted here, updated there', {
    setup: T,
    ours: 'DELETE FROM t WHERE id = 1',
    theirs: "UPDATE t SET b = 'x' WHERE id = 1",
    gives: conflict('t', { id: 1 }, 'b'),
    rows: { t: [R2, R3] },
  }),
  rows('updated here, deleted there', {
    setup: T,
    ours: "UPDATE t SET a = 'x', b = 'y' WHERE id = 1",
    theirs: 'DELETE FROM t WHERE id = 1',
    gives: conflict('t', { id: 1 }, 'a', 'b'),
    rows: { t: [[1, 'x', 'y'], R2, R3] },
  }),
  rows('deleted here, updated and updated back there', {
    setup: T,
    ours: 'DELETE FROM t WHERE id = 1',
    theirs: "UPDATE t SET b = 'x' WHERE id = 1; UPDATE t SET b = 'b1' WHERE id = 1",
    rows: { t: [R2, R3] },
  }),
  rows('deleted and inserted again as it was', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1",
    theirs: "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (1, 'a1', 'b1')",
    rows: { t: [[1, 'x', 'b1'], R2, R3] },
  }),
  rows('inserted and deleted again', {
    setup: T,
    ours: "INSERT INTO t VALUES (4, 'x', 1)",
    theirs: "INSERT INTO t VALUES (4, 'y', 1); DELETE FROM t WHERE id = 4",
    rows: { t: [R1, R2, R3, [4, 'x', 1]] },
  }),
  rows('a key changed on their side', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 2",
    theirs: 'UPDATE t SET id = 10 WHERE id = 1',
    rows: { t: [[2, 'x', 'b2'], R3, [10, 'a1', 'b1']] },
  }),
  rows('a key changed there and its row changed here', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1",
    theirs: 'UPDATE t SET id = 10 WHERE id = 1',
    gives: conflict('t', { id: 1 }, 'a'),
    rows: { t: [[1, 'x', 'b1'], R2, R3] },
  }),
  rows('keys shifted by one on their side', {
    setup: T,
    theirs: 'UPDATE t SET id = -id; UPDATE t SET id = 1 - id',
    rows: {
      t: [
        [2, 'a1', 'b1'],
        [3, 'a2', 'b2'],
        [4, 'a3', 'b3'],
      ],
    },
  }),
  rows('a conflict leaves everything as it was', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1",
    theirs: "UPDATE t SET a = 'y'; INSERT INTO t VALUES (9, 9, 9)",
    gives: conflict('t', { id: 1 }, 'a'),
    rows: { t: [[1, 'x', 'b1'], R2, R3] },
    afterwards: [
      {
        on: 'b',
        rows: {
          t: [
            [1, 'y', 'b1'],
            [2, 'y', 'b2'],
            [3, 'y', 'b3'],
            [9, 9, 9],
          ],
        },
      },
    ],
  }),
  rows('several conflicts in several tables', {
    setup: `${T} CREATE TABLE u(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO u VALUES ('k', 1);`,
    ours: "UPDATE t SET a = 'x'; UPDATE u SET v = 2",
    theirs: "UPDATE t SET a = 'y' WHERE id < 3; UPDATE u SET v = 3",
    gives: {
      merged: false,
      conflicts: [
        { table: 't', key: { id: 1 }, columns: ['a'] },
        { table: 't', key: { id: 2 }, columns: ['a'] },
        { table: 'u', key: { k: 'k' }, columns: ['v'] },
      ],
    },
  }),
  rows('a composite key, all of it merged by key', {
    setup: PAIR,
    ours: "UPDATE pair SET v = 'ours' WHERE a = 1 AND b = 'k'; INSERT INTO pair VALUES ('n', 3, 'k')",
    theirs:
      "DELETE FROM pair WHERE a = 2; UPDATE pair SET v = 'theirs' WHERE b = 'l'; INSERT INTO pair VALUES ('m', 3, 'l')",
    rows: {
      pair: [
        ['ours', 1, 'k'],
        ['theirs', 1, 'l'],
        ['n', 3, 'k'],
        ['m', 3, 'l'],
      ],
    },
  }),
  rows('a composite key, conflicting', {
    setup: PAIR,
    ours: "UPDATE pair SET v = 'ours' WHERE a = 1 AND b = 'k'",
    theirs: "UPDATE pair SET v = 'theirs' WHERE a = 1 AND b = 'K'",
    gives: conflict('pair', { a: 1, b: 'k' }, 'v'),
  }),
  rows('a key by a collation is one key whatever its case', {
    setup: PAIR,
    ours: "INSERT INTO pair VALUES ('same', 5, 'ß Q')",
    theirs: "INSERT INTO pair VALUES ('other', 5, 'ß q')",
    gives: { merged: false, conflicts: [{ table: 'pair' }] },
  }),
  rows('a text key, with names that need quoting and unicode in it', {
    setup: `CREATE TABLE "it's"("a b" TEXT PRIMARY KEY, "__proto__", "x""y"); INSERT INTO "it's" VALUES ('ä', 1, 1), ('💥', 2, 2), ('', 3, 3);`,
    ours: `UPDATE "it's" SET "__proto__" = 'o' WHERE "a b" = '💥'`,
    theirs: `UPDATE "it's" SET "x""y" = 't' WHERE "a b" = '💥'; DELETE FROM "it's" WHERE "a b" = ''; INSERT INTO "it's" VALUES ('Ä', 4, 4)`,
    rows: {
      '"it\'s"': [
        ['ä', 1, 1],
        ['💥', 'o', 't'],
        ['Ä', 4, 4],
      ],
    },
  }),
  rows('columns whose names objects have of their own', {
    setup: `CREATE TABLE t(id INTEGER PRIMARY KEY, "__proto__", "constructor", "toString"); INSERT INTO t VALUES (1, 1, 1, 1);`,
    ours: 'UPDATE t SET "__proto__" = 2, "constructor" = 2',
    theirs: 'UPDATE t SET "__proto__" = 3, "toString" = 3',
    gives: conflict('t', { id: 1 }, '__proto__'),
  }),
  rows('keys past what a double holds', {
    setup:
      'CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (9007199254740992, 1), (9007199254740993, 1), (-9223372036854775808, 1);',
    ours: 'UPDATE t SET a = 2 WHERE id = 9007199254740992',
    theirs:
      'UPDATE t SET a = 3 WHERE id = 9007199254740993; DELETE FROM t WHERE id < 0; INSERT INTO t VALUES (9223372036854775807, 4)',
    afterwards: [
      {
        on: 'main',
        query: 'SELECT CAST(id AS TEXT), a FROM t',
        gives: [
          ['9007199254740992', 2],
          ['9007199254740993', 3],
          ['9223372036854775807', 4],
        ],
      },
    ],
  }),
  rows('a nullable key of a table with rowids', {
    setup: "CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1), ('b', 2);",
    ours: "INSERT INTO t VALUES ('c', 3); DELETE FROM t WHERE k = 'a'",
    theirs: "INSERT INTO t VALUES ('d', 4); UPDATE t SET v = 9 WHERE k = 'b'",
    rows: {
      t: [
        ['b', 9],
        ['c', 3],
        ['d', 4],
      ],
    },
  }),
  rows('a text key inserted on both sides under different rowids', {
    setup: "CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES ('a', 1);",
    ours: "INSERT INTO t VALUES ('x', 0); INSERT INTO t VALUES ('same', 3)",
    theirs: "INSERT INTO t VALUES ('same', 3)",
    rows: {
      t: [
        ['a', 1],
        ['x', 0],
        ['same', 3],
      ],
    },
  }),
  rows('one rowid given to different text keys', {
    setup: 'CREATE TABLE t(k TEXT PRIMARY KEY, v);',
    ours: "INSERT INTO t VALUES ('x', 1)",
    theirs: "INSERT INTO t VALUES ('y', 2)",
    rows: {
      t: [
        ['x', 1],
        ['y', 2],
      ],
    },
  }),
  rows('many rows', {
    setup:
      'CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) INSERT INTO t SELECT i, i, i FROM n;',
    ours: 'UPDATE t SET a = -1 WHERE id % 3 = 0; DELETE FROM t WHERE id % 7 = 0',
    theirs:
      'UPDATE t SET b = -2 WHERE id % 7 <> 0 AND id % 5 = 0; INSERT INTO t SELECT id + 5000, 1, 1 FROM t WHERE id <= 100',
    afterwards: [
      {
        on: 'main',
        query: 'SELECT count(*), sum(a = -1), sum(b = -2), sum(a = -1 AND b = -2) FROM t',
        gives: [[2672, 858, 515, 172]],
      },
    ],
  }),
];
