import { DurableObject } from 'cloudflare:workers';
import {
  createCDC,
  durableObject,
  queue,
  receive,
  type Batch,
  type DeliveryStatus,
  type QueuedEvent,
  type Received,
} from '@dotdo/cdc';
import { watched } from '../crash/breakable.ts';
import { DB, type Database } from '../../src/index.ts';

/** Where objects are to be stopped: at which of the points that those of one name come to. */
export interface Breaking {
  points: number;
  at: number;
  isPaused: boolean;
}

/** By the name of the objects. */
export const breakings: Map<string, Breaking> = new Map();

/** What can be had over RPC. */
type Rows = Record<string, string | number | null>[];

interface Env {
  readonly INBOX: DurableObjectNamespace<Inbox>;
  readonly QUEUE: Queue<QueuedEvent>;
}

/** An object that is stopped where {@link breakings} says. */
class Breakable extends DurableObject<Env> {
  protected db: Promise<Database> | undefined;

  protected storage(name: string): DurableObjectStorage {
    const come = (): void => {
      const breaking = breakings.get(name);
      if (breaking === undefined || breaking.isPaused || ++breaking.points !== breaking.at) return;
      this.ctx.abort('stopped by the test');
      throw new Error('stopped by the test');
    };
    return watched(this.ctx.storage, { statement: come, awaiting: async () => come() });
  }
}

/** Takes the changes of an {@link Outbox}. */
export class Inbox extends Breakable {
  #open(): Promise<Database> {
    return (this.db ??= (async () => {
      const db = await DB('inbox', { storage: this.storage(this.ctx.id.name ?? '') });
      await db.exec(
        'CREATE TABLE IF NOT EXISTS note(id INTEGER PRIMARY KEY, x UNIQUE); CREATE TABLE IF NOT EXISTS heard(n INTEGER PRIMARY KEY, lsn INTEGER)',
      );
      return db;
    })());
  }

  async receiveChanges(batch: Batch): Promise<Received> {
    return receive(await this.#open(), batch, async (change, tx) => {
      if (!('key' in change)) return;
      await tx.run('INSERT INTO heard(lsn) VALUES (?)', [change.lsn]);
      await scheduler.wait(0);
      const { key, after } = change;
      if (change.op === 'insert')
        await tx.run('INSERT INTO note VALUES (?, ?)', [after?.['id'], after?.['x']]);
      else if (change.op === 'update')
        await tx.run('UPDATE note SET x = ? WHERE id = ?', [after?.['x'], key['id']]);
      else await tx.run('DELETE FROM note WHERE id = ?', [key['id']]);
    });
  }

  async rows(sql: string): Promise<Rows> {
    return (await this.#open()).query(sql);
  }
}

/** Keeps notes, and delivers their changes to the {@link Inbox} of its name, or to the queue. */
export class Outbox extends Breakable {
  #name = '';

  open(): Promise<Database> {
    return (this.db ??= (async () => {
      this.#name = (await this.ctx.storage.get('name')) ?? '';
      const storage = this.storage(this.#name);
      const db = await DB('outbox', { storage });
      await db.exec('CREATE TABLE IF NOT EXISTS note(id INTEGER PRIMARY KEY, x)');
      // A module that an object was loading when it was stopped would never be loaded in any other.
      const breaking = breakings.get(this.#name) ?? { isPaused: false };
      breaking.isPaused = true;
      await db.backend.tables();
      breaking.isPaused = false;
      const cdc = createCDC(db);
      const options = { tables: ['note'], fromLSN: 0, batch: { changes: 3 }, retry: { firstMs: 1 } };
      const sink = this.#name.startsWith('queue')
        ? queue(this.env.QUEUE)
        : durableObject(() => this.env.INBOX.getByName(this.#name));
      await cdc.deliver('notes', sink, options);
      return db;
    })());
  }

  async named(name: string): Promise<void> {
    await this.ctx.storage.put('name', name);
  }

  override async alarm(): Promise<void> {
    await (await this.open()).alarm();
  }

  async write(statements: readonly string[], isLong: boolean): Promise<void> {
    const db = await this.open();
    if (!isLong) return db.exec(statements.join('; '));
    await db.transaction(async (tx) => {
      for (const sql of statements) {
        await tx.run(sql);
        await scheduler.wait(0);
      }
    });
  }

  async status(): Promise<DeliveryStatus & { dead: string[] }> {
    const cdc = createCDC(await this.open());
    const delivery = await cdc.deliver('notes', { send: async () => {} }, { tables: ['note'] });
    const dead = (await cdc.deadLetters('notes')).map(({ error }) => error);
    return { ...(await delivery.status()), dead };
  }

  async rows(sql: string): Promise<Rows> {
    return (await this.open()).query(sql);
  }

  /** Of all changes that have been committed. */
  async lsns(): Promise<number[]> {
    const { changes } = await createCDC(await this.open()).read(0, { tables: ['note'], limit: 10_000 });
    return changes.map(({ lsn }) => Number(lsn));
  }
}
