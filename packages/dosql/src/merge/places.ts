import type { Branches } from '../branch/branches.ts';
import { copyUp } from '../branch/overlay.ts';
import type { BranchTable } from '../branch/table.ts';
import { mainPlaces, type Place } from '../change/index.ts';
import type { Engine } from '../engine.ts';
import { keyExpressions } from '../schema/capture.ts';
import { MAIN, physicalName } from '../schema/line.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';

/**
 * Where the tables of a line are written. A branch's is its overlay, which has to hold the rows in question first:
 * then it is all that there is to be looked at.
 */
export class Places {
  readonly #engine: Engine;
  readonly #branches: Branches;
  readonly #line: number;

  constructor(engine: Engine, branches: Branches, line: number) {
    this.#engine = engine;
    this.#branches = branches;
    this.#line = line;
  }

  /** All tables of the line that have a place. */
  all(): Place[] {
    if (this.#line === MAIN) return mainPlaces(this.#engine.storage.sql, this.#engine.catalog);
    return [...this.#branches.tables(this.#line).values()].map((table) => this.#overlay(table));
  }

  /** The place of the table called `name`, whose rows with the keys in the table `keys` are to be written. */
  of(name: string, keys: string, columns: readonly string[]): Place {
    if (this.#line === MAIN) return this.all().find(({ relation }) => relation.name === name) as Place;
    this.#branches.ensure(this.#branches.branch(this.#line), [name]);
    const table = this.#branches
      .tables(this.#line)
      .get(name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()));
    if (table === undefined) throw new Error(`the branch has no table "${name}"`);
    if (table.main !== undefined) {
      const same = columns.map((column, i) => `m.${quoteName(column)} = d.k${i}`).join(' AND ');
      const select = `SELECT ${keyExpressions(table.main, 'm').join(', ')} FROM ${keys} AS d CROSS JOIN ${quoteName(table.main.table)} AS m ON ${same}`;
      this.#branches.copying(() => this.#engine.storage.sql.exec(copyUp(this.#line, table.shape, select)));
    }
    return this.#overlay(table);
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
