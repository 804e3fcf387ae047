import type { StreamReader, StreamStatement, StreamTransaction } from './database.ts';
import { gone, notFound, StreamError } from './error.ts';
import { parseOffset, START, type Place } from './offset.ts';
import type { StreamRow } from './schema.ts';

/** The messages of one stream of a fork's line up to a position. */
export interface Segment {
  readonly id: number;
  readonly to: number;
}

/** A stream with all that its readers see: first what it has from the streams it was forked from, then its own. */
export interface Line {
  readonly row: StreamRow;
  /** Oldest first; the last is the stream's own. */
  readonly segments: readonly Segment[];
  /** How many streams it was forked from, one after the other. */
  readonly depth: number;
}

/** How deep forks of forks may go. */
export const MAX_FORK_DEPTH = 100;

/** A TTL is kept with this part of itself on top, so that not every read has to write. */
const TTL_SLACK = 1 / 16;

/** When a stream with a TTL that is used now expires. */
export function expiryAfterUse(ttlSeconds: number, nowMs: number): number {
  return nowMs + Math.floor(ttlSeconds * 1_000 * (1 + TTL_SLACK));
}

/**
 * When a stream that is used now expires, if that has to be written down: a stream lives at least its TTL after
 * the last use, and at most a sixteenth longer.
 */
export function renewal(row: StreamRow, nowMs: number): number | undefined {
  const isCovered =
    row.ttl_s === null || (row.expires_at !== null && row.expires_at >= nowMs + row.ttl_s * 1_000);
  return isCovered ? undefined : expiryAfterUse(row.ttl_s, nowMs);
}

/** Whether the stream's time is over. */
export function isExpired(row: StreamRow, nowMs: number): boolean {
  return row.expires_at !== null && row.expires_at <= nowMs;
}

/** The row of a name. */
export function findRow(db: StreamReader, name: string): Promise<StreamRow | null> {
  return db.get<StreamRow>('SELECT * FROM dosql_stream WHERE name = ?', [name]);
}

/** @throws StreamError 404 or 410 when there is no stream of that name that can be used. */
export function usable(row: StreamRow | null, name: string, nowMs: number): StreamRow {
  if (row !== null && row.is_deleted === 1) throw gone(name);
  if (row === null || isExpired(row, nowMs)) throw notFound(name);
  return row;
}

/** The stream with the streams that it was forked from. */
export async function lineOf(db: StreamReader, row: StreamRow): Promise<Line> {
  const segments: Segment[] = [{ id: row.id, to: row.bytes }];
  let depth = 0;
  let { source_id: above, fork_id: id, fork_position: to } = row;
  while (above !== null && id !== null && to !== null) {
    if (above === id && to > 0) segments.unshift({ id, to });
    const source: Pick<StreamRow, 'source_id' | 'fork_id' | 'fork_position'> | null = await db.get(
      'SELECT source_id, fork_id, fork_position FROM dosql_stream WHERE id = ?',
      [above],
    );
    // A place in a stream further up: the streams between have nothing to add.
    if (above === id) [id, to] = [source?.fork_id ?? null, source?.fork_position ?? null];
    above = source?.source_id ?? null;
    depth++;
  }
  return { row, segments, depth };
}

/** The place after the last message. */
export function tailOf({ id, bytes }: StreamRow): Place {
  return { id, position: bytes };
}

/** The place as the line's readers are told it: where one stream's messages end, the next one's begin. */
export function normalized({ segments }: Line, { id, position }: Place): Place {
  const index = segments.findIndex((segment) => segment.id === id);
  const segment = segments[index] as Segment;
  const next = segments[index + 1];
  return next !== undefined && position >= segment.to ? { id: next.id, position: 0 } : { id, position };
}

/**
 * The place that an offset names in a line.
 *
 * @throws StreamError 400 for an offset that the line has not reached, 410 for one of another stream: of one that
 *   was deleted and had the name before.
 */
export function placeOf(line: Line, offset: string): Place {
  const first = line.segments[0] as Segment;
  if (offset === '-1') return { id: first.id, position: 0 };
  const place = parseOffset(offset);
  if (place.id === START.id && place.position === START.position) return { id: first.id, position: 0 };
  const segment = line.segments.find(({ id }) => id === place.id);
  const isBeyond = segment === undefined ? place.id > line.row.id : place.position > segment.to;
  if (isBeyond) throw new StreamError(400, `the stream has not reached the offset ${offset}`);
  if (segment !== undefined) return normalized(line, place);
  const before = emptySegment(line, place);
  if (before !== undefined) return before;
  throw new StreamError(410, `the offset ${offset} is of another stream: read from -1`);
}

/** The start of what follows, for the start of a stream of which the line has nothing: a fork of an empty stream. */
function emptySegment(line: Line, { id, position }: Place): Place | undefined {
  if (position !== 0 || line.row.source_id === null) return undefined;
  const next = line.segments.find((segment) => segment.id > id);
  return next && { id: next.id, position: 0 };
}

/** Statements that take a stream out of the way of its readers; its messages are removed in steps. */
function dropped(row: StreamRow): StreamStatement {
  return {
    sql: 'UPDATE dosql_stream SET name = NULL, source_id = NULL, expires_at = NULL, is_deleted = 1 WHERE id = ?',
    params: [row.id],
  };
}

/**
 * Deletes a stream: at once, or, while there are forks of it, for all but them. Streams that were kept for it
 * alone go with it. Returns the ids of those whose readers have to know.
 */
export async function remove(tx: StreamTransaction, row: StreamRow): Promise<number[]> {
  const isForked = async ({ id }: StreamRow): Promise<boolean> =>
    (await tx.get('SELECT 1 FROM dosql_stream WHERE source_id = ? LIMIT 1', [id])) !== null;
  if (await isForked(row)) {
    const sql = 'UPDATE dosql_stream SET is_deleted = 1, expires_at = NULL WHERE id = ?';
    await tx.batch([{ sql, params: [row.id] }]);
    return [row.id];
  }
  const removed: number[] = [];
  for (let next: StreamRow | null = row; next !== null;) {
    await tx.batch([dropped(next)]);
    removed.push(next.id);
    const source: StreamRow | null =
      next.source_id === null
        ? null
        : await tx.get<StreamRow>('SELECT * FROM dosql_stream WHERE id = ? AND is_deleted = 1', [
            next.source_id,
          ]);
    next = source !== null && !(await isForked(source)) ? source : null;
  }
  return removed;
}
