import type { Engine } from '../engine.ts';
import { asOf } from '../history/as-of.ts';
import { sameName } from '../schema/catalog.ts';
import { physicalName, plainNames } from '../schema/line.ts';
import { bareRowid, type Relation } from '../schema/relation.ts';
import { all, first } from '../sql/read.ts';
import { RESERVED } from '../sql/statement.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import type { Branch, Branches } from './branches.ts';
import { catchUp } from './catch-up.ts';
import {
  copyTrigger,
  copyTriggers,
  largestRowid,
  overlayIndex,
  overlayTable,
  shadowColumns,
  shadowName,
  shadowTable,
  storedColumns,
} from './overlay.ts';
import { closure, isAutoincrement } from './shape.ts';
import { branchTrigger } from './trigger.ts';

/** Makes the tables that branches have of their own, and the triggers that keep them right. */
export class TableBuilder {
  readonly #engine: Engine;
  readonly #branches: Branches;
  readonly #sql: SqlStorage;

  constructor(engine: Engine, branches: Branches) {
    this.#engine = engine;
    this.#branches = branches;
    this.#sql = engine.storage.sql;
  }

  /** Gives a branch tables of its own that stand for main's of these names and all that belong to them. */
  overlay(branch: Branch, names: readonly string[]): void {
    const { catalog, log } = this.#engine;
    const { id, origin } = branch;
    const end = log.end();
    const originals = closure(catalog, names, origin).filter(
      ({ tableId }) => catalog.versions(tableId, id).length === 0,
    );
    const copied = new Map<string, Relation>();
    const changed: Relation[] = [];
    for (const relation of originals) {
      const table = physicalName(id, relation.name);
      const now = this.#sameNow(relation);
      this.#sql.exec(overlayTable(id, relation));
      copied.set(table, relation);
      if (now !== undefined) {
        this.#sql.exec(shadowTable(id, relation));
        if (isAutoincrement(relation)) this.#setSequence(branch, relation.name, table);
      } else {
        changed.push(relation);
      }
    }
    // No row can be inserted that refers to a table that is not there yet.
    for (const relation of changed) {
      this.#fill(id, relation, origin);
      if (isAutoincrement(relation))
        this.#setSequence(branch, relation.name, physicalName(id, relation.name));
    }
    for (const { type, sql, table } of catalog.objects.at(origin))
      if (type === 'index' && originals.some(({ name }) => sameName(name, table)))
        this.#sql.exec(overlayIndex(id, sql));
    catalog.adopt(copied);
    this.#catchUp(branch, copied, end);
    if (this.retrigger(id)) catalog.refresh();
    else catalog.settle();
  }

