import { DoSQLError } from '../error.ts';
import { Budget } from '../scan/budget.ts';
import type { RangeFile } from '../scan/file.ts';
import { openParquet } from '../scan/parquet/index.ts';
import { createParquetWriter } from '../scan/parquet/write.ts';
import { sqliteColumns } from '../scan/parquet/write-sqlite.ts';
import type { Batch } from '../scan/table.ts';
import type { ScanColumn } from '../scan/vector.ts';
import type { Affinity } from '../schema/relation.ts';
import { StoredTable } from '../tier/stored-table.ts';
import { valueAt } from '../tier/vectors.ts';
import type { SqlValue } from '../value/row.ts';
import { isMarked, needsMarks } from './whole-real.ts';

/** A column of a file of rows. */
export interface RowsColumn {
  readonly name: string;
  readonly affinity: Affinity;
}

/** Names of the columns in a file that have marked values. */
const MARKED_KEY = 'dosql.marked';
/** Names of those that have none but NULLs, which need not be read. */
const EMPTY_KEY = 'dosql.empty';

/**
 * A Parquet file of these rows, with texts about it in its metadata; read back and compared with them, value by value.
 *
 * @throws DoSQLError `CORRUPT_FILE` when it does not hold just these rows.
 */
export async function rowsFile(
  name: string,
  columns: readonly RowsColumn[],
  rows: readonly SqlValue[][],
  about: Readonly<Record<string, string>>,
): Promise<Uint8Array> {
  const gathered = sqliteColumns(columns);
  gathered.add(rows);
  const table = gathered.finish();
  const markedColumns = columns.flatMap((column, i) =>
    needsMarks(column.affinity) && rows.some((row) => isMarked(row[i])) ? [column.name] : [],
  );
  const empty = columns.flatMap((column, i) => (rows.every((row) => row[i] === null) ? [column.name] : []));
  const writer = createParquetWriter({
    columns: table.columns,
    keyValue: {
      ...table.keyValue,
      ...about,
      [MARKED_KEY]: JSON.stringify(markedColumns),
      [EMPTY_KEY]: JSON.stringify(empty),
    },
  });
  writer.write(table.vectors);
  const bytes = joined(writer.finish());
  await compare(name, bytes, columns, rows);
  return bytes;
}

/** A file of rows that has been opened. */
export interface OpenRows {
  readonly columns: readonly ScanColumn[];
  /** Names of columns that have marked values. */
  readonly marked: ReadonlySet<string>;
  /** Names of columns that have none but NULLs. */
  readonly empty: ReadonlySet<string>;
  about(key: string): string | undefined;
  batches(names: readonly string[]): AsyncIterable<Batch>;
}

/**
 * Opens the bytes of a file of rows.
 *
 * @throws DoSQLError `CORRUPT_FILE`
 */
export async function openRows(name: string, bytes: Uint8Array): Promise<OpenRows> {
  const file: RangeFile = {
    name,
    size: bytes.length,
    // Other bytes under this name must not be taken for these.
    etag: crypto.randomUUID(),
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
  const budget = new Budget({ bytes: Infinity, decodedBytes: Infinity, rows: Infinity });
  const parquet = await openParquet(file, budget);
  const table = new StoredTable(parquet, name);
  return {
    columns: table.columns,
    marked: namesIn(parquet.keyValue.get(MARKED_KEY)),
    empty: namesIn(parquet.keyValue.get(EMPTY_KEY)),
    about: (key) => parquet.keyValue.get(key),
    batches: (names) => table.scan({ columns: names, conditions: [], budget }),
  };
}

function namesIn(text: string | undefined): ReadonlySet<string> {
  return new Set(JSON.parse(text ?? '[]') as string[]);
}

async function compare(
  name: string,
  bytes: Uint8Array,
  columns: readonly RowsColumn[],
  rows: readonly SqlValue[][],
): Promise<void> {
  const file = await openRows(name, bytes);
  const names = columns.map((column) => column.name);
  const types = names.map((column) => file.columns.find((one) => one.name === column)?.type);
  let at = 0;
  for await (const batch of file.batches(names)) {
    const vectors = names.map((column) => batch.column(column));
    for (let i = 0; i < batch.rowCount; i++, at++) {
      const row = rows[at];
      if (
        row?.every((value, c) =>
          isSame(value, valueAt(vectors[c] as (typeof vectors)[number], i, types[c])),
        ) !== true
      )
        throw new DoSQLError('CORRUPT_FILE', `row ${at} of "${name}" would not be read back as it is`);
    }
  }
  if (at !== rows.length)
    throw new DoSQLError('CORRUPT_FILE', `"${name}" would be read back with ${at} rows, not ${rows.length}`);
}

function isSame(a: SqlValue, b: SqlValue): boolean {
  if (!(a instanceof Uint8Array && b instanceof Uint8Array)) return Object.is(a, b);
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
