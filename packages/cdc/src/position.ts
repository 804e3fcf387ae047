import type { ChangeLog, ChangeValue, Position } from './change-log.ts';
import { fromJson, toJson } from './json.ts';

/** The LSN of the last change that a consumer has; or, from inside a snapshot, the `cursor` of its last event. */
export type From = bigint | number | string;

/** Where a snapshot stands: its table, in lower case, and the last row read of it. */
export interface SnapshotPosition {
  readonly table: string;
  readonly after: Position | undefined;
}

/** Where a stream stands. */
export interface StreamPosition {
  /** Changes up to this LSN have been seen, as far as they were wanted. */
  readonly lsn: bigint;
  /** While a snapshot is being read. */
  readonly snapshot?: SnapshotPosition | undefined;
}

/** The position as text: what an event's `cursor` is, or its LSN. */
export function formatPosition({ lsn, snapshot }: StreamPosition): string {
  if (snapshot === undefined) return String(lsn);
  const { table, after } = snapshot;
  return `${lsn}:${JSON.stringify([table, ...(after ?? []).map(toJson)])}`;
}

/** @throws an error with code `BAD_PARAMETER` for what is no position. */
export function parsePosition(from: From, log: Pick<ChangeLog, 'error'>): StreamPosition {
  const refused = (): Error =>
    log.error(
      'BAD_PARAMETER',
      `${shortened(from)} is no position in the log: give the lsn, or the cursor, of the last change handled, or 0`,
    );
  if (typeof from === 'bigint' || typeof from === 'number') {
    if (typeof from === 'bigint' ? from < 0n : !Number.isSafeInteger(from) || from < 0) throw refused();
    return { lsn: BigInt(from) };
  }
  const match = /^(\d{1,19})(?::(\[.*\]))?$/s.exec(typeof from === 'string' ? from : '');
  if (match === null) throw refused();
  const lsn = BigInt(match[1] as string);
  if (match[2] === undefined) return { lsn };
  const [table, ...values] = parseArray(match[2]) ?? [];
  if (typeof table !== 'string') throw refused();
  const after = values.map((value) => fromJson(value));
  if (after.includes(undefined)) throw refused();
  return { lsn, snapshot: { table, after: after.length === 0 ? undefined : (after as ChangeValue[]) } };
}

function parseArray(text: string): unknown[] | undefined {
  try {
    return JSON.parse(text) as unknown[];
  } catch {
    return undefined;
  }
}

function shortened(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
