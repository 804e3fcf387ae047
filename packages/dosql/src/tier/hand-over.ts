import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { OP } from '../schema/capture.ts';
import { Budget } from '../scan/budget.ts';
import type { RangeFile } from '../scan/file.ts';
import { openParquet } from '../scan/parquet/index.ts';
import { createParquetWriter } from '../scan/parquet/write.ts';
import { sqliteColumns } from '../scan/parquet/write-sqlite.ts';
import { keyExpressions } from '../schema/capture.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { all, first } from '../sql/read.ts';
import { quoteName } from '../sql/token.ts';
import { marked, unmarked } from '../value/marked.ts';
import type { RawValue, SqlValue } from '../value/row.ts';
import { boundary, hasForm, LEAST_MS, stretchOf, timeForm, type Stretch, type TimeForm } from './age.ts';
import { withoutTriggers } from './bring-back.ts';
import { keyText } from './clashes.ts';
import { ROW_COLUMN, ROWID_COLUMN } from './cold-table.ts';
import type { ColdFile, FileColumn, Manifest, NewFile, TieredTable } from './manifest.ts';
import { partitionColumns, type TierPolicy } from './options.ts';
import { localPath, pathOf, type Places } from './places.ts';
import { SCHEMA_KEY, schemaText, type FileLayout } from './iceberg-layout.ts';
import { compareValues, rangeOf } from './prune.ts';
import { readExact } from './rows.ts';
import { StoredTable } from './stored-table.ts';
import { valueAt } from './vectors.ts';

/** Rows that are to become one cold file, as they were at one moment. */
export interface Leaving {
  readonly relation: Relation;
  readonly partition: string;
  /** The log's end then. */
  readonly lsn: number;
  readonly columns: readonly FileColumn[];
  readonly rows: SqlValue[][];
  /** The key of each row: see {@link Relation.key}. */
  readonly keys: readonly SqlValue[][];
}

/** The rows of a stretch of time with more values than this are not cut by them: each would be a file. */
const MAX_PARTS = 100;
/** Longer values are not kept beside a file. */
const LARGE = 1_000;

/**
 * The next rows of a table that are old enough to leave, of one stretch of time, at most `limit`, by the files that they
 * are to be in.
 *
 * @throws DoSQLError `FORBIDDEN` for rows that have to stay
 */
export function leaving(
  engine: Engine,
  relation: Relation,
  { policy, files }: Pick<TieredTable, 'policy' | 'files'>,
  limit: number,
): Leaving[] {
  const time = `t.${quoteName(policy.column)}`;
  const from = `FROM main.${quoteName(relation.table)} AS t`;
  const fixed = stays(relation);
  const found = nextStretch(engine, from, time, fixed, policy);
  if (found === undefined) return [];
  const { stretch, form } = found;
  const { key } = relation;
  const rowid = key.kind === 'rowid' && key.columnId === undefined;
  const columns: FileColumn[] = [
    ...(rowid ? [{ id: -1, name: ROWID_COLUMN }] : []),
    ...relation.columns.map(({ id, name }) => ({ id, name })),
  ];
  const values = columns.map(
    ({ id, name }) => `t.${quoteName(id === -1 && key.kind === 'rowid' ? key.name : name)}`,
  );
  const cutBy = partitionColumns(relation, policy);
  const order = [
    // So that the limit cuts few files short.
    ...[...cutBy.map(({ name }) => name), ...policy.sortBy].map((name) => `t.${quoteName(name)}`),
    time,
    ...keyExpressions(relation, 't'),
  ];
  const rows = readExact(
    engine,
    values,
    `${from} WHERE ${time} >= ? AND ${time} < ? AND ${hasForm(time, form)} AND ${fixed} ORDER BY ${order.join(', ')} LIMIT ${limit}`,
    [stretch.from, stretch.to],
  );
  const keyIds = key.kind === 'rowid' ? [key.columnId ?? -1] : key.columnIds;
  const places = keyIds.map((id) => columns.findIndex((column) => column.id === id));
  const keys = rows.map((row) => places.map((at) => row[at] as SqlValue));
  assertText(engine, relation, columns, rows, keys);
  const left = { relation, partition: stretch.name, lsn: engine.log.end(), columns, rows, keys };
  return cutUp(left, cutBy, files);
}

