import type { MixedVector, ScanColumn } from '../scan/vector.ts';
import type { SqlValue } from '../value/row.ts';
import { arrowStream } from './stream.ts';

/** What a column of a result is, apart from its name. */
export type ArrowColumnType = Omit<ScanColumn, 'name'>;

const BATCH_ROWS = 65_536;
const TEXT: ArrowColumnType = { type: 'text' };

/**
 * The types of rows whose columns have none, as those of a query in SQLite: that of a column's values, `real` where
 * whole numbers stand among others, `any` where there are several classes, `text` where there are only NULLs.
 */
export function rowTypes(rows: readonly (readonly SqlValue[])[], width: number): ArrowColumnType[] {
  return Array.from({ length: width }, (_, column) => {
    let type: ArrowColumnType | undefined;
    for (const row of rows) {
      const value = row[column] ?? null;
      if (value !== null) type = joined(type, typeOf(value));
      if (type?.type === 'any') break;
    }
    return type ?? TEXT;
  });
}

/** Rows of a query as an Arrow IPC stream. */
export function rowStream(
  names: readonly string[],
  rows: readonly (readonly SqlValue[])[],
): ReadableStream<Uint8Array> {
  const batches = function* (): Generator<readonly MixedVector[]> {
    for (let at = 0; at < rows.length; at += BATCH_ROWS)
      yield rowVectors(rows.slice(at, at + BATCH_ROWS), names.length);
  };
  return arrowStream(names, rowTypes(rows, names.length), batches());
}

/** Rows as columns. */
export function rowVectors(rows: readonly (readonly SqlValue[])[], width: number): MixedVector[] {
  return Array.from({ length: width }, (_, column) => ({
    kind: 'mixed',
    length: rows.length,
    nulls: undefined,
    values: rows.map((row) => row[column] ?? null),
  }));
}

function typeOf(value: Exclude<SqlValue, null>): ArrowColumnType {
  if (typeof value === 'string') return TEXT;
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return { type: 'integer' };
  return { type: typeof value === 'number' ? 'real' : 'blob' };
}

function joined(a: ArrowColumnType | undefined, b: ArrowColumnType): ArrowColumnType {
  if (a === undefined || a.type === b.type) return b;
  const isNumber = ({ type }: ArrowColumnType): boolean => type === 'integer' || type === 'real';
  return isNumber(a) && isNumber(b) ? { type: 'real' } : { type: 'any' };
}
