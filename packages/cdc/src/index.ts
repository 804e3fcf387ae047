import type { Change, ChangeLog } from './change-log.ts';
import {
  DEFAULT_BATCH,
  shown,
  subscribe,
  tableFilter,
  type ChangeEvent,
  type SubscribeOptions,
} from './subscribe.ts';

export type { Change, ChangeLog, ChangeRow, LogEntry, SchemaChange } from './change-log.ts';
export type { ChangeEvent, SubscribeOptions, TransactionEvent } from './subscribe.ts';

/** A page of the log. */
export interface ChangePage {
  readonly changes: readonly Change[];
  /** Where the next page begins: after this LSN. Moves on also over changes that were not asked for. */
  readonly lsn: bigint;
}

/** The change streams of one database. */
export interface Cdc {
  /**
   * Changes after `fromLSN` that the log holds now, from at most about `limit` entries of it (500 by default);
   * at its end the page is empty.
   *
   * @throws an error with code `LSN_EXPIRED` when the log no longer reaches back to `fromLSN`.
   */
  read(
    fromLSN: bigint | number,
    options?: { readonly tables?: readonly string[]; readonly limit?: number },
  ): Promise<ChangePage>;

  /**
   * Changes after `fromLSN`, in the order of their LSNs: those that the log holds, then new ones as they
   * commit. Ends when `signal` aborts or the consumer stops.
   *
   * ```ts
   * for await (const change of cdc.subscribe(lastSeen, { tables: ['tasks'], signal })) {
   *   await send(change);
   *   lastSeen = change.lsn;
   * }
   * ```
   *
   * @param fromLSN the LSN of the last change that the consumer has; 0 for everything since the log began.
   * @throws an error with code `LSN_EXPIRED` when the log no longer reaches back to `fromLSN`.
   */
  subscribe(
    fromLSN: bigint | number,
    options?: SubscribeOptions & { transactions?: false; schema?: false },
  ): AsyncGenerator<Change, void, undefined>;
  subscribe(
    fromLSN: bigint | number,
    options?: SubscribeOptions,
  ): AsyncGenerator<ChangeEvent, void, undefined>;
}

/** The change streams of a database, or of the log behind one. */
export function createCDC(source: ChangeLog | { readonly backend: ChangeLog }): Cdc {
  const log = 'backend' in source ? source.backend : source;
  return {
    async read(fromLSN, { tables, limit = DEFAULT_BATCH } = {}) {
      const from = lsnOf(fromLSN);
      const isWanted = tableFilter(tables);
      const entries = await log.read(from, limit);
      const changes = entries.flatMap((entry) => {
        const event = shown(entry);
        return event.op !== 'schema' && isWanted(event.table) ? [event] : [];
      });
      return { changes, lsn: entries.at(-1)?.lsn ?? from };
    },
    subscribe(fromLSN: bigint | number, options: SubscribeOptions = {}) {
      return subscribe(log, lsnOf(fromLSN), options) as AsyncGenerator<Change, void, undefined>;
    },
  };
}

function lsnOf(value: bigint | number): bigint {
  if (typeof value === 'bigint' ? value >= 0n : Number.isSafeInteger(value) && value >= 0)
    return BigInt(value);
  throw new RangeError(
    `BAD_PARAMETER: ${String(value)} is no LSN: give the lsn of the last change handled, or 0`,
  );
}
