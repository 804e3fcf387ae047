import type { ScanColumn, TimeUnit } from '../vector.ts';
import { malformed } from './malformed.ts';
import { TYPE, type Logical, type SchemaElement } from './metadata.ts';

/**
 * How stored values become those of a vector.
 *
 * `int32`, `uint32`, `int64` (also what is counted in time), `uint64`, `float`, `double`, `bytes` are given as they
 * are, `bool` as 0 and 1. The others are converted value by value.
 */
export type Conversion =
  | 'bool'
  | 'int32'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'float'
  | 'double'
  | 'bytes'
  | 'float16'
  | 'int96'
  | 'decimal'
  | 'uuid'
  | 'interval'
  | 'null';

/** A column of the file that can be read. */
export interface Leaf {
  readonly column: ScanColumn;
  /** Its place among a row group's chunks. */
  readonly index: number;
  readonly type: number;
  /** Bytes of a value of FIXED_LEN_BYTE_ARRAY. */
  readonly typeLength: number;
  readonly isOptional: boolean;
  readonly conversion: Conversion;
  /** Digits behind the point of a decimal. */
  readonly scale: number;
}

/** A column of the file that SQL has no value for. */
export interface UnreadableColumn {
  readonly name: string;
  readonly why: string;
}

/** What a file's schema has for SQL. */
export interface FileSchema {
  readonly leaves: readonly Leaf[];
  readonly byName: ReadonlyMap<string, Leaf>;
  readonly unreadable: readonly UnreadableColumn[];
  /** How many chunks each row group has. */
  readonly chunkCount: number;
}

/**
 * The flat columns of a schema.
 *
 * A column is flat when it stands at the top and is not repeated. All within a group counts as nested, also a single
 * value in a structure; its chunks are counted, so that those of later columns are found.
 */
export function readSchema(elements: readonly SchemaElement[]): FileSchema {
  const root = elements[0] ?? malformed('its schema is empty');
  const byName = new Map<string, Leaf>();
  const unreadable: UnreadableColumn[] = [];
  let at = 1;
  let index = 0;
  for (let child = 0; child < root.childCount; child++) {
    const element = elements[at] ?? malformed('its schema ends early');
    const { next, leafCount } = subtree(elements, at);
    if (leafCount !== 1 || element.type === undefined || element.repetition === 2)
      unreadable.push({
        name: element.name,
        why: `it holds ${nesting(element)}, and only flat columns can be read`,
      });
    else if (byName.has(element.name))
      unreadable.push({ name: element.name, why: 'a column before it has the same name' });
    else byName.set(element.name, leafOf(element, element.type, index));
    at = next;
    index += leafCount;
  }
  return { leaves: [...byName.values()], byName, unreadable, chunkCount: index };
}

/** Where the node at `at` ends, and how many leaves it has. */
function subtree(elements: readonly SchemaElement[], at: number): { next: number; leafCount: number } {
  let next = at;
  let leafCount = 0;
  for (let open = 1; open > 0; open--) {
    const element = elements[next++] ?? malformed('its schema ends early');
    if (element.type === undefined) {
      // A group without children is nothing, but elements cannot be fewer than nodes that are announced.
      if (element.childCount < 0 || element.childCount > elements.length) malformed('its schema is broken');
      open += element.childCount;
    } else leafCount++;
  }
  return { next, leafCount };
}

function nesting(element: SchemaElement): string {
  if (element.repetition === 2) return 'repeated values';
  return element.logical?.kind === 'group' ? 'a list or a map' : 'a structure';
}

function leafOf(element: SchemaElement, type: number, index: number): Leaf {
  const logical: Logical = element.logical ?? { kind: 'binary' };
  const kind =
    logical.kind === 'null' ? ({ conversion: 'null', type: 'any' } as const) : kindOf(type, logical);
  const { typeLength } = element;
  if (type > TYPE.FIXED_LEN_BYTE_ARRAY || type < 0)
    malformed(`its column "${element.name}" has the unknown type ${type}`);
  if (type === TYPE.FIXED_LEN_BYTE_ARRAY && (typeLength < 0 || typeLength > 2 ** 24))
    malformed(`its column "${element.name}" has values of ${typeLength} bytes`);
  const isWrong =
    (kind.conversion === 'uuid' && typeLength !== 16) ||
    (kind.conversion === 'float16' && typeLength !== 2) ||
    (kind.conversion === 'interval' && typeLength !== 12);
  // Bytes of another length than the meaning has are what they are.
  const { conversion, type: sql } = isWrong ? ({ conversion: 'bytes', type: 'blob' } as const) : kind;
  return {
    column: { name: element.name, type: sql, unit: kind.unit, isUtc: kind.isUtc },
    index,
    type,
    typeLength,
    isOptional: element.repetition === 1,
    conversion,
    scale: kind.conversion === 'decimal' ? (logical.scale ?? 0) : 0,
  };
}

interface Kind {
  readonly conversion: Conversion;
  readonly type: ScanColumn['type'];
  readonly unit?: TimeUnit | undefined;
  readonly isUtc?: boolean | undefined;
}

function kindOf(type: number, logical: Logical): Kind {
  switch (type) {
    case TYPE.BOOLEAN:
      return { conversion: 'bool', type: 'integer' };
    case TYPE.INT32:
    case TYPE.INT64:
      return integerKind(type, logical);
    case TYPE.INT96:
      return { conversion: 'int96', type: 'timestamp', unit: 'us', isUtc: true };
    case TYPE.FLOAT:
      return { conversion: 'float', type: 'real' };
    case TYPE.DOUBLE:
      return { conversion: 'double', type: 'real' };
    default:
      return bytesKind(type, logical);
  }
}

function integerKind(type: number, logical: Logical): Kind {
  const plain = type === TYPE.INT32 ? 'int32' : 'int64';
  if (logical.kind === 'decimal') {
    const { scale = 0 } = logical;
    return scale === 0 ? { conversion: plain, type: 'integer' } : { conversion: 'decimal', type: 'real' };
  }
  if (logical.kind === 'date' && type === TYPE.INT32) return { conversion: plain, type: 'date' };
  if (logical.kind === 'time') return { conversion: plain, type: 'time', unit: logical.unit };
  if (logical.kind === 'timestamp' && type === TYPE.INT64)
    return { conversion: plain, type: 'timestamp', unit: logical.unit, isUtc: logical.isUtc };
  if (logical.kind === 'integer' && logical.isSigned === false)
    return { conversion: type === TYPE.INT32 ? 'uint32' : 'uint64', type: 'integer' };
  return { conversion: plain, type: 'integer' };
}

function bytesKind(type: number, logical: Logical): Kind {
  switch (logical.kind) {
    case 'string':
    case 'enum':
    case 'json':
      return { conversion: 'bytes', type: 'text' };
    case 'decimal':
      return { conversion: 'decimal', type: (logical.scale ?? 0) === 0 ? 'integer' : 'real' };
    case 'uuid':
      return {
        conversion: type === TYPE.BYTE_ARRAY ? 'bytes' : 'uuid',
        type: type === TYPE.BYTE_ARRAY ? 'blob' : 'text',
      };
    case 'float16':
      return { conversion: 'float16', type: 'real' };
    case 'interval':
      return { conversion: 'interval', type: 'text' };
    default:
      return { conversion: 'bytes', type: 'blob' };
  }
}
