import { DoSQLError } from '../error.ts';
import { layOut } from '../log/layout.ts';
import type { Log } from '../log/log.ts';
import { all, first } from '../sql/read.ts';
import { RESERVED, type Ddl } from '../sql/statement.ts';
import { lowerName } from '../sql/token.ts';
import { actualTables, fingerprintOf, firedTooLate, type ActualTable } from './actual.ts';
import { collationsOf } from './collation.ts';
import { captureTriggers, imagesOfAll, NO_RELATION, OP, TRIGGER_FORM, triggerNames } from './capture.ts';
import { lineOf, MAIN, physicalName, plainNames } from './line.ts';
import { SchemaObjects } from './objects.ts';
import { hasTriggerCycle } from './recursion.ts';
import { affinityOf, ROWID_NAMES } from './relation.ts';
import type { Column, Relation, RowKey, SchemaObject } from './relation.ts';

/** What versions of tables are recorded in. */
export const RELATION_TABLE =
  'CREATE TABLE IF NOT EXISTS __dosql_relation(id INTEGER PRIMARY KEY, table_id INTEGER NOT NULL, branch INTEGER NOT NULL, name TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER, sql TEXT NOT NULL, shape TEXT NOT NULL)';

/**
 * Every version of every table and view that the log knows of, and the triggers that capture the present
 * ones. The truth is SQLite's own schema: after each DDL statement, and on opening, what is there is
 * compared with what is recorded, and each difference becomes a new version with a row in the log.
 */
export class Catalog {
  readonly #sql: SqlStorage;
  readonly #log: Log;
  #relations: Relation[] = [];
  /** Versions of views, indexes and triggers. */
  readonly objects: SchemaObjects;
  #fingerprint = '';
  #generation = 0;
  #now = 'julianday()';
  #isRecursive = true;
  readonly #captured: Set<string> = new Set();
  readonly #oneRowTables: Set<string> = new Set();
  #hasDeferredKeys = false;

  constructor(sql: SqlStorage, log: Log) {
    this.#sql = sql;
    this.#log = log;
    this.objects = new SchemaObjects(sql);
  }

  /** Creates what is missing, reads what is recorded, and captures tables that are not captured yet. */
  open(hasOwnClock: boolean): void {
    this.#sql.exec(RELATION_TABLE);
    this.#now = hasOwnClock ? '(SELECT at FROM __dosql_clock)' : 'julianday()';
    this.load();
    this.#fingerprint = '';
    this.refresh();
    const form = `${TRIGGER_FORM} ${this.#now}`;
    if (this.#log.meta('triggers') !== form) {
      for (const relation of this.current()) this.#capture(relation);
      this.#log.setMeta('triggers', form);
    }
  }

