import {
  createCDC,
  durableObject,
  eventToJson,
  PermanentError,
  type Batch,
  type Cdc,
  type ChangeEvent,
  type DeliveryStatus,
  type From,
  type JsonEvent,
  type SendContext,
  type Sink,
} from '@dotdo/cdc';
import { DB, type Database } from '../../src/index.ts';
import { Random } from '../support/random.ts';
import type { Copied } from './copied.ts';
import { createTables, expected, TABLES, write, type Interest } from '../support/stream-model.ts';
import { Base, type Reply } from './base.ts';

interface Env {
  readonly Copied: DurableObjectNamespace<Copied>;
}

/** What the sink refuses for good, until it is told to take all. */
const POISON = '"n":7';
const SLOT = 'copy';

/** A database whose changes are read from outside of the process. */
export class Streamed extends Base {
  #opened: Promise<{ db: Database; cdc: Cdc }> | undefined;
  #isKind = false;

  /** Upgrades go to the sockets of change streams. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.get('upgrade') === null) return super.fetch(request);
    return (await this.#cdc()).fetch(request);
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    (await this.#cdc()).webSocketMessage(socket, message);
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    (await this.#cdc()).webSocketClose(socket);
  }

  override async alarm(): Promise<void> {
    await (await this.open()).alarm();
  }

  async open(): Promise<Database> {
    return (await this.#open()).db;
  }

  /** Runs what is due, beside the platform's alarm. */
  async ring(): Promise<Reply> {
    const { failed } = await (await this.open()).alarm();
    for (const { error } of failed) throw error;
    return { ok: true };
  }

  /** Delivers all that there is, dead letters too; says how much is left. */
  async settle(): Promise<{ lag: number; deadLetters: number; delivered: number }> {
    this.#isKind = true;
    const { db, cdc } = await this.#open();
    await db.alarm();
    const { delivered } = await cdc.replay(SLOT);
    const { lag, deadLetters } = await this.#status();
    return { lag: lag.changes, deadLetters, delivered };
  }

  async #status(): Promise<DeliveryStatus> {
    const { cdc } = await this.#open();
    return (await cdc.deliver(SLOT, this.#sink(), { tables: TABLES, fromLSN: 0 })).status();
  }

  /** Writes at random, as `seed` says. */
  async write({ seed, count }: { seed: number; count: number }): Promise<Reply> {
    const db = await this.open();
    const random = new Random(seed);
    for (let i = 0; i < count; i++) await write(random, db, this.ctx.storage);
    return { ok: true, lsn: Number(db.lsn()) };
  }

  async read({
    from,
    limit,
  }: {
    from: number;
    limit: number;
  }): Promise<{ changes: JsonEvent[]; lsn: number }> {
    const { changes, lsn } = await (await this.#cdc()).read(from, { limit });
    return { changes: changes.map(eventToJson), lsn: Number(lsn) };
  }

  async readSlot({
    name,
    options,
    limit,
  }: {
    name: string;
    options: Interest;
    limit: number;
  }): Promise<JsonEvent[]> {
    const slot = await (await this.#cdc()).slot(name, { ...options, snapshot: 'initial' });
    return (await slot.read(limit)).map(eventToJson);
  }

  async ack({ name, position }: { name: string; position: From }): Promise<Reply> {
    await (await (await this.#cdc()).slot(name)).ack(position);
    return { ok: true };
  }

  /** The rows that a consumer with this interest should have. */
  async expected(options: Interest): Promise<string[]> {
    return expected(await this.open(), options);
  }

  #open(): Promise<{ db: Database; cdc: Cdc }> {
    return (this.#opened ??= this.#make());
  }

  async #make(): Promise<{ db: Database; cdc: Cdc }> {
    const db = await DB('streamed', { storage: this.ctx.storage });
    await createTables(db);
    const cdc = createCDC(db, { live: { state: this.ctx, authorize: () => true } });
    cdc.publication('all', { tables: Object.fromEntries(TABLES.map((table) => [table, true])) });
    await cdc.deliver(SLOT, this.#sink(), {
      tables: TABLES,
      fromLSN: 0,
      batch: { changes: 20 },
      retry: { attempts: 1, firstMs: 5, maxMs: 50 },
    });
    return { db, cdc };
  }

  async #cdc(): Promise<Cdc> {
    return (await this.#open()).cdc;
  }

  /** To the object that copies, by a line that fails, loses answers, and does not take everything. */
  #sink(): Sink {
    const { Copied: namespace } = this.env as Env;
    const line = durableObject(() => namespace.getByName('one'));
    const isPoison = (event: ChangeEvent): boolean => JSON.stringify(eventToJson(event)).includes(POISON);
    return {
      send: async (batch: Batch, context: SendContext) => {
        const fate = this.#isKind ? 1 : Math.random();
        if (fate < 0.1) throw new Error('the line is down');
        if (!this.#isKind && batch.events.some(isPoison)) throw new PermanentError('not this');
        await line.send(batch, context);
        if (fate < 0.2) throw new Error('the answer was lost');
      },
    };
  }
}
