import { FileStoreError, show, toFileStoreError } from './error.ts';
import type {
  FileData,
  FilePage,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  WriteOptions,
} from './file-store.ts';
import { checkCondition, checkList, checkRange, clampRange, requireCondition, toBytes } from './parameter.ts';
import { afterPrefix, comparePaths, normalisePath, normalisePrefix } from './path.ts';

/** Files in the SQLite database of a Durable Object. */
export interface DOBackend extends FileStore {
  readonly kind: 'durable-object';
  readonly storage: DurableObjectStorage;
}

/**
 * Bytes in a chunk. A row with its path stays below the 2,000,000 bytes that a Durable Object allows
 * (https://developers.cloudflare.com/durable-objects/platform/limits/). Where a byte lies follows
 * from this figure, so changing it makes files written before unreadable.
 */
const chunkBytes = 1_900_000;

/**
 * Both tables keep their rows in the primary key's tree, so a file of one chunk costs two rows
 * written; the file's row is apart from its bytes so that listing reads no content. Numbers arrive as
 * REAL in a Durable Object, and the INTEGER columns make them integers again.
 */
const createTables = [
  `CREATE TABLE IF NOT EXISTS __dosql_file (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, etag TEXT NOT NULL, modified INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS __dosql_file_chunk (
    path TEXT NOT NULL, chunk INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (path, chunk)
  ) STRICT, WITHOUT ROWID`,
];

type FileRow = { path: string; size: number; etag: string; modified: number };

/**
 * A file store in the SQLite database of a Durable Object, in two tables that the first write
 * creates: `__dosql_file` and `__dosql_file_chunk`. All its files are of tier `hot`.
 *
 * Each write is one `transactionSync`, so it is whole or not there, also inside a transaction of the
 * caller's, with which it rolls back. A rewrite always gives a new etag.
 *
 * @param storage `ctx.storage` of an object whose class is listed in `new_sqlite_classes`
 * @param options.clock milliseconds since the epoch, for `modified`; default `Date.now`
 *
 * @example
 * const files = createDOBackend(ctx.storage);
 * const { etag } = await files.write('config.json', '{}', { ifAbsent: true });
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

  constructor(storage: DurableObjectStorage, clock: () => number) {
    this.storage = storage;
    this.#clock = clock;
  }

  async read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    const range = checkRange(options);
    const key = normalisePath(path);
    return attempt(`read ${show(key)}`, () => {
      const file = this.#file(key);
      return file === undefined ? null : this.#bytes(key, clampRange(range, file.size));
    });
  }

  async write(path: string, data: FileData, options?: WriteOptions): Promise<FileStat> {
    const key = normalisePath(path);
    const condition = checkCondition(options);
    const bytes = toBytes(data);
    const row: FileRow = {
      path: key,
      size: bytes.length,
      etag: crypto.randomUUID(),
      modified: this.#clock(),
    };
    return attempt(`write ${show(key)}`, () =>
      this.storage.transactionSync(() => {
        // Not remembered from one write to the next: a rollback or deleteAll() takes the tables away.
        for (const statement of createTables) this.#exec(statement);
        const before = this.#file(key);
        requireCondition(key, before ? toStat(before) : null, condition);
        this.#exec(
          `INSERT INTO __dosql_file (path, size, etag, modified) VALUES (?, ?, ?, ?)
          ON CONFLICT (path) DO UPDATE SET size = excluded.size, etag = excluded.etag, modified = excluded.modified`,
          row.path,
          row.size,
          row.etag,
          row.modified,
        );
        const chunks = Math.ceil(bytes.length / chunkBytes);
        for (let chunk = 0; chunk < chunks; chunk++) {
          this.#exec(
            `INSERT INTO __dosql_file_chunk (path, chunk, bytes) VALUES (?, ?, ?)
            ON CONFLICT (path, chunk) DO UPDATE SET bytes = excluded.bytes`,
            key,
            chunk,
            bytes.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes),
          );
        }
        if (before && before.size > bytes.length)
          this.#exec('DELETE FROM __dosql_file_chunk WHERE path = ? AND chunk >= ?', key, chunks);
        return toStat(row);
      }),
    );
  }

  async delete(path: string): Promise<boolean> {
    const key = normalisePath(path);
    return attempt(`delete ${show(key)}`, () =>
      this.storage.transactionSync(() => {
        if (this.#file(key) === undefined) return false;
        this.#exec('DELETE FROM __dosql_file_chunk WHERE path = ?', key);
        this.#exec('DELETE FROM __dosql_file WHERE path = ?', key);
        return true;
      }),
    );
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
        `SELECT path, size, etag, modified FROM __dosql_file
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
    const key = normalisePath(path);
    const row = attempt(`stat ${show(key)}`, () => this.#file(key));
    return row ? toStat(row) : null;
  }

  async exists(path: string): Promise<boolean> {
    return (await this.stat(path)) !== null;
  }

  #file(key: string): FileRow | undefined {
    return this.#rows<FileRow>('SELECT path, size, etag, modified FROM __dosql_file WHERE path = ?', key)[0];
  }

  #bytes(key: string, { start, end }: { start: number; end: number }): Uint8Array {
    const result = new Uint8Array(end - start);
    for (let at = start; at < end;) {
      const chunk = Math.floor(at / chunkBytes);
      const within = at - chunk * chunkBytes;
      const wanted = Math.min(end - at, chunkBytes - within);
      const [row] = this.#rows<{ bytes: ArrayBuffer }>(
        'SELECT substr(bytes, ?, ?) AS bytes FROM __dosql_file_chunk WHERE path = ? AND chunk = ?',
        within + 1,
        wanted,
        key,
        chunk,
      );
      if (row?.bytes.byteLength !== wanted) {
        throw new FileStoreError(
          'STORAGE_UNAVAILABLE',
          `Chunk ${chunk} of ${show(key)} is missing or cut; the tables __dosql_file and __dosql_file_chunk are for this store alone to change. Write the file again.`,
        );
      }
      result.set(new Uint8Array(row.bytes), at - start);
      at += wanted;
    }
    return result;
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

function toStat(row: FileRow): FileStat {
  return { size: row.size, etag: row.etag, modified: new Date(row.modified), tier: 'hot' };
}

function attempt<T>(action: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw toFileStoreError(action, error);
  }
}
