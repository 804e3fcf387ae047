import type { FileStore } from '@dotdo/fsx';
import { DoSQLError } from '../error.ts';
import { FileCatalog, type Catalog, type CatalogTable } from './catalog.ts';
import {
  appendFiles,
  createTable,
  mergeable,
  overwriteFiles,
  uuid,
  type Effects,
  type NewTable,
  type TableChange,
  type TableObject,
  type TableState,
} from './change.ts';
import { assignFiles, type WantedTable } from './assign.ts';
import type { DataFile } from './data-file.ts';
import { expireSnapshots, unreachable, type ExpireOptions } from './expire.ts';
import { TableFiles } from './files.ts';
import { ManifestReader } from './manifest-reader.ts';
import { STATUS, type FileEntry } from './manifest.ts';
import { currentSnapshot, type Snapshot, type TableMetadata } from './metadata.ts';

/** Where a table is. */
export interface IcebergTableOptions {
  readonly store: FileStore;
  /** The folder of the store that is the table's location. */
  readonly folder: string;
  /** By default the table's own folder. */
  readonly catalog?: Catalog | undefined;
  readonly effects?: Effects | undefined;
}

/** How often a change is tried anew when others were first. */
const MAX_ATTEMPTS = 20;

const PLATFORM: Effects = {
  now: () => Date.now(),
  random: (count) => crypto.getRandomValues(new Uint8Array(count)),
};

/**
 * An Iceberg table (format version 2) over Parquet files.
 *
 * Every change is one commit: its objects are put first, and nobody sees them until the catalog has taken the new
 * metadata. When someone else was first it is made anew upon what they left. Any number may write at the same time.
 *
 * Besides what is said below, every method throws what the store throws.
 */
export class IcebergTable {
  readonly #options: IcebergTableOptions;
  readonly #catalog: Catalog;
  readonly #effects: Effects;

