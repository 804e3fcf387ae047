import {
  conflict,
  sides,
  T,
  violation,
  type MergeCase,
  type MergeStep,
  type MergeStrategy,
  type Rows,
} from './merge-cases-shape.ts';

const R2 = [2, 'a2', 'b2'];
const R3 = [3, 'a3', 'b3'];
const merged = { merged: true };

const settled = (
  name: string,
  strategy: MergeStrategy,
  ours: string,
  theirs: string,
  rows: Rows,
  setup = T,
): MergeCase => ({
  name,
  theme: 'strategies',
  setup,
  steps: [
    { branch: 'b' },
    { on: 'main', sql: ours },
    { on: 'b', sql: theirs },
    { merge: 'b', strategy, gives: merged },
    { on: 'main', rows: { t: rows } },
    { conflictsOn: 'main', gives: [] },
    { merge: 'b', gives: { merged: true, inserted: 0, updated: 0, deleted: 0 } },
  ],
});

const OURS = "UPDATE t SET a = 'o' WHERE id = 1";
const THEIRS = "UPDATE t SET a = 't' WHERE id = 1";
/** Two rows in conflict, and one that is not. */
const TWO = {
  setup: T,
  ours: "UPDATE t SET a = 'o' WHERE id < 3",
  theirs: "UPDATE t SET a = 't'",
  gives: {
    merged: false,
    conflicts: [1, 2].map((id) => ({ table: 't', key: { id }, columns: ['a'] })),
  },
};
const resolved = (name: string, afterwards: readonly MergeStep[], of: Partial<typeof TWO> = {}): MergeCase =>
  sides(name, 'strategies', { ...TWO, ...of, afterwards });
const left = (...ids: number[]): MergeStep => ({
  conflictsOn: 'main',
  gives: ids.map((id) => ({ table: 't', key: { id } })),
});
const DIVERGED = 'SELECT a, b FROM t WHERE id = 1';

/** Conflicts settled in advance. */
const STRATEGIES: readonly MergeCase[] = [
  settled('ours for a cell', 'ours', OURS, THEIRS, [[1, 'o', 'b1'], R2, R3]),
  settled('theirs for a cell', 'theirs', OURS, THEIRS, [[1, 't', 'b1'], R2, R3]),
  settled(
    'ours for the cell in conflict, and what does not conflict from both',
    'ours',
    "UPDATE t SET a = 'o' WHERE id = 1",
    "UPDATE t SET a = 't', b = 'y' WHERE id = 1; INSERT INTO t VALUES (4, 4, 4)",
    [[1, 'o', 'y'], R2, R3, [4, 4, 4]],
  ),
  settled(
    'theirs for the cell in conflict, and what does not conflict from both',
    'theirs',
    "UPDATE t SET a = 'o', b = 'x' WHERE id = 1; DELETE FROM t WHERE id = 3",
    "UPDATE t SET a = 't' WHERE id = 1",
    [[1, 't', 'x'], R2],
  ),
  settled('ours, which deleted the row', 'ours', 'DELETE FROM t WHERE id = 1', THEIRS, [R2, R3]),
  settled('theirs against a deleted row', 'theirs', 'DELETE FROM t WHERE id = 1', THEIRS, [
    [1, 't', 'b1'],
    R2,
    R3,
  ]),
  settled('theirs, which deleted the row', 'theirs', OURS, 'DELETE FROM t WHERE id = 1', [R2, R3]),
  settled('ours against a row deleted there', 'ours', OURS, 'DELETE FROM t WHERE id = 1', [
    [1, 'o', 'b1'],
    R2,
    R3,
  ]),
  settled(
    'theirs for a key inserted on both sides',
    'theirs',
    "INSERT INTO t VALUES (4, 'o', 'o')",
    "INSERT INTO t VALUES (4, 't', 't')",
    [[1, 'a1', 'b1'], R2, R3, [4, 't', 't']],
  ),
  settled(
    'a function that sees all three rows',
    ({ key, base, ours, theirs }) => ({
      ...ours,
      a: [key['id'], base?.['a'], ours?.['a'], theirs?.['a']].join(),
    }),
    OURS,
    THEIRS,
    [[1, '1,a1,o,t', 'b1'], R2, R3],
  ),
  settled(
    'a function that sees absent rows as null',
    ({ base, ours, theirs, columns }) => ({
      id: 1,
      a: `${base === null} ${ours === null} ${theirs === null}`,
      b: columns.join(),
    }),
    'DELETE FROM t WHERE id = 1',
    THEIRS,
    [[1, 'false true false', 'a'], R2, R3],
  ),
  settled(
    'a function that gives the columns in question: the others are merged',
    ({ ours, theirs }) => ({ a: `${String(ours?.['a'])}+${String(theirs?.['a'])}` }),
    OURS,
    "UPDATE t SET a = 't', b = 'theirs alone' WHERE id = 1",
    [[1, 'o+t', 'theirs alone'], R2, R3],
  ),
  {
    name: 'a strategy does not settle violations',
    theme: 'strategies',
    setup: 'CREATE TABLE t(id INTEGER PRIMARY KEY, name UNIQUE);',
    steps: [
      { branch: 'b' },
      { on: 'main', sql: "INSERT INTO t VALUES (1, 'same')" },
      { on: 'b', sql: "INSERT INTO t VALUES (2, 'same')" },
      { merge: 'b', strategy: 'theirs', gives: violation('t', 'unique', { id: 2 }) },
      { on: 'main', rows: { t: [[1, 'same']] } },
    ],
  },
  {
    name: 'a row from a function that breaks a constraint is a violation',
    theme: 'strategies',
    setup: "CREATE TABLE t(id INTEGER PRIMARY KEY, a CHECK (a <> 'bad')); INSERT INTO t VALUES (1, 'a');",
    steps: [
      { branch: 'b' },
      { on: 'main', sql: "UPDATE t SET a = 'o'" },
      { on: 'b', sql: "UPDATE t SET a = 't'" },
      {
        merge: 'b',
        strategy: () => ({ id: 1, a: 'bad' }),
        gives: { merged: false, violations: [{ table: 't', key: { id: 1 }, type: 'check' }] },
      },
      { on: 'main', rows: { t: [[1, 'o']] } },
    ],
  },
  {
    name: 'a dry run tells what would be, and changes nothing',
    theme: 'strategies',
    setup: T,
    steps: [
      { branch: 'b' },
      { on: 'b', sql: `${THEIRS}; INSERT INTO t VALUES (4, 4, 4); DELETE FROM t WHERE id = 3` },
      { merge: 'b', dryRun: true, gives: { merged: true, inserted: 1, updated: 1, deleted: 1 } },
      { on: 'main', rows: { t: [[1, 'a1', 'b1'], R2, R3] } },
      { merge: 'b', gives: { merged: true, inserted: 1, updated: 1, deleted: 1 } },
    ],
  },
  {
    name: 'a dry run tells conflicts and violations, and keeps none',
    theme: 'strategies',
    setup: T,
    steps: [
      { branch: 'b' },
      { on: 'main', sql: OURS },
      { on: 'b', sql: THEIRS },
      { merge: 'b', dryRun: true, gives: conflict('t', { id: 1 }, 'a') },
      { conflictsOn: 'main', gives: [] },
      { on: 'main', rows: { t: [[1, 'o', 'b1'], R2, R3] } },
    ],
  },
  {
    name: 'a dry run of a change of the schema',
    theme: 'strategies',
    setup: T,
    steps: [
      { branch: 'b' },
      { on: 'b', sql: 'CREATE TABLE u(x); ALTER TABLE t ADD COLUMN c' },
      { merge: 'b', dryRun: true, gives: merged },
      { on: 'main', rows: { t: [[1, 'a1', 'b1'], R2, R3] } },
      { on: 'main', fails: 'SELECT * FROM u', code: 'NO_SUCH_TABLE' },
    ],
  },
];

