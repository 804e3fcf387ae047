/** A value of SQLite's. Integers past 2^53 are bigint, blobs Uint8Array. */
export type ChangeValue = string | number | bigint | null | Uint8Array;

/** A row as a change carries it: column names to values. */
export type ChangeRow = Readonly<Record<string, ChangeValue>>;

/** One row change. */
export interface Change {
  /** Position in the log: after handling this change, resume with it. */
  readonly lsn: bigint;
  /** The transaction, by the LSN at which it commits: equal for all changes of one transaction. */
  readonly tx: bigint;
  /** When the change was made; never earlier than that of the change before it. */
  readonly timestamp: Date;
  readonly table: string;
  readonly op: 'insert' | 'update' | 'delete';
  /** The primary key's columns; for a table without one, `{ rowid }`. */
  readonly key: ChangeRow;
  /** The row before; null for an insert. */
  readonly before: ChangeRow | null;
  /** The row after; null for a delete. */
  readonly after: ChangeRow | null;
  /**
   * While a snapshot is being read: where to resume, instead of `lsn`. A row of the snapshot itself is an insert
   * with `isSnapshot`; changes to rows that were read before come in between.
   */
  readonly cursor?: string;
  /** True for a row that the snapshot found. */
  readonly isSnapshot?: true;
}

/** A table was created or altered (`sql` is its CREATE statement now), or dropped (`sql` is null). */
export interface SchemaChange {
  readonly lsn: bigint;
  readonly tx: bigint;
  readonly timestamp: Date;
  readonly table: string;
  readonly op: 'schema';
  readonly sql: string | null;
  readonly cursor?: string;
}

/** One entry of the log. */
export type LogEntry = Change | SchemaChange;

/** A condition over one row, in SQL. */
export interface RowCondition {
  /** An expression over the row's columns: no subquery, no parameter. */
  readonly sql: string;
  /** The columns that it may name; all by default. Others are to it as if they were not there. */
  readonly columns?: readonly string[] | undefined;
  /** Columns that it may not name. */
  readonly hidden?: readonly string[];
}

/** What to read of one table's changes. */
export interface TableSelection {
  /**
   * The columns of `before` and `after`, in any case; all by default. Updates that change none of them are left out. An
   * update of the primary key carries that, too, as a replica needs its new value.
   */
  readonly columns?: readonly string[] | undefined;
  /** Leaves of `key`, too, only what `columns` names. */
  readonly hidesKey?: boolean;
  /** Columns that masks are for: there have to be such, or a name with a slip would leave its column bare. */
  readonly masked?: readonly string[];
  /**
   * Conditions that a row has to satisfy, each. An update by which a row begins to satisfy them is an insert, one by
   * which it ceases to is a deletion.
   */
  readonly where?: readonly RowCondition[];
}

/** What to read: tables by their names in lower case ({@link lowerCase}); others are left out. */
export type Selection = ReadonlyMap<string, TableSelection>;

/** Where a row stands in the order in which its table is read: the values of what the log knows it by. */
export type Position = readonly ChangeValue[];

/** The next rows of a snapshot to read: at most `limit`, behind `after`, or from the first. */
export interface Chunk {
  readonly table: string;
  readonly after: Position | undefined;
  readonly limit: number;
  /** Also gives the deletions of rows that were not read yet, since they may have been, by an attempt that failed. */
  readonly deletions?: boolean | undefined;
}

/** A row of a snapshot. */
export interface SnapshotRow {
  /** The table's name. */
  readonly name: string;
  readonly position: Position;
  /** As {@link Change.key}. */
  readonly key: ChangeRow;
  readonly row: ChangeRow;
}

/** A page of the log. */
export interface LogPage {
  readonly entries: readonly LogEntry[];
  /** The first LSN of the transaction `tx`, which is that of one of the entries. */
  begin(tx: bigint): bigint;
  /** Where the next page begins: after this LSN. Moves on over what was not selected, too. */
  readonly lsn: bigint;
  /** The page reaches the log's end. */
  readonly isEnd: boolean;
  /**
   * The chunk that was asked for, as of `lsn`, when the page reaches the log's end; its last is short of
   * `limit`, and empty for a table that is not there.
   */
  readonly rows?: readonly SnapshotRow[] | undefined;
}

/** A table as it is now. */
export interface TableInfo {
  readonly name: string;
  readonly columns: readonly string[];
  /** The primary key's columns; empty for a table without one, whose rows go by `rowid`. */
  readonly key: readonly string[];
}

