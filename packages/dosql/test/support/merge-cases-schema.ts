import { schemaConflict, sides, T, violation, type MergeCase, type Sides } from './merge-cases-shape.ts';

const schema = (name: string, of: Sides): MergeCase => sides(name, 'schema', of);

const INDEXES =
  "SELECT name FROM sqlite_schema WHERE type = 'index' AND name NOT GLOB 'sqlite*' ORDER BY name";
const NEW_T = (definition: string, values = 'id, a, b'): string =>
  `CREATE TABLE t2(${definition}); INSERT INTO t2 SELECT ${values} FROM t; DROP TABLE t; ALTER TABLE t2 RENAME TO t;`;
const R = [
  [1, 'a1', 'b1'],
  [2, 'a2', 'b2'],
  [3, 'a3', 'b3'],
] as const;

/** What either side did to tables, columns and constraints. */
export const TABLE_CASES: readonly MergeCase[] = [
  schema('a table added on their side, with rows', {
    setup: T,
    theirs: 'CREATE TABLE u(id INTEGER PRIMARY KEY, x); INSERT INTO u VALUES (1, 1), (2, 2)',
    rows: {
      t: R,
      u: [
        [1, 1],
        [2, 2],
      ],
    },
    afterwards: [{ on: 'main', sql: 'INSERT INTO u(x) VALUES (3)' }],
  }),
  schema('different tables added', {
    setup: T,
    ours: 'CREATE TABLE u(x); INSERT INTO u VALUES (1)',
    theirs: 'CREATE TABLE v(x); INSERT INTO v VALUES (2)',
    rows: { u: [[1]], v: [[2]] },
  }),
  schema('the same table added, with different rows', {
    setup: T,
    ours: 'CREATE TABLE u(k TEXT PRIMARY KEY, x); INSERT INTO u VALUES (1, 1)',
    theirs: 'CREATE TABLE u(k TEXT PRIMARY KEY, x); INSERT INTO u VALUES (2, 2)',
    rows: {
      u: [
        ['1', 1],
        ['2', 2],
      ],
    },
  }),
  schema('the same table added, with one key given to different rows', {
    setup: T,
    ours: 'CREATE TABLE u(k TEXT PRIMARY KEY, x); INSERT INTO u VALUES (1, 1)',
    theirs: 'CREATE TABLE u(k TEXT PRIMARY KEY, x); INSERT INTO u VALUES (1, 2)',
    gives: { merged: false, conflicts: [{ table: 'u', key: { k: '1' }, columns: ['x'] }] },
  }),
  schema('a table added differently', {
    setup: T,
    ours: 'CREATE TABLE u(x)',
    theirs: 'CREATE TABLE u(x, y)',
    gives: schemaConflict('table', 'u'),
  }),
  schema('a table dropped on their side', {
    setup: `${T} CREATE TABLE u(x);`,
    theirs: 'DROP TABLE u',
    afterwards: [{ on: 'main', fails: 'SELECT * FROM u', code: 'NO_SUCH_TABLE' }],
  }),
  schema('a table dropped on our side', {
    setup: `${T} CREATE TABLE u(x); INSERT INTO u VALUES (1);`,
    ours: 'DROP TABLE u',
    theirs: "UPDATE t SET a = 'x' WHERE id = 1",
    rows: { t: [[1, 'x', 'b1'], R[1], R[2]] },
    afterwards: [{ on: 'main', fails: 'SELECT * FROM u', code: 'NO_SUCH_TABLE' }],
  }),
  schema('a table dropped on both sides', { setup: T, ours: 'DROP TABLE t', theirs: 'DROP TABLE t' }),
  schema('a table dropped here whose rows changed there', {
    setup: T,
    ours: 'DROP TABLE t',
    theirs: "UPDATE t SET a = 'x' WHERE id = 1",
    gives: schemaConflict('table', 't'),
  }),
  schema('a table dropped there whose rows changed here', {
    setup: T,
    ours: "INSERT INTO t VALUES (4, 'x', 'y')",
    theirs: 'DROP TABLE t',
    gives: schemaConflict('table', 't'),
    rows: { t: [...R, [4, 'x', 'y']] },
  }),
  schema('a table dropped here and altered there', {
    setup: T,
    ours: 'DROP TABLE t',
    theirs: 'ALTER TABLE t ADD COLUMN c',
    gives: schemaConflict('table', 't'),
  }),
  schema('a table renamed here, its rows changed there', {
    setup: T,
    ours: 'ALTER TABLE t RENAME TO u',
    theirs: "UPDATE t SET a = 'x' WHERE id = 1",
    rows: { u: [[1, 'x', 'b1'], R[1], R[2]] },
  }),
  schema('a table renamed differently', {
    setup: T,
    ours: 'ALTER TABLE t RENAME TO u',
    theirs: 'ALTER TABLE t RENAME TO v',
    gives: schemaConflict('table', 't'),
  }),
  schema('a column added on their side, with values', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1",
    theirs: 'ALTER TABLE t ADD COLUMN c DEFAULT 7; UPDATE t SET c = 8 WHERE id = 2',
    rows: {
      t: [
        [1, 'x', 'b1', 7],
        [2, 'a2', 'b2', 8],
        [3, 'a3', 'b3', 7],
      ],
    },
  }),
  schema('a column added on our side, rows changed and inserted on theirs', {
    setup: T,
    ours: 'ALTER TABLE t ADD COLUMN c DEFAULT 7; UPDATE t SET c = id WHERE id < 3',
    theirs:
      "UPDATE t SET b = 'y' WHERE id = 2; INSERT INTO t VALUES (4, 'a4', 'b4'); DELETE FROM t WHERE id = 3",
    rows: {
      t: [
        [1, 'a1', 'b1', 1],
        [2, 'a2', 'y', 2],
        [4, 'a4', 'b4', 7],
      ],
    },
  }),
  schema('a column added on our side and rows deleted on theirs whose new cell was set', {
    setup: T,
    ours: "ALTER TABLE t ADD COLUMN c; UPDATE t SET c = 'x' WHERE id = 1",
    theirs: 'DELETE FROM t WHERE id = 1',
    gives: { merged: false, conflicts: [{ table: 't', key: { id: 1 }, columns: ['c'] }] },
  }),
  schema('different columns added', {
    setup: T,
    ours: 'ALTER TABLE t ADD COLUMN c; UPDATE t SET c = 1',
    theirs: 'ALTER TABLE t ADD COLUMN d; UPDATE t SET d = 2 WHERE id = 1',
    rows: {
      t: [
        [1, 'a1', 'b1', 1, 2],
        [2, 'a2', 'b2', 1, null],
        [3, 'a3', 'b3', 1, null],
      ],
    },
  }),
  schema('the same column added, with different cells set', {
    setup: T,
    ours: 'ALTER TABLE t ADD COLUMN c INT; UPDATE t SET c = 1 WHERE id = 1',
    theirs: 'ALTER TABLE t ADD COLUMN c INT; UPDATE t SET c = 2 WHERE id = 2',
    rows: {
      t: [
        [1, 'a1', 'b1', 1],
        [2, 'a2', 'b2', 2],
        [3, 'a3', 'b3', null],
      ],
    },
  }),
  schema('the same column added, with one cell set differently', {
    setup: T,
    ours: 'ALTER TABLE t ADD COLUMN c INT; UPDATE t SET c = 1 WHERE id = 1',
    theirs: 'ALTER TABLE t ADD COLUMN c INT; UPDATE t SET c = 2 WHERE id = 1',
    gives: { merged: false, conflicts: [{ table: 't', key: { id: 1 }, columns: ['c'] }] },
  }),
  schema('a column added differently', {
    setup: T,
    ours: 'ALTER TABLE t ADD COLUMN c INT',
    theirs: 'ALTER TABLE t ADD COLUMN c TEXT',
    gives: schemaConflict('column', 'c'),
  }),
  schema('a column dropped on their side', {
    setup: T,
    ours: "UPDATE t SET a = 'x' WHERE id = 1",
    theirs: 'ALTER TABLE t DROP COLUMN b',
    rows: {
      t: [
        [1, 'x'],
        [2, 'a2'],
        [3, 'a3'],
      ],
    },
  }),
  schema('a column dropped on both sides', {
    setup: T,
    ours: 'ALTER TABLE t DROP COLUMN b',
    theirs: 'ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (4, 1)',
    rows: {
      t: [
        [1, 'a1'],
        [2, 'a2'],
        [3, 'a3'],
        [4, 1],
      ],
    },
  }),
  schema('different columns dropped', {
    setup: T,
    ours: 'ALTER TABLE t DROP COLUMN a',
    theirs: 'ALTER TABLE t DROP COLUMN b',
    rows: { t: [[1], [2], [3]] },
  }),
  schema('a column dropped on one side, another added on the other', {
    setup: T,
    ours: 'ALTER TABLE t DROP COLUMN a',
    theirs: 'ALTER TABLE t ADD COLUMN c DEFAULT 1',
    rows: {
      t: [
        [1, 'b1', 1],
        [2, 'b2', 1],
        [3, 'b3', 1],
      ],
    },
  }),
  schema('a column dropped here and altered there', {
    setup: T,
    ours: 'ALTER TABLE t DROP COLUMN b',
    theirs: NEW_T('id INTEGER PRIMARY KEY, a, b TEXT'),
    gives: schemaConflict('column', 'b'),
  }),
  schema('a column dropped here and renamed there', {
    setup: T,
    ours: 'ALTER TABLE t DROP COLUMN b',
    theirs: 'ALTER TABLE t RENAME COLUMN b TO c',
    gives: schemaConflict('column', 'b'),
  }),
  schema('a column altered differently', {
    setup: T,
    ours: NEW_T('id INTEGER PRIMARY KEY, a, b TEXT'),
    theirs: NEW_T('id INTEGER PRIMARY KEY, a, b BLOB'),
    gives: schemaConflict('column', 'b'),
  }),
  schema('different columns altered', {
    setup: T,
    ours: NEW_T('id INTEGER PRIMARY KEY, a TEXT, b'),
    theirs: NEW_T('id INTEGER PRIMARY KEY, a, b TEXT'),
    rows: { t: R },
    afterwards: [
      { on: 'main', sql: 'INSERT INTO t VALUES (4, 1, 1)' },
      { on: 'main', query: 'SELECT typeof(a), typeof(b) FROM t WHERE id = 4', gives: [['text', 'text']] },
    ],
  }),
  schema('a column renamed here, its cells changed there', {
    setup: T,
    ours: 'ALTER TABLE t RENAME COLUMN a TO x',
    theirs: "UPDATE t SET a = 'n' WHERE id = 1",
    afterwards: [{ on: 'main', query: 'SELECT id, x, b FROM t', gives: [[1, 'n', 'b1'], R[1], R[2]] }],
  }),
  schema('a column renamed there, its cells changed here', {
    setup: T,
    ours: "UPDATE t SET a = 'n' WHERE id = 1",
    theirs: "ALTER TABLE t RENAME COLUMN a TO x; UPDATE t SET x = 'm' WHERE id = 2",
    afterwards: [
      { on: 'main', query: 'SELECT id, x, b FROM t', gives: [[1, 'n', 'b1'], [2, 'm', 'b2'], R[2]] },
    ],
  }),
  schema('a column renamed here, a cell of it changed on both sides', {
    setup: T,
    ours: "ALTER TABLE t RENAME COLUMN a TO x; UPDATE t SET x = 'o' WHERE id = 1",
    theirs: "UPDATE t SET a = 'n' WHERE id = 1",
    gives: { merged: false, conflicts: [{ table: 't', key: { id: 1 }, columns: ['x'] }] },
  }),
  schema('a column renamed alike', {
    setup: T,
    ours: 'ALTER TABLE t RENAME COLUMN a TO x',
    theirs: "ALTER TABLE t RENAME COLUMN a TO x; UPDATE t SET x = 'n' WHERE id = 1",
    afterwards: [{ on: 'main', query: 'SELECT x FROM t', gives: [['n'], ['a2'], ['a3']] }],
  }),
  schema('a column renamed differently', {
    setup: T,
    ours: 'ALTER TABLE t RENAME COLUMN a TO x',
    theirs: 'ALTER TABLE t RENAME COLUMN a TO y',
    gives: schemaConflict('column', 'a'),
  }),
  schema('a column renamed to the name that the other side added', {
    setup: T,
    ours: 'ALTER TABLE t RENAME COLUMN a TO x',
    theirs: 'ALTER TABLE t ADD COLUMN x',
    gives: schemaConflict('column', 'x'),
  }),
  schema('a column renamed here, an index on it added there', {
    setup: T,
    ours: 'ALTER TABLE t RENAME COLUMN a TO x',
    theirs: 'CREATE INDEX t_a ON t(a)',
    afterwards: [
      { on: 'main', query: "SELECT name FROM pragma_index_info('t_a')", gives: [['x']] },
      { on: 'main', rows: { t: R } },
    ],
  }),
  schema('columns with names that need quoting', {
    setup: T,
    ours: `ALTER TABLE t ADD COLUMN "it's"; UPDATE t SET "it's" = 1`,
    theirs: 'ALTER TABLE t ADD COLUMN "a b" DEFAULT 2; ALTER TABLE t ADD COLUMN "__proto__" DEFAULT 3',
    rows: { t: R.map((row) => [...row, 1, 2, 3]) },
  }),
  schema('a conflict of the schema leaves everything as it was', {
    setup: T,
    ours: 'ALTER TABLE t ADD COLUMN c INT',
    theirs: "ALTER TABLE t ADD COLUMN c TEXT; UPDATE t SET a = 'x'; CREATE TABLE u(x)",
    gives: schemaConflict('column', 'c'),
    rows: { t: R.map((row) => [...row, null]) },
    afterwards: [{ on: 'main', fails: 'SELECT * FROM u', code: 'NO_SUCH_TABLE' }],
  }),
  schema('rows and a table’s definition changed on their side', {
    setup: 'CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1);',
    ours: 'INSERT INTO t VALUES (2, 2)',
    theirs: `${NEW_T('id INTEGER PRIMARY KEY, a CHECK (a < 9)', '*')} INSERT INTO t VALUES (3, 3)`,
    rows: {
      t: [
        [1, 1],
        [2, 2],
        [3, 3],
      ],
    },
    afterwards: [{ on: 'main', fails: 'INSERT INTO t VALUES (4, 9)', code: 'CONSTRAINT_CHECK' }],
  }),
];

