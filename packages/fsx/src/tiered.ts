import { FileStoreError, show, toFileStoreError } from './error.ts';
import type {
  FileEntry,
  FilePage,
  FileSource,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  Tier,
  WriteOptions,
} from './file-store.ts';
import { bad, checkList, checkWrite, requireCondition, toSizedBytes } from './parameter.ts';
import { PathLock } from './path-lock.ts';
import { comparePaths, normalisePath } from './path.ts';
import { Pins, pinsPath } from './pins.ts';
import { collectUpTo, consuming, isStream } from './stream.ts';

/** When a file belongs in the cold store. */
export interface TieredOptions {
  /** Age in milliseconds since the last write at which a hot file is due to move. Default: never. */
  readonly hotDataMaxAge?: number | undefined;
  /** Size in bytes above which a file is written to the cold store at once. Default: none is. */
  readonly maxHotFileSize?: number | undefined;
  /** Whether writes move due files. Default false: they move when `migrate` is called. */
  readonly autoMigrate?: boolean | undefined;
}

/** What one run of `migrate` did. */
export interface Migration {
  /** Count of files that are in the cold store now and no longer in the hot one. */
  readonly moved: number;
  /** Their sizes in bytes, added up. */
  readonly sizeBytes: number;
  /** Files that are due but could not be moved. They are untouched in the hot store. */
  readonly failed: readonly { readonly path: string; readonly error: FileStoreError }[];
}

/** Some files, counted. */
export interface FileCount {
  readonly files: number;
  readonly bytes: number;
}

/** How the files of a tiered store are spread. */
export interface TieredStats {
  readonly hot: FileCount;
  /** Files that are in the cold store alone: a copy beside a hot file is none. */
  readonly cold: FileCount;
  /** The hot files that are pinned. */
  readonly pinned: FileCount;
  /** The hot files that `migrate` would move. */
  readonly due: FileCount;
}

/** Two file stores as one. */
export interface TieredBackend<
  Hot extends FileStore = FileStore,
  Cold extends FileStore = FileStore,
> extends FileStore {
  readonly kind: 'tiered';
  readonly hot: Hot;
  readonly cold: Cold;
  readonly options: TieredOptions;
  /**
   * Moves every hot file last written `hotDataMaxAge` or longer before `now` to the cold store: puts
   * it there, checks the size of what arrived, then deletes it from the hot one. Stopped at any point
   * it has lost nothing, and the next run finishes. A file that cannot be moved does not stop the
   * others; look at `failed`. Rejects where the hot store cannot be listed. Pinned files stay.
   *
   * @param now milliseconds since the epoch, default the store's clock
   */
  migrate(now?: number): Promise<Migration>;
  /**
   * Brings a file to the hot store, whatever its size, from where `migrate` takes it again in its time.
   * Returns the file's stat there, with an etag of the hot store; `null` where there is no file.
   */
  promote(path: string): Promise<FileStat | null>;
  /**
   * Brings a file to the hot store and keeps it there, also when it is old or written anew, of any size,
   * until `unpin` or `delete`. Returns its stat there; `null` where there is no file, and then nothing
   * is pinned.
   */
  pin(path: string): Promise<FileStat | null>;
  /** Lets a file move again. `false` where it was not pinned. */
  unpin(path: string): Promise<boolean>;
  /** The pinned paths, in order. */
  pinned(): Promise<readonly string[]>;
  /**
   * Counts all files, for which it lists both stores to the end.
   *
   * @param now milliseconds since the epoch, default the store's clock
   */
  stats(now?: number): Promise<TieredStats>;
}

/** Bytes up to which a file is held in memory while it moves. */
const heldBytes = 8 * 1024 * 1024;

/** With autoMigrate, how many hot files one write looks at, and how many of those it moves at most. */
const autoMigrateLooks = 32;
const autoMigrateMoves = 2;

