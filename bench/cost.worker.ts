import { DurableObject } from 'cloudflare:workers';
import { DB, type Database } from '@dotdo/dosql';
import { billed, type Billed } from './harness/billed.ts';
import { insertRows, portions, POINT, SCHEMA, sqliteNumbers } from './scenarios/item.ts';

interface Env {
  readonly COST: DurableObjectNamespace<Cost>;
  readonly COLD: R2Bucket;
}

/** What the platform bills for something that is done now and then. */
export interface Bill extends Billed {
  readonly name: string;
  /** R2's operations that write or list, and those that read. */
  readonly classA: number;
  readonly classB: number;
}

const ROWS = 100_000;
/** R2's classes of operations: https://developers.cloudflare.com/r2/pricing/ (deleting is free). */
const CLASS_A: ReadonlySet<string | symbol> = new Set(['put', 'list', 'createMultipartUpload']);
const CLASS_B: ReadonlySet<string | symbol> = new Set(['get', 'head']);

/** Does what is done now and then, and counts what the platform bills for it. */
export class Cost extends DurableObject<Env> {
  async measure(): Promise<Bill[]> {
    const counted = { classA: 0, classB: 0 };
    const cold = new Proxy(this.env.COLD, {
      get: (bucket, name) => {
        const value: unknown = Reflect.get(bucket, name);
        if (typeof value !== 'function') return value;
        return (...values: unknown[]) => {
          if (CLASS_A.has(name)) counted.classA++;
          if (CLASS_B.has(name)) counted.classB++;
          return Reflect.apply(value, bucket, values) as unknown;
        };
      },
    });
    const bills: Bill[] = [];
    const bill = async (name: string, work: () => Promise<unknown>): Promise<void> => {
      Object.assign(counted, { classA: 0, classB: 0 });
      const rows = await billed(this.ctx.storage.sql, work);
      bills.push({ name, ...rows, ...counted });
    };
    const db = await DB('cost', { storage: { hot: this.ctx.storage, cold }, history: { maxBytes: 2 ** 33 } });
    await this.#load(db);
    const point = db.lsn();
    await db.run('UPDATE item SET stock = stock + 1 WHERE id % 100 = 0');
    await bill('one row as of 1,000 changes ago', () => db.asOf({ lsn: point }).query(POINT, [7]));
    await bill('all rows, summed, as of 1,000 changes ago', () =>
      db.asOf({ lsn: point }).query('SELECT sum(stock) FROM item'),
    );
    await bill('creating a branch', () => db.branch('draft'));
    const draft = await db.checkout('draft');
    await bill('its first write', () => draft.run('UPDATE item SET stock = 0 WHERE id = 1'));
    await draft.run('UPDATE item SET stock = stock + 1 WHERE id <= 1000');
    await bill('merging 1,000 changed rows', () => db.merge('draft'));
    await db.dropBranch('draft');
    await bill(`the first backup, ${ROWS.toLocaleString('en')} rows`, () => db.backup());
    await db.run('UPDATE item SET stock = stock + 1 WHERE id <= 1000');
    await bill('a backup after 1,000 changes', () => db.backup());

    await db.exec(
      'CREATE TABLE readings(id INTEGER PRIMARY KEY, at INTEGER NOT NULL, sensor TEXT, value REAL)',
    );
    const day = 86_400_000;
    const begin = Math.floor(Date.now() / day - 40) * day;
    for (let i = 0; i < 10; i++)
      await db.run(
        `INSERT INTO readings(at, sensor, value) SELECT ? + i * ?, 's' || (i % 50), i * 0.1 FROM (${sqliteNumbers(1, ROWS / 10)})`,
        [begin + i * day, Math.floor(day / (ROWS / 10 + 1))],
      );
    await db.tier('readings', { column: 'at', hotFor: '24h', partition: 'day' });
    await bill(`moving ${ROWS.toLocaleString('en')} rows of 10 days to R2`, async () => {
      // The row with the highest key stays hot, so that automatic keys go on from it.
      for (let moved = 0; moved < ROWS - 1;) {
        const { rows } = await db.tierPass('readings');
        if (rows === 0) throw new Error(`${moved} rows have moved, of ${ROWS}`);
        moved += rows;
      }
    });
    await bill('one day of them, summed by sensor', () =>
      db.query('SELECT sensor, avg(value) FROM readings WHERE at >= ? AND at < ? GROUP BY sensor', [
        begin + 3 * day,
        begin + 4 * day,
      ]),
    );
    await bill('all of them, summed by sensor', () =>
      db.query('SELECT sensor, avg(value) FROM readings GROUP BY sensor'),
    );
    return bills;
  }

  async #load(db: Database): Promise<void> {
    for (const text of SCHEMA) await db.exec(text);
    for (const [first, last] of portions(ROWS)) await db.run(insertRows(sqliteNumbers(first, last)));
  }
}

export default {
  async fetch(_: Request, { COST }: Env): Promise<Response> {
    try {
      return Response.json(await COST.get(COST.newUniqueId()).measure());
    } catch (error) {
      return new Response(error instanceof Error ? error.stack : String(error), { status: 500 });
    }
  },
};
