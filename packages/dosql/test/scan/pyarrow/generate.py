import datetime as dt, decimal, random, sys
import pyarrow as pa, pyarrow.parquet as pq
random.seed(7)
N = 500
def some(make, nulls=0.1):
    return [None if random.random() < nulls else make(i) for i in range(N)]
D = decimal.Decimal
t0 = dt.datetime(2024, 1, 1)
cols = {
 'i8': pa.array(some(lambda i: random.randint(-128, 127)), pa.int8()),
 'i16': pa.array(some(lambda i: random.randint(-32768, 32767)), pa.int16()),
 'i32': pa.array(some(lambda i: random.randint(-2**31, 2**31-1)), pa.int32()),
 'i64': pa.array(some(lambda i: random.randint(-2**63, 2**63-1)), pa.int64()),
 'u8': pa.array(some(lambda i: random.randint(0, 255)), pa.uint8()),
 'u16': pa.array(some(lambda i: random.randint(0, 65535)), pa.uint16()),
 'u32': pa.array(some(lambda i: random.randint(0, 2**32-1)), pa.uint32()),
 'u64': pa.array(some(lambda i: random.randint(0, 2**64-1)), pa.uint64()),
 'f32': pa.array(some(lambda i: random.choice([0.0, -0.0, 1.5, -2.25, float('inf'), random.randint(-1000, 1000) / 8])), pa.float32()),
 'f64': pa.array(some(lambda i: random.choice([0.0, -0.0, 1e308, 5e-324, random.random()])), pa.float64()),
 'flag': pa.array(some(lambda i: random.random() < 0.5), pa.bool_()),
 'text': pa.array(some(lambda i: random.choice(['', 'a', 'ä', '🦉', 'x' * 200, f'row {i}'])), pa.string()),
 'large_text': pa.array(some(lambda i: f'large {i % 9}'), pa.large_string()),
 'coded': pa.array(some(lambda i: f'code {i % 5}'), pa.string()).dictionary_encode(),
 'blob': pa.array(some(lambda i: random.randbytes(random.randint(0, 20))), pa.binary()),
 'fixed': pa.array(some(lambda i: random.randbytes(7)), pa.binary(7)),
 'day': pa.array(some(lambda i: dt.date(1900, 1, 1) + dt.timedelta(days=random.randint(0, 80000))), pa.date32()),
 'time_ms': pa.array(some(lambda i: dt.time(i % 24, i % 60, i % 60, (i % 1000) * 1000)), pa.time32('ms')),
 'time_us': pa.array(some(lambda i: dt.time(i % 24, i % 60, i % 60, i)), pa.time64('us')),
 'ts_s': pa.array(some(lambda i: t0 + dt.timedelta(seconds=i * 977)), pa.timestamp('s')),
 'ts_ms': pa.array(some(lambda i: t0 + dt.timedelta(milliseconds=i * 977)), pa.timestamp('ms')),
 'ts_us': pa.array(some(lambda i: t0 + dt.timedelta(microseconds=i * 977)), pa.timestamp('us')),
 'ts_ns': pa.array(some(lambda i: 1704067200000000000 + i * 1000), pa.timestamp('ns')),
 'ts_tz': pa.array(some(lambda i: t0 + dt.timedelta(minutes=i)), pa.timestamp('us', tz='Europe/Berlin')),
 'dec9': pa.array(some(lambda i: D(random.randint(-10**6, 10**6)) / 100), pa.decimal128(9, 2)),
 'dec18': pa.array(some(lambda i: D(random.randint(-10**14, 10**14)) / 10000), pa.decimal128(18, 4)),
 'dec30': pa.array(some(lambda i: D(random.randint(-10**12, 10**12)) / 1000), pa.decimal128(30, 3)),
 'nothing': pa.array([None] * N, pa.int32()),
 'null_type': pa.nulls(N),
 'same': pa.array([42] * N, pa.int64()),
}
table = pa.table(cols)
out = sys.argv[1] + '/'
# Usage: python3 generate.py FOLDER
w = lambda name, t=table, **k: pq.write_table(t, out + name + '.parquet', **k)
w('default')
w('v1', version='1.0')
w('v2.4', version='2.4')
w('pages-v2', data_page_version='2.0')
for c in ['gzip', 'zstd', 'lz4', 'none']: w('codec-' + c, compression=c)
w('plain', use_dictionary=False)
w('page-index', write_page_index=True, write_page_checksum=True, data_page_size=256, write_batch_size=50)
w('row-groups', row_group_size=64)
w('int96', use_deprecated_int96_timestamps=True)
w('decimals-as-integers', store_decimal_as_integer=True)
w('coerced', table.select(['ts_s', 'ts_ms', 'ts_us', 'ts_ns']), coerce_timestamps='ms', allow_truncated_timestamps=True)
delta = {n: 'DELTA_BINARY_PACKED' for n in ['i8', 'i16', 'i32', 'i64', 'u8', 'u16', 'u32', 'u64', 'day', 'time_ms', 'time_us', 'ts_ms', 'ts_us', 'ts_ns', 'ts_tz']}
delta |= {'text': 'DELTA_BYTE_ARRAY', 'large_text': 'DELTA_LENGTH_BYTE_ARRAY', 'blob': 'DELTA_LENGTH_BYTE_ARRAY', 'fixed': 'DELTA_BYTE_ARRAY', 'flag': 'RLE', 'f32': 'BYTE_STREAM_SPLIT', 'f64': 'BYTE_STREAM_SPLIT'}
w('encodings', table.drop_columns(['coded']), use_dictionary=False, column_encoding=delta, data_page_version='2.0')
w('no-statistics', write_statistics=False)
w('empty', table.slice(0, 0))
required = pa.table({n: pa.array([v if v is not None else table.column(n).drop_null()[0].as_py() for v in table.column(n).to_pylist()], table.schema.field(n).type) for n in ['i32', 'i64', 'f64', 'text', 'flag', 'day', 'ts_us']}, schema=pa.schema([pa.field(n, table.schema.field(n).type, nullable=False) for n in ['i32', 'i64', 'f64', 'text', 'flag', 'day', 'ts_us']]))
w('required', required)
print(pa.__version__)
