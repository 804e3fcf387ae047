import type { Change, ChangeSource } from './change-log.ts';
import { LiveSockets, type LiveOptions } from './live/index.ts';
import type { DeadLetter, DeadLetterOptions } from './deliver/dead-letters.ts';
import type { DeliverOptions, Delivery, ReplayOptions, ReplayResult } from './deliver/options.ts';
import { deliver, discardDeadLetters, listDeadLetters, replayDeadLetters } from './deliver/registry.ts';
import type { Sink } from './deliver/sink.ts';
import { SealedCursors } from './cursor.ts';
import { parsePosition, type From, type StreamPosition } from './position.ts';
import { definePublication, type Publication, type PublicationOptions } from './publication.ts';
import { ChangeReader, type ChangeEvent } from './reader.ts';
import { shapeOf, type Shape, type ShapeOptions } from './shape.ts';
import { LogSlot, slotNames, type Slot, type SlotOptions } from './slot.ts';
import { createStreams, publishedStream } from './streams/index.ts';
import type { ReadOnlyStream, Streams, StreamsOptions } from './streams/index.ts';
import { DEFAULT_BATCH, startOf, subscribe, type SubscribeOptions } from './subscribe.ts';

export { lowerCase } from './change-log.ts';
export type {
  Change,
  ChangeLog,
  ChangeRow,
  ChangeSource,
  ChangeValue,
  Chunk,
  Lag,
  LogEntry,
  LogPage,
  MaxLag,
  Position,
  RowCondition,
  SchemaChange,
  Selection,
  SnapshotRow,
  SourceTimer,
  TableInfo,
  TableSelection,
} from './change-log.ts';
export { toDebezium } from './debezium.ts';
export type {
  DebeziumChange,
  DebeziumEvent,
  DebeziumOptions,
  DebeziumSchemaChange,
  DebeziumSource,
  DebeziumTransaction,
} from './debezium.ts';
export type { RetryOptions } from './deliver/backoff.ts';
export type { BatchOptions } from './deliver/batch.ts';
export type { DeadLetter, DeadLetterOptions } from './deliver/dead-letters.ts';
export { durableObject } from './deliver/durable-object.ts';
export type { DurableObjectOptions } from './deliver/durable-object.ts';
export { file, ndjson } from './deliver/file.ts';
export type { FileFormat, FileOptions, FileTarget } from './deliver/file.ts';
export type {
  DeliverOptions,
  Delivery,
  DeliveryStatus,
  ReplayOptions,
  ReplayResult,
} from './deliver/options.ts';
export { queue } from './deliver/queue.ts';
export type { QueueBinding, QueuedEvent } from './deliver/queue.ts';
export { receive, receiveBatch } from './deliver/receive.ts';
export type { Received, Receiver } from './deliver/receive.ts';
export { PermanentError, RetryLaterError } from './deliver/sink.ts';
export type { Batch, RefusedEvent, SendContext, Sink, SinkResult } from './deliver/sink.ts';
export { verifyWebhook, WebhookError } from './deliver/verify-webhook.ts';
export type { VerifyOptions } from './deliver/verify-webhook.ts';
export { webhook } from './deliver/webhook.ts';
export type { WebhookOptions, WebhookPayload } from './deliver/webhook.ts';
export { eventFromJson, eventToJson } from './json.ts';
export type { JsonEvent, JsonRow, JsonValue, TaggedValue } from './json.ts';
export type {
  Authorize,
  ClientMessage,
  LiveAccess,
  LiveGrant,
  LiveOptions,
  LiveState,
  Restriction,
  ServerMessage,
  SubscribeMessage,
} from './live/index.ts';
export type { From } from './position.ts';
export type { Mask, PublicationOptions, PublishedTable } from './publication.ts';
export type { ChangeEvent, ReaderOptions, SnapshotEnd, TransactionEvent } from './reader.ts';
export type { Operation, ShapeOptions } from './shape.ts';
export type { Slot, SlotOptions } from './slot.ts';
export { createStreams, StreamError } from './streams/index.ts';
export type {
  AppendOptions,
  Cacheable,
  CreateOptions,
  Expired,
  Message,
  Page,
  Producer,
  ReadOnlyPage,
  ReadOnlyStream,
  StreamAccess,
  StreamAuthorize,
  StreamDatabase,
  StreamReader,
  Streams,
  StreamsOptions,
  StreamStatement,
  StreamTransaction,
  StreamValue,
} from './streams/index.ts';
export type { Snapshot, SubscribeOptions } from './subscribe.ts';

/** A page of the log. */
export interface ChangePage {
  readonly changes: readonly Change[];
  /** Where the next page begins: after this LSN. Moves on also over changes that were not asked for. */
  readonly lsn: bigint;
}

/** What to read a page of. */
export interface PageOptions extends ShapeOptions {
  readonly publication?: string | undefined;
  /** How many entries of the log to read at most; 500 by default. */
  readonly limit?: number | undefined;
}

/** Streams over HTTP. */
export interface ServedStreams extends Omit<StreamsOptions, 'onCommit' | 'nowMs' | 'readOnly'> {
  /**
   * The publications that can be read as streams of their names; none by default. What `live` restricts for a socket is
   * not restricted here: all who may read the stream see the whole publication.
   */
  readonly publications?: readonly string[] | undefined;
}

