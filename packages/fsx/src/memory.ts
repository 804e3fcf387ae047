import type {
  FileEntry,
  FilePage,
  FileSource,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  WriteOptions,
} from './file-store.ts';
import {
  checkList,
  checkRange,
  checkWrite,
  clampRange,
  requireCondition,
  toSizedBytes,
} from './parameter.ts';
import { comparePaths, normalisePath, normalisePrefix } from './path.ts';
import { collect, consuming, isStream, streamOfBytes } from './stream.ts';

/** Files in the memory of this isolate. They are gone with it. */
export interface MemoryBackend extends FileStore {
  readonly kind: 'memory';
}

/**
 * A file store in memory, for tests and for data that need not outlive the isolate. All its files
 * are of tier `hot`. Listing sorts every path anew, which suits some thousands of files.
 *
 * @param options.clock milliseconds since the epoch, for `modified`; default `Date.now`
 *
 * @example
 * const files = createMemoryBackend();
 * await files.write('greeting.txt', 'hello');
 * await files.read('greeting.txt', { offset: 1, length: 3 }); // the bytes of 'ell'
 */
export function createMemoryBackend(options: { readonly clock?: () => number } = {}): MemoryBackend {
  return new MemoryFileStore(options.clock ?? Date.now);
}

class MemoryFileStore implements MemoryBackend {
  readonly kind = 'memory';
  readonly #files = new Map<string, { readonly bytes: Uint8Array; readonly stat: FileStat }>();
  readonly #clock: () => number;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  async read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    const range = checkRange(options);
    const file = this.#files.get(normalisePath(path));
    if (file === undefined) return null;
    const { start, end } = clampRange(range, file.stat.size);
    return file.bytes.slice(start, end);
  }

  async readStream(path: string, options?: ReadOptions): Promise<ReadableStream<Uint8Array> | null> {
    const range = checkRange(options);
    const file = this.#files.get(normalisePath(path));
    if (file === undefined) return null;
    const { start, end } = clampRange(range, file.stat.size);
    // A rewrite puts another array in place of this one, so the stream stays with its version.
    return streamOfBytes(file.bytes.subarray(start, end));
  }

  async write(path: string, data: FileSource, options?: WriteOptions): Promise<FileStat> {
    return consuming(data, async () => {
      const key = normalisePath(path);
      const wanted = checkWrite(options);
      if (!isStream(data)) return this.#put(key, toSizedBytes(data, wanted), wanted);
      requireCondition(key, this.#files.get(key)?.stat ?? null, wanted);
      return this.#put(key, await collect(data, wanted.size), wanted);
    });
  }

  async delete(path: string): Promise<boolean> {
    return this.#files.delete(normalisePath(path));
  }

  async list(prefix = '', options?: ListOptions): Promise<FilePage> {
    const start = normalisePrefix(prefix);
    const { cursor, limit } = checkList(options);
    const wanted = [...this.#files.entries()]
      .filter(([path]) => path.startsWith(start) && (cursor === undefined || comparePaths(path, cursor) > 0))
      .sort(([a], [b]) => comparePaths(a, b))
      .map(([path, { stat }]): FileEntry => ({ path, ...stat }));
    const files = wanted.slice(0, limit);
    const last = files.at(-1);
    return wanted.length > limit && last ? { files, cursor: last.path } : { files };
  }

  async stat(path: string): Promise<FileStat | null> {
    return this.#files.get(normalisePath(path))?.stat ?? null;
  }

  async exists(path: string): Promise<boolean> {
    return this.#files.has(normalisePath(path));
  }
  #put(key: string, data: Uint8Array, wanted: WriteOptions): FileStat {
    requireCondition(key, this.#files.get(key)?.stat ?? null, wanted);
    // Copied by way of a new array, because slice() of a Node Buffer shares its memory.
    const bytes = new Uint8Array(data);
    const stat: FileStat = {
      size: bytes.length,
      etag: crypto.randomUUID(),
      modified: new Date(this.#clock()),
      tier: 'hot',
      ...(wanted.nonce === undefined ? {} : { nonce: wanted.nonce }),
    };
    this.#files.set(key, { bytes, stat });
    return stat;
  }
}
