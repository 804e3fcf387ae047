import { FileStoreError, show } from './error.ts';
import type { FileSource } from './file-store.ts';
import { bad, wrongSize } from './parameter.ts';

/** Bytes in one piece of a stream that is read out of memory. */
const pieceBytes = 65_536;

/** Whether a file is to be written from a stream. */
export function isStream(data: FileSource): data is ReadableStream<Uint8Array> {
  return data instanceof ReadableStream;
}

/**
 * Runs a write of `data`; where it fails before the stream has been begun, cancels the stream, so that
 * whoever feeds it learns that nobody reads.
 */
export async function consuming<T>(data: FileSource, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (isStream(data) && !data.locked) letGo(data.cancel(error));
    throw error;
  }
}

/**
 * A stream's bytes in pieces of `sizeBytes`, only the last one shorter. Leaving the loop early cancels
 * the stream.
 *
 * @param size how many bytes the stream is said to have
 * @throws {FileStoreError} `STREAM_FAILED` with the stream's error; `BAD_PARAMETER` where the stream is
 *   in use, holds something else than bytes, or is not of `size`
 */
export async function* piecesOf(
  stream: ReadableStream<Uint8Array>,
  sizeBytes: number,
  size?: number,
): AsyncGenerator<Uint8Array> {
  yield* gather(readerOf(stream), sizeBytes, size);
}

async function* gather(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  sizeBytes: number,
  size: number | undefined,
): AsyncGenerator<Uint8Array> {
  const piece = new Gathered(sizeBytes);
  let total = 0;
  try {
    for (;;) {
      const { done, value } = await nextOf(reader);
      if (done) break;
      total += value.length;
      if (size !== undefined && total > size) throw wrongSize(size, 'more');
      for (let at = 0; at < value.length;) {
        at += piece.add(value.subarray(at));
        if (piece.isFull) yield piece.take();
      }
    }
    if (size !== undefined && total < size) throw wrongSize(size, `${total}`);
    if (!piece.isEmpty) yield piece.take();
  } finally {
    letGo(reader.cancel());
  }
}

/** All bytes of a stream; the errors are those of {@link piecesOf}. */
export async function collect(stream: ReadableStream<Uint8Array>, size?: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of piecesOf(stream, pieceBytes, size)) pieces.push(piece);
  return concatenate(pieces);
}

/**
 * Reads a stream up to `limit` bytes: all its bytes where it ends by then, else a stream of the same
 * bytes from the start.
 */
export async function collectUpTo(
  stream: ReadableStream<Uint8Array>,
  limit: number,
  size?: number,
): Promise<Uint8Array | ReadableStream<Uint8Array>> {
  const reader = readerOf(stream);
  const pieces = gather(reader, pieceBytes, size);
  const head: Uint8Array[] = [];
  let sizeBytes = 0;
  for (;;) {
    const { done, value } = await pieces.next();
    if (done) return concatenate(head);
    head.push(value);
    sizeBytes += value.length;
    if (sizeBytes > limit) break;
  }
  return streamOf(
    async () => {
      const next = head.shift() ?? (await pieces.next()).value;
      return next ?? undefined;
    },
    // The reader and not the pieces, which would wait for a stream that has stalled.
    () => letGo(reader.cancel()),
  );
}

/**
 * A stream of bytes, made as it is read: `next` gives the next piece, `undefined` after the last one.
 * `end` runs once, whether the stream was read to its end, failed or was cancelled.
 */
export function streamOf(
  next: () => Promise<Uint8Array | undefined> | Uint8Array | undefined,
  end: () => void = () => undefined,
): ReadableStream<Uint8Array> {
  let isEnded = false;
  const finish = (): void => {
    if (isEnded) return;
    isEnded = true;
    end();
  };
  // Of type "bytes", because no other stream passes between Workers (https://github.com/cloudflare/workerd/issues/6675).
  return new ReadableStream({
    type: 'bytes',
    // workerd hands out 4,096 bytes at a time where this is not set.
    autoAllocateChunkSize: pieceBytes,
    async pull(controller: ReadableByteStreamController) {
      try {
        const piece = await next();
        // Cancelled meanwhile.
        if (isEnded) return;
        if (piece !== undefined) return controller.enqueue(piece);
      } catch (error) {
        finish();
        controller.error(error);
        return;
      }
      finish();
      controller.close();
      // A reader that brought its own buffer waits for an answer also at the end.
      controller.byobRequest?.respond(0);
    },
    cancel: finish,
  });
}

/** A stream of bytes that are in memory and do not change. Each piece is a copy. */
export function streamOfBytes(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return streamOf(() => {
    if (at >= bytes.length) return undefined;
    const piece = new Uint8Array(bytes.subarray(at, at + pieceBytes));
    at += piece.length;
    return piece;
  });
}

/** Several arrays of bytes as one. */
export function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    result.set(piece, at);
    at += piece.length;
  }
  return result;
}

/** Bytes put together to a piece of a given size. */
class Gathered {
  readonly #sizeBytes: number;
  #parts: Uint8Array[] = [];
  #length = 0;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  get isFull(): boolean {
    return this.#length === this.#sizeBytes;
  }

  /** Takes as many of the bytes as there is room for and returns how many. */
  add(bytes: Uint8Array): number {
    const part = bytes.subarray(0, this.#sizeBytes - this.#length);
    this.#parts.push(part);
    this.#length += part.length;
    return part.length;
  }

  take(): Uint8Array {
    const piece = concatenate(this.#parts);
    this.#parts = [];
    this.#length = 0;
    return piece;
  }
}

function readerOf(stream: ReadableStream<Uint8Array>): ReadableStreamDefaultReader<Uint8Array> {
  if (stream.locked) throw bad('data', stream, 'a stream that nobody else reads');
  return stream.getReader();
}

async function nextOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  let result: ReadableStreamReadResult<Uint8Array>;
  try {
    result = await reader.read();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new FileStoreError('STREAM_FAILED', `The stream to write from failed: ${reason}`, { cause });
  }
  if (!result.done && !((result.value as unknown) instanceof Uint8Array))
    throw bad(
      'data',
      stringOf(result.value),
      'a stream of Uint8Array; pipe text through a TextEncoderStream',
    );
  return result;
}

function stringOf(chunk: unknown): string {
  return `a stream with ${show(chunk)} in it`;
}

/** Lets a cancellation run: its outcome concerns whoever feeds the stream, and nobody waits for it. */
function letGo(work: Promise<unknown>): void {
  work.catch(() => undefined);
}
