import { formatPosition, type StreamPosition } from '../position.ts';
import type { Batch, Feed } from './feed.ts';
import type { ServerMessage, SubscribeMessage } from './protocol.ts';
import type { Restriction } from './scope.ts';

/** What of a WebSocket that an object has accepted is used here. */
export interface LiveSocket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

/** The publications that a socket may subscribe to, each with what the app restricts it to. */
export type Access = ReadonlyMap<string, Restriction | undefined>;

/** What is kept with a socket while the object hibernates, as JSON. */
interface Attachment {
  readonly access: readonly (readonly [publication: string, restriction: Restriction | null])[];
  readonly streams: readonly KeptStream[];
}

/** A subscription as it is kept; the position is null where it was too large. */
export type KeptStream = readonly [request: SubscribeMessage, position: string | null, state: StreamState];

/**
 * Whether a stream begins where its client says that it was, which is to be looked at first; has more to get than
 * what is new; or has got all.
 */
export type StreamState = 'unchecked' | 'behind' | 'ready';

/** What the platform keeps with a socket at most (https://developers.cloudflare.com/durable-objects/api/websockets). */
const MAX_ATTACHMENT_BYTES = 2_048;
/** What V8 adds to a text. */
const OVERHEAD_BYTES = 16;
/** Room for each stream's position. */
const POSITION_BYTES = 40;
/** A stream that has nothing to send notes its progress each time that the log has grown by so much. */
const NOTED_LSNS = 1_000n;
/** What may be on its way to a client before it acknowledges some of it, in UTF-16 units. */
const WINDOW_LENGTH = 262_144;
/** After how much a client is asked to acknowledge. */
const ACK_LENGTH = 65_536;

/** One subscription of a socket. */
export class LiveStream {
  readonly session: Session;
  readonly request: SubscribeMessage;
  readonly feed: Feed;
  /** Where it stands; undefined before a snapshot that has not begun, and while it is `unchecked`. */
  position: StreamPosition | undefined;
  /** The position as text, empty before a snapshot; while it is `unchecked`, as the client has given it. */
  at: string;
  state: StreamState;
  isOver = false;
  /** When it was served last, in turns. */
  turn = 0;
  /** The LSN that is kept, and the client has been told. */
  noted: bigint;
  readonly #request: string;

  constructor(
    session: Session,
    request: SubscribeMessage,
    feed: Feed,
    position: StreamPosition | undefined,
    state: StreamState,
    at?: string,
  ) {
    this.session = session;
    this.request = request;
    this.feed = feed;
    this.position = position;
    this.at = at ?? (position === undefined ? '' : formatPosition(position));
    this.state = state;
    this.noted = position?.lsn ?? 0n;
    this.#request = JSON.stringify({ ...request, from: undefined });
    feed.streams.add(this);
  }

  /** It has got all that there was. */
  get isReady(): boolean {
    return this.state === 'ready';
  }

  move(position: StreamPosition, at: string): void {
    this.position = position;
    this.at = at;
  }

  /** Whether it has come so far since it was noted that the client should know. */
  get isFarFromNoted(): boolean {
    const { lsn, snapshot } = this.position ?? { lsn: 0n };
    return snapshot === undefined && lsn - this.noted >= NOTED_LSNS;
  }

  /** What is kept of it; a position inside a snapshot holds a key, which may be long. */
  kept(withKey: boolean): string {
    const at = withKey || this.position?.snapshot === undefined ? JSON.stringify(this.at) : 'null';
    return `[${this.#request},${at},"${this.state}"]`;
  }
}

/** One socket, with its subscriptions. */
export class Session {
  readonly socket: LiveSocket;
  readonly access: Access;
  readonly streams: Map<string, LiveStream> = new Map();
  readonly #access: string;
  #sent = 0;
  #asked = 0;
  #acknowledged = 0;

  constructor(socket: LiveSocket, access: Access) {
    this.socket = socket;
    this.access = access;
    this.#access = JSON.stringify(Array.from(access, ([name, restriction]) => [name, restriction ?? null]));
  }

  /** The session of a socket that was accepted in an earlier life of the object, and the streams it had. */
  static restore(socket: LiveSocket): { session: Session; streams: readonly KeptStream[] } {
    const { access, streams } = JSON.parse(socket.deserializeAttachment() as string) as Attachment;
    const entries = access.map(([name, restriction]) => [name, restriction ?? undefined] as const);
    return { session: new Session(socket, new Map(entries)), streams };
  }

  /** True while the client has not acknowledged what it was sent. */
  get isPaused(): boolean {
    return this.#sent - this.#acknowledged > WINDOW_LENGTH;
  }

  acknowledge(ack: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, Math.min(ack, this.#sent));
  }

  /** Whether one more subscription could be kept with the socket. */
  hasRoomFor(stream: LiveStream): boolean {
    const others = [...this.streams.values()].filter(({ request }) => request.id !== stream.request.id);
    const text = this.#attachment([...others, stream], false);
    return fits(text, (others.length + 1) * POSITION_BYTES);
  }

  /** Whether what the app has said about the socket leaves room for a subscription. */
  get hasRoom(): boolean {
    return fits(this.#attachment([], false), MAX_ATTACHMENT_BYTES / 4);
  }

  /** Keeps the session with its socket. What was sent before in the same turn is so kept together with it. */
  save(): void {
    const streams = [...this.streams.values()];
    const text = this.#attachment(streams, true);
    this.socket.serializeAttachment(fits(text, 0) ? text : this.#attachment(streams, false));
  }

  /** Sends a stream's next events; returns false when the socket is gone. */
  sendChanges(stream: LiveStream, { json, end, at, publicAt }: Batch): boolean {
    const head = `{"type":"changes","id":${JSON.stringify(stream.request.id)},`;
    const position = JSON.stringify(publicAt);
    const text = `${head}"position":${position},${this.#ack(head.length + json.length)}"events":[${json}]}`;
    stream.move(end, at);
    stream.noted = end.lsn;
    return this.#send(text);
  }

  send(message: ServerMessage): boolean {
    return this.#send(JSON.stringify(message));
  }

  #ack(length: number): string {
    this.#sent += length;
    if (this.#sent - this.#asked < ACK_LENGTH) return '';
    this.#asked = this.#sent;
    return `"ack":${this.#sent},`;
  }

  #send(text: string): boolean {
    try {
      this.socket.send(text);
      return true;
    } catch {
      // It has closed meanwhile.
      return false;
    }
  }

  #attachment(streams: readonly LiveStream[], withKeys: boolean): string {
    return `{"access":${this.#access},"streams":[${streams.map((stream) => stream.kept(withKeys)).join(',')}]}`;
  }
}

/** V8 writes a text with one byte a character if it can, else with two. */
function fits(text: string, extraBytes: number): boolean {
  // oxlint-disable-next-line no-control-regex
  const width = /^[\0-\xff]*$/.test(text) ? 1 : 2;
  return (text.length + extraBytes) * width + OVERHEAD_BYTES <= MAX_ATTACHMENT_BYTES;
}