  /** Reads the recorded versions: on opening, and after a rollback that may have taken some away. */
  load(): void {
    this.#relations = all<[number, number, number, string, number, number | null, string, string]>(
      this.#sql,
      'SELECT id, table_id, branch, name, since, until, sql, shape FROM __dosql_relation ORDER BY id',
    ).map(([id, tableId, branch, name, since, until, sql, shape]) => ({
      id,
      tableId,
      branch,
      name,
      table: physicalName(branch, name),
      since,
      until: until ?? undefined,
      sql,
      ...(JSON.parse(shape) as Pick<Relation, 'columns' | 'primaryKey' | 'key' | 'layout'>),
    }));
    this.objects.load();
    this.#fingerprint = fingerprintOf(this.#sql);
    this.#afterChange();
  }

  /** Deletes the versions that ended by `lsn`, which the log no longer names; {@link forget} follows. */
  trim(lsn: number): void {
    for (const number of ['id', 'tableId'] as const) {
      const highest = this.highest(number);
      if (this.#log.meta(number) !== highest) this.#log.setMeta(number, highest);
    }
    this.#sql.exec('DELETE FROM __dosql_relation WHERE until <= ?', lsn);
    this.#sql.exec('DELETE FROM __dosql_object WHERE until <= ?', lsn);
  }

  /** Forgets the versions that ended by `lsn`, which the log no longer names. */
  forget(lsn: number): void {
    this.#relations = this.#relations.filter(({ until }) => until === undefined || until > lsn);
    this.objects.forget(lsn);
  }

  /** Grows with every change of the schema; a plan made at another generation is stale. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * `PRAGMA recursive_triggers` must be on for REPLACE to fire the triggers that log what it deletes. A
   * trigger that fires itself would then run differently, so a schema with one keeps it off, and only
   * statements with REPLACE turn it on.
   */
  get isRecursive(): boolean {
    return this.#isRecursive;
  }

  /** Some foreign key is checked only when a transaction commits. */
  get hasDeferredKeys(): boolean {
    return this.#hasDeferredKeys;
  }

  /** Whether a table may have a foreign key, or have had one, on any line. */
  get hasReferences(): boolean {
    return this.#relations.some(({ sql }) => /\breferences\b/i.test(sql));
  }

  /** SQL that gives the present time as a julian day. */
  get now(): string {
    return this.#now;
  }

  /** The present version of every captured table, of all branches. */
  current(): Relation[] {
    return this.#relations.filter((relation) => relation.until === undefined);
  }

  /** The present version of main's table with this number. */
  present(tableId: number): Relation | undefined {
    return this.#relations.find(
      (relation) => relation.branch === MAIN && relation.tableId === tableId && relation.until === undefined,
    );
  }

  /** The versions that a branch's own tables had at `lsn`. */
  tablesAt(lsn: number, branch: number = MAIN): Relation[] {
    return this.#relations.filter((relation) => relation.branch === branch && isAt(relation, lsn));
  }

  /** All versions of all tables that a branch has had of its own. */
  relationsOf(branch: number): Relation[] {
    return this.#relations.filter((relation) => relation.branch === branch);
  }

  /** The numbers of the tables that are, or were, called so on some line. */
  tableIdsCalled(name: string): Set<number> {
    return new Set(this.#relations.flatMap((one) => (sameName(one.name, name) ? one.tableId : [])));
  }

  /** The branches that the log's rows name. */
  branchIds(): number[] {
    return this.#relations.map(({ branch }) => branch);
  }

  /** The version of a branch's own table called `name` at `lsn`; undefined when there was none. */
  relationAt(name: string, lsn: number, branch: number = MAIN): Relation | undefined {
    return this.#relations.find(
      (relation) => relation.branch === branch && isAt(relation, lsn) && sameName(relation.name, name),
    );
  }

  /** The definition of a branch's own view called `name` at `lsn`. */
  viewAt(name: string, lsn: number, branch: number = MAIN): SchemaObject | undefined {
    return this.objects
      .at(lsn, branch)
      .find((object) => object.type === 'view' && sameName(object.name, name));
  }

  /**
   * Whether inserting one row into `table`, named in lower case, writes exactly one row of the log, whose `k` is the new rowid:
   * so for a rowid table without triggers of the user's.
   */
  logsOneRow(table: string | undefined): boolean {
    return table !== undefined && this.#oneRowTables.has(table);
  }

  /** Whether the changes of the table called `name`, in lower case, are logged. */
  isCaptured(name: string | undefined): boolean {
    return name !== undefined && this.#captured.has(name);
  }

  /** Whether `name` is a virtual table's, or that of a table that one keeps its data in. */
  isVirtual(name: string): boolean {
    const types = all<[string]>(
      this.#sql,
      "SELECT type FROM pragma_table_list WHERE name = ? COLLATE NOCASE AND schema = 'main'",
      name,
    );
    return types.some(([type]) => type === 'virtual' || type === 'shadow');
  }

  /** The version with this number. */
  relation(id: number): Relation {
    const relation = this.#relations.find((relation) => relation.id === id);
    if (relation === undefined) throw new Error(`the log names relation ${id}, which is not recorded`);
    return relation;
  }

  /** All versions of a table on a branch, oldest first. */
  versions(tableId: number, branch: number = MAIN): Relation[] {
    return this.#relations.filter((relation) => relation.tableId === tableId && relation.branch === branch);
  }

  /** Before a DDL statement: keeps the values that it is about to take away, and gets our triggers out of its way. */
  prepare(ddl: Ddl): void {
    const relation = this.current().find(({ table }) => sameName(table, ddl.name));
    if (relation === undefined || ddl.what !== 'table' || ddl.verb === 'create') return;
    if (ddl.verb === 'drop') this.#sql.exec(imagesOfAll(relation, OP.delete, this.#now));
    else if (ddl.column !== undefined && ddl.column.to === undefined)
      this.#sql.exec(imagesOfAll(relation, OP.rewrite, this.#now));
    for (const trigger of triggerNames(relation)) this.#sql.exec(`DROP TRIGGER IF EXISTS ${trigger}`);
  }

  /**
   * Records what has become different in SQLite's schema; `ddl` tells renames from drops and additions. Returns whether
   * anything has.
   */
  refresh(ddl?: Ddl): boolean {
    const fingerprint = fingerprintOf(this.#sql);
    if (fingerprint === this.#fingerprint) return false;
    // Counted before anything is recorded: should that fail half-way, the rollback is to read it all again.
    this.#generation++;
    const actual = actualTables(this.#sql);
    const before = this.current();
    const kept = new Set<Relation>();
    for (const table of actual) {
      const old = before.find(
        (other) => sameName(other.table, table.name) || isRenamed(ddl, other.table, table.name),
      );
      if (old !== undefined) kept.add(old);
      if (old === undefined || old.sql !== table.sql || old.table !== table.name)
        this.#begin(table, old, ddl);
      else if (ddl !== undefined && sameName(ddl.name, old.table)) this.#capture(old);
    }
    for (const old of before) if (!kept.has(old)) this.#end(old, this.#note(old.id));
    const late = firedTooLate(this.#sql);
    for (const relation of this.current())
      if (late.some((name) => sameName(name, relation.table))) this.#capture(relation);
    this.objects.refresh(() => this.note());
    this.#fingerprint = fingerprintOf(this.#sql);
    this.#afterChange();
    return true;
  }

  /**
   * Takes up tables that have just been made for a branch, each like the one that `copied` has under its name: they are
   * recorded and captured, nothing has changed for a reader, and what else the schema has is not looked at.
   */
  adopt(copied: ReadonlyMap<string, Relation>): void {
    this.#generation++;
    const since = this.#log.end();
    for (const [table, original] of copied) {
      const text = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?";
      const [sql] = first<[string]>(this.#sql, text, table) as [string];
      const id = this.highest('id') + 1;
      const relation = { ...original, ...lineOf(table), id, table, since, until: undefined, sql };
      this.#record(relation);
      this.#createTriggers(relation);
      this.#learn(relation);
    }
  }

  /** Takes a dropped branch's tables for ended, though nobody's log says so. */
  release(branch: number, lsn: number): void {
    for (const relation of this.relationsOf(branch))
      if (relation.until === undefined) this.#end(relation, lsn);
    for (const object of this.objects.of(branch))
      if (object.until === undefined) this.objects.end(object, lsn);
    this.touch();
  }

  /** Takes note that a branch made of another has lost a table that that one has lost. */
  copyEnded(ended: Relation, branch: number, lsn: number): void {
    const table = physicalName(branch, ended.name);
    this.#record({ ...ended, id: this.highest('id') + 1, branch, table, since: lsn, until: lsn });
  }

  /**
   * The highest number that a version, or a table, has ever had: none is given twice, since the archive still has those
   * that are forgotten here.
   */
  highest(number: 'id' | 'tableId'): number {
    const noted = Number(this.#log.meta(number) ?? 0);
    return Math.max(noted, ...this.#relations.map((relation) => relation[number]));
  }

  /** Takes note that DoSQL's own triggers have changed, by which no plan becomes stale. */
  settle(): void {
    this.#fingerprint = fingerprintOf(this.#sql);
  }

  /** Makes plans stale that were made before. */
  touch(): void {
    this.#afterChange();
  }

  #afterChange(): void {
    this.#generation++;
    const sources = all<[string, string]>(
      this.#sql,
      `SELECT type, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE '${escapeLike(RESERVED)}%' ESCAPE '\\'`,
    );
    const texts = (type: string): string[] => sources.filter((row) => row[0] === type).map((row) => row[1]);
    this.#captured.clear();
    this.#oneRowTables.clear();
    for (const relation of this.current()) this.#learn(relation);
    const triggered = all<[string]>(
      this.#sql,
      `SELECT DISTINCT tbl_name FROM sqlite_schema WHERE type = 'trigger' AND name NOT LIKE '${escapeLike(RESERVED)}%' ESCAPE '\\'`,
    );
    for (const [name] of triggered) this.#oneRowTables.delete(lowerName(name));
    // A branch's triggers and tables are told apart by names that they do not know each other by.
    const own = this.objects.all().filter(({ branch, type }) => branch !== MAIN && type === 'trigger');
    const branched = this.current().filter(({ branch }) => branch !== MAIN);
    this.#isRecursive = !hasTriggerCycle(
      [...texts('trigger'), ...own.map(({ sql }) => sql)],
      [...texts('table'), ...branched.map(({ sql }) => plainNames(sql))],
    );
    this.#hasDeferredKeys = texts('table').some((sql) => /\bDEFERRED\b/i.test(sql));
    this.#sql.exec(`PRAGMA recursive_triggers = ${this.#isRecursive ? 'ON' : 'OFF'}`);
  }

  /** Takes note of how a present table is logged. */
  #learn({ table, key, layout, sql }: Relation): void {
    const name = lowerName(table);
    this.#captured.add(name);
    // ON CONFLICT in a table's definition may make it no row, or take others away.
    if (key.kind === 'rowid' && layout.parts === 1 && !/conflict/i.test(sql)) this.#oneRowTables.add(name);
  }

  /**
   * Writes a row of the log that is no change of a table: for what has to have an LSN of its own, a change of a view,
   * an index or a trigger, or a merge. Returns its LSN.
   */
  note(): number {
    return this.#note(NO_RELATION);
  }

  /** Writes the log row that says that a relation begins or ends; returns its LSN. */
  #note(relationId: number): number {
    const insert = `INSERT INTO __dosql_log(rel, op, at) VALUES(?, ${OP.schema}, ${this.#now}) RETURNING lsn`;
    return all<[number]>(this.#sql, insert, relationId)[0]?.[0] as number;
  }

  #end(old: Relation, lsn: number): void {
    this.#sql.exec('UPDATE __dosql_relation SET until = ? WHERE id = ?', lsn, old.id);
    this.#relations = this.#relations.map((relation) =>
      relation.id === old.id ? { ...relation, until: lsn } : relation,
    );
  }

  #begin(table: ActualTable, old: Relation | undefined, ddl: Ddl | undefined): void {
    const id = this.highest('id') + 1;
    const tableId = old?.tableId ?? this.highest('tableId') + 1;
    const since = this.#note(id);
    if (old !== undefined) this.#end(old, since);
    const identity = { id, tableId, ...lineOf(table.name), table: table.name, since };
    const relation = this.#describe(table, identity, old, ddl);
    this.#record(relation);
    if (old !== undefined)
      for (const trigger of triggerNames(old)) this.#sql.exec(`DROP TRIGGER IF EXISTS ${trigger}`);
    this.#createTriggers(relation);
  }

  #record(relation: Relation): void {
    const { id, tableId, branch, name, since, until, sql, columns, primaryKey, key, layout } = relation;
    this.#sql.exec(
      'INSERT INTO __dosql_relation(id, table_id, branch, name, since, until, sql, shape) VALUES(?, ?, ?, ?, ?, ?, ?, ?)',
      id,
      tableId,
      branch,
      name,
      since,
      until ?? null,
      sql,
      JSON.stringify({ columns, primaryKey, key, layout }),
    );
    this.#relations.push(relation);
  }

  /** Makes the triggers that log anew, for a table that has some. */
  #capture(relation: Relation): void {
    for (const trigger of triggerNames(relation)) this.#sql.exec(`DROP TRIGGER IF EXISTS ${trigger}`);
    this.#createTriggers(relation);
  }

  #createTriggers(relation: Relation): void {
    for (const trigger of captureTriggers(relation, this.#now)) this.#sql.exec(trigger);
  }

  #describe(
    table: ActualTable,
    identity: Pick<Relation, 'id' | 'tableId' | 'branch' | 'name' | 'table' | 'since'>,
    old: Relation | undefined,
    ddl: Ddl | undefined,
  ): Relation {
    const info = all<[string, string, number, number]>(
      this.#sql,
      'SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1',
      table.name,
    );
    const collations = collationsOf(table.sql);
    let nextId =
      Math.max(
        0,
        ...this.#relations.flatMap(({ tableId, columns }) =>
          tableId === identity.tableId ? columns.map(({ id }) => id) : [],
        ),
      ) + 1;
    const columns = info.map(([name, type, , hidden]): Column => {
      const before = isRenamedColumn(ddl, old, name) ? (ddl?.column?.from ?? name) : name;
      const known = old?.columns.find((column) => sameName(column.name, before))?.id;
      return {
        id: known ?? this.#idElsewhere(identity, name) ?? nextId++,
        name,
        affinity: affinityOf(type.replace(/ GENERATED ALWAYS$/i, ''), table.isStrict),
        collation: collations.get(lowerName(name)),
        isGenerated: hidden !== 0,
      };
    });
    const idAt = (i: number): number => (columns[i] as Column).id;
    const primaryKey = info
      .map(([, , pk], i) => ({ pk, id: idAt(i) }))
      .filter(({ pk }) => pk > 0)
      .toSorted((a, b) => a.pk - b.pk)
      .map(({ id }) => id);
    const key = this.#key(table, info, columns, primaryKey);
    const { layout, widths } = layOut(columns, key, this.#log.widths, this.#log.holdsTwoImages);
    this.#log.widen(widths);
    return {
      ...identity,
      until: undefined,
      sql: table.sql,
      columns,
      primaryKey,
      key,
      layout,
    };
  }

  /** A column that a table gets on one branch as it has one on another is the same column, unless it has had it before. */
  #idElsewhere({ tableId, branch }: Pick<Relation, 'tableId' | 'branch'>, name: string): number | undefined {
    const had = this.versions(tableId, branch).flatMap(({ columns }) => columns.map(({ id }) => id));
    return this.#relations
      .filter((relation) => relation.tableId === tableId && relation.until === undefined)
      .flatMap(({ columns }) => columns)
      .find((column) => sameName(column.name, name) && !had.includes(column.id))?.id;
  }

  #key(
    table: ActualTable,
    info: readonly [string, string, number, number][],
    columns: readonly Column[],
    primaryKey: readonly number[],
  ): RowKey {
    if (table.isWithoutRowid) return { kind: 'primary', columnIds: primaryKey };
    const only =
      primaryKey.length === 1 ? info[columns.findIndex(({ id }) => id === primaryKey[0])] : undefined;
    if (only !== undefined && only[1].toUpperCase() === 'INTEGER') {
      // INTEGER PRIMARY KEY DESC is no alias of the rowid: it has an index of its own.
      const index = first(this.#sql, "SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'", table.name);
      if (index === undefined) return { kind: 'rowid', name: only[0], columnId: primaryKey[0] };
    }
    const name = ROWID_NAMES.find((alias) => !columns.some((column) => sameName(column.name, alias)));
    if (name !== undefined) return { kind: 'rowid', name, columnId: undefined };
    throw new DoSQLError(
      'FORBIDDEN',
      `table "${table.name}" has columns named rowid, _rowid_ and oid, which leaves no name for its rowid: rename one`,
    );
  }
}

/** SQLite compares names without regard to the case of ASCII letters, and of no other letters. */
export function sameName(a: string, b: string): boolean {
  return a === b || lowerName(a) === lowerName(b);
}

function isAt(version: { readonly since: number; readonly until: number | undefined }, lsn: number): boolean {
  return version.since <= lsn && (version.until === undefined || lsn < version.until);
}

function isRenamed(ddl: Ddl | undefined, before: string, now: string): boolean {
  return ddl?.renamedTo !== undefined && sameName(ddl.name, before) && sameName(ddl.renamedTo, now);
}

function isRenamedColumn(ddl: Ddl | undefined, old: Relation | undefined, now: string): boolean {
  const to = ddl?.column?.to;
  return to !== undefined && old !== undefined && sameName(to, now) && sameName(ddl?.name ?? '', old.table);
}

function escapeLike(text: string): string {
  return text.replaceAll('_', '\\_');
}
