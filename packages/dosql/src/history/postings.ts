/** A value of a key as SQLite gives it out. */
export type KeyPart = string | number | bigint | null | ArrayBuffer | Uint8Array;

/** Sorted by hash, then by LSN. */
interface Segment {
  readonly hashes: Uint32Array;
  /** LSNs, counted from the base. */
  readonly lsns: Uint32Array;
}

/** So many entries are sorted at a time: a hash and a place among them fit into a double exactly. */
const SEGMENT_SIZE = 131_072;

/**
 * LSNs by the hash of a key, at 8 bytes each. Kept as sorted segments, of which the newest are merged as they
 * grow to the same size (https://en.wikipedia.org/wiki/Log-structured_merge-tree), so that adding one is cheap
 * and few are searched.
 */
export class Postings {
  /** The LSN from which on it holds changes. */
  readonly base: number;
  #segments: Segment[] = [];
  #hashes: Uint32Array = new Uint32Array(16);
  #lsns: Uint32Array = new Uint32Array(16);
  #pending = 0;

  constructor(base: number) {
    this.base = base;
  }

  /** How many it holds. */
  get size(): number {
    return this.#segments.reduce((sum, { lsns }) => sum + lsns.length, this.#pending);
  }

  /** Adds one; LSNs come in order. */
  add(hash: number, lsn: number): void {
    if (this.#pending === this.#hashes.length) this.#grow();
    this.#hashes[this.#pending] = hash;
    this.#lsns[this.#pending++] = lsn - this.base;
    if (this.#pending === SEGMENT_SIZE) this.settle();
  }

  /** Makes what was added findable. */
  settle(): void {
    const count = this.#pending;
    if (count === 0) return;
    const order = new Float64Array(count);
    for (let i = 0; i < count; i++) order[i] = (this.#hashes[i] as number) * SEGMENT_SIZE + i;
    order.sort();
    const segment = { hashes: new Uint32Array(count), lsns: new Uint32Array(count) };
    for (let i = 0; i < count; i++) {
      const place = (order[i] as number) % SEGMENT_SIZE;
      segment.hashes[i] = this.#hashes[place] as number;
      segment.lsns[i] = this.#lsns[place] as number;
    }
    this.#pending = 0;
    if (count > 1_024) [this.#hashes, this.#lsns] = [new Uint32Array(16), new Uint32Array(16)];
    this.#segments.push(segment);
    for (;;) {
      const [older, newer] = this.#segments.slice(-2);
      if (older === undefined || newer === undefined || older.lsns.length > 2 * newer.lsns.length) return;
      this.#segments.splice(-2, 2, merge(older, newer));
    }
  }

  /** The LSNs with this hash after `lsn`, in order. */
  after(hash: number, lsn: number): number[] {
    const found: number[] = [];
    for (const { hashes, lsns } of this.#segments)
      for (let i = lowerBound(hashes, lsns, hash, lsn - this.base); hashes[i] === hash; i++)
        found.push((lsns[i] as number) + this.base);
    return found;
  }

  #grow(): void {
    const [hashes, lsns] = [new Uint32Array(2 * this.#pending), new Uint32Array(2 * this.#pending)];
    hashes.set(this.#hashes);
    lsns.set(this.#lsns);
    [this.#hashes, this.#lsns] = [hashes, lsns];
  }
}

/** The first place of `hash` with an LSN greater than `lsn`, or that behind where it would stand. */
function lowerBound(hashes: Uint32Array, lsns: Uint32Array, hash: number, lsn: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = hashes[middle] as number;
    if (at < hash || (at === hash && (lsns[middle] as number) <= lsn)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** One segment of two, the first of which is older in all its LSNs. */
function merge(older: Segment, newer: Segment): Segment {
  const length = older.lsns.length + newer.lsns.length;
  const merged = { hashes: new Uint32Array(length), lsns: new Uint32Array(length) };
  let a = 0;
  let b = 0;
  for (let i = 0; i < length; i++) {
    const takesOlder =
      b === newer.lsns.length ||
      (a < older.lsns.length && (older.hashes[a] as number) <= (newer.hashes[b] as number));
    const from = takesOlder ? older : newer;
    const at = takesOlder ? a++ : b++;
    merged.hashes[i] = from.hashes[at] as number;
    merged.lsns[i] = from.lsns[at] as number;
  }
  return merged;
}

const MULTIPLIER = 0x01000193;
const number = new Float64Array(1);
const bits = new Uint32Array(number.buffer);

/**
 * A hash of 32 bits of the values from `start` to `end`. An integer that fits into 32 bits is its own, so that
 * among such keys nothing is taken for another. Integers past 2^53 hash as the doubles next to them do.
 */
export function hashOf(values: readonly KeyPart[], start = 0, end: number = values.length): number {
  const first = values[start];
  if (end - start === 1) return hashOne(first as KeyPart);
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ hashOne(values[i] as KeyPart), 0x9e3779b1) >>> 0;
  return hash;
}

/** Whether a key is its own hash. */
export function isExactHash(values: readonly KeyPart[], start = 0, end: number = values.length): boolean {
  const value = values[start];
  return end - start === 1 && typeof value === 'number' && value >>> 0 === value;
}

function hashOne(value: KeyPart): number {
  if (typeof value === 'number') return hashNumber(value);
  if (typeof value === 'bigint') return hashNumber(Number(value));
  let hash = 0x811c9dc5;
  if (typeof value === 'string')
    for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), MULTIPLIER);
  else if (value !== null)
    for (const byte of value instanceof Uint8Array ? value : new Uint8Array(value))
      hash = Math.imul(hash ^ byte, MULTIPLIER);
  return hash >>> 0;
}

function hashNumber(value: number): number {
  if (value >>> 0 === value) return value;
  number[0] = value;
  return (Math.imul((bits[0] as number) ^ MULTIPLIER, 0x9e3779b1) ^ (bits[1] as number)) >>> 0;
}
