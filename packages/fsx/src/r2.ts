import { FileStoreError, show } from './error.ts';
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
import { checkList, checkRange, checkWrite, preconditionFailed, toSizedBytes } from './parameter.ts';
import { maxPathBytes, normalisePath, normalisePrefix } from './path.ts';
import { r2Error } from './r2-error.ts';
import { putBytes, putStream } from './r2-upload.ts';
import { consuming, isStream, streamOf } from './stream.ts';

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
 * The etag is R2's, for most files a hash of the content: the same bytes written again keep it, so
 * `ifMatch` cannot see that a file was changed and changed back. Put something unique into files where
 * that matters. R2 takes about one write a second to the same key and refuses more, with
 * `retryAfterMs`. `delete` asks for the object before it removes it, so of two at once both may answer
 * `true`.
 *
 * Bytes, and streams of up to 8 MiB, are one upload with a checksum: R2 refuses bytes that came damaged. A
 * longer stream with `size` is one upload, too, without the checksum. A longer stream without
 * `size` goes up in parts of 8 MiB, at most 80 GB, and R2 checks no condition when it puts parts
 * together: the store asks for the object just before, so a write of someone else's within that moment
 * is replaced unseen. Give `size` where `ifAbsent` and `ifMatch` have to be exact.
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
    return this.#get(
      path,
      options,
      (object, wanted) => bytesOf(object, wanted),
      () => new Uint8Array(0),
    );
  }

  async readStream(path: string, options?: ReadOptions): Promise<ReadableStream<Uint8Array> | null> {
    return this.#get(
      path,
      options,
      (object) => object.body as ReadableStream<Uint8Array>,
      () => streamOf(() => undefined),
    );
  }

  async write(path: string, data: FileSource, options?: WriteOptions): Promise<FileStat> {
    return consuming(data, async () => {
      const key = this.#key(path);
      const wanted = checkWrite(options);
      const put = isStream(data)
        ? () => putStream(this.bucket, key, data, wanted)
        : putBytes.bind(undefined, this.bucket, key, toSizedBytes(data, wanted), wanted);
      return attempt(`write ${show(key)} to R2`, async () => {
        const object = await put();
        if (object === null) throw preconditionFailed(path, wanted);
        return toStat(object);
      });
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

  /** What `take` makes of the object in the range, `empty` where the range has no byte of it. */
  async #get<T>(
    path: string,
    options: ReadOptions | undefined,
    take: (object: R2ObjectBody, sizeBytes: number) => T | Promise<T>,
    empty: () => T,
  ): Promise<T | null> {
    const { offset, length } = checkRange(options);
    const key = this.#key(path);
    return attempt(`read ${show(key)} from R2`, async () => {
      // R2 fails on a range without a byte in it (error 10039), so such a range is not asked for.
      if (length === 0) return (await this.bucket.head(key)) && empty();
      if (offset === 0 && length === Infinity) {
        const object = await this.bucket.get(key);
        return object && (await take(object, object.size));
      }
      try {
        const object = await this.bucket.get(key, {
          range: length === Infinity ? { offset } : { offset, length },
        });
        return object && (await take(object, Math.min(length, object.size - offset)));
      } catch (error) {
        // Nor is one past the end where the size is known, but asking for it each time would cost a
        // second operation. The local R2 has another error for a range that starts just at the end, so
        // the size tells, not the error.
        const object = await this.bucket.head(key);
        if (object === null) return null;
        if (offset < object.size) throw error;
        return empty();
      }
    });
  }
}

function toStat({ size, etag, uploaded, customMetadata }: R2Object): FileStat {
  const stat = { size, etag, modified: uploaded, tier: 'cold' } as const;
  const nonce = customMetadata?.['nonce'];
  return nonce === undefined ? stat : { ...stat, nonce };
}

/** The bytes of an answer, if they are all there. */
async function bytesOf(object: R2ObjectBody, sizeBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(await object.arrayBuffer());
  if (bytes.length === sizeBytes) return bytes;
  throw new Error(`the answer has ${bytes.length} bytes and not ${sizeBytes}`);
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
    throw r2Error(action, error);
  }
}
