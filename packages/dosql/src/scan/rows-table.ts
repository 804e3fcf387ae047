import type { SqlValue } from '../value/row.ts';
import { encodeText } from './scalar.ts';
import type { Batch, ScanRequest, ScanTable } from './table.ts';
import { countOfText } from './expression-compare.ts';
import { isTemporal } from './values.ts';
import type { BytesVector, PlainVector, ScanColumn } from './vector.ts';

const BATCH = 65_536;

/**
 * Rows as a table that can be scanned: arrays of values, in the order of `columns`. A value that its column's type has no
 * place for makes the column one of mixed values in that batch.
 */
export function rowsTable(columns: readonly ScanColumn[], rows: readonly (readonly SqlValue[])[]): ScanTable {
  const positions = new Map(columns.map(({ name }, i) => [name, i]));
  return {
    columns,
    async *scan(request: ScanRequest) {
      for (let from = 0; from < rows.length; from += BATCH) {
        request.signal?.throwIfAborted();
        yield batchOf(columns, positions, rows.slice(from, from + BATCH));
      }
    },
  };
}

function batchOf(
  columns: readonly ScanColumn[],
  positions: ReadonlyMap<string, number>,
  rows: readonly (readonly SqlValue[])[],
): Batch {
  return {
    rowCount: rows.length,
    column(name) {
      const at = positions.get(name) ?? -1;
      return vectorOf(columns[at] as ScanColumn, rows, at);
    },
    async fetch() {},
  };
}

/** Values at position `at` of each row as a vector. */
export function vectorOf(
  column: ScanColumn,
  rows: readonly (readonly SqlValue[])[],
  at: number,
): PlainVector {
  const { type } = column;
  if (type === 'text' || type === 'blob') return bytesVector(type, rows, at) ?? mixedVector(rows, at);
  if (type === 'any') return mixedVector(rows, at);
  return numberVector(column, rows, at) ?? mixedVector(rows, at);
}

function mixedVector(rows: readonly (readonly SqlValue[])[], at: number): PlainVector {
  return {
    kind: 'mixed',
    length: rows.length,
    nulls: undefined,
    values: rows.map((row) => row[at] ?? null),
  };
}

function numberVector(
  column: ScanColumn,
  rows: readonly (readonly SqlValue[])[],
  at: number,
): PlainVector | undefined {
  const { type } = column;
  const like = { type, unit: column.unit ?? 'ms', isUtc: column.isUtc ?? true } as const;
  const values = new Float64Array(rows.length);
  let nulls: Uint8Array | undefined;
  for (let i = 0; i < rows.length; i++) {
    let value = rows[i]?.[at] ?? null;
    if (typeof value === 'string' && isTemporal(type)) value = countOfText(value, like) ?? value;
    if (value === null) (nulls ??= new Uint8Array(rows.length))[i] = 1;
    else if (typeof value === 'bigint' && type !== 'real' && type !== 'date') return bigintVector(rows, at);
    else if (typeof value !== 'number' || (type !== 'real' && !Number.isInteger(value))) return undefined;
    else values[i] = value;
  }
  return { kind: 'number', length: rows.length, nulls, values };
}

function bigintVector(rows: readonly (readonly SqlValue[])[], at: number): PlainVector | undefined {
  const values = new BigInt64Array(rows.length);
  let nulls: Uint8Array | undefined;
  for (let i = 0; i < rows.length; i++) {
    const value = rows[i]?.[at] ?? null;
    if (value === null) (nulls ??= new Uint8Array(rows.length))[i] = 1;
    else if (typeof value === 'bigint') values[i] = value;
    else if (Number.isInteger(value)) values[i] = BigInt(value as number);
    else return undefined;
  }
  return { kind: 'bigint', length: rows.length, nulls, values };
}

function bytesVector(
  type: 'text' | 'blob',
  rows: readonly (readonly SqlValue[])[],
  at: number,
): BytesVector | undefined {
  const parts: (Uint8Array | undefined)[] = [];
  const offsets = new Uint32Array(rows.length + 1);
  let nulls: Uint8Array | undefined;
  let size = 0;
  for (let i = 0; i < rows.length; i++) {
    const value = rows[i]?.[at] ?? null;
    if (value === null) (nulls ??= new Uint8Array(rows.length))[i] = 1;
    else if (type === 'text' ? typeof value !== 'string' : !(value instanceof Uint8Array)) return undefined;
    else {
      const bytes = typeof value === 'string' ? encodeText(value) : (value as Uint8Array);
      parts[i] = bytes;
      size += bytes.length;
    }
    offsets[i + 1] = size;
  }
  const data = new Uint8Array(size);
  for (let i = 0; i < rows.length; i++) {
    const part = parts[i];
    if (part !== undefined) data.set(part, offsets[i]);
  }
  return { kind: 'bytes', length: rows.length, nulls, data, offsets };
}
