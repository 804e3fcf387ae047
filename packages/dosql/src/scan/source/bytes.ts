import { createGunzip, type Gunzip } from 'node:zlib';
import { DoSQLError } from '../../error.ts';
import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import { messageOf } from './environment.ts';

/** What is read at a time. */
const CHUNK_BYTES: number = 4 * 2 ** 20;
/** What the start of a file is looked at by, before it is read as a whole. */
export const HEAD_BYTES: number = 2 ** 18;
/** What is decompressed at a time: at most a thousand times as much comes out. */
const SLICE_BYTES: number = 2 ** 14;
const GZIP_MAGIC = [0x1f, 0x8b] as const;

/** A file that is read from its start to its end, with its first bytes already there. */
export interface TextFile {
  readonly file: RangeFile;
  readonly head: Uint8Array;
  readonly isGzip: boolean;
}

/** Reads the start of a file. Whether it is compressed its bytes say: a server may have decompressed what is called `.gz`. */
export async function openText(file: RangeFile, budget: Budget, signal?: AbortSignal): Promise<TextFile> {
  const length = Math.min(file.size, HEAD_BYTES);
  budget.request(length);
  const head = await file.read(0, length, signal);
  return { file, head, isGzip: head[0] === GZIP_MAGIC[0] && head[1] === GZIP_MAGIC[1] };
}

/** The plain bytes of the head, and whether they are the whole file. */
export async function plainHead(
  text: TextFile,
  budget: Budget,
): Promise<{ bytes: Uint8Array; isWhole: boolean }> {
  const isAllThere = text.head.length === text.file.size;
  if (!text.isGzip) return { bytes: text.head, isWhole: isAllThere };
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of gunzip(text.file.name, slices([text.head]), budget, !isAllThere)) {
    parts.push(part);
    size += part.length;
    if (size >= HEAD_BYTES) return { bytes: joined(parts, size), isWhole: false };
  }
  return { bytes: joined(parts, size), isWhole: isAllThere };
}

/** All plain bytes of a file, in chunks of a few MB, with the next one on its way while one is worked on. */
export function chunksOf(text: TextFile, budget: Budget, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  const raw = rawChunks(text, budget, signal);
  return text.isGzip ? gunzip(text.file.name, slices(raw), budget, false) : raw;
}

async function* rawChunks(
  { file, head }: TextFile,
  budget: Budget,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const next = (offset: number): Promise<Uint8Array> | undefined => {
    const length = Math.min(CHUNK_BYTES, file.size - offset);
    if (length <= 0) return undefined;
    budget.request(length);
    const chunk = file.read(offset, length, signal);
    // It may fail while nobody waits for it; whoever comes to it sees that.
    chunk.catch(() => {});
    return chunk;
  };
  let offset = head.length;
  let coming = next(offset);
  if (head.length > 0) yield head;
  while (coming !== undefined) {
    const chunk = await coming;
    offset += chunk.length;
    coming = next(offset);
    yield chunk;
  }
}

async function* slices(
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of chunks)
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) yield chunk.subarray(at, at + SLICE_BYTES);
}

/** Decompresses slice by slice, so that no more is in memory than what one slice can become. */
async function* gunzip(
  name: string,
  compressed: AsyncIterable<Uint8Array>,
  budget: Budget,
  mayEndEarly: boolean,
): AsyncGenerator<Uint8Array, void, undefined> {
  const stream = createGunzip({ chunkSize: 2 ** 16 });
  let parts: Uint8Array[] = [];
  let size = 0;
  let failure: unknown;
  stream.on('data', (bytes) => {
    parts.push(bytes);
    size += bytes.length;
    if (failure === undefined)
      try {
        budget.decode(bytes.length);
      } catch (error) {
        failure = error;
        stream.destroy();
      }
  });
  stream.on('error', (error) => (failure ??= error));
  const take = (): Uint8Array => {
    const taken = joined(parts, size);
    parts = [];
    size = 0;
    return taken;
  };
  try {
    for await (const slice of compressed) {
      await written(stream, slice, () => failure);
      if (failure !== undefined) throw unsound(name, failure);
      if (size >= CHUNK_BYTES) yield take();
    }
    if (!mayEndEarly) await ended(stream, () => failure);
    if (failure !== undefined) throw unsound(name, failure);
    if (size > 0) yield take();
  } finally {
    stream.destroy();
  }
}

function written(stream: Gunzip, slice: Uint8Array, failed: () => unknown): Promise<void> {
  return new Promise((resolve) => {
    if (failed() === undefined) {
      stream.on('error', () => resolve());
      stream.write(slice, () => resolve());
    } else resolve();
  });
}

function ended(stream: Gunzip, failed: () => unknown): Promise<void> {
  return new Promise((resolve) => {
    if (failed() !== undefined) return resolve();
    stream.on('end', resolve);
    stream.on('error', () => resolve());
    stream.end();
  });
}

function unsound(name: string, error: unknown): DoSQLError {
  if (error instanceof DoSQLError) return error;
  return new DoSQLError('CORRUPT_FILE', `${name} is not sound gzip: ${messageOf(error)}`, { cause: error });
}

/** Chunks one behind the other. */
export function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
