import type { FileStat, FileStore } from '@dotdo/fsx';
import { DoSQLError } from '../error.ts';
import { afterFile, METADATA_LOG } from './change.ts';
import { isTaken, TableFiles } from './files.ts';
import { parseJson, printJson, type Snapshot, type SnapshotId, type TableMetadata } from './metadata.ts';

/** The table's metadata, and which of its states this is. */
export interface CatalogTable {
  readonly metadata: TableMetadata;
  readonly version: string;
}

/** What is committed: the metadata after the change, and what the change was. */
export interface CatalogChange {
  readonly metadata: TableMetadata;
  readonly added?: Snapshot | undefined;
  readonly removed?: readonly SnapshotId[] | undefined;
}

/** Where it is kept which metadata is the table's. */
export interface Catalog {
  /** Undefined where there is no table. */
  load(): Promise<CatalogTable | undefined>;
  /** False when the table is there already. */
  create(metadata: TableMetadata): Promise<boolean>;
  /** False when the table is no longer as it was at `base`: nothing has been changed then. */
  commit(base: CatalogTable, change: CatalogChange): Promise<boolean>;
}

const HINT = 'metadata/version-hint.text';

/**
 * A catalog in the table's own folder, as Hadoop's: `metadata/vN.metadata.json`, of which each is written only where
 * none is, or one that was taken in part only, and `metadata/version-hint.text` with the last N, or one before.
 */
export class FileCatalog implements Catalog {
  readonly #store: FileStore;
  readonly #folder: string;
  readonly #nonce: () => string;

  /** @param nonce names each write, so that one whose answer is lost can be told from another's */
  constructor(store: FileStore, folder: string, nonce: () => string) {
    this.#store = store;
    this.#folder = folder;
    this.#nonce = nonce;
  }

  async load(): Promise<CatalogTable | undefined> {
    let version = await this.#hint();
    let bytes = await this.#store.read(this.#pathOf(version));
    if (bytes === null) {
      // The first ones may have been removed, and the hint lost.
      version = await this.#last();
      bytes = await this.#whole(version);
      if (bytes === null && version > 0) bytes = await this.#whole(--version);
    }
    // The hint may be behind: it is written after the metadata.
    for (let next = await this.#whole(version + 1); next !== null; next = await this.#whole(version + 1)) {
      bytes = next;
      version++;
    }
    if (bytes === null) return undefined;
    const metadata = parseMetadata(bytes, this.#pathOf(version));
    return { metadata, version: `${version}` };
  }

  create(metadata: TableMetadata): Promise<boolean> {
    return this.#write(1, metadata);
  }

  /** Forgets the table: removes all its metadata, the newest last. Nobody may be changing it. */
  async drop(): Promise<void> {
    const there = await this.load();
    const files = new TableFiles(this.#store, this.#folder, 'table:');
    const last = there === undefined ? undefined : `table:/metadata/v${there.version}.metadata.json`;
    for (const uri of await files.list('metadata/')) if (uri !== last) await files.remove(uri);
    if (last !== undefined) await files.remove(last);
  }

  commit(base: CatalogTable, { metadata }: CatalogChange): Promise<boolean> {
    const version = Number(base.version);
    const previous = `${base.metadata.location}/metadata/v${version}.metadata.json`;
    return this.#write(version + 1, afterFile(metadata, previous, base.metadata['last-updated-ms']));
  }

  async #hint(): Promise<number> {
    const bytes = await this.#store.read(`${this.#folder}/${HINT}`);
    const version = Number(bytes === null ? Number.NaN : new TextDecoder().decode(bytes).trim());
    return Number.isSafeInteger(version) && version > 0 ? version : 0;
  }

  /** The last version that is there; 0 when there is none. */
  async #last(): Promise<number> {
    const names = await new TableFiles(this.#store, this.#folder, 'table:').list('metadata/v');
    return Math.max(0, ...names.map((name) => Number(/\/v(\d+)\.metadata\.json$/.exec(name)?.[1] ?? 0)));
  }

  #pathOf(version: number): string {
    return `${this.#folder}/metadata/v${version}.metadata.json`;
  }

  /** A version that was taken as a whole; null where there is none: what was taken in part is no commit. */
  async #whole(version: number): Promise<Uint8Array | null> {
    const path = this.#pathOf(version);
    const bytes = await this.#store.read(path);
    if (bytes === null || !isTorn(bytes)) return bytes;
    if ((await this.#store.stat(path))?.size === bytes.length) return null;
    throw new DoSQLError('STORAGE_UNAVAILABLE', `the store gives only a part of ${path}: try again`);
  }

  async #write(version: number, metadata: TableMetadata): Promise<boolean> {
    const path = this.#pathOf(version);
    const nonce = this.#nonce();
    const bytes = new TextEncoder().encode(printJson(metadata));
    let written: FileStat | null;
    try {
      written = await this.#store.write(path, bytes, { ifAbsent: true, nonce });
    } catch (error) {
      // The answer is lost, the write may have been done: a commit that is done is not to be done twice.
      written = await this.#store.stat(path);
      const isOurs = written?.nonce === nonce;
      if (written === null || (!isOurs && !isTaken(error))) throw error;
      if (!isOurs && (await this.#whole(version)) !== null) return false;
    }
    // It is not deleted: that could come late, and take away what was written since.
    if (written.nonce !== nonce || written.size !== bytes.length)
      written = await this.#store.write(path, bytes, { ifMatch: written.etag, nonce });
    if (written.size !== bytes.length)
      throw new DoSQLError('STORAGE_UNAVAILABLE', `${path} was not taken as a whole by the store: try again`);
    try {
      await this.#store.write(`${this.#folder}/${HINT}`, `${version}`);
      // No metadata names it any more.
      if (version > METADATA_LOG + 1) await this.#store.delete(this.#pathOf(version - METADATA_LOG - 1));
    } catch {
      // Committed already. The hint only spares steps: who loads the table looks further by itself.
    }
    return true;
  }
}

/**
 * Reads a `metadata.json`.
 *
 * @throws DoSQLError `CORRUPT_FILE` for what is none of format version 2
 */
export function parseMetadata(bytes: Uint8Array, name: string): TableMetadata {
  try {
    return checkMetadata(
      parseJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)),
    );
  } catch (error) {
    throw new DoSQLError('CORRUPT_FILE', `${name} is no Iceberg metadata: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function isTorn(bytes: Uint8Array): boolean {
  try {
    JSON.parse(new TextDecoder().decode(bytes));
    return false;
  } catch {
    return true;
  }
}

/** Metadata of format version 2; an error otherwise. */
export function checkMetadata(value: unknown): TableMetadata {
  const metadata = value as Partial<TableMetadata> | null;
  const version: unknown = metadata?.['format-version'];
  if (version !== 2) throw new Error(`its format version is ${String(version)}, 2 can be read`);
  for (const key of ['schemas', 'partition-specs'] as const)
    if (!Array.isArray(metadata?.[key])) throw new Error(`it has no ${key}`);
  if (typeof metadata?.location !== 'string') throw new Error('it has no location');
  return metadata as TableMetadata;
}
