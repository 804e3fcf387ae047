import { hasRows } from '../history/access.ts';
import type { Catalog } from '../schema/catalog.ts';
import { lineOf, MAIN } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { all, first } from '../sql/read.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import { rowsOf, shadowName } from './overlay.ts';
import { shapeOf, type TableShape } from './shape.ts';

/** A range between hidden rows costs 1.3 µs, and a lookup among them 0.15 µs. */
const ROWS_PER_RANGE = 10;
/** So many ranges never take long. */
const FEW_RANGES = 500;
/** With fewer rows neither takes longer than choosing. */
const LARGE_ROWS = 5_000;

/** A table that a branch has of its own: an overlay over main's, or, once all rows are copied up, just a table. */
export class BranchTable {
  readonly own: Relation;
  /** Main's table with the branch's columns while rows of it are still seen through; undefined once folded. */
  readonly main: Relation | undefined;
  /** Main's table has the same columns, in the same order: seen as a whole, it is what the branch would see. */
  readonly isAlike: boolean;
  readonly #sql: SqlStorage;
  #shape: TableShape | undefined;
  #isLarge: boolean | undefined;

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
   * With `areAllRead` it is for a statement that goes through all rows of a large one.
   */
  rows(rowid?: string, areAllRead: boolean = false): string {
    const { main, own } = this;
    if (main === undefined) return `main.${quoteName(own.table)}`;
    return rowsOf(own.branch, main, own, rowid, areAllRead && this.#hidesFew(main));
  }

  /** Whether it takes long to go through all of main's rows. What main gets later is hidden from the branch. */
  get isLarge(): boolean {
    return (this.#isLarge ??= this.main !== undefined && hasRows(LARGE_ROWS, this.#sql, this.main));
  }

  /** Whether reading the ranges between main's hidden rows costs less than looking each row up among these. */
  #hidesFew(main: Relation): boolean {
    const hidden = `SELECT count(*) FROM ${quoteName(shadowName(this.own.branch, main.name))}`;
    const count = first<[number]>(this.#sql, hidden)?.[0] ?? 0;
    return count <= FEW_RANGES || hasRows(count * ROWS_PER_RANGE, this.#sql, main);
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
