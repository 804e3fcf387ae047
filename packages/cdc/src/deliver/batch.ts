import { lowerCase, type Change, type ChangeRow, type ChangeValue } from '../change-log.ts';
import { toJson } from '../json.ts';
import type { ChangeEvent } from '../reader.ts';

/** How much to send at once. */
export interface BatchOptions {
  /** 500 by default. */
  readonly changes?: number | undefined;
  /** About how many bytes of JSON; one change may be larger. 1 MiB by default. */
  readonly bytes?: number | undefined;
}

/** What an event takes in JSON besides its rows. */
const ENVELOPE_BYTES = 160;

/**
 * How many of `events` make a batch of at most `count` events and about `bytes`: at least one, and never part of those
 * that share a position, since a slot can stand only behind all of them.
 */
export function batchLength(
  events: readonly ChangeEvent[],
  count: number,
  bytes: number,
  isSnapshot: boolean = isOfSnapshot(events),
): number {
  let length = 0;
  let total = 0;
  for (let end = 1; end <= events.length; end++) {
    total += weigh(events[end - 1] as ChangeEvent);
    if (
      end < events.length &&
      !canPart(events[end - 1] as ChangeEvent, events[end] as ChangeEvent, isSnapshot)
    )
      continue;
    if (length > 0 && (end > count || total > bytes)) break;
    length = end;
  }
  return length;
}

/** Whether a slot can stand between two events that follow one another. */
function canPart(before: ChangeEvent, after: ChangeEvent, isSnapshot: boolean): boolean {
  if (before.op === 'begin' || after.op === 'commit') return false;
  // Only the event of a table tells where the snapshot stands.
  if (isSnapshot && !('table' in before)) return false;
  return before.lsn !== after.lsn || (isRow(before) && (isRow(after) || after.op === 'snapshot-end'));
}

function isRow(event: ChangeEvent): boolean {
  return event.op === 'insert' && event.isSnapshot === true;
}

/** The position behind an event, as a slot takes it. */
export function positionAfter(event: ChangeEvent): string {
  return event.cursor ?? String(event.lsn);
}

/** The event as it leaves: a cursor holds a key, also one that is hidden or masked. */
export function withoutCursor(event: ChangeEvent): ChangeEvent {
  if (!('cursor' in event)) return event;
  const { cursor: _, ...rest } = event;
  return rest;
}

/** True when these events are not in the log: reading again would find the rows as they are then. */
export function isOfSnapshot(events: readonly ChangeEvent[]): boolean {
  return events.some((event) => event.cursor !== undefined || event.op === 'snapshot-end');
}

/** About how many bytes of JSON an event makes. */
export function weigh(event: ChangeEvent): number {
  if (!('key' in event)) return ENVELOPE_BYTES + ('sql' in event ? (event.sql?.length ?? 0) : 0);
  return ENVELOPE_BYTES + weighRow(event.key) + weighRow(event.before) + weighRow(event.after);
}

function weighRow(row: ChangeRow | null): number {
  let bytes = 0;
  for (const name in row) {
    const value = row[name];
    bytes += name.length + 8;
    if (typeof value === 'string') bytes += value.length;
    else if (value instanceof Uint8Array) bytes += value.length * 1.4;
    else bytes += 8;
  }
  return bytes;
}

/**
 * The rows whose order an event is part of, as texts: its key's, and that of the key which an update gives the row.
 * Events without a key are part of none.
 */
export function keysOf(event: ChangeEvent): string[] {
  if (!('key' in event)) return [];
  const { key, after } = event;
  const keys = [keyText(event, key)];
  if (event.op === 'update' && after !== null) {
    const next = Object.fromEntries(
      Object.entries(key).map(([name, value]) => [name, Object.hasOwn(after, name) ? after[name] : value]),
    ) as ChangeRow;
    const text = keyText(event, next);
    if (text !== keys[0]) keys.push(text);
  }
  return keys;
}

function keyText({ table }: Change, key: ChangeRow): string {
  const values = Object.values(key).map((value: ChangeValue) => toJson(value));
  return JSON.stringify([lowerCase(table), ...values]);
}
