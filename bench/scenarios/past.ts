/** Rows that one transaction changes. */
export const TOGETHER = 100;

/** Changes the rows with {@link TOGETHER} keys. */
export const CHANGE: string = `UPDATE item SET stock = stock + 1 WHERE id IN (${Array.from({ length: TOGETHER }, () => '?').join(', ')})`;

/** µs an operation, and what shows that engines answer alike. */
export interface Reading {
  readonly micros: number;
  readonly sum: number;
}

/** A way to ask for one row's history. */
export interface Histories {
  readonly how: string;
  /** How many rows to ask it for in a round. */
  readonly count: number;
  /** In no more rounds than so many, where it takes long. */
  readonly rounds?: number;
}

/** An engine that keeps the past of a table. Every change is durable before its call resolves. */
export interface PastEngine {
  readonly name: string;
  readonly version: string;
  /** The ways to ask for one row's history. */
  readonly histories: readonly Histories[];
  /** Makes the table with rows 1 to `rows`. */
  load(rows: number): Promise<void>;
  /** Changes the rows of each list in a transaction of its own. */
  change(transactions: readonly (readonly number[])[]): Promise<void>;
  /** Changes every row, in one transaction; undefined where that is not feasible. */
  changeAll?(): Promise<void>;
  /** Remembers the present; returns what to call it by. */
  mark(): Promise<number>;
  /** Counts and sums `times` times as of `mark`, or of the present; the sum is that of `stock`. */
  aggregate(mark: number | null, times: number): Promise<Reading>;
  /** Reads rows one by one as of `mark`, or of the present; the sum is that of their `stock`. */
  points(mark: number | null, keys: readonly number[]): Promise<Reading>;
  /** Asks for the history of each row; the sum is that of the numbers of versions. */
  history(how: string, keys: readonly number[]): Promise<Reading>;
  /** Forgets what it keeps in memory, as an object does that sleeps; undefined where nothing is lost by that. */
  sleep?(): Promise<void>;
  close(): Promise<void>;
}
