import { grown } from './scratch.ts';

/** So many rows are looked up together. */
const CHUNK = 512;
/** A table of so many words is near the processor anyway. */
export const CACHED: number = 2 ** 15;

/**
 * Numbers distinct rows of a few 32-bit words each, two at least, from 1 on in the order of appearance.
 *
 * The words of each number lie side by side; beside them stands a table of open addressing with the hash and the number of
 * each row. A row's place is the high bits of its hash, so that a table that grows is copied from front to back.
 */
export class RowHash {
  readonly width: number;
  /** The highest number. */
  size = 0;
  /** The words of number `n` from `n * width` on; what stands at 0 means nothing. */
  keys: Uint32Array;
  /** A hash and a number for each place; the number 0 is none. */
  #slots: Uint32Array = new Uint32Array(2 * 2048);
  /** How far a hash is shifted for its place: 32 less the bits of the table's size. */
  #shift = 21;
  readonly #hashes = new Uint32Array(CHUNK);
  readonly #found = new Uint32Array(CHUNK);

  constructor(width: number) {
    this.width = width;
    this.keys = new Uint32Array(width * 64);
  }

  /** The numbers, less `base`, of `count` rows, whose words stand in `words` one row after the other. */
  addAll(words: Uint32Array, count: number, out: Uint32Array, base: number): void {
    for (let from = 0; from < count; from += CHUNK)
      this.#addChunk(words, from, Math.min(count, from + CHUNK), out, base);
  }

  /** The number of a pair; the width is 2. */
  addPair(first: number, second: number): number {
    this.#reserve(this.size, 1);
    const { keys } = this;
    const slots = this.#slots;
    const hash = finish(mix(mix(0, first), second));
    let at = (hash >>> this.#shift) << 1;
    for (;;) {
      const number = slots[at + 1]!;
      if (number === 0) break;
      if (slots[at] === hash && keys[2 * number] === first && keys[2 * number + 1] === second) return number;
      at = (at + 2) & (slots.length - 2);
    }
    slots[at] = hash;
    return (slots[at + 1] = this.appendPair(first, second));
  }

  /** Numbers a pair that is known to be new, without making it known to look-ups; the width is 2. */
  appendPair(first: number, second: number): number {
    const number = ++this.size;
    this.keys = grown(this.keys, 2 * number + 2);
    this.keys[2 * number] = first;
    this.keys[2 * number + 1] = second;
    return number;
  }

  /** Makes all rows that were appended known to look-ups, where none is. */
  index(): void {
    const { keys, size, width } = this;
    this.#reserve(size, 0);
    for (let number = 1; number <= size; number++)
      place(this.#slots, this.#shift, hashOf(keys, number * width, width), number);
  }

  #addChunk(words: Uint32Array, from: number, to: number, out: Uint32Array, base: number): void {
    this.#reserve(this.size, to - from);
    const { width, keys } = this;
    const slots = this.#slots;
    const shift = this.#shift;
    const mask = slots.length - 2;
    const hashes = this.#hashes;
    const found = this.#found;
    const length = to - from;
    if (width === 2)
      for (let i = 0, row = 2 * from; i < length; i++, row += 2)
        hashes[i] = finish(mix(mix(0, words[row]!), words[row + 1]!));
    else for (let i = 0; i < length; i++) hashes[i] = hashOf(words, (from + i) * width, width);
    // A row that waits for memory makes all after it wait, once its number decides what to do. So what a large table has is
    // read ahead, by loads that need not wait for one another: first the places, then the keys there.
    if (slots.length > CACHED) {
      for (let i = 0; i < length; i++) found[i] = slots[((hashes[i]! >>> shift) << 1) + 1]!;
      for (let i = 0; i < length; i++) found[i] = keys[found[i]! * width]!;
    }
    let { size } = this;
    for (let i = 0; i < length; i++) {
      const hash = hashes[i]!;
      const row = (from + i) * width;
      let at = (hash >>> shift) << 1;
      let number = slots[at + 1]!;
      while (
        number !== 0 &&
        (slots[at] !== hash ||
          keys[number * width] !== words[row] ||
          keys[number * width + 1] !== words[row + 1] ||
          !isSame(keys, number * width, words, row, width))
      ) {
        at = (at + 2) & mask;
        number = slots[at + 1]!;
      }
      if (number === 0) {
        number = ++size;
        slots[at] = hash;
        slots[at + 1] = number;
        for (let word = 0; word < width; word++) keys[number * width + word] = words[row + word]!;
      }
      out[from + i] = number - base;
    }
    this.size = size;
  }

  /** Makes room for `more` rows, at least, beside `size`: three fifths of the table are filled at most. */
  #reserve(size: number, more: number): void {
    const words = (size + more + 1) * this.width;
    this.keys = grown(this.keys, words);
    let length = this.#slots.length;
    while ((size + more) * 10 > length * 3) length *= 2;
    if (length === this.#slots.length) return;
    const old = this.#slots;
    const slots = new Uint32Array(length);
    this.#shift = 33 - Math.log2(length);
    for (let i = 0; i < old.length; i += 2)
      if (old[i + 1] !== 0) place(slots, this.#shift, old[i]!, old[i + 1]!);
    this.#slots = slots;
  }
}

/** Puts a number in the first free place from its hash's on. */
export function place(slots: Uint32Array, shift: number, hash: number, number: number): void {
  const mask = slots.length - 2;
  let at = (hash >>> shift) << 1;
  while (slots[at + 1] !== 0) at = (at + 2) & mask;
  slots[at] = hash;
  slots[at + 1] = number;
}

/** Whether what stands behind the first two words is the same. */
function isSame(a: Uint32Array, i: number, b: Uint32Array, j: number, width: number): boolean {
  for (let word = 2; word < width; word++) if (a[i + word] !== b[j + word]) return false;
  return true;
}

function hashOf(words: Uint32Array, at: number, width: number): number {
  let hash = 0;
  for (let word = 0; word < width; word++) hash = mix(hash, words[at + word]!);
  return finish(hash);
}

function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b);
  return mixed ^ (mixed >>> 15);
}

function finish(hash: number): number {
  const mixed = Math.imul(hash, 0x9e3779b1);
  return Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 0;
}
