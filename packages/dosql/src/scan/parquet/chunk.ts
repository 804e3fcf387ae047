import { crc32 } from 'node:zlib';
import type { Budget } from '../budget.ts';
import type { PlainVector, Vector } from '../vector.ts';
import { unpack, viewOf } from './bits.ts';
import { decompress, discard, isUncompressed } from './codec.ts';
import { columnValues, converted, WIDE, type ColumnValues } from './column.ts';
import { spread } from './fixed-values.ts';
import {
  appendRun,
  countOnes,
  readCodes,
  readNulls,
  readRuns,
  type HybridRuns,
  type RunList,
} from './hybrid.ts';
import { malformed } from './malformed.ts';
import { allNull } from './objects.ts';
import { ENCODING, PAGE, isDictionaryCoded, type Page, readPage } from './page.ts';
import { Room } from './room.ts';
import type { Leaf } from './schema.ts';

/** Rows of a chunk that stand in one page; `page` is undefined where it has not been read: these count as NULL. */
export interface PagePart {
  readonly firstRow: number;
  readonly rowCount: number;
  page: Page | undefined;
}

/** The pages of a chunk that is there whole. */
export interface ChunkPages {
  readonly dictionary: Page | undefined;
  readonly parts: readonly PagePart[];
}

/**
 * Finds the pages of a chunk by going from header to header.
 *
 * @throws Malformed when they do not have `rowCount` rows.
 */
export function listPages(bytes: Uint8Array, rowCount: number): ChunkPages {
  const parts: PagePart[] = [];
  let dictionary: Page | undefined;
  let row = 0;
  for (let at = 0; row < rowCount;) {
    if (at >= bytes.length) malformed(`a column has ${row} values, where the row group has ${rowCount} rows`);
    const page = readPage(bytes, at);
    if (page.kind === PAGE.DICTIONARY) dictionary ??= page;
    else if (page.kind === PAGE.DATA || page.kind === PAGE.DATA_V2) {
      parts.push({ firstRow: row, rowCount: page.valueCount, page });
      row += page.valueCount;
    }
    at = page.end;
  }
  if (row !== rowCount) malformed(`a column has ${row} values, where the row group has ${rowCount} rows`);
  return { dictionary, parts };
}

/** A page after decompression: where its values are, and its levels where some of the values are NULL. */
interface OpenPage {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** How many of its values are not NULL. */
  readonly filled: number;
  readonly levels: HybridRuns | undefined;
}

const BOOLEANS: PlainVector = { kind: 'number', length: 2, nulls: undefined, values: Int32Array.of(0, 1) };

/** Of dictionaries and runs, which are small. */
const OWN = new Room(undefined);

/** What is known of a leaf over all chunks of a scan. */
export interface LeafState {
  /** Whether its integers turned out to need 64 bits. */
  isWide: boolean;
}

/** Decodes the pages of one chunk. */
export class ChunkDecoder {
  readonly #leaf: Leaf;
  readonly #codec: number;
  readonly #budget: Budget;
  readonly #state: LeafState;
  readonly #isVerified: boolean;
  readonly #dictionaryPage: Page | undefined;
  /** Those that have been decoded. */
  readonly #seen: Set<Page> = new Set();
  #stored: PlainVector | undefined;
  #dictionary: PlainVector | undefined;

  /** `isVerified`: whether a checksum over all of the chunk was right already. */
  constructor(
    leaf: Leaf,
    codec: number,
    dictionary: Page | undefined,
    state: LeafState,
    budget: Budget,
    isVerified: boolean,
  ) {
    this.#leaf = leaf;
    this.#codec = codec;
    this.#dictionaryPage = dictionary;
    this.#state = state;
    this.#budget = budget;
    this.#isVerified = isVerified;
  }

