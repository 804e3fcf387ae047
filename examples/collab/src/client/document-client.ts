import type { Cursor, ServerMessage } from '../messages.ts';
import { OutOfStep, Replica, type Unsent } from './replica.ts';

/** How a document is opened. */
export interface ClientOptions {
  /** The document's address, without a slash at its end: `https://…/w/acme/d/<id>`. */
  readonly url: string;
  readonly token: string;
  /** Main, unless it names a branch. */
  readonly branch?: string;
  /** Called whenever something of the document, its people or the connection has changed. */
  readonly onChange?: () => void;
  /** Called with what the server has refused, and why. */
  readonly onRefused?: (reason: string) => void;
  /** What an earlier client was given to keep: this one goes on with it. That one must not be at work any more. */
  readonly unsent?: Unsent;
  /**
   * Called with what is not answered yet, whenever that changes, and before it is sent; with undefined when there is
   * nothing. Whoever keeps it where it outlasts the window loses nothing with the window.
   */
  readonly keep?: (unsent: Unsent | undefined) => void;
}

/** `ended` is for good: the right is gone, or the branch, or the token is over. */
export type Status = 'connecting' | 'live' | 'offline' | 'ended';

/** The least time between two messages, and between two places of the cursor. */
const SEND_MS = 25;
const CURSOR_MS = 100;
/** A connection that has not said anything for so long after it was asked is taken for dead. */
const PING_MS = 20_000;
/** What is not answered for so long is sent again. */
const ANSWER_MS = 5_000;
const MAX_RETRY_MS = 10_000;
/** Codes that a socket is closed with, of the server's own: see the README. */
const NO_MESSAGE = 4400;
const NO_TOKEN = 4401;
const NO_RIGHT = 4403;
const NOT_THERE = 4404;
/** Of the protocol's: a message that is too long. */
const TOO_LONG = 1009;

/**
 * A document that is open: what is done to `replica` is sent, and what others do comes. Without a connection one goes
 * on, and what was done meanwhile is sent when there is one again.
 */
