import type { Branches } from '../branch/branches.ts';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { sameName } from '../schema/catalog.ts';
import { MAIN } from '../schema/line.ts';
import { all, first } from '../sql/read.ts';
import { quoteName, quoteText } from '../sql/token.ts';
import { describe } from '../value/parameter.ts';
import type { Row, SqlValue } from '../value/row.ts';
import type { MergeConflict } from './merge.ts';
import { storedJson, storedOf, storedRows, type Stored } from './rows.ts';

/** A conflict that a merge has left. */
export interface KeptConflict extends MergeConflict {
  /** The branch whose merging left it, and the one that it was to be merged into. */
  readonly source: string;
  readonly target: string;
}

/** How a conflict has been settled. */
export interface Settled {
  /** Null for no row. */
  readonly row: Row | null;
  /** The columns whose values the caller gave; the others are as they were in the table of conflicts. */
  readonly given: readonly string[];
}

/** How to settle a conflict: by a side's row, or by a row, null for none. */
export type Resolution = 'ours' | 'theirs' | Row | null;

/** The key of the row in conflict: a value, an object with a value for each column of it, or `'all'` for all rows. */
export type ConflictKey = SqlValue | Readonly<Record<string, SqlValue>>;

const PREFIX = 'dosql_conflicts_';
/** SQLite in a Durable Object takes 100 columns in a table, and those of a row stand in three times. */
const MAX_COLUMNS = 30;

/**
 * The conflicts that merges have left, in a table for each table of the user's: rows with `base_*`, `our_*` and
 * `their_*`. Whoever deletes such a row settles the conflict by its `our_*` columns as they are then; how, is kept
 * until the same merge is made again.
 */
export class ConflictStore {
  readonly #engine: Engine;
  readonly #sql: SqlStorage;
  readonly #source: string;
  readonly #target: string;

  constructor(engine: Engine, branches: Branches, source: number, into: number) {
    this.#engine = engine;
    this.#sql = engine.storage.sql;
    this.#source = branches.nameOf(source);
    this.#target = branches.nameOf(into);
  }

