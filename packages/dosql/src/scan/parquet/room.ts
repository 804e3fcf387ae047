/** Below so many bytes new memory costs less than looking for old. */
const LEAST = 2 ** 14;

/** Memory that decoded columns have let go of, for those that come after them. */
export class Buffers {
  readonly #free: ArrayBuffer[] = [];

  /** `size` bytes at least, with whatever stands in them. */
  take(size: number): ArrayBuffer {
    const at = this.#free.findIndex(({ byteLength }) => byteLength >= size && byteLength <= 4 * size);
    if (at >= 0) return this.#free.splice(at, 1)[0] as ArrayBuffer;
    // Row groups are about as large as the one before, and seldom larger by an eighth.
    return new ArrayBuffer(Math.ceil((1.125 * size) / LEAST) * LEAST);
  }

  give(buffer: ArrayBuffer): void {
    this.#free.push(buffer);
  }
}

/**
 * The memory of one decoded column.
 *
 * The system takes longer to clear a fresh megabyte than decoding to fill it, and what is left to the collector stays
 * for many megabytes more. So where nobody keeps the column, its memory goes to the next one.
 *
 * Invariant: every element of an array is written before it is read, as other values may stand there.
 */
export class Room {
  readonly #buffers: Buffers | undefined;
  #taken: ArrayBuffer[] = [];

  /** Without `buffers` the memory is the column's for good. */
  constructor(buffers: Buffers | undefined) {
    this.#buffers = buffers;
  }

  doubles(length: number): Float64Array<ArrayBuffer> {
    return new Float64Array(this.#take(8 * length), 0, length);
  }

  bigints(length: number): BigInt64Array<ArrayBuffer> {
    return new BigInt64Array(this.#take(8 * length), 0, length);
  }

  int32s(length: number): Int32Array<ArrayBuffer> {
    return new Int32Array(this.#take(4 * length), 0, length);
  }

  uint32s(length: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.#take(4 * length), 0, length);
  }

  bytes(length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#take(length), 0, length);
  }

  #take(size: number): ArrayBuffer {
    if (this.#buffers === undefined || size < LEAST) return new ArrayBuffer(size);
    const buffer = this.#buffers.take(size);
    this.#taken.push(buffer);
    return buffer;
  }

  /** Lets go of all arrays. */
  leave(): void {
    for (const buffer of this.#taken) this.#buffers?.give(buffer);
    this.#taken = [];
  }
}
