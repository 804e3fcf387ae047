/**
 * Columns of SQLite as columns of Parquet.
 *
 * A column of SQLite may hold values of every class, one of Parquet has one type: that of most of its values. What is
 * of another class goes to a companion, `<name>$other`, and is NULL in the column itself, so that everyone else reads
 * a clean typed column and we read every value as it was ({@link mergeOther}). The file's key-value metadata has in
 * `dosql.columns` how each column is stored.
 */
import type { SqlValue } from '../../value/row.ts';
import type { Vector } from '../vector.ts';
import { SqliteColumnBuffer } from './write-sqlite-column.ts';
import type { WriteColumn } from './write-schema.ts';

/** SQLite's column affinities (https://sqlite.org/datatype3.html#type_affinity). */
export type Affinity = 'integer' | 'text' | 'real' | 'numeric' | 'blob';

/** A column of SQLite. */
export interface SqliteColumn {
  readonly name: string;
  /** In one of `real` every number is a REAL; elsewhere whole numbers are INTEGER. */
  readonly affinity?: Affinity | undefined;
  /** How it is stored, whatever its values are: files of one table are to have one schema. By default as most values are. */
  readonly stored?: StoredAs | undefined;
  /** What Iceberg knows the column by. */
  readonly fieldId?: number | undefined;
}

/**
 * How a column is stored. `integer` as INT64, `real` as DOUBLE, `text` as UTF-8, `blob` as bytes. `number` as DOUBLE
 * as well, with whole numbers that are INTEGER in SQLite. `iso` as TIMESTAMP(ms), where every text is just what
 * `Date.toISOString` prints.
 */
export type StoredAs = 'integer' | 'real' | 'number' | 'text' | 'blob' | 'iso';

/** What `dosql.columns` has for each column of SQLite, in their order. */
export interface StoredColumn {
  readonly name: string;
  readonly stored: StoredAs;
  /** The companion's name, where there is one. */
  readonly other?: string;
}

/** The key of the list of {@link StoredColumn} in a file's key-value metadata. */
export const COLUMNS_KEY = 'dosql.columns';

/** What a Parquet writer takes for rows of SQLite. */
export interface SqliteTable {
  readonly rowCount: number;
  readonly columns: readonly WriteColumn[];
  readonly vectors: readonly Vector[];
  readonly stored: readonly StoredColumn[];
  /** `dosql.columns`. */
  readonly keyValue: Readonly<Record<string, string>>;
}

/** Gathers rows of SQLite. */
export interface SqliteRows {
  /** Adds rows as `raw()` gives them; integers that a double cannot hold as bigint. */
  add(rows: Iterable<readonly (SqlValue | ArrayBuffer)[]>): void;
  /** All rows added so far; `empty` are the affinities of columns that have nothing but NULL. */
  finish(empty?: readonly (Affinity | undefined)[]): SqliteTable;
}

/**
 * Gathers rows of SQLite for {@link createParquetWriter}: which type each column gets shows with the last row.
 *
 * ```ts
 * const gathered = sqliteColumns([{ name: 'id', affinity: 'integer' }, { name: 'note', affinity: 'text' }]);
 * gathered.add(cursor.raw());
 * const { columns, vectors, keyValue } = gathered.finish();
 * const writer = createParquetWriter({ columns, keyValue });
 * writer.write(vectors);
 * ```
 */
export function sqliteColumns(columns: readonly SqliteColumn[]): SqliteRows {
  const buffers = columns.map(({ affinity, stored }) => new SqliteColumnBuffer(affinity, stored));
  return {
    add(rows) {
      for (const row of rows) for (let i = 0; i < buffers.length; i++) buffers[i]?.add(row[i] ?? null);
    },
    finish: (empty = []) => finish(columns, buffers, empty),
  };
}

function finish(
  columns: readonly SqliteColumn[],
  buffers: readonly SqliteColumnBuffer[],
  empty: readonly (Affinity | undefined)[],
): SqliteTable {
  const taken = new Set(columns.map(({ name }) => name));
  const written: WriteColumn[] = [];
  const vectors: Vector[] = [];
  const others: { column: WriteColumn; vector: Vector }[] = [];
  const stored = columns.map(({ name, fieldId }, i): StoredColumn => {
    const { storedAs, column, main, other } = (buffers[i] as SqliteColumnBuffer).finish(empty[i]);
    written.push({ name, fieldId, ...column });
    vectors.push(main);
    if (other === undefined) return { name, stored: storedAs };
    const companion = companionName(name, taken);
    others.push({ column: { name: companion, type: 'binary' }, vector: other });
    return { name, stored: storedAs, other: companion };
  });
  return {
    rowCount: buffers[0]?.rows ?? 0,
    columns: [...written, ...others.map(({ column }) => column)],
    vectors: [...vectors, ...others.map(({ vector }) => vector)],
    stored,
    keyValue: { [COLUMNS_KEY]: JSON.stringify(stored) },
  };
}

function companionName(name: string, taken: Set<string>): string {
  let companion = `${name}$other`;
  while (taken.has(companion)) companion += '$';
  taken.add(companion);
  return companion;
}
