/** Dictionaries of numbers. */
import type { Codes } from './write-rle.ts';

/** Each value as its place in `dictionary`. */
export interface NumberIndex {
  readonly codes: Codes;
  readonly dictionary: Float64Array;
}

/** Where integers lie this close, a table takes them straight to their codes. */
const MAX_TABLE = 2 ** 18;
/** A larger dictionary would be slow to read. */
const MAX_ENTRIES = 2 ** 16;
const SAMPLE = 4096;

/** A dictionary of integers; undefined where they are too many different ones. */
export function indexIntegers(values: Int32Array | Float64Array): NumberIndex | undefined {
  if (values.length === 0) return undefined;
  let min = Infinity;
  let max = -Infinity;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const limit = mostEntries(values.length);
  if (max - min < MAX_TABLE && max - min < 8 * values.length) return indexClose(values, min, max, limit);
  return indexDoubles(values instanceof Float64Array ? values : Float64Array.from(values), limit);
}

function mostEntries(count: number): number {
  return Math.min(MAX_ENTRIES, Math.max(1, Math.ceil(count / 3)));
}

function indexClose(
  values: Int32Array | Float64Array,
  min: number,
  max: number,
  limit: number,
): NumberIndex | undefined {
  const table = new Int32Array(max - min + 1);
  const codes = new Uint16Array(values.length);
  const dictionary: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const slot = (values[i] as number) - min;
    let code = table[slot] as number;
    if (code === 0) {
      if (dictionary.length === limit) return undefined;
      code = dictionary.push(slot + min);
      table[slot] = code;
    }
    codes[i] = code - 1;
  }
  return { codes, dictionary: Float64Array.from(dictionary) };
}

/** Whether a sample has hardly a value twice. */
function isVaried(values: Int32Array | Float64Array): boolean {
  const step = Math.max(1, Math.floor(values.length / SAMPLE));
  const seen = new Set<number>();
  let count = 0;
  for (let i = 0; i < values.length; i += step, count++) seen.add(values[i] as number);
  return count > 16 && seen.size > count * 0.97;
}

/** A dictionary of doubles, told apart by their bits; undefined where they are too many different ones. */
export function indexDoubles(
  values: Float64Array,
  limit: number = mostEntries(values.length),
): NumberIndex | undefined {
  if (values.length === 0 || isVaried(values)) return undefined;
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * values.length);
  const entries = new Int32Array(2 * limit);
  const codes = new Uint16Array(values.length);
  let slots = new Int32Array(1024);
  let size = 0;
  for (let i = 0; i < values.length; i++) {
    const low = words[2 * i] as number;
    const high = words[2 * i + 1] as number;
    const mask = slots.length - 1;
    let slot = mix(low, high) & mask;
    let code = slots[slot] as number;
    while (code !== 0 && (entries[2 * code - 2] !== low || entries[2 * code - 1] !== high)) {
      slot = (slot + 1) & mask;
      code = slots[slot] as number;
    }
    if (code === 0) {
      if (size === limit) return undefined;
      entries[2 * size] = low;
      entries[2 * size + 1] = high;
      code = ++size;
      slots[slot] = code;
      if (2 * size > slots.length) slots = rehash(entries, size, slots.length * 2);
    }
    codes[i] = code - 1;
  }
  return { codes, dictionary: new Float64Array(entries.buffer, 0, size) };
}

function rehash(entries: Int32Array, size: number, length: number): Int32Array<ArrayBuffer> {
  const slots = new Int32Array(length);
  for (let code = 1; code <= size; code++) {
    let slot = mix(entries[2 * code - 2] as number, entries[2 * code - 1] as number) & (length - 1);
    while (slots[slot] !== 0) slot = (slot + 1) & (length - 1);
    slots[slot] = code;
  }
  return slots;
}

function mix(low: number, high: number): number {
  const hash = Math.imul(low ^ Math.imul(high, 0x9e_37_79_b1), 0x85_eb_ca_6b);
  return hash ^ (hash >>> 15);
}
