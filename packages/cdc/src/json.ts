import { decodeBase64, encodeBase64 } from './base64.ts';
import type { ChangeRow, ChangeValue } from './change-log.ts';
import type { ChangeEvent } from './reader.ts';

/** What JSON has no word for: integers past 2^53, blobs (base64) and infinities are objects of one property. */
export type TaggedValue =
  | { readonly $int: string }
  | { readonly $blob: string }
  | { readonly $real: 'Infinity' | '-Infinity' };

/** A value in JSON. */
export type JsonValue = string | number | null | TaggedValue;

/** A row in JSON. */
export type JsonRow = Readonly<Record<string, JsonValue>>;

/** An event in JSON: LSNs are numbers, times ISO 8601 in UTC. */
export interface JsonEvent {
  readonly op: ChangeEvent['op'];
  readonly lsn: number;
  readonly tx: number;
  readonly timestamp: string;
  readonly table?: string;
  readonly key?: JsonRow;
  readonly before?: JsonRow | null;
  readonly after?: JsonRow | null;
  readonly sql?: string | null;
  readonly cursor?: string;
  readonly isSnapshot?: true;
}

/** A value as JSON can hold it. */
export function toJson(value: ChangeValue): JsonValue {
  if (typeof value === 'bigint') return { $int: String(value) };
  if (typeof value === 'number' && !Number.isFinite(value))
    return { $real: value > 0 ? 'Infinity' : '-Infinity' };
  if (typeof value === 'object' && value !== null) return { $blob: encodeBase64(value) };
  return value;
}

/** The value that {@link toJson} wrote; undefined for anything else. */
export function fromJson(value: unknown): ChangeValue | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  if (typeof value !== 'object') return undefined;
  const { $int: int, $blob: blob, $real: real } = value as Record<string, unknown>;
  if (typeof int === 'string' && /^-?\d{1,19}$/.test(int)) return BigInt(int);
  if (typeof blob === 'string') return decodeBase64(blob);
  if (real === 'Infinity' || real === '-Infinity') return Number(real);
  return undefined;
}

/** An event as {@link JsonEvent} describes it. */
export function eventToJson(event: ChangeEvent): JsonEvent {
  const { op } = event;
  const lsn = Number(event.lsn);
  const tx = Number(event.tx);
  const timestamp = event.timestamp.toISOString();
  if (!('table' in event)) return { op, lsn, tx, timestamp };
  const { table, cursor } = event;
  if (event.op === 'schema') {
    const schema = { op, lsn, tx, timestamp, table, sql: event.sql };
    return cursor === undefined ? schema : { ...schema, cursor };
  }
  const { before, after, isSnapshot } = event;
  const change = {
    op,
    lsn,
    tx,
    timestamp,
    table,
    key: rowToJson(event.key),
    before: before && rowToJson(before),
    after: after && rowToJson(after),
  };
  return {
    ...change,
    ...(cursor === undefined ? {} : { cursor }),
    ...(isSnapshot === undefined ? {} : { isSnapshot }),
  };
}

/** The event of its JSON form, rows with values of their own types. */
export function eventFromJson(json: JsonEvent): ChangeEvent {
  const { lsn, tx, timestamp, key, before, after, ...rest } = json;
  const row = (value: JsonRow | null | undefined): ChangeRow | null => (value ? rowFromJson(value) : null);
  return {
    ...rest,
    lsn: BigInt(lsn),
    tx: BigInt(tx),
    timestamp: new Date(timestamp),
    ...(key === undefined ? {} : { key: row(key), before: row(before), after: row(after) }),
  } as ChangeEvent;
}

/** A row as JSON can hold it; the row itself when it can as it is. */
export function rowToJson(row: ChangeRow): JsonRow {
  for (const name in row)
    if (!isPlain(row[name] as ChangeValue))
      return Object.fromEntries(Object.entries(row).map(([column, value]) => [column, toJson(value)]));
  return row as JsonRow;
}

/** The row of its JSON form. */
export function rowFromJson(json: JsonRow): ChangeRow {
  return Object.fromEntries(Object.entries(json).map(([name, value]) => [name, fromJson(value) ?? null]));
}

function isPlain(value: ChangeValue): boolean {
  return typeof value === 'string' || value === null || (typeof value === 'number' && Number.isFinite(value));
}
