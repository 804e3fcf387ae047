import type { Branch, Branches } from '../branch/branches.ts';
import { shadowColumns, shadowName } from '../branch/overlay.ts';
import { closure } from '../branch/shape.ts';
import type { Engine } from '../engine.ts';
import { DoSQLError, sqliteError } from '../error.ts';
import { keyExpressions, OP } from '../schema/capture.ts';
import { violatedKey } from '../schema/foreign-key.ts';
import { lineOf, MAIN, plainNames } from '../schema/line.ts';
import type { Relation } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { withoutTriggers } from './apply.ts';
import type { Condition } from './condition.ts';
import { ErasedRows, type Forget } from './delivered.ts';
import { Eraser, keepEnd, type Erased } from './erase.ts';
import { Places } from './places.ts';

/** Which rows to erase. */
export interface Chosen {
  /** The tables whose rows the condition is asked of, on all lines; each as its last version. */
  readonly tables: readonly Relation[];
  readonly condition: Condition;
  /** Whether it may have held at any time, or has to hold for the row as it is, or was when it was deleted. */
  readonly when: 'ever' | 'last';
  /** Whether those who follow the log are told the keys of what has gone. */
  readonly keepKeys: boolean;
}

/** What was erased on all lines together. */
export interface ErasedEverywhere {
  /** By the names of tables. A row that several lines had is one. */
  readonly tables: ReadonlyMap<string, Erased>;
  /** All names that these tables have, or had, on some line. */
  readonly names: ReadonlySet<string>;
  /** The branches that something was erased from. */
  readonly branches: ReadonlySet<number>;
  /** Dead letters of deliveries that it was erased from. */
  readonly deadLetters: number;
}

/**
 * Erases rows from main and from all branches, inside a transaction.
 *
 * Main's rows go first. Each branch then catches up with that as with any other change, so that its own tables hold
 * what it sees of them, as it was; there they are deleted, by whose foreign keys act as they would have on any other
 * deletion. What has been erased of main's past is erased of what the branches made of it, too. Last of all the
 * changes go from the log, from which all of this was learned.
 */
export class Erasure {
  readonly #engine: Engine;
  readonly #branches: Branches | undefined;
  readonly #chosen: Chosen;
  readonly #forget: Forget | undefined;
  readonly #since: number;
  readonly #erasers = new Map<number, Map<number, Eraser>>();
  readonly #touched = new Set<number>();

  /** @param forget takes rows out of what slots and deliveries keep; undefined where they keep nothing. */
  constructor(engine: Engine, branches: Branches | undefined, chosen: Chosen, forget: Forget | undefined) {
    this.#forget = forget;
    this.#engine = engine;
    this.#branches = branches;
    this.#chosen = chosen;
    this.#since = engine.log.end();
  }

