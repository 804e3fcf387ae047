import { KeyNumbers, PairNumbers } from './group-key.ts';
import { putIntegers } from './group-table.ts';
import { allGroups, type Results } from './results.ts';
import { RowHash } from './row-hash.ts';
import { doubles, integers } from './scratch.ts';
import type { PlainVector, Vector } from './vector.ts';
import { expand, numberValues, pick, typeOnly, words, type Values, type ValueType } from './values.ts';

/** What is numbered already, below `size`. */
export interface Numbered {
  readonly numbers: Uint32Array;
  readonly size: number;
}

/** One of several things that rows are told apart by. */
export type RowKey = Values | Numbered;

/** A dictionary of more entries is not worth looking up code by code, where the values themselves can be told apart. */
const LARGE_DICTIONARY = 4096;

/**
 * Numbers the rows that differ in some of several keys, from 0 on in the order of appearance.
 *
 * Where a key has plain numbers, most of which are likely to be different, all keys are told apart by one hash: the numbers
 * themselves as two words, other keys as the number of their value. Else values are numbered, and then pairs of these numbers.
 */
export class RowNumbers {
  readonly #keys: readonly KeyNumbers[];
  /** The first folds the first two keys, each one after it one key more. */
  readonly #pairs: readonly PairNumbers[];
  /** For each key the type of the numbers that the hash knows themselves; undefined for keys that are numbered. */
  #direct: readonly (ValueType | undefined)[] | undefined;
  #hash: RowHash | undefined;
  #isFresh = true;

  constructor(count: number) {
    this.#keys = Array.from({ length: count }, () => new KeyNumbers());
    this.#pairs = Array.from({ length: count - 1 }, () => new PairNumbers());
  }

  get size(): number {
    return this.#hash?.size ?? this.#pairs.at(-1)?.size ?? 0;
  }

  /** The number of each row. */
  add(keys: readonly RowKey[], length: number): Uint32Array {
    if (this.#isFresh) {
      this.#isFresh = false;
      const direct = keys.map(directType);
      if (direct.some((type) => type !== undefined)) {
        this.#direct = direct;
        this.#hash = new RowHash(keys.length + direct.filter((type) => type !== undefined).length);
      }
    }
    const direct = this.#direct;
    const hash = this.#hash;
    if (direct === undefined || hash === undefined) return this.#fold(keys);
    if (!keys.every((key, i) => fits(key, direct[i]))) {
      this.#leaveHash(hash);
      return this.#fold(keys);
    }
    const rows = integers(hash.width * length);
    let at = 0;
    keys.forEach((key, i) => {
      if (direct[i] === undefined) {
        putNumbers(this.#numbered(key, i).numbers, rows, hash.width, at);
        at++;
      } else {
        putValues(key as Values, rows, hash.width, at);
        at += 2;
      }
    });
    const out = integers(length);
    hash.addAll(rows, length, out, 1);
    return out;
  }

  #numbered(key: RowKey, index: number): Numbered {
    if ('numbers' in key) return key;
    const own = this.#keys[index] as KeyNumbers;
    const numbers = own.add(key);
    return { numbers, size: own.size };
  }

  #fold(keys: readonly RowKey[]): Uint32Array {
    let { numbers, size } = this.#numbered(keys[0] as RowKey, 0);
    this.#pairs.forEach((pairs, i) => {
      const next = this.#numbered(keys[i + 1] as RowKey, i + 1);
      numbers = pairs.add(numbers, size, next.numbers, next.size);
      size = pairs.size;
    });
    return numbers;
  }

  /** Something came that the hash cannot tell apart: all rows so far are numbered again, in the same way as they were. */
  #leaveHash(hash: RowHash): void {
    const columns = this.#hashed(hash);
    this.#hash = undefined;
    this.#direct = undefined;
    if (hash.size === 0) return;
    this.#fold(
      columns.map((column, i): RowKey => {
        if (!(column instanceof Uint32Array)) return column;
        const own = (this.#keys[i] as KeyNumbers).size;
        return { numbers: column, size: own > 1 ? own : column.reduce((a, b) => Math.max(a, b), 0) + 1 };
      }),
    );
  }

  /** What the hash knows of each key: values, or numbers. */
  #hashed(hash: RowHash): (Values | Uint32Array)[] {
    return (this.#direct ?? []).map((type, key) => {
      const at = this.#place(key);
      return type === undefined ? takeNumbers(hash, at) : takeValues(hash, at, type);
    });
  }

  /** For each row the numbers of a key that came numbered. */
  numbersOf(key: number): Uint32Array {
    const hash = this.#hash;
    return hash === undefined ? (this.#columns()[key] as Uint32Array) : takeNumbers(hash, this.#place(key));
  }

  /** Where a key's words are among those of a row that the hash knows. */
  #place(key: number): number {
    const before = (this.#direct ?? []).slice(0, key);
    return before.reduce((sum, type) => sum + (type === undefined ? 1 : 2), 0);
  }

  /** For each key, which came as values, those of the rows. */
  results(): Results[] {
    const hash = this.#hash;
    const columns = hash === undefined ? this.#columns() : [];
    return this.#keys.map((key, i) => {
      const type = this.#direct?.[i];
      if (hash !== undefined && type !== undefined)
        return (rows) => takeValues(hash, this.#place(i), type, rows);
      const numbers = columns[i] ?? takeNumbers(hash as RowHash, this.#place(i));
      const { vector, ...own } = key.values();
      const plain = expand(vector);
      return (rows) => ({ ...own, vector: numbered(plain, rows?.map((row) => numbers[row]!) ?? numbers) });
    });
  }

  #columns(): Uint32Array[] {
    // From the last pair back: its second number is the last key's, its first the number of the pair before.
    const columns: Uint32Array[] = [];
    let index: Uint32Array | undefined;
    for (let i = this.#pairs.length - 1; i >= 0; i--) {
      const pairs = this.#pairs[i] as PairNumbers;
      columns.unshift(through(pairs.seconds(), index));
      index = through(pairs.firsts(), index);
    }
    return [index ?? new Uint32Array(0), ...columns];
  }
}

