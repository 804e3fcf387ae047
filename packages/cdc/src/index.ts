import type { Change, ChangeLog } from './change-log.ts';
import { subscribe, type ChangeEvent, type SubscribeOptions } from './subscribe.ts';

export type { Change, ChangeLog, ChangeRow, LogEntry, SchemaChange } from './change-log.ts';
export type { ChangeEvent, SubscribeOptions, TransactionEvent } from './subscribe.ts';

/** The change streams of one database. */
export interface Cdc {
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
    subscribe(fromLSN: bigint | number, options: SubscribeOptions = {}) {
      const isLsn =
        typeof fromLSN === 'bigint' ? fromLSN >= 0n : Number.isSafeInteger(fromLSN) && fromLSN >= 0;
      if (!isLsn)
        throw new RangeError(
          `BAD_PARAMETER: ${String(fromLSN)} is no LSN: give the lsn of the last change handled, or 0`,
        );
      return subscribe(log, BigInt(fromLSN), options) as AsyncGenerator<Change, void, undefined>;
    },
  };
}
