import { DoSQLError } from '../error.ts';
import type { TableReference } from '../sql/scan.ts';
import type { Statement } from '../sql/statement.ts';
import { Declined } from './plan-expression.ts';
import { resolve } from './plan-resolve.ts';
import { readSelect } from './plan-select.ts';
import type { Select } from './plan-syntax.ts';

/** An analytic query over one table that the scan can answer itself. */
export interface Plan {
  readonly sql: string;
  readonly select: Select;
}

/**
 * The plan for a SELECT over `reference` alone; null where the statement is anything else, or holds anything whose
 * meaning the scan does not share with SQLite in full: then SQLite runs it over the scan's rows.
 *
 * With `columns`, the table's, the answer is final. Without them, an alias that has the name of a column may be found only
 * when the plan is executed.
 *
 * Planned from DoSQL's own tokens by precedence climbing.
 */
export function planAnalytics(
  statement: Statement,
  reference: TableReference,
  columns: readonly string[] = [],
): Plan | null {
  if (statement.kind !== 'read' || reference.kind !== 'from' || reference.isCte) return null;
  try {
    const select = readSelect(statement, reference);
    resolve(select, columns);
    return { sql: statement.sql, select };
  } catch (error) {
    if (error instanceof Declined) return null;
    throw error;
  }
}

/** What {@link planAnalytics} would have declined, had it known the columns. */
export function refuse(plan: Plan): DoSQLError {
  return new DoSQLError(
    'SYNTAX',
    'an alias has the name of a column, which SQLite takes for the column in GROUP BY, WHERE and HAVING: give it another name',
    { sql: plan.sql },
  );
}
