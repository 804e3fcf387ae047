/** What others read from a file of ours. */
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { writeFileSync } from 'node:fs';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { tableFromIPC, type Vector as ArrowVector } from 'apache-arrow';
import { parquetRead, type ParquetParsers } from 'hyparquet';
import { readParquet } from 'parquet-wasm/node';
import type { WriteColumn } from '../../src/scan/parquet/write-schema.ts';
import { hex, type Plain } from './write-tables.ts';

let duck: DuckDBConnection | undefined;

/** Runs one statement in DuckDB. */
export async function query(sql: string): Promise<Record<string, unknown>[]> {
  duck ??= await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  return (await duck.runAndReadAll(sql)).getRowObjects();
}

/**
 * The columns as DuckDB reads them; undefined for those whose nanoseconds it drops. The file is written first, if
 * there are bytes.
 */
export async function readWithDuckdb(
  path: string,
  bytes: Uint8Array | undefined,
  columns: readonly WriteColumn[],
): Promise<(Plain[] | undefined)[]> {
  if (bytes !== undefined) writeFileSync(path, bytes);
  const expressions = columns.map((column, i) => `${duckdbExpression(column)} AS c${i}`);
  const rows = await query(`SELECT ${expressions.join(', ')} FROM '${path}'`);
  return columns.map(({ type, unit, isUtc }, i) => {
    if (unit === 'ns' && isUtc !== false) return undefined;
    return rows.map((row) => {
      const value = row[`c${i}`] as Plain;
      return type === 'utf8' && value !== null ? Buffer.from(`${value}`, 'hex').toString() : value;
    });
  });
}

function duckdbExpression({ name, type, unit = 'ms' }: WriteColumn): string {
  const quoted = `"${name.replaceAll('"', '""')}"`;
  const scale = unit === 'ms' ? ' // 1000' : '';
  switch (type) {
    case 'boolean':
      return `${quoted}::INT::VARCHAR`;
    case 'double':
      return quoted;
    // In hex, as the driver drops a byte order mark at the start of a text.
    case 'utf8':
    case 'binary':
      return `lower(hex(${quoted}))`;
    case 'date':
      return `date_diff('day', DATE '1970-01-01', ${quoted})::VARCHAR`;
    case 'timestamp':
      // Whole ms come out whole, so that it does not matter which way the division rounds.
      return unit === 'ns' ? `epoch_ns(${quoted})::VARCHAR` : `(epoch_us(${quoted})${scale})::VARCHAR`;
    case 'time':
      // DuckDB has times of day in microseconds.
      return unit === 'ns' ? `epoch_ns(${quoted})::VARCHAR` : `(epoch_us(${quoted})${scale})::VARCHAR`;
    default:
      return `${quoted}::VARCHAR`;
  }
}

const asIs = (value: unknown): unknown => value;

/** The columns as hyparquet reads them. */
export async function readWithHyparquet(
  bytes: Uint8Array,
  columns: readonly WriteColumn[],
): Promise<Plain[][]> {
  const file = bytes.slice().buffer;
  let rows: unknown[][] = [];
  // Plain numbers instead of dates.
  const parsers = {
    timestampFromMilliseconds: asIs,
    timestampFromMicroseconds: asIs,
    timestampFromNanoseconds: asIs,
    dateFromDays: asIs,
    // Its own drops a byte order mark.
    stringFromBytes: asIs,
  } as unknown as ParquetParsers;
  await parquetRead({
    file,
    parsers,
    compressors: {
      ZSTD: (input) => new Uint8Array(zstdDecompressSync(input)),
      GZIP: (input) => new Uint8Array(gunzipSync(input)),
    },
    utf8: false,
    onComplete: (all: unknown[][]) => (rows = all),
  });
  return columns.map((column, i) => rows.map((row) => plainOf(row[i], column)));
}

function plainOf(value: unknown, { type }: WriteColumn): Plain {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (value instanceof Uint8Array)
    return type === 'utf8'
      ? new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(value)
      : hex(value);
  if (typeof value === 'bigint') return `${value}`;
  return type === 'double' || typeof value === 'string' ? (value as Plain) : `${value as number}`;
}

/** The columns as parquet-wasm reads them. */
export function readWithWasm(bytes: Uint8Array, columns: readonly WriteColumn[]): Plain[][] {
  const table = tableFromIPC(readParquet(bytes).intoIPCStream());
  return columns.map((column, i) => arrowValues(table.getChildAt(i) as ArrowVector, column));
}

/** The values behind an Arrow vector: its getters make milliseconds of every time and drop byte order marks. */
export function arrowValues(vector: ArrowVector, column: WriteColumn): Plain[] {
  if (column.type === 'boolean' || column.type === 'double')
    return Array.from({ length: vector.length }, (_, i) => plainOf(vector.get(i), column));
  return vector.data.flatMap((data) => {
    const { values, valueOffsets } = data as unknown as {
      values: Uint8Array | Int32Array | BigInt64Array;
      valueOffsets: Int32Array | undefined;
    };
    return Array.from({ length: data.length }, (_, i) => {
      if (!data.getValid(i)) return null;
      if (!(values instanceof Uint8Array)) return `${values[i]}`;
      return plainOf(values.subarray(valueOffsets?.[i], valueOffsets?.[i + 1]), column);
    });
  });
}
