import type { ChangeSource } from '../change-log.ts';
import { encodeHex } from '../hex.ts';
import { formatPosition, parsePosition } from '../position.ts';
import type { ChangeEvent } from '../reader.ts';
import type { LogSlot, Slot } from '../slot.ts';
import { backoffMs } from './backoff.ts';
import { batchLength, isOfSnapshot, positionAfter, weigh, withoutCursor } from './batch.ts';
import { DeadLetters, type DeadLetterOptions, type DeadLetter } from './dead-letters.ts';
import { keep, kept, type KeptEvent } from './kept.ts';
import type { DeliverOptions, Delivery, DeliveryStatus, ReplayOptions, ReplayResult } from './options.ts';
import { replayable } from './replay.ts';
import { placesIn, runsOf } from './runs.ts';
import { isPermanent, RetryLaterError, type Batch, type RefusedEvent, type Sink } from './sink.ts';
import { DeliveryKeys, readState, writeState, type DeliveryState, type Pin } from './state.ts';
import { getText, putText, removeText } from './text.ts';
import { within } from './within.ts';

/** A batch, and where it came from. */
interface Pinned {
  readonly pin: Pin;
  readonly events: readonly ChangeEvent[];
  /** The place of each event among all that the batch was made of. */
  readonly places: readonly number[];
  /** How often something had been erased from the database when they were read. */
  readonly erasures: number;
}

/** What a step has come to: nothing to do, something done, nothing to do before some time. */
type Step = 'idle' | 'done' | 'wait';

const MIB = 1_048_576;

/**
 * Delivers a slot's events to a sink, from the object's alarm.
 *
 * Invariants: a batch is pinned in the database before it is sent, so that it is sent again just as it was, however
 * the object ends; the slot moves on, in the transaction that unpins the batch, only when the sink has taken it. One
 * batch is on its way at a time, so the order is the log's. What is erased from the database is taken out of the state;
 * events that were read before are neither sent nor kept then.
 */
export class SlotDelivery implements Delivery {
  readonly #source: ChangeSource;
  readonly #keys: DeliveryKeys;
  readonly #letters: DeadLetters;
  #slot: LogSlot;
  #sink: Sink;
  #options: DeliverOptions;
  /** What a change takes, about: large ones are read few at a time. */
  #changeBytes = 4_096;
  #running: Promise<void> | undefined;
  #disarm: (() => void) | undefined;

  constructor(source: ChangeSource, slot: LogSlot, sink: Sink, options: DeliverOptions) {
    this.#source = source;
    this.#slot = slot;
    this.#sink = sink;
    this.#options = options;
    this.#keys = new DeliveryKeys(slot.name);
    this.#letters = new DeadLetters(source, this.#keys);
  }

  get slot(): Slot {
    return this.#slot;
  }

  /** Goes on with another slot of the same name, sink and options. */
  configure(slot: LogSlot, sink: Sink, options: DeliverOptions): void {
    this.#slot = slot;
    this.#sink = sink;
    this.#options = options;
  }

