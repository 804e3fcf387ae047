import { createFaultyBackend, type FaultOptions, type FaultyBackend } from '@dotdo/fsx/testing';
import {
  FileStoreError,
  type FilePage,
  type FileSource,
  type FileStat,
  type FileStore,
  type ListOptions,
  type ReadOptions,
  type WriteOptions,
} from '@dotdo/fsx';
import { Random } from './random.ts';

/** Ways in which a call fails: those of the faulty store, a file that is not seen, and the end of the object. */
export const FAULTS = [
  'before',
  'after',
  'stop',
  'short-read',
  'torn-write',
  'unseen',
  'killed',
  'killed-after',
] as const;

/** Which call fails, the first being 1, and how. */
export interface Failing {
  readonly call: number;
  readonly kind: (typeof FAULTS)[number];
}

/** A file store of which one call fails, between `begin` and `end`. */
export class FailingStore implements FileStore {
  readonly store: FileStore;
  /** Ends the object. */
  abort: () => void = () => {};
  /** Waits until what the object has written is safe, as the platform does before it lets a request out. */
  sync: () => Promise<void> = async () => {};
  isKilled = false;
  /** Fails when the object has been ended. */
  killed: Promise<never> = new Promise(() => {});
  #fail: (error: Error) => void = () => {};
  #now: FileStore;
  #failing: Failing | undefined;
  #calls = 0;
  #mayEnd = false;
  /** Which calls are given up, and what they come to do later. */
  #random = new Random(0);
  #lateRate = 0;
  #late: (() => Promise<unknown>)[] = [];
  /** Calls that were given up since `begin`. */
  timeouts = 0;

  constructor(store: FileStore) {
    this.store = store;
    this.#now = store;
  }

  begin(failing: Failing | undefined): void {
    this.#calls = 0;
    this.timeouts = 0;
    this.#failing = failing;
    this.killed = new Promise((_, reject) => (this.#fail = reject));
    this.killed.catch(() => {});
    const { call, kind } = failing ?? {};
    const isFault = kind !== undefined && kind !== 'unseen' && kind !== 'killed' && kind !== 'killed-after';
    this.#now = isFault
      ? createFaultyBackend(this.store, { seed: 1, plan: { [call as number]: kind } })
      : this.store;
  }

  /**
   * Lets calls go wrong by chance from here to `end`, in an object that may be ended at any of them. Of every call the
   * chance is `lateRate` that it is given up, and comes to the store before a later one, or when it
   * is to {@link FailingStore.settle}.
   */
  beginAtRandom(options: FaultOptions, lateRate: number = 0): FaultyBackend {
    this.begin(undefined);
    this.#mayEnd = true;
    this.#lateRate = lateRate;
    this.#random = new Random(options.seed ?? 0);
    const faulty = createFaultyBackend(this.store, options);
    this.#now = faulty;
    return faulty;
  }

  /** Returns the number of calls since `begin`. */
  end(): number {
    this.#failing = undefined;
    this.#mayEnd = false;
    this.#lateRate = 0;
    this.#now = this.store;
    return this.#calls;
  }

  read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    return this.#call((store) => store.read(path, options), true);
  }

  readStream(path: string, options?: ReadOptions): Promise<ReadableStream<Uint8Array> | null> {
    return this.#call((store) => store.readStream(path, options), true);
  }

  write(path: string, data: FileSource, options?: WriteOptions): Promise<FileStat> {
    return this.#call((store) => store.write(path, data, options));
  }

  delete(path: string): Promise<boolean> {
    return this.#call((store) => store.delete(path));
  }

  list(prefix?: string, options?: ListOptions): Promise<FilePage> {
    return this.#call((store) => store.list(prefix, options));
  }

  stat(path: string): Promise<FileStat | null> {
    return this.#call((store) => store.stat(path), true);
  }

  exists(path: string): Promise<boolean> {
    return this.#call((store) => store.exists(path));
  }

  async #call<T>(work: (store: FileStore) => Promise<T>, isRead = false): Promise<T> {
    // A call that an object made before it was killed must not come after.
    if (this.isKilled) return new Promise(() => {});
    const call = ++this.#calls;
    const kind = this.#failing?.call === call ? this.#failing.kind : undefined;
    if (kind === 'unseen' && isRead) return null as T;
    if (kind === 'killed') return this.kill();
    if (this.#mayEnd || this.#failing?.kind.startsWith('killed') === true) await this.sync();
    if (this.isKilled) return new Promise(() => {});
    if (this.#lateRate > 0 && this.#random.chance(this.#lateRate)) {
      this.timeouts++;
      // What comes of it then is told to nobody.
      this.#late.push(() => work(this.store).catch(() => {}));
      throw new FileStoreError(
        'STORAGE_UNAVAILABLE',
        `Call ${call} was given up: nothing came of it in time.`,
      );
    }
    if (this.#late.length > 0 && this.#random.chance(0.3)) await this.#late.shift()?.();
    const result = await work(this.#now);
    return kind === 'killed-after' ? this.kill() : result;
  }

  /** All calls that were given up come to the store. */
  async settle(): Promise<void> {
    for (const call of this.#late.splice(0)) await call();
  }

  /** Ends the object here and now. */
  kill(): Promise<never> {
    this.isKilled = true;
    this.#fail(new Error('killed'));
    try {
      this.abort();
    } catch {
      // What is said to whoever runs here is said to an object that has ended.
    }
    return new Promise(() => {});
  }
}
