import { evictDurableObject } from 'cloudflare:test';
import { PermanentError, type Batch, type Cdc, type ChangeEvent, type From, type Sink } from '@dotdo/cdc';
import { LiveClient, type ChangeRow, type LiveQuery } from '@dotdo/cdc/client';
import { expect, inject, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { failure } from './support/database.ts';
import { inside, newLiveObject, socketsTo } from './support/live.ts';
import { Random } from './support/random.ts';
import {
  createTables,
  END,
  expected,
  interest,
  Replica,
  rowEvent,
  TABLES,
  write,
  type Interest,
} from './support/stream-model.ts';

const FUTURE = Date.UTC(2100, 0);
const HOUR = 3_600_000;
const FIRST_SEED = 20_261_121;

const given = Number(inject('seed'));
const runs = given > 0 ? 1 : Number(inject('runs')) || 50;

/** A consumer outside of the database: it outlives the object, and may lose what it did last. */
interface Consumer {
  readonly options: Interest;
  readonly replica: Replica;
  /** Reads for a while, with the writer at work. */
  begin(cdc: Cdc): void;
  /** Goes away, whatever it was at. */
  end(): Promise<void>;
  /** Reads until it has seen the last row. */
  finish(cdc: Cdc, db: Database): Promise<void>;
}

/** Keeps its position itself, and falls back to an earlier one now and then. */
class Subscriber implements Consumer {
  readonly options: Interest;
  replica = new Replica();
  readonly #random: Random;
  #position: From = 0;
  #checkpoint: readonly [From, Replica] = [0, new Replica()];
  #stop = new AbortController();
  #reading: Promise<void> = Promise.resolve();

  constructor(random: Random, options: Interest) {
    this.#random = random;
    this.options = options;
  }

  begin(cdc: Cdc): void {
    const random = this.#random;
    const fate = random.next();
    if (fate < 0.2) [this.#position, this.replica] = [this.#checkpoint[0], this.#checkpoint[1].copy()];
    // Applied, but the position that says so was lost; inside a snapshot rows and position belong together.
    else if (fate < 0.4 && typeof this.#checkpoint[0] === 'bigint') this.#position = this.#checkpoint[0];
    this.#stop = new AbortController();
    this.#reading = this.#read(cdc, this.#stop.signal, random.chance(0.5));
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#reading;
  }

  async finish(cdc: Cdc): Promise<void> {
    this.replica.isDone = false;
    await this.#read(cdc, new AbortController().signal, false);
  }

  async #read(cdc: Cdc, signal: AbortSignal, isSlow: boolean): Promise<void> {
    const batch = 1 + this.#random.int(40);
    try {
      const events = cdc.subscribe(this.#position, { ...this.options, snapshot: 'initial', signal, batch });
      for await (const event of events) {
        this.replica.apply(event);
        this.#position = event.cursor ?? event.lsn;
        if (isSlow) await Promise.resolve();
        if (this.#random.chance(0.1)) this.#checkpoint = [this.#position, this.replica.copy()];
        if (this.replica.isDone) return;
      }
    } catch (error) {
      expect((await failure(() => Promise.reject(error as Error))).code).toBe('LSN_EXPIRED');
      this.#position = 0;
      this.replica = new Replica();
      this.#checkpoint = [0, new Replica()];
      if (!signal.aborted) await this.#read(cdc, signal, isSlow);
    }
  }
}

/** Keeps its position in a slot. */
class SlotReader implements Consumer {
  readonly options: Interest;
  readonly replica = new Replica();
  readonly #random: Random;
  readonly #name: string;
  /** A consumer that hardly ever reads: the log does not wait for it for ever. */
  readonly #isLazy: boolean;
  #reading: Promise<void> = Promise.resolve();
  #ends = false;

  constructor(random: Random, options: Interest, name: string, isLazy: boolean) {
    this.#random = random;
    this.options = options;
    this.#name = name;
    this.#isLazy = isLazy;
  }

  begin(cdc: Cdc): void {
    this.#ends = false;
    if (!this.#isLazy || this.#random.chance(0.1)) this.#reading = this.#read(cdc, 1 + this.#random.int(5));
  }

  async end(): Promise<void> {
    this.#ends = true;
    await this.#reading;
  }

  async finish(cdc: Cdc): Promise<void> {
    this.#ends = false;
    await this.#read(cdc, Infinity);
  }

  async #read(cdc: Cdc, times: number): Promise<void> {
    const maxLag = this.#isLazy ? { changes: 10 } : {};
    const slot = await cdc.slot(this.#name, { ...this.options, snapshot: 'initial', maxLag });
    for (let i = 0; i < times && !this.#ends; i++) {
      let events: ChangeEvent[];
      try {
        events = await slot.read(1 + this.#random.int(30));
      } catch (error) {
        expect((await failure(() => Promise.reject(error as Error))).code).toBe('LSN_EXPIRED');
        this.replica.clear();
        await slot.reset({ snapshot: 'initial' });
        continue;
      }
      if (events.length === 0) return;
      const handled = this.#random.chance(0.3)
        ? events.slice(0, 1 + this.#random.int(events.length))
        : events;
      for (const event of handled) this.replica.apply(event);
      const last = handled.at(-1) as ChangeEvent;
      if (this.#random.chance(0.9)) await slot.ack(last.cursor ?? last.lsn);
    }
  }
}

/** Takes what is delivered, each event once by its number, or fails in any way. */
class Delivered implements Consumer, Sink {
  readonly options: Interest;
  readonly replica = new Replica();
  readonly #random: Random;
  readonly #taken = new Set<number>();
  readonly #sent = new Map<string, Batch>();
  readonly #size: number;
  #isKind = false;
  #opening: Promise<unknown> = Promise.resolve();

  constructor(random: Random, options: Interest) {
    this.#random = random;
    this.options = options;
    this.#size = 1 + random.int(20);
  }

  begin(cdc: Cdc): void {
    this.#opening = this.#open(cdc);
  }

  async end(): Promise<void> {
    await this.#opening;
  }

  async finish(cdc: Cdc, db: Database): Promise<void> {
    this.#isKind = true;
    await this.#open(cdc);
    do {
      await db.alarm();
      await cdc.replay('delivered');
    } while ((await cdc.deadLetters('delivered')).length > 0 || !this.replica.isDone);
  }

  async send(batch: Batch): Promise<void> {
    const { id, sequence, events } = batch;
    expect(batch).toEqual(this.#sent.get(id) ?? batch);
    this.#sent.set(id, batch);
    const fate = this.#isKind ? 1 : this.#random.next();
    if (fate < 0.15) throw new Error('the line is down');
    if (fate < 0.2) await new Promise(() => {});
    const isPoison = (event: ChangeEvent): boolean => 'key' in event && event.after?.['n'] === 7;
    if (!this.#isKind && events.some(isPoison)) throw new PermanentError('not this');
    events.forEach((event, i) => {
      if (!this.#taken.has(sequence + i)) this.replica.apply(event);
      this.#taken.add(sequence + i);
    });
    if (fate < 0.35) throw new Error('the answer was lost');
  }

  #open(cdc: Cdc): Promise<unknown> {
    return cdc.deliver('delivered', this, {
      ...this.options,
      snapshot: 'initial',
      batch: { changes: this.#size },
      retry: { attempts: 1, firstMs: 1 },
      timeoutMs: 3,
      random: () => this.#random.next(),
    });
  }
}

/** Keeps tables in step over a WebSocket. */
class Follower {
  readonly #sockets: ReturnType<typeof socketsTo>;
  readonly #client: LiveClient;
  readonly #queries: readonly (readonly [string, LiveQuery<ChangeRow>])[];

  constructor(stub: ReturnType<typeof newLiveObject>) {
    this.#sockets = socketsTo(() => stub);
    const { WebSocket } = this.#sockets;
    this.#client = new LiveClient({ url: 'http://do/live', publication: 'model', WebSocket, maxRetryMs: 5 });
    this.#queries = ['item', 'pair', 'named'].map((table) => [
      table,
      this.#client.query<ChangeRow>({ table }),
    ]);
  }

  /** Breaks its line, or mends it. */
  disturb(random: Random): void {
    if (random.chance(0.3)) this.#sockets.breakDown();
    else this.#sockets.mend();
  }

  async check(expectedOf: (table: string) => Promise<string[]>): Promise<void> {
    this.#sockets.mend();
    for (const [table, query] of this.#queries) {
      const rows = await expectedOf(table);
      const contents = (): string[] => {
        const replica = new Replica();
        for (const row of query.rows.values()) replica.apply(rowEvent(table, row));
        return replica.contents({ tables: [table] });
      };
      await expect
        .poll(contents, { timeout: 10_000, interval: 2, message: `socket, ${table}` })
        .toEqual(rows);
    }
  }

  close(): void {
    this.#client.close();
  }
}

/** Reads everything that happens, in pieces, and remembers it by LSN. */
class Recorder implements Consumer {
  readonly options: Interest = { tables: [] };
  readonly replica = new Replica();
  readonly events = new Map<bigint, ChangeEvent>();
  readonly #random: Random;
  #position = 0n;

  constructor(random: Random) {
    this.#random = random;
  }

  begin(): void {
    this.#position = this.#random.chance(0.3) ? this.#position / 2n : this.#position;
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  async finish(cdc: Cdc): Promise<void> {
    for (;;) {
      const page = await cdc.read(this.#position, { limit: 1 + this.#random.int(60) });
      for (const change of page.changes) this.events.set(change.lsn, change);
      if (page.lsn === this.#position) return;
      this.#position = page.lsn;
    }
  }
}

class Run {
  readonly #random: Random;
  readonly #stub: ReturnType<typeof newLiveObject>;
  readonly #follower: Follower;
  readonly #consumers: Consumer[];
  readonly #recorder: Recorder;
  readonly #keepsAll: boolean;
  #now = FUTURE;

  constructor(seed: number) {
    const random = new Random(seed);
    this.#random = random;
    this.#keepsAll = random.chance(0.5);
    this.#stub = newLiveObject({ clock: () => this.#now, history: this.#keepsAll ? {} : { keep: '1h' } });
    this.#follower = new Follower(this.#stub);
    this.#recorder = new Recorder(random);
    this.#consumers = [
      new Delivered(random, interest(random)),
      ...random.times(2 + random.int(3), () => new Subscriber(random, interest(random))),
      ...random.times(
        1 + random.int(3),
        (i) => new SlotReader(random, interest(random), `slot ${i}`, i === 1),
      ),
    ];
  }

  async run(): Promise<void> {
    await this.#use((db) => createTables(db));
    const rounds = 2 + this.#random.int(4);
    for (let round = 0; round < rounds; round++) {
      await this.#use((db, cdc, storage) => this.#round(db, cdc, storage));
      this.#follower.disturb(this.#random);
      const webSockets = this.#random.chance(0.5) ? 'close' : 'hibernate';
      if (this.#random.chance(0.5)) await evictDurableObject(this.#stub, { webSockets });
    }
    await this.#use(async (db, cdc) => {
      await db.run(`INSERT INTO ${END.table} VALUES (${END.id})`);
      for (const consumer of this.#consumers) {
        await consumer.finish(cdc, db);
        expect(consumer.replica.contents(consumer.options), JSON.stringify(consumer.options)).toEqual(
          await expected(db, consumer.options),
        );
      }
      if (this.#keepsAll) await this.#recorded(db, cdc);
    });
    await this.#follower.check(async (table) => {
      let rows: string[] = [];
      await this.#use(async (db) => {
        rows = await expected(db, { tables: [table] });
      });
      return rows;
    });
  }

  close(): void {
    this.#follower.close();
  }

  async #round(db: Database, cdc: Cdc, storage: DurableObjectStorage): Promise<void> {
    // What delivers is a part of the program, which says so each time that the object wakes.
    const active = this.#consumers.filter((one) => one instanceof Delivered || this.#random.chance(0.7));
    for (const consumer of active) consumer.begin(cdc);
    for (let i = this.#random.int(25); i >= 0; i--) {
      await write(this.#random, db, storage);
      if (this.#random.chance(0.1)) await Promise.all([db.alarm(), db.alarm()]);
      if (this.#random.chance(0.1)) await Promise.all(active.splice(0, 1).map((consumer) => consumer.end()));
    }
    await Promise.all(active.map((consumer) => consumer.end()));
    if (this.#keepsAll) {
      this.#recorder.begin();
      await this.#recorder.finish(cdc);
    }
    this.#now += HOUR;
    // Alarms come once, late, or twice.
    for (let i = this.#random.int(3); i > 0; i--) expect((await db.alarm()).failed).toEqual([]);
  }

  /** All that was recorded is the log, and what it says makes the tables as they are. */
  async #recorded(db: Database, cdc: Cdc): Promise<void> {
    const options = { tables: TABLES };
    await this.#recorder.finish(cdc);
    const whole = (await cdc.read(0, { limit: 100_000 })).changes;
    expect([...this.#recorder.events.values()].toSorted((a, b) => Number(a.lsn - b.lsn))).toEqual(whole);
    const replica = new Replica();
    for (const change of whole) replica.apply(change);
    expect(replica.contents(options)).toEqual(await expected(db, options));
  }

  #use(work: (db: Database, cdc: Cdc, storage: DurableObjectStorage) => Promise<void>): Promise<void> {
    return inside(this.#stub, (db, { cdc, storage }) => work(db, cdc, storage));
  }
}

it(
  `every consumer of ${runs} random runs ends with what it asked for`,
  { timeout: 60_000 + 2_000 * runs },
  async () => {
    for (let i = 0; i < runs; i++) {
      const seed = given > 0 ? given : FIRST_SEED + i;
      try {
        const run = new Run(seed);
        await run.run().finally(() => run.close());
      } catch (error) {
        throw new Error(`VITE_SEED=${seed}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    }
  },
);
