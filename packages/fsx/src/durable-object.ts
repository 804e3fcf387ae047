import { FileStoreError, show, toFileStoreError } from './error.ts';
import type {
  FileData,
  FilePage,
  FileSource,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  WriteOptions,
} from './file-store.ts';
import { LooseContents, noContent } from './loose-contents.ts';
import {
  checkList,
  checkRange,
  checkWrite,
  clampRange,
  requireCondition,
  toSizedBytes,
} from './parameter.ts';
import { afterPrefix, comparePaths, normalisePath, normalisePrefix } from './path.ts';
import { consuming, isStream, piecesOf, streamOf } from './stream.ts';

/**
 * Files in the SQLite database of a Durable Object.
 *
 * The methods whose name ends in `Sync` do at once what their namesakes do, and throw where those
 * reject. Inside `transactionSync` they are part of it: file and rows are written together or not at all.
 */
export interface DOBackend extends FileStore {
  readonly kind: 'durable-object';
  readonly storage: DurableObjectStorage;
  /** @throws {FileStoreError} the codes of `read` */
  readSync(path: string, options?: ReadOptions): Uint8Array | null;
  /** @throws {FileStoreError} the codes of `write` */
  writeSync(path: string, data: FileData, options?: WriteOptions): FileStat;
  /** @throws {FileStoreError} the codes of `delete` */
  deleteSync(path: string): boolean;
  /** @throws {FileStoreError} the codes of `stat` */
  statSync(path: string): FileStat | null;
}

/**
 * Bytes in a chunk. SQLite reads a value whole, whatever part of it is asked for, so a chunk is what any small range
 * costs; and it is what a billed row holds. Values may have 2,000,000 bytes
 * (https://developers.cloudflare.com/durable-objects/platform/limits/). Where a byte lies follows
 * from this figure, so changing it makes files written before unreadable.
 */
const chunkBytes = 262_144;

/**
 * Both tables keep their rows in the primary key's tree, so a file of one chunk costs two rows
 * written; the file's row is apart from its bytes so that listing reads no content. A file's `content`
 * is the number of its first chunk, and the others have those after it. Numbers arrive as REAL in a
 * Durable Object, and the INTEGER columns make them integers again.
 *
 * Chunks have no key but that number: at each step of a search SQLite reads the whole of a row whose key
 * is of any other kind, bytes and all, which took five times as long.
 */
const createTables = [
  `CREATE TABLE IF NOT EXISTS __dosql_file (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, etag TEXT NOT NULL, modified INTEGER NOT NULL,
    content INTEGER NOT NULL, nonce TEXT
  ) STRICT, WITHOUT ROWID`,
  'CREATE TABLE IF NOT EXISTS __dosql_file_chunk (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT',
];

const columns = 'path, size, etag, modified, content, nonce';

type FileRow = {
  path: string;
  size: number;
  etag: string;
  modified: number;
  content: number;
  nonce: string | null;
};

/**
 * A file store in the SQLite database of a Durable Object, in tables that the first write creates:
 * `__dosql_file`, `__dosql_file_chunk` and, once a stream has been written, `__dosql_file_loose`. All
 * its files are of tier `hot`.
 *
 * Each write of data is one `transactionSync`, so it is whole or not there, also inside a transaction
 * of the caller's, with which it rolls back. A rewrite always gives a new etag.
 *
 * A stream is stored chunk by chunk as it comes, where nobody sees it, and becomes the file in one
 * transaction at its end; no transaction is open meanwhile. What is left of one that stopped is removed
 * at once or, where the object itself stopped, with the next object's first write. `readStream` goes on
 * with the version it began with: bytes that were replaced or deleted stay until it ends, so read it to
 * the end or cancel it.
 *
 * @param storage `ctx.storage` of an object whose class is listed in `new_sqlite_classes`
 * @param options.clock milliseconds since the epoch, for `modified`; default `Date.now`
 *
 * @example
 * const files = createDOBackend(ctx.storage);
 * const { etag } = await files.write('config.json', '{}', { ifAbsent: true });
 *
 * ctx.storage.transactionSync(() => {
 *   ctx.storage.sql.exec('UPDATE setting SET version = version + 1').toArray();
 *   files.writeSync('config.json', '{"theme":"dark"}', { ifMatch: etag });
 * });
 */
