import {
  columnsIn,
  normal,
  sameText,
  type ColumnDefinition,
  type ConstraintDefinition,
} from './definition.ts';
import { lowerName } from '../sql/token.ts';

/** One thing as the base and both sides have it; undefined where it is absent. */
export interface Three<T> {
  readonly base: T | undefined;
  readonly ours: T | undefined;
  readonly theirs: T | undefined;
}

/** Decides, of the elements of two sides that have not found one another yet, whether they are one. */
type Same<T> = (a: T, b: T) => boolean;

/** For each element of `from` the element of `to` that it is: the strictest rule first, each element once. */
function matched<T>(from: readonly T[], to: readonly T[], rules: readonly Same<T>[]): Map<T, T> {
  const found = new Map<T, T>();
  const left = new Set(to);
  for (const rule of rules)
    for (const element of from) {
      if (found.has(element)) continue;
      const match = [...left].find((other) => rule(element, other));
      if (match === undefined) continue;
      found.set(element, match);
      left.delete(match);
    }
  return found;
}

/** Puts together what is one on the three sides: in the order of ours, then of theirs; what is gone last. */
function align<T>(
  base: readonly T[],
  ours: readonly T[],
  theirs: readonly T[],
  rules: readonly Same<T>[],
  addRules: readonly Same<T>[],
): Three<T>[] {
  const inOurs = matched(base, ours, rules);
  const inTheirs = matched(base, theirs, rules);
  const oursOf = new Map([...inOurs].map(([old, own]) => [own, old]));
  const known = new Set(inTheirs.values());
  const oursAdded = ours.filter((own) => !oursOf.has(own));
  const theirsAdded = theirs.filter((their) => !known.has(their));
  const twice = matched(oursAdded, theirsAdded, addRules);
  const both = new Set(twice.values());
  return [
    ...ours.map((own): Three<T> => {
      const old = oursOf.get(own);
      const their = old === undefined ? twice.get(own) : inTheirs.get(old);
      return { base: old, ours: own, theirs: their };
    }),
    ...base
      .filter((old) => !inOurs.has(old))
      .map((old): Three<T> => ({ base: old, ours: undefined, theirs: inTheirs.get(old) })),
    ...theirsAdded
      .filter((their) => !both.has(their))
      .map((their): Three<T> => ({ base: undefined, ours: undefined, theirs: their })),
  ];
}

const sameName: Same<{ readonly name: string | undefined }> = (a, b) =>
  a.name !== undefined && b.name !== undefined && lowerName(a.name) === lowerName(b.name);

/** The columns that are one: by the id that the base gives, else by name; added ones by name. */
export function alignColumns(
  base: readonly ColumnDefinition[],
  ours: readonly ColumnDefinition[],
  theirs: readonly ColumnDefinition[],
): Three<ColumnDefinition>[] {
  return align(base, ours, theirs, [sameColumn], [sameName]);
}

/** Whether two columns of versions of a table are one. */
export function sameColumn(a: ColumnDefinition, b: ColumnDefinition): boolean {
  return a.id === undefined || b.id === undefined ? sameName(a, b) : a.id === b.id;
}

/**
 * The constraints that are one: those of one name, then those that say the same, then of those that are left the ones
 * of one kind about the same columns, which one side has changed.
 */
export function alignConstraints(
  base: readonly ConstraintDefinition[],
  ours: readonly ConstraintDefinition[],
  theirs: readonly ConstraintDefinition[],
  table: string,
): Three<ConstraintDefinition>[] {
  const sameWords: Same<ConstraintDefinition> = (a, b) => sameText(a.text, b.text);
  const isAbout = (a: ConstraintDefinition): string =>
    a.kind === 'check' || a.kind === 'primary key'
      ? [...columnsIn(a.text, table)].toSorted().join('\0')
      : normal(/\([^)]*\)/.exec(a.text)?.[0] ?? '');
  const sameColumns: Same<ConstraintDefinition> = (a, b) =>
    a.kind === b.kind &&
    (a.name === undefined || b.name === undefined) &&
    (a.kind === 'primary key' || isAbout(a) === isAbout(b));
  // Two checks of the same columns can both hold, where two keys of them are one key said differently.
  const sameAdded: Same<ConstraintDefinition> = (a, b) => a.kind !== 'check' && sameColumns(a, b);
  return align(base, ours, theirs, [sameName, sameWords, sameColumns], [sameName, sameWords, sameAdded]);
}