  /** Whether any merge has left conflicts. */
  get exists(): boolean {
    return hasStore(this.#sql);
  }

  /** How a conflict has been settled; undefined while it has not been. */
  resolution(conflict: MergeConflict): Settled | undefined {
    if (!this.exists) return undefined;
    const found = first<[string | null, string | null]>(
      this.#sql,
      'SELECT row, given FROM __dosql_resolution WHERE source = ? AND target = ? AND tbl = ? AND state = ?',
      this.#source,
      this.#target,
      conflict.table,
      stateOf(conflict),
    );
    if (found === undefined) return undefined;
    const [row, given] = found;
    return {
      row: row === null ? null : (JSON.parse(row, decoded) as Row),
      given: given === null ? [] : (JSON.parse(given) as string[]),
    };
  }

  /** Keeps the conflicts that a merge has left, in place of those of the last time. */
  keep(conflicts: readonly MergeConflict[]): void {
    this.#sql.exec(
      'CREATE TABLE IF NOT EXISTS __dosql_resolution(source TEXT, target TEXT, tbl TEXT, state TEXT, row TEXT, given TEXT, PRIMARY KEY(source, target, tbl, state)) WITHOUT ROWID',
    );
    const names = new Set(conflicts.map(({ table }) => table));
    for (const table of tableNames(this.#sql)) this.#withoutTrigger(table, () => this.#forget(table));
    for (const name of names) {
      const own = conflicts.filter(({ table }) => table === name);
      const table = PREFIX + name;
      const columns = columnsOf(own);
      this.#withoutTrigger(table, () => this.#create(table, columns));
      for (const conflict of own) this.#insert(table, columns, conflict);
    }
    this.#engine.catalog.refresh();
  }

  /** Forgets all conflicts of this merge, settled or not. */
  clear(): void {
    for (const table of tableNames(this.#sql)) this.#withoutTrigger(table, () => this.#forget(table));
    this.#sql.exec(
      'DELETE FROM __dosql_resolution WHERE source = ? AND target = ?',
      this.#source,
      this.#target,
    );
    this.#engine.catalog.refresh();
  }

  #forget(table: string): void {
    const quoted = quoteName(table);
    this.#sql.exec(`DELETE FROM ${quoted} WHERE source = ? AND target = ?`, this.#source, this.#target);
    if (all(this.#sql, `SELECT 1 FROM ${quoted} LIMIT 1`).length === 0)
      this.#sql.exec(`DROP TABLE ${quoted}`);
  }

  #create(table: string, columns: readonly string[]): void {
    const values = ['base_', 'our_', 'their_'].flatMap((side) =>
      columns.map((column) => quoteName(side + column)),
    );
    const has = all<[string]>(this.#sql, 'SELECT name FROM pragma_table_info(?)', table).flat();
    // Left by another branch, of when the table had other columns.
    if (has.length > 0 && columns.some((column) => !has.includes(`our_${column}`)))
      this.#sql.exec(`DROP TABLE ${quoteName(table)}`);
    this.#sql.exec(
      `CREATE TABLE IF NOT EXISTS ${quoteName(table)}(dosql_id INTEGER PRIMARY KEY, source TEXT, target TEXT, our_diff_type TEXT, their_diff_type TEXT, ${values.join(', ')}, dosql_state TEXT)`,
    );
  }

  #insert(table: string, columns: readonly string[], conflict: MergeConflict): void {
    const { base, ours, theirs } = conflict;
    const cells: Stored[] = [
      this.#source,
      this.#target,
      typeOf(base, ours),
      typeOf(base, theirs),
      stateOf(conflict),
    ].map((text) => `t${text}`);
    for (const row of [base, ours, theirs])
      for (const column of columns) cells.push(row === null ? null : storedOf(row[column]));
    const names = [
      'source',
      'target',
      'our_diff_type',
      'their_diff_type',
      'dosql_state',
      ...['base_', 'our_', 'their_'].flatMap((side) => columns.map((column) => quoteName(side + column))),
    ];
    this.#sql.exec(
      `INSERT INTO ${quoteName(table)}(${names.join(', ')}) ${storedRows(cells.length)}`,
      `[[${cells.map(storedJson).join(',')}]]`,
    );
  }

  /** Deleting settles, but for our own deleting. */
  #withoutTrigger(table: string, callback: () => void): void {
    const trigger = quoteName(`__dosql_resolve_${table}`);
    this.#sql.exec(`DROP TRIGGER IF EXISTS ${trigger}`);
    callback();
    const columns = all<[string]>(this.#sql, 'SELECT name FROM pragma_table_info(?)', table).flat();
    if (columns.length === 0) return;
    const ours = columns.filter((column) => column.startsWith('our_') && column !== 'our_diff_type');
    const isNull = ours.map((column) => `OLD.${quoteName(column)} IS NULL`).join(' AND ');
    const pairs = ours.map(
      (column) => `${quoteText(column.slice('our_'.length))}, ${marked(`OLD.${quoteName(column)}`)}`,
    );
    const row = `CASE WHEN OLD.our_diff_type = 'removed' AND ${isNull} THEN NULL ELSE json_object(${pairs.join(', ')}) END`;
    this.#sql.exec(
      `CREATE TRIGGER ${trigger} AFTER DELETE ON ${quoteName(table)} BEGIN INSERT OR REPLACE INTO __dosql_resolution(source, target, tbl, state, row) ` +
        `VALUES(OLD.source, OLD.target, ${quoteText(table.slice(PREFIX.length))}, OLD.dosql_state, ${row}); END`,
    );
  }
}

