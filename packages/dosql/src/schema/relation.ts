/** SQLite's column affinities (https://sqlite.org/datatype3.html#type_affinity). */
export type Affinity = 'integer' | 'text' | 'real' | 'numeric' | 'blob';

/** A column of one version of a table. */
export interface Column {
  /** Stays the same through renames, and is never given to another column of the table. */
  readonly id: number;
  readonly name: string;
  readonly affinity: Affinity;
  /** The collating sequence when it is not BINARY. */
  readonly collation: string | undefined;
  readonly isGenerated: boolean;
}

/**
 * What identifies a row in the log.
 *
 * `rowid`: the rowid, read under `name` (an alias that no column shadows, or the INTEGER PRIMARY KEY).
 * `primary`: the primary key columns of a WITHOUT ROWID table.
 */
export type RowKey =
  | { readonly kind: 'rowid'; readonly name: string; readonly columnId: number | undefined }
  | { readonly kind: 'primary'; readonly columnIds: readonly number[] };

/** Where the log keeps a column: in which row of a change's image, in which log column. */
export interface Slot {
  readonly columnId: number;
  readonly part: number;
  readonly name: string;
  /** For a change logged as one row: the log column of the value after it. */
  readonly after: string | undefined;
}

/** How the rows of a relation are laid out in the log. */
export interface Layout {
  /** Every column but the one that is the rowid. */
  readonly slots: readonly Slot[];
  /** Rows of the log that one image takes. */
  readonly parts: number;
  /** An update fits before and after image into one row. */
  readonly updatesInOneRow: boolean;
}

/** One version of a table: what it was between two points of the log. */
export interface Relation {
  /** The version's number, which the log's rows carry. */
  readonly id: number;
  /** The table's, the same through all its versions. */
  readonly tableId: number;
  /** The branch that the version belongs to. */
  readonly branch: number;
  readonly name: string;
  /** What SQLite's schema calls the table. */
  readonly table: string;
  /** The version holds after this LSN … */
  readonly since: number;
  /** … up to this one; undefined while it is the present one. */
  readonly until: number | undefined;
  /** The CREATE statement as SQLite keeps it. */
  readonly sql: string;
  readonly columns: readonly Column[];
  /** Columns that make the primary key as declared, in its order; empty without one. */
  readonly primaryKey: readonly number[];
  readonly key: RowKey;
  readonly layout: Layout;
}

/** One version of a view, an index or a trigger. */
export interface SchemaObject {
  readonly branch: number;
  readonly type: 'view' | 'index' | 'trigger';
  /** The table that it belongs to; a view's is itself. */
  readonly table: string;
  readonly name: string;
  readonly since: number;
  readonly until: number | undefined;
  readonly sql: string;
  /** Triggers fire in the order of their places, the newest first. */
  readonly place: number;
}

/** The words for a rowid, of which a column that is called so takes one away (https://sqlite.org/lang_createtable.html#rowid). */
export const ROWID_NAMES: readonly string[] = ['rowid', '_rowid_', 'oid'];

/** The name of a rowid that is no column; undefined where a column is the rowid, or there is none. */
export function bareRowid({ key }: Pick<Relation, 'key'>): string | undefined {
  return key.kind === 'rowid' && key.columnId === undefined ? key.name : undefined;
}

/** The column of `relation` with this id. */
export function columnOf(relation: Relation, id: number): Column {
  const column = relation.columns.find((column) => column.id === id);
  if (column === undefined) throw new Error(`relation ${relation.id} has no column ${id}`);
  return column;
}

/**
 * The affinity of a declared type, by SQLite's rules (https://sqlite.org/datatype3.html#determination_of_column_affinity).
 * A STRICT table's ANY keeps every value as it is, which is BLOB affinity.
 */
export function affinityOf(type: string, isStrict: boolean): Affinity {
  const declared = type.toUpperCase();
  if (isStrict && declared === 'ANY') return 'blob';
  if (declared.includes('INT')) return 'integer';
  if (/CHAR|CLOB|TEXT/.test(declared)) return 'text';
  if (declared === '' || declared.includes('BLOB')) return 'blob';
  if (/REAL|FLOA|DOUB/.test(declared)) return 'real';
  return 'numeric';
}
