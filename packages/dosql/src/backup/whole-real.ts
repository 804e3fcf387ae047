import type { Affinity } from '../schema/relation.ts';
import type { SqlValue } from '../value/row.ts';

/**
 * In a column without affinity 5.0 is another value than 5, and JavaScript has one number for both. So whole reals go
 * into files as text behind a mark, and text that begins with the mark behind another one.
 */
const MARK = '\u{f8fe}';
const REAL = `${MARK}r`;
const TEXT = `${MARK}t`;

/** Whether values of a column have to be marked. */
export function needsMarks(affinity: Affinity): boolean {
  return affinity === 'blob';
}

/** SQL for a value with its mark, where it needs one. */
export function marked(value: string): string {
  return (
    `CASE typeof(${value}) WHEN 'real' THEN iif(${value} = round(${value}), '${REAL}' || quote(${value}), ${value}) ` +
    `WHEN 'text' THEN iif(substr(${value}, 1, 1) = '${MARK}', '${TEXT}' || ${value}, ${value}) ELSE ${value} END`
  );
}

/** Whether a value is marked. */
export function isMarked(value: unknown): boolean {
  return typeof value === 'string' && value.startsWith(MARK);
}

/** The value that {@link marked} gave, a real as the number that it is. */
export function unmarkedValue(value: SqlValue): SqlValue {
  if (typeof value !== 'string' || !value.startsWith(MARK)) return value;
  const text = value.slice(REAL.length);
  return value.startsWith(REAL) ? Number(text) : text;
}

/** SQL for the value that {@link marked} gave. */
export function unmarked(value: string): string {
  return (
    `CASE WHEN typeof(${value}) = 'text' AND substr(${value}, 1, 1) = '${MARK}' ` +
    `THEN iif(substr(${value}, 2, 1) = 'r', CAST(substr(${value}, 3) AS REAL), substr(${value}, 3)) ELSE ${value} END`
  );
}
