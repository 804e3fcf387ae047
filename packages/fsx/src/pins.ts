import { FileStoreError, show } from './error.ts';
import type { FileStore } from './file-store.ts';
import type { PathLock } from './path-lock.ts';

/** Where a tiered store keeps the list of pinned paths, in its hot store. */
export const pinsPath = '__dosql_pins';

/** How often a change of the list that meets another is tried. */
const attempts = 10;

/**
 * The paths of a tiered store that stay in its hot store, as one file of JSON in that store. Changes
 * are conditional on the list they were made from, so none is lost to another store's.
 */
export class Pins {
  readonly #store: FileStore;
  readonly #lock: PathLock;

  /** @param lock what stores over the same hot store share; nobody else locks {@link pinsPath} */
  constructor(store: FileStore, lock: PathLock) {
    this.#store = store;
    this.#lock = lock;
  }

  /** All pinned paths. */
  async all(): Promise<ReadonlySet<string>> {
    return (await this.#load()).paths;
  }

  async has(path: string): Promise<boolean> {
    return (await this.#load()).paths.has(path);
  }

  /** Adds a path, or removes it. False where it was so already. */
  async set(path: string, isPinned: boolean): Promise<boolean> {
    return this.#lock.run(pinsPath, async () => {
      for (let attempt = 1; ; attempt++) {
        const { paths, etag } = await this.#load();
        if (paths.has(path) === isPinned) return false;
        const others = [...paths].filter((other) => other !== path);
        const text = JSON.stringify(isPinned ? [...others, path] : others);
        try {
          await this.#store.write(
            pinsPath,
            text,
            etag === undefined ? { ifAbsent: true } : { ifMatch: etag },
          );
          return true;
        } catch (error) {
          const isMet = error instanceof FileStoreError && error.code === 'PRECONDITION_FAILED';
          if (!isMet || attempt === attempts) throw error;
        }
      }
    });
  }

  async #load(): Promise<{ paths: ReadonlySet<string>; etag?: string }> {
    // The etag first: should the list change in between, the write finds that out.
    const stat = await this.#store.stat(pinsPath);
    const bytes = stat && (await this.#store.read(pinsPath));
    if (stat === null || bytes === null) return { paths: new Set() };
    return { paths: new Set(parse(new TextDecoder().decode(bytes))), etag: stat.etag };
  }
}

function parse(text: string): string[] {
  let paths: unknown;
  try {
    paths = JSON.parse(text);
  } catch {
    paths = undefined;
  }
  if (Array.isArray(paths) && paths.every((path) => typeof path === 'string')) return paths;
  throw new FileStoreError(
    'STORAGE_UNAVAILABLE',
    `The list of pinned paths, the file ${show(pinsPath)} of the hot store, is damaged; delete it and pin the paths again.`,
    { retryable: false },
  );
}
