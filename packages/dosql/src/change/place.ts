import { MAIN } from '../schema/line.ts';
import type { Catalog } from '../schema/catalog.ts';
import { columnOf, type Column, type Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';

/** A trigger of the user's. */
export interface UserTrigger {
  readonly name: string;
  /** The CREATE statement. */
  readonly sql: string;
}

/** Where a table's rows are read and written: the table itself on main, its overlay on a branch. */
export interface Place {
  readonly relation: Relation;
  /** SQL name of the table written. */
  readonly table: string;
  /**
   * SQL source of all rows that are there, with the relation's columns, and the rowid under `relation.key.name`
   * where that is no column.
   */
  readonly rows: string;
  /** Triggers of the user's on the table that is written, oldest first: they must not fire. */
  triggers(): readonly UserTrigger[];
  /** To be called before rows are written whose keys the query `keys` gives, one column per key column. */
  copyUp(keys: string): void;
}

/** A table of main's. */
export function mainPlace(sql: SqlStorage, relation: Relation): Place {
  const table = `main.${quoteName(relation.table)}`;
  return {
    relation,
    table,
    rows: table,
    triggers: () =>
      all<[string, string]>(
        sql,
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE AND substr(name, 1, 8) <> '__dosql_' ORDER BY rowid",
        relation.table,
      ).map(([name, text]) => ({ name, sql: text })),
    copyUp: () => {
      // On main every row is in the table already.
    },
  };
}

/** All tables of main as they are now. */
export function mainPlaces(sql: SqlStorage, catalog: Catalog): Place[] {
  return catalog
    .current()
    .filter(({ branch }) => branch === MAIN)
    .map((relation) => mainPlace(sql, relation));
}

/** The columns that identify a row of `relation` in the log and in the table; a rowid without column has no id. */
export function keyColumns(relation: Relation): (Pick<Column, 'name'> & Partial<Column>)[] {
  const { key } = relation;
  if (key.kind === 'primary') return key.columnIds.map((id) => columnOf(relation, id));
  return [key.columnId === undefined ? { name: key.name } : columnOf(relation, key.columnId)];
}

/**
 * The columns that a row of `relation` is written with, in the order in which a {@link TableChange} gives
 * them: all but the generated ones, behind the rowid where that is no column.
 */
export function storedColumns(relation: Relation): (Pick<Column, 'name'> & Partial<Column>)[] {
  const { key } = relation;
  const stored = relation.columns.filter(({ isGenerated }) => !isGenerated);
  return key.kind === 'rowid' && key.columnId === undefined ? [{ name: key.name }, ...stored] : stored;
}
