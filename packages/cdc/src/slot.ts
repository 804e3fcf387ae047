import type { Change, ChangeSource, Lag, MaxLag } from './change-log.ts';
import type { SealedCursors } from './cursor.ts';
import { formatPosition, parsePosition, type From, type StreamPosition } from './position.ts';
import { ChangeReader, type ChangeEvent, type ReaderOptions } from './reader.ts';
import type { Shape, ShapeOptions } from './shape.ts';
import { DEFAULT_BATCH, startOf, type Snapshot } from './subscribe.ts';

/** What a slot reads, and how long the log waits for it. */
export interface SlotOptions extends ShapeOptions, ReaderOptions {
  /** Where a new slot begins: the present, by default, or 0 with a snapshot. */
  readonly fromLSN?: From | undefined;
  /** The publication that says what may leave; without one everything may. */
  readonly publication?: string | undefined;
  readonly snapshot?: Snapshot | undefined;
  /** How far the slot may fall behind before the log is trimmed past it all the same; by default what was said last. */
  readonly maxLag?: MaxLag | undefined;
}

/** A cursor that the database keeps: it survives the object's eviction, and the log waits for it. */
export interface Slot {
  readonly name: string;
  /**
   * The next events, from at most `limit` changes, 500 by default, or of a snapshot as many rows and what has changed
   * meanwhile; empty when there are none now. Reading does not move the slot: until they are acknowledged the same come
   * again; in a snapshot, rows as they are by then. So that
   * rows that have gone meanwhile are taken back, deletions of rows come also before the rows themselves would have.
   *
   * @throws an error with code `LSN_EXPIRED` when the slot has fallen behind by more than `maxLag` and the log has
   * been trimmed past it: {@link Slot.reset} starts again.
   */
  read(limit?: number): Promise<ChangeEvent[]>;
  /**
   * Moves the slot past an event: its `cursor` if it has one, else its `lsn`. Never moves back; of events of one LSN
   * inside a snapshot the one acknowledged last counts, so acknowledge them in order.
   */
  ack(position: From): Promise<void>;
  /** How far it is behind. */
  lag(): Promise<Lag>;
  /** Where it stands: what was acknowledged last. */
  position(): Promise<string>;
  /** Moves the slot to any position, or before a new snapshot. */
  reset(to: From | { readonly snapshot: 'initial' }): Promise<void>;
  /** Forgets the slot, and lets go of the log. */
  drop(): Promise<void>;
}

/** Begins the keys under which the positions of slots are kept. */
export const SLOT_PREFIX = 'slot:';

/** Names of the slots that there are. */
export async function slotNames(source: ChangeSource): Promise<string[]> {
  return source.atomically(() => source.listState(SLOT_PREFIX).map(([key]) => key.slice(SLOT_PREFIX.length)));
}

/** Opens the slot `name`, which is made when it is first used. */
export class LogSlot implements Slot {
  readonly name: string;
  readonly #source: ChangeSource;
  readonly #shape: Shape;
  readonly #options: SlotOptions;
  /** For a publication. */
  readonly #cursors: SealedCursors | undefined;

  constructor(
    source: ChangeSource,
    name: string,
    shape: Shape,
    options: SlotOptions,
    cursors?: SealedCursors,
  ) {
    if (typeof name !== 'string' || name === '' || name.length > 200)
      throw source.error(
        'BAD_PARAMETER',
        `a slot's name is a text of up to 200 characters, not ${JSON.stringify(name)}`,
      );
    this.name = name;
    this.#source = source;
    this.#shape = shape;
    this.#options = options;
    this.#cursors = cursors;
  }

  /** Makes the slot if there is none, so that the log is held from now on. */
  async open(): Promise<this> {
    await this.#source.atomically(() => this.standing());
    return this;
  }

  async read(limit: number = DEFAULT_BATCH): Promise<ChangeEvent[]> {
    const [events, end] = await this.page(limit);
    // What is not wanted need not be held.
    if (events.length === 0) await this.#source.atomically(() => this.moveOn(end));
    return this.#cursors?.sealed(events) ?? events;
  }

  /** The next events and the position behind them; does not move the slot. */
  async page(limit: number): Promise<[ChangeEvent[], StreamPosition]> {
    const from = await this.#source.atomically(() => this.standing());
    const reader = new ChangeReader(this.#source, this.#shape, from, { ...this.#options, mayRepeat: true });
    try {
      return [await reader.next(limit), reader.position];
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('LSN_EXPIRED'))) throw error;
      throw this.#source.error(
        'LSN_EXPIRED',
        `slot "${this.name}" stands at LSN ${from.lsn} and has fallen behind by more than its maxLag, so the log has been trimmed past it: reset({ snapshot: 'initial' }) starts again`,
      );
    }
  }

  /** Whether the key of a change that the slot has read is masked. */
  isKeyMasked(change: Change): boolean {
    return this.#shape.isKeyMasked(change);
  }

  async ack(position: From): Promise<void> {
    const to = await this.#parsed(position);
    return this.#source.atomically(() => {
      const end = this.#source.end();
      if (to.lsn > end)
        throw this.#source.error(
          'BAD_PARAMETER',
          `LSN ${to.lsn} lies past the last change, which has LSN ${end}`,
        );
      this.moveOn(to);
    });
  }

  /** Moves the slot to a position; to be called in a transaction. */
  moveOn(to: StreamPosition): void {
    const from = this.standing();
    const isBehind =
      to.lsn < from.lsn ||
      (from.snapshot === undefined && (to.snapshot !== undefined || to.lsn === from.lsn));
    if (!isBehind) this.#set(to);
  }

  async lag(): Promise<Lag> {
    const { lsn } = await this.#source.atomically(() => this.standing());
    return this.#source.lag(lsn);
  }

  async position(): Promise<string> {
    const text = formatPosition(await this.#source.atomically(() => this.standing()));
    return this.#cursors?.seal(text) ?? text;
  }

  async reset(to: From | { readonly snapshot: 'initial' }): Promise<void> {
    const position = typeof to === 'object' ? undefined : await this.#parsed(to);
    return this.#source.atomically(() => this.#set(position ?? startOf(this.#source, 0, 'initial')));
  }

  drop(): Promise<void> {
    return this.#source.atomically(() => {
      this.#source.setState(SLOT_PREFIX + this.name, undefined);
      this.#source.release(SLOT_PREFIX + this.name);
    });
  }

  #parsed(position: From): Promise<StreamPosition> | StreamPosition {
    return this.#cursors?.open(position) ?? parsePosition(position, this.#source);
  }

  /** Where the slot stands; one that is new begins here. To be called in a transaction. */
  standing(): StreamPosition {
    const kept = this.#source.getState(SLOT_PREFIX + this.name);
    if (kept !== undefined) return parsePosition(kept, this.#source);
    const { fromLSN, snapshot = 'none' } = this.#options;
    const from = fromLSN ?? (snapshot === 'none' ? this.#source.end() : 0);
    const position = startOf(this.#source, from, snapshot);
    this.#set(position);
    return position;
  }

  #set(position: StreamPosition): void {
    this.#source.setState(SLOT_PREFIX + this.name, formatPosition(position));
    this.#source.hold(SLOT_PREFIX + this.name, position.lsn, this.#options.maxLag);
  }
}
