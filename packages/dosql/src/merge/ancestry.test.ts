import { describe, expect, it } from 'vitest';
import {
  baseOf,
  knows,
  mergeBases as basesWithMerges,
  statesOf,
  virtualBase,
  type Ancestry,
  type State,
} from './ancestry.ts';

const MAIN = { id: 0, parent: undefined, base: 0 };
const [A, B, C] = [1, 2, 3];
const at = (line: number, lsn: number): { line: number; lsn: number } => ({ line, lsn });

/** Without the numbers of merges, which only tell apart states of one LSN. */
const plainly = ({ line, lsn }: State): State => ({ line, lsn });
const mergeBases = (...of: Parameters<typeof basesWithMerges>): State[] =>
  basesWithMerges(...of).map(plainly);
const known = (ancestry: Ancestry, state: State): Map<number, number> =>
  new Map([...knows(ancestry, state)].map(([line, { lsn }]) => [line, lsn]));

/** Two branches of main, each with a change of its own, merged into each other from what they were before. */
const CROSSED: Ancestry = {
  lines: [MAIN, { id: A, parent: 0, base: 10 }, { id: B, parent: 0, base: 10 }],
  merges: [
    { source: B, sourceLsn: 14, into: A, lsn: 16 },
    { source: A, sourceLsn: 15, into: B, lsn: 17 },
  ],
};

describe('a state', () => {
  it('knows its line, and its parent up to the fork', () => {
    const ancestry = {
      lines: [MAIN, { id: A, parent: 0, base: 10 }, { id: B, parent: A, base: 20 }],
      merges: [],
    };
    expect(known(ancestry, at(B, 30))).toEqual(
      new Map([
        [B, 30],
        [A, 20],
        [0, 10],
      ]),
    );
    expect(known(ancestry, at(0, 30))).toEqual(new Map([[0, 30]]));
  });

  it('knows what was merged into it by then, and what that knew', () => {
    const ancestry = {
      lines: [MAIN, { id: A, parent: 0, base: 10 }, { id: B, parent: A, base: 20 }],
      merges: [{ source: B, sourceLsn: 25, into: 0, lsn: 28 }],
    };
    expect(known(ancestry, at(0, 27))).toEqual(new Map([[0, 27]]));
    expect(known(ancestry, at(0, 28))).toEqual(
      new Map([
        [0, 28],
        [B, 25],
        [A, 20],
      ]),
    );
  });
});

