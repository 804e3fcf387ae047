/** The companion of a column: values of other classes than the column's own, and how both become one column again. */
import { DoSQLError } from '../../error.ts';
import type { SqlValue } from '../../value/row.ts';
import type { BytesVector, ColumnType, NumberVector, PlainVector, Vector } from '../vector.ts';
import { writeIso } from './write-iso.ts';

// The first byte of a packed value; its bytes follow.
const INTEGER = 1;
const REAL = 2;
const TEXT = 3;
const BLOB = 4;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/** A value with its class: int64 or double little-endian, UTF-8, or the blob. */
export function packOther(value: Exclude<SqlValue, null>, isReal: boolean): Uint8Array {
  if (typeof value === 'number' || typeof value === 'bigint') {
    const bytes = new Uint8Array(9);
    const view = new DataView(bytes.buffer);
    if (isReal) view.setFloat64(1, Number(value), true);
    else view.setBigInt64(1, BigInt(value), true);
    bytes[0] = isReal ? REAL : INTEGER;
    return bytes;
  }
  const payload = typeof value === 'string' ? encoder.encode(value) : value;
  const bytes = new Uint8Array(payload.length + 1);
  bytes[0] = typeof value === 'string' ? TEXT : BLOB;
  bytes.set(payload, 1);
  return bytes;
}

/**
 * The value that {@link packOther} packed.
 *
 * @throws DoSQLError `CORRUPT_FILE`
 */
export function unpackOther(bytes: Uint8Array): Exclude<SqlValue, null> {
  const payload = bytes.subarray(1);
  if (bytes[0] === TEXT) return decoder.decode(payload);
  if (bytes[0] === BLOB) return payload.slice();
  if ((bytes[0] !== INTEGER && bytes[0] !== REAL) || payload.length !== 8)
    throw new DoSQLError('CORRUPT_FILE', `a value of ${bytes.length} bytes has no class (${bytes[0]})`);
  const view = new DataView(payload.buffer, payload.byteOffset, 8);
  if (bytes[0] === REAL) return view.getFloat64(0, true);
  const value = view.getBigInt64(0, true);
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/**
 * A column with the values of its companion in their places: `main` itself when there are none among these rows.
 *
 * @param type whether bytes of `main` are text or blobs
 * @throws DoSQLError `CORRUPT_FILE` when the companion has what is no value
 */
export function mergeOther(main: Vector, other: Vector, type: ColumnType): Vector {
  let merged: SqlValue[] | undefined;
  const packed = bytesAt(other);
  for (let row = 0; row < other.length; row++) {
    const bytes = packed(row);
    if (bytes === undefined) continue;
    merged ??= valuesOf(main, type);
    merged[row] = unpackOther(bytes);
  }
  if (merged === undefined) return main;
  return { kind: 'mixed', length: main.length, nulls: undefined, values: merged };
}

/** Instants in ms as the text that they were: what a column stored as `iso` gives. */
export function isoText(main: Vector): Vector {
  switch (main.kind) {
    case 'number':
      return isoBytes(main);
    case 'dictionary':
      return { ...main, dictionary: isoText(main.dictionary) as PlainVector };
    case 'runs':
      return { ...main, values: isoText(main.values) as PlainVector };
    default:
      throw new DoSQLError('CORRUPT_FILE', `a column of instants has ${main.kind} values`);
  }
}

function isoBytes({ values, nulls, length }: NumberVector): BytesVector {
  const offsets = new Uint32Array(length + 1);
  for (let i = 0; i < length; i++) offsets[i + 1] = (offsets[i] as number) + (nulls?.[i] === 1 ? 0 : 24);
  const data = new Uint8Array(offsets[length] as number);
  writeIso(nulls === undefined ? values : values.filter((_, i) => nulls[i] === 0), data, 0);
  return { kind: 'bytes', length, nulls, data, offsets };
}

/** Gives the bytes at a row, undefined where it is NULL; rows are asked for in rising order. */
function bytesAt(vector: Vector): (row: number) => Uint8Array | undefined {
  switch (vector.kind) {
    case 'bytes': {
      const { data, offsets, nulls } = vector;
      return (row) => (nulls?.[row] === 1 ? undefined : data.subarray(offsets[row], offsets[row + 1]));
    }
    case 'dictionary': {
      const { codes, nulls, dictionary } = vector;
      const at = bytesAt(dictionary);
      return (row) => (nulls?.[row] === 1 ? undefined : at(codes[row] as number));
    }
    case 'runs': {
      const at = bytesAt(vector.values);
      let run = 0;
      return (row) => {
        while ((vector.ends[run] as number) <= row) run++;
        return at(run);
      };
    }
    case 'mixed':
      return (row) => {
        const value = vector.values[row];
        return value instanceof Uint8Array ? value : undefined;
      };
    default:
      throw new DoSQLError('CORRUPT_FILE', `a column of packed values has ${vector.kind} values`);
  }
}

function valuesOf(vector: Vector, type: ColumnType): SqlValue[] {
  const { length } = vector;
  switch (vector.kind) {
    case 'mixed':
      return [...vector.values];
    case 'number':
    case 'bigint':
      return Array.from({ length }, (_, i) =>
        vector.nulls?.[i] === 1 ? null : plainInteger(vector.values[i]),
      );
    case 'dictionary': {
      const values = valuesOf(vector.dictionary, type);
      return Array.from(vector.codes, (code, i) => (vector.nulls?.[i] === 1 ? null : (values[code] ?? null)));
    }
    case 'runs': {
      const values = valuesOf(vector.values, type);
      return [...vector.ends].flatMap((end, run) => {
        const count = end - (vector.ends[run - 1] ?? 0);
        return Array.from({ length: count }, () => values[run] ?? null);
      });
    }
    default: {
      const at = bytesAt(vector);
      return Array.from({ length }, (_, i) => {
        const bytes = at(i);
        if (bytes === undefined) return null;
        return type === 'blob' ? bytes.slice() : decoder.decode(bytes);
      });
    }
  }
}

function plainInteger(value: number | bigint | undefined): SqlValue {
  if (typeof value !== 'bigint') return value ?? null;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}
