import type { Engine } from '../engine.ts';
import { isKeyless, type LineState, type RowSource, type States } from '../branch/states.ts';
import { keyNames } from '../history/as-of.ts';
import { defaultsOf } from '../history/default.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { columnOf } from '../schema/relation.ts';
import { compound } from '../sql/compound.ts';
import { all, MAX_COLUMNS } from '../sql/read.ts';
import type { Binding, SqlParameter } from '../value/parameter.ts';
import type { SqlValue } from '../value/row.ts';

/**
 * A value as SQLite stores it: integers and texts are marked by a letter before them, a REAL is a number. So an
 * integer beyond 2^53 is exact, and 1 and 1.0 are told apart.
 */
export type Stored = string | number | null | Uint8Array;

/** A row in which each value is stored exactly, and where it was read. */
export interface StoredRow {
  readonly cells: readonly Stored[];
  /** The rowid, which tells rows apart that have no primary key; undefined for those that have one. */
  readonly rowid: number | string | undefined;
}

/** The value that users see. */
export function shown(value: Stored | undefined): SqlValue {
  if (value === undefined) return null;
  if (typeof value !== 'string') return value;
  if (value.startsWith('t')) return value.slice(1);
  const integer = Number(value.slice(1));
  return Number.isSafeInteger(integer) ? integer : BigInt(value.slice(1));
}

