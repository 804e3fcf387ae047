import type { ChangeRow } from '@dotdo/cdc';
import { shapeOf, type TableShape } from '../branch/shape.ts';
import type { Engine } from '../engine.ts';
import { Entries } from '../log/entries.ts';
import { sameName } from '../schema/catalog.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import type { SqlValue } from '../value/row.ts';
import type { ColdFile, ColumnRange } from './manifest.ts';
import { mayFulfil, rangeOf } from './prune.ts';

/** Columns of which no two rows may have the same values: the primary key's, or those of a unique index. */
export interface UniqueKey {
  /** Ids of the columns; -1 for a rowid that is no column. */
  readonly columnIds: readonly number[];
  readonly names: readonly string[];
}

/** Values of a unique key that have been written and that a file may hold, too. */
export interface Clash {
  readonly key: UniqueKey;
  readonly values: readonly SqlValue[];
  readonly files: readonly ColdFile[];
}

/** What of a table's definition matters to those who write it. */
export interface TableKeys {
  readonly unique: readonly UniqueKey[];
  readonly isAutoincrement: boolean;
  readonly hasTriggers: boolean;
}

const known = new WeakMap<Relation, { readonly generation: number; readonly keys: TableKeys }>();

/** The unique keys of a table; asked of SQLite once for each state of the schema. */
export function keysOf(engine: Engine, relation: Relation): TableKeys {
  const { generation } = engine.catalog;
  const before = known.get(relation);
  if (before?.generation === generation) return before.keys;
  const shape = shapeOf(engine.storage.sql, relation);
  const keys = {
    unique: uniqueKeys(relation, shape),
    isAutoincrement: shape.isAutoincrement,
    hasTriggers: shape.triggers.length > 0,
  };
  known.set(relation, { generation, keys });
  return keys;
}

function uniqueKeys(relation: Relation, { indexes }: TableShape): UniqueKey[] {
  const { key } = relation;
  const keys: UniqueKey[] = [];
  if (key.kind === 'primary') keys.push(keyOf(relation, key.columnIds));
  else if (key.columnId === undefined) keys.push({ columnIds: [-1], names: ['rowid'] });
  else keys.push(keyOf(relation, [key.columnId]));
  for (const { isUnique, columns } of indexes) {
    if (!isUnique) continue;
    const ids = columns.flatMap(({ name }) =>
      name === undefined ? [] : (relation.columns.find((column) => sameName(column.name, name))?.id ?? []),
    );
    const known = keys.some(({ columnIds }) => columnIds.join() === ids.join());
    if (ids.length > 0 && !known) keys.push(keyOf(relation, ids));
  }
  return keys;
}

function keyOf(relation: Relation, columnIds: readonly number[]): UniqueKey {
  return { columnIds, names: columnIds.map((id) => columnOf(relation, id).name) };
}

/** What the changes after `lsn` have written that cold rows may have, too. */
export function clashesAfter(
  engine: Engine,
  lsn: number,
  line: number,
  relation: Relation,
  keys: readonly UniqueKey[],
  files: readonly ColdFile[],
): Clash[] {
  const entries = new Entries(engine.storage.sql, engine.log, engine.catalog).where(
    'lsn > ? AND rel IN (SELECT id FROM __dosql_relation WHERE table_id = ? AND branch = ?)',
    [lsn, relation.tableId, line],
    line,
  );
  const clashes: Clash[] = [];
  // Most rows are newer than every file: one look at what all files span is then enough for each.
  const spans = keys.map((key) => ({ key, span: spanOf(key, files) }));
  for (const entry of entries) {
    if (entry.op === 'schema' || entry.op === 'delete') continue;
    const { after, before, key: rowKey } = entry;
    for (const { key, span } of spans) {
      const values = valuesOf(key, after, rowKey);
      if (values === undefined || !isWithin(values, span)) continue;
      // A row that keeps its values clashes with nothing that it did not clash with before.
      if (before !== null && isSame(values, valuesOf(key, before, rowKey))) continue;
      const may = files.filter((file) => mayHold(file, key, values));
      if (may.length > 0) clashes.push({ key, values, files: may });
    }
  }
  return clashes;
}

function valuesOf(
  { columnIds, names }: UniqueKey,
  row: ChangeRow | null,
  rowKey: ChangeRow,
): SqlValue[] | undefined {
  if (row === null) return undefined;
  const values = names.map((name, i) => (columnIds[i] === -1 ? rowKey['rowid'] : row[name]) ?? null);
  return values.includes(null) ? undefined : values;
}

function isSame(a: readonly SqlValue[], b: readonly SqlValue[] | undefined): boolean {
  return b !== undefined && keyText(a) === keyText(b);
}

/** For each column of a key the range of all files; undefined where one says nothing of the column. */
function spanOf({ columnIds }: UniqueKey, files: readonly ColdFile[]): (ColumnRange | undefined)[] {
  return columnIds.map((id) => {
    const ranges = files.flatMap((file) => file.ranges.get(id) ?? []);
    return ranges.length < files.length ? undefined : rangeOf(ranges.flatMap(({ min, max }) => [min, max]));
  });
}

function isWithin(values: readonly SqlValue[], span: readonly (ColumnRange | undefined)[]): boolean {
  return span.every((range, i) =>
    mayFulfil({ column: '', operator: '=', values: [values[i] as SqlValue] }, range),
  );
}

function mayHold(file: ColdFile, { columnIds }: UniqueKey, values: readonly SqlValue[]): boolean {
  // A column that is not in the file was added since, with one default for all: rare, and looked up.
  return isWithin(
    values,
    columnIds.map((id) => file.ranges.get(id)),
  );
}

/** Values as one text, the same only for the same values. */
export function keyText(values: readonly SqlValue[]): string {
  return JSON.stringify(
    values.map((value) => {
      if (value instanceof Uint8Array) return ['b', [...value]];
      // 1 and 1.0 are the same key.
      return typeof value === 'bigint' || typeof value === 'number' ? ['n', String(value)] : value;
    }),
  );
}