/**
 * A hot and a cold file store as one: writes go to the hot store unless they are larger than
 * `maxHotFileSize`, reads look there first, and `migrate` moves what has grown old.
 *
 * The copy in the hot store is the file; a copy in the cold one counts only where the hot one has
 * none. Every operation keeps that true when it is stopped half way. `ifAbsent` and `ifMatch` are
 * checked against the copy that counts. A move gives the file the cold store's etag and time, so an
 * `ifMatch` from before it fails, and the caller reads again.
 *
 * Writes, deletes and moves of one path wait for each other, in every tiered store of this isolate over
 * the same hot store, or the same `DurableObjectStorage`. Do not write to the two stores directly.
 * A new file or one that is in the cold store costs the cold store a `stat` (in R2 one class B
 * operation); rewriting a hot file costs it nothing. A listing is not a snapshot: it can miss a file
 * that is rewritten from large to small just then.
 *
 * A stream of unknown length is held in memory up to `maxHotFileSize`, to see where it belongs; give
 * `size` where that is much. Files of more than 8 MiB move as streams. Pinned paths are in the hot
 * store's file `__dosql_pins`, a path that this store itself does not have.
 *
 * With `autoMigrate` each write first looks at the next 32 hot files in path order and moves up to 2
 * that are due, starting over at the end. Where that fails the files stay in the hot store and the
 * write goes on; `migrate` tells why. The place in the order is this object's, so keep one.
 *
 * @param options.clock milliseconds since the epoch, by which autoMigrate tells age; default `Date.now`
 * @throws {FileStoreError} `BAD_PARAMETER`
 *
 * @example
 * const files = createTieredBackend(createDOBackend(ctx.storage), createR2Backend(env.BUCKET), {
 *   maxHotFileSize: 1_000_000,
 *   hotDataMaxAge: 24 * 60 * 60 * 1000,
 * });
 * await files.migrate(); // in alarm(), say
 */
export function createTieredBackend<Hot extends FileStore, Cold extends FileStore>(
  hot: Hot,
  cold: Cold,
  options: TieredOptions & { readonly clock?: () => number } = {},
): TieredBackend<Hot, Cold> {
  const { hotDataMaxAge, maxHotFileSize, autoMigrate, clock = Date.now } = options;
  if (hotDataMaxAge !== undefined && !(hotDataMaxAge >= 0))
    throw bad('hotDataMaxAge', hotDataMaxAge, 'a number of milliseconds, 0 or more');
  if (maxHotFileSize !== undefined && !(maxHotFileSize >= 0))
    throw bad('maxHotFileSize', maxHotFileSize, 'a number of bytes, 0 or more');
  return new TieredFileStore(hot, cold, { hotDataMaxAge, maxHotFileSize, autoMigrate }, clock);
}

/** One lock for each hot store, found by what is underneath it, so that a store made anew shares it. */
const locks = new WeakMap<object, PathLock>();

function lockOf(hot: FileStore & { readonly storage?: object }): PathLock {
  const owner = hot.storage ?? hot;
  const lock = locks.get(owner) ?? new PathLock();
  locks.set(owner, lock);
  return lock;
}

class TieredFileStore<Hot extends FileStore, Cold extends FileStore> implements TieredBackend<Hot, Cold> {
  readonly kind = 'tiered';
  readonly hot: Hot;
  readonly cold: Cold;
  readonly options: TieredOptions;
  readonly #clock: () => number;
  readonly #lock: PathLock;
  readonly #pins: Pins;
  /** Up to which path autoMigrate has looked. */
  #looked: string | undefined;

  constructor(hot: Hot, cold: Cold, options: TieredOptions, clock: () => number) {
    this.hot = hot;
    this.cold = cold;
    this.options = options;
    this.#clock = clock;
    this.#lock = lockOf(hot);
    this.#pins = new Pins(hot, this.#lock);
  }