/** A value as JSON that {@link unstored} reads back in SQL. */
export function storedJson(value: Stored | undefined): string {
  if (value === null || value === undefined) return 'null';
  // JSON's integers are SQLite's own, up to 64 bits.
  if (typeof value === 'string') return value.startsWith('i') ? value.slice(1) : JSON.stringify(value);
  if (typeof value !== 'number') {
    let hex = 'b';
    for (const byte of value) hex += byte.toString(16).padStart(2, '0');
    return `"${hex}"`;
  }
  if (Number.isNaN(value)) return 'null';
  if (!Number.isFinite(value)) return value > 0 ? '9e999' : '-9e999';
  const text = Object.is(value, -0) ? '-0.0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/**
 * Query for rows that are given as JSON in the parameter `?1`, an array of arrays of {@link storedJson}: columns
 * `v0`, `v1` and so on. Each element is read once, which is what takes the time.
 */
export function storedRows(width: number): string {
  const columns = Array.from({ length: width }, (_, i) => `v${i}`);
  const read = columns.map((column, i) => `value ->> ${i} AS ${column}`);
  const values = columns.map(
    (column) =>
      `CASE WHEN typeof(${column}) <> 'text' THEN ${column} WHEN substr(${column}, 1, 1) = 't' THEN substr(${column}, 2) ELSE unhex(substr(${column}, 2)) END AS ${column}`,
  );
  return `WITH __dosql_json AS MATERIALIZED (SELECT ${read.join(', ')} FROM json_each(?1)) SELECT ${values.join(', ')} FROM __dosql_json`;
}

function marked(value: string): string {
  return `CASE typeof(${value}) WHEN 'integer' THEN 'i' || ${value} WHEN 'text' THEN 't' || ${value} ELSE ${value} END`;
}

/** The value that a parameter or a user's row gives, to be stored in a column. */
export function storedOf(value: SqlParameter): Stored {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return `i${value}`;
  if (typeof value === 'boolean') return `i${Number(value)}`;
  if (value instanceof Date) return `t${value.toISOString()}`;
  if (typeof value === 'number')
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? `i${value}` : value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return `t${value}`;
}

/** Keys passed to SQL at once. */
const KEYS_AT_ONCE = 5_000;

/** Reads rows of one table in any state, by their keys. */
export class RowReader {
  readonly #sql: SqlStorage;
  readonly #states: States;

  constructor(engine: Engine, states: States) {
    this.#sql = engine.storage.sql;
    this.#states = states;
  }

  /** The rows that have one of the keys, as the log has them, that the query `keys` gives; by {@link keyOf}, in the keys' order. */
  changed(
    state: LineState,
    relation: Relation,
    keys: string | undefined,
    isOwn: boolean = false,
  ): Map<string, StoredRow> {
    if (keys === undefined) return new Map();
    const names = keyNames(relation);
    const same = (source: RowSource): string =>
      source.key.map((key, i) => `${key} = c.${names[i]}`).join(' AND ');
    return this.#read(
      state,
      relation,
      `__dosql_c(${names.join(', ')}) AS MATERIALIZED (SELECT * FROM (${keys}) ORDER BY ${names.map((_, i) => i + 1).join(', ')})`,
      same,
      [],
      isOwn,
    );
  }

  /**
   * Queries for the values of `columns` in the rows that have one of the keys in the table `keyTable`, as the log has
   * them; one for each place where such rows are. With `isOwn` the state's line has changed all of these rows itself,
   * and is what it was in the state.
   */
  queries(
    state: LineState,
    relation: Relation,
    keyTable: string,
    columns: readonly Column[],
    isOwn: boolean,
  ): string[] {
    const names = keyNames(relation);
    const { with: prefix, sources } = this.#sources(state, relation, isOwn);
    return sources.map((source) => {
      const same = source.key.map((key, i) => `${key} = c.${names[i]}`);
      const where = [...same, source.where].filter((text) => text !== '').join(' AND ');
      return `${prefix}SELECT ${columns.map((column) => source.value(column)).join(', ')} FROM ${keyTable} AS c CROSS JOIN ${source.from} WHERE ${where}`;
    });
  }

  /** The rows with these primary keys. */
  keyed(state: LineState, relation: Relation, keys: readonly (readonly Stored[])[]): Map<string, StoredRow> {
    const found = new Map<string, StoredRow>();
    const columns = relation.primaryKey.map((id) => columnOf(relation, id));
    const names = columns.map((_, i) => `k${i}`);
    const keyTable = `__dosql_c(${names.join(', ')}) AS MATERIALIZED (${storedRows(names.length)})`;
    const same = (source: RowSource): string =>
      columns.map((column, i) => `${source.value(column)} = c.${names[i]}`).join(' AND ');
    for (let i = 0; i < keys.length; i += KEYS_AT_ONCE) {
      const json = `[${keys
        .slice(i, i + KEYS_AT_ONCE)
        .map((key) => `[${key.map(storedJson).join(',')}]`)
        .join(',')}]`;
      for (const [key, row] of this.#read(state, relation, keyTable, same, [json])) found.set(key, row);
    }
    return found;
  }

  /** What each column of a table has by default; NULL where that is no constant. */
  defaults(relation: Relation): Stored[] {
    const constants = defaultsOf(relation);
    const values = comparedColumns(relation).map(({ id }) => marked(constants.get(id) ?? 'NULL'));
    const row = all<(Stored | ArrayBuffer)[]>(this.#sql, `SELECT ${values.join(', ')}`)[0] ?? [];
    return row.map((cell) => (cell instanceof ArrayBuffer ? new Uint8Array(cell) : cell));
  }

  /** All rows. */
  all(state: LineState, relation: Relation): Map<string, StoredRow> {
    return this.#read(state, relation, '__dosql_c(k0) AS MATERIALIZED (SELECT 1)', () => 'TRUE', []);
  }

  #sources(
    state: LineState,
    relation: Relation,
    isOwn: boolean,
  ): { readonly with: string; readonly sources: readonly RowSource[] } {
    return isOwn
      ? { with: '', sources: this.#states.ownRows(state.line, relation) }
      : this.#states.rows(state, relation);
  }

  #read(
    state: LineState,
    relation: Relation,
    keyTable: string,
    same: (source: RowSource) => string,
    bindings: Binding[],
    isOwn: boolean = false,
  ): Map<string, StoredRow> {
    const { with: prefix, sources } = this.#sources(state, relation, isOwn);
    const columns = comparedColumns(relation);
    const found = new Map<string, StoredRow>();
    const hasRowid = isKeyless(relation);
    // Next to its rowid a row may have one column more than a result.
    const width = hasRowid ? MAX_COLUMNS - 1 : MAX_COLUMNS;
    const isTyped = columns.map((column) => sources.every((source) => source.isTyped(column)));
    // In one query the keys are found once. To mark a value in SQL takes a copy of it.
    const read = (from: number, to: number): (Stored | ArrayBuffer)[][] => {
      const arms = sources.map((source) => {
        const rowid = hasRowid ? [`CAST(${source.key[0]} AS TEXT)`] : [];
        const values = columns
          .map((column, i) => (isTyped[i] === true ? source.value(column) : marked(source.value(column))))
          .slice(from, to);
        const where = [same(source), source.where].filter((text) => text !== '').join(' AND ');
        return `SELECT ${[...rowid, ...values].join(', ')} FROM __dosql_c AS c CROSS JOIN ${source.from} WHERE ${where}`;
      });
      if (arms.length === 0) return [];
      const text = `${prefix === '' ? 'WITH ' : `${prefix.trimEnd()}, `}${keyTable} ${compound(arms, 'UNION ALL')}`;
      return all(this.#sql, text, ...bindings);
    };
    const rest =
      columns.length > width
        ? new Map(read(width, columns.length).map(([id, cell]) => [id, cell]))
        : undefined;
    for (const values of read(0, width)) {
      const [id] = values;
      const cells = hasRowid ? values.slice(1) : values;
      if (rest !== undefined) cells.push(rest.get(id) ?? null);
      const row = {
        cells: cells.map((cell, i) => {
          if (typeof cell === 'string') return isTyped[i] === true ? `t${cell}` : cell;
          return cell instanceof ArrayBuffer ? new Uint8Array(cell) : cell;
        }),
        rowid: hasRowid ? (id as string) : undefined,
      };
      found.set(keyOf(relation, row), row);
    }
    return found;
  }
}

const compared = new WeakMap<Relation, readonly Column[]>();

/** The columns that a row of a table is compared by: all that are stored. */
export function comparedColumns(relation: Relation): readonly Column[] {
  let columns = compared.get(relation);
  if (columns === undefined) {
    columns = relation.columns.filter(({ isGenerated }) => !isGenerated);
    compared.set(relation, columns);
  }
  return columns;
}

/** The primary key of a row. */
export function primaryKeyOf(relation: Relation, { cells }: StoredRow): Stored[] {
  const columns = comparedColumns(relation);
  return relation.primaryKey.map((id) => cells[columns.findIndex((column) => column.id === id)] ?? null);
}

/** What tells a row from all others of its table, as a text: its primary key, or else its rowid. */
export function keyOf(relation: Relation, row: StoredRow): string {
  if (isKeyless(relation)) return String(row.rowid);
  const folded = primaryKeyOf(relation, row).map((value, i) => {
    const column = columnOf(relation, relation.primaryKey[i] as number);
    if (typeof value !== 'string' || !value.startsWith('t')) return storedJson(numeric(value));
    if (column.collation === 'NOCASE')
      return storedJson(value.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()));
    return storedJson(column.collation === 'RTRIM' ? value.replace(/ +$/, '') : value);
  });
  return folded.join();
}

/** As a key, 1 and 1.0 are one. */
function numeric(value: Stored): Stored {
  return typeof value === 'number' && Number.isSafeInteger(value) ? `i${value}` : value;
}

/** A row as users see it. */
export function shownRow(relation: Relation, row: StoredRow | undefined): Record<string, SqlValue> | null {
  if (row === undefined) return null;
  const columns = comparedColumns(relation);
  if (columns.some(({ name }) => name === '__proto__'))
    return Object.fromEntries(columns.map(({ name }, i) => [name, shown(row.cells[i])]));
  const cells: Record<string, SqlValue> = {};
  for (let i = 0; i < columns.length; i++) cells[(columns[i] as Column).name] = shown(row.cells[i]);
  return cells;
}

/** A row's key as users see it. */
export function shownKey(relation: Relation, row: StoredRow): Record<string, SqlValue> {
  if (isKeyless(relation)) return { rowid: Number(row.rowid) };
  const values = primaryKeyOf(relation, row);
  return Object.fromEntries(
    relation.primaryKey.map((id, i) => [columnOf(relation, id).name, shown(values[i])]),
  );
}
