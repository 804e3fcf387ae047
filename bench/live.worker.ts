import { DurableObject } from 'cloudflare:workers';
import { createCDC, DB, type Cdc, type Database } from '@dotdo/dosql';

interface Env {
  LIVE: DurableObjectNamespace<Live>;
}

/** An object that anyone may write to and listen to. */
export class Live extends DurableObject<Env> {
  #opened: Promise<{ db: Database; cdc: Cdc }> | undefined;

  #open(): Promise<{ db: Database; cdc: Cdc }> {
    return (this.#opened ??= this.#start());
  }

  async #start(): Promise<{ db: Database; cdc: Cdc }> {
    const db = await DB('live', { storage: this.ctx.storage });
    await db.exec('CREATE TABLE IF NOT EXISTS item(id INTEGER PRIMARY KEY, name, price)');
    const cdc = createCDC(db, { live: { state: this.ctx, authorize: () => true } });
    cdc.publication('items', { tables: { item: true } });
    return { db, cdc };
  }

  /** A POST runs SQL. */
  override async fetch(request: Request): Promise<Response> {
    const { db, cdc } = await this.#open();
    if (request.method !== 'POST') return cdc.fetch(request);
    await db.exec(await request.text());
    return new Response('done');
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    (await this.#open()).cdc.webSocketMessage(socket, message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    (await this.#open()).cdc.webSocketClose(socket);
  }
}

export default {
  fetch(request: Request, { LIVE }: Env): Response | Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === '/') return new Response('ok');
    return LIVE.get(LIVE.idFromName(pathname)).fetch(request);
  },
};