describe('the merge base', () => {
  const plain: Ancestry = {
    lines: [
      MAIN,
      { id: A, parent: 0, base: 10 },
      { id: B, parent: 0, base: 12 },
      { id: C, parent: A, base: 18 },
    ],
    merges: [],
  };

  it('of a branch and its parent is the fork', () => {
    expect(mergeBases(plain, at(0, 30), at(A, 20))).toEqual([at(0, 10)]);
    expect(mergeBases(plain, at(A, 20), at(0, 30))).toEqual([at(0, 10)]);
  });

  it('of siblings is the earlier fork', () => {
    expect(mergeBases(plain, at(B, 30), at(A, 20))).toEqual([at(0, 10)]);
  });

  it('of a branch of a branch is the fork from that, or that one’s', () => {
    expect(mergeBases(plain, at(C, 30), at(A, 25))).toEqual([at(A, 18)]);
    expect(mergeBases(plain, at(C, 30), at(0, 25))).toEqual([at(0, 10)]);
    expect(mergeBases(plain, at(C, 30), at(B, 25))).toEqual([at(0, 10)]);
  });

  it('of a state and a later one of its line is the earlier', () => {
    expect(mergeBases(plain, at(A, 13), at(A, 20))).toEqual([at(A, 13)]);
  });

  it('of a branch made of the past is the past', () => {
    const ancestry = { lines: [MAIN, { id: A, parent: 0, base: 3 }], merges: [] };
    expect(mergeBases(ancestry, at(0, 50), at(A, 60))).toEqual([at(0, 3)]);
  });

  it('after a merge is what was merged', () => {
    const ancestry = { ...plain, merges: [{ source: A, sourceLsn: 20, into: 0, lsn: 25 }] };
    expect(mergeBases(ancestry, at(0, 30), at(A, 40))).toEqual([at(A, 20)]);
    // The merge does not count for what main was before it.
    expect(mergeBases(ancestry, at(0, 24), at(A, 40))).toEqual([at(0, 10)]);
  });

  it('after merges both ways is the later', () => {
    const merges = [
      { source: A, sourceLsn: 20, into: 0, lsn: 25 },
      { source: 0, sourceLsn: 30, into: A, lsn: 33 },
    ];
    expect(mergeBases({ ...plain, merges }, at(0, 40), at(A, 41))).toEqual([at(0, 30)]);
    const more = [...merges, { source: A, sourceLsn: 41, into: 0, lsn: 44 }];
    expect(mergeBases({ ...plain, merges: more }, at(0, 50), at(A, 51))).toEqual([at(A, 41)]);
  });

  it('after merges that wrote nothing is one of the equal states', () => {
    const merges = [
      { source: A, sourceLsn: 25, into: 0, lsn: 25 },
      { source: 0, sourceLsn: 25, into: A, lsn: 25 },
    ];
    expect(mergeBases({ ...plain, merges }, at(0, 40), at(A, 41))).toEqual([at(0, 25)]);
  });

  it('reaches through siblings and through what they merged', () => {
    const merges = [
      { source: A, sourceLsn: 20, into: 0, lsn: 22 },
      { source: 0, sourceLsn: 24, into: B, lsn: 26 },
    ];
    expect(mergeBases({ ...plain, merges }, at(A, 40), at(B, 40))).toEqual([at(A, 20)]);
    expect(mergeBases({ ...plain, merges }, at(C, 40), at(B, 40))).toEqual([at(A, 18)]);
    expect(mergeBases({ ...plain, merges }, at(C, 40), at(0, 40))).toEqual([at(A, 18)]);
  });

  it('is several where lines were merged crosswise', () => {
    expect(mergeBases(CROSSED, at(A, 20), at(B, 21))).toEqual([at(A, 15), at(B, 14)]);
    expect(mergeBases(CROSSED, at(B, 21), at(A, 20))).toEqual([at(A, 15), at(B, 14)]);
    // Once one has the other's whole, there is one again.
    const merges = [...CROSSED.merges, { source: A, sourceLsn: 22, into: B, lsn: 25 }];
    expect(mergeBases({ ...CROSSED, merges }, at(A, 30), at(B, 31))).toEqual([at(A, 22)]);
  });

  it('is several where two lines took from two others', () => {
    const ancestry: Ancestry = {
      lines: [MAIN, ...[A, B, C, 4].map((id) => ({ id, parent: 0, base: 10 }))],
      merges: [A, B].flatMap((source) =>
        [C, 4].map((into) => ({ source, sourceLsn: 11 + source, into, lsn: 20 + source * 10 + into })),
      ),
    };
    expect(mergeBases(ancestry, at(C, 90), at(4, 91))).toEqual([at(A, 12), at(B, 13)]);
    expect(mergeBases(ancestry, at(C, 90), at(A, 91))).toEqual([at(A, 12)]);
  });

  it('is never on a line that is gone, and reaches past it', () => {
    const merges = [
      { source: A, sourceLsn: 20, into: 0, lsn: 22 },
      { source: A, sourceLsn: 20, into: B, lsn: 24 },
    ];
    const gone = plain.lines.map((line) => (line.id === A ? { ...line, isDropped: true } : line));
    expect(mergeBases({ ...plain, merges }, at(0, 30), at(B, 30))).toEqual([at(0, 12), at(A, 20)]);
    expect(mergeBases({ lines: gone, merges }, at(0, 30), at(B, 30))).toEqual([at(0, 12)]);
    expect(mergeBases({ lines: gone, merges }, at(0, 30), at(C, 30))).toEqual([at(0, 10)]);
    const forgotten = plain.lines.filter(({ id }) => id !== A);
    expect(mergeBases({ lines: forgotten, merges }, at(0, 30), at(B, 30))).toEqual([at(0, 12)]);
  });
});

