import { DurableObject } from 'cloudflare:workers';
import {
  createCDC,
  durableObject,
  eventFromJson,
  eventToJson,
  file,
  queue,
  receive,
  toDebezium,
  verifyWebhook,
  webhook,
  WebhookError,
  type Batch,
  type Cdc,
  type Change,
  type ChangeEvent,
  type ChangeRow,
  type ChangeValue,
  type Delivery,
  type LiveOptions,
  type QueuedEvent,
  type StreamAccess,
} from '@dotdo/cdc';
import { parquet } from '@dotdo/cdc/parquet';
import { DB, DoSQLError, type Database } from '@dotdo/dosql';
import { createR2Backend } from '@dotdo/dosql/fsx';

export interface Env {
  readonly SHOP: DurableObjectNamespace<Shop>;
  readonly MIRROR: DurableObjectNamespace<Mirror>;
  readonly JOBS: Queue<QueuedEvent>;
  readonly ARCHIVE: R2Bucket;
  readonly HOOK_SECRET: string;
  readonly MASK_KEY: string;
}

export class Shop extends DurableObject<Env> {
  db!: Database;
  cdc!: Cdc;
  crm!: Delivery;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    void ctx.blockConcurrencyWhile(() => this.open());
  }

  /** Runs whenever the object wakes, before any request. */
  async open() {
    this.db = await DB('shop', {
      storage: this.ctx.storage,
      migrations: [
        {
          name: '001_orders',
          sql: `CREATE TABLE orders(
            id INTEGER PRIMARY KEY,
            customer INTEGER NOT NULL,
            email TEXT NOT NULL,
            item TEXT NOT NULL,
            status TEXT NOT NULL DEFAULT 'draft'
          )`,
        },
      ],
    });
    this.cdc = createCDC(this.db, { live: this.live(), streams: this.streams() });
    this.publish(); // says what may leave
    await this.deliver(); // says where it goes
    await this.expireStreams();
  }

  override async alarm() {
    await this.db.alarm(); // deliveries and timers run here
  }

  async follow(lastSeen: bigint, handle: (change: Change) => void, signal: AbortSignal) {
    for await (const change of this.cdc.subscribe(lastSeen, { tables: ['orders'], signal })) {
      handle(change);
      lastSeen = change.lsn; // keep it: subscribe(lastSeen) goes on from here
    }
  }

  async replicate(rows: Map<ChangeValue | undefined, ChangeRow>, signal: AbortSignal) {
    const options = { tables: ['orders'], snapshot: 'initial', signal } as const;
    for await (const event of this.cdc.subscribe(0, options)) {
      if (!('key' in event)) continue; // `snapshot-end`: all rows have come
      rows.delete(event.key.id);
      if (event.after !== null) rows.set(event.after.id, event.after);
    }
  }

  publish() {
    this.cdc.publication('public', {
      tables: {
        orders: {
          columns: ['id', 'email', 'item', 'status'],
          mask: { email: { hash: this.env.MASK_KEY } },
          where: "status <> 'draft'",
        },
      },
    });
  }

  async deliver() {
    const { cdc, ctx, env } = this;

    this.crm = await cdc.deliver('crm', webhook('https://crm.example/changes', { secret: env.HOOK_SECRET }), {
      publication: 'public',
      snapshot: 'initial',
    });

    await cdc.deliver('jobs', queue(env.JOBS), { publication: 'public', operations: ['insert'] });

    const mirror = () => env.MIRROR.getByName(`mirror of ${ctx.id.toString()}`);
    await cdc.deliver('mirror', durableObject(mirror), { tables: ['orders'], snapshot: 'initial' });

    const store = createR2Backend(env.ARCHIVE, { prefix: ctx.id.toString() });
    await cdc.deliver('archive', file(store), { publication: 'public', lingerMs: 60_000 });

    await cdc.deliver('lake', file(store, { prefix: 'lake', format: parquet }), {
      publication: 'public',
      batch: { changes: 10_000, bytes: 16_000_000 },
      lingerMs: 600_000,
    });
  }

  async undelivered() {
    const letters = await this.cdc.deadLetters('crm');
    return letters.map(({ id, event, error, isBehind }) => {
      const key = 'key' in event ? event.key : {};
      return { id, key, error, isBehind };
    });
  }

  replay() {
    return this.cdc.replay('crm'); // { delivered: 2, left: 0 }
  }

  discard(ids: number[]) {
    return this.cdc.discard('crm', ids); // how many there were
  }

  live(): LiveOptions {
    return {
      state: this.ctx,
      authorize(request) {
        const customer = Number(request.headers.get('x-customer'));
        if (!Number.isSafeInteger(customer) || customer <= 0) return false;
        // Whatever the client asks for, it gets only these rows. `where` may name any column.
        return { where: { orders: `customer = ${customer}` } };
      },
    };
  }

  override async fetch(request: Request) {
    return this.cdc.fetch(request); // WebSockets, and streams over HTTP
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer) {
    this.cdc.webSocketMessage(socket, message);
  }

  override webSocketClose(socket: WebSocket) {
    this.cdc.webSocketClose(socket);
  }

  override webSocketError(socket: WebSocket) {
    this.cdc.webSocketError(socket);
  }

  hangUp() {
    for (const socket of this.ctx.getWebSockets()) socket.close(1012, 'come again');
  }

  streams() {
    return {
      database: this.db,
      basePath: '/streams',
      publications: ['public'],
      authorize(request: Request, { stream }: StreamAccess) {
        if (stream === 'public') return request.headers.get('x-role') === 'staff';
        return stream.startsWith(`chats/${request.headers.get('x-customer')}/`);
      },
    };
  }

  async send(id: number, chat: string) {
    await this.db.transaction(async (tx) => {
      await tx.run("UPDATE orders SET status = 'sent' WHERE id = ?", [id]);
      const message = JSON.stringify({ from: 'shop', text: `Order ${id} is on its way.` });
      await this.cdc.streams.append(chat, message, { transaction: tx });
    });
  }

  async expireStreams() {
    const hour = Math.floor(Date.now() / 3_600_000) + 1;
    // A name for each hour: the timer that has just woken the object must not be put off.
    await this.db.schedule(`expire-streams:${hour}`, hour * 3_600_000);
    this.db.onTimer('expire-streams', async () => {
      const { hasMore } = await this.cdc.streams.expire();
      if (hasMore) await this.db.schedule('expire-streams:more', Date.now());
      else await this.expireStreams();
    });
  }

  async toKafka(
    lastSeen: bigint,
    produce: (key: string, value: string) => Promise<void>,
    signal: AbortSignal,
  ) {
    for await (const change of this.cdc.subscribe(lastSeen, { publication: 'public', signal })) {
      const { key } = eventToJson(change);
      await produce(JSON.stringify(key), JSON.stringify(toDebezium(change, { name: 'shop' })));
      lastSeen = change.lsn;
    }
  }

  // What follows is not in the guide: the test's own ways in.

  async place(customer: number, email: string, item: string): Promise<number> {
    const insert = "INSERT INTO orders(customer, email, item, status) VALUES (?, ?, ?, 'placed')";
    return (await this.db.run(insert, [customer, email, item])).lastRowId;
  }

  async run(sql: string): Promise<void> {
    await this.db.run(sql);
  }

  /** Runs the timer `name` now. */
  async hurry(name: string): Promise<void> {
    await this.db.schedule(name, Date.now());
    await this.db.alarm();
  }

  query(sql: string): Promise<Record<string, string | number | null>[]> {
    return this.db.query(sql);
  }
}

