import type { TableShape } from '../branch/shape.ts';
import type { DoSQLError, ErrorCode } from '../error.ts';
import { sameName } from '../schema/catalog.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import { nameOf, quoteName, tokenize } from '../sql/token.ts';
import { all } from '../sql/read.ts';
import type { Binding } from '../value/parameter.ts';
import { toValue, type RawValue, type SqlValue } from '../value/row.ts';

/** A row's key: a value for each column of its primary key, or `rowid` for a table without one. */
export type RowKeyValues = Readonly<Record<string, SqlValue>>;

/** A constraint that a row does not satisfy. */
export interface Violation {
  readonly table: string;
  readonly key: RowKeyValues;
  readonly type: 'unique' | 'primary' | 'check' | 'notnull' | 'foreignkey' | 'datatype';
  /** The columns that the constraint is about, where SQLite tells. */
  readonly columns: readonly string[];
  readonly message: string;
}

const TYPES: Partial<Record<ErrorCode, Violation['type']>> = {
  CONSTRAINT_UNIQUE: 'unique',
  CONSTRAINT_CHECK: 'check',
  CONSTRAINT_NOTNULL: 'notnull',
  CONSTRAINT_DATATYPE: 'datatype',
  CONSTRAINT_FOREIGNKEY: 'foreignkey',
};

/** What SQLite said of one row, as a violation. */
export function violationOf(
  shape: TableShape,
  name: string,
  key: RowKeyValues,
  error: DoSQLError,
): Violation {
  const { relation } = shape;
  const isKey = /SQLITE_CONSTRAINT_(?:PRIMARYKEY|ROWID)/.test(String(error.cause));
  const type = isKey ? 'primary' : (TYPES[error.code] ?? 'check');
  return {
    table: name,
    key,
    type,
    columns: columnsNamed(shape, relation, type, error.reason),
    message: error.reason,
  };
}

function columnsNamed(
  shape: TableShape,
  relation: Relation,
  type: Violation['type'],
  message: string,
): string[] {
  const about = message.slice(message.indexOf(': ') + 2);
  const tables = new Set([relation.name, relation.table]);
  const named = (columns: readonly string[]): boolean =>
    [...tables].some((table) => about === columns.map((column) => `${table}.${column}`).join(', '));
  if (type === 'unique' || type === 'primary') {
    const keys = [
      relation.primaryKey.map((id) => columnOf(relation, id).name),
      ...shape.indexes
        .filter(({ isUnique }) => isUnique)
        .map(({ columns }) => columns.map(({ name }) => name ?? '')),
    ];
    return keys.find(named) ?? [];
  }
  const names = relation.columns.map(({ name }) => name);
  if (type !== 'check')
    return names.filter((name) => [...tables].some((table) => about.endsWith(`${table}.${name}`))).slice(-1);
  // An unnamed CHECK is worded by its own text.
  const words = tokenize(about).map((token) => nameOf(about, token));
  return names.filter((name) => words.some((word) => sameName(word, name)));
}

/** The columns by which a row of `relation` is told from others in reports. */
export function reportedKey(relation: Relation): readonly string[] {
  if (relation.primaryKey.length > 0) return relation.primaryKey.map((id) => columnOf(relation, id).name);
  return relation.key.kind === 'rowid' ? [relation.key.name] : [];
}

/** The names under which {@link readKeys} gives the columns of {@link reportedKey}. */
function labels(relation: Relation): readonly string[] {
  return relation.primaryKey.length > 0 ? reportedKey(relation) : ['rowid'];
}

/**
 * The keys of rows of `relation`, exactly; `from` is SQL from FROM on, in which the rows are called `r`.
 */
export function readKeys(
  sql: SqlStorage,
  relation: Relation,
  from: string,
  ...bindings: Binding[]
): RowKeyValues[] {
  const names = reportedKey(relation);
  return readExact(
    sql,
    names.map((name) => `r.${quoteName(name)}`),
    from,
    ...bindings,
  ).map((values) => Object.fromEntries(labels(relation).map((name, i) => [name, values[i] ?? null])));
}

/** Values of SQL expressions, row by row; an integer that no double holds is a bigint. */
export function readExact(
  sql: SqlStorage,
  expressions: readonly string[],
  from: string,
  ...bindings: Binding[]
): SqlValue[][] {
  // The platform gives integers as doubles, so they leave SQLite as text; texts are marked too, to be told from them.
  const marked = expressions.map(
    (value) =>
      `CASE typeof(${value}) WHEN 'integer' THEN 'i' || ${value} WHEN 'text' THEN 't' || ${value} ELSE ${value} END`,
  );
  return all<RawValue[]>(sql, `SELECT ${marked.join(', ')} ${from}`, ...bindings).map((values) =>
    values.map((value) => (typeof value === 'string' ? unmarked(value) : toValue(value))),
  );
}

function unmarked(text: string): SqlValue {
  if (text.startsWith('t')) return text.slice(1);
  const integer = Number(text.slice(1));
  return Number.isSafeInteger(integer) ? integer : BigInt(text.slice(1));
}
