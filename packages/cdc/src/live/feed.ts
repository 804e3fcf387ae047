import { lowerCase, type ChangeSource } from '../change-log.ts';
import { SealedCursors } from '../cursor.ts';
import { eventToJson } from '../json.ts';
import { formatPosition, parsePosition, type StreamPosition } from '../position.ts';
import type { Publication } from '../publication.ts';
import { ChangeReader, type ChangeEvent } from '../reader.ts';
import { shapeOf, type Shape } from '../shape.ts';
import type { SubscribeMessage } from './protocol.ts';
import { isKeyWhole, restricted, type Restriction } from './scope.ts';
import type { LiveStream } from './session.ts';

/** Events that go in one message, as JSON texts with commas between. */
export interface Batch {
  readonly json: string;
  /** The position behind them, also as text; and as it may leave. */
  readonly end: StreamPosition;
  readonly at: string;
  readonly publicAt: string;
}

/** What there is behind a position. */
export interface FeedPage {
  readonly batches: readonly Batch[];
  /** Where the page ends: also behind what was not wanted. */
  readonly end: StreamPosition;
}

/** Events of one message, about, in UTF-16 units, unless a single one is larger. */
const BATCH_LENGTH = 65_536;
const MAX_LIMIT = 500;
const MIN_LIMIT = 10;
/** A page is read at about this length. */
const PAGE_LENGTH = 262_144;

/** The streams of one shape, which read the log once for all that stand at one position. */
export class Feed {
  readonly streams: Set<LiveStream> = new Set();
  readonly #source: ChangeSource;
  readonly #cursors: SealedCursors;
  readonly #request: SubscribeMessage;
  readonly #restriction: Restriction | undefined;
  readonly #publicationOf: () => Publication;
  #publication: Publication;
  #shape: Shape;
  #hasWholeKeys = false;
  #limit = MAX_LIMIT;

  /** @throws an error with code `BAD_PARAMETER` for what is not published. */
  constructor(
    source: ChangeSource,
    request: SubscribeMessage,
    restriction: Restriction | undefined,
    publicationOf: () => Publication,
  ) {
    this.#source = source;
    this.#request = request;
    this.#restriction = restriction;
    this.#publicationOf = publicationOf;
    this.#publication = publicationOf();
    this.#cursors = new SealedCursors(source, this.#publication.name);
    this.#shape = this.#makeShape();
  }

  /** Whether a table, by its name in lower case, is among those of the shape. */
  #has(table: string): boolean {
    return this.#shape.selection?.has(table) === true;
  }

  /**
   * The position that a client was given of this stream.
   *
   * @throws an error with code `BAD_PARAMETER` or `LSN_EXPIRED` for one that was not.
   */
  async open(at: string): Promise<StreamPosition> {
    const from = await this.#cursors.open(at);
    // A position of another stream could lie in a table that this one must not read.
    if (from.lsn <= this.#source.end() && (from.snapshot === undefined || this.#has(from.snapshot.table)))
      return from;
    throw this.#source.error('LSN_EXPIRED', 'the position is not one of this stream: start from a snapshot');
  }

  /** The next events after a position, from at most some hundred changes. */
  async page(from: StreamPosition): Promise<FeedPage> {
    this.#refresh();
    const { keyed = false } = this.#request;
    if (keyed && !this.#hasWholeKeys) await this.#checkKeys();
    const reader = new ChangeReader(this.#source, this.#shape, from, { schema: keyed, hotOnly: true });
    const events = await reader.next(this.#limit);
    if (events.some(({ op }) => op === 'schema')) {
      this.#hasWholeKeys = false;
      throw this.#source.error('LSN_EXPIRED', 'a table was altered or dropped: start again from a snapshot');
    }
    const batches = await Promise.all(
      batched(events, reader.position, this.#source).map(async ([json, end]): Promise<Batch> => {
        const at = formatPosition(end);
        return { json, end, at, publicAt: await this.#cursors.seal(at) };
      }),
    );
    const length = batches.reduce((sum, { json }) => sum + json.length, 0);
    if (length > PAGE_LENGTH) this.#limit = Math.max(MIN_LIMIT, this.#limit >> 1);
    else if (length < PAGE_LENGTH / 4) this.#limit = Math.min(MAX_LIMIT, this.#limit * 2);
    return { batches, end: reader.position };
  }

  /** Whether what the app has said is wrong, rather than what the client asks for. */
  async isBroken(): Promise<boolean> {
    const { tables } = this.#request;
    try {
      const shape = restricted(shapeOf(this.#source, { tables }, this.#publication), this.#restriction);
      await this.#source.read(this.#source.end(), 1, shape.selection);
      return false;
    } catch {
      return true;
    }
  }

  #makeShape(): Shape {
    const { tables, columns, where } = this.#request;
    return restricted(
      shapeOf(this.#source, { tables, columns, where }, this.#publication),
      this.#restriction,
    );
  }

  /** A publication may have been said anew. */
  #refresh(): void {
    const publication = this.#publicationOf();
    if (publication === this.#publication) return;
    this.#publication = publication;
    this.#hasWholeKeys = false;
    this.#shape = this.#makeShape();
  }

  async #checkKeys(): Promise<void> {
    for (const info of await this.#source.tables()) {
      const table = lowerCase(info.name);
      if (this.#has(table) && !isKeyWhole(info, this.#publication, table))
        throw this.#source.error(
          'BAD_PARAMETER',
          `publication "${this.#publication.name}" does not show a key that tells the rows of table "${table}" apart: rows cannot be kept in step`,
        );
    }
    this.#hasWholeKeys = true;
  }
}

/** Events in messages of about {@link BATCH_LENGTH}: JSON texts with commas between, and the position behind. */
function batched(
  events: readonly ChangeEvent[],
  end: StreamPosition,
  source: ChangeSource,
): [json: string, end: StreamPosition][] {
  const batches: [string, StreamPosition][] = [];
  let texts: string[] = [];
  let length = 0;
  events.forEach((event, i) => {
    // Cursors hold keys, also such as are not published; the message has a position.
    const { cursor, ...json } = eventToJson(event);
    const text = JSON.stringify(json);
    texts.push(text);
    length += text.length;
    const isLast = i === events.length - 1;
    if (!isLast && length < BATCH_LENGTH) return;
    batches.push([texts.join(','), isLast ? end : parsePosition(cursor ?? event.lsn, source)]);
    texts = [];
    length = 0;
  });
  return batches;
}
