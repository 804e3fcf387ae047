import { DoSQLError } from '../../src/index.ts';

/** Rows by the ids of their columns: every value exactly, with its type. */
export type RecordedRow = ReadonlyMap<number, string>;

/** A table at a commit: which table and which columns it was, and its rows by the columns' ids. */
export interface RecordedTable {
  readonly tableId: number;
  readonly name: string;
  readonly columns: ReadonlyMap<number, string>;
  readonly rows: readonly RecordedRow[];
}

/** All tables at a commit. */
export interface Moment {
  readonly lsn: number;
  readonly ms: number;
  readonly tables: readonly RecordedTable[];
}

/** A table of `__dosql_relation`, by its columns table_id, name and shape. */
export function recordedTable([tableId, name, shape]: readonly [number, string, string]): Omit<
  RecordedTable,
  'rows'
> {
  const { columns } = JSON.parse(shape) as { columns: { id: number; name: string }[] };
  return { tableId, name, columns: new Map(columns.map((column) => [column.id, column.name])) };
}

export const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** SQL for a value with its type, exactly; integers leave SQLite as text. */
export const exact = (name: string): string => `typeof(${quote(name)}) || ' ' || quote(${quote(name)})`;

export function readRows(
  raw: Iterable<readonly unknown[]>,
  columns: ReadonlyMap<number, string>,
): RecordedRow[] {
  return [...raw].map((values) => new Map([...columns.keys()].map((id, i) => [id, values[i] as string])));
}

/** Rows as sorted text, of these columns only. */
export function texts(rows: readonly RecordedRow[], ids: readonly number[]): string[] {
  return rows.map((row) => ids.map((id) => row.get(id)).join(' | ')).toSorted();
}

/** A statement that SQLite refuses changes nothing; another error is a bug. */
export async function attempt(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof DoSQLError) && !(error instanceof Error && error.message === 'undo')) throw error;
  }
}
