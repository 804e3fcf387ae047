import { DurableObject } from 'cloudflare:workers';
import type { Cdc } from '@dotdo/cdc';
import { DB, type Database } from '@dotdo/dosql';
import { errorResponse, HttpError } from '@dotdo/example-shared/http';
import type { Owner } from './input.ts';
import { route } from './routes.ts';
import { openStreams } from './streams.ts';
import { OWNER_ID, USER_HEADER } from './users.ts';
import { startWebhook } from './webhook.ts';
import type { Env } from './worker.ts';

/** What is open of a tenant while its object is awake. */
interface Opened {
  readonly main: Database;
  readonly cdc: Cdc;
}

/**
 * One tenant: its database, its HTTP interface, its live sockets and its webhook.
 *
 * Invariant: only a tenant that has signed up has a database, so a wrong name leaves nothing behind.
 */
export class Tenant extends DurableObject<Env> {
  #opened: Promise<Opened> | undefined;
  #cdc: Cdc | undefined;

  /** Whether the tenant has signed up. */
  exists(): boolean {
    return this.#name !== undefined;
  }

  /** Creates the tenant with its owner as the first user; false when there is one already. */
  async signUp(name: string, owner: Owner): Promise<boolean> {
    if (this.exists()) return false;
    const { main } = await this.#open(name);
    return main.transaction(async (tx) => {
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
      const opened = await this.#openOwn();
      if (opened === undefined) throw new HttpError(404, 'there is no such tenant');
      const userId = Number(request.headers.get(USER_HEADER));
      return await route({ ctx: this.ctx, env: this.env, ...opened, userId, request });
    } catch (error) {
      return errorResponse(error);
    }
  }

  /** Runs what the database has scheduled: trimming its history, posting to the webhook. */
  override async alarm(): Promise<void> {
    await (await this.#openOwn())?.main.alarm();
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    (await this.#openOwn())?.cdc.webSocketMessage(socket, message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    (await this.#openOwn())?.cdc.webSocketClose(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    (await this.#openOwn())?.cdc.webSocketError(socket);
  }

  /** Kept in the object's own storage: written by the transaction that creates the tenant. */
  get #name(): string | undefined {
    return this.ctx.storage.kv.get<string>('name');
  }

  /** The tenant, opened; undefined when nobody has signed it up. */
  async #openOwn(): Promise<Opened | undefined> {
    const name = this.#name;
    return name === undefined ? undefined : this.#open(name);
  }

  /** Opens the tenant once while the object is awake. What fails is tried again when it is asked for again. */
  #open(name: string): Promise<Opened> {
    return (this.#opened ??= this.#wake(name).catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    }));
  }

  /**
   * Whatever wakes the object, a request, a message or the alarm: its schema is brought up to date if there was a
   * deployment, the sockets that were held while it slept go on, and so does the webhook, before anything is written.
   */
  async #wake(name: string): Promise<Opened> {
    const main = await DB(name, {
      storage: this.ctx.storage,
      migrations: { folder: '.do/migrations/saas' },
    });
    this.#cdc ??= openStreams(main, this.ctx);
    await startWebhook(this.ctx, this.#cdc);
    return { main, cdc: this.#cdc };
  }
}
