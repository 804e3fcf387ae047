import { FileStoreError, type FileStoreErrorOptions, show } from '../error.ts';
import type {
  FilePage,
  FileSource,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  WriteOptions,
} from '../file-store.ts';
import { toBytes } from '../parameter.ts';
import { normalisePath } from '../path.ts';
import { collect, isStream, streamOf } from '../stream.ts';
import { newSeed, randomOf, type Random } from './random.ts';

/**
 * What can go wrong with a call.
 *
 * - `before`: it fails and has done nothing.
 * - `busy`: it has done nothing and says so: the storage was called too often (`retryAfterMs` of 1).
 * - `after`: it fails, but has done what it should: the answer is lost.
 * - `delay`: it takes `delayMs` longer.
 * - `stop`: like `before`, and every later call fails as well: whoever calls has come to his end.
 * - `stop-after`: like `after`, and every later call fails as well.
 * - `short-read`: `read` and `readStream` give only the first half of the bytes.
 * - `stale-list`: `list` does not show the eight paths written last.
 * - `torn-write`: `write` stores only the first half of the bytes, and says so in its `stat` alone.
 *
 * A fault that does not concern the method called does nothing.
 */
export type Fault =
  | 'before'
  | 'busy'
  | 'after'
  | 'delay'
  | 'stop'
  | 'stop-after'
  | 'short-read'
  | 'stale-list'
  | 'torn-write';

/** Which calls go wrong. */
export interface FaultOptions {
  /** Makes the faults of `rates` the same every time. Default: a new one, found in `seed`. */
  readonly seed?: number | undefined;
  /** How often each fault happens, from 0 to 1, by chance. The sum is at most 1. */
  readonly rates?: Readonly<Partial<Record<Fault, number>>> | undefined;
  /** Which fault happens to which call, the first being 1. Goes before `rates`. */
  readonly plan?: Readonly<Record<number, Fault>> | undefined;
  /** A faulty store whose calls count as calls of this one, and which stops when this one does. */
  readonly beside?: FaultyBackend | undefined;
  /** Methods whose calls go wrong; all calls count. Default: all. */
  readonly methods?: readonly Exclude<keyof FileStore, symbol>[] | undefined;
  /** Milliseconds of a `delay`, default 5. */
  readonly delayMs?: number | undefined;
  readonly sleep?: ((ms: number) => Promise<void>) | undefined;
}

/** A fault that happened. */
export interface FaultReport {
  /** Number of the call, from 1. */
  readonly call: number;
  readonly method: string;
  readonly path: string;
  readonly fault: Fault;
}

/** A file store some of whose calls go wrong. */
export interface FaultyBackend<Store extends FileStore = FileStore> extends FileStore {
  readonly kind: 'faulty';
  readonly store: Store;
  readonly seed: number;
  /** Calls so far. A run without faults tells how many there are to fail one by one. */
  readonly calls: number;
  /** The faults that happened, in order. */
  readonly faults: readonly FaultReport[];
}

/** How many of the paths written last a stale listing does not show. */
const stalePaths = 8;

/**
 * A file store that passes every call on to `store` and lets some go wrong: by a plan, or by chance
 * from a seed. To try every point at which code can fail, run it once without faults, take `calls`,
 * and run it again with `plan: { [n]: fault }` for each n up to that.
 *
 * @example
 * for (let n = 1; n <= calls; n++) {
 *   const store = createFaultyBackend(createMemoryBackend(), { plan: { [n]: 'stop-after' } });
 *   await work(store).catch(() => undefined);
 *   check(store.store); // what is there must be whole
 * }
 */
export function createFaultyBackend<Store extends FileStore>(
  store: Store,
  options: FaultOptions = {},
): FaultyBackend<Store> {
  return new FaultyFileStore(store, options);
}

/** What faulty stores beside each other have in common. */
interface Shared {
  calls: number;
  isStopped: boolean;
  readonly faults: FaultReport[];
}

class FaultyFileStore<Store extends FileStore> implements FaultyBackend<Store> {
  readonly kind = 'faulty';
  readonly store: Store;
  readonly seed: number;
  readonly #shared: Shared;
  readonly #options: FaultOptions;
  readonly #random: Random;
  #written: string[] = [];

