import { FileStoreError, type FileStore } from '@dotdo/fsx';
import { DoSQLError } from '../error.ts';

/** The objects of one table: URIs below its location are paths below a folder of a file store. */
export class TableFiles {
  readonly #store: FileStore;
  readonly #folder: string;
  readonly #location: string;

  constructor(store: FileStore, folder: string, location: string) {
    this.#store = store;
    this.#folder = folder;
    this.#location = location;
  }

  /**
   * The object's bytes.
   *
   * @throws DoSQLError `NO_SUCH_FILE` for one that is not there, or not below the table's location
   */
  async read(uri: string): Promise<Uint8Array> {
    const path = this.#pathOf(uri);
    const bytes = path === undefined ? null : await this.#store.read(path);
    if (bytes !== null) return bytes;
    throw new DoSQLError('NO_SUCH_FILE', `${uri}, which the table at ${this.#location} names, is not there`);
  }

  /** Puts an object that no one else writes. */
  async put(uri: string, bytes: Uint8Array): Promise<void> {
    const path = this.#pathOf(uri);
    if (path === undefined)
      throw new DoSQLError('BAD_PARAMETER', `${uri} is not below the table's location ${this.#location}`);
    await this.#store.write(path, bytes);
  }

  /** Removes an object; what is not below the table's location is not ours to remove. */
  async remove(uri: string): Promise<boolean> {
    const path = this.#pathOf(uri);
    return path !== undefined && this.#store.delete(path);
  }

  #pathOf(uri: string): string | undefined {
    return uri.startsWith(`${this.#location}/`) ? this.#folder + uri.slice(this.#location.length) : undefined;
  }
}

/** Whether a conditional write found that its condition does not hold. */
export function isTaken(error: unknown): boolean {
  return error instanceof FileStoreError && error.code === 'PRECONDITION_FAILED';
}
