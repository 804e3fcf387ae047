import { malformed } from './malformed.ts';
import { isInteger, WIRE, ThriftReader } from './thrift.ts';

/** The physical types, by their numbers. */
export const TYPE = {
  BOOLEAN: 0,
  INT32: 1,
  INT64: 2,
  INT96: 3,
  FLOAT: 4,
  DOUBLE: 5,
  BYTE_ARRAY: 6,
  FIXED_LEN_BYTE_ARRAY: 7,
} as const;

/** What a leaf's bytes mean, in the words of Parquet's logical types. */
export interface Logical {
  readonly kind:
    | 'string'
    | 'enum'
    | 'json'
    | 'bson'
    | 'uuid'
    | 'decimal'
    | 'date'
    | 'time'
    | 'timestamp'
    | 'integer'
    | 'float16'
    | 'interval'
    | 'null'
    | 'group'
    | 'binary';
  readonly unit?: 'ms' | 'us' | 'ns';
  readonly isUtc?: boolean;
  readonly scale?: number;
  readonly isSigned?: boolean;
}

/** A node of the schema, as the footer lists them: a group is followed by its children. */
export interface SchemaElement {
  readonly name: string;
  /** The physical type; undefined for a group. */
  readonly type: number | undefined;
  readonly typeLength: number;
  /** 0 required, 1 optional, 2 repeated. */
  readonly repetition: number;
  readonly childCount: number;
  readonly logical: Logical | undefined;
}

/** The bounds of a chunk's or page's values as the file has them, and how many are NULL. */
export interface Statistics {
  readonly min: Uint8Array | undefined;
  readonly max: Uint8Array | undefined;
  /** The deprecated bounds, in the order of signed numbers whatever the type. */
  readonly oldMin: Uint8Array | undefined;
  readonly oldMax: Uint8Array | undefined;
  readonly nullCount: number | undefined;
  /** Whether the bounds are values that there are, and not cut. */
  readonly isExact: boolean;
}

/** A place in the file. */
export interface Place {
  readonly offset: number;
  readonly length: number;
}

/** One column of one row group. */
export interface ColumnChunk {
  readonly type: number;
  readonly codec: number;
  readonly valueCount: number;
  /** All of its pages, that of the dictionary too. */
  readonly place: Place;
  readonly dataOffset: number;
  readonly statistics: Statistics | undefined;
  readonly bloom: { readonly offset: number; readonly length: number | undefined } | undefined;
  readonly columnIndex: Place | undefined;
  readonly offsetIndex: Place | undefined;
}

/** A row group; its chunks are read from the footer when they are asked for. */
export interface RowGroup {
  readonly rowCount: number;
  /** Where in the footer each chunk begins. */
  readonly chunkAt: Uint32Array;
}

/** What a footer says, its row groups not yet read in full. */
export interface FileMetadata {
  readonly bytes: Uint8Array;
  readonly rowCount: number;
  readonly schema: readonly SchemaElement[];
  readonly rowGroups: readonly RowGroup[];
  readonly keyValue: ReadonlyMap<string, string>;
  readonly createdBy: string | undefined;
}

/**
 * Reads the footer.
 *
 * Chunks are stepped over and only noted: a footer of 101 columns and 49 row groups has 5,000 of them, and a query
 * looks at a few.
 */
export function readMetadata(bytes: Uint8Array): FileMetadata {
  const reader = new ThriftReader(bytes);
  let rowCount: number | undefined;
  let schema: SchemaElement[] | undefined;
  let rowGroups: RowGroup[] = [];
  let createdBy: string | undefined;
  const keyValue = new Map<string, string>();
  reader.struct((id, type) => {
    if (id === 2) schema = readList(reader, type, readSchemaElement);
    else if (id === 3) rowCount = reader.size(type);
    else if (id === 4) rowGroups = readList(reader, type, readRowGroup);
    else if (id === 5)
      for (const [key, value] of readList(reader, type, readKeyValue)) keyValue.set(key, value);
    else if (id === 6) createdBy = reader.text(type);
    else if (id === 8) malformed('it is encrypted');
    else return false;
    return true;
  });
  if (schema === undefined || rowCount === undefined) malformed('its metadata has no schema or no row count');
  let total = 0;
  for (const group of rowGroups) total += group.rowCount;
  // Some writers leave it at 0.
  if (total !== rowCount && rowCount > 0)
    malformed(`its row groups have ${total} rows, the file says ${rowCount}`);
  return { bytes, rowCount: total, schema, rowGroups, keyValue, createdBy };
}

