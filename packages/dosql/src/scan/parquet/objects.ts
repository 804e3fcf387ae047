import type { SqlValue } from '../../value/row.ts';
import type { BytesVector, ColumnType, MixedVector, NumberVector, PlainVector } from '../vector.ts';
import { ByteValues } from './byte-values.ts';
import { Room } from './room.ts';
import type { Budget } from '../budget.ts';

/** The two's complement number that the bytes are, the highest first. */
export function bigEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return BigInt.asIntN(8 * bytes.length, value);
}

/**
 * A decimal as SQL has it: with digits behind the point a double, the nearest to what it says; else an integer, or
 * as SQLite has integers past 64 bits, a double.
 */
export function decimalValue(unscaled: bigint, scale: number): number | bigint {
  if (scale > 0) return Number(`${unscaled}e-${scale}`);
  return integerValue(scale < 0 ? unscaled * 10n ** BigInt(-scale) : unscaled);
}

/** An integer as a number where it is one exactly, as a bigint within 64 bits, else as the nearest double. */
export function integerValue(value: bigint): number | bigint {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  return BigInt.asIntN(64, value) === value ? value : number;
}

/** Decimals that are stored as bytes. */
export function decimals(stored: BytesVector, scale: number): NumberVector | MixedVector {
  const { length, nulls, data, offsets } = stored;
  const numbers = new Float64Array(length);
  const divisor = 10 ** scale;
  // A quotient of two doubles is the nearest one only where both are exact.
  const isExact = scale >= 0 && scale <= 22;
  for (let i = 0; i < length; i++) {
    if (nulls?.[i] === 1) continue;
    const start = offsets[i] as number;
    const end = offsets[i + 1] as number;
    const small = isExact ? smallInteger(data, start, end) : undefined;
    const value =
      small === undefined ? decimalValue(bigEndian(data.subarray(start, end)), scale) : small / divisor;
    if (scale <= 0 && !Number.isSafeInteger(value)) return mixedDecimals(stored, scale);
    numbers[i] = value as number;
  }
  return { kind: 'number', length, nulls, values: numbers };
}

/** The same where some are beyond ±2^53. */
function mixedDecimals({ length, nulls, data, offsets }: BytesVector, scale: number): MixedVector {
  const values = Array.from({ length }, (_, i) =>
    nulls?.[i] === 1 ? null : decimalValue(bigEndian(data.subarray(offsets[i], offsets[i + 1])), scale),
  );
  return { kind: 'mixed', length, nulls: undefined, values };
}

/** The two's complement number from `start` to `end` without making a bigint, where 48 bits are enough. */
function smallInteger(data: Uint8Array, start: number, end: number): number | undefined {
  if (start === end) return 0;
  let value = (data[start] as number) < 128 ? 0 : -1;
  const sign = value & 255;
  let at = start;
  while (end - at > 6 && data[at] === sign) at++;
  if (end - at > 6) return undefined;
  for (; at < end; at++) value = value * 256 + (data[at] as number);
  return value;
}

/** Unsigned integers of 64 bits, which are stored as signed ones. */
export function unsigned(stored: BigInt64Array, nulls: Uint8Array | undefined): NumberVector | MixedVector {
  const values: SqlValue[] = [];
  for (let i = 0; i < stored.length; i++)
    values.push(nulls?.[i] === 1 ? null : integerValue(BigInt.asUintN(64, stored[i] as bigint)));
  return numbersOf(values, nulls);
}

/** A vector of numbers, where none of the values is anything else. */
function numbersOf(values: readonly SqlValue[], nulls: Uint8Array | undefined): NumberVector | MixedVector {
  const { length } = values;
  for (const value of values)
    if (value !== null && !Number.isSafeInteger(value))
      return { kind: 'mixed', length, nulls: undefined, values };
  return {
    kind: 'number',
    length,
    nulls,
    values: Float64Array.from(values as (number | null)[], (value) => value ?? 0),
  };
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** A UUID of 16 bytes as text. */
export function uuidText(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
    text += HEX[bytes[i] as number] as string;
  }
  return text;
}

/** UUIDs as text. */
export function uuids(stored: BytesVector, budget: Budget): BytesVector {
  return mapTexts(stored, budget, 36, uuidText);
}

/** Intervals, which are months, days and milliseconds, as durations of ISO 8601: `P1M2DT3.5S`. */
export function intervals(stored: BytesVector, budget: Budget): BytesVector {
  return mapTexts(stored, budget, 32, (bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, 12);
    const [months, days, ms] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
    const date = (months > 0 ? `${months}M` : '') + (days > 0 ? `${days}D` : '');
    return ms > 0 || date === '' ? `P${date}T${ms / 1000}S` : `P${date}`;
  });
}

const encoder = new TextEncoder();

function mapTexts(
  stored: BytesVector,
  budget: Budget,
  size: number,
  text: (bytes: Uint8Array) => string,
): BytesVector {
  const { length, nulls, data, offsets } = stored;
  budget.decode(length * size);
  const out = new ByteValues(length, length * size, new Room(undefined), budget);
  let to = 0;
  for (let i = 0; i < length; i++) {
    if (nulls?.[i] !== 1)
      to += encoder.encodeInto(
        text(data.subarray(offsets[i], offsets[i + 1])),
        out.data.subarray(to),
      ).written;
    out.offsets[i + 1] = to;
  }
  return out.vector(nulls);
}

/** A vector of NULLs alone, of the kind that the column's values have. */
export function allNull(length: number, type: ColumnType): PlainVector {
  if (type === 'text' || type === 'blob')
    return {
      kind: 'bytes',
      length,
      nulls: new Uint8Array(length).fill(1),
      data: new Uint8Array(0),
      offsets: new Uint32Array(length + 1),
    };
  return { kind: 'number', length, nulls: new Uint8Array(length).fill(1), values: new Int32Array(length) };
}