/** What the change streams of a database have besides it. */
export interface CdcOptions {
  /** Serves WebSockets of this object. */
  readonly live?: LiveOptions | undefined;
  /** Serves streams over HTTP: those that clients make, and publications. */
  readonly streams?: ServedStreams | undefined;
}

/** The change streams of one database. */
export class Cdc {
  readonly #source: ChangeSource;
  readonly #publications = new Map<string, Publication>();
  readonly #live: LiveSockets | undefined;
  readonly #streams: Streams | undefined;
  readonly #published = new WeakMap<Publication, ReadOnlyStream>();

  constructor(source: ChangeSource, { live, streams }: CdcOptions = {}) {
    this.#source = source;
    this.#live = live && new LiveSockets(source, live, (name) => this.#publications.get(name));
    this.#streams =
      streams &&
      createStreams({
        ...streams,
        onCommit: (listener) => source.onCommit(listener),
        nowMs: () => source.nowMs(),
        readOnly: (name) =>
          streams.publications?.includes(name) === true ? this.#publishedStream(name) : undefined,
      });
  }

  /**
   * The streams that clients make, for the app itself.
   *
   * @throws an error with code `BAD_PARAMETER` without the option `streams`.
   */
  get streams(): Streams {
    if (this.#streams !== undefined) return this.#streams;
    throw this.#source.error(
      'BAD_PARAMETER',
      'no streams are served: createCDC(db, { streams: { database: db, authorize } })',
    );
  }

  /**
   * Says what may leave the database: a stream, slot or socket that names the publication gets nothing else. It is a
   * part of the program, to be said each time that the object wakes.
   *
   * ```ts
   * cdc.publication('public', {
   *   tables: { users: { columns: ['id', 'name', 'email'], mask: { email: { hash: env.KEY } }, where: 'deleted_at IS NULL' } },
   * });
   * ```
   *
   * @throws DoSQLError `BAD_PARAMETER`
   */
  publication(name: string, options: PublicationOptions): void {
    this.#publications.set(name, definePublication(this.#source, name, options));
  }

