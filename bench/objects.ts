import { DurableObject } from 'cloudflare:workers';
import { DB, type Database, type SqlParameter } from '@dotdo/dosql';
import type { FirstWrites, LineReading, Step } from './scenarios/branching.ts';
import {
  AGGREGATE,
  insertRows,
  POINT,
  portions,
  RANGE,
  SCHEMA,
  sqliteNumbers,
  updateOf,
  type Rows,
} from './scenarios/item.ts';
import { CHANGE, type Reading } from './scenarios/past.ts';
import { billed } from './harness/billed.ts';
import type { Streaming } from './streaming.ts';

/** The objects that are called from outside. */
export interface ObjectBindings {
  PAST: DurableObjectNamespace<Past>;
  BRANCHING: DurableObjectNamespace<Branching>;
  STREAMING: DurableObjectNamespace<Streaming>;
}

const FIRST_WRITE = 'UPDATE item SET stock = stock + 1 WHERE id = ?';

type ItemRow = { readonly stock: number };
type Totals = { readonly n: number; readonly total: number };

/** A database of one table, and a clock that stops when all is durable. */
export abstract class Measured extends DurableObject<ObjectBindings> {
  #db: Promise<Database> | undefined;

  db(): Promise<Database> {
    return (this.#db ??= DB('bench', { storage: this.ctx.storage, history: { maxBytes: 8 * 2 ** 30 } }));
  }

  async load(rows: number): Promise<void> {
    const db = await this.db();
    for (const sql of SCHEMA) await db.exec(sql);
    for (const [first, last] of portions(rows)) await db.run(insertRows(sqliteNumbers(first, last)));
    await this.ctx.storage.sync();
  }

  /** µs that `run` takes until what it wrote is durable. */
  async time(run: () => Promise<unknown>): Promise<number> {
    await this.ctx.storage.sync();
    const started = performance.now();
    await run();
    await this.ctx.storage.sync();
    return (performance.now() - started) * 1_000;
  }
}

/** A table whose past is read. */
export class Past extends Measured {
  async change(transactions: number[][]): Promise<void> {
    const db = await this.db();
    for (const keys of transactions) await db.run(CHANGE, keys);
    await this.ctx.storage.sync();
  }

  async changeAll(): Promise<void> {
    await (await this.db()).run('UPDATE item SET stock = stock + 1');
    await this.ctx.storage.sync();
  }

  /** The LSN, as text. */
  async mark(): Promise<string> {
    return String((await this.db()).lsn());
  }

  async aggregate(mark: string | null, times: number): Promise<Reading> {
    const { sql, params } = asOf(AGGREGATE, mark);
    const db = await this.db();
    let sum = 0;
    const taken = await this.time(async () => {
      for (let i = 0; i < times; i++) sum = (await db.query<Totals>(sql, params))[0]?.total ?? Number.NaN;
    });
    return { micros: taken / times, sum };
  }

  async points(mark: string | null, keys: number[]): Promise<Reading> {
    const { sql, params } = asOf(POINT, mark);
    const db = await this.db();
    let sum = 0;
    const taken = await this.time(async () => {
      for (const key of keys) sum += (await db.query<ItemRow>(sql, [...params, key]))[0]?.stock ?? Number.NaN;
    });
    return { micros: taken / keys.length, sum };
  }

  async history(_: string, keys: number[]): Promise<Reading> {
    const db = await this.db();
    let sum = 0;
    const taken = await this.time(async () => {
      for (const key of keys) sum += (await db.history('item', key)).length;
    });
    return { micros: taken / keys.length, sum };
  }

  async sleep(): Promise<void> {
    this.ctx.abort('asleep');
  }
}

function asOf(sql: string, mark: string | null): { sql: string; params: SqlParameter[] } {
  if (mark === null) return { sql, params: [] };
  return {
    sql: sql.replace('FROM item', 'FROM item FOR SYSTEM_TIME AS OF LSN ?'),
    params: [BigInt(mark)],
  };
}

/** A table that is branched. */
export class Branching extends Measured {
  async firstWrites(created: number, written: number, key: number): Promise<FirstWrites> {
    const db = await this.db();
    const names = Array.from({ length: created }, (_, i) => `first/${i}`);
    const branches: Database[] = [];
    const creating = await this.time(async () => {
      for (const name of names) {
        branches.push(await db.branch(name));
        await this.ctx.storage.sync();
      }
    });
    const writing = await this.time(async () => {
      for (const branch of branches.slice(0, written)) {
        const { changes } = await branch.run(FIRST_WRITE, [key]);
        if (changes !== 1) throw new Error(`the first write changed ${changes} rows`);
        await this.ctx.storage.sync();
      }
    });
    for (const name of names) await db.dropBranch(name);
    return { createMicros: creating / created, writeMicros: writing / written };
  }

