import type { DuckDBConnection } from '@duckdb/node-api';
import {
  Binary,
  Bool,
  DateDay,
  Dictionary,
  Float32,
  Float64,
  Int32,
  Int64,
  LargeUtf8,
  Table as ArrowTable,
  tableToIPC,
  TimeMicrosecond,
  TimestampMicrosecond,
  TimestampMillisecond,
  TimestampNanosecond,
  Utf8,
  vectorFromArray,
  type DataType,
  type Vector as ArrowVector,
} from 'apache-arrow';
import { writeFileSync } from 'node:fs';
import { ByteWriter, parquetWrite } from 'hyparquet-writer';
import {
  Compression,
  EnabledStatistics,
  Encoding,
  Table,
  WriterPropertiesBuilder,
  WriterVersion,
  writeParquet,
} from 'parquet-wasm/node';
import type { Codec } from '../../src/scan/parquet/write-codec.ts';
import type { WriteColumn } from '../../src/scan/parquet/write-schema.ts';
import { createParquetWriter } from '../../src/scan/parquet/write.ts';
import { dateText, timestampText, timeText } from '../../src/scan/time.ts';
import type { TimeUnit } from '../../src/scan/vector.ts';
import type { SqlValue } from '../../src/value/row.ts';
import type { Random } from '../support/random.ts';

/** What a column is to queries: `big` and `wild` are integers and reals that do not go together with arithmetic. */
export type Kind = 'integer' | 'big' | 'real' | 'wild' | 'text' | 'blob' | 'timestamp' | 'date' | 'time';

/** A column of a table that several writers write. */
export interface TableColumn {
  readonly name: string;
  readonly kind: Kind;
  readonly write: WriteColumn;
  /** What DuckDB writes it as. */
  readonly duck: string;
  readonly values: readonly SqlValue[];
}

type Make = (random: Random, row: number) => SqlValue;

interface Spec {
  readonly name: string;
  readonly kind: Kind;
  readonly type: WriteColumn['type'];
  readonly unit?: TimeUnit;
  readonly isUtc?: boolean;
  readonly duck: string;
  /** A value for a number from 0 up to 2^32. */
  readonly make: (k: number, random: Random) => SqlValue;
}

const US = 1_000_000;
const FIRST = Date.UTC(1955, 0, 1) / 1000;
const SECONDS = 75 * 365 * 86_400;
const at = (k: number): number => FIRST + (k % SECONDS);
const WORDS = ['', 'a', 'Ab', 'äöü', 'b_c', '50%', 'zz', 'Z', 'ß', '語', '😀x', "it's", 'a b', 'x\\y'];

