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
    const { size } = await this.#store.write(path, bytes);
    if (size !== bytes.length)
      throw new DoSQLError('STORAGE_UNAVAILABLE', `${uri} was not taken as a whole by the store: try again`);
  }

  /** Removes an object; what is not below the table's location is not ours to remove. */
  async remove(uri: string): Promise<boolean> {
    const path = this.#pathOf(uri);
    return path !== undefined && this.#store.delete(path);
  }

  /** The URIs of the objects below `folder`, a path from the location on. */
  async list(folder: string): Promise<string[]> {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#store.list(
        `${this.#folder}/${folder}`,
        cursor === undefined ? {} : { cursor },
      );
      found.push(...page.files.map(({ path }) => this.#location + path.slice(this.#folder.length)));
      ({ cursor } = page);
    } while (cursor !== undefined);
    return found;
  }

  #pathOf(uri: string): string | undefined {
    return uri.startsWith(`${this.#location}/`) ? this.#folder + uri.slice(this.#location.length) : undefined;
  }
}

/** Whether a conditional write found that its condition does not hold. */
export function isTaken(error: unknown): boolean {
  return error instanceof FileStoreError && error.code === 'PRECONDITION_FAILED';
}
