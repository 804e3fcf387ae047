import { compareScalars, fromValue } from '../scan/scalar.ts';
import type { Condition } from '../scan/table.ts';
import type { SqlValue } from '../value/row.ts';
import type { ColumnRange } from './manifest.ts';

/** The order of two values by SQLite's rules, text by bytes. */
export function compareValues(a: SqlValue, b: SqlValue): number {
  return compareScalars(fromValue(a), fromValue(b));
}

/** Whether a column whose values lie in `range`, undefined when nothing is known of it, may have one that fulfils the condition. */
export function mayFulfil({ operator, values }: Condition, range: ColumnRange | undefined): boolean {
  if (operator === 'is null' || range === undefined) return true;
  const { min, max } = range;
  if (min === null) return false;
  const isWithin = (value: SqlValue): boolean =>
    compareValues(value, min) >= 0 && compareValues(value, max) <= 0;
  const [value = null] = values;
  switch (operator) {
    case 'is not null':
      return true;
    case 'in':
      return values.some(isWithin);
    case '=':
      return isWithin(value);
    case '<':
      return compareValues(min, value) < 0;
    case '<=':
      return compareValues(min, value) <= 0;
    case '>':
      return compareValues(max, value) > 0;
    case '>=':
    default:
      return compareValues(max, value) >= 0;
  }
}

/** The range of some values. */
export function rangeOf(values: Iterable<SqlValue>): ColumnRange {
  let min: SqlValue = null;
  let max: SqlValue = null;
  for (const value of values) {
    if (value === null) continue;
    if (min === null || compareValues(value, min) < 0) min = value;
    if (max === null || compareValues(value, max) > 0) max = value;
  }
  return { min, max };
}
