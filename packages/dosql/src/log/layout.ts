import { DoSQLError } from '../error.ts';
import type { Affinity, Column, Layout, RowKey, Slot } from '../schema/relation.ts';
import { MAX_COLUMNS } from '../sql/read.ts';

/**
 * The log's value columns, by affinity.
 *
 * A value is kept in a log column of its own column's affinity, where storing changes nothing, because the
 * affinity was applied when the row was written. Reading a past row therefore gives columns that compare
 * like the table's own: `WHERE id = '5'` finds the same rows then as now. With untyped columns it would not.
 */
export const POOLS: readonly {
  readonly affinity: Affinity;
  readonly prefix: string;
  readonly type: string;
}[] = [
  { affinity: 'integer', prefix: 'i', type: 'INTEGER' },
  { affinity: 'text', prefix: 't', type: 'TEXT' },
  { affinity: 'real', prefix: 'r', type: 'REAL' },
  { affinity: 'numeric', prefix: 'n', type: 'NUMERIC' },
  { affinity: 'blob', prefix: 'b', type: '' },
];

/** How many columns of each affinity the log has. */
export type Widths = Readonly<Record<Affinity, number>>;

/** Columns of the log that hold no values: lsn, rel, op, at, k. */
const HEADER_COLUMNS = 5;
const MAX_VALUE_COLUMNS = MAX_COLUMNS - HEADER_COLUMNS;

/** The log starts narrow: every column costs each of its rows a byte. */
export const INITIAL_WIDTHS: Widths = { integer: 4, text: 4, real: 1, numeric: 1, blob: 1 };

/**
 * Where the log keeps a table's columns, and how wide that makes the log.
 *
 * An update's before and after image share a row as long as the log can be that wide and its rows that large; else
 * they take a row each; and an image that is wider than the log is continued in the rows after it.
 *
 * @throws DoSQLError `FORBIDDEN` for a column with a name that SQLite gives none in a subquery, as images are read.
 */
export function layOut(
  columns: readonly Column[],
  key: RowKey,
  widths: Widths,
  holdsTwoImages: boolean,
): { layout: Layout; widths: Widths } {
  const lost = columns.find(({ name }) => /^(?:true|false)$/i.test(name));
  if (lost !== undefined)
    throw new DoSQLError('FORBIDDEN', `subqueries lose a column named ${lost.name}: rename it`);
  // Columns of the key come first: they must lie in the first row of an image that takes several.
  const isKey = ({ id }: Column): boolean => key.kind === 'primary' && key.columnIds.includes(id);
  const stored = columns
    .filter((column) => key.kind !== 'rowid' || column.id !== key.columnId)
    .toSorted((a, b) => Number(isKey(b)) - Number(isKey(a)));
  const need: Record<Affinity, number> = { integer: 0, text: 0, real: 0, numeric: 0, blob: 0 };
  for (const column of stored) need[column.affinity]++;
  const both = holdsTwoImages ? widen(widths, (affinity) => 2 * need[affinity]) : undefined;
  const single = both ?? widen(widths, (affinity) => need[affinity]) ?? fill(widths, need);
  const used: Record<Affinity, number> = { integer: 0, text: 0, real: 0, numeric: 0, blob: 0 };
  const slots = stored.map((column): Slot => {
    const { prefix } = POOLS.find((pool) => pool.affinity === column.affinity) as (typeof POOLS)[number];
    const nth = used[column.affinity]++;
    const width = single[column.affinity];
    const part = both === undefined ? Math.floor(nth / width) : 0;
    const after = both === undefined ? undefined : `${prefix}${nth + need[column.affinity]}`;
    return { columnId: column.id, part, name: `${prefix}${nth - part * width}`, after };
  });
  const parts = Math.max(0, ...slots.map((slot) => slot.part)) + 1;
  return { layout: { slots, parts, updatesInOneRow: both !== undefined }, widths: single };
}

function total(widths: Widths): number {
  return POOLS.reduce((sum, { affinity }) => sum + widths[affinity], 0);
}

function widen(widths: Widths, need: (affinity: Affinity) => number): Widths | undefined {
  const wide = { ...widths };
  for (const { affinity } of POOLS) wide[affinity] = Math.max(wide[affinity], need(affinity));
  return total(wide) <= MAX_VALUE_COLUMNS ? wide : undefined;
}

/** As wide as the log can get, the widest need first; every pool has at least one column to continue in. */
function fill(widths: Widths, need: Widths): Widths {
  const wide = { ...widths };
  for (const { affinity } of POOLS.toSorted((a, b) => need[b.affinity] - need[a.affinity]))
    wide[affinity] = Math.max(
      wide[affinity],
      Math.min(need[affinity], MAX_VALUE_COLUMNS - total(wide) + wide[affinity]),
    );
  return wide;
}
