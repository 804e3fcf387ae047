import type { ChangeLog } from './change-log.ts';
import type { SealedCursors } from './cursor.ts';
import { parsePosition, type From, type StreamPosition } from './position.ts';
import type { ChangeEvent, ChangeReader, ReaderOptions } from './reader.ts';
import type { ShapeOptions } from './shape.ts';

/**
 * What to read before the log. `'initial'`: when the stream begins at 0, the rows that are there, then their changes;
 * `'only'`: just the rows; `'none'`: only what the log holds.
 */
export type Snapshot = 'none' | 'initial' | 'only';

/** What to stream, and when to stop. */
export interface SubscribeOptions extends ShapeOptions, ReaderOptions {
  /** The publication that says what may leave; without one everything may. */
  readonly publication?: string | undefined;
  readonly snapshot?: Snapshot | undefined;
  /** Ends the stream, at once. */
  readonly signal?: AbortSignal | undefined;
  /** How many log entries, or rows of a snapshot, to read at a time; 500 by default. */
  readonly batch?: number | undefined;
}

const SNAPSHOTS: readonly unknown[] = ['none', 'initial', 'only'] satisfies Snapshot[];

/** Log entries read at a time. */
export const DEFAULT_BATCH = 500;

/**
 * Where a stream begins: inside a snapshot, or in the log.
 *
 * @throws an error with code `BAD_PARAMETER` for what is no position.
 */
export function startOf(log: ChangeLog, from: From | StreamPosition, snapshot: Snapshot): StreamPosition {
  if (!SNAPSHOTS.includes(snapshot))
    throw log.error(
      'BAD_PARAMETER',
      `snapshot is ${JSON.stringify(snapshot)}: give 'none', 'initial' or 'only'`,
    );
  const position = typeof from === 'object' ? from : parsePosition(from, log);
  const isBegun = position.lsn > 0n || position.snapshot !== undefined;
  // Before the first table: no table has an empty name.
  return snapshot === 'none' || isBegun
    ? position
    : { lsn: log.end(), snapshot: { table: '', after: undefined } };
}

/**
 * The events of a reader, then new ones as they commit. Reads only when the consumer asks, so a slow consumer costs
 * writers nothing and memory holds one batch.
 */
export async function* subscribe(
  log: ChangeLog,
  begun: ChangeReader | Promise<ChangeReader>,
  { signal, batch = DEFAULT_BATCH, snapshot }: SubscribeOptions,
  cursors?: SealedCursors,
): AsyncGenerator<ChangeEvent, void, undefined> {
  const reader = await begun;
  const news = new News(log, signal);
  try {
    while (!isAborted(signal)) {
      news.forget();
      const events = await reader.next(batch);
      for (const event of (await cursors?.sealed(events)) ?? events) {
        if (isAborted(signal)) return;
        yield event;
        if (event.op === 'snapshot-end' && snapshot === 'only') return;
      }
      if (events.length === 0) await news.arrive();
    }
  } finally {
    news.stop();
  }
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
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
