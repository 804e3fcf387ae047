/** Column chunks: the pages of one column in one row group. */
import { crc32 } from 'node:zlib';
import type { ChunkData } from './write-buffer.ts';
import { sealIndex } from './write-checksum.ts';
import { compressor, FALLBACK, MAX_PAGE_BYTES, type Codec, type Compress } from './write-codec.ts';
import { chooseEncoding, concat, ENCODING, type ChunkEncoding } from './write-encode.ts';
import { encodeRuns } from './write-rle.ts';
import { PHYSICAL, physicalType, type WriteColumn } from './write-schema.ts';
import {
  boundsOf,
  compareStats,
  DOUBLE_WIDTH,
  joinBounds,
  lowerBound,
  pageRanges,
  upperBound,
  type Bounds,
  type PageRange,
} from './write-stats.ts';
import { StructWriter } from './thrift-write.ts';

/** What the footer says about a chunk, and its indexes, which stand before the footer. */
export interface WrittenChunk {
  readonly encoding: number;
  readonly pageCount: number;
  readonly hasDictionary: boolean;
  /** Where it starts in the file, and where its data pages do. */
  readonly offset: number;
  readonly dataOffset: number;
  readonly sizeBytes: number;
  readonly rawBytes: number;
  readonly codec: Codec;
  readonly rows: number;
  readonly nullCount: number;
  readonly bounds: Bounds;
  readonly checksum: number;
  /** Undefined where a page has values but no bounds, which is one of NaN only. */
  readonly columnIndex: Uint8Array | undefined;
  readonly offsetIndex: Uint8Array;
}

/** How a chunk is written. */
export interface ChunkOptions {
  readonly pageRows: number;
  readonly codec: Codec;
}

interface Page {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
  readonly rawSize: number;
}

const DATA_PAGE = 0;
const DICTIONARY_PAGE = 2;
/**
 * A chunk that the codec makes smaller by less is stored as it is: unpacking 2 M doubles that had become 12% smaller
 * took 53 ms instead of 7, and fetching what was saved takes less.
 */
const WORTHWHILE = 0.85;
/** Bytes of text in a page; with their lengths and the levels they stay below what every codec takes. */
const TEXT_PAGE_BYTES = MAX_PAGE_BYTES - 5000;

/** Writes one chunk that will start at `offset`, giving its bytes to `emit`. */
export function writeChunk(
  column: WriteColumn,
  chunk: ChunkData,
  offset: number,
  options: ChunkOptions,
  emit: (bytes: Uint8Array) => void,
): WrittenChunk {
  const physical = physicalType(column);
  const compress = compressor(options.codec);
  const sample = pageRanges(chunk, options.pageRows, TEXT_PAGE_BYTES);
  const encoding = chooseEncoding(chunk, physical, sample, compress);
  const body = (range: PageRange): Uint8Array =>
    withLevels(column, chunk, range, encoding.encode(range.from, range.to));
  const ranges = pageRanges(chunk, fittingRows(sample, body, options.pageRows), TEXT_PAGE_BYTES);
  const isWorth = options.codec !== 'uncompressed' && isWorthwhile(ranges, body, encoding, compress);
  const { pages, codec } = packPages(ranges, body, encoding, isWorth ? options.codec : 'uncompressed');
  const hasDictionary = encoding.dictionary !== undefined;
  const bounds = ranges.map(({ from, to }) => boundsOf(chunk.values, from, to, physical === PHYSICAL.DOUBLE));
  const first = pages[0];
  const dictionarySize = hasDictionary && first !== undefined ? first.header.length + first.body.length : 0;
  return {
    encoding: encoding.encoding,
    pageCount: ranges.length,
    hasDictionary,
    offset,
    dataOffset: offset + dictionarySize,
    sizeBytes: sum(pages, ({ header, body: bytes }) => header.length + bytes.length),
    rawBytes: sum(pages, ({ header, rawSize }) => header.length + rawSize),
    codec,
    rows: chunk.rows,
    nullCount: chunk.nullCount,
    bounds: keep(joinBounds(bounds)),
    checksum: emitPages(pages, emit),
    columnIndex: columnIndex(column, chunk, ranges, bounds),
    offsetIndex: offsetIndex(pages, ranges, offset, hasDictionary),
  };
}

