import { createCDC, eventToJson, type Cdc, type From, type JsonEvent } from '@dotdo/cdc';
import { DB, type Database } from '../../src/index.ts';
import { Random } from '../support/random.ts';
import { createTables, expected, write, type Interest } from '../support/stream-model.ts';
import { Base, type Reply } from './base.ts';

/** A database whose changes are read from outside of the process. */
export class Streamed extends Base {
  #db: Promise<Database> | undefined;

  open(): Promise<Database> {
    return (this.#db ??= this.#make());
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

  async #make(): Promise<Database> {
    const db = await DB('streamed', { storage: this.ctx.storage });
    await createTables(db);
    return db;
  }

  async #cdc(): Promise<Cdc> {
    return createCDC(await this.open());
  }
}