  /** Begins to watch for commits, and sets the timer if there is something to send already. */
  async start(): Promise<this> {
    const source = this.#source;
    await this.#slot.open();
    source.onTimer(this.#timer, () => this.run());
    this.#disarm = source.scheduleOnCommit(this.#timer, this.#options.lingerMs ?? 0);
    const at = await source.atomically(() => {
      const known = readState(source, this.#keys);
      const state = known ?? newState();
      if (known === undefined || known.line !== source.line)
        writeState(source, this.#keys, { ...state, line: source.line });
      const { lsn, snapshot } = this.#slot.standing();
      const isBehind = snapshot !== undefined || lsn < source.end() || state.pin !== undefined;
      // A new one is tried at once: where no timer can be set, that is told now.
      return known === undefined || isBehind || state.replay !== undefined ? (state.retryAt ?? 0) : undefined;
    });
    if (at !== undefined) await source.schedule(this.#timer, Math.max(at, source.nowMs()));
    return this;
  }

  async status(): Promise<DeliveryStatus> {
    const source = this.#source;
    const { failures, error, retryAt, dead } = await source.atomically(() => this.#state());
    return {
      position: await this.#slot.position(),
      lag: await this.#slot.lag(),
      failures,
      error,
      retryAt: retryAt === undefined ? undefined : new Date(retryAt),
      deadLetters: dead,
    };
  }

  async stop(): Promise<void> {
    this.#disarm?.();
    this.#disarm = undefined;
    await this.#running?.catch(() => {});
    await this.#source.cancel(this.#timer);
  }

  async drop(): Promise<void> {
    await this.stop();
    await this.#slot.drop();
    const source = this.#source;
    const some = (): number => this.#letters.remove(this.#letters.list().map(({ id }) => id));
    while ((await source.atomically(some)) > 0);
    await source.atomically(() => {
      removeText(source, this.#keys.batch);
      source.setState(this.#keys.state, undefined);
    });
  }

  /** Sends what there is to send, for one slice of time. A call while one is running joins it. */
  run(): Promise<void> {
    if (this.#disarm === undefined) return Promise.resolve();
    return (this.#running ??= this.#slice().finally(() => {
      this.#running = undefined;
    }));
  }

  /** The first dead letters after an id. */
  deadLetters(options?: DeadLetterOptions): Promise<DeadLetter[]> {
    return this.#source.atomically(() => this.#letters.list(options));
  }

  /** Sends dead letters again, in their order. */
  async replay({ ids, limit = 1_000 }: ReplayOptions = {}): Promise<ReplayResult> {
    const source = this.#source;
    const asked = await source.atomically(() => {
      const asked = replayable(source, this.#letters, ids, limit);
      const waiting = this.#state().replay ?? [];
      const replay = [...new Set([...waiting, ...asked])].toSorted((a, b) => a - b);
      this.#update({ replay, retryAt: undefined });
      return asked;
    });
    await source.schedule(this.#timer, source.nowMs());
    await this.#running?.catch(() => {});
    await this.run();
    return source.atomically(() => {
      const left = asked.filter((id) => this.#letters.get(id) !== undefined).length;
      return { delivered: asked.length - left, left };
    });
  }

  get #timer(): string {
    return `dosql:deliver:${this.#slot.name}`;
  }

  async #slice(): Promise<void> {
    const source = this.#source;
    const { batches = 100, ms = 20_000 } = this.#options.slice ?? {};
    const started = source.nowMs();
    for (let i = 0; i < batches && source.nowMs() - started < ms; i++) {
      const step = await this.#step();
      if (step === 'idle' || this.#disarm === undefined) return;
      if (step === 'wait') {
        const { retryAt } = await source.atomically(() => this.#state());
        await source.schedule(this.#timer, retryAt ?? source.nowMs());
        return;
      }
    }
    await source.schedule(this.#timer, source.nowMs());
  }

  async #step(): Promise<Step> {
    const state = await this.#source.atomically(() => this.#unpinStale());
    if ((state.retryAt ?? 0) > this.#source.nowMs()) return 'wait';
    let pinned: Pinned | Step;
    try {
      pinned = state.pin === undefined ? await this.#pinNext(state) : await this.#read(state.pin, state);
    } catch (error) {
      // The log may have been trimmed past the slot, or a table be gone that it names: that can be mended.
      return this.#failed(error, state);
    }
    return typeof pinned === 'string' ? pinned : this.#send(pinned);
  }

  /** Forgets a batch whose slot has been moved meanwhile. */
  #unpinStale(): DeliveryState {
    const state = this.#state();
    const { pin } = state;
    if (pin === undefined || pin.letters !== undefined || pin.from === this.#standing()) return state;
    removeText(this.#source, this.#keys.batch);
    return this.#update({ pin: undefined, skipped: undefined });
  }

  /** Makes the next batch and pins it. */
  async #pinNext(state: DeliveryState): Promise<Pinned | Step> {
    const source = this.#source;
    const { changes = 500, bytes = MIB } = this.#options.batch ?? {};
    const limit = Math.min(changes, state.window ?? Infinity, Math.ceil((2 * bytes) / this.#changeBytes));
    if (state.replay !== undefined) return source.atomically(() => this.#pinLetters(limit, bytes));
    const from = await source.atomically(() => this.#slot.standing());
    if (from.snapshot === undefined && from.lsn >= source.end()) return 'idle';
    const [events, end] = await this.#slot.page(limit);
    if (events.length > 0)
      this.#changeBytes = events.reduce((sum, event) => sum + weigh(event), 0) / events.length;
    return source.atomically(() => {
      if (this.#standing() !== formatPosition(from) || this.#hasErased(state)) return 'done';
      if (events.length === 0) {
        this.#slot.moveOn(end);
        return 'idle';
      }
      const batch = events.slice(0, batchLength(events, limit, bytes));
      const to =
        batch.length === events.length ? formatPosition(end) : positionAfter(batch.at(-1) as ChangeEvent);
      return this.#pin(batch, { from: formatPosition(from), to, limit });
    });
  }

  #pin(
    batch: readonly ChangeEvent[],
    { from, to, limit }: Pick<Pin, 'from' | 'to' | 'limit'>,
  ): Pinned | Step {
    const events = this.#setAside(batch);
    if (events.length === 0) {
      this.#slot.moveOn(parsePosition(to, this.#source));
      return 'done';
    }
    const isKept = isOfSnapshot(batch);
    if (isKept)
      putText(
        this.#source,
        this.#keys.batch,
        JSON.stringify(events.map((event) => keep(event, this.#isKeyMasked(event)))),
      );
    const count = events.length;
    return this.#numbered(
      { from, to, limit, count, ...(isKept ? { isKept } : { runs: runsOf(events) }) },
      events,
    );
  }

  /** Gives a batch its numbers, which none had before. */
  #numbered(batch: Omit<Pin, 'first' | 'attempts' | 'refusals'>, events: readonly ChangeEvent[]): Pinned {
    const { next, erasures = 0 } = this.#state();
    const pin = { ...batch, first: next, attempts: 0, refusals: 0 };
    this.#update({ pin, next: next + pin.count });
    return { pin, events, places: events.map((_, i) => i), erasures };
  }

  /** Makes dead letters of the events whose rows have some; returns the others. */
  #setAside(events: readonly ChangeEvent[]): readonly ChangeEvent[] {
    const { dead, skipped = [] } = this.#state();
    if (dead === 0 && skipped.length === 0) return events;
    const known = new Set(skipped);
    const free = events.filter((event) => {
      if (!('key' in event)) return true;
      const position = positionAfter(event);
      if (known.has(position)) return false;
      if (!this.#letters.isBehind(event)) return true;
      this.#letters.add(event, this.#isKeyMasked(event));
      known.add(position);
      return false;
    });
    this.#update({ skipped: [...known] });
    return free;
  }

  #pinLetters(limit: number, bytes: number): Pinned | Step {
    const { replay = [] } = this.#state();
    const found = replay
      .slice(0, limit)
      .map((id) => this.#letters.get(id))
      .filter((letter) => letter !== undefined);
    let total = 0;
    const letters = found.filter(({ event }, i) => (total += weigh(event)) <= bytes || i === 0);
    if (letters.length === 0) {
      const rest = replay.slice(limit);
      this.#update({ replay: rest.length === 0 ? undefined : rest });
      return 'done';
    }
    const ids = letters.map(({ id }) => id);
    return this.#numbered(
      { from: '', to: '', limit, count: ids.length, letters: ids },
      letters.map(({ event }) => event),
    );
  }

  /** The events of a batch that was pinned before. */
  async #read(pin: Pin, { erasures = 0 }: DeliveryState): Promise<Pinned | Step> {
    const source = this.#source;
    if (pin.letters !== undefined || pin.isKept === true) {
      const read = (): (ChangeEvent | undefined)[] => this.#readKept(pin);
      const found = (await source.atomically(read)).flatMap((event, place) =>
        event === undefined ? [] : [{ event, place }],
      );
      const [events, places] = [found.map(({ event }) => event), found.map(({ place }) => place)];
      return { pin, events, places, erasures };
    }
    const [page, end] = await this.#slot.page(pin.limit);
    const { lsn } = parsePosition(pin.to, source);
    const { skipped = [] } = await source.atomically(() => this.#state());
    const events = page.filter(
      (event) => event.lsn <= lsn && !('key' in event && skipped.includes(positionAfter(event))),
    );
    const places = placesIn(pin.runs ?? [], events);
    if (end.lsn >= lsn && places !== undefined) return { pin, events, places, erasures };
    // Another version of the program reads something else: this one makes another batch.
    await source.atomically(() => this.#update({ pin: undefined, skipped: undefined }));
    return 'done';
  }

  /** The events of a batch that are kept; undefined where one has gone. */
  #readKept({ letters }: Pin): (ChangeEvent | undefined)[] {
    if (letters !== undefined) return letters.map((id) => this.#letters.get(id)?.event);
    const text = getText(this.#source, this.#keys.batch) ?? '[]';
    return (JSON.parse(text) as (KeptEvent | null)[]).map((event) =>
      event === null ? undefined : kept(event),
    );
  }

  async #send(pinned: Pinned): Promise<Step> {
    const { pin, events } = pinned;
    let failed: readonly RefusedEvent[] = [];
    try {
      if (events.length > 0) {
        const state = await this.#source.atomically(() => this.#state());
        if (this.#hasErased(pinned, state)) return 'done';
        const batch = this.#batch(state.stream, pinned);
        const { timeoutMs = 30_000 } = this.#options;
        const send = (signal: AbortSignal): Promise<unknown> =>
          this.#sink.send(batch, { signal, attempt: pin.attempts + 1 });
        const result = (await within(timeoutMs, send)) as { failed?: readonly RefusedEvent[] } | undefined;
        failed = result?.failed ?? [];
      }
    } catch (error) {
      return isPermanent(error) ? this.#refused(pinned, error) : this.#failed(error, pinned);
    }
    await this.#source.atomically(() => {
      if (this.#isOver(pin)) return;
      // What was refused may have been erased meanwhile: what is left of the batch is sent again.
      if (failed.length > 0 && this.#hasErased(pinned)) return;
      this.#unpin(pinned, failed);
      const { window } = this.#state();
      const wider = window === undefined ? Infinity : window * 2;
      const isSearching = wider < (this.#options.batch?.changes ?? 500);
      this.#update(isSearching ? { window: wider } : { window: undefined, skipped: undefined });
    });
    return 'done';
  }

  #batch(stream: string, { pin, events, places }: Pinned): Batch {
    const { name: slot } = this.#slot;
    const { name: source } = this.#source;
    const id = `${source}/${slot}/${stream}/${pin.first}-${pin.first + pin.count - 1}`;
    const numbers = Array.from({ length: pin.count }, (_, i) => pin.first + i);
    const there = new Set(places);
    return {
      id,
      source,
      slot,
      stream,
      sequence: pin.first,
      events: events.map(withoutCursor),
      ...(events.length < pin.count ? { erased: numbers.filter((_, place) => !there.has(place)) } : {}),
      ...(pin.letters === undefined ? {} : { isReplay: true }),
    };
  }

  /** What failed without saying that it always will is sent again, later. */
  #failed(
    error: unknown,
    { pin, erasures }: Pick<DeliveryState, 'pin' | 'erasures'>,
    refusals: number = 0,
  ): Promise<Step> {
    return this.#source.atomically(() => {
      const state = this.#state();
      const failures = state.failures + 1;
      const { retry = {}, random = Math.random } = this.#options;
      const asked = error instanceof RetryLaterError ? error.retryAfterMs : undefined;
      this.#update({
        failures,
        // It may say what has been erased.
        error: this.#hasErased({ erasures }, state) ? undefined : messageOf(error),
        retryAt: this.#source.nowMs() + backoffMs(failures, retry, random, asked),
        pin:
          pin === undefined || state.pin?.first !== pin.first
            ? state.pin
            : { ...state.pin, attempts: pin.attempts + 1, refusals },
      });
      return 'wait';
    });
  }

  /**
   * What is refused for good often enough is looked for by sending half, until it is one event: that becomes a dead
   * letter. Batches then grow again.
   */
  async #refused(pinned: Pinned, error: unknown): Promise<Step> {
    const { pin, events } = pinned;
    const refusals = pin.refusals + 1;
    const source = this.#source;
    const state = await source.atomically(() => this.#state());
    const needed = state.window === undefined ? (this.#options.retry?.attempts ?? 3) : 1;
    if (refusals < needed) return this.#failed(error, pinned, refusals);
    return source.atomically(() => {
      if (this.#isOver(pin) || this.#hasErased(pinned)) return 'done';
      const half = Math.max(1, Math.floor(events.length / 2));
      const length = pin.letters === undefined ? batchLength(events, half, Infinity, pin.isKept) : half;
      if (length < events.length) {
        removeText(source, this.#keys.batch);
        this.#update({ pin: undefined, window: half, error: messageOf(error) });
      } else {
        const message = messageOf(error);
        this.#unpin(
          pinned,
          events.map((_, index) => ({ index, message })),
        );
      }
      return 'done';
    });
  }

  /** Moves on behind a batch: what failed of it becomes, or stays, dead letters. */
  #unpin({ pin, events, places }: Pinned, failed: readonly RefusedEvent[]): void {
    removeText(this.#source, this.#keys.batch);
    if (pin.letters === undefined) {
      // Where it was pinned may have been a row that has been erased.
      const { to } = this.#state().pin ?? pin;
      this.#slot.moveOn(parsePosition(to, this.#source));
      for (const { index, message } of failed) {
        const event = events[index];
        if (event !== undefined) this.#letters.add(event, this.#isKeyMasked(event), message);
      }
    } else {
      this.#unpinLetters(pin.letters, places, failed);
    }
    this.#update({ pin: undefined, failures: 0, error: undefined, retryAt: undefined });
  }

  #unpinLetters(ids: readonly number[], places: readonly number[], failed: readonly RefusedEvent[]): void {
    const sentIds = places.map((place) => ids[place] as number);
    const refused = failed.map(({ index, message }) => ({ id: sentIds[index], message }));
    for (const { id, message } of refused) if (id !== undefined) this.#letters.refuse(id, message);
    const stays = new Set(refused.map(({ id }) => id));
    this.#letters.remove(sentIds.filter((id) => !stays.has(id)));
    const sent = new Set(ids);
    // Those behind one that was refused again have to stay, too.
    const rest = (this.#state().replay ?? []).filter((id) => !sent.has(id));
    const replay = rest.filter((id) => {
      const letter = this.#letters.get(id);
      return letter !== undefined && !this.#letters.isAfter(letter, stays);
    });
    this.#update({ replay: replay.length === 0 ? undefined : replay });
  }

  /** Whether a batch is not what is on its way any more, for its slot has been moved. */
  #isOver(pin: Pin): boolean {
    return this.#unpinStale().pin?.first !== pin.first;
  }

  /** Whether something has been erased from the database since events were read. */
  #hasErased(
    { erasures = 0 }: { readonly erasures?: number | undefined },
    state: DeliveryState = this.#state(),
  ): boolean {
    return (state.erasures ?? 0) !== erasures;
  }

  #isKeyMasked(event: ChangeEvent): boolean {
    return 'key' in event && this.#slot.isKeyMasked(event);
  }

  #standing(): string {
    return formatPosition(this.#slot.standing());
  }

  #state(): DeliveryState {
    return readState(this.#source, this.#keys) ?? newState();
  }

  #update(changes: Partial<DeliveryState>): DeliveryState {
    const state = { ...this.#state(), ...changes };
    writeState(this.#source, this.#keys, state);
    return state;
  }
}

function newState(): DeliveryState {
  const stream = encodeHex(crypto.getRandomValues(new Uint8Array(8)));
  return { stream, next: 0, failures: 0, dead: 0, nextDead: 1 };
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 1_000);
}