/** Where the changes go: what you have that is to follow the database. */
export interface SearchIndex {
  clear(): Promise<void>;
  apply(events: readonly ChangeEvent[]): Promise<void>;
}

export async function syncSearch(cdc: Cdc, index: SearchIndex) {
  const slot = await cdc.slot('search', {
    tables: ['orders'],
    snapshot: 'initial',
    maxLag: { bytes: 100_000_000 },
  });
  try {
    for (;;) {
      const events = await slot.read(100);
      const last = events.at(-1);
      if (last === undefined) return;
      await index.apply(events);
      await slot.ack(last.cursor ?? last.lsn);
    }
  } catch (error) {
    if (DoSQLError.from(error)?.code !== 'LSN_EXPIRED') throw error;
    await index.clear();
    await slot.reset({ snapshot: 'initial' }); // the next call starts again
  }
}

export const crm = {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      const { id, events } = await verifyWebhook(request, env.HOOK_SECRET);
      for (const event of events) {
        const item = 'after' in event ? event.after?.item : undefined;
        // 422 says that this will never be taken.
        if (!(await isKnown(item, env))) return new Response('there is no such item', { status: 422 });
      }
      // The same batch can come again: under its id it is there once.
      await env.ARCHIVE.put(`crm/${id}`, JSON.stringify(events));
      return new Response(null, { status: 204 });
    } catch (error) {
      if (error instanceof WebhookError) return new Response(error.message, { status: 401 });
      throw error;
    }
  },
};

