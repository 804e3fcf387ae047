import type { SqlValue } from '../../value/row.ts';
import type { Condition } from '../table.ts';
import { parseInstant } from '../time.ts';
import { viewOf } from './bits.ts';
import { float16 } from './fixed-values.ts';
import { TYPE, type Statistics } from './metadata.ts';
import { bigEndian, decimalValue, integerValue, uuidText } from './objects.ts';
import type { Leaf } from './schema.ts';

/** A value that is compared with bounds: numbers by size, bytes by their order. */
export type Comparable = number | bigint | Uint8Array;

/** What is known of the values of a chunk or a page, without reading them. */
export interface Bounds {
  /** No value is less, none is more; undefined where that is not known. */
  readonly min: Comparable | undefined;
  readonly max: Comparable | undefined;
  readonly nullCount: number | undefined;
  readonly valueCount: number;
}

/** What a chunk's statistics tell. */
export function boundsOf(leaf: Leaf, statistics: Statistics | undefined, valueCount: number): Bounds {
  const nullCount = leaf.isOptional ? statistics?.nullCount : 0;
  if (statistics === undefined) return { min: undefined, max: undefined, nullCount, valueCount };
  const { min, max, oldMin, oldMax } = statistics;
  const isOld = min === undefined && max === undefined && isSignedOrder(leaf);
  return {
    min: boundOf(leaf, isOld ? oldMin : min, 'min'),
    max: boundOf(leaf, isOld ? oldMax : max, 'max'),
    nullCount,
    valueCount,
  };
}

/** Whether the deprecated bounds of the type, which compare as signed numbers, are in the order of its values. */
function isSignedOrder({ conversion, type }: Leaf): boolean {
  if (conversion === 'decimal') return type === TYPE.INT32 || type === TYPE.INT64;
  return ['int32', 'int64', 'float', 'double', 'bool'].includes(conversion);
}

/**
 * A bound as it is stored, as what the column's values are compared as: timestamps as ms since the epoch, dates as
 * days, rounded so that the bound stays one.
 */
export function boundOf(
  leaf: Leaf,
  stored: Uint8Array | undefined,
  side: 'min' | 'max',
): Comparable | undefined {
  if (stored === undefined) return undefined;
  const value = storedValue(leaf, stored);
  if (typeof value === 'number' && Number.isNaN(value)) return undefined;
  if (leaf.column.type !== 'timestamp' || value === undefined || value instanceof Uint8Array) return value;
  const { unit = 'ms' } = leaf.column;
  if (unit === 'ms') return value;
  const ms = Number(value) / (unit === 'us' ? 1e3 : 1e6);
  return side === 'min' ? Math.floor(ms) : Math.ceil(ms);
}

/** A bound as it is stored, as the column's own count of it. */
export function storedValue(leaf: Leaf, stored: Uint8Array): Comparable | undefined {
  const view = viewOf(stored);
  const { length } = stored;
  switch (leaf.conversion) {
    case 'bool':
      return length === 1 ? view.getUint8(0) : undefined;
    case 'int32':
      return length === 4 ? view.getInt32(0, true) : undefined;
    case 'uint32':
      return length === 4 ? view.getUint32(0, true) : undefined;
    case 'int64':
      return length === 8 ? integerValue(view.getBigInt64(0, true)) : undefined;
    case 'uint64':
      return length === 8 ? integerValue(view.getBigUint64(0, true)) : undefined;
    case 'float':
      return length === 4 ? view.getFloat32(0, true) : undefined;
    case 'double':
      return length === 8 ? view.getFloat64(0, true) : undefined;
    case 'float16':
      return length === 2 ? float16(view.getUint16(0, true)) : undefined;
    case 'decimal':
      return storedDecimal(leaf, stored);
    case 'uuid':
      return length === 16 ? encoder.encode(uuidText(stored)) : undefined;
    case 'bytes':
      return stored;
    default:
      return undefined;
  }
}

const encoder = new TextEncoder();

