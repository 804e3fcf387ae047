/**
 * Arrays that live as long as one batch is worked on. That work is synchronous, so that whoever works has the arrays to
 * himself; they are reused for the next batch, since the system takes longer to clear a fresh megabyte than a loop to fill it.
 *
 * Invariant: what is kept past the batch is copied, and every element of an array is written before it is read.
 */
export class Scratch {
  readonly #doubles = new Pool((length) => new Float64Array(length));
  readonly #integers = new Pool((length) => new Uint32Array(length));
  readonly #bytes = new Pool((length) => new Uint8Array(length));

  /** Runs `work`, which is synchronous, with the arrays of this scratch; after it they are free. */
  use<T>(work: () => T): T {
    const before = exchange(this);
    try {
      return work();
    } finally {
      exchange(before);
      this.#doubles.release();
      this.#integers.release();
      this.#bytes.release();
    }
  }

  doubles(length: number): Float64Array<ArrayBuffer> {
    return this.#doubles.take(length);
  }

  integers(length: number): Uint32Array<ArrayBuffer> {
    return this.#integers.take(length);
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return this.#bytes.take(length);
  }
}

let current: Scratch | undefined;

function exchange(next: Scratch | undefined): Scratch | undefined {
  const before = current;
  current = next;
  return before;
}

/** Doubles to be written, all of them. */
export function doubles(length: number): Float64Array<ArrayBuffer> {
  return current === undefined || length < LEAST ? new Float64Array(length) : current.doubles(length);
}

/** Integers to be written, all of them. */
export function integers(length: number): Uint32Array<ArrayBuffer> {
  return current === undefined || length < LEAST ? new Uint32Array(length) : current.integers(length);
}

/** Bytes to be written, all of them. */
export function bytes(length: number): Uint8Array<ArrayBuffer> {
  return current === undefined || length < LEAST ? new Uint8Array(length) : current.bytes(length);
}

/** Below so many elements a new array costs less than looking for an old one. */
const LEAST = 2048;

interface Reusable<T> {
  readonly length: number;
  subarray(start: number, end: number): T;
}

class Pool<T extends Reusable<T>> {
  readonly #make: (length: number) => T;
  readonly #free: T[] = [];
  readonly #taken: T[] = [];

  constructor(make: (length: number) => T) {
    this.#make = make;
  }

  take(length: number): T {
    let at = this.#free.length - 1;
    while (at >= 0 && (this.#free[at] as T).length < length) at--;
    const array = at < 0 ? this.#make(2 ** Math.ceil(Math.log2(length))) : (this.#free[at] as T);
    if (at >= 0) this.#free.splice(at, 1);
    this.#taken.push(array);
    return array.subarray(0, length);
  }

  release(): void {
    this.#free.push(...this.#taken);
    this.#taken.length = 0;
  }
}

/** A longer copy of a typed array, where it is too short. */
export function grown<T extends Float64Array | Uint32Array | Uint8Array>(array: T, length: number): T {
  if (array.length >= length) return array;
  const Typed = array.constructor as new (length: number) => T;
  const longer = new Typed(Math.max(length, array.length * 2));
  longer.set(array);
  return longer;
}