/** What the receiver has against a batch: items that the test has put on a list. */
async function isKnown(item: unknown, env: Env): Promise<boolean> {
  return typeof item !== 'string' || (await env.ARCHIVE.head(`unknown/${item}`)) === null;
}

export async function consume(batch: MessageBatch<QueuedEvent>, env: Env): Promise<void> {
  for (const { body } of batch.messages) {
    const event = eventFromJson(body.event);
    if (event.op !== 'insert') continue;
    // The same event can come again, and out of order: `body.id` names it, `event.lsn` orders it.
    await env.ARCHIVE.put(`jobs/${body.id}`, `confirm order ${String(event.key.id)}`);
  }
}

export class Mirror extends DurableObject<Env> {
  db() {
    return DB('mirror', {
      storage: this.ctx.storage,
      migrations: [
        { name: '001_orders', sql: 'CREATE TABLE orders(id INTEGER PRIMARY KEY, item TEXT, status TEXT)' },
      ],
    });
  }

  override async alarm() {
    await (await this.db()).alarm();
  }

  async receiveChanges(batch: Batch) {
    return receive(await this.db(), batch, async (event, tx) => {
      if (!('key' in event)) return;
      const { key, after } = event;
      await tx.run('DELETE FROM orders WHERE id = ?', [key.id]);
      if (after === null) return;
      await tx.run('INSERT INTO orders VALUES (?, ?, ?)', [after.id, after.item, after.status]);
    });
  }

  async orders() {
    return (await this.db()).query<{ id: number; item: string; status: string }>('SELECT * FROM orders');
  }
}

export const worker = {
  async fetch(request: Request, env: Env): Promise<Response> {
    // Your sign-in. If it goes by a cookie, look at the `Origin` header, too: pages of other sites can open sockets.
    const user = signedIn(request);
    if (user === undefined) return new Response('sign in first', { status: 401 });
    const headers = new Headers(request.headers);
    // In the place of whatever the client has sent.
    headers.set('x-customer', String(user.customer));
    headers.set('x-role', user.role);
    return env.SHOP.getByName(user.shop).fetch(new Request(request, { headers }));
  },
};

interface User {
  readonly shop: string;
  readonly customer: number;
  readonly role: 'customer' | 'staff';
}

/** The test's sign-in: a token is what it says, in the URL or in a header. */
function signedIn(request: Request): User | undefined {
  const bearer = request.headers.get('authorization')?.replace(/^Bearer /, '');
  const token = bearer ?? new URL(request.url).searchParams.get('token');
  return token === null ? undefined : (JSON.parse(atob(token)) as User);
}
