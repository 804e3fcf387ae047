import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { collated, imageSource } from '../history/as-of.ts';
import { defaultsOf } from '../history/default.ts';
import { OP } from '../schema/capture.ts';
import { sameName } from '../schema/catalog.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { splice } from '../sql/statement.ts';
import { lowerName, nameOf, quoteName, tokenize } from '../sql/token.ts';
import { encode, orderParameters, type Binding, type SqlParameters } from '../value/parameter.ts';

/** A condition on a table's rows, to be asked of the rows that are there and of every past one. */
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

  /** Query for `result` of the rows of the table itself that satisfy it; a row is called by the table's name. */
  present(relation: Relation, result: string): string {
    return `SELECT ${result} FROM main.${quoteName(relation.table)} AS ${quoteName(relation.name)} WHERE ${this.#text}`;
  }

  /**
   * Query for the LSNs of the rows of the log, of one version of a table, with an image that satisfies it. Columns go
   * by the names that they have now, and compare as they do in the table.
   */
  past(version: Relation, now: Relation): string {
    const source = imageSource(version, '__dosql_log AS l', defaultsOf(now));
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
        `AS ${quoteName(now.name)} WHERE ${this.#text}`
      );
    };
    const images = select(source.value, `BETWEEN ${OP.insert} AND ${OP.rewrite}`);
    if (!version.layout.updatesInOneRow) return images;
    return `${images} UNION ${select(afterOf, `= ${OP.update}`)}`;
  }

  /** The columns that are named: those of now, and those of then that are gone. */
  #columns(version: Relation, now: Relation): Column[] {
    const gone = version.columns.filter(
      ({ id, name }) => !now.columns.some((column) => column.id === id || sameName(column.name, name)),
    );
    return [...now.columns, ...gone].filter(({ name }) => this.#names.has(lowerName(name)));
  }

  /** Columns of the table that the condition was written for, where this one has been another of its name. */
  #missing(version: Relation, now: Relation): Column[] {
    if (now.tableId === this.#relation.tableId) return [];
    const known = this.#columns(version, now);
    return this.#relation.columns.filter(
      ({ name }) => this.#names.has(lowerName(name)) && !known.some((column) => sameName(column.name, name)),
    );
  }

  /** The word by which the rowid is asked for where no column has it. */
  #rowid({ key, columns }: Relation): string | undefined {
    if (key.kind !== 'rowid') return undefined;
    return ['rowid', '_rowid_', 'oid'].find(
      (name) => this.#names.has(name) && !columns.some((column) => sameName(column.name, name)),
    );
  }
}
