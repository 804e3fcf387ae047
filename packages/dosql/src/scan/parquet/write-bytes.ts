import { bitWidth } from './write-rle.ts';

/** Byte strings one after the other: value `i` is `data[offsets[i]]` up to `data[offsets[i + 1]]`. */
export interface Bytes {
  readonly data: Uint8Array;
  readonly offsets: Uint32Array;
}

/** A dictionary larger than this would be slow to read for the sake of a few of its values. */
const MAX_DICTIONARY_BYTES = 2 ** 20;
/** How many values are looked at before a dictionary may be given up. */
const SAMPLE = 4096;

const encoder = new TextEncoder();

/**
 * Byte strings of a column, each distinct one kept once for as long as that pays: a dictionary and a code for each
 * value. When most values turn out to be distinct it goes on without.
 */
export class BytesBuffer {
  /** How many values it has. */
  count = 0;
  #data: Uint8Array = new Uint8Array(1024);
  #offsets: Uint32Array = new Uint32Array(256);
  /** How many byte strings `data` has: the distinct ones as long as there are codes. */
  #size = 0;
  #codes: Uint32Array | undefined = new Uint32Array(256);
  /** Open addressing: the position of a byte string in `data`, plus one. */
  #slots: Int32Array = new Int32Array(512);
  #hashes: Int32Array = new Int32Array(256);
  #lastText: string | undefined;
  #lastCode = 0;

  /** The codes, while there is a dictionary. */
  get codes(): Uint32Array | undefined {
    return this.#codes?.subarray(0, this.count);
  }