/** The values with these numbers, where 0 is NULL. Bytes are not copied, as few of the rows may be wanted. */
function numbered(values: PlainVector, numbers: Uint32Array): Vector {
  const { length } = numbers;
  if (values.kind !== 'bytes') return pick(values, numbers, length, undefined);
  const nulls = numbers.includes(0)
    ? Uint8Array.from(numbers, (number) => (number === 0 ? 1 : 0))
    : undefined;
  return { kind: 'dictionary', length, nulls, codes: numbers, dictionary: { ...values, nulls: undefined } };
}

function through(numbers: Uint32Array, index: Uint32Array | undefined): Uint32Array {
  return index === undefined ? numbers : index.map((pair) => numbers[pair]!);
}

/** The type of a key that a hash can tell apart by its numbers themselves. */
function directType(key: RowKey): ValueType | undefined {
  if ('numbers' in key) return undefined;
  const { vector } = key;
  const isCoded = vector.kind === 'dictionary' && vector.dictionary.length <= LARGE_DICTIONARY;
  return !isCoded && vector.kind !== 'runs' && isNumeric(key) ? typeOnly(key) : undefined;
}

/** Numbers of one class without NULLs. REALs are doubles, all else is integers inside. */
function isNumeric({ type, vector }: Values): boolean {
  if (type === 'any' || type === 'text' || type === 'blob') return false;
  const inner =
    vector.kind === 'dictionary' ? vector.dictionary : vector.kind === 'runs' ? vector.values : vector;
  if (inner.kind !== 'number' && (inner.kind !== 'bigint' || type === 'real')) return false;
  return vector.nulls === undefined && inner.nulls === undefined;
}

function fits(key: RowKey, type: ValueType | undefined): boolean {
  if (type === undefined) return true;
  if ('numbers' in key) return false;
  return isNumeric(key) && key.type === type.type && key.unit === type.unit && key.isUtc === type.isUtc;
}

function putNumbers(numbers: Uint32Array, to: Uint32Array, width: number, at: number): void {
  for (let i = 0, k = at; i < numbers.length; i++, k += width) to[k] = numbers[i]!;
}

function putValues({ type, vector }: Values, to: Uint32Array, width: number, at: number): void {
  const plain = expand(vector);
  if (plain.kind === 'number' && type !== 'real') return putIntegers(plain.values, to, width, at);
  let halves: Uint32Array | undefined;
  if (plain.kind === 'bigint') halves = words(plain.values);
  else if (plain.kind === 'number') {
    // -0 is 0.
    const own = doubles(plain.length);
    for (let i = 0; i < own.length; i++) own[i] = plain.values[i]! + 0;
    halves = new Uint32Array(own.buffer, own.byteOffset, 2 * own.length);
  }
  if (halves === undefined) return;
  for (let i = 0, k = at; i < halves.length; i += 2, k += width) {
    to[k] = halves[i]!;
    to[k + 1] = halves[i + 1]!;
  }
}

function takeNumbers({ keys, width, size }: RowHash, at: number): Uint32Array {
  const out = new Uint32Array(size);
  for (let i = 0, k = width + at; i < size; i++, k += width) out[i] = keys[k]!;
  return out;
}

function takeValues(
  { keys, width, size: all }: RowHash,
  at: number,
  type: ValueType,
  rows: Uint32Array = allGroups(all),
): Values {
  const size = rows.length;
  const halves = new Uint32Array(2 * size);
  for (let i = 0; i < size; i++) {
    const k = (rows[i]! + 1) * width + at;
    halves[2 * i] = keys[k]!;
    halves[2 * i + 1] = keys[k + 1]!;
  }
  if (type.type === 'real') return numberValues('real', new Float64Array(halves.buffer), undefined, type);
  const numbers = new Float64Array(size);
  let isSafe = true;
  for (let i = 0; i < size; i++) {
    numbers[i] = (halves[2 * i + 1]! | 0) * 4_294_967_296 + halves[2 * i]!;
    isSafe &&= Number.isSafeInteger(numbers[i]);
  }
  if (isSafe) return numberValues(type.type, numbers, undefined, type);
  const values = new BigInt64Array(halves.buffer);
  return { ...type, vector: { kind: 'bigint', length: size, nulls: undefined, values } };
}