function sum<T>(items: readonly T[], size: (item: T) => number): number {
  return items.reduce((total, item) => total + size(item), 0);
}

/** Bounds that no longer hold on to the chunk's bytes. */
function keep({ min, max, nanCount }: Bounds): Bounds {
  return {
    min: min instanceof Uint8Array ? min.slice() : min,
    max: max instanceof Uint8Array ? max.slice() : max,
    nanCount,
  };
}

function emitPages(pages: readonly Page[], emit: (bytes: Uint8Array) => void): number {
  let checksum = 0;
  for (const { header, body } of pages)
    for (const bytes of [header, body]) {
      if (bytes.length === 0) continue;
      checksum = crc32(bytes, checksum);
      emit(bytes);
    }
  return checksum;
}

/** Fewer rows where those of a page take more bytes than every codec takes. */
function fittingRows(
  ranges: readonly PageRange[],
  body: (range: PageRange) => Uint8Array,
  pageRows: number,
): number {
  // NULLs take hardly any room: the page with the most values is the longest, about.
  const fullest = ranges.toSorted((a, b) => b.to - b.from - (a.to - a.from))[0];
  if (fullest === undefined) return pageRows;
  const rows = fullest.endRow - fullest.firstRow;
  const length = body(fullest).length;
  return length <= MAX_PAGE_BYTES * 0.9
    ? pageRows
    : Math.max(1, Math.floor((rows * MAX_PAGE_BYTES * 0.9) / length));
}

function isWorthwhile(
  ranges: readonly PageRange[],
  body: (range: PageRange) => Uint8Array,
  { dictionary }: ChunkEncoding,
  compress: Compress,
): boolean {
  const instead = compressor(FALLBACK);
  const packed = (bytes: Uint8Array): number => (compress(bytes) ?? instead(bytes) ?? bytes).length;
  const page = ranges[0] === undefined ? undefined : body(ranges[0]);
  if (page === undefined) return false;
  // The first page stands for all of them.
  const raw = page.length * ranges.length + (dictionary?.body.length ?? 0);
  const small = packed(page) * ranges.length + (dictionary === undefined ? 0 : packed(dictionary.body));
  return small < raw * WORTHWHILE;
}

/** The pages with `codec`, or all of them with another one where it cannot take one of them. */
function packPages(
  ranges: readonly PageRange[],
  body: (range: PageRange) => Uint8Array,
  chosen: ChunkEncoding,
  codec: Codec,
): { pages: Page[]; codec: Codec } {
  const { encoding, dictionary } = chosen;
  const compress = compressor(codec);
  const pages: Page[] = [];
  if (dictionary !== undefined) {
    const page = dictionaryPage(dictionary.body, dictionary.count, compress);
    if (page === undefined) return packPages(ranges, body, chosen, FALLBACK);
    pages.push(page);
  }
  for (const range of ranges) {
    const page = dataPage(body(range), range.endRow - range.firstRow, encoding, compress);
    if (page === undefined) return packPages(ranges, body, chosen, FALLBACK);
    pages.push(page);
  }
  return { pages, codec };
}

/** Definition levels in front of the values, where the column may have NULLs. */
function withLevels(column: WriteColumn, chunk: ChunkData, range: PageRange, values: Uint8Array): Uint8Array {
  if (column.required === true) return values;
  const { firstRow, endRow } = range;
  const levels = new Uint8Array(endRow - firstRow).fill(1);
  if (range.to - range.from < levels.length)
    for (let i = 0; i < levels.length; i++) levels[i] = 1 - (chunk.nulls?.[firstRow + i] ?? 0);
  const head = encodeRuns(levels, 0, levels.length, 1, 4);
  new DataView(head.buffer, head.byteOffset).setUint32(0, head.length - 4, true);
  return concat(head, values);
}

