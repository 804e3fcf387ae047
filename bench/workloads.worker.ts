import { DurableObject } from 'cloudflare:workers';
import { DB, type Database } from '@dotdo/dosql';
import {
  bareEngine,
  d1Engine,
  dosqlEngine,
  drizzleD1Engine,
  drizzleEngine,
  type D1Engine,
} from './adapters/engines-in-objects.ts';
import { billed, type Billed } from './harness/billed.ts';
import {
  measure,
  randomFrom,
  setUp,
  WORKLOADS,
  type Progress,
  type SqlEngine,
} from './scenarios/workloads.ts';

interface Env {
  readonly TABLES: DurableObjectNamespace<Tables>;
  readonly D1: D1Database;
  readonly D1_FOR_DRIZZLE: D1Database;
}

/** An object with the tables of one engine, named like it. */
export class Tables extends DurableObject<Env> {
  #engine: Promise<SqlEngine> | undefined;
  readonly #progress = new Map<string, Progress>();

  async setUp(name: string): Promise<void> {
    await setUp(await this.#open(name));
  }

  /** µs an operation. */
  async measure(name: string, index: number): Promise<number> {
    const workload = WORKLOADS[index];
    if (workload === undefined) throw new Error(`there is no workload ${index}`);
    return measure(await this.#open(name), workload, this.#progressOf(workload.name));
  }

  /** Rows that an operation is billed for, on average over a hundred. */
  async bill(name: string, index: number): Promise<Billed> {
    const workload = WORKLOADS[index];
    if (workload === undefined) throw new Error(`there is no workload ${index}`);
    const engine = await this.#open(name);
    const progress = this.#progressOf(workload.name);
    const run = async (): Promise<void> => {
      const random = randomFrom(1);
      for (let i = 0; i < 100; i++) await workload.operate(engine, random, progress.next++);
    };
    let { rowsRead, rowsWritten } = await billed(this.ctx.storage.sql, run);
    if (name === 'd1') {
      const before = { ...(engine as D1Engine).billed };
      await run();
      const after = (engine as D1Engine).billed;
      rowsRead = after.rowsRead - before.rowsRead;
      rowsWritten = after.rowsWritten - before.rowsWritten;
    }
    return { rowsRead: rowsRead / 100, rowsWritten: rowsWritten / 100 };
  }

  /** Inserts of all workloads go on from one another in the same table. */
  #progressOf(workload: string): Progress {
    const shared = this.#progress.get('next') ?? { next: 1, count: 0 };
    this.#progress.set('next', shared);
    const own = this.#progress.get(workload) ?? {
      get next() {
        return shared.next;
      },
      set next(value: number) {
        shared.next = value;
      },
      count: 0,
    };
    this.#progress.set(workload, own);
    return own;
  }

  #open(name: string): Promise<SqlEngine> {
    return (this.#engine ??= this.#create(name));
  }

  async #create(name: string): Promise<SqlEngine> {
    const { storage } = this.ctx;
    const database = (): Promise<Database> => DB('bench', { storage });
    switch (name) {
      case 'bare':
        return bareEngine(storage);
      case 'dosql':
        return dosqlEngine(await database(), storage);
      case 'drizzle-bare':
        return drizzleEngine(storage);
      case 'drizzle-dosql':
        return drizzleEngine(storage, (await database()).storage);
      case 'd1':
        return d1Engine(this.env.D1);
      case 'drizzle-d1':
        return drizzleD1Engine(this.env.D1_FOR_DRIZZLE);
      default:
        throw new Error(`there is no engine "${name}"`);
    }
  }
}

/** `POST /<engine>/<method>` calls a method of the engine's object with the arguments in the body. */
export default {
  async fetch(request: Request, { TABLES }: Env): Promise<Response> {
    if (request.method !== 'POST') return new Response('ready');
    const [, name = '', method] = new URL(request.url).pathname.split('/');
    const object = TABLES.get(TABLES.idFromName(name));
    const index = await request.json<number>();
    try {
      if (method === 'setUp') return Response.json(await object.setUp(name));
      if (method === 'measure') return Response.json(await object.measure(name, index));
      return Response.json(await object.bill(name, index));
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  },
};
