import type { FileSummary } from '../scan/parquet/write.ts';
import type { WriteColumn } from '../scan/parquet/write-schema.ts';
import type { StatValue } from '../scan/parquet/write-stats.ts';
import { DoSQLError } from '../error.ts';
import type { IcebergType } from './metadata.ts';
import type { IcebergValue } from './values.ts';

/** What a file's column holds. */
export interface ColumnStats {
  readonly name: string;
  readonly sizeBytes?: number | undefined;
  /** NULLs included. */
  readonly valueCount?: number | undefined;
  readonly nullCount?: number | undefined;
  readonly nanCount?: number | undefined;
  readonly lower?: IcebergValue | undefined;
  readonly upper?: IcebergValue | undefined;
}

/** A Parquet file with rows of a table. Its columns have the table's ids (`fieldId`). */
export interface DataFile {
  /** From the table's folder on, or a whole URI. */
  readonly path: string;
  readonly format: 'parquet';
  readonly recordCount: number;
  readonly sizeBytes: number;
  /** By name of the partition field: what all its rows have there. A field that is left out is NULL. */
  readonly partition?: Readonly<Record<string, IcebergValue | null>> | undefined;
  readonly columns?: readonly ColumnStats[] | undefined;
  readonly splitOffsets?: readonly number[] | undefined;
}

/**
 * The type that a column has in Iceberg.
 *
 * @throws DoSQLError `BAD_PARAMETER` for times that Iceberg has not
 */
export function icebergType({ name, type, unit = 'ms', isUtc = true }: WriteColumn): IcebergType {
  switch (type) {
    case 'int32':
      return 'int';
    case 'int64':
      return 'long';
    case 'utf8':
      return 'string';
    case 'timestamp':
      if (unit === 'ns') throw unknownUnit(name, type, unit);
      return isUtc ? 'timestamptz' : 'timestamp';
    case 'time':
      if (unit !== 'us') throw unknownUnit(name, type, unit);
      return 'time';
    default:
      return type;
  }
}

function unknownUnit(name: string, type: string, unit: string): DoSQLError {
  return new DoSQLError(
    'BAD_PARAMETER',
    `column ${name} is ${type} in ${unit}, Iceberg has us: write it with that`,
  );
}

/** What a writer of the file found out about it. */
export function dataFile(
  path: string,
  columns: readonly WriteColumn[],
  summary: FileSummary,
  partition?: DataFile['partition'],
): DataFile {
  return {
    path,
    format: 'parquet',
    recordCount: summary.rowCount,
    sizeBytes: summary.sizeBytes,
    partition,
    splitOffsets: summary.splitOffsets,
    columns: summary.columns.map((stats, i) => {
      const { name, sizeBytes, valueCount, nullCount, nanCount, min, max } = stats;
      const column = columns[i] as WriteColumn;
      return {
        name,
        sizeBytes,
        valueCount,
        nullCount,
        nanCount: column.type === 'double' ? nanCount : undefined,
        lower: icebergValue(column, min),
        upper: icebergValue(column, max),
      };
    }),
  };
}

/** Times in microseconds. */
function icebergValue(
  { type, unit = 'ms' }: WriteColumn,
  value: StatValue | undefined,
): IcebergValue | undefined {
  if (type !== 'timestamp' || unit !== 'ms' || value === undefined || value instanceof Uint8Array)
    return value;
  return BigInt(value) * 1000n;
}
