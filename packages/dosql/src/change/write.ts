import { shapeOf, type TableShape } from '../branch/shape.ts';
import { sqliteError, type DoSQLError } from '../error.ts';
import { sameName } from '../schema/catalog.ts';
import { plainNames } from '../schema/line.ts';
import { balanced } from '../sql/compound.ts';
import { all } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import type { Binding } from '../value/parameter.ts';
import type { RowWriter } from './apply.ts';
import { differ, Fields, typeOf, type Field, type Match } from './fields.ts';
import type { Place } from './place.ts';
import { readKeys, violationOf, type RowKeyValues, type Violation } from './violation.ts';

/** SQLite takes 100 terms in the aggregates of a query, columns counted. */
const MAX_AGGREGATES = 20;

/**
 * What a table's rows shall be, for some keys. Queries may read what is to be written: all of them are run before
 * anything is.
 */
export interface TableChange {
  readonly place: Place;
  /** Query for the rows that shall exist: the columns of `storedColumns(relation)`, in that order. */
  readonly target: string;
  /** Query for keys, one column per key column: of these, rows without a target are deleted. By default none is. */
  readonly keys?: string | undefined;
  /**
   * What the key is. With `primaryKey` the target has no rowid: rows that exist keep theirs, unless unique values
   * pass between them, and new ones get one from SQLite.
   */
  readonly match?: Match | undefined;
  /** Query for further rows to insert, without the rowid, which SQLite gives. */
  readonly fresh?: string | undefined;
}

/** Brings one table's rows to their target state, and says which of them SQLite refuses. */
export class TableWriter implements RowWriter {
  readonly place: Place;
  /** The table that holds the rows to insert or to change. */
  readonly target: string;
  readonly violations: Violation[] = [];
  inserted = 0;
  updated = 0;
  deleted = 0;
  readonly #sql: SqlStorage;
  readonly #fields: Fields;
  readonly #gone: string;
  readonly #fresh: string | undefined;
  readonly #order: string;
  #shape: TableShape | undefined;

  /** Takes down what is to be written. */
  constructor(sql: SqlStorage, change: TableChange, index: number) {
    this.#sql = sql;
    this.place = change.place;
    this.target = `__dosql_target${index}`;
    this.#gone = `__dosql_gone${index}`;
    this.#order = `__dosql_order${index}`;
    this.#fields = new Fields(change.place.relation, change.match);
    this.#fill(change.target, change.keys);
    this.#fresh = change.fresh === undefined ? undefined : `__dosql_fresh${index}`;
    if (change.fresh !== undefined) this.#fillFresh(change.fresh);
  }

  /** Whether there is anything to write. */
  get hasWork(): boolean {
    const tables = [this.target, this.#gone, ...(this.#fresh === undefined ? [] : [this.#fresh])];
    return tables.some((table) => this.#count(`SELECT EXISTS (SELECT 1 FROM ${table})`) === 1);
  }

  /** Writes it. Constraints but those of foreign keys are checked by SQLite, row by row where some row fails. */
  write(): void {
    const keys = this.#fields.key.map(({ slot }) => slot).join(', ');
    const gone = this.#fields.keyNames().join(', ');
    this.place.copyUp(`SELECT ${keys} FROM ${this.target} UNION ALL SELECT ${gone} FROM ${this.#gone}`);
    this.deleted = this.#run(
      `DELETE FROM ${this.place.table} AS r WHERE ${this.#fields.keyOf('r')} IN (SELECT ${gone} FROM ${this.#gone})`,
    );
    const moved = this.#update();
    this.inserted = this.#insert(moved) - moved;
  }

  /** Removes what it took down. */
  close(): void {
    for (const table of [this.target, this.#gone, this.#order, this.#fresh])
      if (table !== undefined) this.#sql.exec(`DROP TABLE IF EXISTS ${table}`);
  }

  /** Where the target holds the column called `name`; undefined for one that it does not hold. */
  slotOf(name: string): string | undefined {
    return this.#fields.slotOf(name);
  }

  /** Only rows that are there are to go, and only rows that are not there as they shall be are to be written. */
  #fill(target: string, keys: string | undefined): void {
    const fields = this.#fields;
    const { rows } = this.place;
    this.#sql.exec(fields.rowsTable(this.target));
    this.#sql.exec(fields.keysTable(this.#gone));
    const names = fields.all.map((_, i) => `v${i}`);
    const value = (field: Field): string => `__dosql_wanted.${names[fields.all.indexOf(field)]}`;
    const source = `WITH __dosql_wanted(${names.join(', ')}) AS (${target})`;
    const same = fields.key.map((field) => `r.${quoteName(field.name)} = +${value(field)}`).join(' AND ');
    const differs = fields.compared.map((field) => differ(field, `r.${quoteName(field.name)}`, value(field)));
    const isThere = differs.length === 0 ? same : `${same} AND NOT (${balanced(differs, 'OR')})`;
    this.#sql.exec(
      `${source} INSERT INTO ${this.target}(${fields.all.map(({ slot }) => slot).join(', ')}) SELECT ${fields.all.map(value).join(', ')} ` +
        `FROM __dosql_wanted WHERE NOT EXISTS (SELECT 1 FROM ${rows} AS r WHERE ${isThere})`,
    );
    if (keys === undefined) return;
    const k = fields.keyNames();
    const wanted = fields.key.map(value).join(', ');
    const found = fields.key
      .map(({ name }, i) => `r.${quoteName(name)} = +__dosql_keys.${k[i]}`)
      .join(' AND ');
    this.#sql.exec(
      `${source}, __dosql_keys(${k.join(', ')}) AS (${keys}) INSERT OR IGNORE INTO ${this.#gone}(${k.join(', ')}) ` +
        `SELECT ${fields.key.map(({ name }) => `r.${quoteName(name)}`).join(', ')} FROM __dosql_keys CROSS JOIN ${rows} AS r ON ${found} ` +
        // First by the key as it is given, so that rows that stay are not looked up.
        `WHERE (${k.map((name) => `__dosql_keys.${name}`).join(', ')}) NOT IN (SELECT ${wanted} FROM __dosql_wanted) ` +
        `AND ${fields.keyOf('r')} NOT IN (SELECT ${wanted} FROM __dosql_wanted)`,
    );
  }

