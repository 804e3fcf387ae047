import { createGunzip } from 'node:zlib';
import { DoSQLError } from '../../error.ts';
import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import { messageOf } from './environment.ts';

/** What is read at a time. */
const CHUNK_BYTES: number = 4 * 2 ** 20;
/** What the start of a file is looked at by, before it is read as a whole. */
const HEAD_BYTES: number = 2 ** 18;
/** What is decompressed at a time: at most a thousand times as much comes out. */
const SLICE_BYTES: number = 2 ** 14;
const GZIP_MAGIC = [0x1f, 0x8b] as const;

/** A file that is read from its start to its end, with its first bytes already there. */
export interface TextFile {
  readonly file: RangeFile;
  readonly head: Uint8Array;
  readonly isGzip: boolean;
  /** How many bytes to read at a time. */
  readonly chunkBytes: number;
}

/** Reads the start of a file. Whether it is compressed its bytes say: a server may have decompressed what is called `.gz`. */
export async function openText(
  file: RangeFile,
  budget: Budget,
  signal?: AbortSignal,
  chunkBytes: number = CHUNK_BYTES,
): Promise<TextFile> {
  const length = Math.min(file.size, HEAD_BYTES, chunkBytes);
  budget.request(length);
  const head = await file.read(0, length, signal);
  return { file, head, isGzip: head[0] === GZIP_MAGIC[0] && head[1] === GZIP_MAGIC[1], chunkBytes };
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
  for await (const part of gunzip(text, slices([text.head]), budget, !isAllThere)) {
    parts.push(part);
    size += part.length;
    if (size >= HEAD_BYTES) return { bytes: joined(parts, size), isWhole: false };
  }
  return { bytes: joined(parts, size), isWhole: isAllThere };
}

/** All plain bytes of a file, in chunks of a few MB, with the next one on its way while one is worked on. */
export function chunksOf(text: TextFile, budget: Budget, signal?: AbortSignal): AsyncIterable<Uint8Array> {
  const raw = rawChunks(text, budget, signal);
  return text.isGzip ? gunzip(text, slices(raw), budget, false) : raw;
}

async function* rawChunks(
  { file, head, chunkBytes }: TextFile,
  budget: Budget,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  const next = (offset: number): Promise<Uint8Array> | undefined => {
    const length = Math.min(chunkBytes, file.size - offset);
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
  { file: { name }, chunkBytes }: TextFile,
  compressed: AsyncIterable<Uint8Array>,
  budget: Budget,
  mayEndEarly: boolean,
): AsyncGenerator<Uint8Array, void, undefined> {
  const stream = createGunzip({ chunkSize: 2 ** 16 });
  let parts: Uint8Array[] = [];
  let size = 0;
  let failure: unknown;
  let wake = (): void => {};
  const fail = (error: unknown): void => {
    failure ??= error;
    wake();
  };
  stream.on('data', (bytes) => {
    if (failure !== undefined) return;
    parts.push(bytes);
    size += bytes.length;
    try {
      budget.decode(bytes.length);
    } catch (error) {
      fail(error);
    }
  });
  stream.on('error', fail);
  stream.on('end', () => wake());
  /** Waits for what `begin` sets off, or for a failure. */
  const settled = async (begin: (done: () => void) => void): Promise<void> => {
    if (failure === undefined)
      await new Promise<void>((resolve) => {
        wake = resolve;
        begin(resolve);
      });
    if (failure !== undefined) throw unsound(name, failure);
  };
  const take = (): Uint8Array => {
    const taken = joined(parts, size);
    parts = [];
    size = 0;
    return taken;
  };
  try {
    for await (const slice of compressed) {
      await settled((done) => stream.write(slice, () => done()));
      if (size >= chunkBytes) yield take();
    }
    if (!mayEndEarly) await settled(() => stream.end());
    if (size > 0) yield take();
  } finally {
    stream.destroy();
  }
}

function unsound(name: string, error: unknown): DoSQLError {
  if (error instanceof DoSQLError) return error;
  return new DoSQLError('CORRUPT_FILE', `${name} is not sound gzip: ${messageOf(error)}`, { cause: error });
}

/** Chunks one behind the other. */
function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
