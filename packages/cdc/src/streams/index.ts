import type { StreamDatabase, StreamTransaction } from './database.ts';
import { checkedProducer, type Producer } from './header.ts';
import { Handler, type Authorize } from './handler.ts';
import type { Message } from './message.ts';
import { basePathOf, checkedName } from './name.ts';
import type { Page } from './read.ts';
import { Watches, type ReadOnlyStream } from './read-only.ts';
import type { Cacheable } from './respond.ts';
import { Hub, Store } from './store.ts';
import type { Expired } from './sweep.ts';

export type {
  StreamDatabase,
  StreamReader,
  StreamStatement,
  StreamTransaction,
  StreamValue,
} from './database.ts';
export { StreamError } from './error.ts';
export type { Authorize as StreamAuthorize, StreamAccess } from './handler.ts';
export type { Producer } from './header.ts';
export type { Message } from './message.ts';
export { publishedStream } from './published.ts';
export type { Page } from './read.ts';
export type { ReadOnlyPage, ReadOnlyStream } from './read-only.ts';
export type { Cacheable } from './respond.ts';
export type { Expired } from './sweep.ts';

/** Where streams are kept, and who may do what. */
export interface StreamsOptions {
  /** The database; several endpoints over the same handle know of one another. */
  readonly database: StreamDatabase;
  /** Calls `listener` after every commit: waiting readers are woken by nothing else. */
  readonly onCommit: (listener: () => void) => unknown;
  /** Who may do what; without it everything is refused with 403. */
  readonly authorize?: Authorize | undefined;
  /** The path that the names of streams are below; `/` by default. */
  readonly basePath?: string | undefined;
  /** Streams that code gives and clients only read; a name that it gives a stream for is no stored stream. */
  readonly readOnly?:
    | ((name: string) => ReadOnlyStream | undefined | Promise<ReadOnlyStream | undefined>)
    | undefined;
  /** The time, in ms since the epoch, by which streams expire. */
  readonly nowMs?: (() => number) | undefined;
  /** The largest body taken; 8 MiB by default. A larger one is refused with 413. */
  readonly maxBodyBytes?: number | undefined;
  /** About how much one answer holds; 1 MiB by default. */
  readonly pageBytes?: number | undefined;
  /** How long a long poll waits; 25 s by default. */
  readonly longPollMs?: number | undefined;
  /** How long a reader of server-sent events stays; 60 s by default. */
  readonly sseMs?: number | undefined;
  /**
   * How often such a reader is sent a comment while nothing happens; 15 s by default. One that has gone without a word
   * is noticed by it.
   */
  readonly keepAliveMs?: number | undefined;
  /** `public` lets shared caches keep what was read; `private`, the default, browsers only. */
  readonly cacheable?: Cacheable | undefined;
  /** The `Access-Control-Allow-Origin` of answers; `*` by default. */
  readonly corsOrigin?: string | undefined;
}

/** How the app makes a stream. */
export interface CreateOptions {
  /** `application/octet-stream` by default. */
  readonly contentType?: string | undefined;
  /** What it begins with. */
  readonly data?: Message | undefined;
  /** Expires so long after the last read or write. */
  readonly ttlSeconds?: number | undefined;
  readonly expiresAt?: Date | undefined;
  /** The app's open transaction, of which this becomes a part. */
  readonly transaction?: StreamTransaction | undefined;
}

/** How the app appends to a stream. */
export interface AppendOptions {
  /** Makes a repeated append count once. */
  readonly producer?: Producer | undefined;
  /** Nothing can be appended after this. */
  readonly close?: boolean | undefined;
  /** The app's open transaction, of which this becomes a part: its readers hear of it when that is committed. */
  readonly transaction?: StreamTransaction | undefined;
}

