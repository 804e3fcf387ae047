import { doAsked, type Asked, type Done } from './edits.ts';
import type { Database } from '@dotdo/dosql';
import type { Line } from './line.ts';
import type { Frame } from './messages.ts';
import { lineTag, peerOf, seatOf } from './seat.ts';
import type { Turns } from './turns.ts';

/** What comes within so many ms of the last frame is sent with the next: 60 frames a second at most. */
const FRAME_MS = 16;

/** What a room works with. */
export interface RoomParts {
  readonly ctx: DurableObjectState;
  readonly main: Database;
  readonly line: Line;
  readonly turns: Turns;
  /** Told whenever blocks have changed. */
  readonly onChange: () => Promise<void>;
}

/**
 * Those who are on one line of a document: does what they ask, and tells everyone what has come of it.
 *
 * The first message is done and told at once; what comes while that is going on, or shortly after, is done together
 * in one commit and told in one frame. Nothing here outlasts the object's sleep, and nothing has to: what was not
 * done is sent again by the client that has had no answer, and what was done is in the log.
 */
export class Room {
  readonly #parts: RoomParts;
  #asked: { readonly socket: WebSocket; readonly asked: Asked }[] = [];
  #moved = new Set<WebSocket>();
  #left: string[] = [];
  #lastFrame = 0;
  #sending: Promise<void> | undefined;

  constructor(parts: RoomParts) {
    this.#parts = parts;
  }

  get line(): Line {
    return this.#parts.line;
  }

  /** The sockets of the line. */
  get sockets(): WebSocket[] {
    return this.#parts.ctx.getWebSockets(lineTag(this.line.name));
  }

  /** Has something done. The promise holds the object awake until it is, and everyone knows. */
  ask(socket: WebSocket, asked: Asked): Promise<void> {
    this.#asked.push({ socket, asked });
    return this.tell();
  }

  /** Someone has come, or has moved the cursor. */
  move(socket: WebSocket): Promise<void> {
    this.#moved.add(socket);
    return this.tell();
  }

  /** Someone has gone. */
  leave(socket: WebSocket, key: string): Promise<void> {
    this.#moved.delete(socket);
    this.#left.push(key);
    return this.tell();
  }

  /** Tells everyone what has happened, also by other ways than this room. */
  tell(): Promise<void> {
    return (this.#sending ??= this.#send());
  }

  async #send(): Promise<void> {
    try {
      do {
        const waitMs = this.#lastFrame + FRAME_MS - Date.now();
        if (waitMs > 0) await scheduler.wait(waitMs);
        await this.#parts.turns.take(() => this.frame());
        this.#lastFrame = Date.now();
      } while (this.#asked.length + this.#moved.size + this.#left.length > 0);
    } finally {
      // At once, so that what comes from now on is not taken for what was sent.
      this.#sending = undefined;
    }
  }

  /** Does what was asked for and sends one frame. To be called in the document's turn. */
  async frame(): Promise<void> {
    const { main, line, onChange } = this.#parts;
    const asked = this.#asked;
    this.#asked = [];
    let done: Done[] = [];
    try {
      if (asked.length > 0)
        done = await doAsked(
          main,
          line,
          asked.map(({ asked }) => asked),
        );
    } catch (error) {
      // What has been done of it will be known when it is sent again.
      console.error(error);
      for (const { socket } of asked) socket.close(1011, 'that failed: connect again');
    }
    const { lsn, changes, title } = await line.news();
    const peers = [...this.#moved].map((socket) => peerOf(seatOf(socket)));
    const left = this.#left;
    this.#moved = new Set();
    this.#left = [];
    const frame: Frame = {
      type: 'frame',
      lsn,
      ...(changes.length === 0 ? {} : { changes }),
      ...(title === undefined ? {} : { title }),
      ...(peers.length === 0 ? {} : { peers }),
      ...(left.length === 0 ? {} : { left }),
    };
    const answers = new Map(asked.map(({ socket }, i) => [socket, done[i]]));
    const isNews = Object.keys(frame).length > 2;
    const text = JSON.stringify(frame);
    for (const socket of isNews ? this.sockets : answers.keys())
      send(socket, withAnswer(text, answers.get(socket)));
    if (changes.length > 0) await onChange();
  }
}

/** A frame with the answer to whom it is for. The frame itself is the same for all, and written once. */
function withAnswer(frame: string, done: Done | undefined): string {
  if (done === undefined) return frame;
  const { asked, refused } = done;
  const answer = {
    ack: asked.message.seq,
    ...(refused === undefined ? {} : { refused }),
  } satisfies Partial<Frame>;
  return `${frame.slice(0, -1)},${JSON.stringify(answer).slice(1)}`;
}

/** A socket that is closing takes nothing any more: its client will ask for what it has missed. */
function send(socket: WebSocket, text: string): void {
  if (socket.readyState === WebSocket.READY_STATE_OPEN) socket.send(text);
}
