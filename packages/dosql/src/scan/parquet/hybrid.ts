import { unpack, viewOf } from './bits.ts';
import { malformed } from './malformed.ts';

/**
 * The hybrid of run lengths and bit packing that levels, dictionary codes and booleans are written in
 * (https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE): each run begins with a varint; its lowest
 * bit tells groups of eight packed numbers from one repeated number.
 */
export interface HybridRuns {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  readonly width: number;
  /** How many numbers are due. */
  readonly count: number;
}

/** One run while they are stepped through. */
class Cursor {
  at: number;
  left: number;
  /** Of the current run: how many of its numbers are wanted, whether it is packed, the value that it repeats. */
  count = 0;
  isPacked = false;
  value = 0;
  /** Where the packed numbers begin. */
  packedAt = 0;
  readonly #runs: HybridRuns;

  constructor(runs: HybridRuns) {
    this.#runs = runs;
    this.at = runs.at;
    this.left = runs.count;
  }

  /** Steps to the next run; false when all numbers have been given. */
  next(): boolean {
    if (this.left === 0) return false;
    const { bytes, end, width } = this.#runs;
    const header = this.#varint(bytes, end);
    const size = Math.floor(header / 2);
    this.isPacked = header % 2 === 1;
    if (this.isPacked) {
      this.count = Math.min(8 * size, this.left);
      this.packedAt = this.at;
      // The last group may be cut where the numbers end.
      if (this.at + Math.ceil((this.count * width) / 8) > end)
        malformed('packed numbers of a page end early');
      this.at = Math.min(end, this.at + size * width);
    } else {
      if (size > this.left) malformed(`a run of a page has ${size} values, where ${this.left} are left`);
      this.count = size;
      this.value = this.#repeated(bytes, end, (width + 7) >>> 3);
    }
    this.left -= this.count;
    return true;
  }

  #varint(bytes: Uint8Array, end: number): number {
    let value = 0;
    for (let factor = 1; factor <= 2 ** 35; factor *= 128) {
      if (this.at >= end) malformed('the runs of a page end early');
      const byte = bytes[this.at++] as number;
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
    return malformed('a run of a page has no sound length');
  }

  #repeated(bytes: Uint8Array, end: number, size: number): number {
    if (this.at + size > end) malformed('the runs of a page end early');
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[this.at + i] as number);
    this.at += size;
    return value;
  }
}

/**
 * Writes the numbers into `out` from `from` on. Each has to be less than `bound`.
 *
 * @throws Malformed
 */
export function readCodes(runs: HybridRuns, out: Uint32Array, from: number, bound: number): void {
  const { bytes, width } = runs;
  const view = viewOf(bytes);
  let to = from;
  for (const cursor = new Cursor(runs); cursor.next(); to += cursor.count) {
    if (cursor.isPacked) {
      const most = unpack(view, cursor.packedAt, width, out, to, cursor.count);
      if (most >= bound) checkBound(out, to, to + cursor.count, bound);
    } else {
      if (cursor.value >= bound) outside(cursor.value, bound);
      out.fill(cursor.value, to, to + cursor.count);
    }
  }
}

function checkBound(codes: Uint32Array, from: number, to: number, bound: number): void {
  let max = 0;
  for (let i = from; i < to; i++) {
    const code = codes[i] as number;
    if (code > max) max = code;
  }
  if (to > from && max >= bound) outside(max, bound);
}

function outside(code: number, bound: number): never {
  malformed(`a page refers to entry ${code} of a dictionary of ${bound}`);
}

/** Runs as codes and where each ends, put together from several pages. */
export interface RunList {
  readonly codes: number[];
  readonly ends: number[];
}

/** Fewer rows a run than this, and the codes one by one are the better form. */
const MIN_RUN = 32;

/**
 * Appends the runs to `list`, when long ones dominate; otherwise it stays as it is and the answer is false.
 *
 * @throws Malformed
 */
export function readRuns(runs: HybridRuns, list: RunList, bound: number): boolean {
  if (!isMostlyRuns(runs)) return false;
  const view = viewOf(runs.bytes);
  for (const cursor = new Cursor(runs); cursor.next();) {
    if (cursor.isPacked) {
      const packed = new Uint32Array(cursor.count);
      unpack(view, cursor.packedAt, runs.width, packed, 0, cursor.count);
      checkBound(packed, 0, cursor.count, bound);
      for (const code of packed) appendRun(list, code, 1);
    } else {
      if (cursor.value >= bound) outside(cursor.value, bound);
      appendRun(list, cursor.value, cursor.count);
    }
  }
  return true;
}

function isMostlyRuns(runs: HybridRuns): boolean {
  let count = 0;
  const cursor = new Cursor(runs);
  while (cursor.next()) {
    count += cursor.isPacked ? cursor.count : 1;
    if (count * MIN_RUN > runs.count) return false;
  }
  return true;
}

/** `count` more rows of `code`. */
export function appendRun({ codes, ends }: RunList, code: number, count: number): void {
  if (count === 0) return;
  const last = ends.length - 1;
  const end = (ends[last] ?? 0) + count;
  if (last >= 0 && codes[last] === code) ends[last] = end;
  else {
    codes.push(code);
    ends.push(end);
  }
}

/**
 * How many of the levels are 1: of levels of one bit, that of a value which is not NULL.
 *
 * Most pages have no NULL, or nothing else, and one run that says so.
 */
export function countOnes(levels: HybridRuns): number {
  let ones = 0;
  for (const cursor = new Cursor(levels); cursor.next();) {
    if (cursor.isPacked) ones += onesOf(levels.bytes, cursor.packedAt, cursor.count);
    else if (cursor.value === 1) ones += cursor.count;
    else if (cursor.value !== 0)
      malformed(`a page has the level ${cursor.value}, where 0 and 1 are possible`);
  }
  return ones;
}

function onesOf(bytes: Uint8Array, at: number, count: number): number {
  let ones = 0;
  for (let left = count; left > 0; left -= 8) {
    let byte = bytes[at++] as number;
    if (left < 8) byte &= (1 << left) - 1;
    ones += BIT_COUNTS[byte] as number;
  }
  return ones;
}

const BIT_COUNTS: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>>= 1) count += rest & 1;
  return count;
});

/** Writes 1 into `nulls`, from `from` on, where a level is 0. */
export function readNulls(levels: HybridRuns, nulls: Uint8Array, from: number): void {
  let to = from;
  for (const cursor = new Cursor(levels); cursor.next(); to += cursor.count) {
    if (!cursor.isPacked) nulls.fill(1 - cursor.value, to, to + cursor.count);
    else
      for (let i = 0; i < cursor.count; i++)
        nulls[to + i] = 1 - (((levels.bytes[cursor.packedAt + (i >>> 3)] as number) >>> (i & 7)) & 1);
  }
}