const SPECS: readonly Spec[] = [
  { name: 'i', kind: 'integer', type: 'int32', duck: 'INTEGER', make: (k) => (k % 400) - 150 },
  {
    name: 'big',
    kind: 'big',
    type: 'int64',
    duck: 'BIGINT',
    make: (k, random) =>
      random.chance(0.03)
        ? random.pick([-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n, 0])
        : (BigInt(k) - 2n ** 31n) * 1_000_000_007n,
  },
  { name: 'small', kind: 'integer', type: 'int32', duck: 'UTINYINT', make: (k) => k % 256 },
  { name: 'whole', kind: 'integer', type: 'int64', duck: 'DECIMAL(18,0)', make: (k) => k % 1_000_000_000 },
  { name: 'flag', kind: 'integer', type: 'boolean', duck: 'BOOLEAN', make: (k) => k & 1 },
  {
    name: 'r',
    kind: 'real',
    type: 'double',
    duck: 'DOUBLE',
    make: (k, random) => (random.chance(0.01) ? random.pick([Number.NaN, -0, 0]) : k / 4_000_037 - 300),
  },
  {
    name: 'wild',
    kind: 'wild',
    type: 'double',
    duck: 'DOUBLE',
    make: (k, random) =>
      random.chance(0.4)
        ? random.pick([Infinity, -Infinity, Number.NaN, -0, 0, 5e-324, -1e300])
        : k - 2 ** 31,
  },
  { name: 'f', kind: 'real', type: 'double', duck: 'FLOAT', make: (k) => Math.fround((k % 5000) / 8 - 100) },
  { name: 'price', kind: 'real', type: 'double', duck: 'DECIMAL(9,2)', make: (k) => (k % 100_000) / 100 },
  {
    name: 'few',
    kind: 'text',
    type: 'utf8',
    duck: 'VARCHAR',
    make: (k) => WORDS[k % WORDS.length] as string,
  },
  {
    name: 'many',
    kind: 'text',
    type: 'utf8',
    duck: 'VARCHAR',
    make: (k) => `${WORDS[k % 11] as string}${k % 9973}`,
  },
  {
    name: 'code',
    kind: 'text',
    type: 'utf8',
    duck: `ENUM('red', 'green', 'it''s', 'Ünï')`,
    make: (k) => ['red', 'green', "it's", 'Ünï'][k % 4] as string,
  },
  {
    name: 'uuid',
    kind: 'text',
    type: 'utf8',
    duck: 'UUID',
    make: (k) =>
      `${k.toString(16).padStart(8, '0')}-0000-4000-8000-${(k % 7).toString(16).padStart(12, '0')}`,
  },
  {
    name: 'bytes',
    kind: 'blob',
    type: 'binary',
    duck: 'BLOB',
    make: (k) => Uint8Array.from({ length: k % 5 }, (_, i) => (k >> (i * 3)) & 255),
  },
  {
    name: 'day',
    kind: 'date',
    type: 'date',
    duck: 'DATE',
    make: (k) => Math.floor(at(k) / 86_400),
  },
  {
    name: 'ts',
    kind: 'timestamp',
    type: 'timestamp',
    unit: 'us',
    isUtc: false,
    duck: 'TIMESTAMP',
    make: (k) => at(k) * US + (k % 3 === 0 ? k % US : 0),
  },
  {
    name: 'ms',
    kind: 'timestamp',
    type: 'timestamp',
    unit: 'ms',
    isUtc: false,
    duck: 'TIMESTAMP_MS',
    make: (k) => at(k) * 1000 + (k % 1000),
  },
  {
    name: 'utc',
    kind: 'timestamp',
    type: 'timestamp',
    unit: 'us',
    isUtc: true,
    duck: 'TIMESTAMPTZ',
    make: (k) => at(k) * US + (k % 1000) * 1000,
  },
  {
    name: 'ns',
    kind: 'timestamp',
    type: 'timestamp',
    unit: 'ns',
    isUtc: false,
    duck: 'TIMESTAMP_NS',
    make: (k) => BigInt(at(k)) * 1_000_000_000n + BigInt(k % 5 === 0 ? k % 1_000_000_000 : 0),
  },
  {
    name: 'clock',
    kind: 'time',
    type: 'time',
    unit: 'us',
    isUtc: false,
    duck: 'TIME',
    make: (k) => (k % 86_400) * US + (k % 2 === 0 ? k % US : 0),
  },
];

/** Of which numbers the values of a column are made: rising, in runs, few, many. */
const SHAPES: readonly Make[] = [
  (_, row) => row * 7919,
  (_, row) => 4_000_000_000 - row * 90_001,
  (_, row) => Math.floor(row / 211) * 86_413,
  (random) => random.int(6) * 100_003,
  (random) => random.int(300) * 1009,
  (random) => random.int(2 ** 32),
  (random) => random.int(2 ** 32),
];

const NULLS: readonly ((random: Random, row: number) => boolean)[] = [
  () => false,
  () => false,
  (random) => random.chance(0.05),
  (random) => random.chance(0.5),
  (_, row) => Math.floor(row / 300) % 2 === 1,
  (random) => random.chance(0.97),
  () => true,
];

/** A table of so many rows with a column of every type, and `id`, which counts the rows. */
export function randomTable(random: Random, rows: number): TableColumn[] {
  const id: TableColumn = {
    name: 'id',
    kind: 'integer',
    write: { name: 'id', type: 'int64', required: true },
    duck: 'BIGINT',
    values: random.times(rows, (row) => row),
  };
  return [
    id,
    ...SPECS.map(({ name, kind, type, unit, isUtc, duck, make }): TableColumn => {
      const shape = random.pick(SHAPES);
      // All NULL is rare.
      const isNull = random.pick(random.chance(0.9) ? NULLS.slice(0, -1) : NULLS);
      const values = random.times(rows, (row) =>
        isNull(random, row) ? null : make(Number(shape(random, row)), random),
      );
      return { name, kind, duck, values, write: { name, type, unit, isUtc } };
    }),
  ];
}

/** A table with the same columns and other rows. */
export function likeTable(random: Random, rows: number, firstId: number): TableColumn[] {
  return randomTable(random, rows).map((column) =>
    column.name === 'id' ? { ...column, values: random.times(rows, (row) => firstId + row) } : column,
  );
}

/** A value of a column as its text in queries. */
export function literalText({ kind, write }: TableColumn, value: SqlValue): string {
  const { unit = 'ms' } = write;
  if (kind === 'timestamp') return timestampText(value as number | bigint, unit, false);
  if (kind === 'date') return dateText(Number(value));
  return kind === 'time' ? timeText(value as number, unit) : String(value);
}

/** How a file is written: by whom, with which options. */
export interface Writer {
  readonly name: string;
  write(path: string, table: readonly TableColumn[], duck: DuckDBConnection): Promise<void>;
}

