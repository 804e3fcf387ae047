import type { Engine, RunOptions } from '../engine.ts';
import type { Condition } from '../scan/table.ts';
import { quoteName } from '../sql/token.ts';
import type { SqlParameter } from '../value/parameter.ts';
import { isExact, marked, unmarked } from '../value/marked.ts';
import { toValue, type RawValue, type SqlValue } from '../value/row.ts';

/**
 * Rows of `SELECT columns FROM tail`, every value as SQLite has it: integers that a double cannot hold are bigint,
 * blobs are Uint8Array. The tail's parameters are `?`.
 */
export function readExact(
  engine: Engine,
  columns: readonly string[],
  tail: string,
  values: readonly SqlParameter[] = [],
  options: RunOptions = {},
): SqlValue[][] {
  const read = (list: readonly string[]): RawValue[][] =>
    engine.run(engine.statement(`SELECT ${list.join(', ')} ${tail}`), values, {
      ...options,
      isHotOnly: true,
    }).raw;
  const raw = read(columns);
  if (raw.every((row) => row.every(isExact))) return raw.map((row) => row.map(toValue));
  return read(columns.map(marked)).map((row) => row.map(unmarked));
}

/** SQL for a condition of a scan, and what it binds. */
export function conditionSql({ column, operator, values }: Condition): { sql: string; values: SqlValue[] } {
  const name = quoteName(column);
  if (operator === 'is null' || operator === 'is not null') return { sql: `${name} ${operator}`, values: [] };
  if (operator !== 'in') return { sql: `${name} ${operator} ?`, values: [...values] };
  return { sql: `${name} IN (${values.map(() => '?').join(', ')})`, values: [...values] };
}