  /** Counting changes `sql`, so it comes last. */
  async billedRows(key: number): Promise<number> {
    const branch = await (await this.db()).branch('counted');
    return (await billed(this.ctx.storage.sql, () => branch.run(FIRST_WRITE, [key]))).rowsWritten;
  }

  async branch(name: string): Promise<void> {
    await (await this.db()).branch(name);
    await this.ctx.storage.sync();
  }

  async drop(name: string): Promise<void> {
    await (await this.db()).dropBranch(name);
    await this.ctx.storage.sync();
  }

  async change(branch: string, which: Rows): Promise<Step> {
    const line = await (await this.db()).checkout(branch);
    const { sql, values } = updateOf(which);
    let rows = 0;
    const micros = await this.time(async () => {
      ({ changes: rows } = await line.run(sql, values));
    });
    return { micros, rows };
  }

  async diff(branch: string): Promise<Step | undefined> {
    const db = (await this.db()) as unknown as Merging;
    if (db.diff === undefined) return undefined;
    let rows = 0;
    const micros = await this.time(async () => {
      rows = ((await db.diff?.('main', branch)) ?? []).length;
    });
    return { micros, rows };
  }

  async merge(branch: string): Promise<Step | undefined> {
    const db = (await this.db()) as unknown as Merging;
    if (db.merge === undefined) return undefined;
    let rows = 0;
    const micros = await this.time(async () => {
      const merged = await db.merge?.(branch);
      if (merged?.conflicts.length !== 0) throw new Error(`${merged?.conflicts.length} conflicts`);
      rows = merged.updated;
    });
    return { micros, rows };
  }

  async firstRead(branch: string): Promise<number> {
    const line = await (await this.db()).checkout(branch);
    return this.time(() => line.query(POINT, [1]));
  }

  async read(branch: string, keys: number[], ranges: number[], aggregates: number): Promise<LineReading> {
    const line = await (await this.db()).checkout(branch);
    let sum = 0;
    const points = await this.time(async () => {
      for (const key of keys) sum += (await line.query<ItemRow>(POINT, [key]))[0]?.stock ?? Number.NaN;
    });
    const ranged = await this.time(async () => {
      for (const first of ranges)
        for (const { stock } of await line.query<ItemRow>(RANGE, [first, first + 99])) sum += stock;
    });
    const aggregated = await this.time(async () => {
      for (let i = 0; i < aggregates; i++)
        sum += (await line.query<Totals>(AGGREGATE))[0]?.total ?? Number.NaN;
    });
    return {
      pointMicros: points / keys.length,
      rangeMicros: ranged / ranges.length,
      aggregateMicros: aggregated / aggregates,
      sum,
    };
  }

  async sum(branch: string): Promise<number> {
    const line = await (await this.db()).checkout(branch);
    return (await line.query<Totals>(AGGREGATE))[0]?.total ?? Number.NaN;
  }
}

/** What merges, which a build of the engine may not have. */
interface Merging {
  diff?(from: string, to: string): Promise<readonly object[]>;
  merge?(source: string): Promise<{ readonly updated: number; readonly conflicts: readonly object[] }>;
}

/**
 * Calls what `POST /<class>/<object>/<method>` names with the arguments that it carries as JSON, and answers
 * with what the method returns.
 */
export async function callObject(request: Request, env: ObjectBindings): Promise<Response> {
  const [, kind, object = '', method = ''] = new URL(request.url).pathname.split('/');
  const namespace =
    { past: env.PAST, branching: env.BRANCHING, streaming: env.STREAMING }[kind ?? ''] ?? env.PAST;
  const stub = namespace.get(namespace.idFromName(object)) as unknown as Record<
    string,
    (...args: unknown[]) => Promise<unknown>
  >;
  try {
    return Response.json({ result: await stub[method]?.(...(await request.json<unknown[]>())) });
  } catch (error) {
    return Response.json({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}
