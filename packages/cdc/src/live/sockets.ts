import type { ChangeSource } from '../change-log.ts';
import { formatPosition, parsePosition, type StreamPosition } from '../position.ts';
import type { Publication } from '../publication.ts';
import { startOf } from '../subscribe.ts';
import { connect, type Authorize } from './connect.ts';
import { codeOf, textOf, TOLD } from './error.ts';
import { Feed, type Batch } from './feed.ts';
import {
  BadMessage,
  MAX_MESSAGE_LENGTH,
  parseMessage,
  SOCKET_TAG,
  type SubscribeMessage,
} from './protocol.ts';
import { LiveStream, Session, type KeptStream, type LiveSocket } from './session.ts';

/** What of a Durable Object's `ctx` is used here. */
export interface LiveState {
  acceptWebSocket(socket: WebSocket, tags?: string[]): void;
  getWebSockets(tag?: string): WebSocket[];
  getTags(socket: WebSocket): string[];
  getWebSocketAutoResponse(): unknown;
  setWebSocketAutoResponse(pair: WebSocketRequestResponsePair): void;
}

/** Whose sockets are served, and who may have which publications. */
export interface LiveOptions {
  /** The object's `ctx`. */
  readonly state: LiveState;
  /** Who may have what, asked when a socket is opened; without it every socket is refused with 403. */
  readonly authorize?: Authorize | undefined;
  /** Told of what goes wrong on this side; `console.error` by default. The client gets no details. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** Streams of one socket, at most. */
const MAX_STREAMS = 16;
/** So many messages go out before the object does other work. */
const SENT_AT_ONCE = 250;
const SENT_AT_ONCE_LENGTH = 4_194_304;
/** The objects whose sockets are served: two that do would send everything twice. */
const served = new WeakSet<LiveState>();

/**
 * The WebSockets through which an object's change streams go. The platform holds them while the object hibernates;
 * what each is subscribed to and has been sent is kept with it.
 *
 * One loop sends: it wakes after commits, reads once for all streams of one shape at one position, and serves those
 * that keep up before it reads one page for one of those that are behind. A client that does not acknowledge is left
 * where it is. Writers wait for none of it.
 */
export class LiveSockets {
  readonly #source: ChangeSource;
  readonly #state: LiveState;
  readonly #options: LiveOptions;
  readonly #publicationOf: (name: string) => Publication | undefined;
  readonly #sessions = new Map<LiveSocket, Session>();
  /** Sockets that are over: what was under way from them still comes, and the platform knows no tags of them any more. */
  readonly #over = new WeakSet<LiveSocket>();
  readonly #feeds = new Map<string, Feed>();
  #turn = 0;
  #hasNews = true;
  #wake: (() => void) | undefined;
  #sentCount = 0;
  #sentLength = 0;

