/**
 * The graph of branch histories. A line is a branch's succession of states, told by the LSN: one log numbers the
 * changes of all lines. A state knows what its line knew before it, its parent up to the fork, and every state
 * that was merged into it.
 */

/** One branch's line of states. */
export interface Line {
  readonly id: number;
  /** Undefined for the line that forked from none. */
  readonly parent: number | undefined;
  /** The LSN of the parent's state that the line began with. */
  readonly base: number;
  /** The number of the last merge that had been made by then; by default all at `base` had. */
  readonly merges?: number;
  /** Its states cannot be read any more, but what was merged from it is still known to others. */
  readonly isDropped?: boolean;
}

/**
 * One merge: `into` from `lsn` on, the last that the merge wrote, knows all of `source` up to `sourceLsn`. An LSN may be
 * the log's end at that time, but a line's own last one is better: it makes equal states of a line one state, where else
 * one of them can be taken for another base.
 */
export interface Merge {
  /** Merges are numbered from 1 as they are made; by default by their places in the list. */
  readonly id?: number;
  readonly source: number;
  readonly sourceLsn: number;
  readonly into: number;
  readonly lsn: number;
}

/** All lines and merges of a database, dropped lines included. */
export interface Ancestry {
  readonly lines: readonly Line[];
  readonly merges: readonly Merge[];
}

/**
 * A state: a line at an LSN. A merge that writes nothing, such as one that settles all conflicts for ours, makes a
 * state of the same LSN that knows more: so the number of the last merge made tells which one is meant, by default
 * the latest.
 */
export interface State {
  readonly line: number;
  readonly lsn: number;
  readonly merges?: number;
}

/** For every line the latest state of it that a state includes. */
export type Knowledge = ReadonlyMap<number, State>;

const mergesOf = ({ merges }: State): number => merges ?? Number.POSITIVE_INFINITY;

/** Whether `a` is a state of before `b` or the same, of one line. */
function isBy(a: State, b: State): boolean {
  return a.lsn < b.lsn || (a.lsn === b.lsn && mergesOf(a) <= mergesOf(b));
}

const stateOf = (line: number, lsn: number, merges: number | undefined): State =>
  merges === undefined ? { line, lsn } : { line, lsn, merges };

/** What the states together include. */
export function knows(ancestry: Ancestry, ...states: readonly State[]): Knowledge {
  const known = new Map<number, State>();
  const open = [...states];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const line = ancestry.lines.find(({ id }) => id === state?.line);
    const made = mergesInto(ancestry, state);
    const exact = { line: state.line, lsn: state.lsn, merges: lastAt(made, state.lsn) };
    const before = known.get(state.line);
    if (before !== undefined && isBy(exact, before)) continue;
    if (line?.parent !== undefined) {
      const fork = stateOf(line.parent, line.base, line.merges);
      open.push(state.lsn < line.base ? { ...state, line: line.parent } : fork);
      // What a line began with is its parent's state, not one of its own.
      if (isBy(exact, fork)) continue;
    }
    known.set(state.line, exact);
    for (const { id, merge } of made) open.push(stateOf(merge.source, merge.sourceLsn, id - 1));
  }
  return known;
}

/** The merges that a state knows to have been made into its line, with their numbers. */
function mergesInto({ merges }: Ancestry, state: State): { readonly id: number; readonly merge: Merge }[] {
  return merges.flatMap((merge, i) => {
    const id = merge.id ?? i + 1;
    const isKnown = merge.into === state.line && isBy(stateOf(merge.into, merge.lsn, id), state);
    return isKnown ? [{ id, merge }] : [];
  });
}

/** Of merges into one line, the last one at `lsn`: only these make states that the LSN does not tell apart. */
function lastAt(made: readonly { readonly id: number; readonly merge: Merge }[], lsn: number): number {
  return Math.max(0, ...made.filter(({ merge }) => merge.lsn === lsn).map(({ id }) => id));
}

/** Whether `knowledge` includes `state` as a whole. */
function includes(knowledge: Knowledge, state: State): boolean {
  const known = knowledge.get(state.line);
  return known !== undefined && isBy(state, known);
}

/**
 * The merge bases of two states: the latest that both include. Several where lines were merged crosswise, so that
 * none of them includes the others; {@link virtualBase} makes one of them. The order does not depend on which state is
 * called `a`. Dropped lines give none.
 */
export function mergeBases(ancestry: Ancestry, a: State, b: State): State[] {
  return common(ancestry, knows(ancestry, a), knows(ancestry, b));
}

function common(ancestry: Ancestry, one: Knowledge, other: Knowledge): State[] {
  const readable = new Set(ancestry.lines.filter(({ isDropped }) => !isDropped).map(({ id }) => id));
  const states = [...one]
    .flatMap(([line, mine]) => {
      const theirs = readable.has(line) ? other.get(line) : undefined;
      return theirs === undefined ? [] : [isBy(mine, theirs) ? mine : theirs];
    })
    .toSorted((x, y) => x.line - y.line);
  const knowledge = states.map((state) => knows(ancestry, state));
  // Of two that include each other, which are one state under two names, the first stays.
  return states.filter(
    (state, i) =>
      !states.some(
        (later, j) =>
          i !== j &&
          includes(knowledge[j] as Knowledge, state) &&
          (j < i || !includes(knowledge[i] as Knowledge, later)),
      ),
  );
}

/**
 * The base of a merge: a state, or what two bases make when they are merged over a base of their own. A row of it
 * is found by merging rows the same way, with `foldBases`; `base` is undefined where the two have nothing in common.
 */
export type Base =
  | ({ readonly kind: 'state' } & State)
  | {
      readonly kind: 'merge';
      readonly base: Base | undefined;
      readonly one: Base;
      readonly other: Base;
    };

/** One base of several, folded from the first to the last; undefined of none. */
export function virtualBase(ancestry: Ancestry, bases: readonly State[]): Base | undefined {
  const [first, ...rest] = bases;
  if (first === undefined) return undefined;
  const folded: State[] = [first];
  let base: Base = { kind: 'state', ...first };
  for (const next of rest) {
    const between = common(ancestry, knows(ancestry, ...folded), knows(ancestry, next));
    base = {
      kind: 'merge',
      base: virtualBase(ancestry, between),
      one: base,
      other: { kind: 'state', ...next },
    };
    folded.push(next);
  }
  return base;
}

/** The base of merging two states: the one to compare rows with. */
export function baseOf(ancestry: Ancestry, a: State, b: State): Base | undefined {
  return virtualBase(ancestry, mergeBases(ancestry, a, b));
}

/** The states that a base is made of: those whose rows have to be read. */
export function statesOf(base: Base | undefined): State[] {
  if (base === undefined) return [];
  if (base.kind === 'state') return [stateOf(base.line, base.lsn, base.merges)];
  return [base.one, base.other, base.base].flatMap(statesOf);
}
