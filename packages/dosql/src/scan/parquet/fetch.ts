import { DoSQLError } from '../../error.ts';
import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import { plainBytes } from './bits.ts';
import type { Place } from './metadata.ts';

/** Places nearer than this are read in one request. */
const MAX_GAP = 2 ** 16;
/** Requests for more than this are split, as one connection gives about 80 MB/s. */
const MAX_REQUEST = 2 ** 22;
/** Requests of one scan under way at a time. */
const MAX_REQUESTS = 6;

/** What one request, or several that follow each other, reads, and which of the places lie in it. */
export interface PlannedRead {
  readonly offset: number;
  length: number;
  readonly places: Place[];
}

/**
 * Puts places together that lie near each other.
 *
 * Never more is read than twice what the places have: a gap is bridged only while all that lies between is less than
 * all that is wanted.
 */
export function planReads(places: readonly Place[]): PlannedRead[] {
  const reads: PlannedRead[] = [];
  let wanted = 0;
  for (const place of places.toSorted((a, b) => a.offset - b.offset)) {
    const last = reads.at(-1);
    const end = place.offset + place.length;
    if (last !== undefined) {
      const gap = place.offset - (last.offset + last.length);
      const length = Math.max(last.length, end - last.offset);
      if (gap <= MAX_GAP && length <= 2 * (wanted + place.length)) {
        last.length = length;
        last.places.push(place);
        wanted += place.length;
        continue;
      }
    }
    reads.push({ offset: place.offset, length: place.length, places: [place] });
    wanted = place.length;
  }
  return reads;
}

/** Reads parts of one file for one scan. */
export class Fetcher {
  readonly #file: RangeFile;
  readonly #budget: Budget;
  readonly #signal: AbortSignal | undefined;
  /** The end of the file, which has been read already. */
  readonly #tail: Uint8Array;
  readonly #waiting: (() => void)[] = [];
  /** What was read into memory that nobody else has. */
  readonly #own: WeakSet<ArrayBufferLike> = new WeakSet();
  #underWay = 0;

  constructor(file: RangeFile, tail: Uint8Array, budget: Budget, signal: AbortSignal | undefined) {
    this.#file = file;
    this.#tail = tail;
    this.#budget = budget;
    this.#signal = signal;
  }

  /** The bytes of each place; as few requests as {@link planReads} makes of them. */
  async read(places: readonly Place[]): Promise<Map<Place, Uint8Array>> {
    const found = new Map<Place, Uint8Array>();
    const tailStart = this.#file.size - this.#tail.length;
    const missing: Place[] = [];
    for (const place of places) {
      if (place.length === 0) found.set(place, new Uint8Array(0));
      else if (place.offset < tailStart) missing.push(place);
      else
        found.set(
          place,
          this.#tail.subarray(place.offset - tailStart, place.offset - tailStart + place.length),
        );
    }
    await Promise.all(
      planReads(missing).map(async ({ offset, length, places }) => {
        const bytes = await this.#readAll(offset, length);
        const isOwn = this.#file.isCopied === true && bytes.length === bytes.buffer.byteLength;
        if (isOwn) this.#own.add(bytes.buffer);
        for (const place of places)
          found.set(place, bytes.subarray(place.offset - offset, place.offset - offset + place.length));
      }),
    );
    return found;
  }

  /** Frees what was read where the file lets it, once nobody looks at it any more. */
  free(found: ReadonlyMap<Place, Uint8Array>): void {
    for (const { buffer } of found.values())
      if (this.#own.delete(buffer) && buffer instanceof ArrayBuffer) buffer.transfer(0);
  }

  async #readAll(offset: number, length: number): Promise<Uint8Array> {
    if (length <= MAX_REQUEST) return this.#request(offset, length);
    const count = Math.ceil(length / MAX_REQUEST);
    const size = Math.ceil(length / count);
    const all = new Uint8Array(length);
    await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const start = i * size;
        all.set(await this.#request(offset + start, Math.min(size, length - start)), start);
      }),
    );
    return all;
  }

  async #request(offset: number, length: number): Promise<Uint8Array> {
    if (this.#underWay >= MAX_REQUESTS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#underWay++;
    try {
      this.#signal?.throwIfAborted();
      this.#budget.request(length);
      const bytes = await this.#file.read(offset, length, this.#signal);
      return checked(this.#file, bytes, length);
    } finally {
      this.#underWay--;
      this.#waiting.shift()?.();
    }
  }
}

/**
 * What a file gave, checked to be as much as was asked for.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE`
 */
export function checked({ name }: RangeFile, bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return plainBytes(bytes);
  throw new DoSQLError(
    'STORAGE_UNAVAILABLE',
    `${name} gave ${bytes.length} bytes where ${length} were asked for: it may have changed meanwhile`,
  );
}
