import { DoSQLError } from './error.ts';
import type { Point } from './history/point.ts';
import type { SchemaChoice } from './history/rewrite.ts';
import type { Ddl, Statement } from './sql/statement.ts';
import type { Bound, SqlParameter, SqlParameters } from './value/parameter.ts';
import type { KeyColumn } from './history/row-key.ts';
import type { FormatOptions } from './scan/source/formats.ts';
import type { Lineage } from './schema/line.ts';
import type { Relation } from './schema/relation.ts';
import type { RawValue, SqlValue } from './value/row.ts';

/** What a statement did. Counts of rows are the platform's billed ones. */
export interface Outcome {
  readonly names: readonly string[];
  readonly raw: RawValue[][];
  readonly rowsRead: number;
  readonly rowsWritten: number;
  readonly changes: number;
  readonly lastRowId: number;
  /** The log's end after the statement. */
  readonly lsn: number;
}

/** How to run a statement. */
export interface RunOptions {
  /** Read every table at this point. */
  readonly at?: Point | undefined;
  /** With whose columns the past is read; those of then by default. */
  readonly schema?: SchemaChoice | undefined;
  /** The branch on which names are looked up; main by default. */
  readonly branch?: number | undefined;
  /** What makes a text that reads tables of main read them with their cold rows; a statement may then read files. */
  readonly redirect?: ((bound: Bound) => Bound) | undefined;
  /** How files that URLs name are read. */
  readonly files?: FormatOptions | undefined;
  /** Only the rows that tables have in SQLite, whether they have cold ones or not. */
  readonly isHotOnly?: boolean | undefined;
}

/** Runs `work` within one turn, when the handle's turn has come. */
export type Pass = <T>(work: () => T) => Promise<T>;

/** Some cold rows of a table. */
export interface ColdChunk {
  /** Hot rows together with these, in the order of the key, no more than were asked for. */
  readonly merge: (hot: SqlValue[][]) => SqlValue[][];
  /** Whether they are still what is cold. */
  isCurrent(): boolean;
}

/** Cold rows for work that goes by the log and finds rows by their keys. Its caller holds the gate. */
export interface ColdRows {
  /** Makes those hot that changes after `after`, and up to `to`, on whatever line, are about. */
  logged(after: number, to?: number): Promise<void>;
  /** Makes the row hot that has this key. */
  row(tableId: number, key: readonly KeyColumn[]): Promise<void>;
  /** Makes those of one table hot, all of them. */
  table(name: string): Promise<void>;
  /** Deletes the bytes of all rows that are not cold any more, at once. */
  shred(): Promise<number>;
  /**
   * The next cold rows of a table, the values of the key before those of the columns, to be merged with hot ones in the
   * order of the key; undefined where it has none.
   */
  chunk(
    relation: Relation,
    chunk: { readonly after: readonly SqlValue[]; readonly limit: number },
    condition: string | undefined,
    pass: Pass,
  ): Promise<ColdChunk | undefined>;
}

/** What runs statements that have to wait for files: those of a URL, and those about a table with cold rows. */
export interface FileStatements {
  /** Whether a statement needs a file, or may need one. */
  concerns(statement: Statement): boolean;
  run(
    statement: Statement,
    params: SqlParameters | undefined,
    options: RunOptions & { readonly integers?: 'number' | 'bigint' | undefined },
    pass: Pass,
  ): Promise<Outcome>;
  /** Refuses DDL that cold rows forbid, on main or on a branch. */
  refuse(statement: Statement, branch?: number): void;
  /** What makes the cold rows hot that other work is about. */
  readonly cold: ColdRows;
  rolledBack(): void;
}

/** What runs statements on branches; loaded when a database has some. */
export interface Branching {
  /** The state of main, as an LSN, that the oldest branch forked from: the log after it is needed. */
  readonly heldFrom: number | undefined;
  /** The lines that a line is made of, itself first, and the LSN up to which it has the states of each. */
  lineage(line: number): Lineage;
  /** Whether a statement on main names a table of a branch. */
  names(statement: Statement): boolean;
  prepare(statement: Statement, values: readonly SqlParameter[], options: RunOptions): Bound;
  ddl(statement: Statement, branch: number): Outcome;
  /** The PRAGMA with the names that SQLite has for the branch's tables. */
  pragma(statement: Statement, branch: number): Statement;
  /** Main's schema is about to change. */
  beforeDdl(ddl: Ddl): void;
  /** A statement has been written on a branch, after which the log ends at `end`. */
  wrote(end: number): void;
  rolledBack(): void;
}

/** What reading the past fails with before what reads it is loaded. Who can wait loads it and tries again. */
export class HistoryNotLoaded extends DoSQLError {
  constructor() {
    super(
      'WAITS',
      'what reads the past has to be loaded, which takes waiting: use db.query(), or await db.recall() before',
    );
  }
}

/** What a synchronous statement fails with that would have to wait for files. */
export function waits({ sql }: Statement): DoSQLError {
  const message = 'the statement reads files, which takes waiting: use db.query(), db.run() or a transaction';
  return new DoSQLError('WAITS', message, { sql });
}