  constructor(options: IcebergTableOptions) {
    this.#options = options;
    this.#effects = options.effects ?? PLATFORM;
    this.#catalog =
      options.catalog ?? new FileCatalog(options.store, options.folder, () => uuid(this.#effects));
  }

  /**
   * Creates the table, or leaves it as it is.
   *
   * @throws DoSQLError `BAD_PARAMETER` for columns and partitions that a table cannot have
   */
  async create(table: NewTable): Promise<TableMetadata> {
    const there = await this.#catalog.load();
    if (there !== undefined) return there.metadata;
    await this.#catalog.create(createTable(table, this.#effects));
    return (await this.#load()).metadata;
  }

  /** The table's metadata. */
  async metadata(): Promise<TableMetadata> {
    return (await this.#load()).metadata;
  }

  /** The files that the table has now. */
  async files(): Promise<FileEntry[]> {
    const { metadata } = await this.#load();
    const snapshot = currentSnapshot(metadata);
    if (snapshot === undefined) return [];
    const reader = this.#reader(metadata);
    const manifests = (await reader.list(snapshot)).filter(({ content }) => content === 0);
    return (await reader.contents(manifests)).flatMap(({ entries }) =>
      entries.filter(({ status }) => status !== STATUS.DELETED).map(({ data_file }) => data_file),
    );
  }

  /**
   * Adds files that stand in the store already.
   *
   * @throws DoSQLError `BAD_PARAMETER` for files that are not of the table's columns and partitions
   */
  append(files: readonly DataFile[]): Promise<Snapshot> {
    return this.#change(async (state, reader) => {
      const merge = await reader.contents(mergeable(state.manifests));
      return appendFiles(state, files, this.#effects, merge);
    });
  }

  /**
   * Makes the table have just these columns, partitions and files, in one commit upon whatever it has; undefined where
   * it has them already. What is taken out stays in the store until {@link expire}. Files that are added are of the
   * partitions of now.
   *
   * @throws DoSQLError `BAD_PARAMETER` for columns and files that the table cannot have
   */
  assign(wanted: WantedTable): Promise<Snapshot | undefined> {
    return this.#change(async (state, reader) => {
      const contents = await reader.contents(state.manifests.filter(({ content }) => content === 0));
      return assignFiles(state, wanted, contents, this.#effects);
    });
  }

  /**
   * Puts files in the place of others, or just takes others out. These stay in the store until {@link expire}.
   *
   * @throws DoSQLError `BAD_PARAMETER` when a removed file is not of the table (any more)
   */
  overwrite(files: {
    readonly add: readonly DataFile[];
    readonly remove: readonly string[];
  }): Promise<Snapshot> {
    return this.#change(async (state, reader) => {
      const contents = await reader.contents(state.manifests.filter(({ content }) => content === 0));
      return overwriteFiles(state, files, contents, this.#effects);
    });
  }

  /** Forgets old snapshots and removes what only they had. Gives the URIs of the objects that are gone. */
  async expire(options: ExpireOptions): Promise<string[]> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const base = await this.#load();
      const { metadata, expired } = expireSnapshots(base.metadata, options);
      if (expired.length === 0) return [];
      const reader = this.#reader(metadata);
      const old = await reader.snapshots(expired);
      const left = await reader.snapshots(metadata.snapshots ?? []);
      const removed = expired.map((snapshot) => snapshot['snapshot-id']);
      if (!(await this.#catalog.commit(base, { metadata, removed }))) continue;
      const paths = unreachable(old, left, options.keepsDataFiles !== true);
      const files = this.#files(metadata);
      for (const path of paths) await files.remove(path);
      return paths;
    }
    throw busy(this.#options.folder);
  }

  /**
   * Removes manifests and lists that no snapshot names: what changes have left that were cut off. Nobody else may be
   * changing the table. Gives the URIs of the objects that are gone.
   */
  async removeOrphans(): Promise<string[]> {
    const { metadata } = await this.#load();
    const contents = await this.#reader(metadata).snapshots(metadata.snapshots ?? []);
    const named = new Set(
      contents.flatMap(({ snapshot, manifests }) => [
        snapshot['manifest-list'],
        ...manifests.map(({ file }) => file.manifest_path),
      ]),
    );
    const files = this.#files(metadata);
    const orphans = (await files.list('metadata/')).filter((uri) => uri.endsWith('.avro') && !named.has(uri));
    for (const uri of orphans) await files.remove(uri);
    return orphans;
  }

  async #change<T extends TableChange | undefined>(
    plan: (state: TableState, reader: ManifestReader) => Promise<T>,
  ): Promise<Snapshot | (T extends undefined ? undefined : never)> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const base = await this.#load();
      const reader = this.#reader(base.metadata);
      const current = currentSnapshot(base.metadata);
      const manifests = current === undefined ? [] : await reader.list(current);
      const state = { metadata: base.metadata, manifests };
      const change = await plan(state, reader);
      if (change === undefined) return undefined as T extends undefined ? undefined : never;
      const { objects, snapshot, metadata } = change;
      const files = this.#files(metadata);
      for (const { path, bytes } of objects) await files.put(path, bytes);
      if (await this.#catalog.commit(base, { metadata, added: snapshot })) return snapshot;
      await discard(files, objects);
    }
    throw busy(this.#options.folder);
  }

  async #load(): Promise<CatalogTable> {
    const table = await this.#catalog.load();
    if (table !== undefined) return table;
    throw new DoSQLError('NO_SUCH_TABLE', `there is no Iceberg table at ${this.#options.folder}: create it`);
  }

  #reader(metadata: TableMetadata): ManifestReader {
    return new ManifestReader(this.#files(metadata));
  }

  #files({ location }: TableMetadata): TableFiles {
    return new TableFiles(this.#options.store, this.#options.folder, location);
  }
}

/** Nobody names the objects of a commit that was not taken; should removing them fail, they only take room. */
async function discard(files: TableFiles, objects: readonly TableObject[]): Promise<void> {
  await Promise.allSettled(objects.map(({ path }) => files.remove(path)));
}

function busy(folder: string): DoSQLError {
  return new DoSQLError(
    'STORAGE_UNAVAILABLE',
    `others changed the table at ${folder} each of ${MAX_ATTEMPTS} times: try again later`,
  );
}
