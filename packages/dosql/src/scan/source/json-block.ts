import { FALSE, isWord, TRUE } from './field-values.ts';
import type { FieldBlock } from './fields.ts';
import { unescaped, type JsonKeys } from './json-keys.ts';
import { TextFault } from './text-fault.ts';

/** A value that is null, or not there. */
export const NULL = 0;
/** Text as it stands. */
export const PLAIN = 1;
/** Text with escapes in it. */
export const ESCAPED = 2;
/** A number. */
export const NUMBER = 3;
/** `true` or `false`. */
export const WORD = 4;
/** An object or an array. */
export const NESTED = 5;

/**
 * Where in a file a block begins: at its start; before the first, another or the end of an array's elements; between
 * objects that stand one after the other; behind all.
 */
export type JsonState = 'start' | 'first' | 'element' | 'after' | 'sequence' | 'done';

/** Objects, and what to begin the next ones with. */
export interface JsonBlock extends FieldBlock {
  readonly state: JsonState;
}

const QUOTE = 34;
const BACKSLASH = 92;
const COMMA = 44;
const COLON = 58;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const NULL_WORD = [110, 117, 108, 108] as const;
const MAX_DEPTH = 1_000;

const utf8 = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true });

function fieldText(bytes: Uint8Array, { starts, ends, kinds }: FieldBlock, at: number): string {
  const text = utf8.decode(bytes.subarray(starts[at], ends[at]));
  return kinds[at] === ESCAPED ? unescaped(text, starts[at] as number) : text;
}

/** Finds the values of objects: of an array of them, of one, or of any number one after the other. */
export class JsonScanner {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #isLast: boolean;
  readonly #keys: JsonKeys;
  readonly #slotCount: number;
  #starts: Int32Array = new Int32Array(0);
  #ends: Int32Array = new Int32Array(0);
  #kinds: Uint8Array = new Uint8Array(0);
  #capacity = 0;
  /** Where the fields of the row go; -1 where they are not wanted. */
  #base = -1;
  #hasEscape = false;

  /** @param bytes has a quote at `end`, which is not part of the data and stops every search. */
  constructor(bytes: Uint8Array, end: number, isLast: boolean, keys: JsonKeys, slotCount: number) {
    this.#bytes = bytes;
    this.#end = end;
    this.#isLast = isLast;
    this.#keys = keys;
    this.#slotCount = slotCount;
  }