  /**
   * Changes after `from` that the log holds now, from at most `limit` entries of it; at its end the page is
   * empty.
   *
   * @throws an error with code `LSN_EXPIRED` when the log no longer reaches back to `from`, nor an archive of it.
   */
  async read(from: bigint | number, options: PageOptions = {}): Promise<ChangePage> {
    const reader = new ChangeReader(this.#source, this.#shape(options), parsePosition(from, this.#source));
    const changes = (await reader.next(options.limit ?? DEFAULT_BATCH)) as Change[];
    return { changes, lsn: reader.position.lsn };
  }

  /**
   * Changes after `from`, in the order of their LSNs: those that the log holds, then new ones as they commit. Ends when
   * `signal` aborts or the consumer stops.
   *
   * ```ts
   * for await (const change of cdc.subscribe(lastSeen, { tables: ['tasks'], signal })) {
   *   await send(change);
   *   lastSeen = change.lsn;
   * }
   * ```
   *
   * With `snapshot: 'initial'` a stream from 0 begins with the rows that are there. Until `snapshot-end` its events
   * have a `cursor`, to resume with: `from` is then `event.cursor ?? event.lsn`.
   *
   * @param from the LSN of the last change that the consumer has; 0 for everything since the log began.
   * @throws an error with code `LSN_EXPIRED` when neither the log nor its archive reaches back to `from`, `BAD_PARAMETER` for what is
   * no position, table or column, `SYNTAX` or `NO_SUCH_COLUMN` for what is no condition.
   */
  subscribe(
    from: bigint | number,
    options?: SubscribeOptions & { transactions?: false; schema?: false; snapshot?: 'none' },
  ): AsyncGenerator<Change, void, undefined>;
  subscribe(from: From, options?: SubscribeOptions): AsyncGenerator<ChangeEvent, void, undefined>;
  subscribe(from: From, options: SubscribeOptions = {}): AsyncGenerator<Change, void, undefined> {
    const shape = this.#shape(options);
    const begin = (position: From | StreamPosition): ChangeReader => {
      const start = startOf(this.#source, position, options.snapshot ?? 'none');
      return new ChangeReader(this.#source, shape, start, options);
    };
    const cursors = this.#cursorsOf(options);
    const reader =
      cursors !== undefined && typeof from === 'string' ? cursors.open(from).then(begin) : begin(from);
    return subscribe(this.#source, reader, options, cursors) as AsyncGenerator<Change, void, undefined>;
  }

  /**
   * Opens a durable cursor, and makes it when it is first used. It survives the object's eviction, and the log is kept
   * from there on, up to `maxLag`.
   *
   * ```ts
   * const slot = await cdc.slot('search', { tables: ['products'], snapshot: 'initial' });
   * for (const event of await slot.read()) …
   * await slot.ack(last.cursor ?? last.lsn);
   * ```
   */
  slot(name: string, options: SlotOptions = {}): Promise<Slot> {
    return new LogSlot(this.#source, name, this.#shape(options), options, this.#cursorsOf(options)).open();
  }

  /** Names of the slots that there are. */
  slots(): Promise<string[]> {
    return slotNames(this.#source);
  }

  /**
   * Delivers changes to a sink: each at least once, in order, in batches, from the object's alarm, whose `alarm()` has
   * to call `db.alarm()`. It is a part of the program, to be said each time that the object wakes, before anything is
   * written. What the sink does not take is sent again until it does; what it refuses for good becomes a dead letter,
   * and so do the later changes of that row.
   *
   * ```ts
   * await cdc.deliver('crm', webhook('https://crm.example/hook', { secret: env.HOOK_SECRET }), { tables: ['users'] });
   * ```
   *
   * @param slot a slot, or the name of one, which is made as `options` say when it is first used.
   */
  async deliver(slot: string | Slot, sink: Sink, options: DeliverOptions = {}): Promise<Delivery> {
    const opened = typeof slot === 'string' ? await this.slot(slot, options) : slot;
    if (opened instanceof LogSlot) return deliver(this.#source, opened, sink, options);
    throw this.#source.error('BAD_PARAMETER', 'deliver() takes a slot of cdc.slot(), or the name of one');
  }

  /** What a delivery could not deliver, oldest first, from at most `limit` events. */
  deadLetters(slot: string, options: DeadLetterOptions = {}): Promise<DeadLetter[]> {
    return listDeadLetters(this.#source, slot, options);
  }

  /**
   * Sends dead letters again, in their order; those that the sink takes are dead letters no more.
   *
   * @throws an error with code `BAD_PARAMETER` when the slot has no sink, and for `ids` that leave out an earlier
   * letter of the same row.
   */
  replay(slot: string, options: ReplayOptions = {}): Promise<ReplayResult> {
    return replayDeadLetters(this.#source, slot, options);
  }

  /** Removes dead letters for good; returns how many there were. */
  discard(slot: string, ids: readonly number[]): Promise<number> {
    return discardDeadLetters(this.#source, slot, ids);
  }

  /**
   * Opens a WebSocket for the publications that the request names, `?publication=name`, if the app allows it. Its
   * messages are {@link ClientMessage} and {@link ServerMessage}; `liveQuery` of `@dotdo/cdc/client` speaks them.
   * Every other request is one for a stream of the option `streams`, as {@link Streams.fetch} answers it.
   *
   * @throws an error with code `BAD_PARAMETER` without the option `live`, or `streams`.
   */
  async fetch(request: Request): Promise<Response> {
    const isSocket = request.headers.get('upgrade')?.toLowerCase() === 'websocket';
    if (this.#streams !== undefined && !(isSocket && this.#live !== undefined))
      return this.#streams.fetch(request);
    if (this.#live === undefined)
      throw this.#source.error(
        'BAD_PARAMETER',
        'nothing is served: createCDC(db, { live: { state: ctx, authorize }, streams: { database: db, authorize } })',
      );
    return this.#live.connect(request);
  }

  /** Takes a message of a WebSocket if it is one of ours; returns whether it is. */
  webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): boolean {
    return this.#live?.message(socket, message) ?? false;
  }

  /** Takes notice that a WebSocket has closed if it is one of ours; returns whether it is. */
  webSocketClose(socket: WebSocket): boolean {
    return this.#live?.closed(socket) ?? false;
  }

  /** Takes notice that a WebSocket has failed if it is one of ours; returns whether it is. */
  webSocketError(socket: WebSocket): boolean {
    return this.webSocketClose(socket);
  }

  /** The publication of that name as a stream to read. */
  #publishedStream(name: string): ReadOnlyStream | undefined {
    const publication = this.#publications.get(name);
    if (publication === undefined) return undefined;
    const known = this.#published.get(publication);
    if (known !== undefined) return known;
    const stream = publishedStream(this.#source, shapeOf(this.#source, {}, publication));
    this.#published.set(publication, stream);
    return stream;
  }

  /** What leaves by a publication shows no positions that hold keys. */
  #cursorsOf({ publication }: { readonly publication?: string | undefined }): SealedCursors | undefined {
    return publication === undefined ? undefined : new SealedCursors(this.#source, publication);
  }

  #shape(options: ShapeOptions & { readonly publication?: string | undefined }): Shape {
    const { publication: name } = options;
    if (name === undefined) return shapeOf(this.#source, options, undefined);
    const publication = this.#publications.get(name);
    if (publication === undefined)
      throw this.#source.error(
        'BAD_PARAMETER',
        `there is no publication "${name}": define it with cdc.publication() whenever the object wakes`,
      );
    if ((options as SubscribeOptions).schema === true)
      throw this.#source.error(
        'FORBIDDEN',
        `publication "${name}" publishes rows, not definitions, which may name what is not published`,
      );
    return shapeOf(this.#source, options, publication);
  }
}

/** The change streams of a database, or of the log behind one. */
export function createCDC(
  source: ChangeSource | { readonly backend: ChangeSource },
  options?: CdcOptions,
): Cdc {
  return new Cdc('backend' in source ? source.backend : source, options);
}
