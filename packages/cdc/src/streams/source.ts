import type { Page } from './read.ts';
import type { Waiter } from './waiters.ts';

/** A stream as readers over HTTP see it, stored or read-only. */
export interface Source {
  readonly contentType: string;
  /** What tells the stream from every other, for ETags. */
  readonly tag: string;
  /** What its metadata says of it besides. */
  readonly headers: Readonly<Record<string, string>>;
  /** Nothing will be appended to it. */
  readonly isClosed: boolean;
  /** The offset after the last message. */
  tail(): string;
  /**
   * The offset to read from.
   *
   * @throws StreamError 400, 410 for a text that is none of this stream.
   */
  offset(text: string): string;
  /**
   * The messages after an offset, as they are now.
   *
   * @throws StreamError 404, 410 when the stream has been deleted meanwhile.
   */
  page(offset: string): Promise<Page>;
  /** Joins the readers that wait for the stream to move. */
  join(): Waiter;
}
