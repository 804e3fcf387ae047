import { eventFromJson, eventToJson, type JsonEvent } from '../json.ts';
import type { ChangeEvent } from '../reader.ts';
import { withoutCursor } from './batch.ts';

/**
 * An event that a delivery keeps, as JSON. A row of a snapshot has its cursor, by which the row is found when it is
 * erased, whatever of its key the event shows; other events have none, as theirs would name another row.
 */
export interface KeptEvent {
  readonly event: JsonEvent;
  /** Its key is not what the database knows the row by. */
  readonly isKeyMasked?: true;
}

/** What to keep of an event. */
export function keep(event: ChangeEvent, isKeyMasked: boolean): KeptEvent {
  const isRow = event.op === 'insert' && event.isSnapshot === true;
  return {
    event: eventToJson(isRow ? event : withoutCursor(event)),
    ...(isKeyMasked ? { isKeyMasked } : {}),
  };
}

/** The event that is kept. */
export function kept({ event }: KeptEvent): ChangeEvent {
  return eventFromJson(event);
}
