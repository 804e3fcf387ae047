import { createCDC, type Cdc } from '@dotdo/cdc';
import type { Database } from '@dotdo/dosql';
import { HttpError, requireSameOrigin } from '@dotdo/example-shared/http';
import { parseInput, parseQuery } from '@dotdo/example-shared/input';
import { seqsOf } from './edits.ts';
import { LiveQuery } from './input.ts';
import { Line, MAIN } from './line.ts';
import type { Member } from './members.ts';
import { ClientMessage, MAX_MESSAGE_LENGTH, type Welcome } from './messages.ts';
import { Rate } from './rate.ts';
import { Room } from './room.ts';
import { lineTag, peerOf, seatOf, tagsOf, userTag, type Seat } from './seat.ts';
import { Turns } from './turns.ts';
import { closeReason, requireUpgrade, upgraded } from './upgrade.ts';

/** Each frame goes to every one of them. */
const MAX_SOCKETS = 500;

/** A document's lines and sockets. Sockets outlast the object's sleep, and so does who holds each: see `Seat`. */
export class Rooms {
  /** What writes blocks takes its turn here. */
  readonly turns = new Turns();
  readonly #ctx: DurableObjectState;
  readonly #main: Database;
  readonly #rooms = new Map<string, Room>();
  readonly #rates = new WeakMap<WebSocket, Rate>();
  readonly #onChange: () => Promise<void>;

  constructor(ctx: DurableObjectState, main: Database, cdc: Cdc, onChange: () => Promise<void>) {
    this.#ctx = ctx;
    this.#main = main;
    this.#onChange = onChange;
    this.#open(new Line(MAIN, main, cdc));
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
  }

  /**
   * The room of a line.
   *
   * @throws DoSQLError `NO_SUCH_BRANCH`
   */
  async room(name: string): Promise<Room> {
    const known = this.#rooms.get(name);
    if (known !== undefined) return known;
    const db = await this.#main.checkout(name);
    return this.#rooms.get(name) ?? this.#open(new Line(name, db, createCDC(db)));
  }

  /** Ends a line that has been dropped. */
  close(name: string): void {
    this.#rooms.delete(name);
    for (const socket of this.#ctx.getWebSockets(lineTag(name))) socket.close(4404, 'this branch is gone');
  }

  /** Closes a user's sockets. */
  hangUp(user: string, code: number, reason: string): void {
    for (const socket of this.#ctx.getWebSockets(userTag(user))) socket.close(code, reason);
  }

  /** `GET /live?client=&since=&branch=`: a socket, and on it all that has changed since the LSN that the client has. */
  async accept(request: Request, member: Member): Promise<Response> {
    requireSameOrigin(request);
    const { client, since, branch } = parseQuery(LiveQuery, new URL(request.url).searchParams);
    requireUpgrade(request);
    const room = await this.room(branch);
    if (this.#ctx.getWebSockets().length >= MAX_SOCKETS)
      throw new HttpError(503, `${MAX_SOCKETS} windows show this document already`);
    const seat: Seat = {
      key: crypto.randomUUID(),
      user: member.id,
      name: member.name,
      role: member.role,
      line: branch,
      client: `${member.id}/${client}`,
      until: member.expires_at === null ? null : Date.parse(member.expires_at),
      cursor: null,
    };
    const { 0: theirs, 1: ours } = new WebSocketPair();
    await this.turns.take(async () => {
      // The others are told what there is to tell, so that the next frame begins where the welcome ends.
      await room.frame();
      const welcome = await this.#welcome(room, seat, since);
      this.#ctx.acceptWebSocket(ours, tagsOf(seat));
      ours.serializeAttachment(seat);
      ours.send(JSON.stringify(welcome));
    });
    await room.move(ours);
    return upgraded(request, theirs);
  }

  /** What a client says. One that says what no client should is not talked to any longer. */
  async message(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const seat = seatOf(socket);
    const now = Date.now();
    if (seat.until !== null && seat.until <= now) return socket.close(4403, 'your time is over');
    if (typeof data !== 'string') return socket.close(1003, 'send text');
    if (data.length > MAX_MESSAGE_LENGTH) return socket.close(1009, 'that is too long');
    let rate = this.#rates.get(socket);
    if (rate === undefined) this.#rates.set(socket, (rate = new Rate()));
    if (rate.isExceeded(now)) return socket.close(4429, 'that is too much at once');
    let message: ClientMessage;
    try {
      message = parseInput(ClientMessage, JSON.parse(data));
    } catch (error) {
      const reason = error instanceof HttpError ? error.message : 'that is not JSON';
      return socket.close(4400, closeReason(reason));
    }
    const room = await this.room(seat.line);
    if (message.type === 'cursor') {
      socket.serializeAttachment({ ...seat, cursor: message.cursor } satisfies Seat);
      return room.move(socket);
    }
    if (seat.role === 'viewer') return socket.close(4403, 'you may look, but not edit');
    return room.ask(socket, { userId: seat.user, client: seat.client, message });
  }

  /** Someone has gone. */
  async closed(socket: WebSocket): Promise<void> {
    const { line, key } = seatOf(socket);
    const room = this.#rooms.get(line) ?? (line === MAIN ? await this.room(MAIN) : undefined);
    await room?.leave(socket, key);
  }

  #open(line: Line): Room {
    const room = new Room({
      ctx: this.#ctx,
      main: this.#main,
      line,
      turns: this.turns,
      onChange: this.#onChange,
    });
    this.#rooms.set(line.name, room);
    return room;
  }

  async #welcome({ line, sockets }: Room, { key, role, client }: Seat, since: number): Promise<Welcome> {
    const seqs = await seqsOf(this.#main, [client]);
    const known = since === 0 ? undefined : await line.since(since);
    const document = await line.db.get<{ title: string }>('SELECT title FROM document');
    return {
      type: 'welcome',
      key,
      role,
      title: document?.title ?? '',
      lsn: line.lsn,
      seq: seqs.get(client) ?? 0,
      isComplete: known === undefined,
      blocks: known?.blocks ?? (await line.blocks()),
      removed: known?.removed ?? [],
      peers: sockets.map((socket) => peerOf(seatOf(socket))),
    };
  }
}
