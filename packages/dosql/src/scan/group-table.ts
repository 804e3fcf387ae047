import { keyOf } from './expression-match.ts';
import { PairHash } from './pair-hash.ts';
import type { Scalar } from './scalar.ts';
import { mixedValues, numberValues, typeOnly, words, type Values, type ValueType } from './values.ts';
import type { BytesVector, PlainVector } from './vector.ts';

/** Distinct values, each with a number of its own: 1 and up in the order of appearance; 0 is left for NULL. */
export interface ValueTable {
  /** One more than the highest number. */
  readonly size: number;
  /** Whether values of this vector can be looked up in it. */
  accepts(type: ValueType, vector: PlainVector): boolean;
  /** The numbers of all values that are not NULL; for NULLs 0. */
  addAll(vector: PlainVector, out: Uint32Array): void;
  /** The number of the value at one row, which is not NULL. */
  add(vector: PlainVector, row: number): number;
  /** The values by number; at 0 is NULL. */
  values(): Values;
}

/** Small integers are found without hashing: from -LOW up to SPAN - LOW. */
const LOW = 65_536;
const SPAN = 131_072;

const bits = new Float64Array(1);
const halves = new Uint32Array(bits.buffer);

/** A longer copy of a typed array, where it is too short. */
export function grown<T extends Float64Array | Uint32Array | Int32Array | Uint8Array>(
  array: T,
  length: number,
): T {
  if (array.length >= length) return array;
  const Typed = array.constructor as new (length: number) => T;
  const longer = new Typed(Math.max(length, array.length * 2));
  longer.set(array);
  return longer;
}

/** Doubles. */
export class NumberTable implements ValueTable {
  size = 1;
  readonly #type: ValueType;
  readonly #direct = new Uint32Array(SPAN);
  readonly #hash = new PairHash();
  #keys: Float64Array = new Float64Array(256);

  constructor(type: ValueType) {
    this.#type = typeOnly(type);
  }