/** The rows by the files that they are to be in; one file where there would be too many. */
function cutUp(left: Leaving, cutBy: readonly Column[], files: readonly ColdFile[]): Leaving[] {
  const { partition, columns, rows, keys } = left;
  if (rows.length === 0) return [];
  const cuts = cutBy.map(({ id }) => columns.findIndex((column) => column.id === id));
  const parts = Map.groupBy(rows.keys(), (i) => keyText(cuts.map((at) => rows[i]?.[at] ?? null)));
  const known = files
    .filter((file) => file.partition === partition)
    .map((file) => keyText(cutBy.map(({ id }) => file.columns.find((one) => one.id === id)?.value ?? null)));
  if (new Set([...parts.keys(), ...known]).size > MAX_PARTS) return [left];
  return [...parts.values()].map((places) => {
    const part = {
      rows: places.map((i) => rows[i] as SqlValue[]),
      keys: places.map((i) => keys[i] as SqlValue[]),
    };
    const cutColumns = columns.map((column, at) => {
      const value = part.rows[0]?.[at] ?? null;
      return cuts.includes(at) && !isLarge(value) ? { ...column, value } : column;
    });
    return { ...left, ...part, columns: cutColumns };
  });
}

/**
 * Text that is not UTF-8 is read as other text than it is, and would come back so. Where the sign stands that the
 * platform puts in its place, SQLite is asked whether it is the row's own.
 */
function assertText(
  { storage }: Engine,
  relation: Relation,
  columns: readonly FileColumn[],
  rows: readonly SqlValue[][],
  keys: readonly SqlValue[][],
): void {
  const { key, name, table } = relation;
  const names =
    key.kind === 'rowid' ? [quoteName(key.name)] : keyExpressions(relation, '').map((text) => text.slice(1));
  rows.forEach((row, i) => {
    row.forEach((value, c) => {
      if (typeof value !== 'string' || !value.includes('\uFFFD')) return;
      const column = columns[c]?.name ?? '';
      const same = all(
        storage.sql,
        `SELECT 1 FROM main.${quoteName(table)} WHERE ${names.map(isKey(keys[i] as SqlValue[])).join(' AND ')} AND ${quoteName(column)} = ? COLLATE BINARY`,
        ...(keys[i] as SqlValue[]).map(keyBinding),
        value,
      );
      if (same.length === 0)
        throw new DoSQLError(
          'FORBIDDEN',
          `a row of "${name}" stays, and others of its age with it: "${column}" has text that is not UTF-8, which a file could not give back; write it anew, or as a BLOB`,
        );
    });
  });
}

/** A condition for a key's value. Without the affinity of the column, of which a key may have none, a text would not be the integer. */
function isKey(key: readonly SqlValue[]): (name: string, i: number) => string {
  return (name, i) => `${name} = ${typeof key[i] === 'bigint' ? 'CAST(? AS INTEGER)' : '?'}`;
}

function keyBinding(value: SqlValue): SqlStorageValue | Uint8Array {
  return typeof value === 'bigint' ? String(value) : value;
}

/** SQL for the condition that a row may leave. */
function stays({ key, columns, table }: Relation): string {
  const conditions = columns
    .filter(({ affinity }) => affinity === 'blob')
    // In a column of no affinity 5.0 is another value than 5, which they would not be any more as numbers.
    .map(({ name }) => {
      const value = `t.${quoteName(name)}`;
      return `NOT (typeof(${value}) = 'real' AND ${value} = round(${value}))`;
    });
  // SQLite gives the rowid after the highest that it sees.
  if (key.kind === 'rowid')
    conditions.push(
      `t.${quoteName(key.name)} <> (SELECT max(${quoteName(key.name)}) FROM main.${quoteName(table)})`,
    );
  return conditions.length === 0 ? 'TRUE' : conditions.join(' AND ');
}

/** The oldest partition that has ended long enough ago and has rows. */
function nextStretch(
  engine: Engine,
  from: string,
  time: string,
  fixed: string,
  { hotForMs, partition }: TierPolicy,
): { stretch: Stretch; form: TimeForm } | undefined {
  const until = engine.nowMs() - hotForMs;
  let earliest: { stretch: Stretch; form: TimeForm } | undefined;
  // Both forms of text in one search: in the order of the times, the first of either comes at once.
  const searches = [['T', ' '], ['s'], ['ms']] as const;
  for (const forms of searches) {
    const [first] = forms;
    const to = boundary(until, first, partition);
    // Where times are seconds, none of them needs to be looked at for being no ms.
    const least = first === 'ms' ? `${time} >= ${LEAST_MS} AND ` : '';
    const rows = readExact(
      engine,
      [time],
      `${from} WHERE ${least}${time} < ? AND (${forms.map((each) => hasForm(time, each)).join(' OR ')}) AND ${fixed} ORDER BY ${time} LIMIT 1`,
      [to],
    );
    const value = rows[0]?.[0];
    const form = value === undefined ? undefined : timeForm(value);
    if (value === undefined || form === undefined) continue;
    const stretch = stretchOf(value, form, partition);
    // Text of the other form than the one that was searched by may be younger.
    if (compareValues(stretch.to, boundary(until, form, partition)) > 0) continue;
    if (earliest === undefined || stretch.name < earliest.stretch.name) earliest = { stretch, form };
  }
  return earliest;
}