/** One of the writers, with random options. */
export function randomWriter(random: Random): Writer {
  return random.pick([duckdb, duckdb, wasm, hyparquet, own, own])(random);
}

const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;

function duckdb(random: Random): Writer {
  const options = random.pick([
    'COMPRESSION uncompressed',
    'COMPRESSION snappy, ROW_GROUP_SIZE 2048',
    'COMPRESSION zstd, ROW_GROUP_SIZE 2048',
    'COMPRESSION gzip',
    'COMPRESSION lz4_raw, ROW_GROUP_SIZE 2048, DICTIONARY_SIZE_LIMIT 20',
    'COMPRESSION brotli, PARQUET_VERSION v2',
    'COMPRESSION snappy, PARQUET_VERSION v2, ROW_GROUP_SIZE 2048',
    'COMPRESSION zstd, PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 100',
  ]);
  return {
    name: `DuckDB, ${options}`,
    async write(path, table, duck) {
      writeFileSync(`${path}.base`, ownFile(table, {}));
      const columns = table.map(
        ({ name, duck: type }) => `CAST(${quote(name)} AS ${type}) AS ${quote(name)}`,
      );
      await duck.run(
        `COPY (SELECT ${columns.join(', ')} FROM read_parquet('${path}.base')) TO '${path}' (FORMAT parquet, ${options})`,
      );
    },
  };
}

function own(random: Random): Writer {
  const options = {
    codec: random.pick<Codec>(['zstd', 'snappy', 'gzip', 'uncompressed']),
    rowGroupRows: random.pick([100_000, 1200, 500]),
    pageRows: random.pick([20_000, 200, 61]),
    bloom: random.chance(0.5) ? ['many', 'big', 'id'] : [],
  };
  return {
    name: `own, ${JSON.stringify(options)}`,
    async write(path, table) {
      writeFileSync(path, ownFile(table, options));
    },
  };
}

function ownFile(
  table: readonly TableColumn[],
  options: { codec?: Codec; rowGroupRows?: number; pageRows?: number; bloom?: string[] },
): Uint8Array {
  const bloom = options.bloom?.filter((name) => table.some((column) => column.name === name)) ?? [];
  const writer = createParquetWriter({ columns: table.map(({ write }) => write), ...options, bloom });
  writer.write(
    table.map(({ values }) => ({ kind: 'mixed', length: values.length, nulls: undefined, values })),
  );
  return Buffer.concat(writer.finish());
}

const ARROW: Readonly<Record<string, DataType>> = {
  int32: new Int32(),
  int64: new Int64(),
  boolean: new Bool(),
  double: new Float64(),
  utf8: new Utf8(),
  binary: new Binary(),
  date: new DateDay(),
  time: new TimeMicrosecond(),
};

function arrowVector({ name, write, duck, values }: TableColumn): ArrowVector {
  const { type, unit, isUtc } = write;
  const map = <T>(make: (value: NonNullable<SqlValue>) => T): (T | null)[] =>
    values.map((value) => (value === null ? null : make(value)));
  if (type === 'timestamp') {
    const zone = isUtc === true ? 'UTC' : null;
    // Arrow takes milliseconds for all of them.
    if (unit === 'us')
      return vectorFromArray(
        map((v) => Math.floor(Number(v) / 1000)),
        new TimestampMicrosecond(zone),
      );
    if (unit === 'ns')
      return vectorFromArray(
        map((v) => Number(BigInt(v as number) / 1_000_000n)),
        new TimestampNanosecond(zone),
      );
    return vectorFromArray(map(Number), new TimestampMillisecond(zone));
  }
  if (type === 'date')
    return vectorFromArray(
      map((v) => new Date(Number(v) * 86_400_000)),
      new DateDay(),
    );
  if (type === 'int64' || type === 'time')
    return vectorFromArray(
      map((v) => BigInt(v as number)),
      ARROW[type] as DataType,
    );
  if (type === 'boolean') return vectorFromArray(map(Boolean), new Bool());
  // As pandas has categories, and text at large.
  if (name === 'code') return vectorFromArray(values as string[], new Dictionary(new Utf8(), new Int32()));
  if (name === 'many') return vectorFromArray(values as string[], new LargeUtf8());
  if (duck === 'FLOAT') return vectorFromArray(values as number[], new Float32());
  return vectorFromArray(values as unknown[], ARROW[type] as DataType);
}

const ENCODINGS: Readonly<Record<string, readonly Encoding[]>> = {
  double: [Encoding.PLAIN, Encoding.BYTE_STREAM_SPLIT],
  utf8: [Encoding.PLAIN, Encoding.DELTA_LENGTH_BYTE_ARRAY, Encoding.DELTA_BYTE_ARRAY],
  binary: [Encoding.PLAIN, Encoding.DELTA_LENGTH_BYTE_ARRAY, Encoding.DELTA_BYTE_ARRAY],
  boolean: [Encoding.PLAIN, Encoding.RLE],
};

