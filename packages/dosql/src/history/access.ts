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

/** How to read all rows that have not changed, after so many changes of whatever table. */
export function accessAfter(changes: number, sql: SqlStorage, relation: Relation): 'gaps' | 'probe' {
  return changes > MANY_CHANGES && changes * ROWS_PER_CHANGE > largestRowid(sql, relation) ? 'probe' : 'gaps';
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
  if (changes * ROWS_PER_MERGED_CHANGE <= largestRowid(sql, relation)) return false;
  const ids = columns.filter(isText).map((column) => column.id);
  const sizes = layout.slots.flatMap(({ columnId, name }) =>
    ids.includes(columnId) ? `ifnull(octet_length(${name}), 0)` : [],
  );
  if (sizes.length === 0) return true;
  const total = `SELECT total(${balanced(sizes, '+')}) FROM __dosql_log WHERE lsn > ? AND rel = ?`;
  return (first<[number]>(sql, total, lsn, id)?.[0] ?? 0) <= MAX_MERGED_BYTES;
}

/** No less than the table has rows, while no rowid was negative. */
function largestRowid(sql: SqlStorage, { key, name }: Relation): number {
  if (key.kind !== 'rowid') return 0;
  const text = `SELECT max(${quoteName(key.name)}) FROM main.${quoteName(name)}`;
  return first<[number | null]>(sql, text)?.[0] ?? 0;
}