/** The conflicts that merges into a branch have left, or into any. */
export function keptConflicts(engine: Engine, target?: string): KeptConflict[] {
  return tableNames(engine.storage.sql).flatMap((table) =>
    all<[string, string, string]>(
      engine.storage.sql,
      `SELECT source, target, dosql_state FROM ${quoteName(table)} ORDER BY dosql_id`,
    )
      .filter((row) => target === undefined || row[1] === target)
      .map(([source, into, state]) => ({
        ...(JSON.parse(state, decoded) as MergeConflict),
        source,
        target: into,
      })),
  );
}

/** Settles conflicts of one table: that of a row, or all of them. Returns how many. */
export function resolveConflicts(
  engine: Engine,
  target: string,
  table: string,
  key: ConflictKey,
  take: Resolution,
  source?: string,
): number {
  const { sql } = engine.storage;
  const name = tableNames(sql).find((other) => sameName(other, PREFIX + table));
  if (name === undefined)
    throw new DoSQLError('BAD_PARAMETER', `no merge has left conflicts in a table "${table}"`);
  const quoted = quoteName(name);
  const columns = all<[string]>(sql, 'SELECT name FROM pragma_table_info(?)', name).flat();
  const own = columns
    .filter((column) => column.startsWith('our_') && column !== 'our_diff_type')
    .map((column) => column.slice('our_'.length));
  const wanted = all<[number, string]>(
    sql,
    `SELECT dosql_id, dosql_state FROM ${quoted} WHERE target = ?1 AND source = coalesce(?2, source)`,
    target,
    source ?? null,
  ).filter(([, state]) =>
    key === 'all' ? true : isKey((JSON.parse(state, decoded) as MergeConflict).key, key),
  );
  if (wanted.length === 0 && key !== 'all')
    throw new DoSQLError(
      'BAD_PARAMETER',
      `no merge into "${target}" has left a conflict in "${table}" about ${describe(key)}`,
    );
  const strange =
    take !== null && typeof take === 'object'
      ? Object.keys(take).find((column) => !own.some((name) => sameName(name, column)))
      : undefined;
  if (strange !== undefined)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `the row for "${table}" has "${strange}", which is no column of it`,
    );
  engine.atomically(() => {
    for (const [id, state] of wanted) {
      if (take === 'theirs')
        sql.exec(
          `UPDATE ${quoted} SET our_diff_type = their_diff_type, ${own.map((column) => `${quoteName(`our_${column}`)} = ${quoteName(`their_${column}`)}`).join(', ')} WHERE dosql_id = ?`,
          id,
        );
      else if (take === null)
        sql.exec(
          `UPDATE ${quoted} SET our_diff_type = 'removed', ${own.map((column) => `${quoteName(`our_${column}`)} = NULL`).join(', ')} WHERE dosql_id = ?`,
          id,
        );
      else if (typeof take === 'object')
        for (const [column, value] of Object.entries(take)) {
          const named = own.find((other) => sameName(other, column)) as string;
          sql.exec(
            `UPDATE ${quoted} SET our_diff_type = 'modified', ${quoteName(`our_${named}`)} = (${storedRows(1)}) WHERE dosql_id = ?2`,
            `[[${storedJson(storedOf(value))}]]`,
            id,
          );
        }
      else if (take !== 'ours')
        throw new DoSQLError(
          'BAD_PARAMETER',
          `the resolution is ${describe(take)}: give 'ours', 'theirs', a row, or null for none`,
        );
      sql.exec(`DELETE FROM ${quoted} WHERE dosql_id = ?`, id);
      // What is given is meant, also where it is what ours has and theirs has changed.
      if (take !== null && typeof take === 'object')
        sql.exec(
          `UPDATE __dosql_resolution SET given = ? WHERE target = ? AND source = coalesce(?, source) AND tbl = ? AND state = ?`,
          JSON.stringify(Object.keys(take)),
          target,
          source ?? null,
          name.slice(PREFIX.length),
          state,
        );
    }
  });
  return wanted.length;
}