  async read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    const key = own(path);
    return this.#find((store) => store.read(key, options));
  }

  async readStream(path: string, options?: ReadOptions): Promise<ReadableStream<Uint8Array> | null> {
    const key = own(path);
    return this.#find((store) => store.readStream(key, options));
  }

  async write(path: string, data: FileSource, options?: WriteOptions): Promise<FileStat> {
    return consuming(data, async () => {
      const key = own(path);
      const wanted = checkWrite(options);
      const [source, sizeBytes] = await this.#measure(data, wanted);
      return consuming(source, async () => {
        if (this.options.autoMigrate) await this.#migrateSome(key);
        return this.#lock.run(key, () => this.#writeLocked(key, source, sizeBytes, wanted));
      });
    });
  }

  async delete(path: string): Promise<boolean> {
    const key = own(path);
    return this.#lock.run(key, async () => {
      // Cold first: the other way round, a stop in between would bring back an old copy.
      const cold = await this.cold.delete(key);
      const hot = await this.hot.delete(key);
      // Last, so that no file loses its pin to a deletion that fails.
      await this.#pins.set(key, false);
      return cold || hot;
    });
  }

  async list(prefix = '', options?: ListOptions): Promise<FilePage> {
    const { cursor, limit } = checkList(options);
    // Hot first, so that a file moved in between is on both lists rather than on none.
    const hot = await this.hot.list(prefix, { cursor, limit });
    const cold = await this.cold.list(prefix, { cursor, limit });
    // Each list is complete up to its cursor, so the merged one is up to the smaller cursor.
    const [end] = [hot.cursor, cold.cursor].filter((path) => path !== undefined).sort(comparePaths);
    const entries = new Map<string, FileEntry>();
    for (const entry of cold.files) entries.set(entry.path, { ...entry, tier: 'cold' });
    for (const entry of hot.files) entries.set(entry.path, { ...entry, tier: 'hot' });
    entries.delete(pinsPath);
    const wanted = [...entries.values()]
      .filter(({ path }) => end === undefined || comparePaths(path, end) <= 0)
      .sort((a, b) => comparePaths(a.path, b.path));
    const files = wanted.slice(0, limit);
    const next = wanted.length > limit ? files.at(-1)?.path : end;
    return next === undefined ? { files } : { files, cursor: next };
  }

  async stat(path: string): Promise<FileStat | null> {
    const key = own(path);
    return this.#find(async (store, tier) => {
      const stat = await store.stat(key);
      return stat && { ...stat, tier };
    });
  }

  async exists(path: string): Promise<boolean> {
    return (await this.stat(path)) !== null;
  }

  async promote(path: string): Promise<FileStat | null> {
    const key = own(path);
    return this.#lock.run(key, () => this.#promoteLocked(key));
  }

  async pin(path: string): Promise<FileStat | null> {
    const key = own(path);
    return this.#lock.run(key, async () => {
      const isThere = (await this.hot.exists(key)) || (await this.cold.exists(key));
      if (!isThere) return null;
      // First, so that the file does not leave again in between.
      await this.#pins.set(key, true);
      return this.#promoteLocked(key);
    });
  }

  async unpin(path: string): Promise<boolean> {
    const key = own(path);
    return this.#lock.run(key, () => this.#pins.set(key, false));
  }

  async pinned(): Promise<readonly string[]> {
    return [...(await this.#pins.all())].sort(comparePaths);
  }

  async stats(now: number = this.#clock()): Promise<TieredStats> {
    const pins = await this.#pins.all();
    const count = (): { files: number; bytes: number } => ({ files: 0, bytes: 0 });
    const stats = { hot: count(), cold: count(), pinned: count(), due: count() };
    let cursor: string | undefined;
    do {
      const page = await this.list('', { cursor });
      for (const file of page.files) {
        const counts = [stats[file.tier]];
        if (file.tier === 'hot' && pins.has(file.path)) counts.push(stats.pinned);
        else if (file.tier === 'hot' && this.#isDue(file, now)) counts.push(stats.due);
        for (const counted of counts) {
          counted.files += 1;
          counted.bytes += file.size;
        }
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    return stats;
  }

  async migrate(now: number = this.#clock()): Promise<Migration> {
    const result = { moved: 0, sizeBytes: 0, failed: [] as { path: string; error: FileStoreError }[] };
    let cursor: string | undefined;
    do {
      const page = await this.hot.list('', { cursor });
      for (const { path } of page.files.filter((file) => file.path !== pinsPath && this.#isDue(file, now))) {
        try {
          const sizeBytes = await this.#move(path, now);
          if (sizeBytes === undefined) continue;
          result.moved += 1;
          result.sizeBytes += sizeBytes;
        } catch (error) {
          result.failed.push({
            path,
            error: toFileStoreError(`move ${show(path)} to the cold store`, error),
          });
        }
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    return result;
  }

  /**
   * The data and their size. A stream of unknown length is held in memory up to `maxHotFileSize`, which
   * tells where it belongs; a longer one stays a stream, of infinite size.
   */
  async #measure(data: FileSource, wanted: WriteOptions): Promise<[data: FileSource, sizeBytes: number]> {
    if (!isStream(data)) {
      const bytes = toSizedBytes(data, wanted);
      return [bytes, bytes.length];
    }
    if (wanted.size !== undefined) return [data, wanted.size];
    const { maxHotFileSize = Infinity } = this.options;
    // All streams are for the hot store, which need not know how long they are.
    if (maxHotFileSize === Infinity) return [data, 0];
    const head = await collectUpTo(data, maxHotFileSize);
    return [head, isStream(head) ? Infinity : head.length];
  }

  async #writeLocked(
    key: string,
    data: FileSource,
    sizeBytes: number,
    wanted: WriteOptions,
  ): Promise<FileStat> {
    const hot = await this.hot.stat(key);
    const cold = hot ? null : await this.cold.stat(key);
    requireCondition(key, hot ?? cold, wanted);
    // The store written to checks again where it can: where it holds the copy that counts, or none
    // does. That catches a writer in another isolate, which the lock does not.
    const unconditional = { size: wanted.size, nonce: wanted.nonce };
    const isLarge = sizeBytes > (this.options.maxHotFileSize ?? Infinity);
    if (isLarge && !(await this.#pins.has(key))) {
      const stat = await this.cold.write(key, data, hot ? unconditional : wanted);
      if (hot) await this.hot.delete(key);
      return { ...stat, tier: 'cold' };
    }
    const stat = await this.hot.write(key, data, cold ? unconditional : wanted);
    if (cold) await this.cold.delete(key);
    return { ...stat, tier: 'hot' };
  }

  /**
   * Moves a few due files, but not the one about to be written, whose etag the caller may hold. Rejects
   * where the hot store cannot be listed, and then the write would fail too.
   */
  async #migrateSome(writing: string): Promise<void> {
    if (this.options.hotDataMaxAge === undefined) return;
    const now = this.#clock();
    const page = await this.hot.list('', { cursor: this.#looked, limit: autoMigrateLooks });
    const due = page.files
      .filter((file) => file.path !== writing && file.path !== pinsPath && this.#isDue(file, now))
      .slice(0, autoMigrateMoves);
    this.#looked = due.length === autoMigrateMoves ? due.at(-1)?.path : page.cursor;
    // A failed move leaves its file in the hot store, where a later round finds it due again.
    await Promise.allSettled(due.map(({ path }) => this.#move(path, now)));
  }

  #isDue(file: FileStat, now: number): boolean {
    return now - file.modified.getTime() >= (this.options.hotDataMaxAge ?? Infinity);
  }

  /** Moves one file and returns its size in bytes; `undefined` where it is no longer there or due. */
  #move(path: string, now: number): Promise<number | undefined> {
    return this.#lock.run(path, async () => {
      const before = await this.hot.stat(path);
      if (before === null || !this.#isDue(before, now) || (await this.#pins.has(path))) return undefined;
      if (!(await copy(path, before, this.hot, this.cold))) return undefined;
      const there = await this.cold.stat(path);
      if (there?.size !== before.size) {
        throw new FileStoreError(
          'STORAGE_UNAVAILABLE',
          `The cold copy of ${show(path)} has ${there?.size ?? 'no'} bytes and not ${before.size}; the file stays in the hot store. Run migrate() again.`,
        );
      }
      // Only a writer that went past this store can have changed it; then the cold copy is the old one.
      if ((await this.hot.stat(path))?.etag !== before.etag) return undefined;
      await this.hot.delete(path);
      return before.size;
    });
  }

  async #promoteLocked(path: string): Promise<FileStat | null> {
    const hot = await this.hot.stat(path);
    if (hot) {
      // What a move that stopped half way may have left: a pinned file would keep it for ever.
      await this.cold.delete(path);
      return { ...hot, tier: 'hot' };
    }
    const cold = await this.cold.stat(path);
    const stat = cold && (await copy(path, cold, this.cold, this.hot, { ifAbsent: true }));
    if (stat === null) return null;
    // From here on the hot copy is the file; the cold one goes only when its bytes are all there.
    if (stat.size !== cold?.size) {
      await this.hot.delete(path);
      throw new FileStoreError(
        'STORAGE_UNAVAILABLE',
        `The hot copy of ${show(path)} has ${stat.size} bytes and not ${cold?.size}; the file stays in the cold store. Promote it again.`,
      );
    }
    await this.cold.delete(path);
    return { ...stat, tier: 'hot' };
  }

  /**
   * What `look` finds in the hot store, else in the cold one. The hot store is asked again at the end,
   * because a file may have gone from the cold store to the hot one after the first look.
   */
  async #find<T>(look: (store: FileStore, tier: Tier) => Promise<T | null>): Promise<T | null> {
    return (await look(this.hot, 'hot')) ?? (await look(this.cold, 'cold')) ?? look(this.hot, 'hot');
  }
}

/** A path of the tiered store: any but the one under which it keeps its pins. */
function own(path: string): string {
  const key = normalisePath(path);
  if (key !== pinsPath) return key;
  throw new FileStoreError(
    'INVALID_PATH',
    `The path ${show(path)} is where a tiered store keeps its pins; name the file otherwise.`,
  );
}

/** Writes a file of one store to another and returns its stat there; `null` where it is gone. */
async function copy(
  path: string,
  { size }: FileStat,
  from: FileStore,
  to: FileStore,
  options: WriteOptions = {},
): Promise<FileStat | null> {
  const data = await (size > heldBytes ? from.readStream(path) : from.read(path));
  if (data === null) return null;
  try {
    return await to.write(path, data, { ...options, size });
  } catch (cause) {
    const error = toFileStoreError(`copy ${show(path)}`, cause);
    if (error.code !== 'BAD_PARAMETER' && error.code !== 'STREAM_FAILED') throw error;
    // The data are what a store gave, not a caller.
    throw new FileStoreError(
      'STORAGE_UNAVAILABLE',
      `Could not read all ${size} bytes of ${show(path)} to move it; it stays where it is. Try again.`,
      { cause },
    );
  }
}
