import { createCDC, eventToJson } from '@dotdo/cdc';
import { Measured } from './objects.ts';
import { insertRows, portions, SCHEMA, sqliteNumbers } from './scenarios/item.ts';
import type { Reading } from './scenarios/past.ts';
import type { Form } from './scenarios/streaming.ts';

const UPDATE = 'UPDATE item SET stock = stock + 1';
/** Changes that are read at a time. */
const PAGE = 1_000;

/** A table whose changes are streamed, or the same on the platform alone. */
export class Streaming extends Measured {
  #from = 0n;

  /** The table without DoSQL. */
  async loadBare(rows: number): Promise<void> {
    const { sql } = this.ctx.storage;
    for (const text of SCHEMA) sql.exec(text);
    for (const [first, last] of portions(rows)) sql.exec(insertRows(sqliteNumbers(first, last)));
    await this.ctx.storage.sync();
  }

  async updateBare(): Promise<Reading> {
    return this.#updated(async () => {
      this.ctx.storage.sql.exec(UPDATE);
    });
  }

  async update(): Promise<Reading> {
    const db = await this.db();
    return this.#updated(() => db.run(UPDATE));
  }

  async forget(): Promise<void> {
    this.#from = (await this.db()).lsn();
  }

  async readOut(form: Form): Promise<Reading> {
    const cdc = createCDC(await this.db());
    let [count, sum, from] = [0, 0, this.#from];
    const taken = await this.time(async () => {
      for (;;) {
        const { changes, lsn } = await cdc.read(from, { limit: PAGE });
        if (changes.length === 0) return;
        for (const change of changes) {
          sum += Number(change.after?.['stock']);
          if (form === 'json' && JSON.stringify(eventToJson(change)) === '') throw new Error('empty');
        }
        count += changes.length;
        from = lsn;
      }
    });
    return { micros: taken / count, sum };
  }

  async snapshot(): Promise<Reading> {
    const cdc = createCDC(await this.db());
    let [count, sum] = [0, 0];
    const taken = await this.time(async () => {
      for await (const event of cdc.subscribe(0, { snapshot: 'only', batch: PAGE }))
        if (event.op === 'insert') {
          count++;
          sum += Number(event.after?.['stock']);
        }
    });
    return { micros: taken / count, sum };
  }

  async #updated(run: () => Promise<unknown>): Promise<Reading> {
    const taken = await this.time(run);
    const sum = Number(this.ctx.storage.sql.exec('SELECT count(*) FROM item').raw().next().value?.[0]);
    return { micros: taken / sum, sum };
  }
}
