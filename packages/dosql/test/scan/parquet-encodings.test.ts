import {
  Binary,
  Bool,
  DateDay,
  FixedSizeBinary,
  Float32,
  Float64,
  Int32,
  Int64,
  Table as ArrowTable,
  tableToIPC,
  TimestampMicrosecond,
  TimestampNanosecond,
  Uint32,
  Uint64,
  Utf8,
  type Vector as ArrowVector,
  vectorFromArray,
  type DataType,
} from 'apache-arrow';
import { parquetWriteBuffer } from 'hyparquet-writer';
import {
  Compression,
  EnabledStatistics,
  Encoding,
  Table,
  WriterPropertiesBuilder,
  WriterVersion,
  writeParquet,
} from 'parquet-wasm/node';
import { expect, describe, it } from 'vitest';
import { memoryFile, readAll, type Plain } from './parquet-support.ts';

const seed = Number(process.env['VITE_SEED'] ?? Date.now() % 1e6);
console.log(`VITE_SEED=${seed}`);

/** Numbers from 0 up to 2^32, the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

const random = generator(seed);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, () => random() & 255);
const bigint = (): bigint => BigInt.asIntN(64, (BigInt(random()) << 32n) | BigInt(random()));

interface Column {
  readonly type: DataType;
  readonly make: (i: number) => unknown;
  readonly encodings: readonly Encoding[];
  /** A value as the reader gives it. */
  readonly plain?: (value: never) => Plain;
}

const NUMBERS = [Encoding.PLAIN, Encoding.DELTA_BINARY_PACKED, Encoding.BYTE_STREAM_SPLIT];
const REALS = [Encoding.PLAIN, Encoding.BYTE_STREAM_SPLIT];
const TEXTS = [Encoding.PLAIN, Encoding.DELTA_LENGTH_BYTE_ARRAY, Encoding.DELTA_BYTE_ARRAY];
const asInteger = (value: bigint | number): Plain => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : BigInt(value) > 2n ** 63n - 1n ? number : BigInt(value);
};

const COLUMNS: Record<string, Column> = {
  bool: {
    type: new Bool(),
    make: () => random() % 3 === 0,
    encodings: [Encoding.PLAIN, Encoding.RLE],
    plain: (v: boolean) => (v ? 1 : 0),
  },
  boolRuns: {
    type: new Bool(),
    make: (i) => i % 2000 < 1500,
    encodings: [Encoding.PLAIN, Encoding.RLE],
    plain: (v: boolean) => (v ? 1 : 0),
  },
  int32: { type: new Int32(), make: () => random() | 0, encodings: NUMBERS },
  int32Small: { type: new Int32(), make: (i) => i * 3 - (random() % 7), encodings: NUMBERS },
  int32Extreme: {
    type: new Int32(),
    make: (i) => [2 ** 31 - 1, -(2 ** 31), 0, -1][i % 4],
    encodings: NUMBERS,
  },
  uint32: { type: new Uint32(), make: () => random(), encodings: NUMBERS },
  int64: { type: new Int64(), make: () => bigint(), encodings: NUMBERS, plain: asInteger },
  int64Small: {
    type: new Int64(),
    make: (i) => BigInt(i * 1000 - (random() % 900)),
    encodings: NUMBERS,
    plain: asInteger,
  },
  int64Safe: { type: new Int64(), make: () => bigint() >> 11n, encodings: NUMBERS, plain: asInteger },
  int64Extreme: {
    type: new Int64(),
    make: (i) => [2n ** 63n - 1n, -(2n ** 63n), 0n, -1n][i % 4],
    encodings: NUMBERS,
    plain: asInteger,
  },
  int64Same: { type: new Int64(), make: () => 2n ** 60n + 1n, encodings: NUMBERS, plain: asInteger },
  uint64: {
    type: new Uint64(),
    make: () => BigInt.asUintN(64, bigint()),
    encodings: NUMBERS,
    plain: asInteger,
  },
  double: { type: new Float64(), make: () => Math.sin(random()) * random(), encodings: REALS },
  float: { type: new Float32(), make: () => Math.fround(Math.sin(random()) * random()), encodings: REALS },
  text: { type: new Utf8(), make: () => `é${random() % 3 === 0 ? '' : random()}`, encodings: TEXTS },
  textSorted: {
    type: new Utf8(),
    make: (i) => `prefix/common/${String(i).padStart(9, '0')}`,
    encodings: TEXTS,
  },
  textEmpty: { type: new Utf8(), make: () => '', encodings: TEXTS },
  textFew: { type: new Utf8(), make: () => ['a', 'bb', '', '🦆'][random() % 4], encodings: TEXTS },
  blob: { type: new Binary(), make: () => bytesOf(random() % 40), encodings: TEXTS, plain: hex },
  fixed: {
    type: new FixedSizeBinary(5),
    make: () => bytesOf(5),
    encodings: [Encoding.PLAIN, Encoding.DELTA_BYTE_ARRAY, Encoding.BYTE_STREAM_SPLIT],
    plain: hex,
  },
  date: {
    type: new DateDay(),
    make: () => new Date(((random() % 40_000) - 10_000) * 86_400_000),
    encodings: NUMBERS,
    plain: (v: Date) => v.getTime() / 86_400_000,
  },
  // Arrow takes milliseconds for both.
  micros: {
    type: new TimestampMicrosecond('UTC'),
    make: () => random(),
    encodings: NUMBERS,
    plain: (v: number) => v * 1000,
  },
  nanos: {
    type: new TimestampNanosecond(),
    make: () => random(),
    encodings: NUMBERS,
    plain: (v: number) => asInteger(BigInt(v) * 1_000_000n),
  },
};

