import { DurableObject } from 'cloudflare:workers';
import { DB, type Database, type DatabaseOptions } from '@dotdo/dosql';
import { errorResponse, json, notFound } from '@dotdo/example-shared/http';
import type { Env } from './worker.ts';

/**
 * A Durable Object with one database.
 *
 * Invariant: only what was created has a database, so a wrong name leaves nothing behind.
 */
export abstract class Stored extends DurableObject<Env> {
  #database: Promise<Database> | undefined;

  /** The folder of its migrations, and what else its database is opened with. */
  protected abstract readonly folder: string;
  protected readonly options: Omit<DatabaseOptions, 'storage' | 'migrations'> = {};

  /** Said whenever the object wakes, before anything is written: its timers, streams and deliveries. */
  protected abstract wake(db: Database): Promise<void>;

  /** Runs what the database has scheduled. */
  override async alarm(): Promise<void> {
    await (await this.existing())?.alarm();
  }

  /** Whether anybody has created it. */
  protected get isCreated(): boolean {
    return this.#database !== undefined || this.ctx.storage.kv.get('name') !== undefined;
  }

  /** The database; undefined while nobody has created it. */
  protected async existing(): Promise<Database | undefined> {
    if (this.#database !== undefined) return this.#database;
    const name = this.ctx.storage.kv.get<string>('name');
    return name === undefined ? undefined : this.#open(name);
  }

  /** The database, which is created under this name when there is none. */
  protected create(name: string): Promise<Database> {
    if (!this.isCreated) this.ctx.storage.kv.put('name', name);
    return this.#open(name);
  }

  /** What a reader of the database gives, as JSON; 404 where there is none. */
  protected async answer(what: string, read: (db: Database) => Promise<unknown>): Promise<Response> {
    try {
      const db = await this.existing();
      if (db === undefined) throw notFound(what);
      return json(await read(db));
    } catch (error) {
      return errorResponse(error);
    }
  }

  /** Opens it once while the object is awake. What fails is tried again when it is asked for again. */
  #open(name: string): Promise<Database> {
    return (this.#database ??= this.#wake(name).catch((error: unknown) => {
      this.#database = undefined;
      throw error;
    }));
  }

  async #wake(name: string): Promise<Database> {
    const migrations = { folder: `.do/migrations/shop/${this.folder}` };
    const db = await DB(name, { storage: this.ctx.storage, migrations, ...this.options });
    await this.wake(db);
    return db;
  }
}
