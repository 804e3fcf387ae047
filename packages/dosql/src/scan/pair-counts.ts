import { PairNumbers } from './group-key.ts';
import { CACHED } from './row-hash.ts';
import { grown } from './scratch.ts';

/** So many pairs are looked up together. */
const CHUNK = 512;

/** Up to so many places a set grows faster, since filling it anew takes longer than its memory is worth. */
const SMALL = 2 ** 20;

/**
 * Counts with how many different second numbers each first one occurs.
 *
 * A pair is one number of 32 bits, as long as both fit, in a set of open addressing that has nothing else: a quarter of
 * what a table of numbered rows takes, which matters once that is more than the processor caches.
 */
export class PairCounts {
  /** Of each first number. */
  #counts: Uint32Array = new Uint32Array(64);
  /** Pairs; 0 is none, for a second number is never 0. */
  #slots: Uint32Array = new Uint32Array(4096);
  /** How far a hash is shifted for its place: 32 less the bits of the set's size. */
  #shift = 20;
  #size = 0;
  /** Bits of a pair that the second number has. */
  #bits = 12;
  /** Has the pairs once they do not fit into 32 bits. */
  #large: PairNumbers | undefined;
  readonly #keys = new Uint32Array(CHUNK);
  readonly #found = new Uint32Array(CHUNK);

  /** Counts pairs; those whose second number is 0 are none. `firstSize` and `secondSize` are above all numbers so far. */
  add(firsts: Uint32Array, firstSize: number, seconds: Uint32Array, secondSize: number): void {
    this.#counts = grown(this.#counts, firstSize);
    if (this.#large === undefined) this.#fit(firstSize, secondSize);
    if (this.#large !== undefined) this.#addLarge(this.#large, firsts, firstSize, seconds, secondSize);
    else
      for (let from = 0; from < firsts.length; from += CHUNK)
        this.#addChunk(firsts, seconds, from, Math.min(firsts.length, from + CHUNK));
  }

  /** The counts of the first numbers below `size`. */
  counts(size: number): Uint32Array {
    return grown(this.#counts, size).subarray(0, size);
  }

  #addChunk(firsts: Uint32Array, seconds: Uint32Array, from: number, to: number): void {
    const length = to - from;
    this.#reserve(this.#size + length);
    const slots = this.#slots;
    const shift = this.#shift;
    const mask = slots.length - 1;
    const bits = this.#bits;
    const keys = this.#keys;
    const counts = this.#counts;
    for (let i = 0; i < length; i++) {
      const second = seconds[from + i]!;
      keys[i] = second === 0 ? 0 : (firsts[from + i]! << bits) | second;
    }
    // Loads that need not wait for one another, as in a RowHash.
    if (slots.length > CACHED) {
      const found = this.#found;
      for (let i = 0; i < length; i++) found[i] = slots[placeOf(keys[i]!, shift)]!;
    }
    let size = this.#size;
    for (let i = 0; i < length; i++) {
      const key = keys[i]!;
      if (key === 0) continue;
      let at = placeOf(key, shift);
      let other = slots[at]!;
      while (other !== 0 && other !== key) {
        at = (at + 1) & mask;
        other = slots[at]!;
      }
      if (other !== 0) continue;
      slots[at] = key;
      counts[firsts[from + i]!]!++;
      size++;
    }
    this.#size = size;
  }

  #addLarge(
    large: PairNumbers,
    firsts: Uint32Array,
    firstSize: number,
    seconds: Uint32Array,
    secondSize: number,
  ): void {
    let seen = large.size;
    const pairs = large.add(firsts, firstSize, seconds, secondSize);
    for (let i = 0; i < pairs.length; i++) {
      // New pairs are numbered in the order of their first rows.
      if (pairs[i]! < seen) continue;
      seen++;
      if (seconds[i] !== 0) this.#counts[firsts[i]!]!++;
    }
  }

  /** Makes room for so many pairs: half of the set is filled at most. */
  #reserve(size: number): void {
    let { length } = this.#slots;
    while (2 * size > length) length *= length < SMALL ? 4 : 2;
    if (length > this.#slots.length) this.#place(this.#slots, length);
  }

  /** Makes pairs of numbers below these fit. */
  #fit(firstSize: number, secondSize: number): void {
    const before = this.#bits;
    // More numbers are to come, so there is room for as many again, where it can be had.
    const more = Math.max(bitsOf(secondSize), Math.min(bitsOf(2 * secondSize), 32 - bitsOf(firstSize)));
    const bits = secondSize <= 2 ** before ? before : more;
    if (bitsOf(firstSize) + bits > 32) {
      this.#enlarge(firstSize, secondSize);
      return;
    }
    if (bits === before) return;
    this.#bits = bits;
    const low = 2 ** before - 1;
    this.#place(
      this.#slots.map((key) => ((key >>> before) << bits) | (key & low)),
      this.#slots.length,
    );
  }

  /** Puts pairs into a set of this length. */
  #place(pairs: Uint32Array, length: number): void {
    const slots = new Uint32Array(length);
    const shift = 32 - Math.log2(length);
    for (let i = 0; i < pairs.length; i++) {
      const key = pairs[i]!;
      if (key === 0) continue;
      let at = placeOf(key, shift);
      while (slots[at]! !== 0) at = (at + 1) & (length - 1);
      slots[at] = key;
    }
    this.#slots = slots;
    this.#shift = shift;
  }

  #enlarge(firstSize: number, secondSize: number): void {
    const pairs = this.#slots.filter((key) => key !== 0);
    const bits = this.#bits;
    const large = new PairNumbers();
    large.add(
      pairs.map((key) => key >>> bits),
      firstSize,
      pairs.map((key) => key & (2 ** bits - 1)),
      secondSize,
    );
    this.#large = large;
    this.#slots = new Uint32Array(0);
  }
}

/** How many bits numbers below `size` have. */
function bitsOf(size: number): number {
  return 32 - Math.clz32(size - 1);
}

function placeOf(key: number, shift: number): number {
  return Math.imul(key ^ (key >>> 15), 0x9e3779b1) >>> shift;
}
