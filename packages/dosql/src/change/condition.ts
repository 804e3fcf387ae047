import type { ChangeRow } from '@dotdo/cdc';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { collated, imageSource, nullOf } from '../history/as-of.ts';
import { defaultsOf } from '../history/default.ts';
import { OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import { ROWID_NAMES, type Column, type Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import { splice } from '../sql/statement.ts';
import { lowerName, nameOf, quoteName, tokenize } from '../sql/token.ts';
import { encode, orderParameters, type Binding, type SqlParameters } from '../value/parameter.ts';
import { keyColumns } from './place.ts';

/**
 * A condition on a table's rows, to be asked of the rows that are there and of every past one, on every line. Other
 * tables that it reads are main's as they are.
 */
export class Condition {
  readonly bindings: readonly Binding[];
  readonly #text: string;
  readonly #relation: Relation;
  /** Names that the condition may mean, in lower case. */
  readonly #names: ReadonlySet<string>;

  /**
   * @throws DoSQLError `SYNTAX` for what is no expression, `BAD_PARAMETER`, `FORBIDDEN` for what is not the user's.
   */
  constructor(engine: Engine, relation: Relation, where: string, params: SqlParameters | undefined) {
    if (typeof where !== 'string' || where.trim() === '')
      throw new DoSQLError('BAD_PARAMETER', `where is empty: give a condition, "TRUE" for all rows`);
    const start = `SELECT 1 FROM ${quoteName(relation.name)} WHERE (`;
    // The line's end closes a comment.
    const statement = engine.statement(`${start}${where}\n)`);
    const past = statement.references.find(({ systemTime }) => systemTime !== undefined);
    if (past !== undefined)
      throw new DoSQLError(
        'FORBIDDEN',
        `where names a point of the past: it is asked of every past row anyway`,
        {
          sql: where,
        },
      );
    const { bindings, write } = encode(where, orderParameters(statement, params));
    const edits = statement.parameters.map(({ start: at, end, index }) => ({
      start: at,
      end,
      text: write(index),
    }));
    this.#relation = relation;
    this.bindings = bindings;
    this.#text = splice(statement.sql, edits).slice(start.length - 1);
    this.#names = new Set(tokenize(where).map((token) => lowerName(nameOf(where, token))));
  }

  /** Query for the keys of the rows of a table that satisfy it; a row is called by the name of the table that it is for. */
  present(relation: Relation): string {
    const alias = quoteName(this.#relation.name);
    const table = `main.${quoteName(relation.table)}`;
    const keys = keyColumns(relation).map(({ name }) => quoteName(name));
    if (relation.id === this.#relation.id)
      return `SELECT ${keys.map((key) => `${alias}.${key}`).join(', ')} FROM ${table} AS ${alias} WHERE ${this.#text}`;
    // A branch may know the columns by other names, or have others.
    const defaults = this.#defaults(relation);
    const valueOf = ({ id }: Column): string => {
      const own = relation.columns.find((column) => column.id === id);
      return own === undefined ? (defaults.get(id) ?? 'NULL') : `r.${quoteName(own.name)}`;
    };
    const rowid = this.#rowid(relation);
    const columns = [
      ...keys.map((key, i) => `r.${key} AS __dosql_k${i}`),
      ...(rowid === undefined ? [] : [`r.${keys[0]} AS ${quoteName(rowid)}`]),
      ...this.#columns(relation, relation).map((column) => `${valueOf(column)} AS ${quoteName(column.name)}`),
      ...this.#missing(relation, relation).map(({ name }) => `NULL AS ${quoteName(name)}`),
    ];
    return `SELECT ${keys.map((_, i) => `__dosql_k${i}`).join(', ')} FROM (SELECT ${columns.join(', ')} FROM ${table} AS r) AS ${alias} WHERE ${this.#text}`;
  }

  /**
   * Query for the LSNs of the rows of the log, of one version of a table, with an image that satisfies it. Columns go
   * by the names that they have in the table that it is for, and compare as they do there.
   */
  past(version: Relation, now: Relation): string {
    const source = imageSource(version, '__dosql_log AS l', this.#defaults(now));
    const afterOf = (column: Column): string => {
      const slot = version.layout.slots.find(({ columnId }) => columnId === column.id);
      return slot?.after === undefined ? source.value(column) : `l.${slot.after}`;
    };
    const select = (value: (column: Column) => string, ops: string): string => {
      const columns = this.#columns(version, now).map(
        (column) => `, ${collated(value(column), column)} AS ${quoteName(column.name)}`,
      );
      const missing = this.#missing(version, now).map(({ name }) => `, NULL AS ${quoteName(name)}`);
      const rowid = this.#rowid(now) === undefined ? '' : `, l.k AS ${quoteName(this.#rowid(now) as string)}`;
      return (
        `SELECT __dosql_lsn FROM (SELECT l.lsn AS __dosql_lsn${rowid}${[...columns, ...missing].join('')} FROM ${source.from} WHERE l.rel = ${version.id} AND l.op ${ops}) ` +
        `AS ${quoteName(this.#relation.name)} WHERE ${this.#text}`
      );
    };
    const images = select(source.value, `BETWEEN ${OP.insert} AND ${OP.rewrite}`);
    if (!version.layout.updatesInOneRow) return images;
    return `${images} UNION ${select(afterOf, `= ${OP.update}`)}`;
  }

  /**
   * Whether the image of a row of a table satisfies it, as someone was told of it. One that lacks a column that is named
   * does not.
   */
  holds({ storage }: Engine, relation: Relation, image: ChangeRow): boolean {
    const columns = this.#columns(relation, relation);
    if (this.#rowid(relation) !== undefined) return false;
    if (columns.some(({ name }) => !Object.hasOwn(image, name))) return false;
    const missing = this.#missing(relation, relation).map(({ name }) => `NULL AS ${quoteName(name)}`);
    const bindings = [...this.bindings];
    const value = ({ name, affinity }: Column): string => {
      const given = image[name] ?? null;
      bindings.push(typeof given === 'bigint' ? String(given) : given);
      const isInteger = typeof given === 'bigint' || (affinity !== 'real' && Number.isSafeInteger(given));
      return isInteger ? `(+CAST(?${bindings.length} AS INTEGER))` : `?${bindings.length}`;
    };
    const select = (of: (column: Column) => string): string =>
      ['1', ...columns.map((column) => `${of(column)} AS ${quoteName(column.name)}`), ...missing].join(', ');
    // The first arm tells how the columns compare.
    const rows = `SELECT ${select((column) => collated(nullOf(column), column))} WHERE FALSE UNION ALL SELECT ${select(value)}`;
    const query = `SELECT 1 FROM (${rows}) AS ${quoteName(this.#relation.name)} WHERE ${this.#text}`;
    return all(storage.sql, query, ...bindings).length > 0;
  }

  /** The columns that are named: those that it is for, those of now, and those of then that are gone. */
  #columns(version: Relation, now: Relation): Column[] {
    const found = this.#isFor(now) ? [...this.#relation.columns] : [];
    for (const column of [...now.columns, ...version.columns])
      if (!found.some(({ id, name }) => column.id === id || sameName(column.name, name))) found.push(column);
    return found.filter(({ name }) => this.#names.has(lowerName(name)));
  }

  /** Columns of the table that the condition was written for, where this one has been another of its name. */
  #missing(version: Relation, now: Relation): Column[] {
    if (this.#isFor(now)) return [];
    const known = this.#columns(version, now);
    return this.#relation.columns.filter(
      ({ name }) => this.#names.has(lowerName(name)) && !known.some((column) => sameName(column.name, name)),
    );
  }

  /** What images have in columns that came later. */
  #defaults(now: Relation): Map<number, string> {
    return new Map([...defaultsOf(now), ...(this.#isFor(now) ? defaultsOf(this.#relation) : [])]);
  }

  /** Whether a table is that which the condition was written for, on whatever line. */
  #isFor({ tableId }: Relation): boolean {
    return tableId === this.#relation.tableId;
  }

  /** The word by which the rowid is asked for where no column has it. */
  #rowid({ key, columns }: Relation): string | undefined {
    if (key.kind !== 'rowid') return undefined;
    return ROWID_NAMES.find(
      (name) => this.#names.has(name) && !columns.some((column) => sameName(column.name, name)),
    );
  }
}
