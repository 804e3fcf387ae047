import { StreamError } from './error.ts';
import type { Page } from './read.ts';
import type { Source } from './source.ts';
import type { Waiter, Waiters } from './waiters.ts';

/** Some messages of a {@link ReadOnlyStream}. */
export interface ReadOnlyPage {
  /** JSON texts for a stream of JSON, bytes (or text in UTF-8) for any other. May be empty before the end. */
  readonly messages: readonly (string | Uint8Array)[];
  /** The offset after them, also after what was passed over. */
  readonly next: string;
  /** There was nothing after them when they were read. */
  readonly upToDate: boolean;
}

/**
 * A stream that code gives and clients only read, such as the changes of a publication.
 *
 * Invariants that every implementation keeps: offsets are texts of ASCII without space, comma, `&`, `=`, `?` and
 * `/`, which sort as the messages do, and none is `-1` or `now`. What is after an offset never changes.
 *
 * ```ts
 * const ticks: ReadOnlyStream = {
 *   contentType: 'application/json',
 *   read: async (offset, limit) => page(offset === '-1' ? 0 : Number(offset), limit),
 *   tail: () => String(count).padStart(16, '0'),
 *   changed: (signal) => nextTick(signal),
 * };
 * ```
 */
export interface ReadOnlyStream {
  readonly contentType: string;
  /**
   * Messages after `offset`, oldest first; `-1` is the beginning. About `limit` bytes of them.
   *
   * @throws an error with code `LSN_EXPIRED` when they are no longer there (410 for the client), one with code
   *   `BAD_PARAMETER` for what is no offset of this stream (400).
   */
  read(offset: string, limit: number): Promise<ReadOnlyPage>;
  /** The offset after the last message; cheap, since it is asked whenever something may have changed. */
  tail(): string;
  /** Waits until something may have changed after the call, or until `signal` is aborted. */
  changed(signal: AbortSignal): Promise<void>;
}

/** How a stream's readers are told of what is new: one watch for all of them, while there are any. */
interface Watch {
  readonly stream: ReadOnlyStream;
  readonly stop: AbortController;
  failure?: unknown;
}

const OFFSET = /^[!-~]{1,256}$/;
const NOT_IN_OFFSETS = /[,&=?/]/;

/** The read-only streams that somebody waits for. */
export class Watches {
  readonly #waiters: Waiters;
  readonly #watches = new Map<string, Watch>();

  constructor(waiters: Waiters) {
    this.#waiters = waiters;
  }

  /** Joins the queue of a stream, which is watched as long as somebody is in it. */
  join(key: string, stream: ReadOnlyStream): Waiter {
    const waiter = this.#waiters.join(key);
    const watch = this.#watches.get(key) ?? this.#start(key, stream);
    const leave = (): void => {
      waiter.leave();
      if (!this.#waiters.has(key)) this.#stop(key);
    };
    const moved = waiter.moved.then(() => {
      if ('failure' in watch) throw watch.failure;
    });
    // Who leaves before is not told.
    moved.catch(() => {});
    return { moved, leave };
  }

  #start(key: string, stream: ReadOnlyStream): Watch {
    const watch: Watch = { stream, stop: new AbortController() };
    this.#watches.set(key, watch);
    this.#follow(key, watch).catch((error: unknown) => {
      watch.failure = error;
      this.#stop(key);
      this.#waiters.wake(key);
    });
    return watch;
  }

  async #follow(key: string, { stream, stop }: Watch): Promise<void> {
    let tail = stream.tail();
    for (let changed = stream.changed(stop.signal); ;) {
      await changed;
      if (stop.signal.aborted) return;
      // It is waited for again before anybody looks.
      changed = stream.changed(stop.signal);
      const now = stream.tail();
      if (now !== tail) this.#waiters.wake(key);
      tail = now;
    }
  }

  #stop(key: string): void {
    this.#watches.get(key)?.stop.abort();
    this.#watches.delete(key);
  }
}

/** A read-only stream as readers over HTTP see it. */
export function readOnlySource(
  name: string,
  stream: ReadOnlyStream,
  maxBytes: number,
  waiters: Waiters,
  watches: Watches,
): Source {
  const key = `read-only ${name}`;
  return {
    contentType: stream.contentType,
    tag: encodeURIComponent(name),
    headers: {},
    isClosed: false,
    tail: () => stream.tail(),
    offset: (text) => {
      if (OFFSET.test(text) && !NOT_IN_OFFSETS.test(text)) return text;
      throw new StreamError(400, `${JSON.stringify(text.slice(0, 100))} is no offset`);
    },
    page: (offset) => waiters.shared(key, offset, () => readOnlyPage(stream, offset, maxBytes)),
    join: () => watches.join(key, stream),
  };
}

async function readOnlyPage(stream: ReadOnlyStream, offset: string, maxBytes: number): Promise<Page> {
  try {
    const { messages, next, upToDate } = await stream.read(offset, maxBytes);
    // Or it would be asked for the same for ever.
    const isStill = messages.length === 0 && next === offset;
    return { messages, next, isUpToDate: upToDate || isStill, isClosed: false };
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    if (code === 'LSN_EXPIRED') throw new StreamError(410, message);
    if (code === 'BAD_PARAMETER') throw new StreamError(400, message);
    throw error;
  }
}