  /**
   * The values of `parts`, one after the other, in `room`.
   *
   * @throws Malformed
   */
  decode(parts: readonly PagePart[], room: Room): Vector {
    let count = 0;
    for (const part of parts) count += part.rowCount;
    if (this.#leaf.conversion === 'null' || parts.every(({ page }) => page === undefined))
      return nullRun(count, this.#leaf);
    const isCoded =
      this.#leaf.conversion === 'bool' ||
      parts.every(({ page }) => page === undefined || isDictionaryCoded(page));
    // A dictionary with more entries than there are rows only costs.
    if (isCoded && this.#entries().length <= Math.max(count, 2)) return this.#decodeCoded(parts, count, room);
    try {
      return this.#decodePlain(parts, count, room);
    } catch (error) {
      if (error !== WIDE) throw error;
      this.#state.isWide = true;
      return this.#decodePlain(parts, count, room);
    }
  }

  /** The dictionary as stored: what pages without one are put together with. */
  #entries(): PlainVector {
    if (this.#leaf.conversion === 'bool') return BOOLEANS;
    return (this.#stored ??= this.#readDictionary());
  }

  #readDictionary(): PlainVector {
    const page = this.#dictionaryPage;
    if (page === undefined) return { kind: 'number', length: 0, nulls: undefined, values: new Int32Array(0) };
    const bytes = this.#decompress(page, page.body, page.uncompressedSize);
    const encoded = { encoding: ENCODING.PLAIN, bytes, at: 0, end: bytes.length, count: page.valueCount };
    // Entries take bits at least, so a count that the bytes cannot hold is found before anything is made for it.
    if (page.valueCount > 8 * bytes.length + 1)
      malformed(`a dictionary of ${bytes.length} bytes has ${page.valueCount} entries`);
    const read = (isWide: boolean): PlainVector => {
      const values = columnValues(this.#leaf, page.valueCount, bytes.length, isWide, OWN, this.#budget);
      values.append(encoded, 0);
      return values.vector(undefined);
    };
    try {
      return read(false);
    } catch (error) {
      if (error !== WIDE) throw error;
      return read(true);
    }
  }

  #decodeCoded(parts: readonly PagePart[], count: number, room: Room): Vector {
    const stored = this.#entries();
    const bound = stored.length;
    let list: RunList | undefined = { codes: [], ends: [] };
    let codes: Uint32Array | undefined;
    let nulls: Uint8Array | undefined;
    let row = 0;
    for (const { page, rowCount } of parts) {
      const open = page === undefined ? undefined : this.#open(page);
      if (list !== undefined) {
        if (open === undefined || open.filled === 0) {
          appendRun(list, -1, rowCount);
          row += rowCount;
          continue;
        }
        const runs = open.filled === rowCount ? this.#runsOf(page as Page, open) : undefined;
        if (runs !== undefined && readRuns(runs, list, bound)) {
          this.#close(page as Page, open);
          row += rowCount;
          continue;
        }
        codes = room.uint32s(count);
        nulls = fillRuns(list, codes);
        list = undefined;
      }
      if (open === undefined || open.filled === 0) {
        nulls ??= new Uint8Array(count);
        nulls.fill(1, row, row + rowCount);
      } else if (codes !== undefined) {
        this.#readCodes(page as Page, open, codes, row, bound);
        if (open.levels !== undefined) {
          nulls ??= new Uint8Array(count);
          readNulls(open.levels, nulls, row);
          spread(codes, nulls, row, rowCount, open.filled);
        }
        this.#close(page as Page, open);
      }
      row += rowCount;
    }
    if (codes === undefined) return this.#runsVector(list as RunList, count);
    const dictionary = (this.#dictionary ??= converted(this.#leaf, stored, this.#budget));
    return { kind: 'dictionary', length: count, nulls, codes, dictionary };
  }

  #runsVector({ codes, ends }: RunList, count: number): Vector {
    const stored = this.#entries();
    const values = columnValues(this.#leaf, codes.length, 0, stored.kind === 'bigint', OWN, this.#budget);
    const filled = codes.filter((code) => code >= 0);
    values.appendCoded(stored, Uint32Array.from(filled), 0, filled.length);
    let nulls: Uint8Array | undefined;
    if (filled.length < codes.length) {
      nulls = Uint8Array.from(codes, (code) => (code < 0 ? 1 : 0));
      values.spread(nulls, 0, codes.length, filled.length);
    }
    const plain = converted(this.#leaf, values.vector(nulls), this.#budget);
    return { kind: 'runs', length: count, nulls: undefined, ends: Uint32Array.from(ends), values: plain };
  }

  #decodePlain(parts: readonly PagePart[], count: number, room: Room): Vector {
    // Before any page is open: the dictionary is decompressed into the same place.
    if (parts.some(({ page }) => page !== undefined && isDictionaryCoded(page))) this.#entries();
    const values = columnValues(this.#leaf, count, capacityOf(parts), this.#state.isWide, room, this.#budget);
    let nulls: Uint8Array | undefined;
    let row = 0;
    for (const { page, rowCount } of parts) {
      const open = page === undefined ? undefined : this.#open(page);
      if (open === undefined || page === undefined || open.filled === 0) {
        nulls ??= new Uint8Array(count);
        nulls.fill(1, row, row + rowCount);
        values.leaveOut(row, rowCount);
      } else {
        this.#append(page, open, values, row);
        if (open.levels !== undefined) {
          nulls ??= new Uint8Array(count);
          readNulls(open.levels, nulls, row);
          values.spread(nulls, row, rowCount, open.filled);
        }
        this.#close(page, open);
      }
      row += rowCount;
    }
    return converted(this.#leaf, values.vector(nulls), this.#budget);
  }

  #append(page: Page, open: OpenPage, values: ColumnValues, row: number): void {
    const { bytes, at, end, filled } = open;
    if (!isDictionaryCoded(page)) {
      values.append({ encoding: page.encoding, bytes, at, end, count: filled }, row);
      return;
    }
    const stored = this.#entries();
    const codes = new Uint32Array(filled);
    this.#readCodes(page, open, codes, 0, stored.length);
    values.appendCoded(stored, codes, row, filled);
  }

  #readCodes(page: Page, open: OpenPage, codes: Uint32Array, row: number, bound: number): void {
    const runs = this.#runsOf(page, open);
    if (runs !== undefined) readCodes(runs, codes, row, bound);
    else unpack(viewOf(open.bytes.subarray(0, open.end)), open.at, 1, codes, row, open.filled);
  }

  /** The codes of a page; undefined for booleans, which may be packed without runs. */
  #runsOf(page: Page, { bytes, at, end, filled }: OpenPage): HybridRuns | undefined {
    if (this.#leaf.conversion === 'bool') {
      if (page.encoding === ENCODING.PLAIN) return undefined;
      if (page.encoding !== ENCODING.RLE || end - at < 4)
        malformed(`booleans have the encoding ${page.encoding}`);
      return {
        bytes,
        at: at + 4,
        end: Math.min(end, at + 4 + viewOf(bytes).getUint32(at, true)),
        width: 1,
        count: filled,
      };
    }
    const width = bytes[at] as number;
    if (at >= end || width > 32) malformed('a page of dictionary codes has no sound width');
    return { bytes, at: at + 1, end, width, count: filled };
  }

  /** Decompresses a page and finds its levels. */
  #open(page: Page): OpenPage {
    const { body, valueCount } = page;
    const isOptional = this.#leaf.isOptional;
    if (page.kind === PAGE.DATA) {
      const bytes = this.#decompress(page, body, page.uncompressedSize);
      const end = bytes.length;
      if (!isOptional) return { bytes, at: 0, end, filled: valueCount, levels: undefined };
      if (page.levelEncoding === ENCODING.BIT_PACKED) {
        const size = Math.ceil(valueCount / 8);
        return openLevels({ bytes, at: size, end }, legacyLevels(bytes, size, valueCount));
      }
      const size = end < 4 ? -1 : viewOf(bytes).getUint32(0, true);
      if (size < 0 || size > end - 4) malformed('the levels of a page go past its end');
      return openLevels(
        { bytes, at: 4 + size, end },
        { bytes, at: 4, end: 4 + size, width: 1, count: valueCount },
      );
    }
    const { definitionSize, repetitionSize } = page;
    const start = definitionSize + repetitionSize;
    if (start > body.length || start > page.uncompressedSize)
      malformed('the levels of a page go past its end');
    const stored = body.subarray(start);
    const size = page.uncompressedSize - start;
    const bytes = size === 0 ? stored : this.#decompress(page, stored, size);
    const place = { bytes, at: 0, end: bytes.length };
    if (!isOptional) return { ...place, filled: valueCount, levels: undefined };
    return openLevels(place, { bytes: body, at: repetitionSize, end: start, width: 1, count: valueCount });
  }

  /** Lets go of an open page, of which all values have been copied. */
  #close(page: Page, open: OpenPage): void {
    discard(this.#codec, page.body, open.bytes);
  }

  #decompress(page: Page, stored: Uint8Array, size: number): Uint8Array {
    if (page.crc !== undefined && !this.#isVerified && crc32(page.body) !== page.crc)
      malformed(`a page of its column "${this.#leaf.column.name}" does not have its checksum`);
    if (!this.#seen.has(page)) {
      this.#seen.add(page);
      this.#budget.counts.pageBytes += page.end - page.start;
    }
    // What a few bytes say about a million rows is counted as what they become.
    this.#budget.decode(Math.max(size, page.valueCount));
    if (!page.isCompressed && !isUncompressed(this.#codec)) return stored;
    return decompress(this.#codec, stored, size);
  }
}

function openLevels(place: { bytes: Uint8Array; at: number; end: number }, levels: HybridRuns): OpenPage {
  const filled = countOnes(levels);
  return { ...place, filled, levels: filled === levels.count ? undefined : levels };
}

/** Levels in the deprecated encoding BIT_PACKED, from the highest bit of each byte on, as one packed run. */
function legacyLevels(bytes: Uint8Array, size: number, count: number): HybridRuns {
  if (size > bytes.length) malformed('the levels of a page go past its end');
  const run: number[] = [];
  let header = 2 * size + 1;
  for (; header > 127; header = Math.floor(header / 128)) run.push((header & 127) | 128);
  run.push(header);
  for (let i = 0; i < size; i++) {
    let reversed = 0;
    for (let bit = 0; bit < 8; bit++) reversed |= (((bytes[i] as number) >>> bit) & 1) << (7 - bit);
    run.push(reversed);
  }
  return { bytes: Uint8Array.from(run), at: 0, end: run.length, width: 1, count };
}

function nullRun(count: number, { column }: Leaf): Vector {
  return {
    kind: 'runs',
    length: count,
    nulls: undefined,
    ends: Uint32Array.of(count),
    values: allNull(1, column.type),
  };
}

/** Writes the runs row by row; gives where NULLs are. */
function fillRuns({ codes: runCodes, ends }: RunList, codes: Uint32Array): Uint8Array | undefined {
  let nulls: Uint8Array | undefined;
  let start = 0;
  ends.forEach((end, i) => {
    const code = runCodes[i] as number;
    if (code >= 0) codes.fill(code, start, end);
    else (nulls ??= new Uint8Array(codes.length)).fill(1, start, end);
    start = end;
  });
  return nulls;
}

/** About how many bytes the texts of these pages take. */
function capacityOf(parts: readonly PagePart[]): number {
  let size = 0;
  for (const { page } of parts)
    if (page !== undefined && !isDictionaryCoded(page))
      // Of PLAIN texts the lengths, of four bytes each, are not kept.
      size += Math.min(
        Math.max(0, page.uncompressedSize - (page.encoding === ENCODING.PLAIN ? 4 * page.valueCount : 0)),
        2 ** 12 + 64 * page.body.length,
      );
  return Math.min(size, 2 ** 26);
}
