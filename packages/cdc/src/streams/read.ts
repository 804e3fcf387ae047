import { normalized, tailOf, type Line } from './catalog.ts';
import type { StreamReader } from './database.ts';
import { StreamError } from './error.ts';
import { isJson, type Message } from './message.ts';
import { formatOffset, type Place } from './offset.ts';
import type { MessageRow } from './schema.ts';

/** Some messages of a stream. */
export interface Page {
  readonly messages: readonly Message[];
  /** The offset after them: where the next page begins. */
  readonly next: string;
  /** There is nothing after them now. */
  readonly isUpToDate: boolean;
  /** There will never be anything after them. */
  readonly isClosed: boolean;
}

/** Rows read at a time: a page of small messages is limited by their count. */
const MAX_ROWS = 5_000;

/**
 * The rows after a place, of the stream of the line that it is in: as many as fit into `maxBytes`, or one.
 *
 * Invariant: the place is as {@link normalized} gives it, so there are none only at the line's end.
 */
export async function rowsAfter(
  db: StreamReader,
  { segments }: Line,
  { id, position }: Place,
  maxBytes: number,
): Promise<MessageRow[]> {
  const to = segments.find((segment) => segment.id === id)?.to ?? 0;
  if (position >= to) return [];
  const sql =
    'SELECT stream_id, position, part, parts, data FROM dosql_stream_message WHERE stream_id = ? AND position > ? AND position <= ? ORDER BY position LIMIT ?';
  const found = await db.query<MessageRow>(sql, [id, position, Math.min(to, position + maxBytes), MAX_ROWS]);
  return found.length > 0 ? found : await db.query<MessageRow>(sql, [id, position, to, 1]);
}

/**
 * The messages after a place, about `maxBytes` of them. A JSON message comes whole, however large it is; bytes may
 * be cut where their rows are.
 */
export async function readPage(
  db: StreamReader,
  line: Line,
  from: Place,
  maxBytes: number,
): Promise<Page | undefined> {
  const rows: MessageRow[] = [];
  let at = from;
  let left = maxBytes;
  const tail = tailOf(line.row);
  const isWhole = isJson(line.row.content_type);
  while (!isSamePlace(at, tail)) {
    const last = rows.at(-1);
    const isCut = isWhole && last !== undefined && last.part < last.parts;
    if ((left <= 0 || rows.length >= MAX_ROWS) && !isCut) break;
    const more = await rowsAfter(db, line, at, isCut ? 1 : left);
    const end = more.at(-1);
    // What the line has is not there: the stream was dropped meanwhile.
    if (end === undefined) return undefined;
    if (isWhole && rows.length === 0 && (more[0] as MessageRow).part > 1)
      throw new StreamError(400, `the offset ${formatOffset(from)} is in the middle of a message`);
    rows.push(...more);
    at = normalized(line, { id: end.stream_id, position: end.position });
    left = maxBytes - rows.reduce((sum, { data }) => sum + data.length, 0);
  }
  const isUpToDate = isSamePlace(at, tail);
  return {
    messages: isWhole ? joined(rows) : rows.map(({ data }) => data),
    next: formatOffset(at),
    isUpToDate,
    isClosed: isUpToDate && line.row.is_closed === 1,
  };
}

function isSamePlace(one: Place, other: Place): boolean {
  return one.id === other.id && one.position === other.position;
}

/** Messages of which the parts are put together. */
function joined(rows: readonly MessageRow[]): Message[] {
  const messages: string[] = [];
  for (const { data, part } of rows) {
    if (part === 1) messages.push(data as string);
    else messages.push((messages.pop() ?? '') + (data as string));
  }
  return messages;
}
