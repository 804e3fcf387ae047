import type { ScanColumn, Vector } from '../vector.ts';
import { TimeReader } from './csv-time.ts';
import { decimal } from './decimal.ts';
import type { FieldBlock } from './fields.ts';
import { TextFault } from './text-fault.ts';

const MAX_INT64 = 9_223_372_036_854_775_807n;

const utf8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

/**
 * The fields of one slot as numbers or times. An empty field is NULL.
 *
 * @throws TextFault for a field that is none of the column's type.
 */
export function numberValues(bytes: Uint8Array, block: FieldBlock, slot: number, column: ScanColumn): Vector {
  if (column.type === 'integer') return integers(bytes, block, slot, column);
  return column.type === 'real' ? reals(bytes, block, slot, column) : times(bytes, block, slot, column);
}

/** Whether the values of a column are read by {@link numberValues}. */
export function isNumeric({ type }: ScanColumn): boolean {
  return type === 'integer' || type === 'real' || type === 'timestamp' || type === 'date' || type === 'time';
}

function integers(bytes: Uint8Array, block: FieldBlock, slot: number, column: ScanColumn): Vector {
  const { rowCount, starts, ends, slotCount } = block;
  const values = new Float64Array(rowCount);
  let nulls: Uint8Array | undefined;
  for (let row = 0, at = slot; row < rowCount; row++, at += slotCount) {
    const start = starts[at] as number;
    const end = ends[at] as number;
    if (start === end) {
      (nulls ??= new Uint8Array(rowCount))[row] = 1;
      continue;
    }
    const value = smallInteger(bytes, start, end);
    if (value === undefined) return rareIntegers(bytes, block, slot, column);
    values[row] = value;
  }
  return { kind: 'number', length: rowCount, nulls, values };
}

/** An integer of up to 15 digits, as almost all are, or `true` or `false`; undefined for all else. */
export function smallInteger(bytes: Uint8Array, start: number, end: number): number | undefined {
  const letter = bytes[start] as number;
  if (letter > 57)
    return isWord(bytes, start, end, TRUE) ? 1 : isWord(bytes, start, end, FALSE) ? 0 : undefined;
  const isNegative = bytes[start] === 45;
  const first = isNegative ? start + 1 : start;
  if (end - first > 15 || end === first) return undefined;
  let value = 0;
  for (let i = first; i < end; i++) {
    const digit = (bytes[i] as number) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return isNegative ? 0 - value : value;
}

/** The bytes of `true`. */
export const TRUE: readonly number[] = [116, 114, 117, 101];
/** The bytes of `false`. */
export const FALSE: readonly number[] = [102, 97, 108, 115, 101];

/** Whether the bytes are those of a word. */
export function isWord(bytes: Uint8Array, start: number, end: number, word: readonly number[]): boolean {
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false;
  return true;
}

/** Integers of which some are written otherwise, or are beyond what a double holds. */
function rareIntegers(bytes: Uint8Array, block: FieldBlock, slot: number, column: ScanColumn): Vector {
  const { rowCount, starts, ends, slotCount } = block;
  const values = new BigInt64Array(rowCount);
  let nulls: Uint8Array | undefined;
  let areSafe = true;
  for (let row = 0, at = slot; row < rowCount; row++, at += slotCount) {
    if (starts[at] === ends[at]) {
      (nulls ??= new Uint8Array(rowCount))[row] = 1;
      continue;
    }
    const value = parseInteger(block.text(bytes, block, at));
    if (value === undefined) throw misfit(bytes, block, at, column);
    values[row] = value;
    areSafe &&= Number.isSafeInteger(Number(value));
  }
  if (!areSafe) return { kind: 'bigint', length: rowCount, nulls, values };
  return { kind: 'number', length: rowCount, nulls, values: Float64Array.from(values, Number) };
}

/** An integer of 64 bits, or a boolean as 1 or 0. */
export function parseInteger(text: string): bigint | undefined {
  const trimmed = text.trim();
  if (/^[+-]?\d{1,30}$/.test(trimmed)) {
    const value = BigInt(trimmed.replace(/^\+/, ''));
    return value <= MAX_INT64 && value >= -MAX_INT64 - 1n ? value : undefined;
  }
  if (/^true$/i.test(trimmed)) return 1n;
  return /^false$/i.test(trimmed) ? 0n : undefined;
}

function reals(bytes: Uint8Array, block: FieldBlock, slot: number, column: ScanColumn): Vector {
  const { rowCount, starts, ends, slotCount } = block;
  const values = new Float64Array(rowCount);
  let nulls: Uint8Array | undefined;
  for (let row = 0, at = slot; row < rowCount; row++, at += slotCount) {
    const start = starts[at] as number;
    const end = ends[at] as number;
    if (start === end) {
      (nulls ??= new Uint8Array(rowCount))[row] = 1;
      continue;
    }
    let value = decimal(bytes, start, end);
    if (value !== value)
      value = parseReal(block.text(bytes, block, at)) ?? raise(misfit(bytes, block, at, column));
    if (value !== value) (nulls ??= new Uint8Array(rowCount))[row] = 1;
    values[row] = value;
  }
  return { kind: 'number', length: rowCount, nulls, values };
}

/** A real in any way of writing it; NaN for `nan`. */
export function parseReal(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(trimmed)) return Number(trimmed);
  const word = /^([+-]?)(?:(inf|infinity)|nan)$/i.exec(trimmed);
  if (word === null) return undefined;
  return word[2] === undefined ? NaN : word[1] === '-' ? -Infinity : Infinity;
}