  constructor(
    source: ChangeSource,
    options: LiveOptions,
    publicationOf: (name: string) => Publication | undefined,
  ) {
    this.#source = source;
    this.#options = options;
    this.#state = options.state;
    this.#publicationOf = publicationOf;
    if (served.has(this.#state))
      throw source.error(
        'BAD_PARAMETER',
        'the sockets of this object are served: keep what createCDC gave first',
      );
    served.add(this.#state);
    source.onCommit(() => this.#arrive());
    // In a context of its own, whoever commits.
    void this.#run();
  }

  /** Opens a socket for the publications that the request's URL names, or answers why not. */
  async connect(request: Request): Promise<Response> {
    const { authorize = () => false } = this.#options;
    const found = await connect(request, authorize, this.#source, this.#publicationOf);
    if (found instanceof Response) return found;
    const { 0: client, 1: server } = new WebSocketPair();
    const session = new Session(server, found.access);
    if (!session.hasRoom)
      throw this.#source.error('BAD_PARAMETER', 'authorize restricts by more text than a socket can keep');
    session.save();
    this.#state.acceptWebSocket(server, [SOCKET_TAG]);
    // An object has one answer for all of its sockets: what the app has set stays.
    if (this.#state.getWebSocketAutoResponse() === null)
      this.#state.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
    this.#sessions.set(server, session);
    const { headers } = found;
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  /** Takes a message if the socket is one of ours; returns whether it is. */
  message(socket: WebSocket, message: string | ArrayBuffer): boolean {
    if (this.#over.has(socket)) return true;
    if (!this.#isOurs(socket)) return false;
    const session = this.#session(socket);
    if (typeof message !== 'string') this.#drop(session, 1003, 'messages are JSON');
    else if (message.length > MAX_MESSAGE_LENGTH) this.#drop(session, 1009, 'the message is too long');
    else if (message === 'ping') socket.send('pong');
    else this.#handle(session, message);
    return true;
  }

  /** Forgets a socket that has closed or failed, if it is one of ours; returns whether it is. */
  closed(socket: WebSocket): boolean {
    if (!this.#isOurs(socket)) return false;
    const session = this.#sessions.get(socket);
    if (session !== undefined) this.#forget(session);
    try {
      socket.close(1000);
    } catch {
      // It is closed.
    }
    return true;
  }

  #isOurs(socket: WebSocket): boolean {
    return (
      this.#sessions.has(socket) || this.#over.has(socket) || this.#state.getTags(socket).includes(SOCKET_TAG)
    );
  }

  #handle(session: Session, text: string): void {
    try {
      const message = parseMessage(text);
      if (message.type === 'ack') session.acknowledge(message.ack);
      else if (message.type === 'subscribe') this.#subscribe(session, message);
      else this.#end(session, message.id);
      this.#arrive();
    } catch (error) {
      if (!(error instanceof BadMessage)) throw error;
      const { id, message } = error;
      session.send({ type: 'error', ...(id !== undefined && { id }), code: 'BAD_PARAMETER', message });
    }
  }

  /** @throws BadMessage */
  #subscribe(session: Session, request: SubscribeMessage): void {
    const { id, from, snapshot = 'none' } = request;
    this.#end(session, id);
    if (session.streams.size >= MAX_STREAMS)
      throw new BadMessage(`a socket carries ${MAX_STREAMS} streams: open another`, id);
    const stream = this.#told(id, () => {
      const feed = this.#feed(session, request);
      if (from !== undefined)
        return new LiveStream(session, request, feed, undefined, 'unchecked', String(from));
      const position = snapshot === 'initial' ? undefined : { lsn: this.#source.end() };
      return new LiveStream(session, request, feed, position, 'behind');
    });
    if (!session.hasRoomFor(stream)) {
      this.#leave(stream);
      throw new BadMessage(
        'the request is longer than what can be kept with a socket: ask for less, or for a publication of its own',
        id,
      );
    }
    session.streams.set(id, stream);
    session.save();
  }

  /** What `work` makes; an error about the request becomes a message. */
  #told<T>(id: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof BadMessage || !TOLD.has(codeOf(error))) throw error;
      throw new BadMessage(textOf(error), id);
    }
  }

  /** The feed of those who ask for the same. */
  #feed(session: Session, { publication: asked, tables, columns, where, keyed }: SubscribeMessage): Feed {
    const [only] = session.access.size === 1 ? session.access.keys() : [];
    const name = asked ?? only;
    if (name === undefined || !session.access.has(name))
      throw this.#source.error('BAD_PARAMETER', 'name a publication that the socket was opened for');
    const restriction = session.access.get(name);
    const key = JSON.stringify([name, restriction, tables, columns, where, keyed]);
    const request: SubscribeMessage = {
      type: 'subscribe',
      id: '',
      ...(tables && { tables }),
      ...(columns && { columns }),
      ...(where && { where }),
      ...(keyed && { keyed }),
    };
    const known = this.#feeds.get(key);
    if (known !== undefined) return known;
    const feed = new Feed(this.#source, request, restriction, () => this.#publication(name));
    this.#feeds.set(key, feed);
    return feed;
  }

  #publication(name: string): Publication {
    const publication = this.#publicationOf(name);
    if (publication !== undefined) return publication;
    throw new Error(
      `there is no publication "${name}": define it before anything is awaited when the object wakes`,
    );
  }

  /** The session of a socket: of one that comes out of hibernation, with its streams. */
  #session(socket: WebSocket): Session {
    const known = this.#sessions.get(socket);
    if (known !== undefined) return known;
    const { session, streams } = Session.restore(socket);
    this.#sessions.set(socket, session);
    const failed: [id: string, error: unknown][] = [];
    for (const kept of streams) {
      const [request] = kept;
      try {
        session.streams.set(request.id, this.#revive(session, kept));
      } catch (error) {
        if (!TOLD.has(codeOf(error))) this.#report(error);
        failed.push([request.id, error]);
      }
    }
    for (const [id, error] of failed) this.#tell(session, id, error);
    return session;
  }

  #revive(session: Session, [request, at, state]: KeptStream): LiveStream {
    if (at === null) throw this.#source.error('LSN_EXPIRED', 'the snapshot was broken off: start it again');
    const feed = this.#feed(session, request);
    if (state === 'unchecked') return new LiveStream(session, request, feed, undefined, state, at);
    const position = at === '' ? undefined : parsePosition(at, this.#source);
    return new LiveStream(session, request, feed, position, state);
  }

  #end(session: Session, id: string): void {
    const stream = session.streams.get(id);
    if (stream === undefined) return;
    this.#leave(stream);
    session.streams.delete(id);
    session.save();
  }

  #leave(stream: LiveStream): void {
    stream.isOver = true;
    const { feed } = stream;
    feed.streams.delete(stream);
    if (feed.streams.size > 0) return;
    for (const [key, one] of this.#feeds) if (one === feed) this.#feeds.delete(key);
  }

  #forget(session: Session): void {
    this.#sessions.delete(session.socket);
    this.#over.add(session.socket);
    for (const stream of session.streams.values()) this.#leave(stream);
    session.streams.clear();
  }

  #drop(session: Session, code: number, reason: string): void {
    this.#forget(session);
    session.socket.close(code, reason);
  }