/**
 * The log that change streams read.
 *
 * Invariants that every implementation keeps: entries come in LSN order; only committed transactions are
 * visible; `onCommit` listeners are called after each commit, so that a reader that reads to the end, then
 * waits for a call, then reads again misses nothing.
 */
export interface ChangeLog {
  /** The LSN of the last committed change. */
  end(): bigint;
  /**
   * Entries after `after`, oldest first, at most about `limit`; of all tables, or what `selection` says.
   *
   * With `chunk` also rows of that table, read in the same instant. Its table's entries are then those of rows up to
   * `chunk.after` only, so that a row's changes come after the row, and none of tables that come after it by name.
   *
   * What lies further back than the log itself may be read from an archive, unless the reader is `hotOnly`: for one far
   * away that had better begin anew than have that done.
   *
   * @throws an error with code `LSN_EXPIRED` when the log no longer holds all changes after `after`, and
   * `BAD_PARAMETER`, `NO_SUCH_COLUMN` or `SYNTAX` for a selection that is none.
   */
  read(
    after: bigint,
    limit: number,
    selection?: Selection,
    chunk?: Chunk,
    hotOnly?: boolean,
  ): Promise<LogPage>;
  /** Calls `listener` after every commit; returns the way to stop that. */
  onCommit(listener: () => void): () => void;
  /** The tables that there are now. */
  tables(): Promise<readonly TableInfo[]>;
  /** An error of the database's own class, whose code survives RPC. */
  error(code: 'BAD_PARAMETER' | 'LSN_EXPIRED' | 'FORBIDDEN', message: string): Error;
}

/** How far a cursor is behind. */
export interface Lag {
  /** Changes in the log after it, of any table. */
  readonly changes: number;
  /** What these take in storage, about. */
  readonly bytes: number;
  /** The age of the first of these. */
  readonly seconds: number;
}

/** How far behind a slot may fall before the log is let go of; each by default without limit but `bytes`. */
export interface MaxLag {
  readonly changes?: number | undefined;
  /** By default 1 GiB: a tenth of what an object can hold. */
  readonly bytes?: number | undefined;
  readonly seconds?: number | undefined;
}

/** What happens at a time that was set. */
export interface SourceTimer {
  readonly name: string;
  /** 1 the first time, more after failures. */
  readonly attempt: number;
}

/**
 * A database with a log: besides reading it, slots and deliveries keep their state in it. Methods that return no
 * promise have to be called in {@link ChangeSource.atomically} or in a transaction of the database.
 */
export interface ChangeSource extends ChangeLog {
  /** The database's name. */
  readonly name: string;
  /** The number of the branch whose log this is, where a database has some. */
  readonly line?: number | undefined;
  /** Runs `work`, which must not wait, as one transaction. */
  atomically<T>(work: () => T): Promise<T>;
  /** Runs `work`, which may wait, as one transaction; everything else waits. */
  transaction<T>(work: () => Promise<T>): Promise<T>;
  /** What was kept under `key`. */
  getState(key: string): string | undefined;
  /** Keeps a text under `key`; undefined removes it. No part of the log. */
  setState(key: string, value: string | undefined): void;
  /** What is kept under keys that begin with `prefix`, in the order of the keys. */
  listState(
    prefix: string,
    options?: { readonly after?: string; readonly limit?: number },
  ): [string, string][];
  /**
   * Keeps the log after `lsn` from being trimmed, in the name `name`, until it falls behind by more than `maxLag`; by
   * default what `name` may already.
   */
  hold(name: string, lsn: bigint, maxLag: MaxLag | undefined): void;
  /** Lets go of what `name` holds. */
  release(name: string): void;
  lag(lsn: bigint): Promise<Lag>;
  /** Sets the timer `name`, replacing one of that name; within the transaction of whoever asks, if there is one. */
  schedule(name: string, at: number): Promise<void>;
  /**
   * From now on every transaction that changes something sets the timer `name` for `delayMs` after it, as a part of
   * itself, unless it is set already: nothing is committed without it, whatever becomes of the object then. Returns
   * the way to stop that.
   */
  scheduleOnCommit(name: string, delayMs: number): () => void;
  /** Removes the timer `name`. */
  cancel(name: string): Promise<boolean>;
  /** Names what to do when the timer `name`, or any called `name:…`, is due; it may run more than once. */
  onTimer(name: string, handler: (timer: SourceTimer) => Promise<void>): void;
  nowMs(): number;
}

/** A name as SQLite compares it: ASCII letters in lower case. */
export function lowerCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