function storedDecimal(leaf: Leaf, stored: Uint8Array): Comparable | undefined {
  if (leaf.type > TYPE.INT64) {
    if (leaf.type === TYPE.FIXED_LEN_BYTE_ARRAY && stored.length !== leaf.typeLength) return undefined;
    return stored.length === 0 ? undefined : decimalValue(bigEndian(stored), leaf.scale);
  }
  if (stored.length !== (leaf.type === TYPE.INT32 ? 4 : 8)) return undefined;
  // Little-endian, the other way round than bytes.
  return decimalValue(bigEndian(stored.toReversed()), leaf.scale);
}

/**
 * A constant as what the leaf's bounds are compared with. Undefined where SQL would compare across storage classes, or
 * convert first: then statistics tell nothing.
 */
export function comparableOf(leaf: Leaf, value: SqlValue): Comparable | undefined {
  switch (leaf.column.type) {
    case 'integer':
    case 'real':
      if (typeof value === 'number') return Number.isNaN(value) ? undefined : value;
      return typeof value === 'bigint' ? value : undefined;
    case 'timestamp':
      if (leaf.conversion === 'int96') return undefined;
      if (typeof value === 'bigint') return value;
      return typeof value === 'number' && !Number.isNaN(value) ? value : undefined;
    case 'date': {
      const instant = typeof value === 'string' ? parseInstant(value) : undefined;
      return instant === undefined ? undefined : (instant.ms + instant.ns / 1e6) / 86_400_000;
    }
    case 'text':
      return typeof value === 'string' && value.isWellFormed() && leaf.conversion !== 'interval'
        ? encoder.encode(value)
        : undefined;
    case 'blob':
      return value instanceof Uint8Array ? value : undefined;
    default:
      return undefined;
  }
}

/** A condition with its constants made comparable; undefined among them for those that statistics tell nothing of. */
export interface Test {
  readonly leaf: Leaf;
  readonly operator: Condition['operator'];
  readonly values: readonly (Comparable | undefined)[];
}

/** The conditions on columns that the file has. */
export function testsOf(conditions: readonly Condition[], leaves: ReadonlyMap<string, Leaf>): Test[] {
  const tests: Test[] = [];
  for (const { column, operator, values } of conditions) {
    const leaf = leaves.get(column);
    if (leaf !== undefined)
      tests.push({ leaf, operator, values: values.map((value) => comparableOf(leaf, value)) });
  }
  return tests;
}

/** Whether a value within `bounds` may fulfil the test. Only `false` is certain. */
export function mayFulfil({ leaf, operator, values }: Test, bounds: Bounds): boolean {
  const { nullCount, valueCount } = bounds;
  // A NaN is among the values for the file, and NULL for SQL.
  if (operator === 'is null') return nullCount !== 0 || leaf.column.type === 'real';
  if (nullCount === valueCount && valueCount > 0) return false;
  if (operator === 'is not null') return true;
  if (operator === '=' || operator === 'in') return values.some((value) => isWithin(value, bounds));
  const [value] = values;
  const { min, max } = bounds;
  if (value === undefined) return true;
  switch (operator) {
    case '<':
      return min === undefined || !(compare(min, value) >= 0);
    case '<=':
      return min === undefined || !(compare(min, value) > 0);
    case '>':
      return max === undefined || !(compare(max, value) <= 0);
    default:
      return max === undefined || !(compare(max, value) < 0);
  }
}

function isWithin(value: Comparable | undefined, { min, max }: Bounds): boolean {
  if (value === undefined) return true;
  if (min !== undefined && compare(value, min) < 0) return false;
  return max === undefined || !(compare(value, max) > 0);
}

/** Below, at or above 0; NaN, which is none of these, for values that do not compare. */
export function compare(a: Comparable, b: Comparable): number {
  if (a instanceof Uint8Array) return b instanceof Uint8Array ? compareBytes(a, b) : NaN;
  if (b instanceof Uint8Array) return NaN;
  return a < b ? -1 : a > b ? 1 : 0;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
