import { conflict, sides, violation, type MergeCase, type Sides } from './merge-cases-shape.ts';

const constraints = (name: string, of: Sides): MergeCase => sides(name, 'constraints', of);

const NAMED =
  "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, v); INSERT INTO t VALUES (1, 'one', 0), (2, 'two', 0);";
const FAMILY = (action = ''): string =>
  `CREATE TABLE p(id INTEGER PRIMARY KEY, code TEXT UNIQUE, v); CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(id) ${action}, v);
   INSERT INTO p VALUES (1, 'x', 0), (2, 'y', 0); INSERT INTO c VALUES (1, 2, 0);`;
const RANGE =
  'CREATE TABLE t(id INTEGER PRIMARY KEY, low INT, high INT, CHECK (low <= high)); INSERT INTO t VALUES (1, 2, 4);';

/** What each side keeps and both together do not. */
export const CONSTRAINT_CASES: readonly MergeCase[] = [
  constraints('one unique value inserted under different keys', {
    setup: NAMED,
    ours: "INSERT INTO t VALUES (3, 'same', 1)",
    theirs: "INSERT INTO t VALUES (4, 'same', 2)",
    gives: violation('t', 'unique', { id: 4 }),
    rows: {
      t: [
        [1, 'one', 0],
        [2, 'two', 0],
        [3, 'same', 1],
      ],
    },
  }),
  constraints('one unique value given to different rows', {
    setup: NAMED,
    ours: "UPDATE t SET name = 'same' WHERE id = 1",
    theirs: "UPDATE t SET name = 'same' WHERE id = 2",
    gives: violation('t', 'unique', { id: 2 }),
    rows: {
      t: [
        [1, 'same', 0],
        [2, 'two', 0],
      ],
    },
  }),
  constraints('a unique value given up by both sides, for different ones', {
    setup: NAMED,
    ours: "UPDATE t SET name = 'free' WHERE id = 1",
    theirs: 'INSERT INTO t VALUES (3, NULL, 0)',
    afterwards: [
      { on: 'b', sql: "UPDATE t SET name = 'uno' WHERE id = 1; UPDATE t SET name = 'one' WHERE id = 3" },
      { merge: 'b', gives: conflict('t', { id: 1 }, 'name') },
    ],
  }),
  constraints('unique values swapped on their side', {
    setup: NAMED,
    ours: 'UPDATE t SET v = 1',
    theirs:
      "UPDATE t SET name = 'tmp' WHERE id = 1; UPDATE t SET name = 'one' WHERE id = 2; UPDATE t SET name = 'two' WHERE id = 1",
    rows: {
      t: [
        [1, 'two', 1],
        [2, 'one', 1],
      ],
    },
  }),
  constraints('a unique value moved from a deleted row to a new one', {
    setup: NAMED,
    theirs: "DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (7, 'one', 7)",
    rows: {
      t: [
        [2, 'two', 0],
        [7, 'one', 7],
      ],
    },
  }),
  constraints('several NULLs in a unique column', {
    setup: NAMED,
    ours: 'INSERT INTO t VALUES (3, NULL, 0)',
    theirs: 'INSERT INTO t VALUES (4, NULL, 0)',
    rows: {
      t: [
        [1, 'one', 0],
        [2, 'two', 0],
        [3, null, 0],
        [4, null, 0],
      ],
    },
  }),
  constraints('a unique constraint over two columns, each changed on one side', {
    setup:
      'CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, UNIQUE (a, b)); INSERT INTO t VALUES (1, 1, 1), (2, 2, 2);',
    ours: 'UPDATE t SET a = 1 WHERE id = 2',
    theirs: 'UPDATE t SET b = 1 WHERE id = 2',
    gives: violation('t', 'unique', { id: 2 }),
    rows: {
      t: [
        [1, 1, 1],
        [2, 1, 2],
      ],
    },
  }),
  constraints('a partial unique index', {
    setup:
      'CREATE TABLE t(id INTEGER PRIMARY KEY, a, live); CREATE UNIQUE INDEX u ON t(a) WHERE live; INSERT INTO t VALUES (1, 1, 1), (2, 1, 0);',
    ours: 'UPDATE t SET live = 0 WHERE id = 1; UPDATE t SET live = 1 WHERE id = 2',
    theirs: 'INSERT INTO t VALUES (3, 1, 0)',
    rows: {
      t: [
        [1, 1, 0],
        [2, 1, 1],
        [3, 1, 0],
      ],
    },
  }),
  constraints('a unique value in another case, by a collation', {
    setup: 'CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE UNIQUE);',
    ours: "INSERT INTO t VALUES (1, 'Ann')",
    theirs: "INSERT INTO t VALUES (2, 'aNN')",
    gives: violation('t', 'unique', { id: 2 }),
  }),
  constraints('every violation is told, not only the first', {
    setup: NAMED,
    ours: "INSERT INTO t VALUES (3, 'x', 1), (4, 'y', 1)",
    theirs: "INSERT INTO t VALUES (5, 'x', 2), (6, 'y', 2)",
    gives: {
      merged: false,
      violations: [
        { table: 't', key: { id: 5 }, type: 'unique' },
        { table: 't', key: { id: 6 }, type: 'unique' },
      ],
    },
  }),
  constraints('a CHECK over two columns, each changed on one side', {
    setup: RANGE,
    ours: 'UPDATE t SET low = 4',
    theirs: 'UPDATE t SET high = 3',
    gives: violation('t', 'check', { id: 1 }),
    rows: { t: [[1, 4, 4]] },
  }),
  constraints('a CHECK over two columns that the merged row keeps', {
    setup: RANGE,
    ours: 'UPDATE t SET low = 3',
    theirs: 'UPDATE t SET high = 3',
    rows: { t: [[1, 3, 3]] },
  }),
  constraints('a parent deleted here, a child added there', {
    setup: FAMILY(),
    ours: 'DELETE FROM p WHERE id = 1',
    theirs: 'INSERT INTO c VALUES (2, 1, 0)',
    gives: violation('c', 'foreignkey', { id: 2 }),
    rows: { p: [[2, 'y', 0]], c: [[1, 2, 0]] },
  }),
  constraints('a child added here, its parent deleted there', {
    setup: FAMILY(),
    ours: 'INSERT INTO c VALUES (2, 1, 0)',
    theirs: 'DELETE FROM p WHERE id = 1',
    gives: violation('c', 'foreignkey', { id: 2 }),
    rows: {
      p: [
        [1, 'x', 0],
        [2, 'y', 0],
      ],
      c: [
        [1, 2, 0],
        [2, 1, 0],
      ],
    },
  }),
  constraints('ON DELETE CASCADE does not silently delete a child that is new here', {
    setup: FAMILY('ON DELETE CASCADE'),
    ours: 'INSERT INTO c VALUES (2, 2, 0)',
    theirs: 'DELETE FROM p WHERE id = 2',
    gives: violation('c', 'foreignkey', { id: 2 }),
    rows: {
      p: [
        [1, 'x', 0],
        [2, 'y', 0],
      ],
      c: [
        [1, 2, 0],
        [2, 2, 0],
      ],
    },
  }),
  constraints('what ON DELETE CASCADE deleted on their side is deleted', {
    setup: FAMILY('ON DELETE CASCADE'),
    ours: 'UPDATE p SET v = 1 WHERE id = 1',
    theirs: 'DELETE FROM p WHERE id = 2',
    gives: { merged: true, inserted: 0, updated: 0, deleted: 2 },
    rows: { p: [[1, 'x', 1]], c: [] },
  }),
  constraints('a child changed here that ON DELETE CASCADE deleted there', {
    setup: FAMILY('ON DELETE CASCADE'),
    ours: 'UPDATE c SET v = 1',
    theirs: 'DELETE FROM p WHERE id = 2',
    gives: conflict('c', { id: 1 }, 'v'),
    rows: {
      p: [
        [1, 'x', 0],
        [2, 'y', 0],
      ],
      c: [[1, 2, 1]],
    },
  }),
  constraints('what ON DELETE SET NULL set on their side is set', {
    setup: FAMILY('ON DELETE SET NULL'),
    ours: 'UPDATE c SET v = 1',
    theirs: 'DELETE FROM p WHERE id = 2',
    rows: { p: [[1, 'x', 0]], c: [[1, null, 1]] },
  }),
  constraints('a parent’s key changed there, a child added here', {
    setup: FAMILY('ON UPDATE CASCADE'),
    ours: 'INSERT INTO c VALUES (2, 2, 0)',
    theirs: 'UPDATE p SET id = 20 WHERE id = 2',
    gives: violation('c', 'foreignkey', { id: 2 }),
  }),
  constraints('a parent and its child added there', {
    setup: FAMILY(),
    ours: "INSERT INTO p VALUES (3, 'z', 0); INSERT INTO c VALUES (3, 3, 0)",
    theirs: "INSERT INTO p VALUES (4, 'w', 0); INSERT INTO c VALUES (4, 4, 0), (5, NULL, 0)",
    rows: {
      c: [
        [1, 2, 0],
        [3, 3, 0],
        [4, 4, 0],
        [5, null, 0],
      ],
    },
  }),
  constraints('a child moved there to a parent deleted here, and back', {
    setup: FAMILY(),
    ours: 'DELETE FROM p WHERE id = 1',
    theirs: 'UPDATE c SET p = 1; UPDATE c SET p = 2',
    rows: { p: [[2, 'y', 0]], c: [[1, 2, 0]] },
  }),
  constraints('a composite foreign key', {
    setup:
      'CREATE TABLE p(a, b, PRIMARY KEY (a, b)) WITHOUT ROWID; CREATE TABLE c(id INTEGER PRIMARY KEY, x, y, FOREIGN KEY (x, y) REFERENCES p); INSERT INTO p VALUES (1, 1), (1, 2), (2, 1), (2, 2); INSERT INTO c VALUES (1, 1, 1);',
    ours: 'UPDATE c SET x = 2; DELETE FROM p WHERE a = 2 AND b = 2',
    theirs: 'UPDATE c SET y = 2',
    gives: violation('c', 'foreignkey', { id: 1 }),
    rows: { c: [[1, 2, 1]] },
  }),
  constraints('rows that refer to one another within a table', {
    setup:
      'CREATE TABLE n(id INTEGER PRIMARY KEY, up INTEGER REFERENCES n(id)); INSERT INTO n VALUES (1, NULL), (2, 1);',
    ours: 'INSERT INTO n VALUES (3, 1)',
    theirs: 'INSERT INTO n VALUES (5, 1), (4, 5); DELETE FROM n WHERE id = 2',
    rows: {
      n: [
        [1, null],
        [3, 1],
        [4, 5],
        [5, 1],
      ],
    },
  }),
  constraints('a deferred foreign key', {
    setup:
      'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p DEFERRABLE INITIALLY DEFERRED); INSERT INTO p VALUES (1);',
    ours: 'DELETE FROM p',
    theirs: 'INSERT INTO c VALUES (1, 1)',
    gives: violation('c', 'foreignkey', { id: 1 }),
  }),
  constraints('NOT NULL is never in question for cells', {
    setup: 'CREATE TABLE t(id INTEGER PRIMARY KEY, a NOT NULL, b NOT NULL); INSERT INTO t VALUES (1, 1, 1);',
    ours: 'UPDATE t SET a = 2',
    theirs: 'UPDATE t SET b = 2',
    rows: { t: [[1, 2, 2]] },
  }),
  constraints('AUTOINCREMENT goes on behind what was merged', {
    setup: 'CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a); INSERT INTO t(a) VALUES (1);',
    ours: 'INSERT INTO t(id, a) VALUES (10, 1)',
    theirs: 'INSERT INTO t(id, a) VALUES (20, 2)',
    afterwards: [
      { on: 'main', sql: 'INSERT INTO t(a) VALUES (3)' },
      {
        on: 'main',
        rows: {
          t: [
            [1, 1],
            [10, 1],
            [20, 2],
            [21, 3],
          ],
        },
      },
    ],
  }),
  constraints('ON CONFLICT REPLACE deletes nothing in a merge', {
    setup:
      "CREATE TABLE t(id INTEGER PRIMARY KEY, name UNIQUE ON CONFLICT REPLACE); INSERT INTO t VALUES (1, 'one');",
    ours: "INSERT INTO t VALUES (2, 'same')",
    theirs: "INSERT INTO t VALUES (3, 'same')",
    gives: violation('t', 'unique', { id: 3 }),
    rows: {
      t: [
        [1, 'one'],
        [2, 'same'],
      ],
    },
  }),
];
