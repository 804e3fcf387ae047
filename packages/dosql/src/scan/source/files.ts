import { DoSQLError } from '../../error.ts';
import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import type { Glob } from '../glob.ts';
import { compareText } from '../scalar.ts';
import { bucketOf, type Location } from '../url.ts';
import { messageOf, retried, type FileReader, type SourceEnvironment } from './environment.ts';

/** A file that a URL matches. */
export interface FileEntry {
  /** Its path as the URL has it. */
  readonly path: string;
  /** Its own URL. */
  readonly url: string;
  readonly size: number;
  readonly etag: string;
}

/** Files of one place. */
export interface FileSystem {
  /** The files whose path begins with `prefix`, page by page. */
  pages(prefix: string): AsyncIterable<readonly FileEntry[]>;
  find(path: string): Promise<FileEntry | undefined>;
  open(entry: FileEntry): RangeFile;
}

/** Pages of a listing that are read for one pattern, of 1,000 files each. */
const MAX_PAGES = 200;
/** Files that one table may be made of. */
const MAX_FILES = 10_000;
const PAGE_FILES = 1_000;

/**
 * The files that a pattern matches, in the order of their paths' bytes.
 *
 * @throws DoSQLError `NO_SUCH_FILE` when there are none, `TOO_BIG` when there are too many.
 */
export async function matchingFiles(
  system: FileSystem,
  glob: Glob,
  url: string,
  budget: Budget,
): Promise<readonly FileEntry[]> {
  if (glob.isLiteral) {
    budget.request(0);
    const entry = await system.find(glob.prefix);
    if (entry !== undefined) return [entry];
    throw new DoSQLError('NO_SUCH_FILE', `there is no file ${url}`);
  }
  const files: FileEntry[] = [];
  let pages = 0;
  for await (const page of system.pages(glob.prefix)) {
    budget.request(0);
    for (const entry of page) if (glob.matches(entry.path)) files.push(entry);
    if (files.length > MAX_FILES)
      throw new DoSQLError(
        'TOO_BIG',
        `${url} matches more than ${MAX_FILES.toLocaleString('en')} files: narrow the pattern`,
      );
    if (++pages >= MAX_PAGES && page.length > 0)
      throw new DoSQLError(
        'TOO_BIG',
        `more than ${(MAX_PAGES * PAGE_FILES).toLocaleString('en')} files begin with ${JSON.stringify(glob.prefix)}: give more of the path of ${url} before its first * or other pattern`,
      );
  }
  if (files.length === 0) throw new DoSQLError('NO_SUCH_FILE', `no file matches ${url}`);
  return files.toSorted((a, b) => compareText(a.path, b.path));
}

/** The objects of a bucket below its prefix. */
export function r2Files(
  location: Extract<Location, { kind: 'r2' }>,
  environment: SourceEnvironment,
): FileSystem {
  const { bucket, prefix: hidden } = bucketOf(location, environment.buckets);
  const base = `r2://${location.bucket}/`;
  const entry = ({ key, size, etag }: R2Object): FileEntry => {
    const path = key.slice(hidden.length);
    return { path, url: base + path, size, etag };
  };
  return {
    async *pages(prefix) {
      let cursor: string | undefined;
      do {
        const options = {
          prefix: hidden + prefix,
          limit: PAGE_FILES,
          ...(cursor === undefined ? {} : { cursor }),
        };
        const page = await retried(base + prefix, () => bucket.list(options), environment);
        yield page.objects.map(entry);
        cursor = page.truncated ? page.cursor : undefined;
      } while (cursor !== undefined);
    },
    async find(path) {
      const found = await retried(base + path, () => bucket.head(hidden + path), environment);
      return found === null ? undefined : entry(found);
    },
    open: (each) => new R2File(each, bucket, hidden + each.path, environment),
  };
}

class R2File implements RangeFile {
  readonly isCopied = true;
  readonly name: string;
  readonly size: number;
  readonly etag: string;
  readonly #bucket: R2Bucket;
  readonly #key: string;
  readonly #environment: SourceEnvironment;