describe('merges that write nothing', () => {
  const lines = [MAIN, { id: A, parent: 0, base: 10, merges: 0 }, { id: B, parent: 0, base: 10, merges: 0 }];
  /** Each took the other as it was before it took anything, and kept its own. */
  const crossed: Ancestry = {
    lines: [...lines, { id: C, parent: A, base: 12, merges: 0 }, { id: 4, parent: B, base: 12, merges: 0 }],
    merges: [
      { source: 4, sourceLsn: 12, into: A, lsn: 12 },
      { source: C, sourceLsn: 12, into: B, lsn: 12 },
    ],
  };

  it('make states that know more at the same LSN', () => {
    expect(basesWithMerges(crossed, at(A, 12), at(B, 12))).toEqual([
      { line: A, lsn: 12, merges: 0 },
      { line: B, lsn: 12, merges: 0 },
    ]);
    expect(statesOf(baseOf(crossed, at(A, 12), at(B, 12))).map(plainly)).toEqual([
      at(A, 12),
      at(B, 12),
      at(0, 10),
    ]);
  });

  it('are known to what forked after them, and not to what forked before', () => {
    const fork = (merges: number): Ancestry => ({
      lines: [...lines, { id: C, parent: A, base: 12, merges }],
      merges: [{ source: B, sourceLsn: 12, into: A, lsn: 12 }],
    });
    expect(mergeBases(fork(1), at(C, 20), at(B, 20))).toEqual([at(B, 12)]);
    expect(mergeBases(fork(0), at(C, 20), at(B, 20))).toEqual([at(0, 10)]);
  });

  it('count also for a branch that has not changed since it forked', () => {
    const merges = [
      { source: B, sourceLsn: 10, into: A, lsn: 10 },
      { source: B, sourceLsn: 12, into: A, lsn: 12 },
    ];
    expect(mergeBases({ lines, merges }, at(A, 12), at(B, 20))).toEqual([at(B, 12)]);
  });
});

describe('several bases', () => {
  it('fold over their own base', () => {
    const base = baseOf(CROSSED, at(A, 20), at(B, 21));
    expect(base).toMatchObject({
      kind: 'merge',
      base: { kind: 'state', ...at(0, 10) },
      one: { kind: 'state', ...at(A, 15) },
      other: { kind: 'state', ...at(B, 14) },
    });
    expect(statesOf(base).map(plainly)).toEqual([at(A, 15), at(B, 14), at(0, 10)]);
  });

  it('fold over crossed bases of their own', () => {
    const merges = [
      ...CROSSED.merges,
      { source: B, sourceLsn: 24, into: A, lsn: 26 },
      { source: A, sourceLsn: 25, into: B, lsn: 27 },
    ];
    expect(baseOf({ ...CROSSED, merges }, at(A, 30), at(B, 30))).toMatchObject({
      kind: 'merge',
      base: baseOf(CROSSED, at(A, 25), at(B, 24)),
      one: { kind: 'state', ...at(A, 25) },
      other: { kind: 'state', ...at(B, 24) },
    });
  });

  it('of three are folded one after the other', () => {
    const ancestry: Ancestry = {
      lines: [MAIN, ...[A, B, C].map((id) => ({ id, parent: 0, base: 10 + id }))],
      merges: [{ source: A, sourceLsn: 12, into: C, lsn: 18 }],
    };
    const fold = virtualBase(ancestry, [at(A, 20), at(B, 20), at(C, 20)]);
    expect(fold).toMatchObject({
      base: { one: { kind: 'state', ...at(0, 12) }, other: { kind: 'state', ...at(A, 12) } },
      one: { kind: 'merge', base: { kind: 'state', ...at(0, 11) } },
      other: { kind: 'state', ...at(C, 20) },
    });
  });

  it('of none is none', () => {
    expect(virtualBase(CROSSED, [])).toBe(undefined);
    expect(statesOf(undefined)).toEqual([]);
  });
});
