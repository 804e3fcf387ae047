import type { Catalog } from '../schema/catalog.ts';
import { lineOf, MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import { rowsOf, shadowName } from './overlay.ts';
import { shapeOf, type TableShape } from './shape.ts';

/** A table that a branch has of its own: an overlay over main's, or, once all rows are copied up, just a table. */
export class BranchTable {
  readonly own: Relation;
  /** Main's table with the branch's columns while rows of it are still seen through; undefined once folded. */
  readonly main: Relation | undefined;
  /** Main's table has the same columns, in the same order: seen as a whole, it is what the branch would see. */
  readonly isAlike: boolean;
  readonly #sql: SqlStorage;
  #shape: TableShape | undefined;

  /** `main` is main's table that is seen through, as it is now. */
  constructor(sql: SqlStorage, own: Relation, main: Relation | undefined) {
    this.#sql = sql;
    this.own = own;
    this.main = main === undefined ? undefined : { ...own, branch: MAIN, table: main.table };
    this.isAlike =
      main?.columns.length === own.columns.length &&
      main.columns.every(({ id, name }, i) => own.columns[i]?.id === id && own.columns[i].name === name);
  }

  /**
   * What the branch sees of the table, to stand in FROM; `rowid` is the word by which a rowid without column is wanted.
   * With `areAllRead` it is for a statement that goes through all rows.
   */
  rows(rowid?: string, areAllRead: boolean = false): string {
    const { main, own } = this;
    return main === undefined
      ? `main.${quoteName(own.table)}`
      : rowsOf(own.branch, main, own, rowid, areAllRead);
  }

  /** Keys and triggers of main's table, by which rows are copied up. For a folded table, of its own. */
  get shape(): TableShape {
    return (this.#shape ??= this.main === undefined ? this.#ownShape() : shapeOf(this.#sql, this.main));
  }

  #ownShape(): TableShape {
    const shape = shapeOf(this.#sql, this.own);
    const foreignKeys = shape.foreignKeys.map((key) => ({ ...key, parent: lineOf(key.parent).name }));
    return { ...shape, foreignKeys };
  }
}

/** The tables that a branch has of its own, by name in lower case. */
export function tablesOf(
  sql: SqlStorage,
  catalog: Catalog,
  branch: number,
): ReadonlyMap<string, BranchTable> {
  const shadows = new Set(
    all<[string]>(
      sql,
      `SELECT name FROM sqlite_schema WHERE type = 'table' AND name BETWEEN '${shadowName(branch, '')}' AND '${shadowName(branch, '')}\u{10ffff}'`,
    ).map(([name]) => lowerName(name)),
  );
  const current = catalog.current();
  return new Map(
    current
      .filter((relation) => relation.branch === branch)
      .map((own) => {
        const isOverlay = shadows.has(lowerName(shadowName(branch, own.name)));
        const main = isOverlay
          ? current.find((relation) => relation.branch === MAIN && relation.tableId === own.tableId)
          : undefined;
        return [lowerName(own.name), new BranchTable(sql, own, main)];
      }),
  );
}
