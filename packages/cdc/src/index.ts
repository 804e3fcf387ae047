import type { Change, ChangeSource } from './change-log.ts';
import { SealedCursors } from './cursor.ts';
import { parsePosition, type From, type StreamPosition } from './position.ts';
import { definePublication, type Publication, type PublicationOptions } from './publication.ts';
import { ChangeReader, type ChangeEvent } from './reader.ts';
import { shapeOf, type Shape, type ShapeOptions } from './shape.ts';
import { LogSlot, slotNames, type Slot, type SlotOptions } from './slot.ts';
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
export { eventFromJson, eventToJson } from './json.ts';
export type { JsonEvent, JsonRow, JsonValue, TaggedValue } from './json.ts';
export type { From } from './position.ts';
export type { Mask, PublicationOptions, PublishedTable } from './publication.ts';
export type { ChangeEvent, ReaderOptions, SnapshotEnd, TransactionEvent } from './reader.ts';
export type { Operation, ShapeOptions } from './shape.ts';
export type { Slot, SlotOptions } from './slot.ts';
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
  /** About how many entries of the log to read; 500 by default. */
  readonly limit?: number | undefined;
}

/** The change streams of one database. */
export class Cdc {
  readonly #source: ChangeSource;
  readonly #publications = new Map<string, Publication>();

  constructor(source: ChangeSource) {
    this.#source = source;
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
   * Changes after `from` that the log holds now, from at most about `limit` entries of it; at its end the page is
   * empty.
   *
   * @throws an error with code `LSN_EXPIRED` when the log no longer reaches back to `from`.
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
   * @throws an error with code `LSN_EXPIRED` when the log no longer reaches back to `from`, `BAD_PARAMETER` for what is
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
export function createCDC(source: ChangeSource | { readonly backend: ChangeSource }): Cdc {
  return new Cdc('backend' in source ? source.backend : source);
}
