/**
 * A table's cold rows as an Iceberg table: its columns, its partitions and what of each file is told. Files of an Iceberg
 * table have one schema, so each column has the type that its declaration asks for; what does not fit is in the
 * column's companion, which Iceberg does not know, and NULL for others.
 */
import type { Engine } from '../engine.ts';
import type { NewPartition } from '../iceberg/change.ts';
import { icebergType, type ColumnStats, type DataFile } from '../iceberg/data-file.ts';
import { transformed, type IcebergValue } from '../iceberg/values.ts';
import { parseIso } from '../scan/parquet/write-iso.ts';
import type { WriteColumn } from '../scan/parquet/write-schema.ts';
import { storedType } from '../scan/parquet/write-sqlite-column.ts';
import type { StoredAs } from '../scan/parquet/write-sqlite.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { all } from '../sql/read.ts';
import type { SqlValue } from '../value/row.ts';
import { addedValues } from './defaults.ts';
import type { ColdFile, ColumnRange } from './manifest.ts';
import { partitionColumns, type Partition, type TierPolicy } from './options.ts';

/** How files of an Iceberg table are written. */
export interface FileLayout {
  /** How each column is stored, by its id, which Iceberg knows it by, too. */
  readonly stored: ReadonlyMap<number, StoredAs>;
  /** What columns have in rows of files from before there were these columns. */
  readonly added: ReadonlyMap<number, SqlValue>;
}

/** From the longest stretch of time to the shortest, with the length of its names. */
const STRETCHES: readonly (readonly [Partition, length: number])[] = [
  ['year', 4],
  ['month', 7],
  ['day', 10],
  ['hour', 13],
];
const LEAST_LONG = -(2n ** 63n);
const MOST_LONG = 2n ** 63n - 1n;

/** How files of the table are written. `timeId` is the column whose ISO text is stored as instants. */
export function layoutOf(engine: Engine, relation: Relation, timeId: number | undefined): FileLayout {
  const types = new Map(
    all<[string, string]>(engine.storage.sql, 'SELECT name, type FROM pragma_table_xinfo(?)', relation.table),
  );
  const stored = new Map(
    relation.columns.map((column) => [
      column.id,
      column.id === timeId ? 'iso' : storedAs(column, types.get(column.name) ?? ''),
    ]),
  );
  return { stored, added: addedValues(engine, relation) };
}

/** What most values of a column are, by its declared type. A column without one may have anything: mostly text. */
function storedAs({ affinity }: Column, type: string): StoredAs {
  switch (affinity) {
    case 'integer':
    case 'real':
    case 'text':
      return affinity;
    case 'numeric':
      return /DATE|TIME/i.test(type) ? 'text' : 'number';
    default:
      return /BLOB/i.test(type) ? 'blob' : 'text';
  }
}

/** Whether others read a file as it is to be read, at most without columns that have been added since. */
export function isReadable(file: ColdFile, { stored }: FileLayout): boolean {
  const isOfIceberg = file.columns.some((column) => column.stored !== undefined);
  return (
    isOfIceberg &&
    file.goneCount === 0 &&
    [...stored].every(([id, as]) => {
      const column = file.columns.find((one) => one.id === id);
      return column === undefined || column.stored === as;
    })
  );
}

/** Whether a file has all that others are to read of it. */
export function isFit(file: ColdFile, layout: FileLayout): boolean {
  const isWhole = [...layout.stored.keys()].every(
    (id) => (layout.added.get(id) ?? null) === null || file.columns.some((column) => column.id === id),
  );
  return isWhole && isReadable(file, layout);
}

/** Where a file tells of itself what its columns are in Iceberg. */
export const SCHEMA_KEY = 'iceberg.schema';

/** The columns of a file that have an id in Iceberg, as its schema in JSON. */
export function schemaText(columns: readonly WriteColumn[]): string {
  const fields = columns.flatMap((column) => {
    const { name, fieldId } = column;
    return fieldId === undefined ? [] : [{ id: fieldId, name, required: false, type: icebergType(column) }];
  });
  return JSON.stringify({ type: 'struct', 'schema-id': 0, fields });
}

/** The columns of the Iceberg table. */
export function icebergColumns(relation: Relation, { stored }: FileLayout): WriteColumn[] {
  return relation.columns.map(({ id, name }) => ({
    ...storedType(stored.get(id) as StoredAs),
    name,
    fieldId: id,
  }));
}

/**
 * The partitions of the Iceberg table: the columns that all files are cut by, and the longest stretches of time that
 * there are files of. No time where the column that tells it has no type of time.
 */
