import { keyOf } from './expression-match.ts';
import { CACHED, place, RowHash } from './row-hash.ts';
import type { Scalar } from './scalar.ts';
import { doubles, grown, integers } from './scratch.ts';
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
  /** The numbers of the values at `rows`, which are not NULL, each at its row. */
  addAt(vector: PlainVector, rows: Uint32Array, out: Uint32Array): void;
  /** The values by number; at 0 is NULL. */
  values(): Values;
}

/** Small integers are found without hashing, while there are no others: from -LOW up to MOST - LOW, by a table of 4 MB at most. */
const LOW = 65_536;
const SPAN = 131_072;
const MOST = 2 ** 20;

const bits = new Float64Array(1);
const halves = new Uint32Array(bits.buffer);

/** Doubles. */
export class NumberTable implements ValueTable {
  readonly #type: ValueType;
  /** The numbers of small integers; undefined once other values have come, which are looked up by the hash, as all are then. */
  #direct: Uint32Array | undefined = new Uint32Array(SPAN);
  /** The halves of each double. */
  readonly #hash = new RowHash(2);

  constructor(type: ValueType) {
    this.#type = typeOnly(type);
  }

  get size(): number {
    return this.#hash.size + 1;
  }

  accepts(type: ValueType, vector: PlainVector): boolean {
    return vector.kind === 'number' && sameType(type, this.#type);
  }

  addAll(vector: PlainVector, out: Uint32Array): void {
    const values = vector.kind === 'number' ? (vector.values as Float64Array) : new Float64Array(0);
    const from = this.#addDirect(values, vector.nulls, out);
    if (from < values.length) this.#addHashed(values, vector.nulls, out, from);
    const { nulls, length } = vector;
    if (nulls !== undefined) for (let i = 0; i < length; i++) if (nulls[i] === 1) out[i] = 0;
  }

  /** Up to the first value that is not found directly; gives its row. */
  #addDirect(values: Float64Array, nulls: Uint8Array | undefined, out: Uint32Array): number {
    let direct = this.#direct;
    if (direct === undefined) return 0;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      const at = (value | 0) + LOW;
      if (at - LOW === value && at >= 0 && at < MOST) {
        if (at >= direct.length) direct = this.#direct = grown(direct, at + 1);
        const id = direct[at]!;
        out[i] = id === 0 && nulls?.[i] !== 1 ? (direct[at] = this.#append(value)) : id;
      } else if (nulls?.[i] !== 1) return i;
    }
    return values.length;
  }

