import { malformed } from './malformed.ts';
import { ThriftReader } from './thrift.ts';

/** Kinds of pages by their numbers in the format. */
export const PAGE = {
  DATA: 0,
  INDEX: 1,
  DICTIONARY: 2,
  DATA_V2: 3,
} as const;

/** Encodings by their numbers in the format. */
export const ENCODING = {
  PLAIN: 0,
  PLAIN_DICTIONARY: 2,
  RLE: 3,
  BIT_PACKED: 4,
  DELTA_BINARY_PACKED: 5,
  DELTA_LENGTH_BYTE_ARRAY: 6,
  DELTA_BYTE_ARRAY: 7,
  RLE_DICTIONARY: 8,
  BYTE_STREAM_SPLIT: 9,
} as const;

/** A page: what its header says, and its bytes as stored. */
export interface Page {
  readonly kind: number;
  readonly valueCount: number;
  readonly encoding: number;
  /** Of a page V1 how its levels are written. */
  readonly levelEncoding: number;
  /** Of a page V2 the sizes of its levels, which stand before the values uncompressed. */
  readonly definitionSize: number;
  readonly repetitionSize: number;
  readonly isCompressed: boolean;
  readonly uncompressedSize: number;
  readonly crc: number | undefined;
  readonly body: Uint8Array;
  /** Where the header begins and the body ends, in the bytes it was read from. */
  readonly start: number;
  readonly end: number;
}

/** A page of more values is not decoded: all of them would have to be held at once. */
const MAX_VALUES = 2 ** 25;

/**
 * The page that begins at `at`.
 *
 * @throws Malformed when it does not lie within `bytes`.
 */
export function readPage(bytes: Uint8Array, at: number): Page {
  const reader = new ThriftReader(bytes, at);
  let kind = -1;
  let uncompressedSize = -1;
  let compressedSize = -1;
  let crc: number | undefined;
  const head = {
    valueCount: 0,
    encoding: -1,
    levelEncoding: ENCODING.RLE,
    definitionSize: 0,
    repetitionSize: 0,
    isCompressed: true,
  };
  let hasHead = false;
  reader.struct((id, type) => {
    if (id === 1) kind = reader.size(type);
    else if (id === 2) uncompressedSize = reader.size(type);
    else if (id === 3) compressedSize = reader.size(type);
    else if (id === 4) crc = reader.integer(type) >>> 0;
    else if (id === 5 || id === 7 || id === 8) {
      hasHead = id === (kind === PAGE.DATA ? 5 : kind === PAGE.DICTIONARY ? 7 : 8);
      readHead(reader, type, id, head);
    } else return false;
    return true;
  });
  if (compressedSize < 0 || uncompressedSize < 0 || (kind !== PAGE.INDEX && !hasHead))
    malformed('a page of it has no sound header');
  if (compressedSize > bytes.length - reader.pos) malformed('a page of it goes past the end of its column');
  if (head.valueCount > MAX_VALUES)
    malformed(`a page of it has ${head.valueCount} values, more than can be read at once`);
  const start = reader.pos;
  const end = start + compressedSize;
  return { ...head, kind, uncompressedSize, crc, body: bytes.subarray(start, end), start: at, end };
}

interface Head {
  valueCount: number;
  encoding: number;
  levelEncoding: number;
  definitionSize: number;
  repetitionSize: number;
  isCompressed: boolean;
}

/** The structure that a page's kind has of its own; V2 has its fields under other numbers. */
function readHead(reader: ThriftReader, wire: number, structure: number, head: Head): void {
  const isV2 = structure === 8;
  reader.nested(wire, (id, type) => {
    if (id === 1) head.valueCount = reader.size(type);
    else if (id === (isV2 ? 4 : 2)) head.encoding = reader.size(type);
    else if (id === 3 && structure === 5) head.levelEncoding = reader.size(type);
    else if (id === 5 && isV2) head.definitionSize = reader.size(type);
    else if (id === 6 && isV2) head.repetitionSize = reader.size(type);
    else if (id === 7 && isV2) head.isCompressed = reader.bool(type);
    else return false;
    return true;
  });
}

/** Whether the page's values are numbers of entries of the dictionary. */
export function isDictionaryCoded({ encoding }: Page): boolean {
  return encoding === ENCODING.RLE_DICTIONARY || encoding === ENCODING.PLAIN_DICTIONARY;
}
