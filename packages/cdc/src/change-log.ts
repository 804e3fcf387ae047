/** A row as a change carries it: column names to values. Integers past 2^53 are bigint, blobs Uint8Array. */
export type ChangeRow = Readonly<Record<string, string | number | bigint | null | Uint8Array>>;

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
}

/** A table was created or altered (`sql` is its CREATE statement now), or dropped (`sql` is null). */
export interface SchemaChange {
  readonly lsn: bigint;
  readonly tx: bigint;
  readonly timestamp: Date;
  readonly table: string;
  readonly op: 'schema';
  readonly sql: string | null;
}

/** One entry of the log, with the first LSN of its transaction. */
export type LogEntry = (Change | SchemaChange) & { readonly txBegin: bigint };

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
   * Entries after `after`, oldest first, at most about `limit`.
   *
   * @throws an error with code `LSN_EXPIRED` when the log no longer holds all changes after `after`.
   */
  read(after: bigint, limit: number): Promise<LogEntry[]>;
  /** Calls `listener` after every commit; returns the way to stop that. */
  onCommit(listener: () => void): () => void;
}
