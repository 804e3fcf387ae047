import type { Change, ChangeLog, Chunk, LogEntry, LogPage, SchemaChange, SnapshotRow } from './change-log.ts';
import { formatPosition, type SnapshotPosition, type StreamPosition } from './position.ts';
import type { Shape } from './shape.ts';

/** Where a transaction begins or commits in the stream. */
export interface TransactionEvent {
  readonly op: 'begin' | 'commit';
  readonly lsn: bigint;
  readonly tx: bigint;
  readonly timestamp: Date;
  readonly cursor?: never;
}

/** All rows of the snapshot have come: with those changes that came in between, it is the state at `lsn`. */
export interface SnapshotEnd {
  readonly op: 'snapshot-end';
  readonly lsn: bigint;
  readonly tx: bigint;
  readonly timestamp: Date;
  readonly cursor?: never;
}

/** What a stream can yield; `op` tells which. */
export type ChangeEvent = Change | SchemaChange | TransactionEvent | SnapshotEnd;

/** Which events to give besides changes. */
export interface ReaderOptions {
  /** Yield `begin` and `commit` around each transaction that has something to show. */
  readonly transactions?: boolean | undefined;
  /** Yield a `schema` event when a table is created, altered or dropped. */
  readonly schema?: boolean | undefined;
}

/** How a reader is used. */
export interface ReaderUse extends ReaderOptions {
  /** What was read may be read again: as {@link Chunk.deletions}. */
  readonly mayRepeat?: boolean | undefined;
  /** As {@link ChangeLog.read} says. */
  readonly hotOnly?: boolean | undefined;
}

/**
 * Rows of a snapshot come when the changes before them have been read: at least so many of these at a time, or writers
 * that are faster than its reader would keep it from ever ending.
 */
const LEAST_BETWEEN_ROWS = 50;

/**
 * Reads a stream of changes, a page at a time: a snapshot's rows if it stands inside one, then the log.
 *
 * A snapshot reads table after table in chunks by key. Each chunk is read together with the changes until then
 * of the rows behind it, so every row comes once, with just those changes that it does not have yet (the
 * watermark idea of DBLog, https://arxiv.org/abs/2010.12597, without its window, since nobody writes meanwhile).
 */
export class ChangeReader {
  readonly #log: ChangeLog;
  readonly #shape: Shape;
  readonly #options: ReaderUse;
  #position: StreamPosition;
  #open: LogEntry | undefined;

  constructor(log: ChangeLog, shape: Shape, position: StreamPosition, options: ReaderUse = {}) {
    this.#log = log;
    this.#shape = shape;
    this.#position = position;
    this.#options = options;
  }

  /** Where it stands: a reader made with this goes on here. */
  get position(): StreamPosition {
    return this.#position;
  }

  /**
   * The next events, from at most `limit` changes, or of a snapshot as many rows and what has changed meanwhile; empty
   * when there are none now.
   */
  async next(limit: number): Promise<ChangeEvent[]> {
    if (!Number.isSafeInteger(limit) || limit < 1)
      throw this.#log.error('BAD_PARAMETER', `${limit} changes at a time: give a whole number from 1`);
    for (;;) {
      const [events, isEnd] =
        this.#position.snapshot === undefined ? await this.#changes(limit) : await this.#chunk(limit);
      if (events.length > 0 || isEnd) return events;
    }
  }

  async #changes(limit: number): Promise<[ChangeEvent[], boolean]> {
    const page = await this.#read(this.#position.lsn, limit);
    const events = await this.#shape.shown(this.#events(page));
    this.#position = { lsn: page.lsn };
    return [events, page.isEnd];
  }

  async #chunk(limit: number): Promise<[ChangeEvent[], boolean]> {
    const { lsn, snapshot } = this.#position as Required<StreamPosition>;
    const { table, after } = snapshot as SnapshotPosition;
    const chunk = { table, after, limit, deletions: this.#options.mayRepeat };
    const page = await this.#read(lsn, Math.max(limit, LEAST_BETWEEN_ROWS), chunk);
    const events = this.#events(page).map((event): ChangeEvent =>
      'table' in event ? { ...event, cursor: formatPosition({ lsn: event.lsn, snapshot }) } : event,
    );
    const rows = page.rows ?? [];
    events.push(...rows.map((row) => snapshotEvent(table, row, page.lsn)));
    const isTableDone = page.rows !== undefined && rows.length < limit;
    const next = isTableDone ? await this.#shape.tableAfter(table) : table;
    if (next === undefined)
      events.push({ op: 'snapshot-end', lsn: page.lsn, tx: page.lsn, timestamp: new Date() });
    const shown = await this.#shape.shown(events);
    this.#position = {
      lsn: page.lsn,
      snapshot:
        next === undefined
          ? undefined
          : { table: next, after: next === table ? (rows.at(-1)?.position ?? after) : undefined },
    };
    return [shown, false];
  }

  #read(after: bigint, limit: number, chunk?: Chunk): Promise<LogPage> {
    return this.#log.read(after, limit, this.#shape.selection, chunk, this.#options.hotOnly);
  }

  /** The entries of a page, with the boundaries of their transactions. */
  #events(page: LogPage): ChangeEvent[] {
    const { transactions = false, schema = false } = this.#options;
    if (!transactions) return schema ? [...page.entries] : page.entries.filter(({ op }) => op !== 'schema');
    const events: ChangeEvent[] = [];
    const close = (): void => {
      if (this.#open !== undefined) events.push(boundary('commit', this.#open, this.#open.tx));
      this.#open = undefined;
    };
    for (const entry of page.entries) {
      if (this.#open?.tx !== entry.tx) close();
      if (entry.op === 'schema' && !schema) continue;
      if (this.#open === undefined) events.push(boundary('begin', entry, page.begin(entry.tx)));
      this.#open = entry;
      events.push(entry);
    }
    // What follows in the transaction is not wanted.
    if (this.#open !== undefined && this.#open.tx <= page.lsn) close();
    return events;
  }
}

function snapshotEvent(table: string, { position, key, row, name }: SnapshotRow, lsn: bigint): Change {
  return {
    lsn,
    tx: lsn,
    timestamp: new Date(),
    table: name,
    op: 'insert',
    key,
    before: null,
    after: row,
    cursor: formatPosition({ lsn, snapshot: { table, after: position } }),
    isSnapshot: true,
  };
}

function boundary(op: 'begin' | 'commit', { tx, timestamp }: LogEntry, lsn: bigint): TransactionEvent {
  return { op, lsn, tx, timestamp };
}