const NULLS: Record<string, (i: number) => boolean> = {
  none: () => false,
  some: () => random() % 10 === 0,
  most: () => random() % 100 !== 0,
  all: () => true,
  runs: (i) => Math.floor(i / 900) % 2 === 1,
};

/** The values of each column, and the file that parquet-wasm makes of them. */
function written(
  rows: number,
  encodingAt: number,
  isNull: (i: number) => boolean,
  options: (builder: WriterPropertiesBuilder) => WriterPropertiesBuilder,
): { bytes: Uint8Array; values: Map<string, unknown[]> } {
  const values = new Map<string, unknown[]>();
  const vectors: Record<string, ArrowVector> = {};
  let builder = options(new WriterPropertiesBuilder());
  for (const [name, { type, make, encodings }] of Object.entries(COLUMNS)) {
    const column = Array.from({ length: rows }, (_, i) => (isNull(i) ? null : make(i)));
    values.set(name, column);
    vectors[name] = vectorFromArray(column, type);
    builder = builder.setColumnEncoding(name, encodings[encodingAt % encodings.length] as Encoding);
  }
  const table = Table.fromIPCStream(tableToIPC(new ArrowTable(vectors), 'stream'));
  return { bytes: writeParquet(table, builder.build()), values };
}

async function compare(
  bytes: Uint8Array,
  values: ReadonlyMap<string, unknown[]>,
  label: string,
): Promise<void> {
  const read = await readAll(memoryFile(bytes));
  for (const [name, { plain }] of Object.entries(COLUMNS)) {
    const wanted = values
      .get(name)
      ?.map((value) => (value === null ? null : plain === undefined ? value : plain(value as never)));
    const got = read.columns
      .get(name)
      ?.map((value) => (typeof value === 'bigint' ? asInteger(value) : value));
    expect(got, `${name}: ${label}`).toEqual(wanted);
  }
}

describe('every encoding that parquet-wasm writes is read', () => {
  for (const [nulls, isNull] of Object.entries(NULLS))
    for (const [encodingAt, encoding] of ['plain', 'delta', 'split or delta'].entries())
      for (const version of [WriterVersion.V1, WriterVersion.V2])
        it(`${encoding}, nulls: ${nulls}, V${version + 1}`, async () => {
          const { bytes, values } = written(3000, encodingAt, isNull, (builder) =>
            builder
              .setDictionaryEnabled(false)
              .setWriterVersion(version)
              .setCompression(version === WriterVersion.V1 ? Compression.UNCOMPRESSED : Compression.SNAPPY)
              .setDataPageSizeLimit(2000)
              .setWriteBatchSize(64)
              .setMaxRowGroupSize(1700)
              .setStatisticsEnabled(EnabledStatistics.Page),
          );
          await compare(bytes, values, `${encoding}, ${nulls}`);
        });
});

describe('every codec and dictionary that parquet-wasm writes is read', () => {
  const codecs = [
    Compression.UNCOMPRESSED,
    Compression.SNAPPY,
    Compression.GZIP,
    Compression.BROTLI,
    Compression.ZSTD,
    Compression.LZ4_RAW,
  ];
  for (const codec of codecs)
    for (const version of [WriterVersion.V1, WriterVersion.V2])
      it(`${Compression[codec]}, V${version + 1}, dictionaries that overflow into plain pages`, async () => {
        const { bytes, values } = written(4000, 1, NULLS['some'] as (i: number) => boolean, (builder) =>
          builder
            .setDictionaryEnabled(true)
            .setDictionaryPageSizeLimit(3000)
            .setWriterVersion(version)
            .setCompression(codec)
            .setDataPageSizeLimit(3000)
            .setWriteBatchSize(100)
            .setStatisticsEnabled(EnabledStatistics.None),
        );
        await compare(bytes, values, Compression[codec]);
      });

  it('dictionaries of all values', async () => {
    const { bytes, values } = written(3000, 0, NULLS['runs'] as (i: number) => boolean, (builder) =>
      builder.setDictionaryEnabled(true),
    );
    await compare(bytes, values, 'dictionaries');
  });

  it('no rows at all', async () => {
    const { bytes, values } = written(
      0,
      0,
      () => false,
      (builder) => builder,
    );
    await compare(bytes, values, 'empty');
  });
});

it('decimals, times and halves of hyparquet-writer are read', async () => {
  const times = Array.from({ length: 500 }, (_, i) => new Date(1_600_000_000_000 + i * 1234));
  const halves = Array.from({ length: 500 }, (_, i) => (i - 250) / 8);
  const bytes = new Uint8Array(
    parquetWriteBuffer({
      schema: [
        { name: 'root', num_children: 3 },
        {
          name: 'half',
          type: 'FIXED_LEN_BYTE_ARRAY',
          type_length: 2,
          logical_type: { type: 'FLOAT16' },
          repetition_type: 'OPTIONAL',
        },
        { name: 'time', type: 'INT64', converted_type: 'TIMESTAMP_MILLIS', repetition_type: 'REQUIRED' },
        {
          name: 'price',
          type: 'INT64',
          converted_type: 'DECIMAL',
          scale: 2,
          precision: 18,
          repetition_type: 'REQUIRED',
        },
      ],
      columnData: [
        { name: 'half', data: halves.map((half, i) => (i % 7 === 0 ? null : half)) },
        { name: 'time', data: times },
        { name: 'price', data: halves.map((half) => Math.round(half * 100) / 100) },
      ],
    }),
  );
  const { columns } = await readAll(memoryFile(bytes));
  expect(columns.get('half')).toEqual(halves.map((half, i) => (i % 7 === 0 ? null : half)));
  expect(columns.get('time')).toEqual(times.map((time) => time.getTime()));
  expect(columns.get('price')?.slice(0, 4)).toEqual([-31.25, -31.12, -31, -30.87]);
});
