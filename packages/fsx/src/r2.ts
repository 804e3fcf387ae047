import { FileStoreError, show, toFileStoreError } from './error.ts';
import type {
  FileData,
  FileEntry,
  FilePage,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  WriteOptions,
} from './file-store.ts';
import { checkCondition, checkList, checkRange, preconditionFailed, toBytes } from './parameter.ts';
import { maxPathBytes, normalisePath, normalisePrefix } from './path.ts';

/** Files in an R2 bucket, all under one key prefix. */
export interface R2Backend extends FileStore {
  readonly kind: 'r2';
  readonly bucket: R2Bucket;
  /** What every key starts with: empty, or ending in `/`. */
  readonly prefix: string;
}

/**
 * A file store in an R2 bucket. All its files are of tier `cold`.
 *
 * A file's key is `prefix` followed by its path, and the store touches no other key. The prefix is a
 * folder: `tenant-a` is taken as `tenant-a/`, so `tenant-ab/` is outside it. Objects under it whose key
 * is not a path that {@link normalisePath} leaves as it is are passed over in listings.
 *
 * The etag is R2's, a hash of the content: the same bytes written again keep it, so `ifMatch` cannot
 * see that a file was changed and changed back. Put something unique into files where that matters.
 * R2 takes about one write a second to the same key. `delete` asks for the object before it removes it,
 * so of two at once both may answer `true`.
 *
 * @param options.prefix held to the rules of a path; one slash before and after is taken off
 * @throws {FileStoreError} `INVALID_PATH` for the prefix
 *
 * @example
 * const files = createR2Backend(env.BUCKET, { prefix: 'tenant-a/' });
 * await files.write('report.csv', csv); // the object tenant-a/report.csv
 */
export function createR2Backend(bucket: R2Bucket, options: { readonly prefix?: string } = {}): R2Backend {
  return new R2FileStore(bucket, folder(options.prefix ?? ''));
}

function folder(prefix: string): string {
  const name = normalisePrefix(prefix).replace(/\/$/, '');
  return name === '' ? '' : `${name}/`;
}

class R2FileStore implements R2Backend {
  readonly kind = 'r2';
  readonly bucket: R2Bucket;
  readonly prefix: string;

  constructor(bucket: R2Bucket, prefix: string) {
    this.bucket = bucket;
    this.prefix = prefix;
  }

  async read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    const range = checkRange(options);
    const key = this.#key(path);
    return attempt(`read ${show(key)} from R2`, async () => {
      // R2 fails on a range without a byte in it (error 10039), so such a range is not asked for.
      if (range.length === 0) return (await this.bucket.head(key)) && new Uint8Array(0);
      try {
        return await this.#get(key, range);
      } catch (error) {
        // Nor is one past the end where the size is known, but asking for it each time would cost a
        // second operation. The local R2 has another error for a range that starts just at the end, so
        // the size tells, not the error.
        const object = await this.bucket.head(key);
        if (object === null) return null;
        if (range.offset < object.size) throw error;
        return new Uint8Array(0);
      }
    });
  }

  async write(path: string, data: FileData, options?: WriteOptions): Promise<FileStat> {
    const key = this.#key(path);
    const condition = checkCondition(options);
    const bytes = toBytes(data);
    return attempt(`write ${show(key)} to R2`, async () => {
      const onlyIf = toConditional(condition);
      const object = await (onlyIf ? this.bucket.put(key, bytes, { onlyIf }) : this.bucket.put(key, bytes));
      if (object === null) throw preconditionFailed(path, condition);
      return toStat(object);
    });
  }

  async delete(path: string): Promise<boolean> {
    const key = this.#key(path);
    return attempt(`delete ${show(key)} from R2`, async () => {
      if ((await this.bucket.head(key)) === null) return false;
      await this.bucket.delete(key);
      return true;
    });
  }

  async list(prefix = '', options?: ListOptions): Promise<FilePage> {
    const start = this.prefix + normalisePrefix(prefix);
    const { cursor, limit } = checkList(options);
    return attempt(`list ${show(start)} in R2`, async () => {
      const files: FileEntry[] = [];
      let position: R2ListOptions = cursor === undefined ? {} : { startAfter: this.prefix + cursor };
      for (;;) {
        const page = await this.bucket.list({ prefix: start, limit, ...position });
        for (const object of page.objects) {
          const path = object.key.slice(this.prefix.length);
          if (isPath(path)) files.push({ path, ...toStat(object) });
        }
        if (!page.truncated) return { files };
        const last = page.objects.at(-1);
        if (files.length > 0 && last) return { files, cursor: last.key.slice(this.prefix.length) };
        // A page on which every object was passed over is no use to the caller.
        position = { cursor: page.cursor };
      }
    });
  }

  async stat(path: string): Promise<FileStat | null> {
    const key = this.#key(path);
    const object = await attempt(`stat ${show(key)} in R2`, () => this.bucket.head(key));
    return object && toStat(object);
  }

  async exists(path: string): Promise<boolean> {
    return (await this.stat(path)) !== null;
  }

  #key(path: string): string {
    const key = this.prefix + normalisePath(path);
    if (new TextEncoder().encode(key).length > maxPathBytes) {
      throw new FileStoreError(
        'INVALID_PATH',
        `The path ${show(path)} after the prefix ${show(this.prefix)} makes a key of more than ${maxPathBytes} bytes, R2's limit; shorten one of them.`,
      );
    }
    return key;
  }

  async #get(
    key: string,
    { offset, length }: { offset: number; length: number },
  ): Promise<Uint8Array | null> {
    const object = await (offset === 0 && length === Infinity
      ? this.bucket.get(key)
      : this.bucket.get(key, { range: length === Infinity ? { offset } : { offset, length } }));
    return object && new Uint8Array(await object.arrayBuffer());
  }
}

function toConditional({ ifAbsent, ifMatch }: WriteOptions): R2Conditional | undefined {
  if (ifAbsent) return { etagDoesNotMatch: '*' };
  return ifMatch === undefined ? undefined : { etagMatches: ifMatch };
}

function toStat(object: R2Object): FileStat {
  return { size: object.size, etag: object.etag, modified: object.uploaded, tier: 'cold' };
}

function isPath(path: string): boolean {
  try {
    return normalisePath(path) === path;
  } catch {
    return false;
  }
}

async function attempt<T>(action: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw toFileStoreError(action, error);
  }
}
