import { CHECKSUMS_KEY, chunkChecksums, sealFooter } from './write-checksum.ts';
import { statWidth, type WrittenChunk } from './write-chunk.ts';
import { CODEC } from './write-codec.ts';
import { ENCODING } from './write-encode.ts';
import { physicalType, writeSchema, type WriteColumn } from './write-schema.ts';
import { lowerBound, upperBound } from './write-stats.ts';
import { StructWriter } from './thrift-write.ts';

/** A column by which the rows of each row group are sorted. */
export interface SortedBy {
  readonly column: string;
  readonly descending?: boolean | undefined;
  /** Where NULLs stand; as SQLite has them by default: first, and last when descending. */
  readonly nullsFirst?: boolean | undefined;
}

/** One row group that has been written. */
export interface WrittenGroup {
  readonly rows: number;
  readonly chunks: readonly WrittenChunk[];
}

/** Where the indexes and filters of a chunk stand. */
interface Placed {
  columnIndex?: { offset: number; length: number } | undefined;
  offsetIndex?: { offset: number; length: number } | undefined;
  bloom?: { offset: number; length: number } | undefined;
}

/** What the footer tells besides the row groups. */
export interface FooterOptions {
  readonly columns: readonly WriteColumn[];
  readonly sortedBy: readonly SortedBy[];
  readonly keyValue: Readonly<Record<string, string>>;
}

const CREATED_BY = 'dosql version 0.1.0 (build 1)';
/** The version of the format whose encodings include those that are used here. */
const VERSION = 2;

/**
 * What stands between the last row group and the end of the file: bloom filters, column indexes, offset indexes, the
 * footer.
 *
 * @param blooms by row group and column
 * @param start where in the file it will begin
 */
export function writeTail(
  groups: readonly WrittenGroup[],
  blooms: readonly (readonly (Uint8Array | undefined)[])[],
  options: FooterOptions,
  start: number,
): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = start;
  const place = (bytes: Uint8Array | undefined): { offset: number; length: number } | undefined => {
    if (bytes === undefined) return undefined;
    const offset = at;
    parts.push(bytes);
    at += bytes.length;
    return { offset, length: bytes.length };
  };
  const placed: Placed[][] = groups.map(({ chunks }, g) =>
    chunks.map((_, c) => ({ bloom: place(blooms[g]?.[c]) })),
  );
  for (const kind of ['columnIndex', 'offsetIndex'] as const)
    groups.forEach(({ chunks }, g) =>
      chunks.forEach((chunk, c) => {
        const places = placed[g]?.[c];
        if (places !== undefined) places[kind] = place(chunk[kind]);
      }),
    );
  parts.push(footer(groups, placed, options));
  return parts;
}

function footer(
  groups: readonly WrittenGroup[],
  placed: readonly (readonly Placed[])[],
  options: FooterOptions,
): Uint8Array {
  const { columns, keyValue } = options;
  const file = new StructWriter().int32(1, VERSION);
  writeSchema(file, 2, columns);
  file.int64(
    3,
    groups.reduce((sum, { rows }) => sum + rows, 0),
  );
  file.structs(4, [...groups.keys()], (group, g) =>
    writeGroup(group, g, groups[g] as WrittenGroup, placed[g] ?? [], options),
  );
  const checksums = chunkChecksums(groups.map(({ chunks }) => chunks.map(({ checksum }) => checksum)));
  file
    .structs(5, [...Object.entries(keyValue), [CHECKSUMS_KEY, checksums] as const], (pair, [key, value]) =>
      pair.text(1, key).text(2, value),
    )
    .text(6, CREATED_BY)
    .structs(7, columns, (order) => order.struct(1, () => {}));
  return sealFooter(file);
}

function writeGroup(
  struct: StructWriter,
  ordinal: number,
  { rows, chunks }: WrittenGroup,
  placed: readonly Placed[],
  options: FooterOptions,
): void {
  struct
    .structs(1, [...chunks.keys()], (chunk, c) =>
      writeChunkEntry(chunk, chunks[c] as WrittenChunk, placed[c] ?? {}, options.columns[c] as WriteColumn),
    )
    .int64(
      2,
      chunks.reduce((sum, { rawBytes }) => sum + rawBytes, 0),
    )
    .int64(3, rows);
  if (options.sortedBy.length > 0)
    struct.structs(4, options.sortedBy, (sorting, { column, descending = false, nullsFirst = !descending }) =>
      sorting
        .int32(
          1,
          options.columns.findIndex(({ name }) => name === column),
        )
        .bool(2, descending)
        .bool(3, nullsFirst),
    );
  struct
    .int64(5, chunks[0]?.offset)
    .int64(
      6,
      chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    )
    // A larger ordinal has no place in its 16 bits.
    .int16(7, ordinal < 2 ** 15 ? ordinal : undefined);
}

function writeChunkEntry(
  struct: StructWriter,
  chunk: WrittenChunk,
  placed: Placed,
  column: WriteColumn,
): void {
  struct
    .int64(2, chunk.offset)
    .struct(3, (meta) => writeMetadata(meta, chunk, placed, column))
    .int64(4, placed.offsetIndex?.offset)
    .int32(5, placed.offsetIndex?.length)
    .int64(6, placed.columnIndex?.offset)
    .int32(7, placed.columnIndex?.length);
}

function writeMetadata(meta: StructWriter, chunk: WrittenChunk, placed: Placed, column: WriteColumn): void {
  const { encoding, hasDictionary, offset, dataOffset } = chunk;
  const encodings = new Set([encoding, ENCODING.RLE, ...(hasDictionary ? [ENCODING.PLAIN] : [])]);
  meta
    .int32(1, physicalType(column))
    .int32s(2, [...encodings])
    .texts(3, [column.name])
    .int32(4, CODEC[chunk.codec])
    .int64(5, chunk.rows)
    .int64(6, chunk.rawBytes)
    .int64(7, chunk.sizeBytes)
    .int64(9, dataOffset)
    .int64(11, hasDictionary ? offset : undefined)
    .struct(12, (statistics) => writeStatistics(statistics, chunk, column))
    .structs(
      13,
      [...(hasDictionary ? [[2, ENCODING.PLAIN, 1] as const] : []), [0, encoding, chunk.pageCount] as const],
      (stats, [type, pageEncoding, count]) => stats.int32(1, type).int32(2, pageEncoding).int32(3, count),
    )
    .int64(14, placed.bloom?.offset)
    .int32(15, placed.bloom?.length);
}

function writeStatistics(
  struct: StructWriter,
  { bounds, nullCount }: WrittenChunk,
  column: WriteColumn,
): void {
  struct.int64(3, nullCount);
  if (bounds.min === undefined || bounds.max === undefined) return;
  const width = statWidth(column);
  const max = upperBound(bounds.max, width, column.type === 'utf8');
  const min = lowerBound(bounds.min, width);
  struct.binary(5, max.bytes).binary(6, min.bytes).bool(7, max.isExact).bool(8, min.isExact);
}