function wasm(random: Random): Writer {
  const codec = random.pick([
    Compression.UNCOMPRESSED,
    Compression.SNAPPY,
    Compression.GZIP,
    Compression.BROTLI,
    Compression.ZSTD,
    Compression.LZ4_RAW,
  ]);
  const version = random.pick([WriterVersion.V1, WriterVersion.V2]);
  const statistics = random.pick([EnabledStatistics.Page, EnabledStatistics.Chunk, EnabledStatistics.None]);
  const hasDictionary = random.chance(0.6);
  const rowGroup = random.pick([700, 2000, 100_000]);
  const limit = random.pick([1000, 5000, 1_000_000]);
  const turn = random.int(3);
  return {
    name: `parquet-wasm, ${JSON.stringify({ codec, version, statistics, hasDictionary, rowGroup, limit, turn })}`,
    async write(path, table) {
      let builder = new WriterPropertiesBuilder()
        .setCompression(codec)
        .setWriterVersion(version)
        .setStatisticsEnabled(statistics)
        .setDictionaryEnabled(hasDictionary)
        .setDictionaryPageSizeLimit(limit)
        .setDataPageSizeLimit(limit)
        .setWriteBatchSize(64)
        .setMaxRowGroupSize(rowGroup);
      for (const { name, write } of table) {
        const encodings = ENCODINGS[write.type] ?? [Encoding.PLAIN, Encoding.DELTA_BINARY_PACKED];
        if (!hasDictionary)
          builder = builder.setColumnEncoding(name, encodings[turn % encodings.length] as Encoding);
      }
      const vectors = Object.fromEntries(table.map((column) => [column.name, arrowVector(column)]));
      const arrow = Table.fromIPCStream(tableToIPC(new ArrowTable(vectors), 'stream'));
      writeFileSync(path, writeParquet(arrow, builder.build()));
    },
  };
}

type Element = NonNullable<Parameters<typeof parquetWrite>[0]['schema']>[number];

function hyparquetElement({ name, write, duck }: TableColumn): Element {
  const element = { name, repetition_type: 'OPTIONAL' } as const;
  switch (write.type) {
    case 'int32':
      return { ...element, type: 'INT32' };
    case 'int64':
      return { ...element, type: 'INT64' };
    case 'boolean':
      return { ...element, type: 'BOOLEAN' };
    case 'double':
      return { ...element, type: duck === 'FLOAT' ? 'FLOAT' : 'DOUBLE' };
    case 'utf8':
      return { ...element, type: 'BYTE_ARRAY', converted_type: 'UTF8' };
    case 'binary':
      return { ...element, type: 'BYTE_ARRAY' };
    case 'date':
      return { ...element, type: 'INT32', converted_type: 'DATE' };
    case 'time':
      return {
        ...element,
        type: 'INT64',
        logical_type: { type: 'TIME', isAdjustedToUTC: false, unit: 'MICROS' },
      };
    default: {
      const unit = write.unit === 'ns' ? 'NANOS' : write.unit === 'us' ? 'MICROS' : 'MILLIS';
      const isAdjustedToUTC = write.isUtc === true;
      return { ...element, type: 'INT64', logical_type: { type: 'TIMESTAMP', isAdjustedToUTC, unit } };
    }
  }
}

function hyparquet(random: Random): Writer {
  const rowGroupSize = random.pick([[700], [2000, 300], [100_000]]);
  const pageSize = random.pick([500, 4000, 1_000_000]);
  const codec = random.pick(['SNAPPY', 'UNCOMPRESSED'] as const);
  const hasIndex = random.chance(0.7);
  const statistics = random.chance(0.8);
  return {
    name: `hyparquet-writer, ${JSON.stringify({ rowGroupSize, pageSize, codec, hasIndex, statistics })}`,
    async write(path, table) {
      const writer = new ByteWriter();
      await parquetWrite({
        writer,
        codec,
        statistics,
        rowGroupSize,
        pageSize,
        schema: [{ name: 'root', num_children: table.length }, ...table.map(hyparquetElement)],
        columnData: table.map(({ name, write, values }) => ({
          name,
          columnIndex: hasIndex,
          offsetIndex: hasIndex,
          data: values.map((value) => {
            if (value === null) return null;
            if (write.type === 'boolean') return value === 1;
            return /^(?:int64|timestamp|time)$/.test(write.type) ? BigInt(value as number) : value;
          }),
        })),
      });
      writeFileSync(path, new Uint8Array(writer.getBuffer()));
    },
  };
}
