import type { Change, Position } from '../change-log.ts';
import { eventToJson } from '../json.ts';
import { formatPosition, parsePosition, type SnapshotPosition } from '../position.ts';
import { SLOT_PREFIX } from '../slot.ts';
import { keysOf } from './batch.ts';
import { DeadLetters } from './dead-letters.ts';
import { kept, type KeptEvent } from './kept.ts';
import {
  DeliveryKeys,
  readState,
  STATE_PREFIX,
  writeState,
  type DeliveryState,
  type DeliveryStore,
} from './state.ts';
import { getText, putText, removeText } from './text.ts';

export type { Change, ChangeRow, ChangeValue, Position } from '../change-log.ts';
export type { SnapshotPosition } from '../position.ts';
export type { DeliveryStore } from './state.ts';

/** A change that is kept, with what is known of its row. */
export interface KeptChange {
  /** As it is sent: parts of it may be hidden or masked. */
  readonly change: Change;
  /** What the log knows the row by, of a row of a snapshot. */
  readonly position: Position | undefined;
  /** The branch whose row it is. */
  readonly line: number | undefined;
  /** The change's `key` says nothing about the row. */
  readonly isKeyMasked: boolean;
}

/** What is being erased from a database. */
export interface Erasing {
  /** Whether a change is of it. It may find more once it has been asked about others. */
  has(change: KeptChange): boolean;
  /** Whether those who follow the log are told which rows have gone. */
  readonly keepsKeys: boolean;
  /** Rows stay, only their past goes: what a batch has of them is read again. */
  readonly isOfPast: boolean;
  /** A place in a snapshot that is behind the same rows, but at none that is being erased. */
  moved(snapshot: SnapshotPosition): SnapshotPosition;
}

/**
 * Takes what is being erased from a database out of what slots and deliveries keep; to be called in the transaction that
 * erases it, before that is gone from the log. Returns from how many dead letters.
 *
 * Dead letters go, and what comes of their rows is held up no more. A deletion is still told, by its key alone, unless
 * not even that may be kept: the sink may hold the row, and nothing else would tell it. A batch that is on its way keeps
 * its numbers, without the events that go.
 */
export function eraseDelivered(store: DeliveryStore, erasing: Erasing): number {
  let letters = 0;
  for (const [key] of store.listState(STATE_PREFIX)) letters += eraseOf(store, DeliveryKeys.of(key), erasing);
  if (!erasing.keepsKeys)
    for (const [key, position] of store.listState(SLOT_PREFIX))
      store.setState(key, movedText(store, erasing, position));
  return letters;
}

function eraseOf(store: DeliveryStore, keys: DeliveryKeys, erasing: Erasing): number {
  const letters = new DeadLetters(store, keys);
  const line = readState(store, keys)?.line;
  const found = lettersOf(letters, erasing, line);
  const told = found.filter(([, stripped]) => stripped !== undefined).map(([id]) => id);
  const errors = new Set(found.map(([id]) => letters.get(id)?.error));
  for (const [id, stripped] of found) if (stripped !== undefined) letters.replace(id, stripped, ERASED);
  letters.remove(found.filter(([, stripped]) => stripped === undefined).map(([id]) => id));
  if (found.length > 0) letters.silence(errors, ERASED_BESIDE);
  const isRead = eraseBatch(store, keys, erasing, line);
  const state = readState(store, keys) as DeliveryState;
  const { pin, replay = [], erasures = 0, skipped } = state;
  const moved = (position: string): string =>
    erasing.keepsKeys || position === '' ? position : movedText(store, erasing, position);
  const next = [...new Set([...replay, ...told])].toSorted((a, b) => a - b);
  writeState(store, keys, {
    ...state,
    pin: pin === undefined || !isRead ? undefined : { ...pin, from: moved(pin.from), to: moved(pin.to) },
    // What a sink has said may be about what was in a batch.
    error: undefined,
    replay: next.length === 0 ? undefined : next,
    skipped: skipped?.filter((position) => moved(position) === position),
    erasures: erasures + 1,
  });
  return found.length;
}

/** The letters that go, each with what is left of it. */
function lettersOf(
  letters: DeadLetters,
  erasing: Erasing,
  line: number | undefined,
): [id: number, stripped: KeptEvent | undefined][] {
  const found = new Map<number, KeptEvent | undefined>();
  for (let size = -1; size < found.size;) {
    size = found.size;
    for (let after = 0; ;) {
      const page = letters.stored({ after, limit: 20 });
      for (const [id, letter] of page)
        if (!found.has(id) && isErased(letter, erasing, line)) found.set(id, strippedOf(letter, erasing));
      const last = page.at(-1);
      if (last === undefined) break;
      [after] = last;
    }
  }
  return [...found].toSorted(([a], [b]) => a - b);
}

/** Takes events out of the batch that is kept; returns false when it has to be read again. */
function eraseBatch(
  store: DeliveryStore,
  keys: DeliveryKeys,
  erasing: Erasing,
  line: number | undefined,
): boolean {
  const text = getText(store, keys.batch);
  if (text === undefined) return true;
  const events = JSON.parse(text) as (KeptEvent | null)[];
  const left = events.map((event) =>
    event !== null && isErased(event, erasing, line) ? (strippedOf(event, erasing) ?? null) : event,
  );
  if (left.every((event, i) => event === events[i])) return true;
  if (erasing.isOfPast) removeText(store, keys.batch);
  else putText(store, keys.batch, JSON.stringify(left));
  return !erasing.isOfPast;
}

function isErased(letter: KeptEvent, erasing: Erasing, line: number | undefined): boolean {
  const change = kept(letter);
  if (!('key' in change)) return false;
  const { cursor } = letter.event;
  const position = cursor === undefined ? undefined : positionOf(cursor);
  return erasing.has({ change, position, line, isKeyMasked: letter.isKeyMasked === true });
}

function positionOf(cursor: string): Position | undefined {
  return parsePosition(cursor, NEVER).snapshot?.after;
}

/** Why a letter waits that says no more than that its row is gone. */
const ERASED = 'the row has been erased from the database';

/** Stands for what a sink has said of several events, of which one has been erased. */
const ERASED_BESIDE = 'refused together with a row that has been erased from the database';

/** What has been written here can be read. */
const NEVER = { error: (_: string, message: string): Error => new Error(message) };

/**
 * What is left of a change by which a row has gone from its key, which is nothing but the key; undefined for any other
 * change.
 */
function strippedOf(letter: KeptEvent, { keepsKeys, isOfPast }: Erasing): KeptEvent | undefined {
  const change = kept(letter);
  if (!('key' in change) || !keepsKeys || isOfPast) return undefined;
  if (change.op !== 'delete' && keysOf(change).length < 2) return undefined;
  const { key, before } = change;
  if (Object.keys(key).length === 0) return undefined;
  const entries = Object.entries(before ?? {}).map(([name, value]) => [
    name,
    Object.hasOwn(key, name) ? value : null,
  ]);
  return {
    ...letter,
    event: eventToJson({
      ...change,
      op: 'delete',
      before: before && Object.fromEntries(entries),
      after: null,
    }),
  };
}

function movedText(store: DeliveryStore, erasing: Erasing, text: string): string {
  const position = parsePosition(text, store);
  const { snapshot } = position;
  return snapshot === undefined ? text : formatPosition({ ...position, snapshot: erasing.moved(snapshot) });
}
