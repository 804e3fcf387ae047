import { DurableObject } from 'cloudflare:workers';
import { createCDC, DB, type Database, type Migration } from '@dotdo/dosql';
import { insertRows, portions, POINT, SCHEMA, sqliteNumbers } from './scenarios/item.ts';

interface Env {
  readonly COLD: DurableObjectNamespace<Cold>;
}

const FIRST: Migration = { name: '001_item', sql: SCHEMA.join(';\n') };
/** What a deployment adds, among it a column and an index over all rows. */
const LATER: readonly Migration[] = [
  { name: '002_label', sql: 'ALTER TABLE item ADD COLUMN label TEXT' },
  { name: '003_by_tag', sql: 'CREATE INDEX item_tag ON item(tag)' },
  { name: '004_orders', sql: 'CREATE TABLE orders(id INTEGER PRIMARY KEY, item_id INTEGER, amount INTEGER)' },
];
const INSERT = 'INSERT INTO item(name, category, price, note, stock, tag) VALUES(?, ?, ?, ?, ?, ?)';
const VALUES = ['an item', 1, 2.5, 'a note about it', 4, 'odd'];

/** An object that is put to sleep, opened anew, and grows. */
export class Cold extends DurableObject<Env> {
  #db: Promise<Database> | undefined;

  db(migrations: readonly Migration[]): Promise<Database> {
    return (this.#db ??= DB('bench', {
      storage: this.ctx.storage,
      migrations: [...migrations],
      history: { maxBytes: 8 * 2 ** 30 },
    }));
  }

  /** Fills the table, on SQLite alone or through DoSQL, which logs every row. */
  async load(isBare: boolean, rows: number): Promise<void> {
    const { sql } = this.ctx.storage;
    if (isBare) {
      for (const text of SCHEMA) sql.exec(text);
      for (const [first, last] of portions(rows)) sql.exec(insertRows(sqliteNumbers(first, last)));
    } else {
      const db = await this.db([FIRST]);
      for (const [first, last] of portions(rows)) await db.run(insertRows(sqliteNumbers(first, last)));
    }
    await this.ctx.storage.sync();
  }

  /** The first thing that the object does: one row by its key. */
  async first(isBare: boolean, isDeployed: boolean): Promise<number> {
    if (isBare) {
      // What every object does that makes its own tables.
      for (const text of SCHEMA)
        this.ctx.storage.sql.exec(text.replace(/^CREATE (\w+)/, 'CREATE $1 IF NOT EXISTS'));
      return this.ctx.storage.sql.exec(POINT, 1).toArray().length;
    }
    const db = await this.db(isDeployed ? [FIRST, ...LATER] : [FIRST]);
    return (await db.query(POINT, [1])).length;
  }

  /** Ends the object: its next request starts it anew. */
  sleep(): void {
    this.ctx.abort('asleep');
  }

  /** µs of an insert and of a read by key, each on average over `count`, until durable. */
  async measure(isBare: boolean, count: number): Promise<{ insert: number; read: number }> {
    const { sql } = this.ctx.storage;
    const db = isBare ? undefined : await this.db([FIRST]);
    const time = async (run: (i: number) => unknown): Promise<number> => {
      await this.ctx.storage.sync();
      const started = performance.now();
      for (let i = 0; i < count; i++) await run(i);
      await this.ctx.storage.sync();
      return ((performance.now() - started) * 1_000) / count;
    };
    const insert = await time((_) => db?.run(INSERT, VALUES) ?? sql.exec(INSERT, ...VALUES).toArray());
    const read = await time((i) => {
      const key = ((i * 7_919) % 1_000) + 1;
      return db?.query(POINT, [key]) ?? sql.exec(POINT, key).toArray();
    });
    return { insert, read };
  }

  /** Makes branches up to `count`, each with a row of its own. */
  async branch(count: number): Promise<void> {
    const db = await this.db([FIRST]);
    for (let i = (await db.branches()).length; i < count; i++) {
      const branch = await db.branch(`branch-${i}`);
      await branch.run('UPDATE item SET stock = stock + 1 WHERE id = ?', [i + 1]);
    }
    await this.ctx.storage.sync();
  }

  /** Lets the history grow to `changes`, without the table growing. */
  async age(changes: number): Promise<void> {
    const db = await this.db([FIRST]);
    while (Number(db.lsn()) < changes) await db.run('UPDATE item SET stock = stock + 1 WHERE id <= 1000');
    await this.ctx.storage.sync();
  }

  /** Follows the changes `count` times over, in the object itself. */
  async follow(count: number): Promise<void> {
    const db = await this.db([FIRST]);
    const from = db.lsn();
    for (let i = 0; i < count; i++)
      void (async () => {
        for await (const _ of createCDC(db).subscribe(from, { tables: ['item'] }));
      })();
  }
}

/** `POST /<object>/<method>` calls a method of an object with the arguments in the body. */
export default {
  async fetch(request: Request, { COLD }: Env): Promise<Response> {
    if (request.method !== 'POST') return new Response('ready');
    const [, name = '', method = ''] = new URL(request.url).pathname.split('/');
    const object = COLD.get(COLD.idFromName(name)) as unknown as Record<
      string,
      (...values: unknown[]) => unknown
    >;
    try {
      return Response.json((await object[method]?.(...(await request.json<unknown[]>()))) ?? null);
    } catch (error) {
      return new Response(String(error), { status: 500 });
    }
  },
};