/** Reads the chunk that begins at `at` of the footer. */
export function readChunk(metadata: FileMetadata, at: number, fileSize: number): ColumnChunk {
  const reader = new ThriftReader(metadata.bytes, at);
  const places: (number | undefined)[] = [];
  let meta: ChunkMetadata | undefined;
  reader.struct((id, type) => {
    if (id === 1 && reader.binary(type).length > 0) malformed('a column of it is in another file');
    else if (id === 3) meta = readChunkMetadata(reader, type);
    else if (id >= 4 && id <= 7) places[id] = reader.size(type);
    else if (id === 8 || id === 9) malformed('a column of it is encrypted');
    else return id === 1;
    return true;
  });
  if (meta === undefined) malformed('a column of it has no metadata');
  const { dataOffset, dictionaryOffset, compressedSize, bloomOffset, bloomLength } = meta;
  // Some writers say 0 where there is no dictionary, some put the dictionary's place behind the data's.
  const hasDictionary =
    dictionaryOffset !== undefined && dictionaryOffset > 3 && dictionaryOffset < dataOffset;
  const offset = hasDictionary ? dictionaryOffset : dataOffset;
  return {
    type: meta.type,
    codec: meta.codec,
    valueCount: meta.valueCount,
    place: placeIn(fileSize, offset, compressedSize + unsaid(metadata, offset + compressedSize, fileSize)),
    dataOffset,
    statistics: meta.statistics,
    bloom:
      bloomOffset === undefined || bloomOffset < 4 ? undefined : { offset: bloomOffset, length: bloomLength },
    columnIndex: placeIn(fileSize, places[6], places[7]),
    offsetIndex: placeIn(fileSize, places[4], places[5]),
  };
}

/**
 * Bytes that a column may have beyond its size: parquet-mr before 1.2.9 left the head of the dictionary's page out of it
 * (https://issues.apache.org/jira/browse/PARQUET-816).
 */
function unsaid({ createdBy = '' }: FileMetadata, end: number, fileSize: number): number {
  const version = /^parquet-mr(?: version (\d+)\.(\d+)\.(\d+))?/.exec(createdBy);
  if (version === null) return 0;
  const [major = 0, minor = 0, patch = 0] = version.slice(1).map((part) => Number(part ?? 0));
  const isOld = major < 1 || (major === 1 && (minor < 2 || (minor === 2 && patch < 9)));
  return isOld ? Math.max(0, Math.min(100, fileSize - end)) : 0;
}

function placeIn(fileSize: number, offset: number, length: number): Place;
function placeIn(fileSize: number, offset: number | undefined, length: number | undefined): Place | undefined;
function placeIn(
  fileSize: number,
  offset: number | undefined,
  length: number | undefined,
): Place | undefined {
  if (offset === undefined || length === undefined) return undefined;
  if (offset + length > fileSize)
    malformed(`a part of it is said to end at ${offset + length}, past its end`);
  return { offset, length };
}

/** A list of structures. */
export function readList<T>(reader: ThriftReader, type: number, read: (reader: ThriftReader) => T): T[] {
  const count = reader.list(type, WIRE.STRUCT);
  const list: T[] = [];
  for (let i = 0; i < count; i++) list.push(read(reader));
  return list;
}

function readRowGroup(reader: ThriftReader): RowGroup {
  let rowCount: number | undefined;
  let chunkAt = new Uint32Array(0);
  reader.struct((id, type) => {
    if (id === 1) {
      chunkAt = new Uint32Array(reader.list(type, WIRE.STRUCT));
      for (let i = 0; i < chunkAt.length; i++) {
        chunkAt[i] = reader.pos;
        reader.skip(WIRE.STRUCT);
      }
    } else if (id === 3) rowCount = reader.size(type);
    else return false;
    return true;
  });
  if (rowCount === undefined) malformed('a row group of it has no row count');
  return { rowCount, chunkAt };
}

function readKeyValue(reader: ThriftReader): [string, string] {
  let key = '';
  let value = '';
  reader.struct((id, type) => {
    if (id === 1) key = reader.text(type);
    else if (id === 2) value = reader.text(type);
    else return false;
    return true;
  });
  return [key, value];
}

interface ChunkMetadata {
  type: number;
  codec: number;
  valueCount: number;
  compressedSize: number;
  dataOffset: number;
  dictionaryOffset: number | undefined;
  statistics: Statistics | undefined;
  bloomOffset: number | undefined;
  bloomLength: number | undefined;
}

function readChunkMetadata(reader: ThriftReader, wire: number): ChunkMetadata {
  const numbers: (number | undefined)[] = [];
  let statistics: Statistics | undefined;
  reader.nested(wire, (id, type) => {
    if (id === 12) statistics = readStatistics(reader, type);
    else if (id === 1 || id === 4 || id === 5 || id === 7 || id === 9) numbers[id] = reader.size(type);
    // Places that are optional are -1 with some writers, and something else altogether with others.
    else if ((id === 11 || id === 14 || id === 15) && isInteger(type))
      numbers[id] = Math.max(0, reader.integer(type)) || undefined;
    else return false;
    return true;
  });
  const due = (id: number): number => numbers[id] ?? malformed(`a column of it lacks the field ${id}`);
  return {
    type: due(1),
    codec: due(4),
    valueCount: due(5),
    compressedSize: due(7),
    dataOffset: due(9),
    dictionaryOffset: numbers[11],
    statistics,
    bloomOffset: numbers[14],
    bloomLength: numbers[15],
  };
}