/** Conflicts that are kept and settled afterwards. */
const RESOLUTIONS: readonly MergeCase[] = [
  resolved('conflicts stay until they are settled', [left(1, 2), left(1, 2)]),
  resolved('all for ours', [
    { resolve: 't', key: 'all', by: 'ours' },
    left(),
    { merge: 'b', gives: { merged: true, inserted: 0, updated: 1, deleted: 0 } },
    {
      on: 'main',
      rows: {
        t: [
          [1, 'o', 'b1'],
          [2, 'o', 'b2'],
          [3, 't', 'b3'],
        ],
      },
    },
  ]),
  resolved('all for theirs', [
    { resolve: 't', key: 'all', by: 'theirs' },
    { merge: 'b', gives: merged },
    {
      on: 'main',
      rows: {
        t: [
          [1, 't', 'b1'],
          [2, 't', 'b2'],
          [3, 't', 'b3'],
        ],
      },
    },
  ]),
  resolved('one by one, in three ways', [
    { resolve: 't', key: { id: 1 }, by: 'theirs' },
    left(2),
    { merge: 'b', gives: conflict('t', { id: 2 }, 'a') },
    { resolve: 't', key: { id: 2 }, by: { id: 2, a: 'own', b: 'own' } },
    { merge: 'b', gives: merged },
    {
      on: 'main',
      rows: {
        t: [
          [1, 't', 'b1'],
          [2, 'own', 'own'],
          [3, 't', 'b3'],
        ],
      },
    },
    left(),
  ]),
  resolved('nothing is merged while one is left', [
    { resolve: 't', key: { id: 1 }, by: 'theirs' },
    { merge: 'b', gives: conflict('t', { id: 2 }, 'a') },
    { on: 'main', rows: { t: [[1, 'o', 'b1'], [2, 'o', 'b2'], R3] } },
  ]),
  resolved('by SQL: what is deleted is ours', [
    { on: 'main', query: 'SELECT id FROM (SELECT our_id AS id FROM dosql_conflicts_t)', gives: [[1], [2]] },
    {
      on: 'main',
      query:
        'SELECT source, target, base_a, our_a, their_a, our_diff_type, their_diff_type FROM dosql_conflicts_t WHERE our_id = 1',
      gives: [['b', 'main', 'a1', 'o', 't', 'modified', 'modified']],
    },
    { on: 'main', sql: 'DELETE FROM dosql_conflicts_t' },
    { merge: 'b', gives: merged },
    {
      on: 'main',
      rows: {
        t: [
          [1, 'o', 'b1'],
          [2, 'o', 'b2'],
          [3, 't', 'b3'],
        ],
      },
    },
  ]),
  resolved('by SQL: theirs copied over ours, then deleted', [
    { on: 'main', sql: 'UPDATE dosql_conflicts_t SET our_a = their_a WHERE our_id = 2' },
    left(1, 2),
    { on: 'main', sql: 'DELETE FROM dosql_conflicts_t' },
    left(),
    { merge: 'b', gives: merged },
    {
      on: 'main',
      rows: {
        t: [
          [1, 'o', 'b1'],
          [2, 't', 'b2'],
          [3, 't', 'b3'],
        ],
      },
    },
  ]),
  resolved('by SQL: edited, then deleted', [
    { on: 'main', sql: "UPDATE dosql_conflicts_t SET our_a = base_a || '+' || their_a" },
    { on: 'main', sql: 'DELETE FROM dosql_conflicts_t' },
    { merge: 'b', gives: merged },
    {
      on: 'main',
      rows: {
        t: [
          [1, 'a1+t', 'b1'],
          [2, 'a2+t', 'b2'],
          [3, 't', 'b3'],
        ],
      },
    },
  ]),
  resolved(
    'by SQL: the kinds of change',
    [
      {
        on: 'main',
        query: 'SELECT coalesce(our_id, their_id), our_diff_type, their_diff_type FROM dosql_conflicts_t',
        gives: [
          [1, 'removed', 'modified'],
          [2, 'modified', 'removed'],
          [4, 'added', 'added'],
        ],
      },
    ],
    {
      ours: "DELETE FROM t WHERE id = 1; UPDATE t SET a = 'o' WHERE id = 2; INSERT INTO t VALUES (4, 1, 1)",
      theirs: "UPDATE t SET a = 't' WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (4, 2, 2)",
      gives: {
        merged: false,
        conflicts: [
          { table: 't', key: { id: 1 }, columns: ['a'] },
          { table: 't', key: { id: 2 }, columns: ['a'] },
          { table: 't', key: { id: 4 }, columns: ['a', 'b'] },
        ],
      },
    },
  ),
  resolved('a conflict whose row has changed since is asked about again', [
    { resolve: 't', key: 'all', by: 'ours' },
    { on: 'b', sql: "UPDATE t SET a = 'later' WHERE id = 1" },
    { merge: 'b', gives: { merged: false, conflicts: [{ table: 't', key: { id: 1 }, columns: ['a'] }] } },
    { on: 'main', query: DIVERGED, gives: [['o', 'b1']] },
  ]),
  resolved('conflicts of a merge into a branch belong to that branch', [
    { merge: 'main', into: 'b', gives: TWO.gives },
    { conflictsOn: 'b', gives: [1, 2].map((id) => ({ table: 't', key: { id } })) },
    { resolve: 't', on: 'b', key: 'all', by: 'theirs' },
    { conflictsOn: 'b', gives: [] },
    left(1, 2),
    { merge: 'main', into: 'b', gives: merged },
    {
      on: 'b',
      rows: {
        t: [
          [1, 'o', 'b1'],
          [2, 'o', 'b2'],
          [3, 't', 'b3'],
        ],
      },
    },
  ]),
  resolved('the conflicts that are kept are themselves no part of what branches and merges see', [
    { branch: 'c' },
    { on: 'c', sql: 'INSERT INTO t VALUES (9, 9, 9)' },
    { merge: 'c', into: 'b', gives: TWO.gives },
    { resolve: 't', key: 'all', by: 'ours' },
    { merge: 'b', gives: merged },
    { merge: 'c', gives: { merged: true, inserted: 1, updated: 0, deleted: 0 } },
    {
      on: 'main',
      rows: {
        t: [
          [1, 'o', 'b1'],
          [2, 'o', 'b2'],
          [3, 't', 'b3'],
          [9, 9, 9],
        ],
      },
    },
  ]),
  resolved('a strategy settles conflicts that were left before', [
    { merge: 'b', strategy: 'theirs', gives: merged },
    left(),
    {
      on: 'main',
      rows: {
        t: [
          [1, 't', 'b1'],
          [2, 't', 'b2'],
          [3, 't', 'b3'],
        ],
      },
    },
  ]),
];

/** Strategies, dry runs, and settling conflicts. */
export const STRATEGY_CASES: readonly MergeCase[] = [...STRATEGIES, ...RESOLUTIONS];
