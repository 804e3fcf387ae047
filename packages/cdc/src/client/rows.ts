import type { ChangeRow, ChangeValue } from '../change-log.ts';
import { rowFromJson, toJson, type JsonEvent, type JsonRow } from '../json.ts';

/** What has happened to one row of a live query. */
export interface RowChange<T = ChangeRow> {
  readonly op: 'insert' | 'update' | 'delete';
  /** The row's name in the query's `rows`. */
  readonly key: string;
  /** Missing for an insert. */
  readonly before?: T;
  /** Missing for a delete. */
  readonly after?: T;
}

/** The name of the row with these values of the primary key, in the key's order: `rowKey(42)`. */
export function rowKey(...values: readonly ChangeValue[]): string {
  return JSON.stringify(values.map(toJson));
}

/**
 * Applies events to rows, in order; returns what is then different, one change a row.
 */
export function applyEvents(rows: Map<string, ChangeRow>, events: readonly JsonEvent[]): RowChange[] {
  const before = new Map<string, ChangeRow | undefined>();
  const touch = (name: string): void => {
    if (!before.has(name)) before.set(name, rows.get(name));
  };
  for (const { key, after, op } of events) {
    if (key === undefined) continue;
    const old = nameOf(key);
    touch(old);
    // An insert can be of a row whose key has changed just when it came into view.
    if (op !== 'update' || after === null || nameOf(keyOf(key, after)) !== old) rows.delete(old);
    if (!after) continue;
    const now = keyOf(key, after);
    touch(nameOf(now));
    rows.set(nameOf(now), rowFromJson({ ...now, ...after }));
  }
  const changes = Array.from(before, ([key, was]) => changeOf(key, was, rows.get(key)));
  return changes.filter((change) => change !== undefined);
}

/** What turns some rows into others, one change a row. */
export function difference(
  from: ReadonlyMap<string, ChangeRow>,
  to: ReadonlyMap<string, ChangeRow>,
): RowChange[] {
  const names = new Set([...from.keys(), ...to.keys()]);
  const changes = Array.from(names, (key) => changeOf(key, from.get(key), to.get(key)));
  return changes.filter((change) => change !== undefined);
}

/** The key that a row has after an event, which `after` tells when it has changed. */
function keyOf(key: JsonRow, after: JsonRow | null | undefined): JsonRow {
  if (!after) return key;
  return Object.fromEntries(
    Object.entries(key).map(([name, value]) => [
      name,
      Object.hasOwn(after, name) ? (after[name] ?? null) : value,
    ]),
  );
}

function nameOf(key: JsonRow): string {
  return JSON.stringify(Object.values(key));
}

function changeOf(
  key: string,
  before: ChangeRow | undefined,
  after: ChangeRow | undefined,
): RowChange | undefined {
  if (before === undefined) return after && { op: 'insert', key, after };
  if (after === undefined) return { op: 'delete', key, before };
  return isSameRow(before, after) ? undefined : { op: 'update', key, before, after };
}

function isSameRow(a: ChangeRow, b: ChangeRow): boolean {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && isSameValue(a[name], b[name]));
}

function isSameValue(a: ChangeValue | undefined, b: ChangeValue | undefined): boolean {
  if (!(a instanceof Uint8Array && b instanceof Uint8Array)) return a === b;
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