/** Reads the structure `Statistics`. */
export function readStatistics(reader: ThriftReader, wire: number): Statistics {
  const bounds: (Uint8Array | undefined)[] = [];
  let nullCount: number | undefined;
  let isExact = true;
  reader.nested(wire, (id, type) => {
    if ((id === 1 || id === 2 || id === 5 || id === 6) && type === WIRE.BINARY)
      bounds[id] = reader.binary(type);
    else if (id === 3) nullCount = reader.integer(type);
    else if (id === 7 || id === 8) isExact &&= reader.bool(type);
    else return false;
    return true;
  });
  if (nullCount !== undefined && nullCount < 0) nullCount = undefined;
  return { min: bounds[6], max: bounds[5], oldMin: bounds[2], oldMax: bounds[1], nullCount, isExact };
}

function readSchemaElement(reader: ThriftReader): SchemaElement {
  const numbers: (number | undefined)[] = [];
  let name: string | undefined;
  let logical: Logical | undefined;
  reader.struct((id, type) => {
    if (id === 4) name = reader.text(type);
    else if (id === 10) logical = readLogical(reader, type);
    else if (id <= 8) numbers[id] = reader.integer(type);
    else return false;
    return true;
  });
  if (name === undefined) malformed('a column of it has no name');
  return {
    name,
    type: numbers[1],
    typeLength: numbers[2] ?? 0,
    repetition: numbers[3] ?? 0,
    childCount: numbers[5] ?? 0,
    logical: logical ?? (numbers[6] === undefined ? undefined : converted(numbers[6], numbers[7] ?? 0)),
  };
}

/** The logical types of the union that have nothing but their number. */
const PLAIN_LOGICAL: Readonly<Record<number, Logical>> = {
  1: { kind: 'string' },
  2: { kind: 'group' },
  3: { kind: 'group' },
  4: { kind: 'enum' },
  6: { kind: 'date' },
  11: { kind: 'null' },
  12: { kind: 'json' },
  13: { kind: 'bson' },
  14: { kind: 'uuid' },
  15: { kind: 'float16' },
};

function readLogical(reader: ThriftReader, wire: number): Logical | undefined {
  let logical: Logical | undefined;
  reader.nested(wire, (id, type) => {
    logical = PLAIN_LOGICAL[id];
    if (id === 5) logical = { kind: 'decimal', ...readDecimal(reader, type) };
    else if (id === 7) logical = { kind: 'time', ...readTime(reader, type) };
    else if (id === 8) logical = { kind: 'timestamp', ...readTime(reader, type) };
    else if (id === 10) logical = { kind: 'integer', ...readInteger(reader, type) };
    else return false;
    return true;
  });
  return logical;
}

function readDecimal(reader: ThriftReader, wire: number): { scale: number } {
  let scale = 0;
  reader.nested(wire, (id, type) => {
    if (id !== 1) return false;
    scale = reader.integer(type);
    return true;
  });
  return { scale };
}

const UNITS = [undefined, 'ms', 'us', 'ns'] as const;

function readTime(reader: ThriftReader, wire: number): { unit: 'ms' | 'us' | 'ns'; isUtc: boolean } {
  let unit: 'ms' | 'us' | 'ns' | undefined;
  let isUtc = false;
  reader.nested(wire, (id, type) => {
    if (id === 1) isUtc = reader.bool(type);
    else if (id === 2)
      reader.nested(type, (id) => {
        unit = UNITS[id];
        return false;
      });
    else return false;
    return true;
  });
  if (unit === undefined) malformed('a time of it has no unit');
  return { unit, isUtc };
}

function readInteger(reader: ThriftReader, wire: number): { isSigned: boolean } {
  let isSigned = true;
  reader.nested(wire, (id, type) => {
    if (id !== 2) return false;
    isSigned = reader.bool(type);
    return true;
  });
  return { isSigned };
}

/** What the deprecated converted type `type` is as a logical one. */
function converted(type: number, scale: number): Logical | undefined {
  if (type >= 11 && type <= 14) return { kind: 'integer', isSigned: false };
  if (type >= 15 && type <= 18) return { kind: 'integer', isSigned: true };
  if (type === 5) return { kind: 'decimal', scale };
  return CONVERTED[type];
}

const CONVERTED: Readonly<Record<number, Logical>> = {
  0: { kind: 'string' },
  1: { kind: 'group' },
  2: { kind: 'group' },
  3: { kind: 'group' },
  4: { kind: 'enum' },
  6: { kind: 'date' },
  7: { kind: 'time', unit: 'ms', isUtc: true },
  8: { kind: 'time', unit: 'us', isUtc: true },
  9: { kind: 'timestamp', unit: 'ms', isUtc: true },
  10: { kind: 'timestamp', unit: 'us', isUtc: true },
  19: { kind: 'json' },
  20: { kind: 'bson' },
  21: { kind: 'interval' },
};
