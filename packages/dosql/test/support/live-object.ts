import { DurableObject } from 'cloudflare:workers';
import { createCDC, DB, type Cdc, type Database, type DatabaseOptions } from '../../src/index.ts';

/** What is there in an object that serves sockets. */
export interface Opened {
  readonly db: Database;
  readonly cdc: Cdc;
  readonly storage: DurableObjectStorage;
  /** What went wrong on the server's side. */
  readonly errors: unknown[];
}

/** How the objects of a name open their databases, each time that they wake. */
export const liveOptions: Map<string, Partial<DatabaseOptions>> = new Map();

/**
 * An object that serves the sockets of change streams beside its own, at `/own`. The parameter `owner` of a request
 * restricts tasks to those of one owner, `refuse` has it refused.
 */
export class LiveObject extends DurableObject {
  #opened: Promise<Opened> | undefined;

  open(options: Partial<DatabaseOptions> = liveOptions.get(this.ctx.id.name ?? '') ?? {}): Promise<Opened> {
    return (this.#opened ??= this.#open(options));
  }

  async #open(options: Partial<DatabaseOptions>): Promise<Opened> {
    const db = await DB('live', { storage: this.ctx.storage, ...options });
    // Others make tables of their own.
    if (!liveOptions.has(this.ctx.id.name ?? '')) await db.exec(SCHEMA);
    const errors: unknown[] = [];
    const cdc = createCDC(db, {
      live: { state: this.ctx, authorize, onError: (error) => errors.push(error) },
    });
    cdc.publication('board', { tables: { tasks: true, words: true, loose: true } });
    cdc.publication('model', { tables: { item: true, pair: true, named: true } });
    cdc.publication('open', {
      tables: {
        people: {
          columns: ['id', 'name', 'mail'],
          mask: { mail: { hash: 'a key' } },
          where: "country = 'NZ'",
        },
        accounts: { columns: ['iban', 'balance'], mask: { iban: { hash: 'a key' } } },
        members: { columns: ['name'] },
      },
    });
    return { db, cdc, storage: this.ctx.storage, errors };
  }

  override async fetch(request: Request): Promise<Response> {
    const { cdc } = await this.open();
    if (new URL(request.url).pathname !== '/own') return cdc.fetch(request);
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const { cdc, errors } = await this.open();
    told(errors, () => {
      if (!cdc.webSocketMessage(socket, message)) socket.send(`own ${message as string}`);
    });
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    const { cdc, errors } = await this.open();
    told(errors, () => {
      if (!cdc.webSocketClose(socket)) socket.close();
    });
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    (await this.open()).cdc.webSocketError(socket);
  }

  override async alarm(): Promise<void> {
    await (await this.open()).db.alarm();
  }
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS tasks(id INTEGER PRIMARY KEY, title, owner, status DEFAULT 'todo');
  CREATE TABLE IF NOT EXISTS words(word TEXT PRIMARY KEY, "a b", n) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS loose(v);
  CREATE TABLE IF NOT EXISTS people(id INTEGER PRIMARY KEY, name, mail, secret, country DEFAULT 'NZ');
  CREATE TABLE IF NOT EXISTS accounts(iban TEXT PRIMARY KEY, balance, pin) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS members(mail TEXT PRIMARY KEY, name) WITHOUT ROWID;
`;

/** Runs a handler; what it throws is seen by nobody else. */
function told(errors: unknown[], handle: () => void): void {
  try {
    handle();
  } catch (error) {
    errors.push(error);
    throw error;
  }
}

function authorize(request: Request): boolean | Response | { where: Record<string, string> } {
  const { searchParams } = new URL(request.url);
  if (searchParams.has('refuse')) return new Response('not you', { status: 401 });
  // A slip of the app's own, which is none of the client's business.
  if (searchParams.has('slip')) return { where: { tasks: 'canary_column = 1' } };
  const owner = searchParams.get('owner');
  return owner === null || { where: { tasks: `owner = ${Number(owner)}` } };
}
