import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import type { JsonEvent, ServerMessage } from '@dotdo/cdc';
import { rowKey, type ClientSocket } from '@dotdo/cdc/client';
import { expect } from 'vitest';
import type { Database, DatabaseOptions } from '../../src/index.ts';
import { liveOptions, type LiveObject, type Opened } from './live-object.ts';

let objects = 0;

/** A new object that serves sockets. */
export function newLiveObject(options?: Partial<DatabaseOptions>): DurableObjectStub<LiveObject> {
  const name = `live ${++objects} of ${Math.random()}`;
  if (options !== undefined) liveOptions.set(name, options);
  return env.LIVE.get(env.LIVE.idFromName(name));
}

/** Runs `use` in an object with its database. */
export function inside<T>(
  stub: DurableObjectStub<LiveObject>,
  use: (db: Database, opened: Opened) => Promise<T>,
  options?: Partial<DatabaseOptions>,
): Promise<T> {
  return runInDurableObject(stub, async (object) => {
    const opened = await object.open(options);
    return use(opened.db, opened);
  });
}

/** The answer to a request for a socket. */
export function ask(stub: DurableObjectStub<LiveObject>, query: string): Promise<Response> {
  return stub.fetch(`http://do/live${query}`, { headers: { upgrade: 'websocket' } });
}

/** A raw socket with all that it has got. */
export class Ear {
  readonly socket: WebSocket;
  readonly messages: ServerMessage[] = [];
  /** Every byte that came. */
  bytes = '';
  closedWith: number | undefined;
  /** Answers what is to be acknowledged. */
  isAcknowledging = true;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.accept();
    socket.addEventListener('message', ({ data }) => {
      this.bytes += String(data);
      if (data === 'pong') return;
      const message = JSON.parse(String(data)) as ServerMessage;
      this.messages.push(message);
      if (message.type === 'changes' && message.ack !== undefined && this.isAcknowledging)
        this.send({ type: 'ack', ack: message.ack });
    });
    socket.addEventListener('close', ({ code }) => {
      this.closedWith = code;
    });
  }

  static async open(stub: DurableObjectStub<LiveObject>, query = '?publication=board'): Promise<Ear> {
    const { webSocket, status } = await ask(stub, query);
    if (webSocket === null || webSocket === undefined) throw new Error(`it answered ${status}`);
    return new Ear(webSocket);
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  subscribe(id: string, options: Record<string, unknown> = {}): void {
    this.send({ type: 'subscribe', id, ...options });
  }

  of(id: string): ServerMessage[] {
    return this.messages.filter((message) => message.id === id);
  }

  /** The events of one stream. */
  events(id = 'a'): JsonEvent[] {
    return this.of(id).flatMap((message) => (message.type === 'changes' ? message.events : []));
  }

  /** The position after all that came. */
  position(id = 'a'): string | undefined {
    const last = this.of(id).findLast((message) => message.type !== 'error');
    return last === undefined ? undefined : last.position;
  }

  /** The code of the error that a stream ended with. */
  async error(id: string | undefined): Promise<string> {
    const found = () =>
      this.messages.find((message) => message.type === 'error' && message.id === id) as
        | { code: string }
        | undefined;
    await expect.poll(found, { timeout: 5_000 }).toBeDefined();
    return found()?.code ?? '';
  }

  async ready(id = 'a'): Promise<void> {
    await expect.poll(() => this.of(id).some(({ type }) => type === 'ready'), { timeout: 20_000 }).toBe(true);
  }

  /** The rows that the events of a stream come to. */
  rows(id = 'a'): Map<string, unknown> {
    return replay(this.events(id));
  }
}

/** Applies events to rows in the plainest way: what a consumer has to do, no more. */
export function replay(events: readonly JsonEvent[]): Map<string, unknown> {
  const rows = new Map<string, unknown>();
  for (const { key, before, after } of events) {
    if (key === undefined) continue;
    const old = JSON.stringify([{ ...key, ...pick(key, before) }]);
    rows.delete(old);
    if (after) rows.set(JSON.stringify([{ ...key, ...pick(key, after) }]), after);
  }
  return rows;
}

function pick(key: object, row: object | null | undefined): object {
  return Object.fromEntries(Object.entries(row ?? {}).filter(([name]) => Object.hasOwn(key, name)));
}

/** Rows as a live query has them, of those that a table has. */
export function byKey(rows: readonly Record<string, unknown>[], ...key: string[]): Map<string, unknown> {
  return new Map(rows.map((row) => [rowKey(...key.map((name) => row[name] as string)), row]));
}

/** A constructor of sockets that reach an object, and ways to break them. */
export function socketsTo(stub: () => DurableObjectStub<LiveObject>): {
  readonly WebSocket: new (url: string, protocols: string[]) => ClientSocket;
  readonly urls: string[];
  /** All bytes that came. */
  readonly bytes: () => string;
  /** Breaks all connections; none can be made until `mend`. */
  breakDown(): void;
  mend(): void;
} {
  const open = new Set<StubSocket>();
  const urls: string[] = [];
  let isDown = false;
  let bytes = '';

  class StubSocket implements ClientSocket {
    readonly #listeners = new Map<string, ((event: unknown) => void)[]>();
    #socket: WebSocket | undefined;
    #isOver = false;

    constructor(url: string, protocols: string[]) {
      urls.push(url);
      open.add(this);
      void this.#open(url, protocols);
    }

    async #open(url: string, protocols: string[]): Promise<void> {
      // Nobody listens yet.
      await Promise.resolve();
      const headers = { upgrade: 'websocket', 'sec-websocket-protocol': protocols.join(', ') };
      const answer = isDown ? undefined : await stub().fetch(url.replace(/^ws/, 'http'), { headers });
      const socket = answer?.webSocket;
      if (socket === null || socket === undefined || this.#isOver) {
        socket?.accept();
        socket?.close();
        this.end();
        return;
      }
      this.#socket = socket;
      socket.accept();
      socket.addEventListener('message', (event) => {
        bytes += String(event.data);
        this.#emit('message', event);
      });
      socket.addEventListener('close', () => this.end());
      this.#emit('open', {});
    }

    #emit(type: string, event: unknown): void {
      if (!this.#isOver) for (const listener of this.#listeners.get(type) ?? []) listener(event);
    }

    end(): void {
      this.#emit('close', {});
      this.#isOver = true;
      open.delete(this);
    }

    cut(): void {
      const socket = this.#socket;
      this.end();
      socket?.close(1000);
    }

    send(text: string): void {
      this.#socket?.send(text);
    }

    close(): void {
      this.#isOver = true;
      open.delete(this);
      this.#socket?.close(1000);
    }

    addEventListener(type: string, listener: (event: unknown) => void): void {
      this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
    }
  }

  return {
    WebSocket: StubSocket,
    urls,
    bytes: () => bytes,
    breakDown: () => {
      isDown = true;
      for (const socket of open) socket.cut();
    },
    mend: () => {
      isDown = false;
    },
  };
}