/** A file of rows. */
export interface Written {
  readonly bytes: Uint8Array;
  readonly file: Omit<NewFile, 'path' | 'place' | 'etag'>;
}

/**
 * The file of the rows, read back and compared with them, value by value. `layout` is that of an Iceberg table's files.
 *
 * @throws DoSQLError `CORRUPT_FILE` when it does not hold just these rows.
 */
export async function fileOf(
  {
    relation,
    partition,
    lsn,
    columns,
    rows,
  }: Pick<Leaving, 'relation' | 'partition' | 'lsn' | 'columns' | 'rows'>,
  sortBy: readonly string[],
  layout?: FileLayout,
): Promise<Written> {
  const gathered = sqliteColumns([
    ...columns.map(({ id, name }) => ({
      name,
      affinity: relation.columns.find((column) => column.id === id)?.affinity ?? ('integer' as const),
      stored: layout?.stored.get(id),
      fieldId: layout?.stored.has(id) === true ? id : undefined,
    })),
    { name: ROW_COLUMN, affinity: 'integer' as const },
  ]);
  gathered.add(numbered(rows));
  const { columns: written, vectors, keyValue } = gathered.finish();
  const writer = createParquetWriter({
    columns: written,
    keyValue: layout === undefined ? keyValue : { ...keyValue, [SCHEMA_KEY]: schemaText(written) },
    sortedBy: sortBy.map((column) => ({ column })),
  });
  writer.write(vectors);
  const bytes = joined(writer.finish());
  await verify(bytes, columns, rows);
  const ranges = new Map(
    columns.flatMap(({ id }, i) => {
      const range = rangeOf(rows.map((row) => row[i] as SqlValue));
      return isLarge(range.min) || isLarge(range.max) ? [] : [[id, range] as const];
    }),
  );
  const { tableId } = relation;
  const stored = columns.map((column) => ({ ...column, stored: layout?.stored.get(column.id) }));
  return {
    bytes,
    file: { tableId, partition, rows: rows.length, sizeBytes: bytes.length, lsn, columns: stored, ranges },
  };
}

function* numbered(rows: readonly SqlValue[][]): Generator<SqlValue[]> {
  for (const [i, row] of rows.entries()) yield [...row, i];
}

function isLarge(value: SqlValue): boolean {
  return (typeof value === 'string' || value instanceof Uint8Array) && value.length > LARGE;
}

async function verify(
  bytes: Uint8Array,
  columns: readonly FileColumn[],
  rows: readonly SqlValue[][],
): Promise<void> {
  const file: RangeFile = {
    name: 'the file of cold rows',
    size: bytes.length,
    etag: crypto.randomUUID(),
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
  const budget = new Budget({ bytes: Infinity, decodedBytes: Infinity });
  const table = new StoredTable(await openParquet(file, budget), file.name);
  const names = columns.map(({ name }) => name);
  let at = 0;
  for await (const batch of table.scan({ columns: [...names, ROW_COLUMN], conditions: [], budget })) {
    const vectors = names.map((name) => batch.column(name));
    const types = names.map((name) => table.columns.find((column) => column.name === name)?.type);
    const numbers = batch.column(ROW_COLUMN);
    for (let i = 0; i < batch.rowCount; i++, at++) {
      const row = rows[at];
      const isRight =
        row !== undefined &&
        valueAt(numbers, i) === at &&
        vectors.every((vector, c) => isSame(valueAt(vector, i, types[c]), row[c] as SqlValue));
      if (!isRight) throw new DoSQLError('CORRUPT_FILE', `row ${at} of a file of cold rows is not as it was`);
    }
  }
  if (at !== rows.length)
    throw new DoSQLError('CORRUPT_FILE', `a file of cold rows has ${at} rows, not ${rows.length}`);
}

function isSame(a: SqlValue, b: SqlValue): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array)
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
  return Object.is(a, b);
}

/** Some bytes behind one another. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * Makes the rows cold, in one transaction: puts their files down in the object's own file store, notes them and deletes
 * the rows. Rows that have changed since they were read stay, and count as gone from their file. Returns how many have
 * left, and in how many files.
 */
