export {
  createCDC,
  toDebezium,
  type Cdc,
  type Change,
  type ChangeEvent,
  type ChangeLog,
  type ChangePage,
  type ChangeRow,
  type SchemaChange,
  type SubscribeOptions,
} from '@dotdo/cdc';
export type { BackupResult } from './backup/index.ts';
export { restore, type Restored, type RestoreSource } from './backup/from-backup.ts';
export type { BranchInfo, BranchOptions } from './branch/index.ts';
export type {
  Conflict,
  ConflictError,
  ErasureReport,
  PickOptions,
  PickResult,
  PurgeTarget,
  RestoreOptions,
  RestoreResult,
  Violation,
} from './change/index.ts';
export type { Database, Earliest } from './database.ts';
export type { Plan } from './file-session.ts';
export { DoSQLError, type ErrorCode } from './error.ts';
export type { Blame } from './history/blame.ts';
export type { Point } from './history/point.ts';
export type { KeyValue, Version } from './history/versions.ts';
export type {
  ConflictKey,
  DiffOptions,
  KeptConflict,
  MergeConflict,
  MergeOptions,
  MergeResult,
  MergeStrategy,
  Resolution,
  RowDiff,
  SchemaConflict,
} from './merge/index.ts';
export type { AppliedMigration, Migration, Migrations } from './migration.ts';
export { DB, type DatabaseOptions, type DatabaseStorage } from './open.ts';
export type { D1StyleResult, PreparedStatement } from './prepared.ts';
export type {
  BatchResult,
  BatchStatement,
  QueryOptions,
  Reader,
  RunResult,
  Session,
  Transaction,
} from './session.ts';
export type {
  CopyOptions,
  CopyResult,
  FileReport,
  IcebergCatalogOptions,
  IcebergOptions,
  IcebergStatus,
  TierOptions,
  TierPass,
  TierStatus,
} from './tier/index.ts';
export type { AlarmResult, Timer, TimerHandler } from './timer/timers.ts';
export type { SqlParameter, SqlParameters } from './value/parameter.ts';
export type { Row, SqlValue } from './value/row.ts';
