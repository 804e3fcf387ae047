import { sameName } from '../schema/catalog.ts';
import { columnOf, type Column, type Relation } from '../schema/relation.ts';
import { quoteName } from '../sql/token.ts';
import { keyColumns, storedColumns } from './place.ts';

/**
 * What tells rows apart: by default the key of the log, which is the rowid for most tables. With `primaryKey`, rows
 * of a rowid table are told apart by the primary key that it declares, which must not be NULL.
 */
export type Match = 'key' | 'primaryKey';

/** A column that is written, and where DoSQL's own tables keep its values meanwhile. */
export interface Field {
  readonly name: string;
  /** Undefined for a rowid that is no column. */
  readonly column: Column | undefined;
  readonly slot: string;
}

/**
 * The columns by which a table's rows are written, and those among them that tell the rows apart.
 *
 * Tables of DoSQL's own hold such rows while a transaction works on them: each column has the affinity of the one
 * that it stands for, so that nothing changes on the way.
 */
export class Fields {
  readonly all: readonly Field[];
  readonly key: readonly Field[];
  /** Those in which two rows with equal keys may differ: of the key, what comparing ignores. */
  readonly compared: readonly Field[];
  /** The key is the rowid, as a column or not. */
  readonly #isRowid: boolean;

  constructor(relation: Relation, match: Match = 'key') {
    const byPrimaryKey = match === 'primaryKey' && relation.primaryKey.length > 0;
    const stored = storedColumns(relation).filter(({ id }) => !byPrimaryKey || id !== undefined);
    this.all = stored.map(({ id, name }, i) => ({
      name,
      column: id === undefined ? undefined : columnOf(relation, id),
      slot: id === undefined ? 'rowid' : `c${i}`,
    }));
    const key = byPrimaryKey ? relation.primaryKey.map((id) => columnOf(relation, id)) : keyColumns(relation);
    this.key = key.map(({ name }) => this.#named(name));
    this.#isRowid = relation.key.kind === 'rowid' && key[0]?.name === relation.key.name;
    this.compared = this.all.filter((field) => {
      if (!this.key.includes(field)) return true;
      return !this.#isRowid && (field.column?.affinity === 'blob' || field.column?.collation !== undefined);
    });
  }

  /** Where the column called `name` is kept; undefined for one that is not. */
  slotOf(name: string): string | undefined {
    return this.all.find((field) => sameName(field.name, name))?.slot;
  }

  /** `CREATE TABLE` for rows. */
  rowsTable(name: string): string {
    const columns = this.all
      .filter(({ column }) => column !== undefined)
      .map((field) => this.#define(field, field.slot));
    const slots = this.key.map(({ slot }) => slot);
    return `CREATE TABLE ${name}(${columns.join(', ')}${this.#primaryKey(slots)}`;
  }

  /** `CREATE TABLE` for keys, each once, in columns k0, k1 and so on. */
  keysTable(name: string): string {
    const columns = this.key.map((field, i) => this.#define(field, `k${i}`));
    return `CREATE TABLE ${name}(${columns.join(', ')}${this.#primaryKey(this.keyNames())}`;
  }

  /** The names of the columns of a table of keys. */
  keyNames(): string[] {
    return this.key.map((_, i) => `k${i}`);
  }

  /** The key of the row `row` of the table itself, as one value. */
  keyOf(row: string): string {
    const names = this.key.map(({ name }) => `${row}.${quoteName(name)}`);
    return names.length === 1 ? (names[0] as string) : `(${names.join(', ')})`;
  }

  /**
   * Whether the row `row` of the table itself has the key of `kept`. The plus keeps SQLite from reading the whole
   * table and looking each of its rows up.
   */
  isSame(row: string, kept: string): string {
    return this.key.map(({ name, slot }) => `${row}.${quoteName(name)} = +${kept}.${slot}`).join(' AND ');
  }

  #define(field: Field, name: string): string {
    if (this.#isRowid && this.key.includes(field)) return `${name} INTEGER PRIMARY KEY`;
    const collation = this.key.includes(field) ? field.column?.collation : undefined;
    return `${name} ${typeOf(field.column)}${collation === undefined ? '' : ` COLLATE ${collation}`}`;
  }

  #primaryKey(names: readonly string[]): string {
    return this.#isRowid ? ')' : `, PRIMARY KEY(${names.join(', ')})) WITHOUT ROWID`;
  }

  #named(name: string): Field {
    const field = this.all.find((field) => field.name === name);
    if (field === undefined) throw new Error(`the key column ${name} is not written`);
    return field;
  }
}

/** A declared type with the affinity of `column`; a rowid's when there is none. */
export function typeOf(column: Column | undefined): string {
  if (column === undefined) return 'INTEGER';
  return column.affinity === 'blob' ? '' : column.affinity.toUpperCase();
}

/** Whether two values of a column are not the same, by what is stored and not by what compares equal. */
export function differ({ column }: Field, a: string, b: string): string {
  const differs = `${a} IS NOT ${b} COLLATE BINARY`;
  return column?.affinity === 'blob' ? `(typeof(${a}) <> typeof(${b}) OR ${differs})` : `(${differs})`;
}
