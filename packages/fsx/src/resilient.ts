import { Breaker, type BreakerChange, type BreakerOptions, type BreakerView } from './breaker.ts';
import { FileStoreError, show, toFileStoreError } from './error.ts';
import type {
  FilePage,
  FileSource,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  WriteOptions,
} from './file-store.ts';
import { bad, checkList, checkRange, checkWrite, toSizedBytes } from './parameter.ts';
import { normalisePath, normalisePrefix } from './path.ts';
import { collectUpTo, consuming, isStream } from './stream.ts';

/** How to go on when a store fails. */
export interface ResilientOptions {
  /** How often a call is tried at most. Default 4. */
  readonly attempts?: number | undefined;
  /** Milliseconds waited at most before the second attempt, and twice as long each time. Default 100. */
  readonly baseDelayMs?: number | undefined;
  /** Milliseconds waited between two attempts at most. Default 10,000. */
  readonly maxDelayMs?: number | undefined;
  /** Milliseconds for one attempt. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** Bytes up to which a stream is held in memory, so that its write can be tried again. Default 1 MiB. */
  readonly holdBytes?: number | undefined;
  readonly breaker?: BreakerOptions | undefined;
  /** Called with each change of the breaker's state. */
  readonly onState?: ((change: BreakerChange) => void) | undefined;
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly clock?: (() => number) | undefined;
  /** From 0 up to but not including 1; default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Waits; rejects, or not, once the signal is aborted. Default by `setTimeout`. */
  readonly sleep?: ((ms: number, signal?: AbortSignal) => Promise<void>) | undefined;
}

/** A file store that tries again. */
export interface ResilientBackend<Store extends FileStore = FileStore> extends FileStore {
  readonly kind: 'resilient';
  readonly store: Store;
  readonly breaker: BreakerView;
}

/**
 * A file store over one that is reached by a network: tries again what failed, gives up on an attempt that
 * takes too long, and stops calling a storage that is down.
 *
 * - **Retries**: after a `STORAGE_UNAVAILABLE` that is `retryable`, a time by chance between 0 and
 *   `baseDelayMs` doubled with each attempt passes (full jitter), or the error's `retryAfterMs` and up to
 *   `baseDelayMs` more. Every other error is final.
 * - **Writes** carry a nonce of their own. Where the outcome of an attempt of a conditional write is
 *   unknown, the file is looked at before the next: if it is of this write, the write has succeeded, and
 *   is not taken for someone else's. So `stat` has a nonce also where the caller gave none. Should the
 *   condition fail after an attempt whose outcome stays unknown, the error is `STORAGE_UNAVAILABLE`,
 *   because the file may have been written and replaced since. A store that keeps no nonces has its bytes
 *   compared instead, so there two writers of the same bytes are not told apart.
 * - **Streams** up to `holdBytes` are held and tried again. A longer one can be read only once: its write
 *   is tried once, without a timeout. Reading a stream is tried until it begins.
 * - **Delete** asks for the file first, so that its answer is right also after a lost one; of two at once
 *   both may answer `true`.
 * - **Breaker**: after `breaker.failures` failed attempts in a row every call fails at once for
 *   `breaker.coolMs`, with `STORAGE_UNAVAILABLE` that says until when; then one call tries. A storage that
 *   asks to be called less often (R2: about one write a second to a key) has not failed.
 *
 * An attempt that timed out is not cancelled, only no longer waited for: an unconditional write may still
 * replace what was written after it. Use `ifMatch` where that matters.
 *
 * @throws {FileStoreError} `BAD_PARAMETER`
 *
 * @example
 * const files = createResilientBackend(createR2Backend(env.BUCKET), {
 *   attempts: 5,
 *   timeoutMs: 10_000,
 *   onState: ({ state }) => console.warn(`R2 is ${state}`),
 * });
 */