  /**
   * Up to `maxRows` objects that are whole, from `from` on; with `rows`, rising, the values of the others are NULL.
   *
   * @throws TextFault
   */
  read(from: number, start: JsonState, maxRows: number, rows?: Uint32Array): JsonBlock {
    const bytes = this.#bytes;
    const end = this.#end;
    let state = start;
    let done = from;
    let row = 0;
    let nextRow = 0;
    while (row < maxRows) {
      const pos = this.#skipSpace(done);
      done = pos;
      if (pos >= end) break;
      const byte = bytes[pos];
      if (state === 'start') {
        state = byte === OPEN_BRACKET ? 'first' : 'sequence';
        if (byte === OPEN_BRACKET) done++;
      } else if (state === 'done') {
        throw new TextFault(pos, 'there is text behind the end of the array');
      } else if (byte === CLOSE_BRACKET && (state === 'first' || state === 'after')) {
        state = 'done';
        done++;
      } else if (state === 'after') {
        if (byte !== COMMA) throw new TextFault(pos, 'there is no comma between two objects of the array');
        state = 'element';
        done++;
      } else {
        if (byte !== OPEN_BRACE)
          throw new TextFault(
            pos,
            `there is ${this.#excerpt(pos)} where an object should begin: rows are objects`,
          );
        if (row === this.#capacity) this.#grow(maxRows);
        const isWanted = rows === undefined || rows[nextRow] === row;
        if (isWanted) nextRow++;
        this.#base = isWanted ? row * this.#slotCount : -1;
        const after = this.#object(pos);
        if (after < 0) break;
        done = after;
        row++;
        if (state !== 'sequence') state = 'after';
      }
    }
    if (this.#isLast && row < maxRows) this.#checkEnd(done, state);
    const lineCount = linesOf(bytes, from, done);
    return {
      rowCount: row,
      starts: this.#starts,
      ends: this.#ends,
      kinds: this.#kinds,
      slotCount: this.#slotCount,
      end: done,
      lineCount,
      text: fieldText,
      state,
    };
  }

  #checkEnd(done: number, state: JsonState): void {
    if (done < this.#end) throw new TextFault(done, 'the file ends within the object that begins here');
    if (state === 'first' || state === 'element' || state === 'after')
      throw new TextFault(done, 'the file ends within its array');
  }

  #grow(maxRows: number): void {
    this.#capacity = Math.min(Math.max(1024, this.#capacity * 4), maxRows);
    const size = this.#capacity * this.#slotCount;
    const [starts, ends, kinds] = [this.#starts, this.#ends, this.#kinds];
    this.#starts = new Int32Array(size);
    this.#ends = new Int32Array(size);
    this.#kinds = new Uint8Array(size);
    this.#starts.set(starts);
    this.#ends.set(ends);
    this.#kinds.set(kinds);
  }

  /** Reads an object; gives the byte after it, or -1 where the chunk ends before. */
  #object(open: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    // What an object that the chunk has only half of left behind.
    if (this.#base >= 0) this.#clear();
    let pos = this.#skipSpace(open + 1);
    if (bytes[pos] === CLOSE_BRACE) return pos + 1;
    for (let guess = 0; ;) {
      if (pos >= end) return -1;
      if (bytes[pos] !== QUOTE)
        throw new TextFault(pos, `there is ${this.#excerpt(pos)} where a key should be`);
      let key = guess;
      let close = this.#keys.endOf(bytes, pos + 1, guess);
      if (close < 0) {
        close = this.#stringEnd(pos + 1);
        if (close < 0) return -1;
        key = this.#keys.find(bytes, pos + 1, close);
      }
      guess = key + 1;
      pos = this.#skipSpace(close + 1);
      if (pos >= end) return -1;
      if (bytes[pos] !== COLON) throw new TextFault(pos, 'there is no colon behind a key');
      pos = this.#value(this.#skipSpace(pos + 1), this.#keys.slotOf(key));
      if (pos < 0) return -1;
      pos = this.#skipSpace(pos);
      if (pos >= end) return -1;
      if (bytes[pos] === CLOSE_BRACE) return pos + 1;
      if (bytes[pos] !== COMMA)
        throw new TextFault(pos, `there is ${this.#excerpt(pos)} where a comma should be`);
      pos = this.#skipSpace(pos + 1);
    }
  }

  #clear(): void {
    const { length } = this.#starts;
    for (let at = this.#base; at < this.#base + this.#slotCount && at < length; at++) {
      this.#starts[at] = 0;
      this.#ends[at] = 0;
      this.#kinds[at] = NULL;
    }
  }

  /** Reads a value and notes where it is; gives the byte after it, or -1. */
  #value(pos: number, slot: number): number {
    const bytes = this.#bytes;
    if (pos >= this.#end) return -1;
    const first = bytes[pos] as number;
    let start = pos;
    let stop: number;
    let after: number;
    let kind: number;
    if (first === QUOTE) {
      start = pos + 1;
      stop = this.#stringEnd(start);
      if (stop < 0) return -1;
      after = stop + 1;
      kind = this.#hasEscape ? ESCAPED : PLAIN;
    } else if (first === OPEN_BRACE || first === OPEN_BRACKET) {
      after = this.#nestedEnd(pos);
      if (after < 0) return -1;
      stop = after;
      kind = NESTED;
    } else {
      after = pos;
      while (!ENDS_SCALAR[bytes[after] as number]) after++;
      if (after >= this.#end) return -1;
      stop = after;
      kind = this.#scalarKind(pos, stop);
      if (kind === NULL) start = stop;
    }
    if (slot >= 0 && this.#base >= 0) {
      const at = this.#base + slot;
      this.#starts[at] = start;
      this.#ends[at] = stop;
      this.#kinds[at] = kind;
    }
    return after;
  }

  #scalarKind(start: number, stop: number): number {
    const first = this.#bytes[start] as number;
    if ((first >= 48 && first <= 57) || first === 45) return NUMBER;
    if (isWord(this.#bytes, start, stop, NULL_WORD)) return NULL;
    if (isWord(this.#bytes, start, stop, TRUE) || isWord(this.#bytes, start, stop, FALSE)) return WORD;
    throw new TextFault(start, `there is ${this.#excerpt(start)} where a value should be`);
  }

  /** The quote that ends a string; -1 where the chunk ends before. */
  #stringEnd(start: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    this.#hasEscape = false;
    let i = start;
    for (;;) {
      let byte = bytes[i] as number;
      while (byte !== QUOTE && byte !== BACKSLASH) byte = bytes[++i] as number;
      if (byte === QUOTE) return i >= end ? -1 : i;
      this.#hasEscape = true;
      i += 2;
      if (i > end) return -1;
    }
  }

  /** The byte after an object or array; -1 where the chunk ends before. */
  #nestedEnd(start: number): number {
    const bytes = this.#bytes;
    const closing: number[] = [];
    for (let i = start; i < this.#end; i++) {
      const byte = bytes[i];
      if (byte === QUOTE) {
        const close = this.#stringEnd(i + 1);
        if (close < 0) return -1;
        i = close;
      } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        // The brackets that close are two after those that open.
        closing.push(byte + 2);
        if (closing.length > MAX_DEPTH)
          throw new TextFault(start, `a value is nested more than ${MAX_DEPTH} times`);
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        if (closing.pop() !== byte) throw new TextFault(i, 'a bracket closes that is not open');
        if (closing.length === 0) return i + 1;
      }
    }
    return -1;
  }

  #skipSpace(from: number): number {
    const bytes = this.#bytes;
    let i = from;
    for (let byte = bytes[i]; byte === 32 || byte === 10 || byte === 13 || byte === 9; byte = bytes[i]) i++;
    return i;
  }

  #excerpt(pos: number): string {
    const text = utf8.decode(this.#bytes.subarray(pos, Math.min(pos + 40, this.#end)));
    return JSON.stringify(text.split(/[\n\r]/, 1)[0]);
  }
}

/** For each byte whether a number or word ends in front of it: space, comma, bracket, quote. */
const ENDS_SCALAR = Uint8Array.from({ length: 256 }, (_, byte) =>
  [32, 10, 13, 9, COMMA, CLOSE_BRACE, CLOSE_BRACKET, QUOTE, OPEN_BRACE, OPEN_BRACKET, COLON].includes(byte)
    ? 1
    : 0,
);

function linesOf(bytes: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let i = bytes.indexOf(10, from); i >= 0 && i < to; i = bytes.indexOf(10, i + 1)) count++;
  return count;
}
