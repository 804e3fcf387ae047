import type { ChangeEvent } from '../reader.ts';
import { keysOf, withoutCursor } from './batch.ts';
import { keep, kept, type KeptEvent } from './kept.ts';
import { readState, writeState, type DeliveryKeys, type DeliveryStore } from './state.ts';
import { getText, putText, removeText, wholeText } from './text.ts';

/** An event that the sink refused for good, or that has to wait behind one of its row that was. */
export interface DeadLetter {
  /** From 1; rises in the order of a row's events. */
  readonly id: number;
  /** As it would have been sent: masked as its publication says. */
  readonly event: ChangeEvent;
  /** Why it was refused. */
  readonly error: string;
  readonly at: Date;
  /** True when it was not refused itself, but keeps its place behind a dead letter of its row. */
  readonly isBehind: boolean;
}

/** Which dead letters to list. */
export interface DeadLetterOptions {
  /** Only those after this id. */
  readonly after?: number | undefined;
  /** 100 by default. */
  readonly limit?: number | undefined;
}

/** A dead letter as it is kept. */
export interface StoredLetter extends KeptEvent {
  readonly error: string;
  readonly at: number;
  readonly isBehind?: true;
}

/** Why a letter waits that was not refused itself. */
const BEHIND = 'an earlier change of this row is a dead letter';

/** The dead letters of one delivery. Its methods are to be called in a transaction. */
export class DeadLetters {
  readonly #source: DeliveryStore;
  readonly #keys: DeliveryKeys;

  constructor(source: DeliveryStore, keys: DeliveryKeys) {
    this.#source = source;
    this.#keys = keys;
  }

  /** Adds a letter; without an error one that waits behind another. */
  add(event: ChangeEvent, isKeyMasked: boolean, error?: string): void {
    const state = readState(this.#source, this.#keys);
    if (state === undefined) return;
    this.#put(state.nextDead, {
      ...keep(event, isKeyMasked),
      error: error ?? BEHIND,
      at: this.#source.nowMs(),
      ...(error === undefined ? { isBehind: true } : {}),
    });
    for (const key of keysOf(event)) this.#count(key, 1);
    writeState(this.#source, this.#keys, { ...state, dead: state.dead + 1, nextDead: state.nextDead + 1 });
  }

  /** Says why a letter was refused again. */
  refuse(id: number, error: string): void {
    const text = getText(this.#source, this.#keys.letter(id));
    if (text === undefined) return;
    const { isBehind: _, ...letter } = JSON.parse(text) as StoredLetter;
    this.#put(id, { ...letter, error, at: this.#source.nowMs() });
  }

  /** Puts an event of the same row in the place of a letter's, with the reason for it. */
  replace(id: number, event: KeptEvent, error: string): void {
    const text = getText(this.#source, this.#keys.letter(id));
    if (text === undefined) return;
    const letter = JSON.parse(text) as StoredLetter;
    for (const key of keysOf(kept(letter))) this.#count(key, -1);
    for (const key of keysOf(kept(event))) this.#count(key, 1);
    this.#put(id, { ...letter, ...event, error });
  }

  /** Says `error` in the place of some others. */
  silence(errors: ReadonlySet<string | undefined>, error: string): void {
    for (let after = 0; ;) {
      const page = this.stored({ after, limit: 20 });
      for (const [id, letter] of page)
        if (letter.isBehind === undefined && errors.has(letter.error)) this.#put(id, { ...letter, error });
      const last = page.at(-1);
      if (last === undefined) return;
      [after] = last;
    }
  }

  /** Whether an event has to wait behind a dead letter. */
  isBehind(event: ChangeEvent): boolean {
    return keysOf(event).some((key) => this.#source.getState(this.#keys.deadKey(key)) !== undefined);
  }

  /** Whether a letter comes after one of `ids` of the same row. */
  isAfter({ id, event }: DeadLetter, ids: ReadonlySet<number | undefined>): boolean {
    const keys = new Set(keysOf(event));
    for (const other of ids) {
      if (other === undefined || other >= id) continue;
      const earlier = this.get(other);
      if (earlier !== undefined && keysOf(earlier.event).some((key) => keys.has(key))) return true;
    }
    return false;
  }

  get(id: number): DeadLetter | undefined {
    const text = getText(this.#source, this.#keys.letter(id));
    return text === undefined ? undefined : letterOf(id, JSON.parse(text) as StoredLetter);
  }

  list(options?: DeadLetterOptions): DeadLetter[] {
    return this.stored(options).map(([id, letter]) => letterOf(id, letter));
  }

  /** The letters as they are kept. */
  stored({ after = 0, limit = 100 }: DeadLetterOptions = {}): [id: number, letter: StoredLetter][] {
    const { letters } = this.#keys;
    return this.#source
      .listState(letters, { after: this.#keys.letter(after), limit })
      .map(([key, value]) => [
        Number(key.slice(letters.length)),
        JSON.parse(wholeText(this.#source, key, value)) as StoredLetter,
      ]);
  }

  /** Removes letters, as far as they are there; returns how many. */
  remove(ids: Iterable<number>): number {
    let removed = 0;
    for (const id of new Set(ids)) {
      const letter = this.get(id);
      if (letter === undefined) continue;
      removeText(this.#source, this.#keys.letter(id));
      for (const key of keysOf(letter.event)) this.#count(key, -1);
      removed++;
    }
    const state = readState(this.#source, this.#keys);
    if (state !== undefined && removed > 0)
      writeState(this.#source, this.#keys, { ...state, dead: state.dead - removed });
    return removed;
  }

  #put(id: number, letter: StoredLetter): void {
    putText(this.#source, this.#keys.letter(id), JSON.stringify(letter));
  }

  #count(key: string, by: number): void {
    const at = this.#keys.deadKey(key);
    const count = Number(this.#source.getState(at) ?? 0) + by;
    this.#source.setState(at, count > 0 ? String(count) : undefined);
  }
}

function letterOf(id: number, letter: StoredLetter): DeadLetter {
  const { error, at, isBehind = false } = letter;
  return { id, event: withoutCursor(kept(letter)), error, at: new Date(at), isBehind };
}