export function createResilientBackend<Store extends FileStore>(
  store: Store,
  options: ResilientOptions = {},
): ResilientBackend<Store> {
  const { attempts = 4, baseDelayMs = 100, maxDelayMs = 10_000, timeoutMs = 30_000, breaker = {} } = options;
  if (!Number.isSafeInteger(attempts) || attempts < 1)
    throw bad('attempts', attempts, 'a whole number, 1 or more');
  const times = { baseDelayMs, maxDelayMs, timeoutMs, 'breaker.coolMs': breaker.coolMs ?? 0 };
  for (const [name, ms] of Object.entries(times))
    if (!(ms >= 0)) throw bad(name, ms, 'a number of milliseconds, 0 or more');
  const { holdBytes = 1024 * 1024 } = options;
  if (!(holdBytes >= 0)) throw bad('holdBytes', holdBytes, 'a number of bytes, 0 or more');
  const { failures = 1 } = breaker;
  if (!Number.isSafeInteger(failures) || failures < 1)
    throw bad('breaker.failures', failures, 'a whole number, 1 or more');
  const { clock = Date.now, random = Math.random, sleep = wait, onState = () => undefined } = options;
  const settings = { attempts, baseDelayMs, maxDelayMs, timeoutMs, holdBytes, random, sleep };
  return new ResilientFileStore(store, settings, new Breaker(breaker, clock, onState));
}

interface Settings {
  readonly attempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
  readonly timeoutMs: number;
  readonly holdBytes: number;
  readonly random: () => number;
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

class ResilientFileStore<Store extends FileStore> implements ResilientBackend<Store> {
  readonly kind = 'resilient';
  readonly store: Store;
  readonly breaker: Breaker;
  readonly #settings: Settings;

  constructor(store: Store, settings: Settings, breaker: Breaker) {
    this.store = store;
    this.breaker = breaker;
    this.#settings = settings;
  }

  // Parameters are checked here, so that a wrong one neither calls the storage nor waits for it.
  async read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    const key = normalisePath(path);
    checkRange(options);
    return this.#retry(`read ${show(key)}`, () => this.store.read(key, options));
  }

  async readStream(path: string, options?: ReadOptions): Promise<ReadableStream<Uint8Array> | null> {
    const key = normalisePath(path);
    checkRange(options);
    return this.#retry(`read ${show(key)}`, () => this.store.readStream(key, options));
  }