function dataPage(raw: Uint8Array, rows: number, encoding: number, compress: Compress): Page | undefined {
  const body = compress(raw);
  if (body === undefined) return undefined;
  const header = pageHeader(DATA_PAGE, raw, body).struct(5, (page) =>
    page.int32(1, rows).int32(2, encoding).int32(3, ENCODING.RLE).int32(4, ENCODING.RLE),
  );
  return { header: header.end().bytes, body, rawSize: raw.length };
}

function dictionaryPage(raw: Uint8Array, count: number, compress: Compress): Page | undefined {
  const body = compress(raw);
  if (body === undefined) return undefined;
  const header = pageHeader(DICTIONARY_PAGE, raw, body).struct(7, (page) =>
    page.int32(1, count).int32(2, ENCODING.PLAIN),
  );
  return { header: header.end().bytes, body, rawSize: raw.length };
}

function pageHeader(type: number, raw: Uint8Array, body: Uint8Array): StructWriter {
  return new StructWriter()
    .int32(1, type)
    .int32(2, raw.length)
    .int32(3, body.length)
    .int32(4, crc32(body) | 0);
}

function offsetIndex(
  pages: readonly Page[],
  ranges: readonly PageRange[],
  start: number,
  hasDictionary: boolean,
): Uint8Array {
  let offset = start;
  const locations: { offset: number; size: number; firstRow: number }[] = [];
  pages.forEach(({ header, body }, i) => {
    const size = header.length + body.length;
    const range = ranges[hasDictionary ? i - 1 : i];
    if (range !== undefined) locations.push({ offset, size, firstRow: range.firstRow });
    offset += size;
  });
  const struct = new StructWriter().structs(1, locations, (location, page) =>
    location.int64(1, page.offset).int32(2, page.size).int64(3, page.firstRow),
  );
  return sealIndex(
    struct,
    pages.map(({ header, body }) => crc32(body, crc32(header))),
  );
}

const NO_BYTES = new Uint8Array(0);

function columnIndex(
  column: WriteColumn,
  chunk: ChunkData,
  ranges: readonly PageRange[],
  bounds: readonly Bounds[],
): Uint8Array | undefined {
  if (ranges.some(({ from, to }, i) => to > from && bounds[i]?.min === undefined)) return undefined;
  const width = statWidth(column);
  const isText = column.type === 'utf8';
  const struct = new StructWriter()
    .bools(
      1,
      ranges.map(({ from, to }) => from === to),
    )
    .binaries(
      2,
      bounds.map(({ min }) => (min === undefined ? NO_BYTES : lowerBound(min, width).bytes)),
    )
    .binaries(
      3,
      bounds.map(({ max }) => (max === undefined ? NO_BYTES : upperBound(max, width, isText).bytes)),
    )
    .int32(4, boundaryOrder(bounds))
    .int64s(
      5,
      ranges.map(({ firstRow, endRow, from, to }) => endRow - firstRow - (to - from)),
    );
  return chunk.rows === 0 ? undefined : sealIndex(struct, []);
}

/** How wide a column's numbers are in statistics. */
export function statWidth(column: WriteColumn): number {
  switch (physicalType(column)) {
    case PHYSICAL.BOOLEAN:
      return 1;
    case PHYSICAL.INT32:
      return 4;
    case PHYSICAL.DOUBLE:
      return DOUBLE_WIDTH;
    default:
      return 8;
  }
}

const UNORDERED = 0;
const ASCENDING = 1;
const DESCENDING = 2;

/** Whether the least and the greatest values of the pages both rise, or both fall; pages of NULLs aside. */
function boundaryOrder(bounds: readonly Bounds[]): number {
  let isRising = true;
  let isFalling = true;
  let before: Bounds | undefined;
  for (const page of bounds) {
    if (page.min === undefined || page.max === undefined) continue;
    if (before?.min !== undefined && before.max !== undefined) {
      const least = compareStats(before.min, page.min);
      const greatest = compareStats(before.max, page.max);
      if (least > 0 || greatest > 0) isRising = false;
      if (least < 0 || greatest < 0) isFalling = false;
    }
    before = page;
  }
  return isRising ? ASCENDING : isFalling ? DESCENDING : UNORDERED;
}