  #fillFresh(query: string): void {
    const columns = this.#columns().map(({ slot, column }) => `${slot} ${typeOf(column)}`);
    this.#sql.exec(`CREATE TABLE ${this.#fresh}(${columns.join(', ')})`);
    this.#sql.exec(`INSERT INTO ${this.#fresh} ${query}`);
  }

  /** Changes the rows that are there; returns how many it has deleted instead, to be inserted as they shall be. */
  #update(): number {
    const fields = this.#changed();
    if (fields.length === 0) return 0;
    const set = fields.map(({ name, slot }) => `${quoteName(name)} = t.${slot}`).join(', ');
    const update = `UPDATE OR ABORT ${this.place.table} AS r SET ${set} FROM ${this.target} AS t WHERE ${this.#fields.isSame('r', 't')}`;
    // Values that are unique may pass from row to row: then all of them go before they come back.
    const unique = this.#uniqueFields();
    let moved = 0;
    for (const leaving of [[], fields.filter((field) => unique.includes(field)), fields]) {
      moved += this.#remove(leaving);
      if (this.#attempt(update) === undefined) {
        this.updated = moved + this.#changes();
        return moved;
      }
    }
    return moved;
  }

  #remove(differing: readonly Field[]): number {
    if (differing.length === 0) return 0;
    const differs = balanced(
      differing.map((field) => differ(field, `r.${quoteName(field.name)}`, `t.${field.slot}`)),
      'OR',
    );
    return this.#run(
      `DELETE FROM ${this.place.table} AS d WHERE ${this.#fields.keyOf('d')} IN (SELECT ${this.#fields.key.map(({ name }) => `r.${quoteName(name)}`).join(', ')} ` +
        `FROM ${this.target} AS t CROSS JOIN ${this.place.table} AS r ON ${this.#fields.isSame('r', 't')} WHERE ${differs})`,
    );
  }

  /** Inserts the rows that are not there; returns how many. */
  #insert(moved: number): number {
    const count = this.#insertMissing(moved);
    return this.#fresh === undefined ? count : count + this.#insertFresh(this.#fresh);
  }

  #insertMissing(moved: number): number {
    // Every row was there.
    if (moved === 0 && this.updated === this.#count(`SELECT count(*) FROM ${this.target}`)) return 0;
    const insert = this.#insertFrom(this.#fields.all, `${this.target} AS t WHERE ${this.#isMissing()}`);
    return this.#attempt(insert) === undefined ? this.#changes() : this.#insertApart();
  }

  #insertFrom(fields: readonly Field[], from: string): string {
    const names = fields.map(({ name }) => quoteName(name)).join(', ');
    const values = fields.map(({ slot }) => `t.${slot}`).join(', ');
    return `INSERT OR ABORT INTO ${this.place.table}(${names}) SELECT ${values} FROM ${from}`;
  }

  /** Some row is refused: halves of the rows are tried, and halves of these, until each such row is found. */
  #insertApart(): number {
    const keys = this.#fields.key.map(({ slot }) => slot);
    const define = this.#fields.key.map(({ column }, i) => `k${i} ${typeOf(column)}`);
    this.#sql.exec(`CREATE TABLE ${this.#order}(${define.join(', ')})`);
    this.#sql.exec(
      `INSERT INTO ${this.#order} SELECT ${keys.join(', ')} FROM ${this.target} AS t WHERE ${this.#isMissing()}`,
    );
    const joined = keys.map((slot, i) => `t.${slot} = +o.k${i}`).join(' AND ');
    const from = `${this.#order} AS o CROSS JOIN ${this.target} AS t ON ${joined} WHERE o.rowid BETWEEN ?1 AND ?2`;
    const refuse = (at: number, error: DoSQLError): void => {
      const renamed = this.#fields.all.map(({ name, slot }) => `t.${slot} AS ${quoteName(name)}`).join(', ');
      const [key = {}] = this.#readKeys(
        `FROM (SELECT ${renamed} FROM ${this.#order} AS o CROSS JOIN ${this.target} AS t ON ${joined} WHERE o.rowid = ?1) AS r`,
        at,
      );
      this.#refuse(key, error);
    };
    return this.#halve(this.#insertFrom(this.#fields.all, from), this.#order, refuse);
  }

  #insertFresh(fresh: string): number {
    const fields = this.#columns();
    const from = `${fresh} AS t WHERE t.rowid BETWEEN ?1 AND ?2`;
    const renamed = fields.map(({ name, slot }) => `t.${slot} AS ${quoteName(name)}`).join(', ');
    return this.#halve(this.#insertFrom(fields, from), fresh, (at, error) => {
      const { relation } = this.place;
      const isKeyless = relation.primaryKey.length === 0;
      const [key = {}] = isKeyless
        ? [{ rowid: null }]
        : this.#readKeys(`FROM (SELECT ${renamed} FROM ${fresh} AS t WHERE t.rowid = ?1) AS r`, at);
      this.#refuse(key, error);
    });
  }

  #halve(insert: string, numbered: string, refuse: (at: number, error: DoSQLError) => void): number {
    const insertRange = (from: number, to: number): number => {
      if (from > to) return 0;
      const error = this.#attempt(insert, from, to);
      if (error === undefined) return this.#changes();
      if (from === to) {
        refuse(from, error);
        return 0;
      }
      const middle = Math.floor((from + to) / 2);
      return insertRange(from, middle) + insertRange(middle + 1, to);
    };
    return insertRange(1, this.#count(`SELECT count(*) FROM ${numbered}`));
  }

  #refuse(key: RowKeyValues, error: DoSQLError): void {
    this.violations.push(violationOf(this.#shaped(), this.place.relation.name, key, error));
  }

  #readKeys(from: string, ...bindings: Binding[]): RowKeyValues[] {
    return readKeys(this.#sql, this.place.relation, from, ...bindings);
  }

  /** The columns in which some row that is there differs: setting others would write their indexes for nothing. */
  #changed(): Field[] {
    const { compared } = this.#fields;
    const changed: Field[] = [];
    for (let i = 0; i < compared.length; i += MAX_AGGREGATES) {
      const fields = compared.slice(i, i + MAX_AGGREGATES);
      const flagged = fields.map(
        (field) => `max(${differ(field, `r.${quoteName(field.name)}`, `t.${field.slot}`)})`,
      );
      const [flags = []] = all<(number | null)[]>(
        this.#sql,
        `SELECT ${flagged.join(', ')} FROM ${this.target} AS t CROSS JOIN ${this.place.table} AS r ON ${this.#fields.isSame('r', 't')}`,
      );
      changed.push(...fields.filter((_, j) => flags[j] === 1));
    }
    return changed;
  }

  /** All but a rowid that is no column. */
  #columns(): Field[] {
    return this.#fields.all.filter(({ column }) => column !== undefined);
  }

  /** Columns that a unique index or key is about; all where one is about an expression or a part of the rows. */
  #uniqueFields(): readonly Field[] {
    const unique = this.#shaped().indexes.filter(({ isUnique }) => isUnique);
    const isPartial = unique.some(
      ({ columns, sql }) => columns.some(({ name }) => name === undefined) || /\bwhere\b/i.test(sql ?? ''),
    );
    const names = unique.flatMap(({ columns }) => columns.map(({ name }) => name));
    const isNamed = (name: string): boolean =>
      names.some((other) => other !== undefined && sameName(other, name));
    // A generated column changes with what it is made from.
    const isGenerated = this.place.relation.columns.some(
      (column) => column.isGenerated && isNamed(column.name),
    );
    return isPartial || isGenerated ? this.#fields.all : this.#fields.all.filter(({ name }) => isNamed(name));
  }

  #shaped(): TableShape {
    return (this.#shape ??= shapeOf(this.#sql, this.place.relation));
  }

  #isMissing(): string {
    return `NOT EXISTS (SELECT 1 FROM ${this.place.table} AS r WHERE ${this.#fields.isSame('r', 't')})`;
  }

  #run(text: string): number {
    this.#sql.exec(text);
    return this.#changes();
  }

  /** The constraint that `text` fails at; then it has changed nothing. */
  #attempt(text: string, ...bindings: Binding[]): DoSQLError | undefined {
    try {
      this.#sql.exec(text, ...bindings);
      return undefined;
    } catch (error) {
      const failed = sqliteError(error, text, plainNames);
      if (failed.code.startsWith('CONSTRAINT_')) return failed;
      throw failed;
    }
  }

  #changes(): number {
    return this.#count('SELECT changes()');
  }

  #count(query: string): number {
    return all<[number]>(this.#sql, query)[0]?.[0] ?? 0;
  }
}