const TRIGGER = (name: string, value: string): string =>
  `CREATE TRIGGER ${name} AFTER INSERT ON t BEGIN UPDATE t SET b = ${value} WHERE id = NEW.id; END`;

/** What either side did to indexes, checks, views and triggers. */
export const OBJECT_CASES: readonly MergeCase[] = [
  schema('an index added on each side', {
    setup: T,
    ours: 'CREATE INDEX t_a ON t(a)',
    theirs: 'CREATE INDEX t_b ON t(b)',
    afterwards: [{ on: 'main', query: INDEXES, gives: [['t_a'], ['t_b']] }],
  }),
  schema('the same index added', {
    setup: T,
    ours: 'CREATE INDEX t_a ON t(a)',
    theirs: 'CREATE INDEX t_a ON t(a)',
    afterwards: [{ on: 'main', query: INDEXES, gives: [['t_a']] }],
  }),
  schema('an index added differently', {
    setup: T,
    ours: 'CREATE INDEX t_a ON t(a)',
    theirs: 'CREATE INDEX t_a ON t(b)',
    gives: schemaConflict('index', 't_a'),
  }),
  schema('an index dropped on their side', {
    setup: `${T} CREATE INDEX t_a ON t(a);`,
    theirs: 'DROP INDEX t_a',
    afterwards: [{ on: 'main', query: INDEXES, gives: [] }],
  }),
  schema('an index dropped here and made otherwise there', {
    setup: `${T} CREATE INDEX t_a ON t(a);`,
    ours: 'DROP INDEX t_a',
    theirs: 'DROP INDEX t_a; CREATE INDEX t_a ON t(a DESC)',
    gives: schemaConflict('index', 't_a'),
  }),
  schema('an index made otherwise on both sides', {
    setup: `${T} CREATE INDEX t_a ON t(a);`,
    ours: 'DROP INDEX t_a; CREATE INDEX t_a ON t(b)',
    theirs: 'DROP INDEX t_a; CREATE INDEX t_a ON t(a DESC)',
    gives: schemaConflict('index', 't_a'),
  }),
  schema('an index added to a table that the other side dropped', {
    setup: T,
    ours: 'DROP TABLE t',
    theirs: 'CREATE INDEX t_a ON t(a)',
    gives: schemaConflict('index', 't_a'),
  }),
  schema('a unique index added there that our new rows do not keep', {
    setup: T,
    ours: "INSERT INTO t VALUES (4, 'a1', 1)",
    theirs: 'CREATE UNIQUE INDEX t_a ON t(a)',
    gives: { merged: false, violations: [{ table: 't', type: 'unique' }] },
  }),
  schema('a check added there, kept by our rows', {
    setup: T,
    ours: "INSERT INTO t VALUES (4, 'a4', 'b4')",
    theirs: NEW_T("id INTEGER PRIMARY KEY, a CHECK (a <> 'bad'), b"),
    rows: { t: [...R, [4, 'a4', 'b4']] },
    afterwards: [{ on: 'main', fails: "INSERT INTO t VALUES (5, 'bad', 1)", code: 'CONSTRAINT_CHECK' }],
  }),
  schema('a check added there that a new row here does not keep', {
    setup: T,
    ours: "INSERT INTO t VALUES (4, 'bad', 'b4')",
    theirs: NEW_T("id INTEGER PRIMARY KEY, a, b, CHECK (a <> 'bad')"),
    gives: violation('t', 'check', { id: 4 }),
    rows: { t: [...R, [4, 'bad', 'b4']] },
  }),
  schema('checks added on both sides', {
    setup: T,
    ours: NEW_T("id INTEGER PRIMARY KEY, a, b, CHECK (a <> 'x')"),
    theirs: NEW_T("id INTEGER PRIMARY KEY, a, b, CHECK (b <> 'y')"),
    rows: { t: R },
    afterwards: [
      { on: 'main', fails: "INSERT INTO t VALUES (4, 'x', 1)", code: 'CONSTRAINT_CHECK' },
      { on: 'main', fails: "INSERT INTO t VALUES (4, 1, 'y')", code: 'CONSTRAINT_CHECK' },
    ],
  }),
  schema('a named check added differently', {
    setup: T,
    ours: NEW_T("id INTEGER PRIMARY KEY, a, b, CONSTRAINT c CHECK (a <> 'x')"),
    theirs: NEW_T("id INTEGER PRIMARY KEY, a, b, CONSTRAINT c CHECK (a <> 'y')"),
    gives: schemaConflict('constraint', 'c'),
  }),
  schema('a check dropped on their side', {
    setup: "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, CHECK (a <> 'x')); INSERT INTO t VALUES (1, 1, 1);",
    ours: 'UPDATE t SET b = 2',
    theirs: `${NEW_T('id INTEGER PRIMARY KEY, a, b')} UPDATE t SET a = 'x'`,
    rows: { t: [[1, 'x', 2]] },
  }),
  schema('NOT NULL added there, NULL inserted here', {
    setup: T,
    ours: 'INSERT INTO t VALUES (4, NULL, 1)',
    theirs: NEW_T('id INTEGER PRIMARY KEY, a NOT NULL, b'),
    gives: violation('t', 'notnull', { id: 4 }),
    rows: { t: [...R, [4, null, 1]] },
  }),
  schema('NOT NULL added here, NULL inserted there', {
    setup: T,
    ours: NEW_T('id INTEGER PRIMARY KEY, a NOT NULL, b'),
    theirs: 'UPDATE t SET a = NULL WHERE id = 2',
    gives: violation('t', 'notnull', { id: 2 }),
    rows: { t: R },
  }),
  schema('STRICT added here, a value of another type there', {
    setup: 'CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 1);',
    ours: 'CREATE TABLE t2(id INTEGER PRIMARY KEY, n INTEGER) STRICT; INSERT INTO t2 SELECT * FROM t; DROP TABLE t; ALTER TABLE t2 RENAME TO t',
    theirs: "INSERT INTO t VALUES (2, 'two')",
    gives: violation('t', 'datatype', { id: 2 }),
    rows: { t: [[1, 1]] },
  }),
  schema('a view added on their side, of a table of theirs', {
    setup: T,
    theirs: 'CREATE TABLE u(x); INSERT INTO u VALUES (1); CREATE VIEW v AS SELECT x + 1 FROM u',
    afterwards: [{ on: 'main', query: 'SELECT * FROM v', gives: [[2]] }],
  }),
  schema('a view changed on their side', {
    setup: `${T} CREATE VIEW v AS SELECT a FROM t;`,
    ours: "UPDATE t SET b = 'x' WHERE id = 1",
    theirs: 'DROP VIEW v; CREATE VIEW v AS SELECT b FROM t',
    afterwards: [{ on: 'main', query: 'SELECT * FROM v', gives: [['x'], ['b2'], ['b3']] }],
  }),
  schema('a view changed differently', {
    setup: `${T} CREATE VIEW v AS SELECT a FROM t;`,
    ours: 'DROP VIEW v; CREATE VIEW v AS SELECT id FROM t',
    theirs: 'DROP VIEW v; CREATE VIEW v AS SELECT b FROM t',
    gives: schemaConflict('view', 'v'),
  }),
  schema('a view dropped here and changed there', {
    setup: `${T} CREATE VIEW v AS SELECT a FROM t;`,
    ours: 'DROP VIEW v',
    theirs: 'DROP VIEW v; CREATE VIEW v AS SELECT b FROM t',
    gives: schemaConflict('view', 'v'),
  }),
  schema('a view and a table added under one name', {
    setup: T,
    ours: 'CREATE TABLE v(x)',
    theirs: 'CREATE VIEW v AS SELECT b FROM t',
    gives: schemaConflict('view', 'v'),
  }),
  schema('a trigger added on their side does not run for the merge, but from then on', {
    setup: T,
    ours: "INSERT INTO t VALUES (4, 1, 'own')",
    theirs: `${TRIGGER('g', "'fired'")}; INSERT INTO t VALUES (5, 1, 1)`,
    rows: { t: [...R, [4, 1, 'own'], [5, 1, 'fired']] },
    afterwards: [
      { on: 'main', sql: "INSERT INTO t VALUES (6, 1, '')" },
      { on: 'main', query: 'SELECT b FROM t WHERE id = 6', gives: [['fired']] },
    ],
  }),
  schema('a trigger of both does not run for what is merged', {
    setup: `${T} CREATE TABLE audit(n INTEGER PRIMARY KEY, id); CREATE TRIGGER g AFTER UPDATE ON t BEGIN INSERT INTO audit(id) VALUES (NEW.id); END;`,
    theirs: "UPDATE t SET a = 'x' WHERE id = 2",
    rows: { audit: [[1, 2]] },
  }),
  schema('a trigger added differently', {
    setup: T,
    ours: TRIGGER('g', '1'),
    theirs: TRIGGER('g', '2'),
    gives: schemaConflict('trigger', 'g'),
  }),
  schema('a trigger dropped on their side', {
    setup: `${T} ${TRIGGER('g', "'fired'")};`,
    theirs: 'DROP TRIGGER g',
    afterwards: [
      { on: 'main', sql: "INSERT INTO t VALUES (6, 1, 'own')" },
      { on: 'main', query: 'SELECT b FROM t WHERE id = 6', gives: [['own']] },
    ],
  }),
  schema('a trigger dropped here and changed there', {
    setup: `${T} ${TRIGGER('g', '1')};`,
    ours: 'DROP TRIGGER g',
    theirs: `DROP TRIGGER g; ${TRIGGER('g', '2')}`,
    gives: schemaConflict('trigger', 'g'),
  }),
];
