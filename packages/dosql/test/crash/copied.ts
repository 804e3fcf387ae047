import { eventFromJson, eventToJson, receive, type Batch, type JsonEvent, type Received } from '@dotdo/cdc';
import { DB, type Database } from '../../src/index.ts';
import { Replica, type Interest } from '../support/stream-model.ts';
import { Base } from './base.ts';

/** Keeps every event that it is sent, each as often as it took effect. */
export class Copied extends Base {
  #db: Promise<Database> | undefined;

  #open(): Promise<Database> {
    return (this.#db ??= (async () => {
      const db = await DB('copied', { storage: this.ctx.storage });
      await db.exec(
        'CREATE TABLE IF NOT EXISTS event(n INTEGER PRIMARY KEY, lsn INTEGER, event TEXT); CREATE INDEX IF NOT EXISTS by_lsn ON event(lsn)',
      );
      return db;
    })());
  }

  async receiveChanges(batch: Batch): Promise<Received> {
    return receive(await this.#open(), batch, async (event, tx) => {
      await tx.run('INSERT INTO event(lsn, event) VALUES (?, ?)', [
        event.lsn,
        JSON.stringify(eventToJson(event)),
      ]);
      if (Math.random() < 0.3) await scheduler.wait(0);
    });
  }

  /** LSNs of what took effect, in the order of the log. */
  async lsns(): Promise<number[]> {
    const rows = await (await this.#open()).query<{ lsn: number }>('SELECT lsn FROM event ORDER BY lsn');
    return rows.map(({ lsn }) => lsn);
  }

  /** The rows that all of it makes, in the order in which it came. */
  async contents(options: Interest): Promise<string[]> {
    const replica = new Replica();
    for (const { event } of await (
      await this.#open()
    ).query<{ event: string }>('SELECT event FROM event ORDER BY n'))
      replica.apply(eventFromJson(JSON.parse(event) as JsonEvent));
    return replica.contents(options);
  }
}
