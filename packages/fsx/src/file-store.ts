/** Which side of a store holds a file: near the code and fast (`hot`), or in object storage (`cold`). */
export type Tier = 'hot' | 'cold';

/** What is known about a file without reading it. */
export interface FileStat {
  /** Length of the content in bytes. */
  readonly size: number;
  /**
   * Names this version of the content, for `ifMatch`. A rewrite gives a new one, except in R2, where
   * it is the content's hash and the same bytes written again keep it. Equal only within one store.
   */
  readonly etag: string;
  /** When this store last wrote the file. */
  readonly modified: Date;
  readonly tier: Tier;
  /** The `nonce` of the write that made this version, where it had one; a listing may leave it out. */
  readonly nonce?: string;
}

/** A file as a listing returns it. */
export type FileEntry = FileStat & { readonly path: string };

/** The bytes wanted: `length` bytes from `offset`, both whole numbers of at least 0. */
export interface ReadOptions {
  /** First byte, default 0. Past the end of the file nothing is left to read: the result is empty. */
  readonly offset?: number | undefined;
  /** Most bytes to return, default to the end of the file. */
  readonly length?: number | undefined;
}

/** How to write: on what condition, and what is known beforehand. */
export interface WriteOptions {
  /** Write only if the path has no file yet. Not together with `ifMatch`. */
  readonly ifAbsent?: boolean | undefined;
  /** Write only over the version with this etag, as `stat`, `list` or `write` returned it. */
  readonly ifMatch?: string | undefined;
  /**
   * Length of the data in bytes. Data of another length are refused and nothing is written. A stream
   * whose length R2 knows is one upload, whose condition is checked in the same step.
   */
  readonly size?: number | undefined;
  /**
   * 1 to 64 letters, digits, `_` and `-` that name this write. `stat` gives them back, so that who has
   * lost the answer to a write can tell whether the file is of that write.
   */
  readonly nonce?: string | undefined;
}

/** Where a listing goes on, and how far. */
export interface ListOptions {
  /** The `cursor` of the page before. */
  readonly cursor?: string | undefined;
  /** Most files to return, from 1 to 1,000; default 1,000. */
  readonly limit?: number | undefined;
}

/** One page of a listing. It may hold fewer files than the limit; only a page without `cursor` is the last. */
export interface FilePage {
  readonly files: readonly FileEntry[];
  /** Hand this to the next `list` of the same prefix. Absent on the last page. */
  readonly cursor?: string;
}

/** What a file can be written from at once. Text is written as UTF-8. */
export type FileData = Uint8Array | ArrayBuffer | string;

/** What a file can be written from: data, or a stream of bytes, which `write` reads to its end or cancels. */
export type FileSource = FileData | ReadableStream<Uint8Array>;

/**
 * Files by path, over any storage.
 *
 * Every store keeps to this, and one conformance suite checks it:
 * - A write replaces the whole file at once: a reader sees the old bytes or the new, never a mix.
 * - `ifAbsent` and `ifMatch` are checked in the same step as the write: no other write comes between.
 * - Of a stream that fails or is cut off nothing is ever seen, and what was stored of it is removed.
 * - What `readStream` gives is one version of the file, the one there when it was called.
 * - What a `write` has returned, every later `read`, `stat` and `list` of the same store sees.
 * - Paths are exact text, compared by their UTF-8 bytes; {@link normalisePath} says what is allowed.
 *   There are no folders, only paths that share a prefix.
 * - A cursor is a path: `list` returns paths after it, and has returned all wanted ones up to it. So
 *   stores that hold different files can be merged page by page, and a cursor stays good however
 *   many files come and go.
 * - Data handed to `write` must not change until its promise settles. What `read` returns is a copy.
 *
 * Where a store cannot keep to one of these in some case, its own documentation says so.
 *
 * Two writes of one path that overlap in time take effect in either order.
 *
 * Every method may reject with {@link FileStoreError} `INVALID_PATH`, `BAD_PARAMETER` or
 * `STORAGE_UNAVAILABLE`, and `write` with `PRECONDITION_FAILED` or `STREAM_FAILED`.
 */
export interface FileStore {
  /** The file's bytes, or those of the range asked for; `null` where there is no file. */
  read(path: string, options?: ReadOptions): Promise<Uint8Array | null>;
  /** The same bytes as a stream, of which little is in memory at a time; `null` where there is no file. */
  readStream(path: string, options?: ReadOptions): Promise<ReadableStream<Uint8Array> | null>;
  /** Writes the whole file. Rejects with `PRECONDITION_FAILED` where a condition does not hold. */
  write(path: string, data: FileSource, options?: WriteOptions): Promise<FileStat>;
  /** Removes the file. `false` where there was none. */
  delete(path: string): Promise<boolean>;
  /** Files whose path starts with `prefix`, in order of the path's UTF-8 bytes. */
  list(prefix?: string, options?: ListOptions): Promise<FilePage>;
  /** Size, etag, time and tier; `null` where there is no file. */
  stat(path: string): Promise<FileStat | null>;
  exists(path: string): Promise<boolean>;
}
