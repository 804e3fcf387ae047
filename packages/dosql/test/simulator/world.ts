import { env } from 'cloudflare:workers';
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { createDOBackend, createMemoryBackend, createTieredBackend, type MemoryBackend } from '@dotdo/fsx';
import type { Fault } from '@dotdo/fsx/testing';
import { createCDC, DB, DoSQLError, type Cdc, type Database } from '../../src/index.ts';
import { watched } from '../crash/breakable.ts';
import { newObject } from '../support/database.ts';
import { FailingStore } from '../support/failing-store.ts';
import type { Random } from '../support/random.ts';
import { Follower, Taker, type Moment } from './consumer.ts';

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
}

/** Nothing goes wrong. */
export const PEACE: Trouble = { isStoreFaulty: false, endsAt: undefined };

/** What may be had while an object is awake. */
export interface Awake {
  readonly db: Database;
  readonly cdc: Cdc;
  readonly storage: DurableObjectStorage;
}

/** How often which fault happens to a call of the cold store. */
const RATES: Readonly<Partial<Record<Fault, number>>> = {
  before: 0.08,
  busy: 0.04,
  after: 0.08,
  delay: 0.05,
  'short-read': 0.06,
  'stale-list': 0.05,
  'torn-write': 0.06,
};

/** An object, its cold store and its clock: what outlives a restart, and how it is brought to one. */
export class World {
  readonly random: Random;
  readonly files: MemoryBackend = createMemoryBackend();
  readonly store: FailingStore = new FailingStore(this.files);
  readonly moments: Moment[] = [];
  /** Names of rows that have been erased. */
  readonly erased = new Set<string>();
  readonly reader: Follower = new Follower('the slot', this.moments, this.erased);
  readonly taker: Taker;
  readonly counts = new Map<string, number>();
  now = START;
  #stub = newObject();
  #opened: Awake | undefined;
  #watch: { points: number; readonly at: number } | undefined;
  #isKilled = false;

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
    if (kind < 2) return;
    if (kind < 3) {
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

  /** Does something in the object while this goes wrong. */
  async during(trouble: Trouble, work: (awake: Awake) => Promise<void>): Promise<Ending> {
    const { isStoreFaulty, endsAt } = trouble;
    this.#isKilled = false;
    this.#watch = undefined;
    let faults: readonly unknown[] = [];
    try {
      await this.#inside(async (awake, state) => {
        // What was done before has been said to be done.
        await state.storage.sync();
        const seed = this.random.int(2 ** 31);
        ({ faults } = this.store.beginAtRandom({ seed, rates: isStoreFaulty ? RATES : {}, delayMs: 1 }));
        if (endsAt !== undefined) this.#watch = { points: 0, at: endsAt };
        await Promise.race([work(awake), this.store.killed]);
      });
      return 'done';
    } catch (error) {
      if (this.#isKilled) {
        this.count('ends of the object');
        return 'killed';
      }
      const code = DoSQLError.from(error)?.code ?? '';
      if (!isStoreFaulty || !/^(?:STORAGE_UNAVAILABLE|CORRUPT_FILE|NO_SUCH_FILE)$/.test(code)) throw error;
      return { code };
    } finally {
      this.#watch = undefined;
      this.store.end();
      this.count('faults of the store', faults.length);
      if (this.#isKilled) this.#opened = undefined;
    }
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
    const come = (): void => {
      const watch = this.#watch;
      if (watch === undefined || ++watch.points !== watch.at) return;
      this.#isKilled = true;
      void this.store.kill();
      throw new Error('killed');
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
