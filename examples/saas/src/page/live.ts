import type { Session } from './api.ts';
import type { Change } from './model.ts';

const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 10_000;
/** The server answers pings without waking up; they keep proxies from closing a quiet connection. */
const PING_EVERY_MS = 30_000;

/** What to do with what comes. */
export interface Listener {
  readonly change: (change: Change) => void;
  readonly connected: (isConnected: boolean) => void;
  /** The server did not let the socket in: ask over HTTP what is wrong, and start anew. */
  readonly refused: () => void;
}

/**
 * Listens to the tenant's changes after an LSN. A connection that breaks is made again and goes on after the
 * last change that came, so none is missed and none comes twice.
 */
export class Live {
  readonly #session: Session;
  readonly #listener: Listener;
  #lsn: number;
  #socket: WebSocket | undefined;
  #retryMs = FIRST_RETRY_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(session: Session, lsn: number, listener: Listener) {
    this.#session = session;
    this.#lsn = lsn;
    this.#listener = listener;
    this.#connect();
  }

  /** Stops listening, for good. */
  stop(): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  #connect(): void {
    const { tenant, token } = this.#session;
    const url = new URL(`/t/${encodeURIComponent(tenant)}/activity/live?after=${this.#lsn}`, location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    // A browser cannot give a WebSocket an Authorization header, but it can offer subprotocols.
    const socket = new WebSocket(url, ['activity', `bearer.${token}`]);
    this.#socket = socket;
    let isOpen = false;
    let ping: ReturnType<typeof setInterval> | undefined;
    socket.addEventListener('open', () => {
      isOpen = true;
      this.#retryMs = FIRST_RETRY_MS;
      ping = setInterval(() => socket.send('ping'), PING_EVERY_MS);
      this.#listener.connected(true);
    });
    socket.addEventListener('message', ({ data }: MessageEvent<string>) => {
      if (data === 'pong' || this.#socket !== socket) return;
      const change = JSON.parse(data) as Change;
      this.#lsn = change.lsn;
      this.#listener.change(change);
    });
    socket.addEventListener('close', () => {
      clearInterval(ping);
      if (this.#socket !== socket) return;
      this.#listener.connected(false);
      this.#timer = setTimeout(() => (isOpen ? this.#connect() : this.#listener.refused()), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, MAX_RETRY_MS);
    });
  }
}