  constructor(entry: FileEntry, bucket: R2Bucket, key: string, environment: SourceEnvironment) {
    this.name = entry.url;
    this.size = entry.size;
    this.etag = entry.etag;
    this.#bucket = bucket;
    this.#key = key;
    this.#environment = environment;
  }

  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, offset, length);
    if (length === 0) return Promise.resolve(new Uint8Array(0));
    const options = { range: { offset, length }, onlyIf: { etagMatches: this.etag } };
    return retried(
      this.name,
      async () => {
        const object = await this.#bucket.get(this.#key, options);
        if (object === null) throw gone(this.name);
        // An object without a body is the answer to a condition that does not hold.
        if (!('body' in object)) throw changed(this.name);
        const bytes = new Uint8Array(await object.arrayBuffer());
        if (bytes.length !== length) throw new Error(`${bytes.length} of ${length} bytes came`);
        return bytes;
      },
      this.#environment,
      signal,
    );
  }
}

/** The files of a store. */
export function storeFiles(url: string, environment: SourceEnvironment): FileSystem {
  const store = environment.files;
  if (store === undefined)
    throw new DoSQLError(
      'FORBIDDEN_URL',
      `${JSON.stringify(url)} names a file of the database's own store, which is not open to SQL here: name a bucket`,
    );
  const entry = ({ path, size, etag }: { path: string; size: number; etag: string }): FileEntry => ({
    path,
    url: `fsx://${path}`,
    size,
    etag,
  });
  return {
    async *pages(prefix) {
      let cursor: string | undefined;
      do {
        const at = cursor;
        const page = await stored(url, () =>
          store.list(prefix, { limit: PAGE_FILES, ...(at === undefined ? {} : { cursor: at }) }),
        );
        yield page.files.map(entry);
        cursor = page.cursor;
      } while (cursor !== undefined);
    },
    async find(path) {
      const found = await stored(url, () => store.stat(path));
      return found === null ? undefined : entry({ path, ...found });
    },
    open: (each) => new StoredFile(each, store),
  };
}

class StoredFile implements RangeFile {
  readonly isCopied = true;
  readonly name: string;
  readonly size: number;
  readonly etag: string;
  readonly #path: string;
  readonly #store: FileReader;

  constructor(entry: FileEntry, store: FileReader) {
    this.name = entry.url;
    this.size = entry.size;
    this.etag = entry.etag;
    this.#path = entry.path;
    this.#store = store;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, offset, length);
    signal?.throwIfAborted();
    const bytes = await stored(this.name, () => this.#store.read(this.#path, { offset, length }));
    if (bytes === null) throw gone(this.name);
    if (
      bytes.length !== length ||
      (await stored(this.name, () => this.#store.stat(this.#path)))?.etag !== this.etag
    )
      throw changed(this.name);
    return bytes;
  }
}

/** An error of a store, as one of ours. */
async function stored<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DoSQLError) throw error;
    const isPath = (error as { code?: unknown } | undefined)?.code === 'INVALID_PATH';
    throw new DoSQLError(
      isPath ? 'FORBIDDEN_URL' : 'STORAGE_UNAVAILABLE',
      `${name} could not be read: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** A file whose bytes are all there. */
export class MemoryFile implements RangeFile {
  readonly name: string;
  readonly etag: string;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array, etag: string) {
    this.name = name;
    this.etag = etag;
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, offset, length);
    signal?.throwIfAborted();
    return this.#bytes.subarray(offset, offset + length);
  }
}

/** A range outside of a file is a mistake of the caller, not of the file. */
export function checkRange({ name, size }: RangeFile, offset: number, length: number): void {
  if (offset < 0 || length < 0 || offset + length > size)
    throw new RangeError(`bytes ${offset} to ${offset + length} are not within ${name}, which has ${size}`);
}

/** The error for a file that has been removed since it was found. */
export function gone(name: string): DoSQLError {
  return new DoSQLError('NO_SUCH_FILE', `${name} has been removed while it was read: run the query again`);
}

/** The error for a file that is not the version any more that it was. */
export function changed(name: string): DoSQLError {
  return new DoSQLError('STORAGE_UNAVAILABLE', `${name} has changed while it was read: run the query again`);
}