  #arrive(): void {
    this.#hasNews = true;
    this.#wake?.();
  }

  async #run(): Promise<void> {
    // By then the app has said its publications.
    await pause();
    for (const socket of this.#state.getWebSockets(SOCKET_TAG)) this.#session(socket);
    for (;;) {
      if (!this.#hasNews)
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      this.#wake = undefined;
      // Whoever has committed is answered first, and what others commit meanwhile goes with it.
      await pause();
      this.#hasNews = false;
      try {
        while (await this.#serve()) await pause();
      } catch (error) {
        this.#report(error);
      }
    }
  }

  /** Serves all that keep up, and one group of those that do not; returns whether any is behind then. */
  async #serve(): Promise<boolean> {
    this.#turn++;
    for (const group of this.#groups((stream) => stream.isReady)) await this.#page(group);
    const groups = this.#groups((stream) => !stream.isReady);
    const next = groups.reduce<LiveStream[] | undefined>(
      (oldest, group) => (oldest === undefined || turnOf(group) < turnOf(oldest) ? group : oldest),
      undefined,
    );
    if (next !== undefined) await this.#page(next);
    return groups.length > 0 || this.#groups((stream) => stream.isReady).length > 0;
  }

  /** The streams that have something to come, by what they read next. */
  #groups(isWanted: (stream: LiveStream) => boolean): LiveStream[][] {
    const end = this.#source.end();
    const groups: LiveStream[][] = [];
    for (const feed of this.#feeds.values()) {
      const byPosition = new Map<string, LiveStream[]>();
      for (const stream of feed.streams) {
        const isBehind = !stream.isReady || (stream.position as StreamPosition).lsn < end;
        if (!isBehind || !isWanted(stream) || stream.session.isPaused) continue;
        const key = `${stream.state === 'unchecked' ? '?' : ''}${stream.at}`;
        const group = byPosition.get(key);
        if (group === undefined) byPosition.set(key, [stream]);
        else group.push(stream);
      }
      groups.push(...byPosition.values());
    }
    return groups;
  }

  /** Reads the next page for streams of one feed that stand at one position, and sends it. */
  async #page(group: readonly LiveStream[]): Promise<void> {
    const [{ feed }] = group as [LiveStream];
    for (const stream of group) stream.turn = this.#turn;
    try {
      const from = await this.#from(group[0] as LiveStream);
      const end = this.#source.end();
      const page = await feed.page(from);
      const at = formatPosition(from);
      for (const stream of group) {
        if (stream.state === 'unchecked') stream.state = 'behind';
        stream.move(from, at);
      }
      let before = at;
      for (const batch of page.batches) {
        await this.#send(group, before, batch);
        before = batch.at;
      }
      for (const stream of group)
        if (isAt(stream, before))
          this.#pass(stream, page.end, page.end.snapshot === undefined && page.end.lsn >= end);
    } catch (error) {
      await this.#fail(group, error);
    }
  }

