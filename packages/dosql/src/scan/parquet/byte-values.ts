import { DoSQLError } from '../../error.ts';
import type { Budget } from '../budget.ts';
import type { BytesVector } from '../vector.ts';
import { viewOf } from './bits.ts';
import { deltaInt32 } from './delta.ts';
import { malformed } from './malformed.ts';
import type { Room } from './room.ts';

/** Room behind the data, as copies write four bytes at once. */
const SLACK = 8;
/** Texts of one batch may not take more than this together. */
const MAX_BYTES = 2 ** 29;

/** Puts together the texts or blobs of a column, page by page. */
export class ByteValues {
  data: Uint8Array;
  readonly offsets: Uint32Array;
  readonly #room: Room;
  readonly #budget: Budget;

  /** For `count` values that take about `capacity` bytes. */
  constructor(count: number, capacity: number, room: Room, budget: Budget) {
    this.#room = room;
    this.#budget = budget;
    this.data = room.bytes(capacity + SLACK);
    this.offsets = room.uint32s(count + 1);
    this.offsets[0] = 0;
  }

  /** Makes room for `size` bytes behind `used`. */
  #reserve(used: number, size: number): void {
    const needed = used + size + SLACK;
    if (needed <= this.data.length) return;
    if (needed > MAX_BYTES)
      throw new DoSQLError('TOO_BIG', `a column has ${needed} bytes within one batch of rows: leave it out`);
    // What a few bytes of a page expand to is counted like what is decompressed.
    this.#budget.decode(needed - this.data.length);
    const grown = this.#room.bytes(Math.max(needed, Math.min(MAX_BYTES, 2 * this.data.length)));
    grown.set(this.data.subarray(0, used));
    this.data = grown;
  }

  /** Values with their length in four bytes before each. */
  plain(bytes: Uint8Array, at: number, end: number, from: number, count: number): void {
    const { offsets } = this;
    let to = offsets[from] as number;
    if (4 * count > end - at) malformed('texts of a page end early');
    this.#reserve(to, end - at - 4 * count);
    const { data } = this;
    const source = viewOf(bytes);
    const target = viewOf(data);
    const safe = bytes.length - 4;
    for (let i = 1; i <= count; i++) {
      if (at + 4 > end) malformed('texts of a page end early');
      const length = source.getUint32(at, true) | 0;
      at = (at + 4) | 0;
      const next = (at + length) | 0;
      if (length < 0 || next > end || next < at) malformed('a text of a page goes past its end');
      if (length <= 64 && next <= safe) {
        for (let i = at, k = to; i < next; i = (i + 4) | 0, k = (k + 4) | 0)
          target.setUint32(k, source.getUint32(i, true), true);
      } else data.set(bytes.subarray(at, next), to);
      at = next;
      to = (to + length) | 0;
      offsets[from + i] = to;
    }
  }

  /** Values of `size` bytes each. */
  fixed(bytes: Uint8Array, at: number, end: number, from: number, count: number, size: number): void {
    if (count * size > end - at) malformed('values of a page end early');
    const { offsets } = this;
    const to = offsets[from] as number;
    this.#reserve(to, count * size);
    this.data.set(bytes.subarray(at, at + count * size), to);
    for (let i = 1; i <= count; i++) offsets[from + i] = to + i * size;
  }

  /** All lengths as differences, then all texts: DELTA_LENGTH_BYTE_ARRAY. */
  deltaLength(bytes: Uint8Array, at: number, end: number, from: number, count: number): number {
    const lengths = new Int32Array(count);
    at = deltaInt32(bytes, at, end, lengths, 0, count);
    const { offsets } = this;
    const start = offsets[from] as number;
    let to = start;
    for (let i = 0; i < count; i++) {
      const length = lengths[i] as number;
      if (length < 0 || length > end - at) malformed('a text of a page goes past its end');
      to += length;
      offsets[from + i + 1] = to;
    }
    if (to - start > end - at) malformed('texts of a page end early');
    this.#reserve(start, to - start);
    this.data.set(bytes.subarray(at, at + to - start), start);
    return at + to - start;
  }

  /** How much each has in common with the one before, then the rests: DELTA_BYTE_ARRAY. */
  deltaBytes(bytes: Uint8Array, at: number, end: number, from: number, count: number): void {
    const prefixes = new Int32Array(count);
    at = deltaInt32(bytes, at, end, prefixes, 0, count);
    const rests = new ByteValues(count, end - at, this.#room, this.#budget);
    rests.deltaLength(bytes, at, end, 0, count);
    const { offsets } = this;
    let to = offsets[from] as number;
    let total = 0;
    for (let i = 0; i < count; i++) total += Math.max(0, prefixes[i] as number);
    this.#reserve(to, total + (rests.offsets[count] as number));
    const { data } = this;
    let before = 0;
    for (let i = 0; i < count; i++) {
      const prefix = prefixes[i] as number;
      if (prefix < 0 || prefix > before) malformed('a text of a page continues more than there is');
      const rest = rests.offsets[i] as number;
      const length = (rests.offsets[i + 1] as number) - rest;
      copyBytes(data, to - before, data, to, prefix);
      copyBytes(rests.data, rest, data, to + prefix, length);
      before = prefix + length;
      to += before;
      offsets[from + i + 1] = to;
    }
  }

  /** The entries of `dictionary` that `codes` number. */
  coded(dictionary: BytesVector, codes: Uint32Array, from: number, count: number): void {
    const { offsets } = this;
    let to = offsets[from] as number;
    let total = 0;
    for (let i = 0; i < count; i++) {
      const code = codes[i] as number;
      total += (dictionary.offsets[code + 1] as number) - (dictionary.offsets[code] as number);
    }
    this.#reserve(to, total);
    const { data } = this;
    for (let i = 0; i < count; i++) {
      const code = codes[i] as number;
      const start = dictionary.offsets[code] as number;
      const length = (dictionary.offsets[code + 1] as number) - start;
      copyBytes(dictionary.data, start, data, to, length);
      to += length;
      offsets[from + i + 1] = to;
    }
  }

  /** Moves the `filled` values from `from` on apart, so that NULLs stand among them. */
  spread(nulls: Uint8Array, from: number, count: number, filled: number): void {
    const { offsets } = this;
    let at = from + filled;
    for (let i = from + count; i > from; i--) {
      offsets[i] = offsets[at] as number;
      if (nulls[i - 1] === 0) at--;
    }
  }

  vector(nulls: Uint8Array | undefined): BytesVector {
    const { offsets } = this;
    const length = offsets.length - 1;
    return { kind: 'bytes', length, nulls, data: this.data.subarray(0, offsets[length]), offsets };
  }
}

function copyBytes(source: Uint8Array, at: number, target: Uint8Array, to: number, length: number): void {
  if (length > 32) target.set(source.subarray(at, at + length), to);
  else for (let i = 0; i < length; i++) target[to + i] = source[at + i] as number;
}
