export { diff, type DiffOptions, type RowDiff } from './diff.ts';
export {
  forgetConflicts,
  keptConflicts,
  resolveConflicts,
  type ConflictKey,
  type KeptConflict,
  type Resolution,
} from './conflicts.ts';
export {
  merge,
  type MergeConflict,
  type MergeOptions,
  type MergeResult,
  type MergeStrategy,
} from './merge.ts';
export type { SchemaConflict } from './table.ts';
