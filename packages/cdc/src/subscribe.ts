import type { Change, ChangeLog, LogEntry, SchemaChange } from './change-log.ts';

/** Where a transaction begins or commits in the stream. */
export interface TransactionEvent {
  readonly op: 'begin' | 'commit';
  readonly lsn: bigint;
  readonly tx: bigint;
  readonly timestamp: Date;
}

/** What a stream can yield; `op` tells which. */
export type ChangeEvent = Change | SchemaChange | TransactionEvent;

/** What to stream, and when to stop. */
export interface SubscribeOptions {
  /** Only changes of these tables; all by default. */
  readonly tables?: readonly string[];
  /** Yield `begin` and `commit` around each transaction that has something to show. */
  readonly transactions?: boolean;
  /** Yield a `schema` event when a table is created, altered or dropped. */
  readonly schema?: boolean;
  /** Ends the stream, at once. */
  readonly signal?: AbortSignal;
  /** How many log entries to read at a time; 500 by default. */
  readonly batch?: number;
}

/** Log entries read at a time. */
export const DEFAULT_BATCH = 500;

/**
 * Changes after `after` in LSN order: first those in the log, then new ones as they commit. Reads only when
 * the consumer asks, so a slow consumer costs writers nothing and memory holds one batch.
 */
export async function* subscribe(
  log: ChangeLog,
  after: bigint,
  options: SubscribeOptions,
): AsyncGenerator<ChangeEvent, void, undefined> {
  const { signal, batch = DEFAULT_BATCH } = options;
  const isWantedTable = tableFilter(options.tables);
  const news = new News(log, signal);
  let position = after;
  let open: LogEntry | undefined;
  try {
    while (!isAborted(signal)) {
      news.forget();
      const entries = await log.read(position, batch);
      for (const entry of entries) {
        if (open !== undefined && open.tx !== entry.tx) {
          yield boundary('commit', open);
          open = undefined;
        }
        const isWanted = (entry.op !== 'schema' || options.schema === true) && isWantedTable(entry.table);
        if (isWanted) {
          if (options.transactions === true && open === undefined) yield boundary('begin', entry);
          if (options.transactions === true) open = entry;
          yield shown(entry);
        }
        if (isAborted(signal)) return;
        position = entry.lsn;
        if (open !== undefined && entry.lsn === entry.tx) {
          yield boundary('commit', open);
          open = undefined;
        }
      }
      if (entries.length === 0) await news.arrive();
    }
  } finally {
    news.stop();
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

/** An entry without what only the stream needs to know. */
export function shown(entry: LogEntry): Change | SchemaChange {
  const { txBegin: _txBegin, ...event } = entry;
  return event;
}

/** Whether a table is among `tables`, named in any case; without a list every table is. */
export function tableFilter(tables: readonly string[] | undefined): (table: string) => boolean {
  const names = tables && new Set(tables.map((table) => table.toLowerCase()));
  return (table) => names === undefined || names.has(table.toLowerCase());
}

function boundary(op: 'begin' | 'commit', entry: LogEntry): TransactionEvent {
  const { tx, timestamp } = entry;
  return { op, lsn: op === 'begin' ? entry.txBegin : tx, tx, timestamp };
}

/** Remembers whether something was committed since it was last told to forget, and waits for it. */
class News {
  #isThere = false;
  #wake: (() => void) | undefined;
  readonly #stops: (() => void)[] = [];

  constructor(log: ChangeLog, signal: AbortSignal | undefined) {
    const arrive = (): void => {
      this.#isThere = true;
      this.#wake?.();
    };
    this.#stops.push(log.onCommit(arrive));
    if (signal === undefined) return;
    signal.addEventListener('abort', arrive);
    this.#stops.push(() => signal.removeEventListener('abort', arrive));
  }

  forget(): void {
    this.#isThere = false;
  }

  async arrive(): Promise<void> {
    if (this.#isThere) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
  }

  stop(): void {
    for (const stop of this.#stops) stop();
  }
}
