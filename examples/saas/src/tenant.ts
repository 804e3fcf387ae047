import { DurableObject } from 'cloudflare:workers';
import type { Cdc } from '@dotdo/cdc';
import { DB, restore, type Database, type Point } from '@dotdo/dosql';
import { errorResponse, HttpError } from '@dotdo/example-shared/http';
import { startAnalytics } from './analytics.ts';
import { backUp, folderOf, KEPT, type BackedUp } from './backup.ts';
import { fleetOf } from './fleet.ts';
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

/** What a tenant was made anew of. */
export interface RestoredTenant {
  /** The point that it is as of. */
  readonly lsn: number;
  readonly tables: number;
  readonly files: number;
}

/** Names the timer that has the operator told of the tenant, and keeps which version it was told of. */
const REGISTER = 'register';

/** The object of a tenant. */
export function tenantOf(name: string, { TENANT }: Pick<Env, 'TENANT'>): DurableObjectStub<Tenant> {
  return TENANT.getByName(name);
}

/**
 * One tenant: its database, its HTTP interface, its live sockets, its webhook and its backups.
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
      // Part of the transaction: whoever has signed up comes onto the operator's list, whatever happens now.
      await main.schedule(REGISTER, Date.now());
      return true;
    });
  }

  /** Brings the schema up to date, tells the list so, and returns its version; undefined when nobody has signed the tenant up. */
  async migrate(): Promise<number | undefined> {
    const opened = await this.#openOwn();
    return opened === undefined ? undefined : this.#register(opened.main);
  }

  /** Backs the tenant up now; undefined when there is none. */
  async backUp(): Promise<BackedUp | undefined> {
    const opened = await this.#openOwn();
    return opened === undefined ? undefined : backUp(opened.main);
  }

  /**
   * Makes the tenant from the backups of another, or of one that it once was itself; undefined when there is one
   * already. What an attempt that was cut off has left has no name, so it is nobody's, and is deleted by the next.
   */
  async restoreFrom(name: string, from: string, at: Point | undefined): Promise<RestoredTenant | undefined> {
    if (this.exists() || this.#opened !== undefined) return undefined;
    const { storage } = this.ctx;
    const source = { bucket: this.env.TENANT_DATA, prefix: folderOf(from) };
    let restored: RestoredTenant | undefined;
    // Whoever comes meanwhile waits for the tenant to be there.
    await this.#opening(async () => {
      await storage.deleteAll();
      const { lsn, tables, files } = await restore({ storage, from: source, at });
      storage.kv.put('name', name);
      restored = { lsn: Number(lsn), tables, files };
      return this.#wake(name);
    });
    return restored;
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

  /** Opens the tenant once while the object is awake. */
  #open(name: string): Promise<Opened> {
    return this.#opened ?? this.#opening(() => this.#wake(name));
  }

  /** Has everyone who asks for the tenant wait for `work`. What fails is tried again when it is asked for again. */
  #opening(work: () => Promise<Opened>): Promise<Opened> {
    return (this.#opened = work().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    }));
  }

  /**
   * Whatever wakes the object, a request, a message or the alarm: its schema is brought up to date if there was a
   * deployment, the sockets that were held while it slept go on, and so do those who are told of changes, before
   * anything is written.
   */
  async #wake(name: string): Promise<Opened> {
    const { ctx, env } = this;
    const main = await DB(name, {
      storage: { hot: ctx.storage, cold: env.TENANT_DATA, coldPrefix: folderOf(name) },
      migrations: { folder: '.do/migrations/saas' },
      ...KEPT,
    });
    main.onTimer(REGISTER, async () => {
      if (!(await this.#isRegistered(main))) await this.#register(main);
    });
    this.#cdc ??= openStreams(main, ctx);
    await startAnalytics(this.#cdc, env, !this.exists());
    await startWebhook(ctx, this.#cdc);
    if (this.exists() && !(await this.#isRegistered(main))) await main.schedule(REGISTER, Date.now());
    return { main, cdc: this.#cdc };
  }

  /** Tells the operator's list of the tenant and its schema's version, which it returns. */
  async #register(main: Database): Promise<number> {
    const version = await versionOf(main);
    await fleetOf(this.env).register(main.name, version);
    this.ctx.storage.kv.put(REGISTER, version);
    return version;
  }

  async #isRegistered(main: Database): Promise<boolean> {
    return (await versionOf(main)) === this.ctx.storage.kv.get<number>(REGISTER);
  }
}

async function versionOf(db: Database): Promise<number> {
  return (await db.migrations()).length;
}