  async write(path: string, data: FileSource, options?: WriteOptions): Promise<FileStat> {
    return consuming(data, async () => {
      const key = normalisePath(path);
      const { nonce = crypto.randomUUID(), ...wanted } = checkWrite(options);
      if (!isStream(data)) return this.#write(key, toSizedBytes(data, wanted), { ...wanted, nonce });
      const { holdBytes } = this.#settings;
      const isLong = wanted.size !== undefined && wanted.size > holdBytes;
      const source = isLong ? data : await collectUpTo(data, holdBytes, wanted.size);
      if (!isStream(source)) return this.#write(key, source, { ...wanted, nonce });
      return consuming(source, () => this.#writeOnce(key, source, { ...wanted, nonce }));
    });
  }

  async delete(path: string): Promise<boolean> {
    const key = normalisePath(path);
    if ((await this.stat(key)) === null) return false;
    await this.#retry(`delete ${show(key)}`, () => this.store.delete(key));
    return true;
  }

  async list(prefix = '', options?: ListOptions): Promise<FilePage> {
    const start = normalisePrefix(prefix);
    checkList(options);
    return this.#retry(`list ${show(start)}`, () => this.store.list(start, options));
  }

  async stat(path: string): Promise<FileStat | null> {
    const key = normalisePath(path);
    return this.#retry(`stat ${show(key)}`, () => this.store.stat(key));
  }

  async exists(path: string): Promise<boolean> {
    const key = normalisePath(path);
    return this.#retry(`stat ${show(key)}`, () => this.store.exists(key));
  }

  async #write(
    path: string,
    bytes: Uint8Array,
    wanted: WriteOptions & { readonly nonce: string },
  ): Promise<FileStat> {
    const isConditional = wanted.ifAbsent === true || wanted.ifMatch !== undefined;
    let unknown: FileStoreError | undefined;
    const attempt = async (): Promise<FileStat> => {
      if (unknown && isConditional) {
        const written = await this.#findWritten(path, bytes, wanted.nonce);
        if (written) return written;
      }
      return this.store.write(path, bytes, wanted);
    };
    try {
      return await this.#retry(`write ${show(path)}`, attempt, (error) => {
        // A storage that turned the call away has not made it.
        if (error.retryAfterMs === undefined) unknown = error;
      });
    } catch (error) {
      if (unknown === undefined || !isRefusal(error)) throw error;
      const written = await this.#retry(`stat ${show(path)}`, () =>
        this.#findWritten(path, bytes, wanted.nonce),
      );
      if (written) return written;
      throw new FileStoreError(
        'STORAGE_UNAVAILABLE',
        `Could not find out whether ${show(path)} was written: one attempt had no answer, and the next met another version. Read the file again.`,
        { cause: unknown, retryable: false },
      );
    }
  }

  /** Writes a stream, which can be read only once; a lost answer is still found out. */
  async #writeOnce(
    path: string,
    stream: ReadableStream<Uint8Array>,
    wanted: WriteOptions & { readonly nonce: string },
  ): Promise<FileStat> {
    const action = `write ${show(path)}`;
    this.breaker.enter(action);
    try {
      const stat = await this.store.write(path, stream, wanted);
      this.breaker.succeed();
      return stat;
    } catch (cause) {
      const error = toFileStoreError(action, cause);
      this.#report(error);
      if (error.code !== 'STORAGE_UNAVAILABLE' || this.breaker.state !== 'closed') throw error;
      // Should this fail, too, the first error says what there is to say.
      const stat = await this.stat(path).catch(() => null);
      if (stat?.nonce === wanted.nonce) return stat;
      throw error;
    }
  }

  /** The file's stat, if it is of the write with this nonce or, where the store keeps none, has its bytes. */
  async #findWritten(path: string, bytes: Uint8Array, nonce: string): Promise<FileStat | null> {
    const stat = await this.store.stat(path);
    if (stat === null || stat.size !== bytes.length) return null;
    if (stat.nonce !== undefined) return stat.nonce === nonce ? stat : null;
    const there = await this.store.read(path);
    return there?.length === bytes.length && there.every((byte, i) => byte === bytes[i]) ? stat : null;
  }

  /** Runs `work` until it succeeds, fails for good, or has been tried often enough. */
  async #retry<T>(
    action: string,
    work: () => Promise<T>,
    onFailure: (error: FileStoreError) => void = () => undefined,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      this.breaker.enter(action);
      try {
        const result = await this.#timed(action, work);
        this.breaker.succeed();
        return result;
      } catch (cause) {
        const error = toFileStoreError(action, cause);
        this.#report(error);
        if (!error.retryable) throw error;
        onFailure(error);
        // Once the breaker is open there is nothing to wait for within this call.
        if (attempt >= this.#settings.attempts || this.breaker.state !== 'closed') throw error;
        await this.#settings.sleep(this.#delayMs(attempt, error));
      }
    }
  }

  /** Tells the breaker what an error says of the storage: of some, such as a wrong path, it never knew. */
  #report(error: FileStoreError): void {
    if (error.code === 'PRECONDITION_FAILED') this.breaker.succeed();
    else if (error.retryable && error.retryAfterMs === undefined) this.breaker.fail(error);
    else this.breaker.pass();
  }

  #delayMs(attempt: number, { retryAfterMs }: FileStoreError): number {
    const { baseDelayMs, maxDelayMs, random } = this.#settings;
    if (retryAfterMs !== undefined) return retryAfterMs + random() * baseDelayMs;
    return random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (attempt - 1));
  }

  async #timed<T>(action: string, work: () => Promise<T>): Promise<T> {
    const { timeoutMs, sleep } = this.#settings;
    if (timeoutMs === Infinity) return work();
    const over = new AbortController();
    const timeout = async (): Promise<never> => {
      await sleep(timeoutMs, over.signal);
      throw new FileStoreError(
        'STORAGE_UNAVAILABLE',
        `Could not ${action}: no answer within ${timeoutMs} ms. It may still be done.`,
      );
    };
    try {
      return await Promise.race([work(), timeout()]);
    } finally {
      over.abort();
    }
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof FileStoreError && error.code === 'PRECONDITION_FAILED';
}

function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
