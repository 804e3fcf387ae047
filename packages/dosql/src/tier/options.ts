import { DoSQLError } from '../error.ts';
import { durationMs } from '../value/duration.ts';
import { sameName } from '../schema/catalog.ts';
import type { Column, Relation } from '../schema/relation.ts';
import { describe } from '../value/parameter.ts';
import { icebergPolicy, type IcebergOptions, type IcebergPolicy } from './iceberg-options.ts';

/** Into how long stretches of time cold rows are cut: each is a file, or a few. */
export type Partition = 'hour' | 'day' | 'month' | 'year';

/** How a table's old rows become cold. */
export interface TierOptions {
  /**
   * The column that tells how old a row is: ISO 8601 text or SQLite's own (`2026-01-31 12:00:00`), or seconds or
   * milliseconds since the epoch. Rows in which it is anything else stay hot.
   */
  readonly column: string;
  /** Rows younger than this stay hot: `'24h'`, or ms. */
  readonly hotFor: string | number;
  /** `'day'` by default. */
  readonly partition?: Partition | undefined;
  /**
   * Columns by whose values files are cut as well: each has rows of one value. Of columns with few values, for a stretch
   * of time with more than 100 is not cut.
   */
  readonly partitionBy?: readonly string[] | undefined;
  /** How rows are sorted in a file, which makes conditions on these columns read less. By default by `column`. */
  readonly sortBy?: readonly string[] | undefined;
  /** Rows older than this are deleted, a whole partition at a time. By default none is. */
  readonly expireAfter?: string | number | undefined;
  /** What is kept of rows that expire: the rows of `select`, which reads the table, go into the table `into`. */
  readonly rollup?: { readonly into: string; readonly select: string } | undefined;
  /**
   * The table's cold rows in the cold store are an Apache Iceberg table, too, which others can read; `true` for readers
   * that take a table from where they find it.
   */
  readonly iceberg?: true | IcebergOptions | undefined;
}

/** The options as they are kept: with what is there by default, and in ms. */
export interface TierPolicy {
  readonly column: string;
  readonly hotForMs: number;
  readonly partition: Partition;
  readonly partitionBy?: readonly string[] | undefined;
  readonly sortBy: readonly string[];
  readonly expireAfterMs: number | undefined;
  readonly rollup: { readonly into: string; readonly select: string } | undefined;
  readonly iceberg?: IcebergPolicy | undefined;
}

const PARTITIONS: readonly Partition[] = ['hour', 'day', 'month', 'year'];
/** More would not fit into a path. */
const MAX_PARTITION_COLUMNS = 4;

/**
 * The policy that `options` of the table `table` ask for.
 *
 * @throws DoSQLError `BAD_PARAMETER`
 */
export function policyOf(table: string, options: TierOptions): TierPolicy {
  const refuse = (name: string, value: unknown, wanted: string): never => {
    throw new DoSQLError('BAD_PARAMETER', `tiers.${table}.${name} is ${describe(value)}: give ${wanted}`);
  };
  const { column, hotFor, partition = 'day', partitionBy, sortBy = [], expireAfter, rollup } = options;
  if (typeof column !== 'string') refuse('column', column, 'the name of a column that tells the time');
  if (!PARTITIONS.includes(partition)) refuse('partition', partition, PARTITIONS.join(', '));
  const isColumns = (value: unknown): boolean =>
    Array.isArray(value) && value.every((name) => typeof name === 'string');
  if (partitionBy !== undefined) {
    if (!isColumns(partitionBy) || partitionBy.length > MAX_PARTITION_COLUMNS)
      refuse('partitionBy', partitionBy, `an array of at most ${MAX_PARTITION_COLUMNS} columns`);
    partitionBy.forEach((name, i) => {
      if ([column, ...partitionBy.slice(0, i)].some((other) => sameName(other, name)))
        refuse('partitionBy', partitionBy, `each column once, and not "${column}", which tells the time`);
    });
  }
  if (!isColumns(sortBy)) refuse('sortBy', sortBy, 'an array of columns');
  const hotForMs = durationMs(hotFor, `tiers.${table}.hotFor`);
  const expireAfterMs =
    expireAfter === undefined ? undefined : durationMs(expireAfter, `tiers.${table}.expireAfter`);
  if (expireAfterMs !== undefined && expireAfterMs <= hotForMs)
    refuse('expireAfter', expireAfter, `more than hotFor, which is ${describe(hotFor)}`);
  if (rollup !== undefined && expireAfterMs === undefined)
    refuse('rollup', 'set', 'expireAfter with it: a rollup is made of rows that expire');
  if (rollup !== undefined && (typeof rollup.into !== 'string' || typeof rollup.select !== 'string'))
    refuse('rollup', rollup, '{ into, select }');
  const iceberg = icebergPolicy(options.iceberg, `tiers.${table}.iceberg`);
  return { column, hotForMs, partition, partitionBy, sortBy, expireAfterMs, rollup, iceberg };
}

/** The names of the columns that a table is tiered by. */
export function tieredBy({ column, partitionBy = [], sortBy }: TierPolicy): string[] {
  return [column, ...partitionBy, ...sortBy];
}

/** The columns that files are cut by, besides time. */
export function partitionColumns(
  { columns }: Pick<Relation, 'columns'>,
  { partitionBy = [] }: Pick<TierPolicy, 'partitionBy'>,
): Column[] {
  return partitionBy.flatMap((name) => columns.find((column) => sameName(column.name, name)) ?? []);
}
