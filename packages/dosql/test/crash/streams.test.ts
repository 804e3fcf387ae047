import { eventFromJson, type JsonEvent } from '@dotdo/cdc';
import { LiveClient, type ChangeRow, type LiveQuery } from '@dotdo/cdc/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { counted } from '../support/counted.ts';
import { Random } from '../support/random.ts';
import { interest, Replica, rowEvent, TABLES, type Interest } from '../support/stream-model.ts';
import { until } from './until.ts';
import { Workerd } from './workerd.ts';

const KILLS = Number(process.env['DOSQL_KILLS'] ?? 12);
const SEED = Number(process.env['DOSQL_SEED'] ?? Date.now() % 1_000_000);
const CONSUMERS = 4;
const LIVE_TABLES = ['item', 'pair', 'named'];

let workerd: Workerd;
const random = new Random(SEED);

beforeAll(async () => {
  console.log(`seed ${SEED}: DOSQL_SEED=${SEED} DOSQL_KILLS=${KILLS}`);
  workerd = await Workerd.create();
});
afterAll(() => workerd.dispose());

/** Asks the object, and fails when it does not answer as it should. */
async function ask<T>(action: string, body: unknown = {}): Promise<T> {
  const { status, body: answer } = await workerd.ask<T>('Streamed', 'one', action, body);
  if (status !== 200) throw new Error(`${action} answered ${status}: ${JSON.stringify(answer)}`);
  return answer;
}

/** Reads by a slot, and keeps what it wants in a replica, outside of the process that is killed. */
class Consumer {
  readonly replica = new Replica();
  readonly #name: string;
  readonly #options: Interest;

  constructor(name: string) {
    this.#name = name;
    this.#options = interest(random);
  }

  /** Handles the next events; returns how many there were. */
  async step(): Promise<number> {
    const body = { name: this.#name, options: this.#options, limit: 1 + random.int(40) };
    const events = await ask<JsonEvent[]>('readSlot', body);
    const last = events.at(-1);
    for (const event of events) this.replica.apply(eventFromJson(event));
    // Whether the slot has heard of it, a kill leaves open.
    if (last !== undefined) await ask('ack', { name: this.#name, position: last.cursor ?? last.lsn });
    return events.length;
  }

  async check(): Promise<void> {
    while ((await this.step()) > 0);
    const contents = this.replica.contents(this.#options);
    expect(contents, JSON.stringify(this.#options)).toEqual(await ask('expected', this.#options));
  }
}

/** Remembers every change that was ever shown, by its LSN: shown again it has to be the same. */
class Recorder {
  readonly changes = new Map<number, string>();
  /** Up to where it has seen the log. */
  position = 0;

  async step(): Promise<number> {
    const from = random.chance(0.2) ? Math.floor(this.position / 2) : this.position;
    const { changes, lsn } = await ask<{ changes: JsonEvent[]; lsn: number }>('read', { from, limit: 200 });
    for (const change of changes) {
      const text = JSON.stringify(change);
      expect(this.changes.get(change.lsn) ?? text).toBe(text);
      this.changes.set(change.lsn, text);
    }
    this.position = lsn;
    return changes.length;
  }

  /** What the changes make of tables that were empty is what the tables hold. */
  async check(): Promise<void> {
    for (let more = 1; more > 0;) more = await this.step();
    const whole = new Replica();
    const ordered = [...this.changes].toSorted(([a], [b]) => a - b);
    for (const [, text] of ordered) whole.apply(eventFromJson(JSON.parse(text) as JsonEvent));
    const options = { tables: TABLES };
    expect(whole.contents(options)).toEqual(await ask('expected', options));
  }
}

/** What a client over a WebSocket keeps in step. */
class Follower {
  readonly #client = new LiveClient({
    url: () => `${workerd.url}/Streamed/one/live`,
    publication: 'all',
    maxRetryMs: 40,
    onError: () => {},
  });
  readonly #queries: readonly (readonly [string, LiveQuery<ChangeRow>])[] = LIVE_TABLES.map((table) => [
    table,
    this.#client.query<ChangeRow>({ table }),
  ]);

  async check(): Promise<void> {
    for (const [table, query] of this.#queries) {
      const rows = await ask<string[]>('expected', { tables: [table] });
      const contents = (): string[] => {
        const replica = new Replica();
        for (const row of query.rows.values()) replica.apply(rowEvent(table, row));
        return replica.contents({ tables: [table] });
      };
      await expect.poll(contents, { timeout: 20_000, message: table }).toEqual(rows);
    }
    this.#client.close();
  }
}

/** All changes have taken effect over there, each once, and made the rows that are here. */
async function checkCopy(changes: readonly number[]): Promise<void> {
  let dead = 0;
  for (let i = 0; ; i++) {
    const { lag, deadLetters, delivered } =
      await ask<Record<'lag' | 'deadLetters' | 'delivered', number>>('settle');
    dead += delivered;
    if (lag === 0 && deadLetters === 0) break;
    expect(i, `${lag} changes and ${deadLetters} dead letters are not delivered`).toBeLessThan(200);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  console.log(`${dead} dead letters sent again`);
  const { body: lsns } = await workerd.ask<number[]>('Copied', 'one', 'lsns');
  expect(lsns).toEqual(changes);
  const options = { tables: TABLES };
  const { body: contents } = await workerd.ask<string[]>('Copied', 'one', 'contents', options);
  expect(contents).toEqual(await ask('expected', options));
}

it(
  `streams and slots lose nothing through ${KILLS} kills, and repeat only what was not acknowledged; so deliveries and sockets`,
  { timeout: 60_000 + KILLS * 5_000 },
  async () => {
    const consumers = Array.from({ length: CONSUMERS }, (_, i) => new Consumer(`slot ${i}`));
    const recorder = new Recorder();
    const follower = new Follower();
    let acknowledged = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      await workerd.start();
      const seen = recorder.changes.size;
      const killed = new AbortController();
      const go = async (step: () => Promise<unknown>): Promise<void> => {
        while (!killed.signal.aborted)
          try {
            await step();
          } catch (error) {
            // What a killed process does not answer is no fault; anything else is.
            if (!killed.signal.aborted && !/fetch failed|terminated|ECONN|socket/i.test(String(error)))
              throw error;
            return;
          }
      };
      const writes = go(async () => {
        const { lsn } = await ask<{ lsn: number }>('write', {
          seed: random.int(2 ** 30),
          count: 1 + random.int(8),
        });
        acknowledged = lsn;
      });
      const reads = [...consumers, recorder].map((one) => go(() => one.step()));
      const rings = go(async () => {
        await ask('ring');
        await new Promise((resolve) => setTimeout(resolve, random.int(20)));
      });
      // Every other kill falls among changes that are read; the others may come while the object wakes.
      if (kill % 2 === 0) await until(() => recorder.changes.size > seen + 2);
      await new Promise((resolve) => setTimeout(resolve, 20 + random.int(250)));
      await workerd.kill();
      killed.abort();
      await Promise.all([writes, rings, ...reads]);
    }
    await workerd.start();
    for (const consumer of consumers) await consumer.check();
    await recorder.check();
    await follower.check();
    await checkCopy([...recorder.changes.keys()].toSorted((a, b) => a - b));
    counted('kills in streams', { kills: KILLS, changes: recorder.changes.size, acknowledged });
    // Not the last change's LSN: what redefines a table has LSNs too, and may have been the last.
    expect(recorder.position).toBeGreaterThanOrEqual(acknowledged);
    expect(recorder.changes.size).toBeGreaterThan(KILLS);
  },
);