/** The streams of one database. */
export interface Streams {
  /**
   * Serves the Durable Streams protocol:
   * https://github.com/durable-streams/durable-streams/blob/main/PROTOCOL.md
   *
   * `Stream-Seq` is checked per stream. Errors that are not the request's fault are thrown.
   */
  fetch(request: Request): Promise<Response>;
  /**
   * Makes a stream, unless it is there already; returns the offset of its end.
   *
   * @throws StreamError 409 when there is another under that name.
   */
  create(name: string, options?: CreateOptions): Promise<string>;
  /**
   * Appends data, or, when it is empty, only closes; returns the offset of the stream's end. For a stream of JSON
   * the data is JSON text, and of an array every element is a message.
   *
   * ```ts
   * await db.transaction(async (tx) => {
   *   await tx.run('UPDATE orders SET status = ? WHERE id = ?', ['paid', id]);
   *   await streams.append(`orders/${id}`, JSON.stringify({ status: 'paid' }), { transaction: tx });
   * });
   * ```
   *
   * @throws StreamError 404, 409, 410
   */
  append(name: string, data: Message, options?: AppendOptions): Promise<string>;
  /**
   * The messages after an offset, `-1` for the first.
   *
   * @throws StreamError 404, 410
   */
  read(name: string, offset?: string): Promise<Page>;
  /** @throws StreamError 404, 410 */
  delete(name: string): Promise<void>;
  /**
   * Deletes at most `limit` (1,000 by default) streams whose time is over, and removes at most `limit` rows of
   * deleted ones. Call it from a timer: again while `hasMore`, and then at `nextMs`. Nobody can read an expired
   * stream, also when this is never called: it only takes space.
   */
  expire(limit?: number): Promise<Expired>;
  /** How many readers wait now. */
  readonly waiting: number;
}

const MIB = 1024 * 1024;
const hubs = new WeakMap<StreamDatabase, Hub>();

/** The streams that are kept in a database, as tables that its queries can read: `dosql_stream` and others. */
export function createStreams(options: StreamsOptions): Streams {
  const { database, basePath = '/', nowMs = Date.now, pageBytes = MIB } = options;
  const hub = hubs.get(database) ?? new Hub();
  if (!hubs.has(database)) options.onCommit(() => hub.committed());
  hubs.set(database, hub);
  const store = new Store(database, hub, nowMs, pageBytes);
  const handler = new Handler({
    store,
    pageBytes,
    nowMs,
    waiters: hub.waiters,
    watches: new Watches(hub.waiters),
    basePath: basePathOf(basePath),
    authorize: options.authorize ?? (() => false),
    readOnly: options.readOnly ?? (() => undefined),
    maxBodyBytes: options.maxBodyBytes ?? 8 * MIB,
    longPollMs: options.longPollMs ?? 25_000,
    sseMs: options.sseMs ?? 60_000,
    keepAliveMs: options.keepAliveMs ?? 15_000,
    cacheable: options.cacheable ?? 'private',
    corsOrigin: options.corsOrigin ?? '*',
  });
  return {
    fetch: (request) => handler.fetch(request),
    create: (name, options) => createStream(store, name, options),
    append: (name, data, options) => appendTo(store, name, data, options),
    async read(name, offset = '-1') {
      const source = await store.open(checkedName(name), true);
      return await source.page(source.offset(offset));
    },
    delete: (name) => store.delete(checkedName(name)),
    expire: (limit = 1_000) => store.expire(limit),
    get waiting() {
      return hub.waiters.size;
    },
  };
}

async function createStream(store: Store, name: string, options: CreateOptions = {}): Promise<string> {
  const { contentType, data = '', ttlSeconds, expiresAt, transaction } = options;
  const expiry = { ttlSeconds, expiresAtMs: expiresAt?.getTime() };
  const request = { contentType, expiry, body: bytesOf(data), closes: false, fork: undefined };
  return (await store.create({ ...request, name: checkedName(name) }, transaction)).offset;
}

async function appendTo(
  store: Store,
  name: string,
  data: Message,
  { producer, close = false, transaction }: AppendOptions = {},
): Promise<string> {
  const request = { body: bytesOf(data), contentType: undefined, closes: close, seq: undefined };
  const checked = producer && checkedProducer(producer);
  return (await store.append({ ...request, name: checkedName(name), producer: checked }, transaction)).offset;
}

function bytesOf(data: Message): Uint8Array {
  return typeof data === 'string' ? new TextEncoder().encode(data) : data;
}
