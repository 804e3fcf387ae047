/** A value that the streams bind to a statement. */
export type StreamValue = string | number | null | Uint8Array;

/** A statement of {@link StreamTransaction.batch}. */
export interface StreamStatement {
  readonly sql: string;
  readonly params?: readonly StreamValue[];
}

/** What the streams read with. */
export interface StreamReader {
  /** All rows of a query; blobs are Uint8Array. */
  query<T>(sql: string, params?: readonly StreamValue[]): Promise<T[]>;
  /** The first row of a query; null when it has none. */
  get<T>(sql: string, params?: readonly StreamValue[]): Promise<T | null>;
}

/** What the streams write with: a transaction's handle. */
export interface StreamTransaction extends StreamReader {
  /** Runs statements in order, all or none. */
  batch(statements: readonly StreamStatement[]): Promise<unknown>;
}

/**
 * The database that holds the streams: DoSQL's `Database` is one.
 *
 * Invariants that every implementation keeps: a transaction keeps all that its callback wrote, or nothing; no
 * other statement runs in the middle of it.
 */
export interface StreamDatabase extends StreamReader {
  transaction<T>(callback: (tx: StreamTransaction) => Promise<T>): Promise<T>;
}
