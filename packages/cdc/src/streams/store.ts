import { append, type Append, type Appended } from './append.ts';
import {
  findRow,
  isExpired,
  lineOf,
  placeOf,
  remove,
  renewal,
  tailOf,
  usable,
  type Line,
} from './catalog.ts';
import { create, type Created, type Creation } from './create.ts';
import type { StreamDatabase, StreamTransaction } from './database.ts';
import { notFound } from './error.ts';
import { formatOffset } from './offset.ts';
import { readPage, type Page } from './read.ts';
import { createTables, createTablesIn, type StreamRow } from './schema.ts';
import type { Source } from './source.ts';
import { expireSome, sweepSome, type Expired } from './sweep.ts';
import { Waiters } from './waiters.ts';

/** Rows of a deleted stream that are removed at once. */
const ROWS_AT_ONCE = 1_000;

/** What the streams of a database have in common, however many endpoints serve them. */
export class Hub {
  readonly waiters: Waiters = new Waiters();
  readonly #touched = new Set<number>();

  /** Called inside of the transaction that changes a stream: its readers look again when it is committed. */
  touch(ids: readonly number[]): void {
    for (const id of ids) this.#touched.add(id);
  }

  /** Called after every commit. A transaction that was rolled back costs its readers one look in vain. */
  committed(): void {
    for (const id of this.#touched) this.waiters.wake(keyOf(id));
    this.#touched.clear();
  }
}

/** The streams that are stored in a database. */
export class Store {
  readonly #database: StreamDatabase;
  readonly #hub: Hub;
  readonly #nowMs: () => number;
  readonly #pageBytes: number;
  #tables: Promise<void> | undefined;

  constructor(database: StreamDatabase, hub: Hub, nowMs: () => number, pageBytes: number) {
    this.#database = database;
    this.#hub = hub;
    this.#nowMs = nowMs;
    this.#pageBytes = pageBytes;
  }

  /** Runs `work` in a transaction of its own, or in the one that the caller has open. */
  async #change<T>(
    tx: StreamTransaction | undefined,
    work: (tx: StreamTransaction) => Promise<T>,
  ): Promise<T> {
    if (tx !== undefined) {
      await createTablesIn(tx);
      return await work(tx);
    }
    await this.#ready();
    return await this.#database.transaction(work);
  }

  async #ready(): Promise<void> {
    this.#tables ??= createTables(this.#database);
    try {
      await this.#tables;
    } catch (error) {
      this.#tables = undefined;
      throw error;
    }
  }

  async create(request: Omit<Creation, 'nowMs'>, outer?: StreamTransaction): Promise<Created> {
    return await this.#change(outer, async (tx) => {
      const created = await create(tx, { ...request, nowMs: this.#nowMs() });
      this.#hub.touch(created.changed);
      return created;
    });
  }

  async append(request: Omit<Append, 'nowMs'>, outer?: StreamTransaction): Promise<Appended> {
    return await this.#change(outer, async (tx) => {
      const appended = await append(tx, { ...request, nowMs: this.#nowMs() });
      if (appended.changed !== undefined) this.#hub.touch([appended.changed]);
      return appended;
    });
  }

  async delete(name: string): Promise<void> {
    await this.#change(undefined, async (tx) => {
      const row = usable(await findRow(tx, name), name, this.#nowMs());
      this.#hub.touch(await remove(tx, row));
    });
    await this.sweep(ROWS_AT_ONCE);
  }

  /** Removes some rows of streams that are deleted. */
  sweep(maxRows: number): Promise<number> {
    return this.#change(undefined, (tx) => sweepSome(tx, maxRows));
  }

  /** Deletes some streams whose time is over, and some rows of deleted ones. */
  async expire(limit: number): Promise<Expired> {
    return await this.#change(undefined, async (tx) => {
      const { changed, ...expired } = await expireSome(tx, limit, this.#nowMs());
      this.#hub.touch(changed);
      return expired;
    });
  }

  /**
   * A stream to read from. `isUse`: this keeps a stream with a sliding time to live alive.
   *
   * @throws StreamError 404, 410
   */
  async open(name: string, isUse: boolean): Promise<Source> {
    await this.#ready();
    let row = await findRow(this.#database, name);
    if (row !== null && isExpired(row, this.#nowMs())) {
      await this.#expireOne(name);
      row = await findRow(this.#database, name);
    }
    const line = await lineOf(this.#database, usable(row, name, this.#nowMs()));
    if (isUse) await this.#renew(line.row);
    return this.#source(name, line);
  }

  #source(name: string, line: Line): Source {
    const { row } = line;
    const key = keyOf(row.id);
    return {
      contentType: row.content_type,
      tag: String(row.id),
      headers: metadataOf(row),
      isClosed: row.is_closed === 1,
      tail: () => formatOffset(tailOf(row)),
      offset: (text) => formatOffset(placeOf(line, text)),
      page: (offset) => this.#hub.waiters.shared(key, offset, () => this.#page(name, row.id, offset)),
      join: () => this.#hub.waiters.join(key),
    };
  }

  async #page(name: string, id: number, offset: string): Promise<Page> {
    const row = await this.#database.get<StreamRow>('SELECT * FROM dosql_stream WHERE id = ?', [id]);
    const line = await lineOf(this.#database, usable(row?.name === null ? null : row, name, this.#nowMs()));
    await this.#renew(line.row);
    const page = await readPage(this.#database, line, placeOf(line, offset), this.#pageBytes);
    if (page === undefined) throw notFound(name);
    return page;
  }

  async #renew(row: StreamRow): Promise<void> {
    const expiresAt = renewal(row, this.#nowMs());
    if (expiresAt === undefined) return;
    const sql = 'UPDATE dosql_stream SET expires_at = ? WHERE id = ? AND expires_at < ?';
    await this.#change(undefined, (tx) => tx.batch([{ sql, params: [expiresAt, row.id, expiresAt] }]));
  }

  async #expireOne(name: string): Promise<void> {
    await this.#change(undefined, async (tx) => {
      const row = await findRow(tx, name);
      if (row !== null && isExpired(row, this.#nowMs())) this.#hub.touch(await remove(tx, row));
    });
    await this.sweep(ROWS_AT_ONCE);
  }
}

function keyOf(id: number): string {
  return `stored ${id}`;
}

function metadataOf(row: StreamRow): Record<string, string> {
  const { ttl_s: ttl, expires_at: expiresAt, is_closed: isClosed } = row;
  return {
    ...(ttl === null ? {} : { 'stream-ttl': String(ttl) }),
    ...(ttl !== null || expiresAt === null ? {} : { 'stream-expires-at': new Date(expiresAt).toISOString() }),
    ...(isClosed === 1 ? { 'stream-closed': 'true' } : {}),
  };
}
