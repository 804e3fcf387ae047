import type { ChangeSource } from '../change-log.ts';
import { eventToJson } from '../json.ts';
import { ChangeReader, type ChangeEvent } from '../reader.ts';
import type { Shape } from '../shape.ts';
import type { ReadOnlyPage, ReadOnlyStream } from './read-only.ts';

/** Entries of the log read at a time: fewer while they are large. */
const MAX_BATCH = 500;
const MIN_BATCH = 10;
const DIGITS = 19;
const OFFSET = /^\d{19}$/;

/**
 * The changes that the log holds of a publication, as a read-only stream of JSON: an offset is an LSN. What is no
 * longer in the log is gone; a stream that begins with the rows that are there is a slot's or a socket's.
 */
export function publishedStream(source: ChangeSource, shape: Shape): ReadOnlyStream {
  let batch = MAX_BATCH;
  return {
    contentType: 'application/json',
    async read(offset, limit) {
      const events = await readEvents(source, shape, offset, batch);
      const page = pageOf(source, events, limit);
      const length = page.messages.reduce((sum, message) => sum + message.length, 0);
      if (length >= limit) batch = Math.max(MIN_BATCH, batch >> 1);
      else if (length < limit / 4) batch = Math.min(MAX_BATCH, batch * 2);
      return page;
    },
    tail: () => formatLsn(source.end()),
    changed: (signal) => nextCommit(source, signal),
  };
}

function formatLsn(lsn: bigint): string {
  return String(lsn).padStart(DIGITS, '0');
}

/** A page of JSON texts. */
interface TextPage extends ReadOnlyPage {
  readonly messages: readonly string[];
}

/** Events after an offset, and the LSN that they reach to. */
interface Events {
  readonly events: readonly ChangeEvent[];
  readonly lsn: bigint;
}

async function readEvents(
  source: ChangeSource,
  shape: Shape,
  offset: string,
  batch: number,
): Promise<Events> {
  const reader = new ChangeReader(source, shape, { lsn: lsnOf(source, offset) }, { hotOnly: true });
  try {
    return { events: await reader.next(batch), lsn: reader.position.lsn };
  } catch (error) {
    if ((error as { code?: unknown }).code === 'LSN_EXPIRED') throw error;
    // What is wrong with a publication may name what is not published: that is for the app, not for the client.
    throw new Error('a publication cannot be read', { cause: error });
  }
}

/** The first events, of about `limit` characters. */
function pageOf(source: ChangeSource, { events, lsn }: Events, limit: number): TextPage {
  const messages: string[] = [];
  let length = 0;
  let last = lsn;
  for (const event of events) {
    // Offsets lie between LSNs: what shares one comes together.
    if (length >= limit && event.lsn !== last) return { messages, next: formatLsn(last), upToDate: false };
    const message = JSON.stringify(eventToJson(event));
    length += message.length;
    last = event.lsn;
    messages.push(message);
  }
  return { messages, next: formatLsn(lsn), upToDate: lsn >= source.end() };
}

function lsnOf(source: ChangeSource, offset: string): bigint {
  if (offset === '-1') return 0n;
  const lsn = OFFSET.test(offset) ? BigInt(offset) : undefined;
  if (lsn === undefined || lsn > source.end())
    throw source.error('BAD_PARAMETER', `${JSON.stringify(offset.slice(0, 40))} is no offset of this stream`);
  return lsn;
}

async function nextCommit(source: ChangeSource, signal: AbortSignal): Promise<void> {
  let stop = (): void => {};
  let abort = (): void => {};
  const commit = new Promise<void>((resolve) => {
    stop = source.onCommit(resolve);
    abort = resolve;
    signal.addEventListener('abort', abort);
  });
  try {
    if (!signal.aborted) await commit;
  } finally {
    stop();
    signal.removeEventListener('abort', abort);
  }
}