export function icebergPartitions(
  relation: Relation,
  time: Column | undefined,
  policy: Pick<TierPolicy, 'partition' | 'partitionBy'>,
  files: readonly ColdFile[],
): NewPartition[] {
  const cut = partitionColumns(relation, policy)
    .filter(({ id }) => files.every((file) => valueIn(file, id) !== undefined))
    .map(({ name }): NewPartition => ({ column: name, transform: 'identity', name }));
  return time === undefined ? cut : [...cut, timePartition(relation, time, policy.partition, files)];
}

function timePartition(
  relation: Relation,
  time: Column,
  partition: Partition,
  files: readonly ColdFile[],
): NewPartition {
  const names = [...files.map((file) => file.partition.length), lengthOf(partition)];
  const shortest = Math.min(...names);
  const [transform] = STRETCHES.find(([, length]) => length === shortest) ?? [partition];
  let name = `${time.name}_${transform}`;
  while (relation.columns.some((column) => column.name === name)) name += '_';
  return { column: time.name, transform, name };
}

/** The value that a file was cut by in a column. */
function valueIn({ columns }: ColdFile, id: number): SqlValue | undefined {
  return columns.find((column) => column.id === id)?.value;
}

function lengthOf(partition: Partition): number {
  return STRETCHES.find(([one]) => one === partition)?.[1] ?? 0;
}

/** A file as one of the Iceberg table with these partitions. `uri` is that of the cold store. */
export function icebergFile(
  file: ColdFile,
  relation: Relation,
  { stored }: FileLayout,
  partitions: readonly NewPartition[],
  uri: string,
): DataFile {
  // In a URL the percent sign of a path is encoded itself.
  const path = /^https?:/i.test(uri) ? file.path.replaceAll('%', '%25') : file.path;
  return {
    path: `${uri}/${path}`,
    format: 'parquet',
    recordCount: file.rows,
    sizeBytes: file.sizeBytes,
    partition: Object.fromEntries(
      partitions.flatMap(({ column, transform, name = column }) => {
        if (transform !== 'identity')
          return [[name, transformed(transform, 'timestamptz', startOf(file.partition))]];
        const id = relation.columns.find((one) => one.name === column)?.id ?? -1;
        const value = cutValue(stored.get(id) as StoredAs, valueIn(file, id) ?? null);
        return value === undefined ? [] : [[name, value]];
      }),
    ),
    columns: relation.columns.flatMap(({ id, name }) => {
      const range = file.ranges.get(id);
      return range === undefined ? [] : [{ name, ...bounds(stored.get(id) as StoredAs, range) }];
    }),
  };
}

/** When the partition called `name` begins, in microseconds. */
function startOf(name: string): bigint {
  const rest = { 4: '-01-01', 7: '-01', 10: '', 13: ':00:00Z' }[name.length] ?? '';
  return BigInt(Date.parse(name + rest)) * 1_000n;
}

/** What others read where a row has `value`; undefined where the column's type has no room for it. */
function cutValue(stored: StoredAs, value: SqlValue): IcebergValue | undefined {
  const isWhole = typeof value !== 'number' || (Number.isInteger(value) && Math.abs(value) <= 2 ** 53);
  if (stored === 'integer' && !isWhole) return undefined;
  if (stored === 'number' && typeof value === 'bigint') return undefined;
  return bound(stored, value, Math.floor);
}

/** What the values of a column in a file are at least and at most, of those that the column's type has room for. */
function bounds(stored: StoredAs, { min, max }: ColumnRange): Pick<ColumnStats, 'lower' | 'upper'> {
  return { lower: bound(stored, min, Math.floor), upper: bound(stored, max, Math.ceil) };
}

function bound(
  stored: StoredAs,
  value: SqlValue,
  rounded: (value: number) => number,
): IcebergValue | undefined {
  if (typeof value === 'string') {
    if (stored === 'text') return value;
    const instant = stored === 'iso' ? parseIso(value) : Number.NaN;
    return Number.isNaN(instant) ? undefined : BigInt(instant) * 1_000n;
  }
  if (value instanceof Uint8Array) return stored === 'blob' ? value : undefined;
  if (value === null) return undefined;
  if (stored === 'real' || stored === 'number') return Number(value);
  if (stored !== 'integer') return undefined;
  if (typeof value === 'bigint') return value;
  if (!Number.isFinite(value)) return value < 0 ? LEAST_LONG : MOST_LONG;
  const whole = BigInt(rounded(value));
  return whole < LEAST_LONG ? LEAST_LONG : whole > MOST_LONG ? MOST_LONG : whole;
}