  /** Does it. */
  run(): ErasedEverywhere {
    const { tables, condition, when } = this.#chosen;
    const branches = this.#branches?.list() ?? [];
    // The condition may read tables that rows are about to be deleted from.
    for (const relation of tables) this.#eraser(relation).choose(condition, when);
    this.#delete(MAIN);
    for (const branch of branches) this.#onBranch(branch, () => this.#deleteOn(branch));
    this.#checkDeferredKeys();
    const end = this.#engine.log.end();
    const deadLetters = this.#eraseDelivered();
    const erased = this.#eraseLog();
    // What branches have caught up with, and tables that they have got, name LSNs up to the end.
    keepEnd(this.#engine, branches.length > 0 ? end : this.#since);
    const tableIds = new Set([...this.#erasers.values()].flatMap((erasers) => [...erasers.keys()]));
    for (const { id } of branches) this.#unhide(id, tableIds);
    const names = [MAIN, ...branches.map(({ id }) => id)]
      .flatMap((line) => this.#engine.catalog.relationsOf(line))
      .filter(({ tableId }) => tableIds.has(tableId))
      .map(({ name }) => name);
    return { tables: erased, names: new Set(names), branches: this.#touched, deadLetters };
  }

  #eraser(relation: Relation): Eraser {
    const { branch, tableId } = relation;
    const erasers = this.#erasersOf(branch);
    let eraser = erasers.get(tableId);
    if (eraser === undefined) erasers.set(tableId, (eraser = new Eraser(this.#engine, relation)));
    return eraser;
  }

  #erasersOf(line: number): Map<number, Eraser> {
    let erasers = this.#erasers.get(line);
    if (erasers === undefined) this.#erasers.set(line, (erasers = new Map<number, Eraser>()));
    return erasers;
  }

  /** Deletes the rows that are there on a line, and finds what went along by foreign keys. */
  #delete(line: number): void {
    const engine = this.#engine;
    const { storage, catalog } = engine;
    const erasers = [...this.#erasersOf(line).values()];
    if (erasers.length > 0)
      withoutTriggers(engine, new Places(engine, this.#branches, line).all(), () => {
        for (const eraser of erasers) eraser.deleteRows();
      });
    const changed = all<[number]>(
      storage.sql,
      `SELECT DISTINCT rel FROM __dosql_log WHERE lsn > ? AND op = ${OP.delete}`,
      this.#since,
    );
    for (const [id] of changed) {
      const relation = catalog.relation(id);
      if (relation.branch === line) this.#eraser(relation).chooseDeleted(this.#since);
    }
  }

  #deleteOn(branch: Branch): void {
    const branches = this.#branches as Branches;
    const { catalog } = this.#engine;
    const inherited = [...this.#inherited(branch)];
    for (const { tableId } of inherited) {
      this.#touched.add(branch.id);
      const name = this.#ownable(branch, tableId);
      if (name !== undefined) branches.ensure(branch, [name]);
    }
    branches.watch(branch);
    for (const { tableId, from, lsn } of inherited) {
      const own = catalog.versions(tableId, branch.id).at(-1);
      if (own !== undefined) this.#eraser(own).inherit(from, lsn, this.#chosen.when === 'last');
    }
    this.#delete(branch.id);
  }

  /** Lives chosen on the line that a branch forked from, which went on at the fork. */
  *#inherited(branch: Branch): Iterable<{ tableId: number; from: Eraser; lsn: number }> {
    const { catalog } = this.#engine;
    const main = this.#erasersOf(MAIN);
    const parent = this.#erasersOf(branch.parent);
    for (const tableId of new Set([...main.keys(), ...parent.keys()])) {
      // What a row is now says nothing of what it is on the branch, nor then of the rows that refer to it.
      const isNamed = this.#chosen.tables.some((relation) => relation.tableId === tableId);
      if (this.#chosen.when === 'last' && !isNamed) continue;
      const isCopied =
        branch.parent !== MAIN &&
        catalog.versions(tableId, branch.parent).length > 0 &&
        catalog.versions(tableId, branch.id).length > 0;
      const from = (isCopied ? parent : main).get(tableId);
      const lsn = isCopied ? branch.base : branch.origin;
      if (from?.hasAlive(lsn) === true) yield { tableId, from, lsn };
    }
  }

  /**
   * The name of a table that the branch sees main's rows of and has to have of its own, for what refers to its rows is
   * to change, too; of others the branch reads what is left.
   */
  #ownable(branch: Branch, tableId: number): string | undefined {
    const { catalog } = this.#engine;
    if (catalog.versions(tableId, branch.id).length > 0) return undefined;
    const then = catalog.tablesAt(branch.origin).find((relation) => relation.tableId === tableId);
    if (then === undefined) return undefined;
    return closure(catalog, [then.name], branch.origin).length > 1 ? then.name : undefined;
  }

  /** Says of what fails where it did. */
  #onBranch({ name }: Branch, work: () => void): void {
    try {
      work();
    } catch (cause) {
      if (!(cause instanceof Error) || !/SQLITE_CONSTRAINT/.test(cause.message)) throw cause;
      const { code, reason } = sqliteError(cause, '', plainNames);
      throw new DoSQLError(code, `on branch "${name}": ${reason}`, { cause });
    }
  }

  /** Foreign keys that are checked on commit are found by what the log says, which is about to be erased. */
  #checkDeferredKeys(): void {
    const { storage, catalog } = this.#engine;
    if (!catalog.current().some(({ sql }) => /\bDEFERRED\b/i.test(sql))) return;
    if (all<[number]>(storage.sql, 'PRAGMA foreign_keys')[0]?.[0] !== 1) return;
    const violated = violatedKey(storage.sql, catalog, this.#since);
    if (violated === undefined) return;
    const { branch, name } = lineOf(violated.table);
    const where = branch === MAIN ? '' : `on branch "${this.#branches?.nameOf(branch)}": `;
    throw new DoSQLError(
      'CONSTRAINT_FOREIGNKEY',
      `${where}FOREIGN KEY constraint failed: a row of "${name}" refers to a row of "${plainNames(violated.parent)}" that is to be erased`,
    );
  }

  /** Erases what slots and deliveries keep of all lives chosen: what the log still says tells what that is. */
  #eraseDelivered(): number {
    if (this.#forget === undefined) return 0;
    const { tables, condition, when, keepKeys } = this.#chosen;
    const ids = new Set(tables.map(({ tableId }) => tableId));
    const lives = [...this.#erasers.values()].flatMap((erasers) =>
      [...erasers.values()].map((eraser) => eraser.lives),
    );
    const rows = new ErasedRows(
      this.#engine,
      lives,
      keepKeys,
      when === 'ever' ? { condition, tableIds: ids } : undefined,
    );
    const deadLetters = this.#forget(rows);
    rows.close();
    return deadLetters;
  }

  /** Erases the changes of all lives chosen, and what the deletions of now say of them. */
  #eraseLog(): Map<string, Erased> {
    const { catalog, storage } = this.#engine;
    const counts = new Map<string, { rows: number; logEntries: number }>();
    const count = (name: string, rows: number, logEntries: number): void => {
      const before = counts.get(name) ?? { rows: 0, logEntries: 0 };
      counts.set(name, { rows: before.rows + rows, logEntries: before.logEntries + logEntries });
    };
    const nameOf = (line: number, tableId: number): string =>
      catalog.versions(tableId, line).at(-1)?.name ?? '';
    const lines = [...this.#erasers].flatMap(([line, erasers]) =>
      [...erasers].map(([tableId, eraser]) => ({ line, tableId, eraser })),
    );
    for (const tableId of new Set(lines.map((of) => of.tableId))) {
      const own = lines.filter((of) => of.tableId === tableId);
      const deleted = own.map(({ eraser }) => `SELECT * FROM (${eraser.deletedKeys(this.#since)})`);
      const rows = all<[number]>(storage.sql, `SELECT count(*) FROM (${compound(deleted, 'UNION')})`);
      count(nameOf(own[0]?.line ?? MAIN, tableId), rows[0]?.[0] ?? 0, 0);
    }
    for (const { line, tableId, eraser } of lines) {
      const wasThere = all(storage.sql, `${eraser.deletedKeys(this.#since)} LIMIT 1`).length > 0;
      const logEntries = eraser.eraseChanges(this.#since, this.#chosen.keepKeys);
      if (line !== MAIN && (logEntries > 0 || wasThere)) this.#touched.add(line);
      count(nameOf(line, tableId), 0, logEntries);
      eraser.close();
    }
    return counts;
  }

  /** Forgets the keys by which a branch hides rows that are neither on main nor on the branch. */
  #unhide(id: number, tableIds: ReadonlySet<number>): void {
    for (const { own, main } of this.#branches?.tables(id).values() ?? []) {
      if (main === undefined || !tableIds.has(own.tableId)) continue;
      const shadow = quoteName(shadowName(id, own.name));
      const isIn = (table: string): string => {
        const same = keyExpressions(main, 'r').map((key, i) => `${key} = ${shadow}.${shadowColumns(own)[i]}`);
        return `EXISTS (SELECT 1 FROM main.${quoteName(table)} AS r WHERE ${same.join(' AND ')})`;
      };
      this.#engine.storage.sql.exec(
        `DELETE FROM ${shadow} WHERE NOT ${isIn(main.table)} AND NOT ${isIn(own.table)}`,
      );
    }
  }
}
