import { conflict, T, type MergeCase, type MergeStep } from './merge-cases-shape.ts';

const repeated = (name: string, steps: readonly MergeStep[], setup = T): MergeCase => ({
  name,
  theme: 'repeated',
  setup,
  steps,
});
const crossed = (name: string, steps: readonly MergeStep[]): MergeCase => ({
  name,
  theme: 'criss-cross',
  setup: T,
  steps,
});

const merged = { merged: true };
const unchanged = { merged: true, inserted: 0, updated: 0, deleted: 0 };
const set = (on: string, id: number, cell: 'a' | 'b', value: string): MergeStep => ({
  on,
  sql: `UPDATE t SET ${cell} = '${value}' WHERE id = ${id}`,
});
const R1 = [1, 'a1', 'b1'];
const R2 = [2, 'a2', 'b2'];
const R3 = [3, 'a3', 'b3'];

/** Merging more than once, and more than two branches. */
export const REPEATED_CASES: readonly MergeCase[] = [
  repeated('a second merge changes nothing', [
    { branch: 'b' },
    set('b', 1, 'a', 'x'),
    { merge: 'b', gives: { ...unchanged, updated: 1 } },
    { merge: 'b', gives: unchanged },
    { on: 'main', rows: { t: [[1, 'x', 'b1'], R2, R3] } },
  ]),
  repeated('a branch merged again brings only what is new', [
    { branch: 'b' },
    set('b', 1, 'a', 'x'),
    { merge: 'b', gives: merged },
    set('main', 1, 'a', 'main again'),
    set('b', 2, 'a', 'y'),
    { merge: 'b', gives: { ...unchanged, updated: 1 } },
    { on: 'main', rows: { t: [[1, 'main again', 'b1'], [2, 'y', 'b2'], R3] } },
  ]),
  repeated('what was merged and then undone here stays undone', [
    { branch: 'b' },
    { on: 'b', sql: "INSERT INTO t VALUES (4, 'x', 'y'); DELETE FROM t WHERE id = 1" },
    { merge: 'b', gives: merged },
    { on: 'main', sql: "DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (1, 'a1', 'b1')" },
    set('b', 2, 'a', 'z'),
    { merge: 'b', gives: merged },
    { on: 'main', rows: { t: [R1, [2, 'z', 'b2'], R3] } },
  ]),
  repeated('after a merge one cell changed on both sides conflicts again', [
    { branch: 'b' },
    set('b', 1, 'a', 'x'),
    { merge: 'b', gives: merged },
    set('main', 1, 'a', 'm'),
    set('b', 1, 'a', 'y'),
    { merge: 'b', gives: conflict('t', { id: 1 }, 'a') },
  ]),
  repeated('there and back', [
    { branch: 'b' },
    set('main', 1, 'a', 'm'),
    set('b', 2, 'a', 'x'),
    { merge: 'b', gives: merged },
    { merge: 'main', into: 'b', gives: { ...unchanged, updated: 1 } },
    { on: 'b', rows: { t: [[1, 'm', 'b1'], [2, 'x', 'b2'], R3] } },
    { merge: 'b', gives: unchanged },
    { merge: 'main', into: 'b', gives: unchanged },
  ]),
  repeated('main into the branch first, then the branch into main', [
    { branch: 'b' },
    set('main', 1, 'a', 'm'),
    set('b', 1, 'b', 'x'),
    { merge: 'main', into: 'b', gives: merged },
    { on: 'b', rows: { t: [[1, 'm', 'x'], R2, R3] } },
    { on: 'main', rows: { t: [[1, 'm', 'b1'], R2, R3] } },
    { merge: 'b', gives: { ...unchanged, updated: 1 } },
    { on: 'main', rows: { t: [[1, 'm', 'x'], R2, R3] } },
  ]),
  repeated('three rounds of both', [
    { branch: 'b' },
    ...[1, 2, 3].flatMap((round): MergeStep[] => [
      set('main', 1, 'a', `m${round}`),
      set('b', 2, 'b', `x${round}`),
      { merge: 'b', gives: { ...unchanged, updated: 1 } },
      { merge: 'main', into: 'b', gives: { ...unchanged, updated: 1 } },
      set('b', 1, 'a', `x${round}`),
      { merge: 'b', gives: { ...unchanged, updated: 1 } },
    ]),
    { on: 'main', rows: { t: [[1, 'x3', 'b1'], [2, 'a2', 'x3'], R3] } },
  ]),
  repeated('a branch of a branch into it, and that into main', [
    { branch: 'b' },
    set('b', 1, 'a', 'b'),
    { branch: 'c', from: 'b' },
    set('c', 1, 'b', 'c'),
    set('b', 2, 'a', 'b'),
    { merge: 'c', into: 'b', gives: merged },
    { on: 'b', rows: { t: [[1, 'b', 'c'], [2, 'b', 'b2'], R3] } },
    { merge: 'b', gives: merged },
    { on: 'main', rows: { t: [[1, 'b', 'c'], [2, 'b', 'b2'], R3] } },
    { merge: 'c', gives: unchanged },
  ]),
  repeated('a branch of a branch straight into main brings what it forked with', [
    { branch: 'b' },
    set('b', 1, 'a', 'b'),
    { branch: 'c', from: 'b' },
    set('c', 2, 'a', 'c'),
    set('b', 1, 'a', 'b later'),
    { merge: 'c', gives: { ...unchanged, updated: 2 } },
    { on: 'main', rows: { t: [[1, 'b', 'b1'], [2, 'c', 'b2'], R3] } },
    { merge: 'b', gives: { ...unchanged, updated: 1 } },
    { on: 'main', rows: { t: [[1, 'b later', 'b1'], [2, 'c', 'b2'], R3] } },
  ]),
  repeated('siblings, one into the other, then both into main', [
    { branch: 'b' },
    { branch: 'c' },
    set('b', 1, 'a', 'b'),
    set('c', 1, 'b', 'c'),
    { merge: 'b', into: 'c', gives: merged },
    { on: 'c', rows: { t: [[1, 'b', 'c'], R2, R3] } },
    { on: 'main', rows: { t: [R1, R2, R3] } },
    { merge: 'b', gives: { ...unchanged, updated: 1 } },
    { merge: 'c', gives: { ...unchanged, updated: 1 } },
    { on: 'main', rows: { t: [[1, 'b', 'c'], R2, R3] } },
  ]),
  repeated('siblings that changed one cell', [
    { branch: 'b' },
    { branch: 'c' },
    set('b', 1, 'a', 'b'),
    set('c', 1, 'a', 'c'),
    { merge: 'b', gives: merged },
    { merge: 'c', gives: conflict('t', { id: 1 }, 'a') },
    { on: 'main', rows: { t: [[1, 'b', 'b1'], R2, R3] } },
  ]),
  repeated('a branch of the past', [
    { mark: 'then' },
    {
      on: 'main',
      sql: "UPDATE t SET a = 'm'; INSERT INTO t VALUES (4, 'x', 'y'); DELETE FROM t WHERE id = 3",
    },
    { branch: 'b', at: 'then' },
    { on: 'b', rows: { t: [R1, R2, R3] } },
    set('b', 1, 'b', 'past'),
    { merge: 'b', gives: { ...unchanged, updated: 1 } },
    {
      on: 'main',
      rows: {
        t: [
          [1, 'm', 'past'],
          [2, 'm', 'b2'],
          [4, 'x', 'y'],
        ],
      },
    },
  ]),
  repeated('a branch of the past that changed what main had changed since', [
    { mark: 'then' },
    set('main', 1, 'a', 'm'),
    { branch: 'b', at: 'then' },
    set('b', 1, 'a', 'past'),
    { merge: 'b', gives: conflict('t', { id: 1 }, 'a') },
  ]),
  repeated('a branch that was dropped after its merge', [
    { branch: 'b' },
    { branch: 'c' },
    set('b', 1, 'a', 'b'),
    { merge: 'b', gives: merged },
    { merge: 'b', into: 'c', gives: merged },
    { drop: 'b' },
    set('main', 1, 'b', 'm'),
    set('c', 2, 'b', 'c'),
    { merge: 'c', gives: { ...unchanged, updated: 1 } },
    { on: 'main', rows: { t: [[1, 'b', 'm'], [2, 'a2', 'c'], R3] } },
  ]),
  repeated('a new branch under the name of a dropped one', [
    { branch: 'b' },
    set('b', 1, 'a', 'old'),
    { merge: 'b', gives: merged },
    { drop: 'b' },
    set('main', 1, 'a', 'm'),
    { branch: 'b' },
    set('b', 1, 'b', 'new'),
    { merge: 'b', gives: { ...unchanged, updated: 1 } },
    { on: 'main', rows: { t: [[1, 'm', 'new'], R2, R3] } },
  ]),
  repeated('a branch of another name, quoted in SQL', [
    { branch: "feature/it's 💥" },
    set("feature/it's 💥", 1, 'a', 'x'),
    { merge: "feature/it's 💥", gives: merged },
    { on: 'main', rows: { t: [[1, 'x', 'b1'], R2, R3] } },
  ]),
  repeated('a branch without a name that anyone knows', [{ merge: 'nobody', code: 'NO_SUCH_BRANCH' }]),
  repeated('a branch into itself', [{ branch: 'b' }, { merge: 'b', into: 'b', code: 'BAD_PARAMETER' }]),
  repeated('a column added by the first merge, used by the second', [
    { branch: 'b' },
    { on: 'b', sql: "ALTER TABLE t ADD COLUMN c; UPDATE t SET c = 'x' WHERE id = 1" },
    { merge: 'b', gives: merged },
    { on: 'main', sql: "UPDATE t SET c = 'm' WHERE id = 2" },
    { on: 'b', sql: "UPDATE t SET c = 'y' WHERE id = 3" },
    { merge: 'b', gives: { ...unchanged, updated: 1 } },
    {
      on: 'main',
      rows: {
        t: [
          [...R1, 'x'],
          [...R2, 'm'],
          [...R3, 'y'],
        ],
      },
    },
  ]),
];