function times(bytes: Uint8Array, block: FieldBlock, slot: number, column: ScanColumn): Vector {
  const { rowCount, starts, ends, slotCount } = block;
  const { type, unit = 'ms' } = column;
  const values = new Float64Array(rowCount);
  let nulls: Uint8Array | undefined;
  let exact: BigInt64Array | undefined;
  const reader = new TimeReader(bytes, (start, end) => utf8.decode(bytes.subarray(start, end)));
  const perMs = unit === 'ns' ? 1e6 : unit === 'us' ? 1e3 : 1;
  for (let row = 0, at = slot; row < rowCount; row++, at += slotCount) {
    const start = starts[at] as number;
    const end = ends[at] as number;
    if (start === end) {
      (nulls ??= new Uint8Array(rowCount))[row] = 1;
      continue;
    }
    if (!(type === 'time' ? reader.time(start, end) : reader.instant(start, end)))
      throw misfit(bytes, block, at, column);
    const { ms, ns } = reader;
    if (type === 'date') {
      values[row] = ms / 86_400_000;
      if (ns !== 0 || ms % 86_400_000 !== 0) throw misfit(bytes, block, at, column);
      continue;
    }
    const beyond = ns / (1e6 / perMs);
    if (!Number.isInteger(beyond)) throw misfit(bytes, block, at, column);
    const value = ms * perMs + beyond;
    values[row] = value;
    if (!Number.isSafeInteger(value)) {
      exact ??= new BigInt64Array(rowCount);
      exact[row] = BigInt(ms) * BigInt(perMs) + BigInt(beyond);
    }
  }
  if (exact === undefined) return { kind: 'number', length: rowCount, nulls, values };
  for (let row = 0; row < rowCount; row++)
    if (Number.isSafeInteger(values[row])) exact[row] = BigInt(values[row] as number);
  return { kind: 'bigint', length: rowCount, nulls, values: exact };
}

const A_TYPE: Readonly<Record<ScanColumn['type'], string>> = {
  integer: 'an integer',
  real: 'a number',
  text: 'text',
  blob: 'a blob',
  timestamp: 'a timestamp',
  date: 'a date',
  time: 'a time',
  any: 'a value',
};

/** What is wrong with a field that is not of its column's type, with its value and the way out. */
export function misfit(
  bytes: Uint8Array,
  block: FieldBlock,
  at: number,
  { name, type, unit }: ScanColumn,
): TextFault {
  const text = block.text(bytes, block, at);
  const shown = JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
  const to = type === 'integer' && parseReal(text) !== undefined ? 'real' : 'text';
  const exactly = type === 'timestamp' && unit !== undefined && unit !== 'ns' ? ` of whole ${unit}` : '';
  return new TextFault(
    block.starts[at] as number,
    `the column ${JSON.stringify(name)} has ${shown}, which is not ${A_TYPE[type]}${exactly} as in the rows before: ` +
      `read it with { types: { ${JSON.stringify(name)}: '${to}' } }`,
  );
}

function raise(error: Error): never {
  throw error;
}