export class DocumentClient {
  readonly replica: Replica;
  /** Resolves when the client is closed. */
  readonly closed: Promise<void>;
  status: Status = 'connecting';
  /** Why it has ended. */
  reason = '';
  role = 'viewer';
  /** Names this connection among the peers. */
  key = '';
  readonly #options: ClientOptions;
  #socket: WebSocket | undefined;
  #failures = 0;
  #liveSince = Infinity;
  #sentAt = 0;
  #heardAt = 0;
  #cursor: Cursor = null;
  #cursorTimer: ReturnType<typeof setTimeout> | undefined;
  #sendTimer: ReturnType<typeof setTimeout> | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #watch: ReturnType<typeof setInterval>;
  #isFinishing = false;
  readonly #noteClosed: () => void;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.replica = new Replica(options.unsent);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#noteClosed = resolve;
    this.#watch = setInterval(() => this.#look(), 1_000);
    this.#connect();
  }

  /** Sends what has been done. */
  changed(): void {
    this.#keep();
    this.#options.onChange?.();
    this.#sendSoon();
  }

  /** Shows the others where one is. */
  moveTo(cursor: Cursor): void {
    this.#cursor = cursor;
    this.#cursorTimer ??= setTimeout(() => {
      this.#cursorTimer = undefined;
      this.#say({ type: 'cursor', cursor: this.#cursor });
    }, CURSOR_MS);
  }

  /** Loses the connection, as a train does in a tunnel; `connect` ends that. */
  disconnect(): void {
    clearTimeout(this.#retryTimer);
    this.#drop();
    this.#setStatus('offline');
  }

  /** Connects at once, if it is not connected. */
  connect(): void {
    if (this.#socket === undefined && this.status !== 'ended') this.#connect();
  }

  /** Sends what is not sent yet, and closes when that is answered. */
  finish(): void {
    this.#isFinishing = true;
    this.#closeIfDone();
  }

  close(): void {
    clearInterval(this.#watch);
    for (const timer of [this.#cursorTimer, this.#sendTimer, this.#retryTimer]) clearTimeout(timer);
    this.#drop();
    this.#noteClosed();
  }

  #connect(): void {
    clearTimeout(this.#retryTimer);
    const { url, token, branch = 'main' } = this.#options;
    const query = new URLSearchParams({
      client: this.replica.client,
      since: String(this.replica.lsn),
      branch,
    });
    // A browser cannot give a WebSocket an Authorization header, but it can offer subprotocols.
    const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/live?${query.toString()}`, [
      'collab',
      `bearer.${token}`,
    ]);
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => {
      if (socket === this.#socket) this.#hear(String(data));
    });
    socket.addEventListener('close', ({ code, reason }) => {
      if (socket === this.#socket) this.#lost(code, reason);
    });
    // wrangler's runtime never ends the connection of a client that has not said anything: so say something.
    socket.addEventListener('open', () => socket.send('ping'));
    // A close follows.
    socket.addEventListener('error', () => {});
  }

  #hear(data: string): void {
    this.#heardAt = Date.now();
    if (data === 'pong') return;
    const message = JSON.parse(data) as ServerMessage;
    try {
      const refused = this.replica.receive(message);
      if (refused !== undefined) this.#options.onRefused?.(refused);
    } catch (error) {
      if (!(error instanceof OutOfStep)) throw error;
      this.replica.lsn = 0;
      this.#drop();
      this.#connect();
      return;
    }
    if (message.type === 'welcome') {
      this.#liveSince = Date.now();
      this.role = message.role;
      this.key = message.key;
      if (!this.#mayWrite) this.#loseUnsent('you may only look now');
      this.#sendAgain();
      if (this.#cursor !== null) this.#say({ type: 'cursor', cursor: this.#cursor });
      this.#setStatus('live');
    } else this.#options.onChange?.();
    this.#keep();
    this.#sendSoon();
    this.#closeIfDone();
  }

  #lost(code: number, reason: string): void {
    this.#socket = undefined;
    this.replica.peers.clear();
    if (code === NO_TOKEN || code === NO_RIGHT || code === NOT_THERE) {
      this.reason = reason;
      // With a new token the same person may go on.
      if (code !== NO_TOKEN) this.#loseUnsent(reason);
      this.#setStatus('ended');
      this.#closeIfDone();
      return;
    }
    if (code === NO_MESSAGE || code === TOO_LONG) {
      // It would be hung up on again and again.
      this.replica.giveUp();
      this.#keep();
      this.#options.onRefused?.(reason);
    }
    // One that is lost as soon as it is there would be lost, and made again, without end.
    if (Date.now() - this.#liveSince > MAX_RETRY_MS) this.#failures = 0;
    this.#liveSince = Infinity;
    const waitMs = Math.min(MAX_RETRY_MS, 100 * 2 ** this.#failures++) * (0.5 + Math.random());
    this.#retryTimer = setTimeout(() => this.#connect(), waitMs);
    this.#setStatus('offline');
    this.#closeIfDone();
  }

  #sendSoon(): void {
    const waitMs = Math.max(0, this.#sentAt + SEND_MS - Date.now());
    this.#sendTimer ??= setTimeout(() => {
      this.#sendTimer = undefined;
      this.#send();
    }, waitMs);
  }

  #send(): void {
    if (this.status === 'live') this.#sendNext(this.replica.next());
  }

  #sendAgain(): void {
    this.#sendNext(this.replica.next({ again: true }));
  }

  #sendNext(message: object | undefined): void {
    if (message === undefined || !this.#mayWrite) return;
    // First, or whoever goes on with what is kept would not know that this may have been done.
    this.#keep();
    this.#sentAt = Date.now();
    this.#say(message);
  }

  /** As far as is known: the server says so first when it has answered. */
  get #mayWrite(): boolean {
    return this.status !== 'ended' && (this.key === '' || this.role !== 'viewer');
  }

  #keep(): void {
    if (this.#mayWrite) this.#options.keep?.(this.replica.unsent);
  }

  /** What is not answered will not be: it stays to be seen here, and is not kept. */
  #loseUnsent(reason: string): void {
    if (this.replica.isSettled) return;
    this.#options.keep?.(undefined);
    this.#options.onRefused?.(`${reason}: what you wrote last is not saved`);
  }

  #closeIfDone(): void {
    if (this.#isFinishing && (this.replica.isSettled || !this.#mayWrite)) this.close();
  }

  #say(message: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** Looks whether the connection still is one, and whether what was sent has been answered. */
  #look(): void {
    if (this.status !== 'live') return;
    const now = Date.now();
    if (now - this.#heardAt > 2 * PING_MS) {
      this.#drop();
      this.#lost(1006, '');
    } else if (now - this.#heardAt > PING_MS) this.#socket?.send('ping');
    if (now - this.#sentAt > ANSWER_MS) this.#sendAgain();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  #setStatus(status: Status): void {
    this.status = status;
    this.#options.onChange?.();
  }
}
