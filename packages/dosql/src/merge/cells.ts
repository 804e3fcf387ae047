import type { SqlValue } from '../value/row.ts';
import { mergeJson } from './json.ts';

/** In a base: what earlier states disagreed about, so that it is equal to nothing. */
export const UNDECIDED: unique symbol = Symbol('undecided');

/**
 * A row as its values, in the order of the columns that go with it. Integers beyond 2^53 are bigints, or rows
 * that differ in them would look equal.
 */
export type Cells = readonly SqlValue[];

/** A row to compare with: undefined where there was none, `UNDECIDED` where even that is open. */
export type BaseCells = readonly (SqlValue | typeof UNDECIDED)[] | typeof UNDECIDED | undefined;

/**
 * What comes of one row. A row that is undefined is absent.
 *
 * `same`: ours stands. `take`: theirs is taken as it is. `merged`: a row that neither side has. `conflict`: the
 * sides disagree about `columns`.
 */
export type RowMerge =
  | { readonly kind: 'same'; readonly row: Cells | undefined }
  | { readonly kind: 'take'; readonly row: Cells | undefined }
  | { readonly kind: 'merged'; readonly row: Cells }
  | {
      readonly kind: 'conflict';
      /** The row with ours in the conflict's columns, and in the others what both sides make of them. */
      readonly row: Cells | undefined;
      /** The same with theirs in the conflict's columns. */
      readonly theirRow: Cells | undefined;
      readonly columns: readonly string[];
    };

/**
 * Merges one row three-way, cell by cell: a cell that one side changed is that side's, a cell that both set to the
 * same is theirs both, objects in JSON text merge by their keys, and the rest is a conflict. So is a row that one
 * side changed and the other deleted, about the columns that were changed.
 */
export function mergeRow(
  base: BaseCells,
  ours: Cells | undefined,
  theirs: Cells | undefined,
  columns: readonly string[],
): RowMerge {
  if (sameRow(ours, theirs) || sameRow(base, theirs)) return { kind: 'same', row: ours };
  if (sameRow(base, ours)) return { kind: 'take', row: theirs };
  if (ours === undefined || theirs === undefined) {
    const left = (ours ?? theirs) as Cells;
    const old = typeof base === 'object' ? base : undefined;
    const changed = columns.filter((_, i) => old === undefined || !sameValue(old[i], left[i]));
    return { kind: 'conflict', row: ours, theirRow: theirs, columns: changed };
  }
  return mergeCells(typeof base === 'object' ? base : undefined, ours, theirs, columns);
}

function mergeCells(
  base: Exclude<BaseCells, symbol>,
  ours: Cells,
  theirs: Cells,
  columns: readonly string[],
): RowMerge {
  const row = [...ours];
  const conflicts: number[] = [];
  for (let i = 0; i < columns.length; i++) {
    // Where there was no row, a cell that differs is a conflict, whatever it holds.
    const merged = mergeValue(base === undefined ? UNDECIDED : base[i], ours[i] ?? null, theirs[i] ?? null);
    if (merged === UNDECIDED) conflicts.push(i);
    else row[i] = merged;
  }
  if (conflicts.length > 0) {
    const theirRow = [...row];
    for (const i of conflicts) theirRow[i] = theirs[i] ?? null;
    return { kind: 'conflict', row, theirRow, columns: conflicts.map((i) => columns[i] as string) };
  }
  if (sameRow(row, ours)) return { kind: 'same', row: ours };
  return sameRow(row, theirs) ? { kind: 'take', row: theirs } : { kind: 'merged', row };
}

/** One cell merged three-way; `UNDECIDED` is a conflict. Of equal values ours is kept. */
export function mergeValue(
  base: SqlValue | typeof UNDECIDED | undefined,
  ours: SqlValue,
  theirs: SqlValue,
): SqlValue | typeof UNDECIDED {
  if (sameValue(ours, theirs) || sameValue(base, theirs)) return ours;
  if (sameValue(base, ours)) return theirs;
  if (typeof base !== 'string' || typeof ours !== 'string' || typeof theirs !== 'string') return UNDECIDED;
  return mergeJson(base, ours, theirs) ?? UNDECIDED;
}

/**
 * The row that several merge bases make together, as the base of another merge: merged three-way like any row, and
 * `UNDECIDED` in what they disagree about. There only equal sides agree, so that no side of an earlier conflict wins
 * unseen.
 */
export function foldBases(base: BaseCells, one: BaseCells, other: BaseCells): BaseCells {
  if (sameRow(one, other) || sameRow(base, other)) return one;
  if (sameRow(base, one)) return other;
  if (typeof one !== 'object' || typeof other !== 'object') return UNDECIDED;
  const old = typeof base === 'object' ? base : undefined;
  return one.map((value, i) => {
    const left = other[i] ?? null;
    if (sameValue(value, left)) return value;
    if (old !== undefined && sameValue(old[i], left)) return value;
    if (old !== undefined && sameValue(old[i], value)) return left;
    if (value === UNDECIDED || left === UNDECIDED) return UNDECIDED;
    return mergeValue(old === undefined ? UNDECIDED : old[i], value, left);
  });
}

/** Whether two rows are equal, cell by cell, or both absent. What is undecided equals nothing. */
export function sameRow(a: BaseCells, b: BaseCells): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === undefined && b === undefined;
  return a === b
    ? !a.includes(UNDECIDED)
    : a.length === b.length && a.every((value, i) => sameValue(value, b[i]));
}

/**
 * Whether two values are the same to SQLite: numbers by their value, so that a REAL cell that holds 1 equals an
 * integer 1, blobs by their bytes, and NULL is NULL.
 */
export function sameValue(
  a: SqlValue | typeof UNDECIDED | undefined,
  b: SqlValue | typeof UNDECIDED | undefined,
): boolean {
  if (a === UNDECIDED || b === UNDECIDED) return false;
  if (a === b) return true;
  if (a instanceof Uint8Array)
    return b instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i]);
  if (typeof a === 'bigint' && typeof b === 'number') return sameNumber(a, b);
  return typeof a === 'number' && typeof b === 'bigint' && sameNumber(b, a);
}

/** Exact: a double that is no integer, or not this one, is not converted to compare. */
function sameNumber(integer: bigint, double: number): boolean {
  return Number.isInteger(double) && BigInt(double) === integer;
}

/**
 * How often a row of a table without a key is there after a merge: what theirs added or took away happens to ours,
 * which cannot go below none.
 */
export function mergeCount(base: number, ours: number, theirs: number): number {
  return Math.max(0, ours + theirs - base);
}
