import { DurableObject } from 'cloudflare:workers';
import { DB, type Database } from '@dotdo/dosql';
import { follow, unfollow } from './activity.ts';
import { errorResponse, HttpError } from './http.ts';
import type { Owner } from './input.ts';
import { route } from './routes.ts';
import { OWNER_ID, USER_HEADER } from './users.ts';
import type { Env } from './worker.ts';

/**
 * One tenant: its database, its HTTP interface and its live sockets.
 *
 * Invariant: only a tenant that has signed up has a database, so a wrong name leaves nothing behind.
 */
export class Tenant extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    // The platform answers these itself and lets the object sleep.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'));
    void this.#resume();
  }

  /** Whether the tenant has signed up. */
  exists(): boolean {
    return this.#name !== undefined;
  }

  /** Creates the tenant with its owner as the first user; false when there is one already. */
  async signUp(name: string, owner: Owner): Promise<boolean> {
    if (this.exists()) return false;
    const db = await this.#open(name);
    return db.transaction(async (tx) => {
      if (this.exists()) return false;
      await tx.run("INSERT INTO users (id, email, name, role) VALUES (:id, :email, :name, 'owner')", {
        id: OWNER_ID,
        ...owner,
      });
      this.ctx.storage.kv.put('name', name);
      return true;
    });
  }

  /** Answers a request for this tenant; the Worker has seen its token. */
  override async fetch(request: Request): Promise<Response> {
    try {
      const name = this.#name;
      if (name === undefined) throw new HttpError(404, 'there is no such tenant');
      const main = await this.#open(name);
      const userId = Number(request.headers.get(USER_HEADER));
      return await route({ ctx: this.ctx, secret: this.env.TOKEN_SECRET, main, userId, request });
    } catch (error) {
      return errorResponse(error);
    }
  }

  /** Runs what the database has scheduled, such as trimming its history. */
  override async alarm(): Promise<void> {
    const name = this.#name;
    if (name !== undefined) await (await this.#open(name)).alarm();
  }

  override webSocketMessage(socket: WebSocket): void {
    socket.close(1003, 'this socket only sends');
  }

  override webSocketClose(socket: WebSocket): void {
    unfollow(socket);
    // The platform answers by itself only while the object is awake.
    socket.close();
  }

  override webSocketError(socket: WebSocket): void {
    unfollow(socket);
  }

  /** Kept in the object's own storage: written by the transaction that creates the tenant. */
  get #name(): string | undefined {
    return this.ctx.storage.kv.get<string>('name');
  }

  /** The first call after a deployment brings the tenant's schema up to date, every later one is free. */
  #open(name: string): Promise<Database> {
    return DB(name, { storage: this.ctx.storage, migrations: { folder: '.do/migrations/saas' } });
  }

  /** After hibernation: the sockets are still there, the streams into them are not. */
  async #resume(): Promise<void> {
    const name = this.#name;
    const sockets = this.ctx.getWebSockets();
    if (name === undefined || sockets.length === 0) return;
    try {
      const db = await this.#open(name);
      for (const socket of sockets) void follow(db, socket);
    } catch (error) {
      console.error(error);
      for (const socket of sockets) socket.close(1011, 'the stream broke: connect again');
    }
  }
}
