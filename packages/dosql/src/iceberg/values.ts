/** Values as Iceberg serialises them, and what partitions are made of. */
import { DoSQLError } from '../error.ts';
import { lowerBound, upperBound } from '../scan/parquet/write-stats.ts';
import type { AvroSchema } from './avro.ts';
import type { IcebergType, Transform } from './metadata.ts';

/**
 * A value of a column: `timestamp`, `timestamptz` and `time` in microseconds, `date` in days; text as such or as UTF-8.
 */
export type IcebergValue = boolean | number | bigint | string | Uint8Array;

/** Longer text and blobs are cut in bounds, as other writers do. */
const BOUND_BYTES = 16;
const HOUR_US = 3_600_000_000n;
const DAY_US = 24n * HOUR_US;

/** A value in its binary form (https://iceberg.apache.org/spec/#binary-single-value-serialization). */
export function valueBytes(type: IcebergType, value: IcebergValue): Uint8Array {
  if (type === 'string' || type === 'binary') return bytesOf(value);
  const view = new DataView(new ArrayBuffer(width(type)));
  switch (type) {
    case 'boolean':
      view.setUint8(0, value === true || Number(value) === 1 ? 1 : 0);
      break;
    case 'int':
    case 'date':
      view.setInt32(0, Number(value), true);
      break;
    case 'float':
      view.setFloat32(0, Number(value), true);
      break;
    case 'double':
      view.setFloat64(0, Number(value), true);
      break;
    default:
      view.setBigInt64(0, BigInt(value as number | bigint), true);
  }
  return new Uint8Array(view.buffer);
}

function width(type: IcebergType): number {
  if (type === 'boolean') return 1;
  return type === 'int' || type === 'date' || type === 'float' ? 4 : 8;
}

function bytesOf(value: IcebergValue): Uint8Array {
  return value instanceof Uint8Array ? value : new TextEncoder().encode(String(value));
}

/** What all values are at least. */
export function lowerBytes(type: IcebergType, value: IcebergValue): Uint8Array {
  const bytes = valueBytes(type, value);
  return isCut(type) ? lowerBound(bytes, 0, BOUND_BYTES).bytes : bytes;
}

/** What all values are at most. */
export function upperBytes(type: IcebergType, value: IcebergValue): Uint8Array {
  const bytes = valueBytes(type, value);
  return isCut(type) ? upperBound(bytes, 0, type === 'string', BOUND_BYTES).bytes : bytes;
}

function isCut(type: IcebergType): boolean {
  return type === 'string' || type === 'binary';
}

/** The type of a transform's results. A day is a date. */
export function resultType(transform: Transform, source: IcebergType): IcebergType {
  if (transform === 'identity') return source;
  return transform === 'day' ? 'date' : 'int';
}

/**
 * What `transform` makes of a value: the hours, days, months or years since 1970 of a time.
 *
 * @throws DoSQLError `BAD_PARAMETER` for the day of what is no time, or the hour of a date
 */
export function transformed(transform: Transform, type: IcebergType, value: IcebergValue): IcebergValue {
  if (transform === 'identity') return value;
  if (transform === 'hour') return periods(type, value, HOUR_US);
  const day = type === 'date' ? Number(value) : periods(type, value, DAY_US);
  if (transform === 'day') return day;
  const date = new Date(day * 86_400_000);
  const year = date.getUTCFullYear() - 1970;
  return transform === 'year' ? year : year * 12 + date.getUTCMonth();
}

/** How many whole stretches of `length` lie between 1970 and a time. */
function periods(type: IcebergType, value: IcebergValue, length: bigint): number {
  if (type !== 'timestamp' && type !== 'timestamptz')
    throw new DoSQLError(
      'BAD_PARAMETER',
      `a column of type ${type} has no such times: partition it by identity`,
    );
  const us = BigInt(value as number | bigint);
  const rest = ((us % length) + length) % length;
  return Number((us - rest) / length);
}

/** Avro's schema of a value. */
export function avroType(type: IcebergType): AvroSchema {
  switch (type) {
    case 'date':
      return { type: 'int', logicalType: 'date' };
    case 'time':
      return { type: 'long', logicalType: 'time-micros' };
    case 'timestamp':
    case 'timestamptz':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': type === 'timestamptz' };
    case 'binary':
      return 'bytes';
    default:
      return type;
  }
}