  /**
   * Where a stream reads next.
   *
   * @throws an error with code `BAD_PARAMETER` or `LSN_EXPIRED` for what its client has made up.
   */
  async #from({ feed, position, at, state }: LiveStream): Promise<StreamPosition> {
    if (state !== 'unchecked') return position ?? startOf(this.#source, 0, 'initial');
    return feed.open(at);
  }

  /** Sends to those that stand at `before`; those who cannot take more stay there. */
  async #send(group: readonly LiveStream[], before: string, batch: Batch): Promise<void> {
    for (const stream of group) {
      const { session } = stream;
      if (!isAt(stream, before) || session.isPaused) continue;
      if (session.sendChanges(stream, batch)) session.save();
      else this.#forget(session);
      this.#sentLength += batch.json.length;
      if (++this.#sentCount < SENT_AT_ONCE && this.#sentLength < SENT_AT_ONCE_LENGTH) continue;
      this.#sentCount = 0;
      this.#sentLength = 0;
      await pause();
    }
  }

  /** Notes that a stream has got all of a page. */
  #pass(stream: LiveStream, end: StreamPosition, isAll: boolean): void {
    const { session, request } = stream;
    const position = formatPosition(end);
    stream.move(end, position);
    if (isAll && !stream.isReady) {
      stream.state = 'ready';
      stream.noted = end.lsn;
      session.send({ type: 'ready', id: request.id, position });
    } else if (stream.isFarFromNoted) {
      session.sendChanges(stream, { json: '', end, at: position, publicAt: position });
    } else return;
    session.save();
  }

  /** Ends streams that cannot go on. */
  async #fail(group: readonly LiveStream[], error: unknown): Promise<void> {
    const isBroken = TOLD.has(codeOf(error)) && (await (group[0] as LiveStream).feed.isBroken());
    if (isBroken || !TOLD.has(codeOf(error))) this.#report(error);
    for (const stream of group) {
      if (stream.isOver) continue;
      const { session, request } = stream;
      this.#leave(stream);
      session.streams.delete(request.id);
      this.#tell(session, request.id, isBroken ? undefined : error);
    }
  }

  /** Tells a client that a stream is over, and why when that is the client's business. */
  #tell(session: Session, id: string, error: unknown): void {
    const code = codeOf(error);
    const about = TOLD.has(code)
      ? { code, message: textOf(error) }
      : { code: 'INTERNAL', message: 'the server cannot serve this now' };
    session.send({ type: 'error', id, ...about });
    session.save();
  }

  #report(error: unknown): void {
    const { onError = console.error } = this.#options;
    onError(error);
  }
}

/** A stream is where it was, and not over. */
function isAt(stream: LiveStream, at: string): boolean {
  return !stream.isOver && stream.at === at;
}

function turnOf([first]: readonly LiveStream[]): number {
  return (first as LiveStream).turn;
}

/** Lets the object do other work. */
function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}