  accepts(type: ValueType, vector: PlainVector): boolean {
    return vector.kind === 'number' && sameType(type, this.#type);
  }

  addAll(vector: PlainVector, out: Uint32Array): void {
    const values = vector.kind === 'number' ? (vector.values as Float64Array) : new Float64Array(0);
    const { nulls, length } = vector;
    const direct = this.#direct;
    for (let i = 0; i < length; i++) {
      const value = values[i]!;
      const at = (value | 0) + LOW;
      if (at - LOW === value && at >= 0 && at < SPAN) {
        const id = direct[at]!;
        out[i] = id === 0 && nulls?.[i] !== 1 ? (direct[at] = this.#append(value)) : id;
      } else out[i] = nulls?.[i] === 1 ? 0 : this.#find(value);
    }
    if (nulls !== undefined) for (let i = 0; i < length; i++) if (nulls[i] === 1) out[i] = 0;
  }

  add(vector: PlainVector, row: number): number {
    const value = vector.kind === 'number' ? (vector.values[row] ?? 0) : 0;
    const at = (value | 0) + LOW;
    if (at - LOW === value && at >= 0 && at < SPAN) return (this.#direct[at] ||= this.#append(value));
    return this.#find(value);
  }

  #find(value: number): number {
    bits[0] = value + 0;
    const id = this.#hash.intern(halves[0]!, halves[1]!, this.size);
    return id === this.size ? this.#append(value) : id;
  }

  #append(value: number): number {
    this.#keys = grown(this.#keys, this.size + 1);
    this.#keys[this.size] = value + 0;
    return this.size++;
  }

  values(): Values {
    const nulls = new Uint8Array(this.size);
    nulls[0] = 1;
    return numberValues(this.#type.type, this.#keys.subarray(0, this.size), nulls, this.#type);
  }
}

function sameType(a: ValueType, b: ValueType): boolean {
  return a.type === b.type && a.unit === b.unit && a.isUtc === b.isUtc;
}

/** 64-bit integers, as two halves each. */
export class WordTable implements ValueTable {
  size = 1;
  readonly #type: ValueType;
  readonly #hash = new PairHash();
  #low: Uint32Array = new Uint32Array(256);
  #high: Uint32Array = new Uint32Array(256);

  constructor(type: ValueType) {
    this.#type = typeOnly(type);
  }

  accepts(type: ValueType, vector: PlainVector): boolean {
    return (vector.kind === 'number' || vector.kind === 'bigint') && sameType(type, this.#type);
  }

  addAll(vector: PlainVector, out: Uint32Array): void {
    const { nulls, length } = vector;
    if (vector.kind === 'bigint') {
      const pairs = words(vector.values);
      for (let i = 0; i < length; i++)
        out[i] = nulls?.[i] === 1 ? 0 : this.#find(pairs[2 * i]!, pairs[2 * i + 1]!);
    } else if (vector.kind === 'number') {
      const { values } = vector;
      for (let i = 0; i < length; i++) out[i] = nulls?.[i] === 1 ? 0 : this.#findNumber(values[i]!);
    }
  }

  add(vector: PlainVector, row: number): number {
    if (vector.kind === 'number') return this.#findNumber(vector.values[row]!);
    if (vector.kind !== 'bigint') return 0;
    const value = vector.values[row]!;
    return this.#find(Number(BigInt.asUintN(32, value)), Number(BigInt.asUintN(32, value >> 32n)));
  }

  #findNumber(value: number): number {
    return this.#find(value >>> 0, Math.floor(value / 4_294_967_296) >>> 0);
  }

  #find(low: number, high: number): number {
    const id = this.#hash.intern(low, high, this.size);
    if (id !== this.size) return id;
    this.size++;
    this.#low = grown(this.#low, this.size);
    this.#high = grown(this.#high, this.size);
    this.#low[id] = low;
    this.#high[id] = high;
    return id;
  }

  values(): Values {
    const values = new BigInt64Array(this.size);
    const pairs = words(values);
    for (let id = 1; id < this.size; id++) {
      pairs[2 * id] = this.#low[id]!;
      pairs[2 * id + 1] = this.#high[id]!;
    }
    const nulls = new Uint8Array(this.size);
    nulls[0] = 1;
    return { ...this.#type, vector: { kind: 'bigint', length: this.size, nulls, values } };
  }
}

/** Texts or blobs, by their bytes. */
export class BytesTable implements ValueTable {
  size = 1;
  readonly #type: ValueType;
  /** For each value its hash, its number, and from where to where its bytes are. */
  #slots: Int32Array = new Int32Array(4 * 1024);
  #mask = 1023;
  #offsets: Uint32Array = new Uint32Array(257);
  #data: Uint8Array = new Uint8Array(4096);
  #view: DataView = viewOf(this.#data);
  #lastData: Uint8Array | undefined;
  #lastView: DataView = this.#view;

  constructor(type: ValueType) {
    this.#type = typeOnly(type);
  }

  accepts(type: ValueType, vector: PlainVector): boolean {
    return vector.kind === 'bytes' && type.type === this.#type.type;
  }

  addAll(vector: PlainVector, out: Uint32Array): void {
    if (vector.kind !== 'bytes') return;
    const { data, offsets, nulls, length } = vector;
    const view = viewOf(data);
    for (let i = 0; i < length; i++)
      out[i] =
        nulls !== undefined && nulls[i] === 1 ? 0 : this.#find(data, view, offsets[i]!, offsets[i + 1]!);
  }

  add(vector: PlainVector, row: number): number {
    const { data, offsets } = vector as BytesVector;
    if (this.#lastData !== data) {
      this.#lastData = data;
      this.#lastView = viewOf(data);
    }
    return this.#find(data, this.#lastView, offsets[row]!, offsets[row + 1]!);
  }

  #find(data: Uint8Array, view: DataView, start: number, end: number): number {
    const slots = this.#slots;
    const hash = hashView(view, start, end);
    const size = end - start;
    let at = hash & this.#mask;
    for (;;) {
      const slot = 4 * at;
      const id = slots[slot + 1]!;
      if (id === 0) break;
      if (slots[slot] === hash) {
        const from = slots[slot + 2]! >>> 0;
        if (slots[slot + 3] === size && isEqual(view, start, end, this.#view, from)) return id;
      }
      at = (at + 1) & this.#mask;
    }
    const slot = 4 * at;
    slots[slot] = hash;
    slots[slot + 1] = this.size;
    slots[slot + 2] = this.#offsets[this.size]!;
    slots[slot + 3] = size;
    return this.#append(data, start, end);
  }

  #rehash(): void {
    const old = this.#slots;
    const mask = this.#mask * 2 + 1;
    const slots = new Int32Array(4 * (mask + 1));
    for (let i = 0; i < old.length; i += 4) {
      if (old[i + 1] === 0) continue;
      let at = old[i]! & mask;
      while (slots[4 * at + 1] !== 0) at = (at + 1) & mask;
      for (let part = 0; part < 4; part++) slots[4 * at + part] = old[i + part]!;
    }
    this.#slots = slots;
    this.#mask = mask;
  }

  #append(data: Uint8Array, start: number, end: number): number {
    const id = this.size++;
    const from = this.#offsets[id]!;
    this.#offsets = grown(this.#offsets, this.size + 1);
    if (this.#data.length < from + end - start) {
      this.#data = grown(this.#data, from + end - start);
      this.#view = viewOf(this.#data);
    }
    if (end - start < 48) for (let i = start, j = from; i < end; i++, j++) this.#data[j] = data[i]!;
    else this.#data.set(data.subarray(start, end), from);
    this.#offsets[id + 1] = from + end - start;
    if (this.size * 10 > this.#mask * 6) this.#rehash();
    return id;
  }

  values(): Values {
    const nulls = new Uint8Array(this.size);
    nulls[0] = 1;
    const offsets = this.#offsets.subarray(0, this.size + 1);
    return { ...this.#type, vector: { kind: 'bytes', length: this.size, nulls, data: this.#data, offsets } };
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** A hash of bytes. */
export function hashBytes(data: Uint8Array, start: number, end: number): number {
  return hashView(viewOf(data), start, end);
}

/** Four bytes at a time, which a DataView reads in one go. */
function hashView(view: DataView, start: number, end: number): number {
  let hash = end - start;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    hash = Math.imul(hash ^ view.getInt32(i, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) hash = Math.imul(hash ^ view.getUint8(i), 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function isEqual(view: DataView, start: number, end: number, own: DataView, from: number): boolean {
  let i = start;
  let j = from;
  for (; i + 4 <= end; i += 4, j += 4) if (view.getInt32(i, true) !== own.getInt32(j, true)) return false;
  for (; i < end; i++, j++) if (view.getUint8(i) !== own.getUint8(j)) return false;
  return true;
}

/** Values of any class. */
export class AnyTable implements ValueTable {
  readonly #ids = new Map<string | number | bigint, number>();
  readonly #values: Scalar[] = [null];

  /** Takes over the values of another table with their numbers. */
  constructor(known: readonly Scalar[] = []) {
    for (const scalar of known.slice(1)) this.find(scalar);
  }

  get size(): number {
    return this.#values.length;
  }

  accepts(): boolean {
    return true;
  }

  addAll(): void {}

  add(): number {
    return 0;
  }

  /** The number of a value; 0 for NULL. */
  find(scalar: Scalar): number {
    if (scalar === null) return 0;
    const key = keyOf(scalar);
    let id = this.#ids.get(key);
    if (id === undefined) {
      this.#ids.set(key, (id = this.#values.length));
      this.#values.push(scalar);
    }
    return id;
  }

  values(): Values {
    return mixedValues(this.#values);
  }
}
