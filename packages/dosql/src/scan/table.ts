import type { SqlValue } from '../value/row.ts';
import type { Budget } from './budget.ts';
import type { ScanColumn, Vector } from './vector.ts';

/**
 * A condition that every wanted row fulfils: column, operator, constant. Text compares by bytes, and a NULL never
 * fulfils any but `is null`.
 */
export interface Condition {
  readonly column: string;
  readonly operator: '=' | '<' | '<=' | '>' | '>=' | 'in' | 'is null' | 'is not null';
  /** One constant, any number for `in`, none for the last two. Never NULL. For a `timestamp` column, ms since the epoch. */
  readonly values: readonly SqlValue[];
}

/** Consecutive rows of something that is scanned. */
export interface Batch {
  readonly rowCount: number;
  /**
   * The column's values, decoded when they are first asked for. Only for columns of the request, or that have been
   * fetched.
   */
  column(name: string): Vector;
  /**
   * Reads more columns, for those rows only where that saves reading: `rows` are their positions, rising. What
   * {@link Batch.column} then gives has values at those positions; at the others it may have NULL.
   */
  fetch(names: readonly string[], rows?: Uint32Array): Promise<void>;
}

/** What a scan has to give, and within which limits. */
export interface ScanRequest {
  /** The columns that are read for every row. */
  readonly columns: readonly string[];
  /** Columns that may be fetched of some of the rows: for who has to read all at once. */
  readonly late?: readonly string[] | undefined;
  /**
   * Rows that do not fulfil all of them may be left out; which are is the scan's choice, by the statistics that it
   * has. Who asked still has to look at each row.
   */
  readonly conditions: readonly Condition[];
  /** Whether who asks is done with a batch's vectors when he asks for the next: their memory may then be used again. */
  readonly isTransient?: boolean | undefined;
  readonly budget: Budget;
  readonly signal?: AbortSignal | undefined;
}

/** Something with columns that can be scanned: files, or rows of SQLite. */
export interface ScanTable {
  readonly columns: readonly ScanColumn[];
  /** All rows that may fulfil the conditions, once each, in an order that is the same every time. */
  scan(request: ScanRequest): AsyncIterable<Batch>;
  /**
   * Some of the rows, without conditions: among them the least and the greatest value of each column that is asked for.
   * There for tables that may know them without reading all rows.
   */
  extremes?(request: ScanRequest): AsyncIterable<Batch>;
}
