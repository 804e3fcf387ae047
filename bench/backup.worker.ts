import { DurableObject } from 'cloudflare:workers';
import { DB, restore, type Database } from '@dotdo/dosql';
import { createMemoryBackend } from '@dotdo/dosql/fsx';
import { insertRows, portions, SCHEMA, sqliteNumbers } from './scenarios/item.ts';

interface Env {
  BACKEDUP: DurableObjectNamespace<BackedUp>;
}

/** What one object has put there the other reads: the time is that of the work, without a network's. */
const cold = createMemoryBackend();

/** What a run is told of a step. */
export interface Step {
  readonly ms: number;
  readonly result: unknown;
}

/** A database that is backed up, or made anew of that. */
export class BackedUp extends DurableObject<Env> {
  #db: Promise<Database> | undefined;

  async load(rows: number): Promise<Step> {
    return this.#timed(async () => {
      const db = await this.#open();
      for (const sql of SCHEMA) await db.exec(sql);
      for (const [first, last] of portions(rows)) await db.run(insertRows(sqliteNumbers(first, last)));
      return { lsn: String(db.lsn()) };
    });
  }

  async change(count: number): Promise<Step> {
    return this.#timed(async () => {
      const db = await this.#open();
      await db.run('UPDATE item SET stock = stock + 1 WHERE id <= ?', [count]);
      await db.run('DELETE FROM item WHERE id <= ? AND id % 10 = 0', [count]);
      return { lsn: String(db.lsn()) };
    });
  }

  async backup(): Promise<Step> {
    return this.#timed(async () => {
      const { files, bytes, segments } = await (await this.#open()).backup();
      return { files, bytes, segments };
    });
  }

  async restore(): Promise<Step> {
    return this.#timed(async () => {
      const { rows, files, bytes } = await restore({ storage: this.ctx.storage, from: cold });
      return { rows, files, bytes };
    });
  }

  /** SHA-256 over all rows, as of an LSN too. */
  async digest(lsn?: string): Promise<Step> {
    return this.#timed(async () => {
      const db = await this.#open();
      const reader = lsn === undefined ? db : db.asOf({ lsn: BigInt(lsn) });
      let [text, rows, hash] = ['', 0, ''];
      const add = async (): Promise<void> => {
        const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(hash + text));
        hash = Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
        text = '';
      };
      for await (const row of reader.iterate('SELECT * FROM item ORDER BY id')) {
        text += `${JSON.stringify(Object.values(row))}\n`;
        rows++;
        if (text.length > 2 ** 20) await add();
      }
      await add();
      return { rows, hash };
    });
  }

  #open(): Promise<Database> {
    const hot = { kind: 'durable-object' as const, storage: this.ctx.storage };
    return (this.#db ??= DB('backup', {
      storage: { kind: 'tiered', hot, cold },
      history: { maxBytes: 8 * 2 ** 30 },
    }));
  }

  async #timed(work: () => Promise<unknown>): Promise<Step> {
    const started = performance.now();
    const result = await work();
    await this.ctx.storage.sync();
    return { ms: performance.now() - started, result };
  }
}

export default {
  /** `/<object>/<method>`, with the arguments as JSON. */
  async fetch(request: Request, env: Env): Promise<Response> {
    const [, name = '', method = ''] = new URL(request.url).pathname.split('/');
    if (method === '') return new Response('ready');
    const stub = env.BACKEDUP.get(env.BACKEDUP.idFromName(name)) as unknown as Record<
      string,
      (...args: unknown[]) => Promise<Step>
    >;
    try {
      return Response.json(await stub[method]?.(...(await request.json<unknown[]>())));
    } catch (error) {
      return new Response(error instanceof Error ? error.stack : String(error), { status: 500 });
    }
  },
};
