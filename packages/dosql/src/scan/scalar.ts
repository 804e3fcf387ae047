import type { SqlValue } from '../value/row.ts';

/**
 * One value as SQLite tells values apart: a bigint is an INTEGER, a number is a REAL. That keeps `5` and `5.0` apart,
 * which division, text and `typeof` do. Vectors of numbers know it by their type; only values one by one are scalars.
 */
export type Scalar = null | bigint | number | string | Uint8Array;

/**
 * What a comparison makes of an operand of another class (https://sqlite.org/datatype3.html#affinity). `none` is what an
 * expression has, `blob` a column without a type: text affinity converts the one and leaves the other.
 */
export type Affinity = 'none' | 'blob' | 'numeric' | 'text';

const MAX_SAFE = 2 ** 53;
const decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });
const encoder = new TextEncoder();

/** The text of UTF-8 bytes. */
export function decodeText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Text as UTF-8. */
export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A value of a parameter, as the platform binds it: a number is a REAL, a bigint an INTEGER. */
export function fromParameter(value: SqlValue): Scalar {
  return Number.isNaN(value) ? null : value;
}

/** A value of a column of no one class: an integral number counts as INTEGER. */
export function fromValue(value: SqlValue | undefined): Scalar {
  if (typeof value !== 'number') return value ?? null;
  if (Number.isInteger(value) && Math.abs(value) <= MAX_SAFE) return BigInt(value);
  return Number.isNaN(value) ? null : value;
}

/** A value as it is given out: integers beyond ±2^53 as bigint where `bigints`, else as the nearest number. */
export function toValue(scalar: Scalar, bigints: boolean): SqlValue {
  return typeof scalar === 'bigint' && !bigints ? Number(scalar) : scalar;
}

/** `integer` within 64 bits, else the REAL that SQLite makes of it. */
export function integerOrReal(integer: bigint): Scalar {
  return BigInt.asIntN(64, integer) === integer ? integer : Number(integer);
}

/** A REAL, or NULL where there is no number. */
export function real(value: number): Scalar {
  return Number.isNaN(value) ? null : value;
}

const NUMBER_PREFIX = /^[ \t\n\v\f\r]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/;
const WHOLE_NUMBER = /^[ \t\n\v\f\r]*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[ \t\n\v\f\r]*$/;

/** The number that a text begins with, as arithmetic takes it: 0 where it begins with none. */
export function numberOfText(text: string): bigint | number {
  const match = NUMBER_PREFIX.exec(text)?.[1];
  return match === undefined ? 0n : numberOf(match);
}

function numberOf(text: string): bigint | number {
  if (/^[+-]?\d+$/.test(text)) {
    const integer = integerOrReal(BigInt(text.startsWith('+') ? text.slice(1) : text));
    return typeof integer === 'bigint' ? integer : Number(text);
  }
  return Number(text);
}

/** A value as a number, as arithmetic takes it; null for NULL. */
export function toNumber(scalar: Scalar): bigint | number | null {
  if (typeof scalar === 'string') return numberOfText(scalar);
  if (scalar instanceof Uint8Array) return numberOfText(decodeText(scalar));
  return scalar;
}

/** The value as a double, 0 where it begins with no number; null for NULL. */
export function toReal(scalar: Scalar): number | null {
  const value = toNumber(scalar);
  return typeof value === 'bigint' ? Number(value) : value;
}

/** The value as a 64-bit integer: reals cut towards zero and kept within 64 bits; null for NULL. */
export function toInteger(scalar: Scalar): bigint | null {
  if (typeof scalar === 'string' || scalar instanceof Uint8Array) {
    const text = typeof scalar === 'string' ? scalar : decodeText(scalar);
    const digits = /^[ \t\n\v\f\r]*([+-]?\d+)/.exec(text)?.[1];
    return digits === undefined ? 0n : clamp(BigInt(digits.startsWith('+') ? digits.slice(1) : digits));
  }
  if (typeof scalar === 'number') return integerOfReal(scalar);
  return scalar;
}

/** `value` cut towards zero and kept within 64 bits. */
export function integerOfReal(value: number): bigint {
  if (value >= 2 ** 63) return 2n ** 63n - 1n;
  if (value <= -(2 ** 63)) return -(2n ** 63n);
  return BigInt(Math.trunc(value));
}

function clamp(value: bigint): bigint {
  const max = 2n ** 63n - 1n;
  return value > max ? max : value < -max - 1n ? -max - 1n : value;
}

/** A value as text; null for NULL. */
export function toText(scalar: Scalar): string | null {
  if (scalar === null || typeof scalar === 'string') return scalar;
  if (typeof scalar === 'bigint') return scalar.toString();
  if (typeof scalar === 'number') return realText(scalar);
  return decodeText(scalar);
}

