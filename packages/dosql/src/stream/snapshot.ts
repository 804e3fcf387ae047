import type { ChangeRow, ChangeValue, Chunk, SnapshotRow } from '@dotdo/cdc';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import { MAX_COLUMNS } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { isExact, marked, unmarked } from '../value/marked.ts';
import { toValue, type RawValue } from '../value/row.ts';
import type { TableView } from './selection.ts';

/** The rows of a table behind a position, in the order of what the log knows them by; `withCold` adds cold ones. */
export function chunkOf(
  engine: Engine,
  relation: Relation,
  { after, limit }: Chunk,
  view: TableView,
  branch: number | undefined,
  withCold: (hot: ChangeValue[][]) => ChangeValue[][] = (hot) => hot,
): SnapshotRow[] {
  const { key, primaryKey, name, columns } = relation;
  const nameOf = (id: number): string => columnOf(relation, id).name;
  const keys = key.kind === 'rowid' ? [key.name] : key.columnIds.map(nameOf);
  const names = [...keys, ...columns.map((column) => column.name)];
  const hot = readRows(engine, name, keys, names, view.condition ?? 'TRUE', after ?? [], limit, branch);
  const rows = withCold(hot);
  const primary = primaryKey.map(nameOf).filter((column) => !view.hidesKey || view.isWanted(column));
  return rows.map((values) => {
    const position = values.slice(0, keys.length);
    const all = names.slice(keys.length).map((column, i) => [column, values[keys.length + i]] as const);
    return {
      name,
      position,
      key:
        primaryKey.length === 0
          ? record([['rowid', position[0]]])
          : record(primary.map((column) => [column, values[names.indexOf(column, keys.length)]])),
      row: record(all.filter(([column]) => view.isWanted(column))),
    };
  });
}

function readRows(
  engine: Engine,
  table: string,
  keys: readonly string[],
  names: readonly string[],
  condition: string,
  after: readonly ChangeValue[],
  limit: number,
  branch: number | undefined,
): ChangeValue[][] {
  // By the table's own name, which the condition may use.
  const column = (name: string): string => `${quoteName(table)}.${quoteName(name)}`;
  const order = keys.map(column).join(', ');
  const behind = after.length === 0 ? 'TRUE' : `(${order}) > (${after.map(() => '?').join(', ')})`;
  const run = (values: readonly string[]): RawValue[][] => {
    const sql = `SELECT ${values.join(', ')} FROM ${quoteName(table)} WHERE (${condition}) AND ${behind} ORDER BY ${order} LIMIT ${limit}`;
    try {
      return engine.run(engine.statement(sql), after, { branch, isHotOnly: true }).raw;
    } catch (error) {
      // A statement of DoSQL's own fails by the condition in it.
      const { code, reason } = error as DoSQLError;
      throw new DoSQLError(code, `where of table "${table}": ${reason}`);
    }
  };
  // With its key a row may have more columns than a result; the order makes the rows of both halves the same.
  const read = (value: (name: string) => string): RawValue[][] => {
    const rows = run(names.slice(0, MAX_COLUMNS).map(value));
    if (names.length <= MAX_COLUMNS) return rows;
    const rest = run(names.slice(MAX_COLUMNS).map(value));
    return rows.map((row, i) => [...row, ...(rest[i] ?? [])]);
  };
  const raw = read(column);
  if (raw.every((row) => row.every(isExact))) return raw.map((row) => row.map(toValue));
  // Integers that a double cannot hold leave SQLite as marked text.
  return read((name) => marked(column(name))).map((row) => row.map(unmarked));
}

function record(entries: readonly (readonly [string, ChangeValue | undefined])[]): ChangeRow {
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? null]));
}
