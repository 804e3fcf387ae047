/** A content is the number of its first chunk; so many are its own, which at 256 KiB each are more than an object holds. */
const contentChunks = 65_536;

/** The content of files that have no bytes, and so no chunks. */
export const noContent = 0;

/**
 * Contents in a Durable Object that belong to no file: streams that are being written, and versions
 * that were replaced or deleted while a stream was being read from them.
 *
 * Invariant: chunks whose content no file names are of a content in `__dosql_file_loose`. What is in
 * use is known in memory alone; so a content in the table which this object does not use was left by
 * one that stopped, and may be removed.
 */
export class LooseContents {
  /** Found by the storage, so that two stores over one object know of each other's streams. */
  static readonly #all = new WeakMap<DurableObjectStorage, LooseContents>();

  readonly #storage: DurableObjectStorage;
  readonly #writing = new Set<number>();
  /** How many streams are being read from a content. */
  readonly #reading = new Map<number, number>();
  #isSwept = false;

  private constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  /** Those of one Durable Object. */
  static of(storage: DurableObjectStorage): LooseContents {
    const loose = LooseContents.#all.get(storage) ?? new LooseContents(storage);
    LooseContents.#all.set(storage, loose);
    return loose;
  }

  /** Whether a stream is being read from a content, so that its chunks have to stay as they are. */
  isRead(content: number): boolean {
    return this.#reading.has(content);
  }

  /** A stream begins to read from a content. */
  hold(content: number): void {
    this.#reading.set(content, (this.#reading.get(content) ?? 0) + 1);
  }

  /** A stream has ended reading from a content, which is removed if it is no file's any more. */
  release(content: number): void {
    const count = (this.#reading.get(content) ?? 1) - 1;
    if (count > 0) this.#reading.set(content, count);
    else {
      this.#reading.delete(content);
      this.#removeLoose(content);
    }
  }

  /** A content that has no chunks and is not going to be written by anybody else. */
  fresh(): number {
    for (;;) {
      const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
      const content = random * contentChunks;
      const [chunk] = this.#rows(
        'SELECT 1 FROM __dosql_file_chunk WHERE id >= ? AND id < ?',
        content,
        content + contentChunks,
      );
      if (content !== noContent && chunk === undefined && !this.has(content)) return content;
    }
  }

  /** The content that a stream begins to be written as. */
  begin(): number {
    const content = this.fresh();
    this.add(content);
    this.#writing.add(content);
    return content;
  }

  /** Whether a content that is being written is still in the table, as its chunks have to be. */
  has(content: number): boolean {
    return this.#rows('SELECT 1 FROM __dosql_file_loose WHERE content = ?', content).length > 0;
  }

  /** Takes a content that was written out of the table, for a file to have. False where it is not there. */
  take(content: number): boolean {
    const [row] = this.#rows<{ content: number }>(
      'DELETE FROM __dosql_file_loose WHERE content = ? RETURNING content',
      content,
    );
    return row !== undefined;
  }

  /** A content that was written is a file's now. */
  finish(content: number): void {
    this.#writing.delete(content);
  }

  /** Gives up a content that was being written. */
  end(content: number): void {
    if (this.#writing.delete(content)) this.#removeLoose(content);
  }

  /** Notes a content as no file's. */
  add(content: number): void {
    this.#exec('CREATE TABLE IF NOT EXISTS __dosql_file_loose (content INTEGER PRIMARY KEY) STRICT');
    this.#exec('INSERT OR IGNORE INTO __dosql_file_loose (content) VALUES (?)', content);
  }

  /** Removes the chunks of a content that no file has any more: at once, or when nobody reads them. */
  remove(content: number): void {
    if (this.isRead(content)) this.add(content);
    else this.removeChunks(content);
  }

  /** Removes the chunks of a content from the one with the number `from` on. */
  removeChunks(content: number, from = 0): void {
    this.#exec(
      'DELETE FROM __dosql_file_chunk WHERE id >= ? AND id < ?',
      content + from,
      content + contentChunks,
    );
  }

  /** Removes what an object before this one left, unless this one has looked already. */
  sweepOnce(): void {
    if (this.#isSwept) return;
    this.sweep();
    this.#isSwept = true;
  }

  /** Removes every loose content that is not in use. */
  sweep(): void {
    for (const { content } of this.#rows<{ content: number }>('SELECT content FROM __dosql_file_loose')) {
      if (this.#writing.has(content) || this.isRead(content)) continue;
      this.removeChunks(content);
      this.#exec('DELETE FROM __dosql_file_loose WHERE content = ?', content);
    }
  }

  /** Removes a content if it is loose. Where that fails it stays in the table, and a later sweep finds it. */
  #removeLoose(content: number): void {
    try {
      this.#storage.transactionSync(() => {
        if (this.take(content)) this.removeChunks(content);
      });
    } catch {
      this.#isSwept = false;
    }
  }

  #rows<T extends Record<string, SqlStorageValue>>(query: string, ...bindings: SqlStorageValue[]): T[] {
    try {
      return this.#storage.sql.exec<T>(query, ...bindings).toArray();
    } catch (error) {
      if (error instanceof Error && error.message.includes('no such table: __dosql_file')) return [];
      throw error;
    }
  }

  #exec(statement: string, ...bindings: SqlStorageValue[]): void {
    this.#storage.sql.exec(statement, ...bindings).toArray();
  }
}
