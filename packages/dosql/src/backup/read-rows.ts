import type { Affinity } from '../schema/relation.ts';
import { balanced } from '../sql/compound.ts';
import { all, first } from '../sql/read.ts';
import type { Binding } from '../value/parameter.ts';
import { toValue, type RawValue, type SqlValue } from '../value/row.ts';
import { marked, needsMarks } from './whole-real.ts';

/** A column to read: what the file calls it, and what SQLite does. */
export interface ReadColumn {
  readonly name: string;
  readonly affinity: Affinity;
  /** SQL for its value. */
  readonly value: string;
}

/** Where rows come from, in which order: `FROM … WHERE … ORDER BY …`, and what that binds. */
export interface RowSource {
  readonly tail: string;
  readonly bindings: readonly Binding[];
}

/** Values that one file is made of take at most so many bytes, unless a single row takes more. */
const FILE_BYTES = 12 * 2 ** 20;
/** Rows that are smaller than that on average need not be measured. */
const FIXED_BYTES = 9;

/**
 * The next rows of a source, at most `limit` and no more than memory bears, every value exactly: integers that a double
 * cannot hold as bigint, whole reals of columns without affinity {@link marked}.
 */
export function readRows(
  sql: SqlStorage,
  columns: readonly ReadColumn[],
  { tail, bindings }: RowSource,
  limit: number,
): SqlValue[][] {
  const most = rowsWithin(sql, columns, { tail, bindings }, limit);
  const values = columns.map(({ value, affinity }) => (needsMarks(affinity) ? marked(value) : value));
  const raw = all<RawValue[]>(sql, `SELECT ${values.join(', ')} ${tail} LIMIT ${most}`, ...bindings);
  const rows = raw as SqlValue[][];
  const large = new Set<number>();
  for (const row of rows)
    for (let i = 0; i < row.length; i++) {
      const value = row[i] as RawValue;
      if (typeof value === 'number') {
        if (Number.isInteger(value) && !Number.isSafeInteger(value)) large.add(i);
      } else if (typeof value === 'object' && value !== null) row[i] = toValue(value);
    }
  for (const i of large) {
    const { value } = columns[i] as ReadColumn;
    const text = `SELECT iif(typeof(${value}) = 'integer', CAST(${value} AS TEXT), NULL) ${tail} LIMIT ${most}`;
    all<[string | null]>(sql, text, ...bindings).forEach(([digits], at) => {
      const row = rows[at] as SqlValue[];
      if (digits !== null && !Number.isSafeInteger(row[i])) row[i] = BigInt(digits);
    });
  }
  return rows;
}

/** How many of the next rows one file takes. Lengths are asked for first: SQLite knows them without the values. */
function rowsWithin(
  sql: SqlStorage,
  columns: readonly ReadColumn[],
  { tail, bindings }: RowSource,
  limit: number,
): number {
  const large = columns.filter(({ affinity }) => affinity !== 'integer' && affinity !== 'real');
  if (large.length === 0) return limit;
  const lengths = large.map(({ value }) => `ifnull(octet_length(${value}), 0)`);
  const size = `${balanced(lengths, '+')} + ${columns.length * FIXED_BYTES}`;
  const inner = `SELECT ${size} AS bytes ${tail} LIMIT ${limit}`;
  const total = first<[number | null]>(sql, `SELECT sum(bytes) FROM (${inner})`, ...bindings)?.[0] ?? 0;
  if (total <= FILE_BYTES) return limit;
  const running = `SELECT sum(bytes) OVER (ROWS UNBOUNDED PRECEDING) AS sum FROM (${inner})`;
  const count = first<[number]>(
    sql,
    `SELECT count(*) FROM (${running}) WHERE sum <= ${FILE_BYTES}`,
    ...bindings,
  );
  return Math.max(1, count?.[0] ?? 1);
}