  /** All byte strings, or the dictionary while there are codes. Views that the next value may leave behind. */
  get bytes(): Bytes {
    const end = this.#offsets[this.#size] as number;
    return { data: this.#data.subarray(0, end), offsets: this.#offsets.subarray(0, this.#size + 1) };
  }

  /** How much memory it takes. */
  get byteLength(): number {
    return (
      (this.#offsets[this.#size] as number) +
      4 * this.#size +
      (this.#codes === undefined ? 0 : 4 * this.count)
    );
  }

  /** Adds a text as UTF-8. */
  text(text: string): void {
    if (text === this.#lastText && this.#codes !== undefined) {
      this.#code(this.#lastCode);
      return;
    }
    const start = this.#offsets[this.#size] as number;
    const length = this.#putText(text, start);
    this.#add(start, length);
    this.#lastText = text;
  }

  /** Adds `data` from `from` up to `to`. */
  append(data: Uint8Array, from: number, to: number): void {
    const start = this.#offsets[this.#size] as number;
    this.#room(start + to - from);
    if (to - from > 64) this.#data.set(data.subarray(from, to), start);
    else for (let i = from, at = start; i < to; i++, at++) this.#data[at] = data[i] as number;
    this.#add(start, to - from);
  }

  /** Whether each distinct byte string is kept once still. */
  get hasDictionary(): boolean {
    return this.#codes !== undefined;
  }

  /** The code of the last value; only while there is a dictionary. */
  get lastCode(): number {
    return this.#lastCode;
  }

  /** Adds the value of a code once more; only while there is a dictionary. */
  again(code: number): void {
    this.#lastCode = code;
    this.#lastText = undefined;
    this.#code(code);
  }

  /** Goes on without a dictionary. */
  expand(): void {
    const codes = this.#codes;
    if (codes === undefined) return;
    const { data, offsets } = this.bytes;
    let total = 0;
    for (let i = 0; i < this.count; i++) {
      const code = codes[i] as number;
      total += (offsets[code + 1] as number) - (offsets[code] as number);
    }
    const flat = new Uint8Array(Math.max(total, 1024));
    const ends = new Uint32Array(Math.max(this.count + 1, 256));
    let at = 0;
    for (let i = 0; i < this.count; i++) {
      const code = codes[i] as number;
      const end = offsets[code + 1] as number;
      for (let from = offsets[code] as number; from < end; from++) flat[at++] = data[from] as number;
      ends[i + 1] = at;
    }
    this.#data = flat;
    this.#offsets = ends;
    this.#size = this.count;
    this.#codes = undefined;
    this.#lastText = undefined;
    this.#slots = new Int32Array(0);
    this.#hashes = new Int32Array(0);
  }

  /** Gives the dictionary up where the values themselves take less. */
  settle(): void {
    const codes = this.codes;
    if (codes === undefined) return;
    const { data, offsets } = this.bytes;
    let flat = 0;
    for (const code of codes) flat += 4 + (offsets[code + 1] as number) - (offsets[code] as number);
    const packed = data.length + 4 * this.#size + (bitWidth(this.#size) * this.count) / 8;
    if (packed > flat * 0.75) this.expand();
  }

  #putText(text: string, start: number): number {
    const { length } = text;
    this.#room(start + length * 3);
    const data = this.#data;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 127) return encoder.encodeInto(text, data.subarray(start)).written;
      data[start + i] = unit;
    }
    return length;
  }

  /** What stands in `data` from `start` on becomes the next value. */
  #add(start: number, length: number): void {
    if (this.#codes !== undefined && this.#intern(start, length)) return;
    this.#offsetRoom();
    this.#size++;
    this.#offsets[this.#size] = start + length;
    this.count++;
  }

  /** False when there is no dictionary any more. */
  #intern(start: number, length: number): boolean {
    const data = this.#data;
    const hash = hashBytes(data, start, length);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const entry = (this.#slots[slot] as number) - 1;
      if (entry < 0) break;
      if (this.#hashes[entry] === hash && this.#isEntry(entry, start, length)) {
        this.#lastCode = entry;
        this.#code(entry);
        return true;
      }
      slot = (slot + 1) & mask;
    }
    if (!this.#pays(length)) {
      this.expand();
      const from = this.#offsets[this.#size] as number;
      this.#room(from + length);
      this.#data.set(data.subarray(start, start + length), from);
      this.#offsetRoom();
      this.#size++;
      this.#offsets[this.#size] = from + length;
      this.count++;
      return true;
    }
    const entry = this.#size;
    this.#offsetRoom();
    this.#slots[slot] = entry + 1;
    this.#hashes[entry] = hash;
    this.#size++;
    this.#offsets[this.#size] = start + length;
    if (this.#size * 2 > this.#slots.length) this.#rehash();
    this.#lastCode = entry;
    this.#code(entry);
    return true;
  }

  #isEntry(entry: number, start: number, length: number): boolean {
    const data = this.#data;
    const from = this.#offsets[entry] as number;
    if ((this.#offsets[entry + 1] as number) - from !== length) return false;
    for (let i = 0; i < length; i++) if (data[from + i] !== data[start + i]) return false;
    return true;
  }

  /** Whether one more entry of so many bytes may go into the dictionary. */
  #pays(length: number): boolean {
    if (this.count >= SAMPLE && this.#size > this.count * 0.6) return false;
    return (this.#offsets[this.#size] as number) + length + 4 * this.#size <= MAX_DICTIONARY_BYTES;
  }

  #code(code: number): void {
    let codes = this.#codes as Uint32Array;
    if (this.count === codes.length) {
      codes = new Uint32Array(this.count * 2);
      codes.set(this.#codes as Uint32Array);
      this.#codes = codes;
    }
    codes[this.count++] = code;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let entry = 0; entry < this.#size; entry++) {
      let slot = (this.#hashes[entry] as number) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = entry + 1;
    }
    this.#slots = slots;
  }

  #room(bytes: number): void {
    if (bytes <= this.#data.length) return;
    const grown = new Uint8Array(Math.max(this.#data.length * 2, bytes));
    grown.set(this.#data);
    this.#data = grown;
  }

  #offsetRoom(): void {
    if (this.#size + 1 < this.#offsets.length) return;
    const offsets = new Uint32Array(this.#offsets.length * 2);
    offsets.set(this.#offsets);
    this.#offsets = offsets;
    if (this.#codes === undefined) return;
    const hashes = new Int32Array(offsets.length);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
  }
}

/** Any good mixing does: who finds an entry compares the bytes. */
function hashBytes(data: Uint8Array, start: number, length: number): number {
  let hash = length;
  const end = start + length;
  let i = start;
  for (; i + 4 <= end; i += 4) {
    const word =
      (data[i] as number) |
      ((data[i + 1] as number) << 8) |
      ((data[i + 2] as number) << 16) |
      ((data[i + 3] as number) << 24);
    hash = Math.imul(hash ^ word, 0x9e_37_79_b1);
    hash ^= hash >>> 15;
  }
  for (; i < end; i++) hash = Math.imul(hash ^ (data[i] as number), 0x85_eb_ca_6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2_b2_ae_35);
  return hash ^ (hash >>> 16);
}
