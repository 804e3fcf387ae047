import type { Column, Relation } from '../schema/relation.ts';
import { balanced } from '../sql/compound.ts';
import { first } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { isText } from './as-of.ts';

/** From so many changes on it matters how the unchanged rows are read … */
const MANY_CHANGES = 500;
/** … and with fewer rows than this to a change, looking each row up is faster than reading ranges, … */
const ROWS_PER_CHANGE = 32;
/** … and with fewer than this, so is merging them with the changes … */
const ROWS_PER_MERGED_CHANGE = 2;
/** … that have no more bytes of texts and blobs, which are sorted with them in memory. */
const MAX_MERGED_BYTES = 16 * 2 ** 20;

/** More rows than 10 GB hold: keys that are larger do not count rows, but are random, or times. */
const MOST_ROWS = 2 ** 30;

/** How to read all rows that have not changed, after so many changes of whatever table. */
export function accessAfter(changes: number, sql: SqlStorage, relation: Relation): 'gaps' | 'probe' {
  return changes > MANY_CHANGES && !hasRows(changes * ROWS_PER_CHANGE, sql, relation) ? 'probe' : 'gaps';
}

/** Whether `columns` of the present version of a table are better merged with its changes after an LSN than looked up. */
export function canMerge(
  changes: number,
  sql: SqlStorage,
  relation: Relation,
  columns: readonly Column[],
  lsn: number,
): boolean {
  const { id, key, layout, until } = relation;
  if (until !== undefined || key.kind !== 'rowid' || layout.parts > 1) return false;
  if (hasRows(changes * ROWS_PER_MERGED_CHANGE, sql, relation)) return false;
  const ids = columns.filter(isText).map((column) => column.id);
  const sizes = layout.slots.flatMap(({ columnId, name }) =>
    ids.includes(columnId) ? `ifnull(octet_length(${name}), 0)` : [],
  );
  if (sizes.length === 0) return true;
  const total = `SELECT total(${balanced(sizes, '+')}) FROM __dosql_log WHERE lsn > ? AND rel = ?`;
  return (first<[number]>(sql, total, lsn, id)?.[0] ?? 0) <= MAX_MERGED_BYTES;
}

/** Whether a table that goes by its rowid has so many rows, as far as the largest of them tells. */
export function hasRows(count: number, sql: SqlStorage, { key, table }: Relation): boolean {
  if (key.kind !== 'rowid') return false;
  const rows = `main.${quoteName(table)}`;
  const largest = first<[number | null]>(sql, `SELECT max(${quoteName(key.name)}) FROM ${rows}`)?.[0] ?? 0;
  if (largest < count || largest <= MOST_ROWS) return largest >= count;
  return first(sql, `SELECT 1 FROM ${rows} LIMIT 1 OFFSET ?`, count - 1) !== undefined;
}
