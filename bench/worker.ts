import { DurableObject } from 'cloudflare:workers';
import { DB, type Database } from '@dotdo/dosql';
import type { Adapter } from './adapters/adapter.ts';
import { bare } from './adapters/bare.ts';
import { dosql } from './adapters/dosql.ts';
import { callObject, type ObjectBindings } from './objects.ts';
import { CHANGES_BACK, past, ROWS, scenarios, setUp } from './scenarios/engine.ts';

export { Branching, Past } from './objects.ts';
export { Streaming } from './streaming.ts';

interface Env extends ObjectBindings {
  BARE: DurableObjectNamespace<Bare>;
  DOSQL: DurableObjectNamespace<Dosql>;
}

/** µs per operation: until answered, and until committed. */
interface Taken {
  readonly answered: number;
  readonly committed: number;
}

abstract class Measured extends DurableObject<Env> {
  abstract adapter(): Promise<Adapter>;

  async setUp(): Promise<void> {
    await setUp(await this.adapter());
    await this.ctx.storage.sync();
  }

  async measure(index: number): Promise<Taken> {
    const scenario = scenarios[index];
    if (scenario === undefined) throw new Error(`there is no scenario ${index}`);
    const { how, sql, values, runs, rows = 1 } = scenario;
    const adapter = await this.adapter();
    const input = Array.from({ length: runs }, () => values());
    const operations = input.reduce((sum, all) => sum + all.length, 0) * rows;
    let answered = 0;
    await this.ctx.storage.sync();
    const started = performance.now();
    for (const all of input) {
      const began = performance.now();
      await adapter[how](sql, all);
      answered += performance.now() - began;
      await this.ctx.storage.sync();
    }
    const committed = performance.now() - started;
    return { answered: (answered * 1_000) / operations, committed: (committed * 1_000) / operations };
  }
}

/** µs per query. */
interface Past {
  readonly bare: number;
  readonly present: number;
  readonly past: number;
}

/** Bare SQLite. */
export class Bare extends Measured {
  async adapter(): Promise<Adapter> {
    return bare(this.ctx.storage);
  }
}

/** DoSQL, and where its time goes. */
export class Dosql extends Measured {
  #db: Promise<Database> | undefined;
  #point = 0n;

  db(): Promise<Database> {
    return (this.#db ??= DB('bench', { storage: this.ctx.storage }));
  }

  async adapter(): Promise<Adapter> {
    return dosql(await this.db());
  }

  /** Remembers this point and makes `CHANGES_BACK` changes, each to another row. */
  async moveOn(): Promise<void> {
    const db = await this.db();
    this.#point = db.lsn();
    await db.run('UPDATE item SET stock = stock + 1, tag = ? WHERE id % 5 = 0 AND id <= ?', ['moved', ROWS]);
    const changes = Number(db.lsn() - this.#point);
    if (changes !== CHANGES_BACK) throw new Error(`${changes} changes were logged, not ${CHANGES_BACK}`);
  }

  /** µs per query: the present on bare SQLite, the present through DoSQL, and the past. */
  async measurePast(kind: keyof typeof past): Promise<Past> {
    const { present, past: then, count } = past[kind];
    const db = await this.db();
    const { sql } = this.ctx.storage;
    const keys = Array.from({ length: count }, (_, i) => ((i * 7_919) % ROWS) + 1);
    const keyed = kind === 'point';
    const time = async (run: (key: number) => unknown): Promise<number> => {
      const started = performance.now();
      for (const key of keys) await run(key);
      return ((performance.now() - started) * 1_000) / count;
    };
    return {
      bare: await time((key) => sql.exec(present, ...(keyed ? [key] : [])).toArray()),
      present: await time((key) => db.query(present, keyed ? [key] : [])),
      past: await time((key) => db.query(then, keyed ? [this.#point, key] : [this.#point])),
    };
  }

  /** µs per statement of what a single `run` is made of. */
  async measureParts(): Promise<Record<string, number>> {
    const db = await this.db();
    const { sql } = this.ctx.storage;
    const insert = 'INSERT INTO item(name, category, price, note, stock, tag) VALUES(?, ?, ?, ?, ?, ?)';
    const values = ['a name', 1, 2.5, 'a note', 4, 'tag'];
    const time = async (run: () => unknown): Promise<number> => {
      await this.ctx.storage.sync();
      const started = performance.now();
      for (let i = 0; i < 5_000; i++) await run();
      return ((performance.now() - started) * 1_000) / 5_000;
    };
    return {
      'the statement with its triggers, on bare SQLite': await time(() =>
        sql.exec(insert, ...values).toArray(),
      ),
      'changes(), last_insert_rowid() and the log’s end': await time(() =>
        sql.exec('SELECT changes(), last_insert_rowid(), (SELECT max(lsn) FROM __dosql_log)').raw().next(),
      ),
      'the whole run()': await time(() => db.run(insert, values)),
    };
  }
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    if (request.method === 'POST') return callObject(request, env);
    if (new URL(request.url).pathname !== '/engine') return new Response('ready');
    const rounds = Number(new URL(request.url).searchParams.get('rounds') ?? 7);
    const plain = env.BARE.get(env.BARE.idFromName('bench'));
    const ours = env.DOSQL.get(env.DOSQL.idFromName('bench'));
    await Promise.all([plain.setUp(), ours.setUp()]);
    const history: object[] = [];
    await ours.moveOn();
    for (const kind of Object.keys(past) as (keyof typeof past)[]) {
      const all: Past[] = [];
      for (let round = 0; round <= rounds; round++) {
        const result = await ours.measurePast(kind);
        if (round > 0) all.push(result);
      }
      history.push({
        name: kind,
        bareMicros: median(all.map(({ bare }) => bare)),
        presentMicros: median(all.map(({ present }) => present)),
        pastMicros: median(all.map(({ past }) => past)),
        ratio: median(all.map(({ bare, past }) => past / bare)),
      });
    }
    const measured: object[] = [];
    for (const [index, { name, unit }] of scenarios.entries()) {
      const pairs: { bare: Taken; dosql: Taken }[] = [];
      // One round to warm up, then in turns, so that what disturbs the machine disturbs both.
      for (let round = 0; round <= rounds; round++) {
        const bareFirst = round % 2 === 0;
        const one = await (bareFirst ? plain : ours).measure(index);
        const other = await (bareFirst ? ours : plain).measure(index);
        if (round > 0) pairs.push(bareFirst ? { bare: one, dosql: other } : { bare: other, dosql: one });
      }
      const compare = (until: keyof Taken): object => ({
        bareMicros: median(pairs.map(({ bare }) => bare[until])),
        dosqlMicros: median(pairs.map(({ dosql }) => dosql[until])),
        ratio: median(pairs.map(({ bare, dosql }) => dosql[until] / bare[until])),
      });
      measured.push({ name, unit, ...compare('answered'), committed: compare('committed') });
    }
    const parts = await ours.measureParts();
    return Response.json({ measured, parts, history });
  },
};
