import type { Branches } from '../branch/branches.ts';
import { copyUp } from '../branch/overlay.ts';
import { States } from '../branch/states.ts';
import type { BranchTable } from '../branch/table.ts';
import type { Engine } from '../engine.ts';
import { keyExpressions } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN, physicalName } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import { mainPlaces, type Place } from './place.ts';

/**
 * Where the tables of a line are written. A branch's is its overlay, which has to hold the rows in question first:
 * then it is all that there is to be looked at.
 */
export class Places {
  readonly #engine: Engine;
  readonly #known: Branches | undefined;
  readonly #line: number;

  /** `branches` may be undefined for main. */
  constructor(engine: Engine, branches: Branches | undefined, line: number) {
    this.#engine = engine;
    this.#known = branches;
    this.#line = line;
  }

  /** All tables of the line that have a place. */
  all(): Place[] {
    if (this.#line === MAIN) return mainPlaces(this.#engine.storage.sql, this.#engine.catalog);
    return [...this.#branches.tables(this.#line).values()].map((table) => this.#overlay(table));
  }

  /** The line's table that a table of whatever line is: the same, or else the one of its name. */
  find({ tableId, name }: Relation): Relation | undefined {
    const { catalog, log } = this.#engine;
    const tables =
      this.#line === MAIN
        ? catalog.tablesAt(log.end())
        : new States(this.#engine, this.#branches).tables({ line: this.#line, lsn: undefined });
    return (
      tables.find((relation) => relation.tableId === tableId) ??
      tables.find((relation) => sameName(relation.name, name))
    );
  }

  /** The place of the table called `name`, whose rows with the keys in the table `keys` are to be written. */
  of(name: string, keys: string, columns: readonly string[]): Place {
    const place = this.named(name);
    this.copyUp(place, keys, columns);
    return place;
  }

  /** The place of the table called `name`, before any row has been copied up for what is to be written. */
  named(name: string): Place {
    if (this.#line !== MAIN) this.#branches.ensure(this.#branches.branch(this.#line), [name]);
    const place = this.all().find(({ relation }) => sameName(relation.name, name));
    if (place === undefined) throw new Error(`the line has no table "${name}"`);
    return place;
  }

  /** Copies up the rows of a place that have the keys in the table `keys`, one column for each of `columns`. */
  copyUp({ relation }: Place, keys: string, columns: readonly string[]): void {
    if (this.#line === MAIN) return;
    const { main, shape } = this.#branches.tables(this.#line).get(lowerName(relation.name)) as BranchTable;
    if (main === undefined) return;
    const same = columns.map((column, i) => `m.${quoteName(column)} = d.k${i}`).join(' AND ');
    const select = `SELECT ${keyExpressions(main, 'm').join(', ')} FROM ${keys} AS d CROSS JOIN ${quoteName(main.table)} AS m ON ${same}`;
    this.#branches.copying(
      this.#line,
      () => void this.#engine.storage.sql.exec(copyUp(this.#line, shape, select)),
    );
  }

  get #branches(): Branches {
    if (this.#known === undefined) throw new Error('there are no branches');
    return this.#known;
  }

  #overlay({ own }: BranchTable): Place {
    const table = `main.${quoteName(own.table)}`;
    const prefix = physicalName(this.#line, '');
    return {
      relation: own,
      table,
      rows: table,
      triggers: () =>
        all<[string, string]>(
          this.#engine.storage.sql,
          "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE AND substr(name, 1, length(?2)) = ?2 ORDER BY rowid",
          own.table,
          prefix,
        ).map(([name, sql]) => ({ name, sql })),
      copyUp: () => {
        // The rows have been copied up by then.
      },
    };
  }
}
