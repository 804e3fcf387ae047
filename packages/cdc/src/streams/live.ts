import { encodeBase64 } from '../base64.ts';
import { nextCursor } from './cursor.ts';
import { StreamError } from './error.ts';
import { bodyOf, isText } from './message.ts';
import type { Page } from './read.ts';
import { empty, pageHeaders, pageResponse, type Cacheable } from './respond.ts';
import type { Source } from './source.ts';
import { wait, type WaitOutcome } from './waiters.ts';

/** How readers wait. */
export interface LiveOptions {
  /** How long a long poll waits for something new. */
  readonly longPollMs: number;
  /** How long a reader of server-sent events stays before it has to come again. */
  readonly sseMs: number;
  /** How often one is told that the line is open. */
  readonly keepAliveMs: number;
  readonly cacheable: Cacheable;
  readonly nowMs: () => number;
}

/** What there is after an offset, once there is something. */
interface Look {
  readonly page: Page;
  readonly outcome: WaitOutcome | undefined;
}

/**
 * The page after `from`, or, while there is nothing in it, the next that there is within `ms`. Joins those who wait
 * before it looks, so that nothing is missed in between.
 */
async function look(source: Source, from: string, ms: number, signal: AbortSignal): Promise<Look> {
  const waiter = source.join();
  try {
    const page = await source.page(from);
    const hasNews = page.messages.length > 0 || page.isClosed || !page.isUpToDate;
    if (hasNews || ms <= 0) return { page, outcome: undefined };
    return { page, outcome: await wait(waiter.moved, ms, signal) };
  } finally {
    waiter.leave();
  }
}

/** Answers with what is after an offset as soon as there is something, or with 204 when there is nothing for long. */
export async function longPoll(
  request: Request,
  source: Source,
  from: string,
  options: LiveOptions,
): Promise<Response> {
  const cursor = nextCursor(new URL(request.url).searchParams.get('cursor'), options.nowMs());
  const endMs = Date.now() + options.longPollMs;
  let at = from;
  for (;;) {
    const { page, outcome } = await look(source, at, endMs - Date.now(), request.signal);
    const more = { 'stream-cursor': cursor };
    if (page.messages.length > 0) return pageResponse(request, source, page, from, options.cacheable, more);
    // What a read-only stream passes over is behind the reader too.
    at = page.next;
    const isOver = outcome === 'time' || outcome === 'aborted' || Date.now() >= endMs;
    if (page.isClosed || (isOver && page.isUpToDate)) return empty(204, { ...pageHeaders(page), ...more });
  }
}

const encoder = new TextEncoder();

/** Sends what is after an offset as server-sent events, and then what comes, for about a minute. */
export function serverSentEvents(
  request: Request,
  source: Source,
  from: string,
  options: LiveOptions,
): Response {
  const reader = new EventReader(source, from, options, new URL(request.url).searchParams.get('cursor'));
  request.signal.addEventListener('abort', () => reader.stop());
  const body = new ReadableStream<Uint8Array>(
    {
      pull: async (controller) => {
        const text = await nextOf(reader);
        if (text === undefined) controller.close();
        else controller.enqueue(encoder.encode(text));
      },
      cancel: () => reader.stop(),
    },
    // Nothing is read before it is asked for: a slow reader costs no memory.
    { highWaterMark: 0 },
  );
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache, no-transform',
      ...(isText(source.contentType) ? {} : { 'stream-sse-data-encoding': 'base64' }),
    },
  });
}

/** What is to be sent next; nothing when the stream is gone, of which the reader is told when it comes again. */
async function nextOf(reader: EventReader): Promise<string | undefined> {
  try {
    return await reader.next();
  } catch (error) {
    if (error instanceof StreamError) return undefined;
    throw error;
  }
}

/** A reader of events: each call of `next` gives what is to be sent next. */
class EventReader {
  readonly #source: Source;
  readonly #options: LiveOptions;
  readonly #stop = new AbortController();
  readonly #endMs: number;
  #at: string;
  #cursor: string | null;
  #isOver = false;
  /** The first event is sent at once, also when there is nothing to read. */
  #isFirst = true;

  constructor(source: Source, from: string, options: LiveOptions, cursor: string | null) {
    this.#source = source;
    this.#options = options;
    this.#at = from;
    this.#cursor = cursor;
    this.#endMs = Date.now() + options.sseMs;
  }

  stop(): void {
    this.#stop.abort();
  }

  /** Events, or a comment that keeps the line open; undefined at the end. */
  async next(): Promise<string | undefined> {
    while (!this.#isOver && !this.#stop.signal.aborted) {
      const leftMs = this.#endMs - Date.now();
      const waitMs = this.#isFirst ? 0 : Math.min(leftMs, this.#options.keepAliveMs);
      if (leftMs <= 0) return undefined;
      const { page, outcome } = await look(this.#source, this.#at, waitMs, this.#stop.signal);
      const isNew = page.messages.length > 0 || page.isClosed || this.#isFirst;
      this.#at = page.next;
      this.#isFirst = false;
      this.#isOver = page.isClosed;
      if (isNew) return this.#events(page);
      if (outcome === 'time' && Date.now() < this.#endMs) return ': keep-alive\n\n';
    }
    return undefined;
  }

  #events(page: Page): string {
    const data = page.messages.length === 0 ? '' : dataEvent(page, this.#source.contentType);
    if (page.isClosed)
      return `${data}${control({ streamNextOffset: page.next, upToDate: true, streamClosed: true })}`;
    this.#cursor = nextCursor(this.#cursor, this.#options.nowMs());
    const state = { streamNextOffset: page.next, streamCursor: this.#cursor };
    return data + control(page.isUpToDate ? { ...state, upToDate: true } : state);
  }
}

function control(state: Readonly<Record<string, string | boolean>>): string {
  return `event: control\ndata:${JSON.stringify(state)}\n\n`;
}

/** Whatever a message holds, it is data: no line of it is a field of the event. */
function dataEvent(page: Page, contentType: string): string {
  const body = bodyOf(page.messages, contentType);
  const text = isText(contentType) ? textOf(body) : encodeBase64(body as Uint8Array);
  // A reader drops one space after the colon: it is there for the line that begins with one itself.
  const lines = text.split(/\r\n|\r|\n/).map((line) => `data:${line.startsWith(' ') ? ' ' : ''}${line}\n`);
  return `event: data\n${lines.join('')}\n`;
}

function textOf(body: string | Uint8Array): string {
  return typeof body === 'string'
    ? body
    : new TextDecoder('utf-8', { fatal: false, ignoreBOM: true }).decode(body);
}