/** Forgets all conflicts of merges from and into a branch, which is about to be dropped. */
export function forgetConflicts(engine: Engine, branches: Branches, id: number): void {
  if (!hasStore(engine.storage.sql)) return;
  for (const other of [MAIN, ...branches.list().map((branch) => branch.id)]) {
    if (other === id) continue;
    new ConflictStore(engine, branches, id, other).clear();
    new ConflictStore(engine, branches, other, id).clear();
  }
}

/** Forgets all conflicts in the tables of these names, of whatever merge, settled or not. */
export function dropConflicts(engine: Engine, names: ReadonlySet<string>): void {
  const { sql } = engine.storage;
  if (!hasStore(sql)) return;
  for (const name of names) {
    for (const table of tableNames(sql))
      if (sameName(table, PREFIX + name)) sql.exec(`DROP TABLE ${quoteName(table)}`);
    sql.exec('DELETE FROM __dosql_resolution WHERE tbl = ? COLLATE NOCASE', name);
  }
  engine.catalog.refresh();
}

function hasStore(sql: SqlStorage): boolean {
  return first(sql, "SELECT 1 FROM sqlite_schema WHERE name = '__dosql_resolution'") !== undefined;
}

function tableNames(sql: SqlStorage): string[] {
  return all<[string]>(
    sql,
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, ${PREFIX.length}) = '${PREFIX}'`,
  ).flat();
}

function columnsOf(conflicts: readonly MergeConflict[]): string[] {
  const columns = Object.keys(conflicts.map(({ ours, theirs, base }) => ours ?? theirs ?? base)[0] ?? {});
  if (columns.length <= MAX_COLUMNS) return columns;
  const needed = new Set(conflicts.flatMap(({ key, columns: own }) => [...Object.keys(key), ...own]));
  return columns.filter((column) => needed.has(column)).slice(0, MAX_COLUMNS);
}

function typeOf(base: Row | null, side: Row | null): string {
  if (side === null) return 'removed';
  return base === null ? 'added' : 'modified';
}

/** The conflict as a text that tells whether it is still the same. */
function stateOf({ table, key, base, ours, theirs, columns }: MergeConflict): string {
  return JSON.stringify({ table, key, base, ours, theirs, columns }, (_, value: unknown) => {
    if (typeof value === 'bigint') return { $integer: String(value) };
    if (value instanceof Uint8Array) return { $blob: [...value] };
    return value;
  });
}

/** Reads what {@link stateOf} and the triggers wrote. */
function decoded(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return value;
  if ('$integer' in value) {
    const integer = Number(value.$integer);
    return Number.isSafeInteger(integer) ? integer : BigInt(String(value.$integer));
  }
  if ('$real' in value) return Number(value.$real);
  if ('$blob' in value) return new Uint8Array(value.$blob as number[]);
  if ('$hex' in value)
    return new Uint8Array((String(value.$hex).match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)));
  return value;
}

/** JSON does not print every number exactly, and takes no blob. */
function marked(value: string): string {
  return (
    `CASE typeof(${value}) WHEN 'integer' THEN json_object('$integer', CAST(${value} AS TEXT)) WHEN 'real' THEN json_object('$real', format('%!.17g', ${value})) ` +
    `WHEN 'blob' THEN json_object('$hex', hex(${value})) ELSE json_quote(${value}) END`
  );
}

function isKey(
  key: Readonly<Record<string, SqlValue>>,
  given: SqlValue | Readonly<Record<string, SqlValue>>,
): boolean {
  const values = Object.values(key);
  if (typeof given !== 'object' || given === null || given instanceof Uint8Array)
    return values.length === 1 && String(values[0]) === String(given);
  return Object.entries(key).every(([name, value]) =>
    Object.entries(given).some(
      ([other, wanted]) => sameName(name, other) && String(value) === String(wanted),
    ),
  );
}
