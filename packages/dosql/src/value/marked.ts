import { toValue, type RawValue, type SqlValue } from './row.ts';

/**
 * SQL for the value of `expression` with its class in front where a double might not hold it: the platform hands out
 * integers of 64 bits as doubles, so they leave SQLite as text, and text is marked, too, to be told from them.
 */
export function marked(expression: string): string {
  return `CASE typeof(${expression}) WHEN 'integer' THEN 'i' || ${expression} WHEN 'text' THEN 't' || ${expression} ELSE ${expression} END`;
}

/** The value that {@link marked} gave: an integer that a double does not hold is bigint. */
export function unmarked(value: RawValue): SqlValue {
  if (typeof value !== 'string') return toValue(value);
  const text = value.slice(1);
  if (value.startsWith('t')) return text;
  return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
}

/** Whether a value is what SQLite has, and not the double nearest to it. */
export function isExact(value: RawValue): boolean {
  return typeof value !== 'number' || !Number.isInteger(value) || Number.isSafeInteger(value);
}