  constructor(store: Store, options: FaultOptions) {
    this.store = store;
    this.seed = options.seed ?? newSeed();
    this.#options = options;
    this.#random = randomOf(this.seed);
    const { beside } = options;
    this.#shared =
      beside instanceof FaultyFileStore ? beside.#shared : { calls: 0, isStopped: false, faults: [] };
  }

  get calls(): number {
    return this.#shared.calls;
  }

  get faults(): readonly FaultReport[] {
    return this.#shared.faults;
  }

  read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    return this.#call('read', path, async (fault) => {
      const bytes = await this.store.read(path, options);
      return fault === 'short-read' && bytes ? bytes.slice(0, bytes.length >> 1) : bytes;
    });
  }

  readStream(path: string, options?: ReadOptions): Promise<ReadableStream<Uint8Array> | null> {
    return this.#call('readStream', path, async (fault) => {
      const stream = await this.store.readStream(path, options);
      return fault === 'short-read' && stream ? firstHalf(stream) : stream;
    });
  }

  write(path: string, data: FileSource, options?: WriteOptions): Promise<FileStat> {
    return this.#call('write', path, async (fault) => {
      const stat =
        fault === 'torn-write'
          ? await this.#writeTorn(path, data, options)
          : await this.store.write(path, data, options);
      this.#written = [...this.#written, normalisePath(path)].slice(-stalePaths);
      return stat;
    });
  }

  delete(path: string): Promise<boolean> {
    return this.#call('delete', path, () => this.store.delete(path));
  }

  list(prefix = '', options?: ListOptions): Promise<FilePage> {
    return this.#call('list', prefix, async (fault) => {
      const page = await this.store.list(prefix, options);
      if (fault !== 'stale-list') return page;
      return { ...page, files: page.files.filter((file) => !this.#written.includes(file.path)) };
    });
  }

  stat(path: string): Promise<FileStat | null> {
    return this.#call('stat', path, () => this.store.stat(path));
  }

  exists(path: string): Promise<boolean> {
    return this.#call('exists', path, () => this.store.exists(path));
  }

  async #call<T>(method: string, path: string, run: (fault: Fault | undefined) => Promise<T>): Promise<T> {
    this.#shared.calls += 1;
    const { calls: call, isStopped } = this.#shared;
    const fault = isStopped ? 'stop' : this.#choose(call, method);
    if (fault !== undefined) this.#shared.faults.push({ call, method, path, fault });
    const failure = (how: string, options: FileStoreErrorOptions = {}): FileStoreError =>
      new FileStoreError(
        'STORAGE_UNAVAILABLE',
        `Call ${call}, ${method} ${show(path)}, was made to fail ${how} (seed ${this.seed}).`,
        options,
      );
    if (fault === 'stop' || fault === 'stop-after') this.#shared.isStopped = true;
    if (fault === 'before' || fault === 'stop') throw failure('before it did anything');
    if (fault === 'busy') throw failure('as one too many', { retryAfterMs: 1 });
    if (fault === 'delay') await (this.#options.sleep ?? wait)(this.#options.delayMs ?? 5);
    const result = await run(fault);
    if (fault === 'after' || fault === 'stop-after') throw failure('after it was done');
    return result;
  }

  /** The fault of a call. One random number is drawn for every call, so a plan shifts none of the others. */
  #choose(call: number, method: string): Fault | undefined {
    const { plan = {}, rates = {} } = this.#options;
    let chance = this.#random.next();
    const isMeant = this.#options.methods?.some((name) => name === method) ?? true;
    if (!isMeant) return undefined;
    for (const [fault, rate] of Object.entries(rates) as [Fault, number][]) {
      if (chance < rate) return plan[call] ?? fault;
      chance -= rate;
    }
    return plan[call];
  }

  async #writeTorn(path: string, data: FileSource, options: WriteOptions | undefined): Promise<FileStat> {
    const bytes = isStream(data) ? await collect(data, options?.size) : toBytes(data);
    return this.store.write(path, bytes.slice(0, bytes.length >> 1), { ...options, size: undefined });
  }
}

/** A stream that ends half way through its first piece. */
function firstHalf(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = stream.getReader();
  let isFirst = true;
  const end = (): void => void reader.cancel().catch(() => undefined);
  return streamOf(async () => {
    if (!isFirst) return undefined;
    isFirst = false;
    const { value } = await reader.read();
    return value === undefined || value.length < 2 ? undefined : value.slice(0, value.length >> 1);
  }, end);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