/** A REAL as SQLite prints it: with 17 digits at most, and in the e-notation from 1e17 on and below 1e-4. */
export function realText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return 'Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  if (value === 0) return '0.0';
  const { digits, exponent } = significant(Math.abs(value));
  const sign = value < 0 ? '-' : '';
  if (exponent < -4 || exponent >= 17) {
    const power = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${trimmed(`${digits.slice(0, 1)}.${digits.slice(1)}`)}e${exponent < 0 ? '-' : '+'}${power}`;
  }
  const whole = exponent < 0 ? '0' : digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  const fraction = exponent < 0 ? '0'.repeat(-exponent - 1) + digits : digits.slice(exponent + 1);
  return sign + trimmed(`${whole}.${fraction}`);
}

/**
 * The digits that SQLite prints of a number: 17, rounded from the 18 or 19 that it computes, or fewer where a row of nines or zeros in them shows that
 * fewer give the same number back.
 */
function significant(value: number): { digits: string; exponent: number } {
  const ten = Number(value.toExponential().split('e')[1]);
  // Where the power of two below the number has fewer digits than the number, SQLite comes to 19 digits.
  const digitsBelow = (exponentOfTwo(value) * 78_913) >> 18;
  const [mantissa = '', power = '0'] = value.toExponential(ten > digitsBelow ? 18 : 17).split('e');
  const all = mantissa.replace('.', '');
  const exponent = Number(power);
  const size = shorter(value, all, exponent) ?? 17;
  const kept = BigInt(all.slice(0, size)) + (all.charCodeAt(size) >= 53 ? 1n : 0n);
  const digits = kept.toString();
  return { digits, exponent: digits.length > size ? exponent + 1 : exponent };
}

function exponentOfTwo(value: number): number {
  const exponent = Math.floor(Math.log2(value));
  return 2 ** exponent > value ? exponent - 1 : exponent;
}

function shorter(value: number, all: string, exponent: number): number | undefined {
  const isNine = all.slice(14, 16) === '99';
  if (!isNine && exponent < 17 && all.slice(13, 16) !== '000') return undefined;
  const prefix = isNine ? all.slice(0, 14).replace(/9+$/, '') : all.slice(0, 13).replace(/0+$/, '');
  const kept = prefix === '' ? 1n : BigInt(prefix) + (isNine ? 1n : 0n);
  return Number(`${kept}e${exponent + 1 - prefix.length}`) === value ? prefix.length + 1 : undefined;
}

/** Without the zeros at the end, but for the first behind the point. */
function trimmed(decimal: string): string {
  const short = decimal.replace(/0+$/, '');
  return short.endsWith('.') ? `${short}0` : short;
}

/** Whether a value is true: NULL is null, a text is by the number that it begins with. */
export function truthOf(scalar: Scalar): boolean | null {
  const value = toNumber(scalar);
  return value === null ? null : typeof value === 'bigint' ? value !== 0n : value !== 0;
}

/** Text that is a number, whole, becomes one; everything else stays. */
export function applyNumeric(scalar: Scalar): Scalar {
  if (typeof scalar !== 'string' || !WHOLE_NUMBER.test(scalar)) return scalar;
  const value = numberOf(scalar.replace(/^[ \t\n\v\f\r]+|[ \t\n\v\f\r]+$/g, ''));
  // A REAL that is integral is stored as an INTEGER under this affinity.
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < MAX_SAFE
    ? BigInt(value)
    : value;
}

/** Numbers become text; everything else stays. */
export function applyText(scalar: Scalar): Scalar {
  return typeof scalar === 'bigint' || typeof scalar === 'number' ? toText(scalar) : scalar;
}

/** 0 NULL, 1 number, 2 text, 3 blob: the order of classes. */
export function rank(scalar: Scalar): number {
  if (scalar === null) return 0;
  if (typeof scalar === 'string') return 2;
  return scalar instanceof Uint8Array ? 3 : 1;
}

/** The order of two values over all classes; NULLs are equal, and first. */
export function compareScalars(a: Scalar, b: Scalar): number {
  const ranks = rank(a) - rank(b);
  if (ranks !== 0 || a === null || b === null) return ranks;
  if (typeof a === 'string') return compareText(a, b as string);
  if (a instanceof Uint8Array) return compareBytes(a, b as Uint8Array);
  // JavaScript compares a bigint with a number exactly.
  return a < (b as bigint) ? -1 : a > (b as bigint) ? 1 : 0;
}

/** The order of two texts by their UTF-8 bytes, which is that of their code points. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above all others.
    if (x >= 0xd800 && y >= 0xd800) {
      x = x >= 0xe000 ? x - 0x800 : x + 0x2000;
      y = y >= 0xe000 ? y - 0x800 : y + 0x2000;
    }
    return x - y;
  }
  return a.length - b.length;
}

/** The order of two blobs, byte by byte. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** What CAST makes of a value, by the affinity of the type's name. */
export function castScalar(scalar: Scalar, type: CastType): Scalar {
  if (scalar === null) return null;
  switch (type) {
    case 'integer':
      return toInteger(scalar);
    case 'real':
      return toReal(scalar);
    case 'text':
      return toText(scalar);
    case 'blob':
      return scalar instanceof Uint8Array ? scalar : encodeText(toText(scalar) ?? '');
    default: {
      if (typeof scalar === 'bigint' || typeof scalar === 'number') return scalar;
      const value = toNumber(scalar);
      return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 2 ** 51
        ? BigInt(value)
        : value;
    }
  }
}

/** What CAST can convert to. */
export type CastType = 'integer' | 'real' | 'text' | 'blob' | 'numeric';

/** The affinity that a type's name gives (https://sqlite.org/datatype3.html#determination_of_column_affinity). */
export function castType(name: string): CastType {
  const type = name.toUpperCase();
  if (type.includes('INT')) return 'integer';
  if (/CHAR|CLOB|TEXT/.test(type)) return 'text';
  if (type.includes('BLOB')) return 'blob';
  return /REAL|FLOA|DOUB/.test(type) ? 'real' : 'numeric';
}
