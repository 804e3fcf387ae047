import type { ChangeSource } from '../change-log.ts';
import type { Run } from './runs.ts';

/** What of a database a delivery keeps its state in. */
export type DeliveryStore = Pick<ChangeSource, 'error' | 'getState' | 'listState' | 'nowMs' | 'setState'>;

/** A batch that is being sent, or has to be sent again. */
export interface Pin {
  /** Where the slot stood when the batch was made. */
  readonly from: string;
  /** Where it will stand when the batch has been taken. */
  readonly to: string;
  /** How many changes were read to make it. */
  readonly limit: number;
  /** The number of its first event. */
  readonly first: number;
  readonly count: number;
  /**
   * Which events of the log it has, as {@link runsOf} says; read again, it may have fewer, as some may have been
   * erased.
   */
  readonly runs?: readonly Run[];
  /** Its events are kept, for reading again could find others. */
  readonly isKept?: true;
  /** The dead letters that it sends again; the slot then does not move. */
  readonly letters?: readonly number[];
  /** How often it has been sent. */
  readonly attempts: number;
  /** How often it was refused for good. */
  readonly refusals: number;
}

/** What a delivery keeps about itself, as JSON. */
export interface DeliveryState {
  /** Names the numbering of its events. */
  readonly stream: string;
  /** The number of the next event that is given one. */
  readonly next: number;
  readonly pin?: Pin | undefined;
  /** While what is refused is looked for: how many events to send at most. */
  readonly window?: number | undefined;
  /** Failures in a row. */
  readonly failures: number;
  readonly error?: string | undefined;
  /** Not before this is it tried again, in ms. */
  readonly retryAt?: number | undefined;
  /** How many dead letters there are, and the number of the next. */
  readonly dead: number;
  readonly nextDead: number;
  /** Positions of changes ahead of the slot that have become dead letters already. */
  readonly skipped?: readonly string[] | undefined;
  /** Dead letters to send again. */
  readonly replay?: readonly number[] | undefined;
  /** The branch that it delivers from. */
  readonly line?: number | undefined;
  /** How often something was erased from the database: what was read before may be of it. */
  readonly erasures?: number | undefined;
}

/** Begins the keys under which deliveries keep their state. */
export const STATE_PREFIX = 'deliver:';

/** The keys under which one delivery keeps its state. */
export class DeliveryKeys {
  /** The slot's name as a part of a key: without what separates the parts. */
  readonly slot: string;

  /** Those of the delivery that keeps its state under `key`. */
  static of(key: string): DeliveryKeys {
    return new DeliveryKeys(decodeURIComponent(key.slice(STATE_PREFIX.length)));
  }

  constructor(slot: string) {
    this.slot = encodeURIComponent(slot.toWellFormed()).replaceAll('.', '%2E');
  }

  get state(): string {
    return STATE_PREFIX + this.slot;
  }

  /** The events of a batch that cannot be read again. */
  get batch(): string {
    return `deliver-batch:${this.slot}`;
  }

  /** Begins the keys of dead letters. */
  get letters(): string {
    return `dead:${this.slot}:`;
  }

  letter(id: number): string {
    return this.letters + String(id).padStart(16, '0');
  }

  /** How many dead letters there are of a row. */
  deadKey(key: string): string {
    return `dead-key:${this.slot}:${key}`;
  }
}

/** The state of a delivery; undefined for one that has none yet. To be called in a transaction. */
export function readState(source: DeliveryStore, keys: DeliveryKeys): DeliveryState | undefined {
  const text = source.getState(keys.state);
  return text === undefined ? undefined : (JSON.parse(text) as DeliveryState);
}

/** Keeps the state of a delivery; to be called in a transaction. */
export function writeState(source: DeliveryStore, keys: DeliveryKeys, state: DeliveryState): void {
  source.setState(keys.state, JSON.stringify(state));
}