  #addHashed(values: Float64Array, nulls: Uint8Array | undefined, out: Uint32Array, from: number): void {
    this.#leaveDirect();
    const own = doubles(values.length - from);
    let count = 0;
    // -0 is 0.
    for (let i = from; i < values.length; i++) if (nulls?.[i] !== 1) own[count++] = values[i]! + 0;
    const halves = new Uint32Array(own.buffer, own.byteOffset, 2 * count);
    if (nulls === undefined) {
      this.#hash.addAll(halves, count, out.subarray(from), 0);
      return;
    }
    const ids = integers(count);
    this.#hash.addAll(halves, count, ids, 0);
    for (let i = from, k = 0; i < values.length; i++) out[i] = nulls[i] === 1 ? 0 : ids[k++]!;
  }

  #leaveDirect(): void {
    if (this.#direct === undefined) return;
    this.#direct = undefined;
    this.#hash.index();
  }

  addAt(vector: PlainVector, rows: Uint32Array, out: Uint32Array): void {
    for (const row of rows) out[row] = this.#add(vector, row);
  }

  #add(vector: PlainVector, row: number): number {
    const value = vector.kind === 'number' ? (vector.values[row] ?? 0) : 0;
    const at = (value | 0) + LOW;
    if (this.#direct !== undefined && at - LOW === value && at >= 0 && at < MOST) {
      this.#direct = grown(this.#direct, at + 1);
      return (this.#direct[at] ||= this.#append(value));
    }
    this.#leaveDirect();
    bits[0] = value + 0;
    return this.#hash.addPair(halves[0]!, halves[1]!);
  }

  #append(value: number): number {
    bits[0] = value + 0;
    return this.#hash.appendPair(halves[0]!, halves[1]!);
  }

  values(): Values {
    const { size } = this;
    const nulls = new Uint8Array(size);
    nulls[0] = 1;
    const keys = new Float64Array(this.#hash.keys.slice(0, 2 * size).buffer);
    return numberValues(this.#type.type, keys, nulls, this.#type);
  }
}

function sameType(a: ValueType, b: ValueType): boolean {
  return a.type === b.type && a.unit === b.unit && a.isUtc === b.isUtc;
}

/** 64-bit integers, as two halves each. */
export class WordTable implements ValueTable {
  readonly #type: ValueType;
  readonly #hash = new RowHash(2);

  constructor(type: ValueType) {
    this.#type = typeOnly(type);
  }

  get size(): number {
    return this.#hash.size + 1;
  }

  accepts(type: ValueType, vector: PlainVector): boolean {
    return (vector.kind === 'number' || vector.kind === 'bigint') && sameType(type, this.#type);
  }

  addAll(vector: PlainVector, out: Uint32Array): void {
    const { nulls, length } = vector;
    if (nulls !== undefined) {
      const rows = integers(length);
      let count = 0;
      for (let i = 0; i < length; i++) if (nulls[i] !== 1) rows[count++] = i;
      out.fill(0);
      this.addAt(vector, rows.subarray(0, count), out);
    } else if (vector.kind === 'bigint') this.#hash.addAll(words(vector.values), length, out, 0);
    else if (vector.kind === 'number') {
      const pairs = integers(2 * length);
      putIntegers(vector.values, pairs, 2, 0);
      this.#hash.addAll(pairs, length, out, 0);
    }
  }

  addAt(vector: PlainVector, rows: Uint32Array, out: Uint32Array): void {
    const { length } = rows;
    const pairs = integers(2 * length);
    if (vector.kind === 'bigint') {
      const halves = words(vector.values);
      for (let i = 0; i < length; i++) {
        pairs[2 * i] = halves[2 * rows[i]!]!;
        pairs[2 * i + 1] = halves[2 * rows[i]! + 1]!;
      }
    } else if (vector.kind === 'number') {
      const values = doubles(length);
      for (let i = 0; i < length; i++) values[i] = vector.values[rows[i]!]!;
      putIntegers(values, pairs, 2, 0);
    }
    const numbers = integers(length);
    this.#hash.addAll(pairs, length, numbers, 0);
    for (let i = 0; i < length; i++) out[rows[i]!] = numbers[i]!;
  }

  values(): Values {
    const { size } = this;
    const values = new BigInt64Array(this.#hash.keys.slice(0, 2 * size).buffer);
    const nulls = new Uint8Array(size);
    nulls[0] = 1;
    return { ...this.#type, vector: { kind: 'bigint', length: size, nulls, values } };
  }
}

/** Writes integers as the halves of 64 bits, the low one at `at` of each row of `width` words. */
export function putIntegers(
  values: Int32Array | Float64Array,
  to: Uint32Array,
  width: number,
  at: number,
): void {
  for (let i = 0, k = at; i < values.length; i++, k += width) {
    const value = values[i]!;
    const low = value | 0;
    to[k] = low;
    to[k + 1] = low === value ? low >> 31 : Math.floor(value / 4_294_967_296);
  }
}

/** So many values are looked up together. */
const CHUNK = 512;

/** Texts or blobs, by their bytes. A value's place is the high bits of its hash, as in a {@link RowHash}. */
export class BytesTable implements ValueTable {
  size = 1;
  readonly #type: ValueType;
  /** For each place a hash and the number of its value. */
  #slots: Uint32Array = new Uint32Array(2 * 2048);
  #shift = 21;
  /** The bytes of value `n` are from `offsets[n]` up to `offsets[n + 1]`. */
  #offsets: Uint32Array = new Uint32Array(256);
  #data: Uint8Array = new Uint8Array(4096);
  #view: DataView = viewOf(this.#data);
  readonly #hashes = new Uint32Array(CHUNK);
  readonly #found = new Uint32Array(CHUNK);

  constructor(type: ValueType) {
    this.#type = typeOnly(type);
  }

  accepts(type: ValueType, vector: PlainVector): boolean {
    return vector.kind === 'bytes' && type.type === this.#type.type;
  }

  addAll(vector: PlainVector, out: Uint32Array): void {
    if (vector.kind !== 'bytes') return;
    const { nulls, length } = vector;
    const rows = integers(length);
    let count = 0;
    for (let i = 0; i < length; i++) if (nulls === undefined || nulls[i] !== 1) rows[count++] = i;
    if (nulls !== undefined) out.fill(0);
    this.addAt(vector, rows.subarray(0, count), out);
  }

  addAt(vector: PlainVector, rows: Uint32Array, out: Uint32Array): void {
    if (vector.kind !== 'bytes') return;
    const view = viewOf(vector.data);
    for (let from = 0; from < rows.length; from += CHUNK)
      this.#addChunk(vector, view, rows.subarray(from, from + CHUNK), out);
  }

  #addChunk({ offsets }: BytesVector, view: DataView, rows: Uint32Array, out: Uint32Array): void {
    this.#reserve(rows.length);
    const slots = this.#slots;
    const shift = this.#shift;
    const mask = slots.length - 2;
    const hashes = this.#hashes;
    for (let i = 0; i < rows.length; i++)
      hashes[i] = hashView(view, offsets[rows[i]!]!, offsets[rows[i]! + 1]!);
    if (slots.length > CACHED) this.#readAhead(rows.length);
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const start = offsets[row]!;
      const end = offsets[row + 1]!;
      const hash = hashes[i]!;
      let at = (hash >>> shift) << 1;
      let id = slots[at + 1]!;
      while (id !== 0 && (slots[at] !== hash || !this.#isAt(id, view, start, end))) {
        at = (at + 2) & mask;
        id = slots[at + 1]!;
      }
      if (id === 0) {
        slots[at] = hash;
        id = slots[at + 1] = this.#append(view, start, end);
      }
      out[row] = id;
    }
  }

  /** What the next look-ups need from memory, by loads that need not wait for one another. */
  #readAhead(length: number): void {
    const slots = this.#slots;
    const hashes = this.#hashes;
    const found = this.#found;
    const offsets = this.#offsets;
    const data = this.#data;
    const shift = this.#shift;
    for (let i = 0; i < length; i++) found[i] = slots[((hashes[i]! >>> shift) << 1) + 1]!;
    for (let i = 0; i < length; i++) found[i] = offsets[found[i]!]!;
    for (let i = 0; i < length; i++) found[i] = data[found[i]!]!;
  }

  #isAt(id: number, view: DataView, start: number, end: number): boolean {
    const from = this.#offsets[id]!;
    return this.#offsets[id + 1]! - from === end - start && isEqual(view, start, end, this.#view, from);
  }

  /** Makes room for `more` values: three fifths of the table are filled at most. */
  #reserve(more: number): void {
    this.#offsets = grown(this.#offsets, this.size + more + 1);
    let length = this.#slots.length;
    while ((this.size + more) * 10 > length * 3) length *= 2;
    if (length === this.#slots.length) return;
    const old = this.#slots;
    const slots = new Uint32Array(length);
    this.#shift = 33 - Math.log2(length);
    for (let i = 0; i < old.length; i += 2)
      if (old[i + 1] !== 0) place(slots, this.#shift, old[i]!, old[i + 1]!);
    this.#slots = slots;
  }

  #append(view: DataView, start: number, end: number): number {
    const id = this.size++;
    const from = this.#offsets[id]!;
    if (this.#data.length <= from + end - start) {
      this.#data = grown(this.#data, from + end - start + 1);
      this.#view = viewOf(this.#data);
    }
    copyView(view, start, end, this.#view, from);
    this.#offsets[id + 1] = from + end - start;
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

/** A hash of bytes, with a sign. */
export function hashBytes(data: Uint8Array, start: number, end: number): number {
  return hashView(viewOf(data), start, end);
}

/**
 * Four bytes at a time, which a DataView reads in one go, and by two hashes, which need not wait for one another. The last
 * four may have been looked at before.
 */
function hashView(view: DataView, start: number, end: number): number {
  let hash = end - start;
  let other = 0;
  if (hash < 4) for (let i = start; i < end; i++) other = (other << 8) | view.getUint8(i);
  else {
    const last = end - 4;
    let i = start;
    for (; i + 4 < last; i += 8) {
      hash = Math.imul(hash ^ view.getInt32(i, true), 0x9e3779b1);
      other = Math.imul(other ^ view.getInt32(i + 4, true), 0x85ebca6b);
      hash ^= hash >>> 15;
      other ^= other >>> 13;
    }
    if (i < last) hash = Math.imul(hash ^ view.getInt32(i, true), 0x9e3779b1);
    other ^= view.getInt32(last, true);
    hash ^= hash >>> 15;
  }
  hash ^= Math.imul(other ^ (other >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

function isEqual(view: DataView, start: number, end: number, own: DataView, from: number): boolean {
  let i = start;
  let j = from;
  for (const last = end - 4; i < last; i += 4, j += 4)
    if (view.getInt32(i, true) !== own.getInt32(j, true)) return false;
  if (end - start >= 4) return view.getInt32(end - 4, true) === own.getInt32(from + end - start - 4, true);
  for (; i < end; i++, j++) if (view.getUint8(i) !== own.getUint8(j)) return false;
  return true;
}

/** Copies bytes: some four at once, the last of which may have been copied before. */
function copyView(view: DataView, start: number, end: number, own: DataView, from: number): void {
  let i = start;
  let j = from;
  for (const last = end - 4; i < last; i += 4, j += 4) own.setInt32(j, view.getInt32(i, true), true);
  if (end - start >= 4) own.setInt32(from + end - start - 4, view.getInt32(end - 4, true), true);
  else for (; i < end; i++, j++) own.setUint8(j, view.getUint8(i));
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

  addAt(): void {}

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
