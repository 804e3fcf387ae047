import { DoSQLError } from '../error.ts';
import { Statements } from '../sql/statements.ts';
import type { SqlValue } from '../value/row.ts';
import { Budget, type Limits, type ScanCounts } from './budget.ts';
import { execute, type ExecuteResult } from './execute.ts';
import { planAnalytics } from './plan.ts';
import type { ScanTable } from './table.ts';

export type { Limits, ScanCounts } from './budget.ts';
export type { RangeFile } from './file.ts';
export { openParquet, type ParquetFile } from './parquet/index.ts';
export { createParquetWriter, type ParquetWriter, type WriteOptions } from './parquet/write.ts';
export type { Batch, Condition, ScanRequest, ScanTable } from './table.ts';
export type { ScanColumn, Vector } from './vector.ts';
export { Budget };

/** What a query has given, and what it has read for it. */
export interface ScanResult extends ExecuteResult {
  readonly counts: ScanCounts;
}

/** How to run a query over a table that is scanned. */
export interface ScanQueryOptions {
  readonly params?: readonly SqlValue[] | undefined;
  readonly limits?: Partial<Limits> | undefined;
  readonly budget?: Budget | undefined;
  /** Integers as bigint, exact; else as numbers. */
  readonly bigints?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

const statements = new Statements();

/**
 * Answers a query over one table by the scan alone, in any runtime: filters, groups, aggregates, sorts. Whatever the
 * query calls its table is `table`.
 *
 * ```ts
 * const budget = new Budget();
 * const file = await openParquet(rangeFile, budget);
 * const { rows } = await scanQuery('SELECT sensor, avg(value) FROM t GROUP BY sensor', file, { budget });
 * ```
 *
 * @throws DoSQLError `SYNTAX` for a query that takes SQLite, such as a join: run it through a database; and what
 * {@link execute} throws.
 */
export async function scanQuery(
  sql: string,
  table: ScanTable,
  { params = [], limits = {}, budget = new Budget(limits), bigints = false, signal }: ScanQueryOptions = {},
): Promise<ScanResult> {
  const statement = statements.get(sql);
  const [reference, other] = statement.references;
  const names = table.columns.map(({ name }) => name);
  const plan =
    reference === undefined || other !== undefined ? null : planAnalytics(statement, reference, names);
  if (plan === null)
    throw new DoSQLError('SYNTAX', 'the scan answers a SELECT over one table: give others to db.query()', {
      sql,
    });
  return { ...(await execute(plan, table, params, budget, { bigints, signal })), counts: budget.counts };
}
