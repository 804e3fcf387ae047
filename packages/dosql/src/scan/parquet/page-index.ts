import { crc32 } from 'node:zlib';
import { viewOf } from './bits.ts';
import { boundOf, mayFulfil, type Bounds, type Test } from './bounds.ts';
import { malformed } from './malformed.ts';
import { readList } from './metadata.ts';
import type { Leaf } from './schema.ts';
import type { RowRange } from './take.ts';
import { WIRE, ThriftReader } from './thrift.ts';

/** Where the pages of a chunk are, by the file's offset index. */
export interface PageLocation {
  readonly offset: number;
  /** Header and body. */
  readonly length: number;
  readonly firstRow: number;
  readonly rowCount: number;
}

/** What an offset index tells. */
export interface PageLocations {
  readonly pages: readonly PageLocation[];
  /** Of files of ours: the checksum of each page with its header, that of the dictionary first where there is one. */
  readonly checksums: readonly number[] | undefined;
}

/** Of what the writer puts at the end of an index of ours: `write-checksum.ts`. */
const EXTENSION_FIELD = 32767;

/** Checks the checksum at the end of an index of a file of ours. */
function checkSeal(bytes: Uint8Array): void {
  const at = bytes.length - 5;
  const isSound =
    at >= 0 && bytes[at + 4] === 0 && crc32(bytes.subarray(0, at)) === viewOf(bytes).getUint32(at, true);
  if (!isSound) malformed('an index of it does not have its checksum');
}

/**
 * Reads an offset index.
 *
 * @throws Malformed when its pages do not follow each other from row 0 to `rowCount`, within the chunk.
 */
export function readOffsetIndex(
  bytes: Uint8Array,
  chunk: { readonly offset: number; readonly length: number },
  rowCount: number,
  isSealed: boolean,
): PageLocations {
  if (isSealed) checkSeal(bytes);
  const reader = new ThriftReader(bytes);
  let found: { offset: number; length: number; firstRow: number }[] = [];
  let seal: Uint8Array | undefined;
  reader.struct((id, type) => {
    if (id === 1) found = readList(reader, type, readLocation);
    else if (id === EXTENSION_FIELD && type === WIRE.BINARY) seal = reader.binary(type);
    else return false;
    return true;
  });
  const end = chunk.offset + chunk.length;
  const pages = found.map(({ offset, length, firstRow }, i) => {
    const next = found[i + 1]?.firstRow ?? rowCount;
    if (offset < chunk.offset || offset + length > end || next < firstRow || (i === 0 && firstRow !== 0))
      malformed('an index of its pages is not sound');
    return { offset, length, firstRow, rowCount: next - firstRow };
  });
  if (pages.length === 0 && rowCount > 0) malformed('an index of its pages is empty');
  return { pages, checksums: isSealed && seal !== undefined ? words(seal) : undefined };
}

function words(seal: Uint8Array): number[] {
  const view = viewOf(seal);
  return Array.from({ length: Math.floor(seal.length / 4) - 1 }, (_, i) => view.getUint32(4 * i, true));
}

function readLocation(reader: ThriftReader): { offset: number; length: number; firstRow: number } {
  const numbers = [0, -1, -1, -1];
  reader.struct((id, type) => {
    if (id > 3) return false;
    numbers[id] = reader.size(type);
    return true;
  });
  const [, offset = -1, length = -1, firstRow = -1] = numbers;
  if (offset < 0 || length < 0 || firstRow < 0) malformed('an index of its pages is not sound');
  return { offset, length, firstRow };
}

/** Reads a column index: what is known of the values of each page. */
export function readColumnIndex(
  bytes: Uint8Array,
  leaf: Leaf,
  pages: readonly PageLocation[],
  isSealed: boolean,
): Bounds[] {
  if (isSealed) checkSeal(bytes);
  const reader = new ThriftReader(bytes);
  let isNull: boolean[] = [];
  let nullCounts: number[] | undefined;
  const sides: Uint8Array[][] = [[], []];
  reader.struct((id, type) => {
    if (id === 1) isNull = readBooleans(reader, type);
    else if (id === 2 || id === 3)
      sides[id - 2] = Array.from({ length: reader.list(type, WIRE.BINARY) }, () =>
        reader.binary(WIRE.BINARY),
      );
    else if (id === 5)
      nullCounts = Array.from({ length: reader.list(type, WIRE.I64) }, () => reader.zigzag());
    else return false;
    return true;
  });
  const [mins, maxs] = sides as [Uint8Array[], Uint8Array[]];
  const { length } = pages;
  if (isNull.length !== length || mins.length !== length || maxs.length !== length)
    malformed('an index of its columns does not have all pages');
  return pages.map(({ rowCount }, i) => {
    if (isNull[i] === true)
      return { min: undefined, max: undefined, nullCount: rowCount, valueCount: rowCount };
    return {
      min: boundOf(leaf, mins[i], 'min'),
      max: boundOf(leaf, maxs[i], 'max'),
      nullCount: leaf.isOptional ? nullCounts?.[i] : 0,
      valueCount: rowCount,
    };
  });
}

function readBooleans(reader: ThriftReader, type: number): boolean[] {
  return Array.from({ length: reader.list(type, WIRE.TRUE) }, () => reader.bytes[reader.pos++] === WIRE.TRUE);
}

/** The rows of the pages that may fulfil the test. */
export function rowsThatMay(
  test: Test,
  pages: readonly PageLocation[],
  bounds: readonly Bounds[],
): RowRange[] {
  const ranges: { start: number; end: number }[] = [];
  pages.forEach(({ firstRow, rowCount }, i) => {
    if (rowCount === 0 || !mayFulfil(test, bounds[i] as Bounds)) return;
    const last = ranges.at(-1);
    if (last?.end === firstRow) last.end += rowCount;
    else ranges.push({ start: firstRow, end: firstRow + rowCount });
  });
  return ranges;
}

/** The rows that are in both. */
export function intersect(a: readonly RowRange[], b: readonly RowRange[]): RowRange[] {
  const both: RowRange[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const left = a[i];
    const right = b[j];
    if (left === undefined || right === undefined) return both;
    const start = Math.max(left.start, right.start);
    const end = Math.min(left.end, right.end);
    if (start < end) both.push({ start, end });
    if (left.end < right.end) i++;
    else j++;
  }
}
