import { env } from 'cloudflare:workers';
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { createDOBackend, createMemoryBackend, createTieredBackend, type MemoryBackend } from '@dotdo/fsx';
import type { Fault, FaultReport } from '@dotdo/fsx/testing';
import { expect } from 'vitest';
import { createCDC, DB, DoSQLError, type Cdc, type Database } from '../../src/index.ts';
import { watched } from '../crash/breakable.ts';
import { newObject } from '../support/database.ts';
import { FailingStore } from '../support/failing-store.ts';
import type { Random } from '../support/random.ts';
import { Follower, Taker, type Moment } from './consumer.ts';

/** So long an alarm that is not there may be one that is being delivered. */
const RECENT_MS = 300_000;
/** In the future, so that alarms that are set by this clock do not go off. */
const START = Date.UTC(2046, 0, 1);

/** How something ended: it said so, it was refused with this code, or nobody knows. */
export type Ending = 'done' | 'killed' | { readonly code: string };

/** What goes wrong while something is done. */
export interface Trouble {
  /** Calls of the cold store fail. */
  readonly isStoreFaulty: boolean;
  /** The object ends at this statement or await on its storage, counted from 1. */
  readonly endsAt: number | undefined;
  /** The object's storage is full from this point on: the next statement that writes is refused. */
  readonly fullAt: number | undefined;
}

/** Nothing goes wrong. */
export const PEACE: Trouble = { isStoreFaulty: false, endsAt: undefined, fullAt: undefined };

/** A statement that needs room. */
const WRITES = /^\s*(?:INSERT|REPLACE|UPDATE|DELETE|CREATE|ALTER|DROP)\b/i;

/**
 * Fails as a statement does for which the disk has no room: a table has given the last number there is. SQLite and the
 * platform take no note of why: SQLite ends the transaction, this table with it, and the platform resets the object.
 */
const FILLING =
  'CREATE TABLE __dosql_full(n INTEGER PRIMARY KEY AUTOINCREMENT); ' +
  'INSERT INTO __dosql_full VALUES (9223372036854775807); INSERT INTO __dosql_full VALUES (NULL)';

/** What may be had while an object is awake. */
export interface Awake {
  readonly db: Database;
  readonly cdc: Cdc;
  readonly storage: DurableObjectStorage;
}

/** How often which fault happens to a call of the cold store; the last three happen to some kinds of calls alone. */
const RATES = {
  before: 0.05,
  busy: 0.03,
  after: 0.05,
  delay: 0.05,
  'short-read': 0.1,
  'torn-write': 0.1,
  'stale-list': 0.5,
} satisfies Partial<Record<Fault, number>>;
/** How often a call of the cold store is given up, and comes there later. */
const LATE = 0.04;

/** What a fault is counted as, and which calls it can happen to. */
const STORE_FAULTS: Readonly<Record<keyof typeof RATES, readonly [name: string, methods: RegExp]>> = {
  before: ['calls of the store refused', /./],
  busy: ['calls of the store that were too many', /./],
  after: ['answers of the store lost', /./],
  delay: ['slow calls of the store', /./],
  'short-read': ['partial reads', /^read/],
  'torn-write': ['torn uploads', /^write$/],
  'stale-list': ['stale lists', /^list$/],
};

/** Everything that goes wrong, by the names that it is counted by. */
export const FAULTS: readonly string[] = [
  'ends of the object',
  'evictions',
  'full storage',
  'alarms twice at once',
  'alarms lost',
  'clock steps back',
  'clock stands still',
  'timeouts of the store',
  ...Object.values(STORE_FAULTS).map(([name]) => name),
];

/** An object, its cold store and its clock: what outlives a restart, and how it is brought to one. */
export class World {
  readonly random: Random;
  readonly files: MemoryBackend = createMemoryBackend();
  readonly store: FailingStore = new FailingStore(this.files);
  readonly moments: Moment[] = [];
  /** Names of rows that have been erased, each with the LSN at which it was: after it there may be another of that key. */
  readonly erased = new Map<string, bigint>();
  readonly reader: Follower = new Follower('the slot', this.moments, this.erased);
  readonly taker: Taker;
  readonly counts = new Map<string, number>();
  now = START;
  #stub = newObject();
  #opened: Awake | undefined;
  #watch: { points: number; readonly endsAt: number; readonly fullAt: number } | undefined;
  #isKilled = false;
  #isFull = false;

  constructor(random: Random) {
    this.random = random;
    this.taker = new Taker(random, new Follower('the deliveries', this.moments, this.erased));
  }

