import type { Lag } from '../change-log.ts';
import type { Slot, SlotOptions } from '../slot.ts';
import type { RetryOptions } from './backoff.ts';
import type { BatchOptions } from './batch.ts';

/** How to deliver: what of the database's changes, and when. */
export interface DeliverOptions extends SlotOptions {
  readonly batch?: BatchOptions | undefined;
  readonly retry?: RetryOptions | undefined;
  /** How long to wait for more after a commit, in ms; 0 by default. */
  readonly lingerMs?: number | undefined;
  /** How long a sink has to take a batch, in ms; 30 s by default. */
  readonly timeoutMs?: number | undefined;
  /** How much is done in one alarm before others get their turn; 100 batches or 20 s by default. */
  readonly slice?: { readonly batches?: number | undefined; readonly ms?: number | undefined } | undefined;
  /** Numbers from 0 to 1, for the jitter of waits; `Math.random` by default. */
  readonly random?: (() => number) | undefined;
}

/** How a delivery is doing. */
export interface DeliveryStatus {
  /** What the sink has taken. */
  readonly position: string;
  readonly lag: Lag;
  /** Failures in a row; 0 when the last batch was taken. */
  readonly failures: number;
  /** Why the last attempt failed. */
  readonly error: string | undefined;
  /** When it is tried again after a failure. */
  readonly retryAt: Date | undefined;
  readonly deadLetters: number;
}

/** Which dead letters to send again. */
export interface ReplayOptions {
  /** These; by default all, from the first. */
  readonly ids?: readonly number[] | undefined;
  /** At most so many; 1,000 by default. */
  readonly limit?: number | undefined;
}

/** What became of dead letters that were sent again. */
export interface ReplayResult {
  /** The sink has taken so many. */
  readonly delivered: number;
  /** So many are still dead letters: refused again, behind one that was, or to be sent when the sink answers. */
  readonly left: number;
}

/** A delivery that goes on whenever the object is awake, and wakes it. */
export interface Delivery {
  readonly slot: Slot;
  status(): Promise<DeliveryStatus>;
  /** Sends no more until `deliver` is called again. The slot stays, and the log is kept for it. */
  stop(): Promise<void>;
  /** Ends the delivery for good: forgets the slot and the dead letters. */
  drop(): Promise<void>;
}