/** Each of two branches has taken the other's state of before its last change. */
const CROSS: readonly MergeStep[] = [
  { branch: 'b' },
  { branch: 'c' },
  set('b', 1, 'a', 'b'),
  set('c', 2, 'a', 'c'),
  // Through branches of their own, both take what the other was before it took anything.
  { branch: 'b0', from: 'b' },
  { branch: 'c0', from: 'c' },
  { merge: 'c0', into: 'b', gives: merged },
  { merge: 'b0', into: 'c', gives: merged },
];

/** Histories with more than one merge base. */
export const CRISS_CROSS_CASES: readonly MergeCase[] = [
  crossed('two branches that took from each other have nothing to merge', [
    ...CROSS,
    { on: 'b', rows: { t: [[1, 'b', 'b1'], [2, 'c', 'b2'], R3] } },
    { on: 'c', rows: { t: [[1, 'b', 'b1'], [2, 'c', 'b2'], R3] } },
    { merge: 'c', into: 'b', gives: unchanged },
  ]),
  crossed('a cell that one set back afterwards goes back', [
    ...CROSS,
    set('b', 1, 'a', 'a1'),
    { merge: 'b', into: 'c', gives: { ...unchanged, updated: 1 } },
    { on: 'c', rows: { t: [R1, [2, 'c', 'b2'], R3] } },
  ]),
  crossed('both go on with different cells', [
    ...CROSS,
    set('b', 1, 'a', 'b again'),
    set('c', 1, 'b', 'c again'),
    { merge: 'c', into: 'b', gives: merged },
    { on: 'b', rows: { t: [[1, 'b again', 'c again'], [2, 'c', 'b2'], R3] } },
  ]),
  crossed('both go on with one cell', [
    ...CROSS,
    set('b', 1, 'a', 'x'),
    set('c', 1, 'a', 'y'),
    { merge: 'c', into: 'b', gives: conflict('t', { id: 1 }, 'a') },
  ]),
  crossed('a row deleted by one after the crossing', [
    ...CROSS,
    { on: 'b', sql: 'DELETE FROM t WHERE id = 2' },
    { merge: 'b', into: 'c', gives: { ...unchanged, deleted: 1 } },
    { on: 'c', rows: { t: [[1, 'b', 'b1'], R3] } },
  ]),
  crossed('one conflict settled differently by both is a conflict again', [
    { branch: 'b' },
    { branch: 'c' },
    set('b', 1, 'a', 'b'),
    set('c', 1, 'a', 'c'),
    { branch: 'b0', from: 'b' },
    { branch: 'c0', from: 'c' },
    { merge: 'c0', into: 'b', strategy: 'ours', gives: merged },
    { merge: 'b0', into: 'c', strategy: 'ours', gives: merged },
    { merge: 'c', into: 'b', gives: conflict('t', { id: 1 }, 'a') },
  ]),
  crossed('one conflict settled differently, then set back by one to what it was at first', [
    { branch: 'b' },
    { branch: 'c' },
    set('b', 1, 'a', 'b'),
    set('c', 1, 'a', 'c'),
    { branch: 'b0', from: 'b' },
    { branch: 'c0', from: 'c' },
    { merge: 'c0', into: 'b', strategy: 'ours', gives: merged },
    { merge: 'b0', into: 'c', strategy: 'ours', gives: merged },
    set('b', 1, 'a', 'a1'),
    { merge: 'c', into: 'b', gives: conflict('t', { id: 1 }, 'a') },
  ]),
  crossed('one conflict settled alike by both', [
    { branch: 'b' },
    { branch: 'c' },
    set('b', 1, 'a', 'b'),
    set('c', 1, 'a', 'c'),
    { branch: 'b0', from: 'b' },
    { branch: 'c0', from: 'c' },
    { merge: 'c0', into: 'b', strategy: 'ours', gives: merged },
    { merge: 'b0', into: 'c', strategy: 'theirs', gives: merged },
    { merge: 'c', into: 'b', gives: unchanged },
    { on: 'c', rows: { t: [[1, 'b', 'b1'], R2, R3] } },
  ]),
  crossed('a branch that was made before a merge that wrote nothing does not know of it', [
    { branch: 'b' },
    { branch: 'c' },
    set('b', 1, 'a', 'b'),
    set('c', 1, 'a', 'c'),
    { branch: 'before', from: 'b' },
    { merge: 'c', into: 'b', strategy: 'ours', gives: unchanged },
    { branch: 'after', from: 'b' },
    { merge: 'c', into: 'before', gives: conflict('t', { id: 1 }, 'a') },
    { merge: 'c', into: 'after', gives: unchanged },
  ]),
];
