import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { Ancestry, Merge, State } from '../merge/ancestry.ts';
import { keyExpressions, NO_RELATION, OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { forgetMigrations, mergeMigrations } from '../migration.ts';
import { MAIN } from '../schema/line.ts';
import type { Relation, SchemaObject } from '../schema/relation.ts';
import { all, first } from '../sql/read.ts';
import { lowerName, quoteName } from '../sql/token.ts';
import { describe } from '../value/parameter.ts';
import { TableBuilder } from './build.ts';
import { catchUp } from './catch-up.ts';
import { copyUp, shadowName } from './overlay.ts';
import { copying } from './copying.ts';
import { tablesOf, type BranchTable } from './table.ts';
import type { Seen } from './trigger.ts';
import { viewQuery } from './view.ts';

/** A line of history that forked from another. */
export interface Branch {
  readonly id: number;
  readonly name: string;
  /** The branch that it forked from, and the LSN of that one's state. */
  readonly parent: number;
  readonly base: number;
  /** The LSN at which main's tables are read that the branch has not got of its own. */
  readonly origin: number;
  /** Main's changes up to this LSN have been dealt with in the branch's overlays. */
  readonly caught: number;
  readonly createdMs: number;
  /** JSON of where main's AUTOINCREMENTs stood when the branch was made, by table. */
  readonly sequences: string;
}

/** What is known of main's changes since a branch forked; losing it loses nothing. */
interface Watch {
  /** Main's changes up to this LSN have been looked at. */
  seen: number;
  /** Whether main has changed a table, or its definition, since the branch's origin. */
  readonly changed: Map<number, boolean>;
  /** How many of main's changes have been undone for reading a table, all readings together. */
  readonly undone: Map<number, number>;
}

/** The name of the line that is no branch. */
export const MAIN_NAME = 'main';

/**
 * The branches of a database: which there are, the tables that they have of their own, and keeping these as
 * they are while main moves on.
 */
export class Branches {
  readonly #engine: Engine;
  readonly #sql: SqlStorage;
  readonly #builder: TableBuilder;
  #branches: Branch[] = [];
  readonly #watches = new Map<number, Watch>();
  #version = 0;
  readonly #tables = new Map<
    number,
    { readonly generation: number; readonly tables: ReadonlyMap<string, BranchTable> }
  >();

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#sql = engine.storage.sql;
    this.#builder = new TableBuilder(engine, this);
    this.#sql.exec(
      'CREATE TABLE IF NOT EXISTS __dosql_branch(name TEXT PRIMARY KEY, id INTEGER NOT NULL, parent INTEGER NOT NULL, base INTEGER NOT NULL, origin INTEGER NOT NULL, caught INTEGER NOT NULL, created_at REAL NOT NULL, sequences TEXT NOT NULL) WITHOUT ROWID; ' +
        'CREATE TABLE IF NOT EXISTS __dosql_merge(id INTEGER PRIMARY KEY, source INTEGER NOT NULL, source_lsn INTEGER NOT NULL, into_line INTEGER NOT NULL, lsn INTEGER NOT NULL); ' +
        'CREATE TABLE IF NOT EXISTS __dosql_copying(depth INTEGER NOT NULL); ' +
        'INSERT INTO __dosql_copying(depth) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM __dosql_copying);',
    );
    this.load();
  }

  /** Reads what is recorded: on opening, and after a rollback. */
  load(): void {
    this.#branches = all<[number, string, number, number, number, number, number, string]>(
      this.#sql,
      'SELECT id, name, parent, base, origin, caught, created_at, sequences FROM __dosql_branch ORDER BY id',
    ).map(([id, name, parent, base, origin, caught, createdMs, sequences]) => ({
      id,
      name,
      parent,
      base,
      origin,
      caught,
      createdMs,
      sequences,
    }));
    this.#watches.clear();
    this.#tables.clear();
    this.#version++;
  }

  /** Grows when what a branch sees has come to be read another way; a text made at another version is stale. */
  get version(): number {
    return this.#version;
  }

  /** All branches, oldest first. */
  list(): readonly Branch[] {
    return this.#branches;
  }

  /** The branch with this number. */
  branch(id: number): Branch {
    const branch = this.#branches.find((branch) => branch.id === id);
    if (branch === undefined) throw new DoSQLError('NO_SUCH_BRANCH', 'the branch has been dropped');
    return branch;
  }

  /** The branch called `name`; undefined when there is none. Main is none. */
  named(name: string): Branch | undefined {
    return this.#branches.find((branch) => branch.name === name);
  }

  /**
   * The line called `name`.
   *
   * @throws DoSQLError `NO_SUCH_BRANCH`
   */
  idOf(name: string): number {
    const found = this.find(name);
    if (found !== undefined) return found;
    const names = [MAIN_NAME, ...this.#branches.map(({ name }) => name)];
    throw new DoSQLError(
      'NO_SUCH_BRANCH',
      `there is no branch ${typeof name === 'string' ? `"${name}"` : describe(name)}, only ${names.join(', ').slice(0, 200)}`,
    );
  }

  /** The line called `name`; undefined when there is none. */
  find(name: string): number | undefined {
    return name === MAIN_NAME ? MAIN : this.named(name)?.id;
  }

  nameOf(id: number): string {
    return id === MAIN ? MAIN_NAME : this.branch(id).name;
  }

  /**
   * Makes a branch of `parent` as it is, or as of `lsn`. A branch of main is one row, whatever main holds. A branch
   * of another takes a copy of what that one has of its own.
   *
   * @throws DoSQLError `BRANCH_EXISTS`, `BAD_PARAMETER` for a name that is none.
   */
  create(name: string, parent: number, lsn: number): Branch {
    if (typeof name !== 'string' || !/^[^\0]{1,100}$/.test(name) || /^\/|\/$|^main$/i.test(name))
      throw new DoSQLError(
        'BAD_PARAMETER',
        `a branch's name is text of 1 to 100 characters that neither begins nor ends with "/" and is not "main": ${describe(name)}`,
      );
    if (this.named(name) !== undefined)
      throw new DoSQLError('BRANCH_EXISTS', `there is a branch "${name}" already: checkout() opens it`);
    // Handles, merges and the log may still name a branch that has been dropped: no number is given twice.
    const dropped = Number(this.#engine.log.meta('dropped_branch') ?? 0);
    const known = [dropped, ...this.#branches.map(({ id }) => id), ...this.#engine.catalog.branchIds()];
    const id = Math.max(...known) + 1;
    const from = parent === MAIN ? undefined : this.branch(parent);
    // What the parent was before it forked itself, is its own parent's.
    if (from !== undefined && lsn < from.base) return this.create(name, from.parent, lsn);
    if (from !== undefined) this.watch(from);
    const origin = from?.origin ?? lsn;
    const branch: Branch = {
      id,
      name,
      parent,
      base: lsn,
      origin,
      caught: from === undefined ? origin : this.branch(parent).caught,
      createdMs: this.#engine.nowMs(),
      sequences: from?.sequences ?? this.#builder.sequences(),
    };
    this.#sql.exec(
      'INSERT INTO __dosql_branch(name, id, parent, base, origin, caught, created_at, sequences) VALUES(?, ?, ?, ?, ?, ?, ?, ?)',
      name,
      id,
      parent,
      lsn,
      origin,
      branch.caught,
      branch.createdMs,
      branch.sequences,
    );
    this.#branches.push(branch);
    this.#version++;
    if (from !== undefined) this.#builder.clone(from, branch, lsn);
    return branch;
  }

  /** Removes a branch and all that it has of its own, its changes in the log too. */
  drop(id: number): void {
    const { name, base } = this.branch(id);
    const { catalog, log } = this.#engine;
    const child = this.#branches.find(({ parent }) => parent === id);
    if (child !== undefined)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `branch "${name}" has a branch of its own, "${child.name}": drop that one first`,
      );
    const end = log.end();
    const tables = childrenFirst([...this.tables(id).values()]);
    catalog.release(id, end);
    this.#builder.dropTriggers(id);
    for (const { own } of tables) {
      this.#sql.exec(`DROP TABLE IF EXISTS ${quoteName(shadowName(id, own.name))}`);
      this.#sql.exec(`DROP TABLE ${quoteName(own.table)}`);
    }
    this.#sql.exec('DELETE FROM __dosql_branch WHERE name = ?', name);
    forgetMigrations(this.#sql, id);
    log.setMeta('dropped_branch', Math.max(id, Number(log.meta('dropped_branch') ?? 0)));
    catalog.refresh();
    const relations = JSON.stringify(catalog.relationsOf(id).map((relation) => relation.id));
    const isOwn = 'lsn > ?1 AND rel IN (SELECT value FROM json_each(?2))';
    const [last] = all<[number]>(this.#sql, 'SELECT at FROM __dosql_log WHERE lsn = ?', end).flat();
    this.#sql.exec(`DELETE FROM __dosql_log WHERE ${isOwn}`, base, relations);
    // SQLite gives the LSN after the log's last row: where that was the branch's, one takes its place that is nobody's.
    if (log.end() < end)
      this.#sql.exec(
        `INSERT INTO __dosql_log(lsn, rel, op, at) VALUES(?, ?, ${OP.schema}, ?)`,
        end,
        NO_RELATION,
        last ?? 0,
      );
    // What is known of where a row's changes are in the log is not looked up again.
    this.#engine.loadedHistory?.rewriter.clear();
    this.load();
  }

  /** Forgets what was known of a branch's tables, which have changed. */
  forget(id: number): void {
    this.#tables.delete(id);
    this.#version++;
  }

  /** The tables that a branch has of its own, by name in lower case. */
  tables(id: number): ReadonlyMap<string, BranchTable> {
    const { catalog } = this.#engine;
    const known = this.#tables.get(id);
    if (known?.generation === catalog.generation) return known.tables;
    const tables = tablesOf(this.#sql, catalog, id);
    this.#tables.set(id, { generation: catalog.generation, tables });
    return tables;
  }

  /** What a branch's triggers see by a name. */
  seenOn(id: number): Seen {
    const tables = this.tables(id);
    const views = this.objects(id, 'view');
    return {
      table: (name) => tables.get(lowerName(name)),
      view: (name) => views.find((view) => sameName(view.name, name)),
      isVirtual: (name) => this.#engine.catalog.isVirtual(name),
    };
  }

  /** These names and, for those that are views of a branch, all that these read. */
  namesBehind(id: number, names: readonly string[]): string[] {
    const views = this.objects(id, 'view');
    const found = new Set(names.map(lowerName));
    for (const name of found) {
      const view = views.find((other) => sameName(other.name, name));
      if (view !== undefined)
        for (const reference of viewQuery(view).body.references) found.add(lowerName(reference.name));
    }
    return [...found];
  }

  /** Main's table called `name` that the branch sees without having one of its own. */
  seenThrough(branch: Branch, name: string): Relation | undefined {
    const { catalog } = this.#engine;
    const relation = catalog.relationAt(name, branch.origin);
    // Its own may have another name by now, or be dropped.
    if (relation === undefined || catalog.versions(relation.tableId, branch.id).length > 0) return undefined;
    return relation;
  }

  /** Whether main has changed a table since the branch's origin. */
  isBehind(branch: Branch, relation: Relation): boolean {
    if (relation.until !== undefined) return true;
    const watch = this.watch(branch);
    let changed = watch.changed.get(relation.tableId);
    if (changed === undefined) {
      const versions = this.#engine.catalog.versions(relation.tableId).map(({ id }) => id);
      changed =
        first(
          this.#sql,
          `SELECT 1 FROM __dosql_log WHERE lsn > ? AND rel IN (${versions.join(', ')}) AND op BETWEEN ${OP.insert} AND ${OP.rewrite} LIMIT 1`,
          branch.origin,
        ) !== undefined;
      watch.changed.set(relation.tableId, changed);
    }
    return changed;
  }

  /** Looks at what main has changed since the last time, and keeps the branch's overlays as they are. */
  watch(branch: Branch, end: number = this.#engine.log.end()): Watch {
    const { catalog } = this.#engine;
    let watch = this.#watches.get(branch.id);
    if (watch === undefined)
      this.#watches.set(branch.id, (watch = { seen: branch.caught, changed: new Map(), undone: new Map() }));
    if (end <= watch.seen) return watch;
    const own = [...this.tables(branch.id).values()];
    const changed = all<[number]>(
      this.#sql,
      `SELECT DISTINCT rel FROM __dosql_log WHERE lsn > ? AND lsn <= ? AND op BETWEEN ${OP.insert} AND ${OP.rewrite}`,
      watch.seen,
      end,
    )
      .map(([id]) => catalog.relation(id))
      .filter((relation) => relation.branch === MAIN);
    const overlaid = own.filter(
      ({ main, own: { tableId } }) =>
        main !== undefined && changed.some((relation) => relation.tableId === tableId),
    );
    const from = watch.seen;
    if (overlaid.length > 0)
      this.#engine.keepingLastRowId(() =>
        this.copying(branch.id, () => {
          catchUp(this.#sql, catalog, branch.id, own, from, end);
          this.setCaught(branch, end);
        }),
      );
    for (const { tableId } of changed) {
      if (watch.changed.get(tableId) !== true) this.#version++;
      watch.changed.set(tableId, true);
    }
    watch.seen = end;
    return watch;
  }

  /** Takes note that all changes after `from` and up to `end` are the branch's own. */
  skip(id: number, from: number, end: number): void {
    const watch = this.#watches.get(id);
    if (watch?.seen === from) watch.seen = end;
  }

  /** Gives the branch tables of its own for `names` and all that belong to them, holding no rows yet. */
  ensure(branch: Branch, names: readonly string[]): void {
    const own = this.tables(branch.id);
    const wanted = names.filter(
      (name) => !own.has(lowerName(name)) && this.seenThrough(branch, name) !== undefined,
    );
    if (wanted.length === 0) return;
    this.watch(branch);
    this.#engine.keepingLastRowId(() => this.#engine.atomically(() => this.#builder.overlay(branch, wanted)));
  }

  /** Copies up all rows of the branch's tables called `names`, so that they depend on main no more. */
  fold(branch: Branch, names: readonly string[]): void {
    this.watch(branch);
    const tables = [...new Set(names.map(lowerName))]
      .map((name) => this.tables(branch.id).get(lowerName(name)))
      .filter((table) => table?.main !== undefined) as BranchTable[];
    if (tables.length === 0) return;
    this.#engine.atomically(() => {
      this.copying(branch.id, () => {
        for (const { main, shape } of tables) {
          const relation = main as Relation;
          const keys = keyExpressions(relation, 'm').join(', ');
          this.#sql.exec(
            copyUp(branch.id, shape, `SELECT ${keys} FROM ${quoteName(relation.table)} AS m WHERE TRUE`),
          );
        }
      });
      this.#builder.dropTriggers(branch.id);
      for (const { own } of tables)
        this.#sql.exec(`DROP TABLE ${quoteName(shadowName(branch.id, own.name))}`);
      this.#builder.retrigger(branch.id);
      this.#engine.catalog.refresh();
    });
  }

  /** Folds every branch's overlay of main's table `name`, which is about to change its shape or to go. */
  foldAll(name: string): void {
    const { catalog, log } = this.#engine;
    const relation = catalog.relationAt(name, log.end());
    if (relation === undefined) return;
    for (const branch of this.#branches) {
      const table = [...this.tables(branch.id).values()].find(
        ({ own, main }) => main !== undefined && own.tableId === relation.tableId,
      );
      if (table !== undefined) this.fold(branch, [table.own.name]);
    }
  }

  /** The triggers that copy rows up name columns, so they are out of the way while a definition changes. */
  withoutTriggers<T>(id: number, change: () => T): T {
    this.#builder.dropTriggers(id);
    const result = change();
    this.#builder.retrigger(id);
    this.#engine.catalog.refresh();
    return result;
  }

  /** How the lines came from one another, and what was merged. */
  ancestry(): Ancestry {
    const lines = this.#branches.map(({ id, parent, base }) => ({ id, parent, base }));
    const merges = all<[number, number, number, number]>(
      this.#sql,
      'SELECT source, source_lsn, into_line, lsn FROM __dosql_merge ORDER BY lsn',
    ).map(([source, sourceLsn, into, lsn]) => ({ source, sourceLsn, into, lsn }));
    return { lines: [{ id: MAIN, parent: undefined, base: 0 }, ...lines], merges };
  }

  /** Whether the bases of a merge already have all that a line has. */
  isKnown(line: number, bases: readonly State[]): boolean {
    const [base] = bases;
    if (base === undefined || bases.length > 1 || line === MAIN) return false;
    const branch = this.branch(line);
    const isFork = base.line === branch.parent && base.lsn >= branch.base;
    if (base.line !== line && !isFork) return false;
    const since = base.line === line ? base.lsn : branch.base;
    const { catalog } = this.#engine;
    const own = catalog.relationsOf(line);
    const ids = own.map(({ id }) => id).join(', ');
    return (
      first(this.#sql, `SELECT 1 FROM __dosql_log WHERE lsn > ? AND rel IN (${ids}) LIMIT 1`, since) ===
        undefined &&
      !catalog.objects.of(line).some((object) => object.since > since || (object.until ?? 0) > since) &&
      !this.ancestry().merges.some((merge) => merge.into === line && merge.lsn > since)
    );
  }

  /** Takes note that one line has been merged into another, which then has its migrations, too. */
  noteMerge({ source, sourceLsn, into, lsn }: Merge): void {
    this.#sql.exec(
      'INSERT INTO __dosql_merge(source, source_lsn, into_line, lsn) VALUES(?, ?, ?, ?)',
      source,
      sourceLsn,
      into,
      lsn,
    );
    mergeMigrations(this.#engine, source, into, lsn);
  }

  /** Runs what copies rows to a branch's tables. */
  copying(id: number, copy: () => void): void {
    copying(this.#engine.storage, id, copy);
  }

  /** After a rollback, what was known may not be so. */
  rolledBack(): void {
    this.load();
  }

  /** The views, indexes or triggers that a branch sees: its own, and main's that it has not replaced or dropped. */
  objects(id: number, type: SchemaObject['type'], lsn: number = this.#engine.log.end()): SchemaObject[] {
    const { objects } = this.#engine.catalog;
    if (id === MAIN) return objects.at(lsn).filter((object) => object.type === type);
    const touched = objects.of(id).filter((object) => object.type === type && object.since <= lsn);
    const inherited = objects
      .at(this.branch(id).origin)
      .filter((object) => object.type === type && !touched.some(({ name }) => sameName(name, object.name)));
    const own = touched.filter(({ since, until }) => since <= lsn && (until === undefined || lsn < until));
    return [...inherited, ...own].toSorted((a, b) => a.place - b.place);
  }

  /** Takes note that main's changes up to `lsn` have been dealt with in a branch's overlays. */
  setCaught(branch: Branch, lsn: number): void {
    this.#sql.exec('UPDATE __dosql_branch SET caught = ? WHERE name = ?', lsn, branch.name);
    this.#branches = this.#branches.map((other) =>
      other.id === branch.id ? { ...other, caught: lsn } : other,
    );
  }
}

/** No table is dropped while another still refers to it, which would look for violated keys. */
function childrenFirst(tables: readonly BranchTable[]): BranchTable[] {
  const left = [...tables];
  const sorted: BranchTable[] = [];
  while (left.length > 0) {
    const isParent = (table: BranchTable): boolean =>
      left.some(
        (other) =>
          other !== table && other.shape.foreignKeys.some(({ parent }) => sameName(parent, table.own.name)),
      );
    const at = Math.max(
      0,
      left.findIndex((table) => !isParent(table)),
    );
    sorted.push(...left.splice(at, 1));
  }
  return sorted;
}
