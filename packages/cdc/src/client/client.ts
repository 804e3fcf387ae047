import type { ServerMessage } from '../live/protocol.ts';
import { LiveQuery, type LiveQueryOptions } from './query.ts';

/** What of a WebSocket is used. */
export interface ClientSocket {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: string, listener: (event: unknown) => void): void;
}

type Given<V> = V | (() => V | Promise<V>);

/** Where the server is, and how to reach it. */
export interface LiveClientOptions {
  /**
   * The URL that the object's `cdc.fetch` serves; `https:` becomes `wss:`. A function is asked each time that it
   * connects, for a URL with a fresh token.
   */
  readonly url: Given<string | URL>;
  readonly publication: string;
  /** More subprotocols to offer, which can carry a token to the server; a function is asked each time. */
  readonly protocols?: Given<readonly string[]> | undefined;
  /** The constructor of sockets; the global one by default. */
  readonly WebSocket?: (new (url: string, protocols: string[]) => ClientSocket) | undefined;
  /** How often to look whether the line still stands, in ms; 30,000 by default. */
  readonly pingMs?: number | undefined;
  /** The longest wait before it tries again, in ms; 30,000 by default. */
  readonly maxRetryMs?: number | undefined;
  /** Told when there is no URL to connect to: what a function that gives it has thrown. It is tried again. */
  readonly onError?: ((error: unknown) => void) | undefined;
}

/** The parts of a page's global scope that tell whether there is a network. */
interface Page {
  readonly navigator?: { readonly onLine?: unknown };
  readonly location?: { readonly href: string };
  readonly WebSocket?: new (url: string, protocols: string[]) => ClientSocket;
  addEventListener(type: string, listener: () => void): void;
  removeEventListener(type: string, listener: () => void): void;
}

const page = globalThis as unknown as Page;
const FIRST_RETRY_MS = 250;
const OPEN_MS = 15_000;
const PONG_MS = 10_000;

/** A connection that queries share. It connects when there is a query, and comes back by itself. */
export class LiveClient {
  readonly #options: LiveClientOptions;
  readonly #queries = new Map<string, LiveQuery>();
  #socket: ClientSocket | undefined;
  #isOpen = false;
  #isConnecting = false;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #attempts = 0;
  #ids = 0;
  #hasPage = false;

  constructor(options: LiveClientOptions) {
    this.#options = options;
  }

  /** The rows of a query, kept in step. */
  query<T = Record<string, unknown>>(options: LiveQueryOptions): LiveQuery<T> {
    const query = new LiveQuery<T>(
      String(++this.#ids),
      {
        publication: this.#options.publication,
        send: (message) => this.#socket?.send(JSON.stringify(message)),
        leave: ({ id }) => {
          this.#queries.delete(id);
          if (this.#queries.size === 0) this.#stop();
        },
      },
      options,
    );
    this.#queries.set(query.id, query as LiveQuery<unknown> as LiveQuery);
    if (this.#isOpen) query.linked();
    else void this.#connect();
    return query;
  }

  /** Closes all queries, and the connection. */
  close(): void {
    for (const query of this.#queries.values()) query.close();
  }

  async #connect(): Promise<void> {
    if (this.#socket !== undefined || this.#isConnecting) return;
    clearTimeout(this.#timer);
    this.#watchPage();
    this.#isConnecting = true;
    try {
      const [url, protocols] = await this.#address();
      const { WebSocket: Socket = page.WebSocket } = this.#options;
      if (Socket === undefined) throw new Error('there is no WebSocket here: give its constructor');
      // All queries may have been closed meanwhile.
      if (this.#queries.size > 0) this.#use(new Socket(url, protocols));
    } catch (error) {
      const { onError = console.error } = this.#options;
      onError(error);
      this.#lost(this.#socket);
    } finally {
      this.#isConnecting = false;
    }
  }

  async #address(): Promise<[url: string, protocols: string[]]> {
    const { publication, protocols = [] } = this.#options;
    const url = new URL(await given(this.#options.url), page.location?.href);
    url.protocol = url.protocol.replace(/^http/, 'ws');
    url.searchParams.set('publication', publication);
    return [url.href, ['dosql.cdc', ...(await given(protocols))]];
  }

  #use(socket: ClientSocket): void {
    this.#socket = socket;
    const on = (type: string, listener: (event: unknown) => void): void =>
      socket.addEventListener(type, (event) => {
        if (socket === this.#socket) listener(event);
      });
    on('open', () => {
      this.#isOpen = true;
      this.#pingLater();
      for (const query of this.#queries.values()) query.linked();
    });
    on('message', (event) => this.#take((event as { data: unknown }).data));
    on('close', () => this.#lost(socket));
    on('error', () => this.#lost(socket));
    this.#wait(OPEN_MS, () => this.#lost(socket));
  }

  #take(data: unknown): void {
    this.#attempts = 0;
    this.#pingLater();
    if (typeof data !== 'string' || data === 'pong') return;
    const message = JSON.parse(data) as ServerMessage;
    if (message.id !== undefined) this.#queries.get(message.id)?.take(message);
    if (message.type === 'changes' && message.ack !== undefined)
      this.#socket?.send(JSON.stringify({ type: 'ack', ack: message.ack }));
  }

  #lost(socket: ClientSocket | undefined): void {
    if (socket !== this.#socket) return;
    this.#drop();
    for (const query of this.#queries.values()) query.unlinked();
    if (this.#queries.size === 0) return;
    const { maxRetryMs = 30_000 } = this.#options;
    const longestMs = Math.min(maxRetryMs, FIRST_RETRY_MS * 2 ** Math.min(this.#attempts++, 20));
    // Clients that have lost one server together do not come back together.
    this.#wait(longestMs * (0.5 + Math.random() / 2), () => void this.#connect());
  }

  /** Lets go of the socket, whatever state it is in. */
  #drop(): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isOpen = false;
    try {
      socket?.close(1000);
    } catch {
      // It is closed.
    }
  }

  #stop(): void {
    this.#drop();
    if (!this.#hasPage) return;
    this.#hasPage = false;
    page.removeEventListener('online', this.#online);
    page.removeEventListener('offline', this.#offline);
  }

  #pingLater(): void {
    const { pingMs = 30_000 } = this.#options;
    this.#wait(pingMs, () => {
      this.#socket?.send('ping');
      this.#wait(PONG_MS, () => this.#lost(this.#socket));
    });
  }

  /** Replaces what was waited for. */
  #wait(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(then, ms);
  }

  #watchPage(): void {
    if (this.#hasPage || typeof page.navigator?.onLine !== 'boolean') return;
    this.#hasPage = true;
    page.addEventListener('online', this.#online);
    page.addEventListener('offline', this.#offline);
  }

  #online = (): void => {
    this.#attempts = 0;
    void this.#connect();
  };

  /** The socket would find out much later. */
  #offline = (): void => {
    if (this.#socket !== undefined) this.#lost(this.#socket);
  };
}

async function given<V>(value: Given<V>): Promise<V> {
  return typeof value === 'function' ? await (value as () => V | Promise<V>)() : value;
}