  /** Makes new tables what main's were when the branch forked; how rows are copied up is said after that. */
  #catchUp(branch: Branch, copied: ReadonlyMap<string, Relation>, end: number): void {
    const { id, origin } = branch;
    if ([...copied.values()].some((relation) => this.#branches.isBehind(branch, relation))) {
      const tables = [...this.#branches.tables(id).values()];
      const shapes = tables.filter(({ main }) => main !== undefined).map(({ shape }) => shape);
      const added = tables.filter(({ own }) => copied.has(own.table));
      for (const { main, shape } of added)
        if (main !== undefined) this.#sql.exec(copyTrigger(id, shape, shapes));
      this.#branches.copying(id, () => catchUp(this.#sql, this.#engine.catalog, id, added, origin, end));
    }
    if (end > this.#branches.branch(id).caught) this.#branches.setCaught(this.#branches.branch(id), end);
  }

  /** Main's table of now, when it still has all columns of `relation`, so that its rows can be seen through. */
  #sameNow(relation: Relation): Relation | undefined {
    const now = this.#engine.catalog.versions(relation.tableId).find(({ until }) => until === undefined);
    const isSame =
      now !== undefined &&
      sameName(now.name, relation.name) &&
      JSON.stringify(now.key) === JSON.stringify(relation.key) &&
      relation.columns.every(({ id, name }) =>
        now.columns.some((column) => column.id === id && column.name === name),
      );
    return isSame ? now : undefined;
  }

  /** A table that main has changed too much to see through is copied whole, as it was. */
  #fill(id: number, relation: Relation, origin: number): void {
    const columns = storedColumns(relation).join(', ');
    const table = quoteName(physicalName(id, relation.name));
    this.#branches.copying(id, () => {
      this.#sql.exec('PRAGMA defer_foreign_keys = ON');
      this.#sql.exec(
        `INSERT INTO ${table}(${columns}) SELECT ${columns} FROM ${this.#engine.history.rewriter.rowsAt(relation, origin)}`,
      );
      this.#sql.exec('PRAGMA defer_foreign_keys = OFF');
    });
  }

  /** Where main's AUTOINCREMENTs stand, as JSON. */
  sequences(): string {
    if (first(this.#sql, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'") === undefined)
      return '{}';
    const rows = all<[string, number]>(this.#sql, 'SELECT name, seq FROM sqlite_sequence');
    return JSON.stringify(Object.fromEntries(rows));
  }

  #setSequence({ sequences }: Branch, name: string, table: string): void {
    // The rows that the table was filled with have made one.
    this.#sql.exec('DELETE FROM sqlite_sequence WHERE name = ?', table);
    this.#sql.exec(
      'INSERT INTO sqlite_sequence(name, seq) SELECT ?1, value FROM json_each(?2) WHERE key = ?3',
      table,
      sequences,
      name,
    );
  }

  /**
   * The user's triggers of the branch's tables: main's of when it forked, and what the branch has made of them. Returns
   * whether there are any.
   */
  #createUserTriggers(id: number): boolean {
    let isAny = false;
    const tables = this.#branches.tables(id);
    const seen = this.#branches.seenOn(id);
    for (const { sql, table } of this.#branches.objects(id, 'trigger')) {
      if (!tables.has(lowerName(table))) continue;
      this.#sql.exec(branchTrigger(id, sql, seen));
      isAny = true;
    }
    return isAny;
  }

  /** Removes the triggers of a branch's tables but those that log. */
  dropTriggers(id: number): void {
    const names = all<[string]>(
      this.#sql,
      "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND (name BETWEEN ?1 AND ?1 || char(1114111) OR name BETWEEN ?2 AND ?2 || char(1114111))",
      `${RESERVED}f${id}_`,
      physicalName(id, ''),
    );
    for (const [name] of names) this.#sql.exec(`DROP TRIGGER ${quoteName(name)}`);
  }

  /** Gives a branch of a branch what that one had of its own at `lsn`. */
  clone(from: Branch, { id }: Branch, lsn: number): void {
    const { catalog } = this.#engine;
    const copied = new Map<string, Relation>();
    const present: Relation[] = [];
    const own = catalog.relationsOf(from.id);
    const objects = (['index', 'view', 'trigger'] as const).map((type) =>
      this.#branches.objects(from.id, type, lsn),
    );
    for (const tableId of new Set(own.map((relation) => relation.tableId))) {
      const versions = own.filter((relation) => relation.tableId === tableId);
      const first = versions[0] as Relation;
      const then =
        versions.find(({ since, until }) => since <= lsn && (until === undefined || lsn < until)) ??
        (first.since > lsn ? first : undefined);
      if (then === undefined) catalog.copyEnded(versions.at(-1) as Relation, id, lsn);
      // One that the parent made later is none yet.
      else if (first.since <= lsn || this.#isCopy(from, first)) {
        const plain = { ...then, sql: plainNames(then.sql) };
        this.#sql.exec(overlayTable(id, plain));
        copied.set(physicalName(id, then.name), plain);
        present.push(then);
      }
    }
    // No row can be inserted that refers to a table that is not there yet.
    for (const then of present) this.#cloneRows(from, id, then, lsn);
    for (const object of objects[0] ?? [])
      if ([...copied.values()].some(({ name }) => sameName(name, object.table)))
        this.#sql.exec(overlayIndex(id, object.sql));
    for (const object of catalog.objects.of(from.id)) {
      const isNow = objects.some((some) => some.includes(object));
      if (object.since <= lsn)
        catalog.objects.begin({ ...object, branch: id, since: lsn, until: isNow ? undefined : lsn });
    }
    catalog.adopt(copied);
    this.retrigger(id);
    catalog.refresh();
  }

  /** Whether a branch's table stands for one that its origin had. */
  #isCopy({ origin }: Branch, { tableId }: Relation): boolean {
    return this.#engine.catalog.tablesAt(origin).some((relation) => relation.tableId === tableId);
  }

  #cloneRows(from: Branch, id: number, then: Relation, lsn: number): void {
    const { catalog, log } = this.#engine;
    const table = physicalName(id, then.name);
    const parent = this.#branches.tables(from.id).get(lowerName(then.name));
    const later = catalog.versions(then.tableId, from.id).filter((version) => version.id >= then.id);
    const now = later.find(({ until }) => until === undefined);
    // What the overlay held then: its rows, but for those changed since, and these as they were.
    const source =
      lsn >= log.end() && now !== undefined
        ? `main.${quoteName(now.table)}`
        : asOf({ at: then, now, versions: later }, String(lsn), 'probe', bareRowid(then));
    const columns = storedColumns(then).join(', ');
    this.#branches.copying(id, () => {
      if (parent?.main !== undefined) {
        const shadow = shadowName(from.id, then.name);
        this.#sql.exec(shadowTable(id, then));
        const keys = shadowColumns(then).join(', ');
        this.#sql.exec(
          `INSERT INTO ${quoteName(shadowName(id, then.name))}(${keys}) SELECT ${keys} FROM ${quoteName(shadow)}`,
        );
      }
      this.#sql.exec('PRAGMA defer_foreign_keys = ON');
      this.#sql.exec(`INSERT INTO ${quoteName(table)}(${columns}) SELECT ${columns} FROM ${source} AS p`);
      this.#sql.exec('PRAGMA defer_foreign_keys = OFF');
    });
    if (isAutoincrement(then)) {
      this.#sql.exec('DELETE FROM sqlite_sequence WHERE name = ?', table);
      const copy =
        'INSERT INTO sqlite_sequence(name, seq) SELECT ?1, seq FROM sqlite_sequence WHERE name = ?2';
      this.#sql.exec(copy, table, then.table);
    }
  }

  /**
   * Says how rows are copied up, anew, since what is folded or defined has changed. Returns whether there are triggers
   * of the user's among the new ones.
   */
  retrigger(id: number): boolean {
    this.dropTriggers(id);
    this.#branches.forget(id);
    const tables = [...this.#branches.tables(id).values()];
    const shapes = tables.filter(({ main }) => main !== undefined).map(({ shape }) => shape);
    for (const { shape, main } of tables) {
      const query = main === undefined ? undefined : largestRowid(id, main);
      const largest = query === undefined ? undefined : first<[string]>(this.#sql, query)?.[0];
      for (const trigger of copyTriggers(id, shape, main === undefined, shapes, largest))
        this.#sql.exec(trigger);
    }
    return this.#createUserTriggers(id);
  }
}
