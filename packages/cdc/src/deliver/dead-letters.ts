import type { ChangeSource } from '../change-log.ts';
import { eventFromJson, eventToJson, type JsonEvent } from '../json.ts';
import type { ChangeEvent } from '../reader.ts';
import { keysOf } from './batch.ts';
import { readState, writeState, type DeliveryKeys } from './state.ts';
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

interface StoredLetter {
  readonly event: JsonEvent;
  readonly error: string;
  readonly at: number;
  readonly isBehind?: true;
}

const BEHIND = 'an earlier change of this row is a dead letter';

/** The dead letters of one delivery. Its methods are to be called in a transaction. */
export class DeadLetters {
  readonly #source: ChangeSource;
  readonly #keys: DeliveryKeys;

  constructor(source: ChangeSource, keys: DeliveryKeys) {
    this.#source = source;
    this.#keys = keys;
  }

  /** Adds a letter; without an error one that waits behind another. */
  add(event: ChangeEvent, error?: string): void {
    const state = readState(this.#source, this.#keys);
    if (state === undefined) return;
    this.#put(state.nextDead, event, error);
    for (const key of keysOf(event)) this.#count(key, 1);
    writeState(this.#source, this.#keys, { ...state, dead: state.dead + 1, nextDead: state.nextDead + 1 });
  }

  /** Says why a letter was refused again. */
  refuse(id: number, error: string): void {
    const letter = this.get(id);
    if (letter !== undefined) this.#put(id, letter.event, error);
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
    return text === undefined ? undefined : letterOf(id, text);
  }

  list({ after = 0, limit = 100 }: DeadLetterOptions = {}): DeadLetter[] {
    return this.#source
      .listState(this.#keys.letters, { after: this.#keys.letter(after), limit })
      .map(([key, value]) =>
        letterOf(Number(key.slice(this.#keys.letters.length)), wholeText(this.#source, key, value)),
      );
  }

  /** Removes letters, as far as they are there; returns how many. */
  remove(ids: readonly number[]): number {
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

  #put(id: number, event: ChangeEvent, error: string | undefined): void {
    const letter: StoredLetter = {
      event: eventToJson(event),
      error: error ?? BEHIND,
      at: this.#source.nowMs(),
      ...(error === undefined ? { isBehind: true } : {}),
    };
    putText(this.#source, this.#keys.letter(id), JSON.stringify(letter));
  }

  #count(key: string, by: number): void {
    const at = this.#keys.deadKey(key);
    const count = Number(this.#source.getState(at) ?? 0) + by;
    this.#source.setState(at, count > 0 ? String(count) : undefined);
  }
}

function letterOf(id: number, text: string): DeadLetter {
  const { event, error, at, isBehind = false } = JSON.parse(text) as StoredLetter;
  return { id, event: eventFromJson(event), error, at: new Date(at), isBehind };
}