  count(what: string, by = 1): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + by);
  }

  /** The time passes, stands still, or steps back. */
  tick(): void {
    const kind = this.random.int(10);
    if (kind < 2) this.count('clock stands still');
    else if (kind < 3) {
      this.count('clock steps back');
      this.now -= this.random.int(7_200_000);
    } else this.now += this.random.int(6 * 3_600_000);
  }

  /** A time of the last days, by which rows become cold. */
  at(): string {
    return new Date(this.now - this.random.int(6 * 24) * 3_600_000).toISOString();
  }

  /** The object is put away, and wakes anew. */
  async evict(): Promise<void> {
    this.count('evictions');
    this.#opened = undefined;
    await evictDurableObject(env.TEST.get(this.#stub.id));
  }

  /** The platform drops the object's alarm, as it does one that keeps failing; the object sets it again when it wakes. */
  async loseAlarm(): Promise<void> {
    await this.during(PEACE, ({ storage }) => storage.deleteAlarm());
    await this.evict();
    await this.during(PEACE, async ({ storage }) => {
      const { at } = storage.sql.exec<{ at: number | null }>('SELECT min(at) AS at FROM __dosql_timer').one();
      // What has become due just now is taken for an alarm that is being delivered.
      if (at === null || (at <= this.now && at >= this.now - RECENT_MS)) return;
      this.count('alarms lost');
      expect(await storage.getAlarm(), 'the alarm that was lost').toBe(at);
    });
  }

  /** Does something in the object while this goes wrong. */
  async during(trouble: Trouble, work: (awake: Awake) => Promise<void>): Promise<Ending> {
    const { isStoreFaulty, endsAt = Infinity, fullAt = Infinity } = trouble;
    this.#isKilled = false;
    this.#isFull = false;
    this.#watch = undefined;
    let faults: readonly FaultReport[] = [];
    try {
      await this.#inside(async (awake, state) => {
        // What was done before has been said to be done.
        await state.storage.sync();
        const seed = this.random.int(2 ** 31);
        const [rates, late] = isStoreFaulty ? [RATES, LATE] : [{}, 0];
        ({ faults } = this.store.beginAtRandom({ seed, rates, delayMs: 1 }, late));
        this.#watch = { points: 0, endsAt, fullAt };
        await Promise.race([work(awake), this.store.killed]);
      });
      return 'done';
    } catch (error) {
      if (this.#isKilled) {
        this.count('ends of the object');
        return 'killed';
      }
      const code = DoSQLError.from(error)?.code ?? '';
      if (!this.#mayBe(code, isStoreFaulty)) throw error;
      return { code };
    } finally {
      this.#watch = undefined;
      const calls = this.store.end();
      this.count('timeouts of the store', this.store.timeouts);
      this.count('calls of the store', isStoreFaulty ? calls : 0);
      for (const { fault, method } of faults) {
        const [name, methods] = STORE_FAULTS[fault as keyof typeof RATES];
        if (methods.test(method)) this.count(name);
      }
      if (this.#isFull) this.count('full storage');
      if (this.#isKilled || this.#isFull) this.#opened = undefined;
    }
  }

  /** Whether what goes wrong is told of by this code. */
  #mayBe(code: string, isStoreFaulty: boolean): boolean {
    if (this.#isFull && code === 'FULL') return true;
    return isStoreFaulty && /^(?:STORAGE_UNAVAILABLE|CORRUPT_FILE|NO_SUCH_FILE)$/.test(code);
  }

  async #inside(use: (awake: Awake, state: DurableObjectState) => Promise<void>): Promise<void> {
    // A stub of an object that was ended is of no use any more.
    await runInDurableObject(env.TEST.get(this.#stub.id), async (_, state) => {
      this.store.abort = () => state.abort('killed');
      this.store.sync = () => state.storage.sync();
      this.store.isKilled = false;
      this.taker.sync = () => state.storage.sync();
      this.#opened ??= await this.#open(state);
      await use(this.#opened, state);
    });
  }

  async #open(state: DurableObjectState): Promise<Awake> {
    const come = (sql = ''): void => {
      const watch = this.#watch;
      if (watch === undefined) return;
      if (++watch.points === watch.endsAt) {
        this.#isKilled = true;
        void this.store.kill();
        throw new Error('killed');
      }
      if (watch.points < watch.fullAt || !WRITES.test(sql)) return;
      this.#isFull = true;
      state.storage.sql.exec(FILLING);
    };
    const storage = watched(state.storage, { statement: come, awaiting: async () => come() });
    const db = await DB('test', {
      storage: createTieredBackend(createDOBackend(storage), this.store, {}),
      clock: () => this.now,
      history: { keep: '9000d', maxBytes: 2 ** 40 },
    });
    const cdc = createCDC(db);
    await this.taker.open(cdc);
    return { db, cdc, storage: state.storage };
  }
}
