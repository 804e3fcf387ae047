import type { Row, SqlValue } from '../../src/index.ts';

/** What a merge case is about. */
export type MergeTheme =
  | 'rows'
  | 'cells'
  | 'json'
  | 'keyless'
  | 'schema'
  | 'constraints'
  | 'repeated'
  | 'criss-cross'
  | 'strategies';

/** A conflict as a function that settles it sees it. */
export interface MergeConflict {
  readonly table: string;
  readonly key: Row;
  readonly base: Row | null;
  readonly ours: Row | null;
  readonly theirs: Row | null;
  readonly columns: readonly string[];
}

export type MergeStrategy = 'fail' | 'ours' | 'theirs' | ((conflict: MergeConflict) => Row);

export interface ExpectedConflict {
  readonly table: string;
  /** Left out where the table has no key. */
  readonly key?: Row;
  readonly columns?: readonly string[];
}

/** What a merge gives back; what is left out is not looked at, but a list that is left out is empty where it merged. */
export interface ExpectedMerge {
  readonly merged: boolean;
  readonly inserted?: number;
  readonly updated?: number;
  readonly deleted?: number;
  readonly conflicts?: readonly ExpectedConflict[];
  readonly schemaConflicts?: readonly { readonly what: string; readonly name: string }[];
  readonly violations?: readonly { readonly table: string; readonly key?: Row; readonly type: string }[];
}

/** Rows as the values of their columns in order; they are compared in any order. */
export type Rows = readonly (readonly SqlValue[])[];

/** One step of a case. A branch is told by its name, `main` is the database itself. */
export type MergeStep =
  | { readonly on: string; readonly sql: string }
  /** The statements fail with an error of this code. */
  | { readonly on: string; readonly fails: string; readonly code: string }
  /** Whole tables, or what a query gives. */
  | { readonly on: string; readonly rows: Readonly<Record<string, Rows>> }
  | { readonly on: string; readonly query: string; readonly gives: Rows }
  /** Makes a branch of another, or of main, at a moment that has been marked. */
  | { readonly branch: string; readonly from?: string; readonly at?: string }
  | { readonly mark: string }
  | { readonly drop: string }
  | {
      readonly merge: string;
      readonly into?: string;
      readonly strategy?: MergeStrategy;
      readonly dryRun?: boolean;
      readonly gives: ExpectedMerge;
    }
  | { readonly merge: string; readonly into?: string; readonly code: string }
  /** The conflicts that are left on a branch. */
  | { readonly conflictsOn: string; readonly gives: readonly ExpectedConflict[] }
  | {
      readonly resolve: string;
      readonly on?: string;
      readonly key: 'all' | Row;
      readonly by: 'ours' | 'theirs' | Row;
    };

export interface MergeCase {
  readonly name: string;
  readonly theme: MergeTheme;
  /** SQL that is run on main before anything else. */
  readonly setup: string;
  readonly steps: readonly MergeStep[];
}

/** The common case: branch `b` forks from main, both change something, and `b` is merged into main. */
export interface Sides {
  readonly setup: string;
  readonly ours?: string;
  readonly theirs?: string;
  readonly gives?: ExpectedMerge;
  /** Main's tables afterwards. */
  readonly rows?: Readonly<Record<string, Rows>>;
  /** What follows. */
  readonly afterwards?: readonly MergeStep[];
}

/** A case of the common kind; without `gives` the merge goes through. */
export function sides(name: string, theme: MergeTheme, of: Sides): MergeCase {
  const { setup, ours, theirs, gives = { merged: true }, rows, afterwards = [] } = of;
  return {
    name,
    theme,
    setup,
    steps: [
      { branch: 'b' },
      ...(ours === undefined ? [] : [{ on: 'main', sql: ours }]),
      ...(theirs === undefined ? [] : [{ on: 'b', sql: theirs }]),
      { merge: 'b', gives },
      ...(rows === undefined ? [] : [{ on: 'main', rows }]),
      ...afterwards,
    ],
  };
}

/** What a merge gives that one row of one table keeps from going through. */
export function conflict(table: string, key: Row, ...columns: string[]): ExpectedMerge {
  return { merged: false, conflicts: [{ table, key, columns }] };
}

/** What a merge gives that one row keeps from going through, by what it violates. */
export function violation(table: string, type: string, key: Row): ExpectedMerge {
  return { merged: false, conflicts: [], violations: [{ table, type, key }] };
}

/** What a merge gives that a difference of the schemas keeps from going through. */
export function schemaConflict(what: string, name: string): ExpectedMerge {
  return { merged: false, schemaConflicts: [{ what, name }] };
}

/** Three rows, which most cases begin with. */
export const T =
  "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2'), (3, 'a3', 'b3');";