export function handOver(
  engine: Engine,
  manifest: Manifest,
  { local }: Places,
  policy: TierPolicy,
  parts: readonly { readonly left: Leaving; readonly written: Written }[],
): { rows: number; files: number } {
  const [first] = parts;
  if (first === undefined) return { rows: 0, files: 0 };
  const { relation, lsn, partition } = first.left;
  const { sql } = engine.storage;
  return engine.atomically(() => {
    const changed = changedKeys(engine, relation, lsn);
    const leave: SqlValue[][] = [];
    let files = 0;
    for (const { left, written } of parts) {
      const gone: number[] = [];
      left.keys.forEach((key, i) => {
        if (changed.has(keyText(key))) gone.push(i);
        else leave.push(key);
      });
      if (gone.length === left.keys.length) continue;
      const path = pathOf(relation, policy, written.file);
      const { etag } = local.writeSync(localPath(path), written.bytes, { ifAbsent: true });
      manifest.add({ ...written.file, path, place: 'local', etag }, gone);
      files++;
    }
    if (leave.length === 0) return { rows: 0, files: 0 };
    withoutTriggers(engine, relation.table, () => {
      const before = totalChanges(sql);
      deleteKeys(sql, relation, leave);
      const deleted = totalChanges(sql) - before;
      if (deleted !== leave.length)
        throw new DoSQLError(
          'FORBIDDEN',
          `${leave.length} rows of "${relation.name}" that were to leave, of the partition ${partition}, are ${deleted} by their keys: they stay`,
        );
    });
    assertHighestStays(sql, relation, leave);
    return { rows: leave.length, files };
  });
}

/** Keys of rows that have changed after `lsn`, or of which the log has an image since. */
export function changedKeys(engine: Engine, relation: Relation, lsn: number): Set<string> {
  const keys = new Set<string>();
  for (const version of engine.catalog.versions(relation.tableId))
    for (const key of logKeys(engine, version, lsn, Infinity, [OP.insert, OP.rewrite]))
      keys.add(keyText(key));
  return keys;
}

/** Keys in the log's rows of one version after `after` and up to `to`, of kinds from the first of `ops` to the second. */
export function logKeys(
  engine: Engine,
  { id, key, layout }: Relation,
  after: number,
  to: number,
  [least, most]: readonly [number, number],
): SqlValue[][] {
  const names =
    key.kind === 'rowid'
      ? ['k']
      : key.columnIds.map((of) => layout.slots.find(({ columnId }) => columnId === of)?.name ?? 'NULL');
  return all<RawValue[]>(
    engine.storage.sql,
    `SELECT DISTINCT ${names.map(marked).join(', ')} FROM __dosql_log WHERE lsn > ? AND lsn <= ? AND rel = ? AND op BETWEEN ${least} AND ${most}`,
    after,
    Math.min(to, Number.MAX_SAFE_INTEGER),
    id,
  ).map((row) => row.map(unmarked));
}

function deleteKeys(sql: SqlStorage, relation: Relation, keys: readonly SqlValue[][]): void {
  const { key } = relation;
  const table = `main.${quoteName(relation.table)}`;
  if (key.kind === 'rowid') {
    // Integers are written out, so that a double does not round them.
    const list = `[${keys.map(([rowid]) => String(rowid)).join()}]`;
    sql.exec(`DELETE FROM ${table} WHERE ${quoteName(key.name)} IN (SELECT value FROM json_each(?))`, list);
    return;
  }
  const names = keyExpressions(relation, '').map((name) => name.slice(1));
  for (const row of keys)
    sql.exec(`DELETE FROM ${table} WHERE ${names.map(isKey(row)).join(' AND ')}`, ...row.map(keyBinding));
}

function totalChanges(sql: SqlStorage): number {
  return first<[number]>(sql, 'SELECT total_changes()')?.[0] ?? 0;
}

/** The row with the highest rowid may have been deleted since the rows were read. */
function assertHighestStays(sql: SqlStorage, { key, table }: Relation, left: readonly SqlValue[][]): void {
  if (key.kind !== 'rowid') return;
  const [row] = all<[number | null]>(sql, `SELECT max(${quoteName(key.name)}) FROM main.${quoteName(table)}`);
  const highest = left.reduce((most, [rowid]) => Math.max(most, Number(rowid)), -Infinity);
  if ((row?.[0] ?? -Infinity) < highest)
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      'the newest row was deleted meanwhile: the next pass goes on',
    );
}