export function createDOBackend(
  storage: DurableObjectStorage,
  options: { readonly clock?: () => number } = {},
): DOBackend {
  return new DurableObjectFileStore(storage, options.clock ?? Date.now);
}

class DurableObjectFileStore implements DOBackend {
  readonly kind = 'durable-object';
  readonly storage: DurableObjectStorage;
  readonly #clock: () => number;
  readonly #loose: LooseContents;

  constructor(storage: DurableObjectStorage, clock: () => number) {
    this.storage = storage;
    this.#clock = clock;
    this.#loose = LooseContents.of(storage);
  }

  async read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    return this.readSync(path, options);
  }

  async readStream(path: string, options?: ReadOptions): Promise<ReadableStream<Uint8Array> | null> {
    const range = checkRange(options);
    const key = normalisePath(path);
    return attempt(`read ${show(key)}`, () => {
      const file = this.#file(key);
      return file === undefined ? null : this.#stream(file, clampRange(range, file.size));
    });
  }

  async write(path: string, data: FileSource, options?: WriteOptions): Promise<FileStat> {
    return consuming(data, async () =>
      isStream(data) ? this.#writeStream(path, data, options) : this.writeSync(path, data, options),
    );
  }

  async delete(path: string): Promise<boolean> {
    return this.deleteSync(path);
  }

  async list(prefix = '', options?: ListOptions): Promise<FilePage> {
    const start = normalisePrefix(prefix);
    const end = afterPrefix(start);
    const { cursor, limit } = checkList(options);
    const from =
      cursor !== undefined && comparePaths(cursor, start) >= 0
        ? { operator: '>', path: cursor }
        : { operator: '>=', path: start };
    return attempt(`list ${show(start)}`, () => {
      // One row more than asked for tells whether there is a next page.
      const rows = this.#rows<FileRow>(
        `SELECT ${columns} FROM __dosql_file
        WHERE path ${from.operator} ? ${end === undefined ? '' : 'AND path < ?'} ORDER BY path LIMIT ?`,
        from.path,
        ...(end === undefined ? [] : [end]),
        limit + 1,
      );
      const files = rows.slice(0, limit).map((row) => ({ path: row.path, ...toStat(row) }));
      const last = files.at(-1);
      return rows.length > limit && last ? { files, cursor: last.path } : { files };
    });
  }

  async stat(path: string): Promise<FileStat | null> {
    return this.statSync(path);
  }

  async exists(path: string): Promise<boolean> {
    return this.statSync(path) !== null;
  }

  readSync(path: string, options?: ReadOptions): Uint8Array | null {
    const range = checkRange(options);
    const key = normalisePath(path);
    return attempt(`read ${show(key)}`, () => {
      const file = this.#file(key);
      return file === undefined ? null : this.#bytes(file, clampRange(range, file.size));
    });
  }

  writeSync(path: string, data: FileData, options?: WriteOptions): FileStat {
    const key = normalisePath(path);
    const wanted = checkWrite(options);
    const bytes = toSizedBytes(data, wanted);
    return attempt(`write ${show(key)}`, () =>
      this.storage.transactionSync(() => {
        this.#createTables();
        this.#loose.sweepOnce();
        const before = this.#file(key);
        requireCondition(key, before ? toStat(before) : null, wanted);
        // Written over in place, which saves deleting rows, unless a stream is being read from there.
        const isOver = before !== undefined && before.size > 0 && !this.#loose.isRead(before.content);
        const content = bytes.length === 0 ? noContent : isOver ? before.content : this.#loose.fresh();
        const row = this.#row(key, bytes.length, content, wanted);
        this.#putRow(row);
        const chunks = Math.ceil(bytes.length / chunkBytes);
        for (let chunk = 0; chunk < chunks; chunk++)
          this.#putChunk(content, chunk, bytes.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes));
        if (before && before.content !== content) this.#loose.remove(before.content);
        else if (before && before.size > bytes.length) this.#loose.removeChunks(content, chunks);
        return toStat(row);
      }),
    );
  }

  deleteSync(path: string): boolean {
    const key = normalisePath(path);
    return attempt(`delete ${show(key)}`, () =>
      this.storage.transactionSync(() => {
        const file = this.#file(key);
        if (file === undefined) return false;
        this.#exec('DELETE FROM __dosql_file WHERE path = ?', key);
        this.#loose.remove(file.content);
        return true;
      }),
    );
  }

  statSync(path: string): FileStat | null {
    const key = normalisePath(path);
    const row = attempt(`stat ${show(key)}`, () => this.#file(key));
    return row ? toStat(row) : null;
  }

  async #writeStream(
    path: string,
    stream: ReadableStream<Uint8Array>,
    options: WriteOptions | undefined,
  ): Promise<FileStat> {
    const key = normalisePath(path);
    const wanted = checkWrite(options);
    // Checked when the content is there, too; here it saves reading a stream for nothing.
    requireCondition(key, this.statSync(key), wanted);
    const pieces = piecesOf(stream, chunkBytes, wanted.size);
    const first = await pieces.next();
    if (first.done || first.value.length < chunkBytes) {
      // The whole stream, once it is known to end here.
      await pieces.next();
      return this.writeSync(key, first.value ?? new Uint8Array(0), { ...wanted, size: undefined });
    }
    const content = attempt(`write ${show(key)}`, () => this.#stage());
    try {
      let size = 0;
      for (let piece: IteratorResult<Uint8Array, void> = first; !piece.done; piece = await pieces.next()) {
        const bytes = piece.value;
        attempt(`write ${show(key)}`, () => {
          if (!this.#loose.has(content)) throw emptied(key);
          this.#putChunk(content, size / chunkBytes, bytes);
        });
        size += bytes.length;
      }
      return attempt(`write ${show(key)}`, () => this.#adopt(key, content, size, wanted));
    } catch (error) {
      this.#loose.end(content);
      throw error;
    } finally {
      await pieces.return(undefined);
    }
  }

  /** The content that a stream is to be written as. */
  #stage(): number {
    return this.storage.transactionSync(() => {
      this.#createTables();
      this.#loose.sweep();
      return this.#loose.begin();
    });
  }

  /** Makes chunks that are stored already the file at `key`. */
  #adopt(key: string, content: number, size: number, wanted: WriteOptions): FileStat {
    const stat = this.storage.transactionSync(() => {
      const before = this.#file(key);
      requireCondition(key, before ? toStat(before) : null, wanted);
      if (!this.#loose.take(content)) throw emptied(key);
      const row = this.#row(key, size, content, wanted);
      this.#putRow(row);
      if (before) this.#loose.remove(before.content);
      return toStat(row);
    });
    this.#loose.finish(content);
    return stat;
  }

  #stream(file: FileRow, { start, end }: { start: number; end: number }): ReadableStream<Uint8Array> {
    let at = start;
    this.#loose.hold(file.content);
    return streamOf(
      () => {
        if (at >= end) return undefined;
        const next = Math.min(end, (Math.floor(at / chunkBytes) + 1) * chunkBytes);
        const bytes = attempt(`read ${show(file.path)}`, () => this.#bytes(file, { start: at, end: next }));
        at = next;
        return bytes;
      },
      () => this.#loose.release(file.content),
    );
  }

  #row(path: string, size: number, content: number, { nonce }: WriteOptions): FileRow {
    const modified = this.#clock();
    return { path, size, etag: crypto.randomUUID(), modified, content, nonce: nonce ?? null };
  }

  /** Not remembered from one write to the next: a rollback or deleteAll() takes the tables away. */
  #createTables(): void {
    for (const statement of createTables) this.#exec(statement);
  }

  #putRow({ path, size, etag, modified, content, nonce }: FileRow): void {
    this.#exec(
      `INSERT INTO __dosql_file (${columns}) VALUES (?, ?, ?, ?, ?, ?)
      ON CONFLICT (path) DO UPDATE SET size = excluded.size, etag = excluded.etag,
        modified = excluded.modified, content = excluded.content, nonce = excluded.nonce`,
      path,
      size,
      etag,
      modified,
      content,
      nonce,
    );
  }

  #putChunk(content: number, chunk: number, bytes: Uint8Array): void {
    this.#exec(
      `INSERT INTO __dosql_file_chunk (id, bytes) VALUES (?, ?)
      ON CONFLICT (id) DO UPDATE SET bytes = excluded.bytes`,
      content + chunk,
      bytes,
    );
  }

  #file(key: string): FileRow | undefined {
    return this.#rows<FileRow>(`SELECT ${columns} FROM __dosql_file WHERE path = ?`, key)[0];
  }

  #bytes(file: FileRow, { start, end }: { start: number; end: number }): Uint8Array {
    let result: Uint8Array | undefined;
    for (let at = start; at < end;) {
      const chunk = Math.floor(at / chunkBytes);
      const within = at - chunk * chunkBytes;
      const bytes = this.#chunk(file, chunk, within, Math.min(end - at, chunkBytes - within));
      // A range in one chunk is not copied once more.
      if (bytes.length === end - start) return bytes;
      result ??= new Uint8Array(end - start);
      result.set(bytes, at - start);
      at += bytes.length;
    }
    return result ?? new Uint8Array(0);
  }

  /** Bytes of one chunk. SQLite copies what `substr` gives, so of the most of a chunk the part is taken here. */
  #chunk(file: FileRow, chunk: number, within: number, wanted: number): Uint8Array {
    const size = Math.min(chunkBytes, file.size - chunk * chunkBytes);
    const isMost = wanted > size / 2;
    const [row] = isMost
      ? this.#rows<{ bytes: ArrayBuffer }>(
          'SELECT bytes FROM __dosql_file_chunk WHERE id = ?',
          file.content + chunk,
        )
      : this.#rows<{ bytes: ArrayBuffer }>(
          'SELECT substr(bytes, ?, ?) AS bytes FROM __dosql_file_chunk WHERE id = ?',
          within + 1,
          wanted,
          file.content + chunk,
        );
    if (row?.bytes.byteLength !== (isMost ? size : wanted)) {
      throw new FileStoreError(
        'STORAGE_UNAVAILABLE',
        `Chunk ${chunk} of ${show(file.path)} is missing or cut; the tables __dosql_file and __dosql_file_chunk are for this store alone to change. Write the file again.`,
        { retryable: false },
      );
    }
    const bytes = new Uint8Array(row.bytes);
    return isMost ? bytes.subarray(within, within + wanted) : bytes;
  }

  /** Rows of a query; none where the tables are not there because nothing has been written. */
  #rows<T extends Record<string, SqlStorageValue>>(query: string, ...bindings: SqlStorageValue[]): T[] {
    try {
      return this.storage.sql.exec<T>(query, ...bindings).toArray();
    } catch (error) {
      if (error instanceof Error && error.message.includes('no such table: __dosql_file')) return [];
      throw error;
    }
  }

  /** Runs a statement to its end: a cursor left open makes the commit fail (https://github.com/cloudflare/workerd/issues/959). */
  #exec(statement: string, ...bindings: (SqlStorageValue | Uint8Array)[]): void {
    this.storage.sql.exec(statement, ...bindings).toArray();
  }
}

function toStat({ size, etag, modified, nonce }: FileRow): FileStat {
  const stat = { size, etag, modified: new Date(modified), tier: 'hot' } as const;
  return nonce === null ? stat : { ...stat, nonce };
}

/** The error for a stream whose first chunks `deleteAll()` has taken away. */
function emptied(path: string): FileStoreError {
  return new FileStoreError(
    'STORAGE_UNAVAILABLE',
    `The storage was emptied while ${show(path)} was written; nothing of it is kept. Write it again.`,
  );
}

function attempt<T>(action: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw toFileStoreError(action, error);
  }
}
