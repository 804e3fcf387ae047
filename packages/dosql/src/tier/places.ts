import type { DOBackend, FileStore } from '@dotdo/fsx';
import { DoSQLError } from '../error.ts';
import type { RangeFile } from '../scan/file.ts';
import type { FileReader } from '../scan/source/environment.ts';
import type { Relation } from '../schema/relation.ts';
import type { SqlValue } from '../value/row.ts';
import { unitOf } from './age.ts';
import type { ColdFile, NewFile } from './manifest.ts';
import { partitionColumns, type TierPolicy } from './options.ts';

/** Where the bytes of cold rows are: in the object's own file store until they have been copied to the cold one. */
export interface Places {
  readonly local: DOBackend;
  /** Undefined where the database was given none: then files stay in the object. */
  readonly cold: FileStore | undefined;
  /** Paths that are being copied from one to the other. */
  readonly moving: Set<string>;
}

/** What paths of the database's own begin with in the object's file store, which the app may use for its files, too. */
const OWN = '__dosql/';

/** Where the object's file store has the bytes of a path of the manifest. */
export function localPath(path: string): string {
  return OWN + path;
}

/** Whether a path of the object's file store is the database's own. */
export function isOwnPath(path: string): boolean {
  return path.replace(/^\//, '').startsWith(OWN);
}

/** The app's files in the object's file store: what `fsx://` in SQL names. */
export function appFiles(local: FileStore): FileReader {
  return {
    read: async (path, options) => (isOwnPath(path) ? null : local.read(path, options)),
    stat: async (path) => (isOwnPath(path) ? null : local.stat(path)),
    list: async (prefix, options) => {
      const page = await local.list(prefix, options);
      return { ...page, files: page.files.filter(({ path }) => !isOwnPath(path)) };
    },
  };
}

/** What hive, and all who write as it does, call a folder of rows that have NULL. */
const NULL_FOLDER = '__HIVE_DEFAULT_PARTITION__';
/** Paths have at most 1,024 bytes. */
const FOLDER_LENGTH = 60;

/** A path that no other file has had. Its folders are for those who look at them: what is in a file, the manifest tells. */
export function pathOf(
  relation: Relation,
  policy: Pick<TierPolicy, 'partitionBy'>,
  { partition, columns }: Pick<NewFile, 'partition' | 'columns'>,
): string {
  const folders = partitionColumns(relation, policy).flatMap(({ id, name }) => {
    const value = columns.find((column) => column.id === id)?.value;
    return value === undefined ? [] : `${folderName(name)}=${folderName(value)}/`;
  });
  const time = folders.length === 0 ? 'partition' : unitOf(partition);
  // Readers that take an Iceberg table from where they find it look for its files in `data`.
  return `${folderOf(relation)}/data/${folders.join('')}${time}=${partition}/${crypto.randomUUID()}.parquet`;
}

/** A value percent-encoded as far as there is room, without what no path may have, encoded or not. */
function folderName(value: SqlValue): string {
  if (value === null) return NULL_FOLDER;
  let name = '';
  for (const character of String(value).replaceAll(/[/\\%]/g, '_')) {
    const longer = name + encodeURIComponent(character);
    if (longer.length > FOLDER_LENGTH) break;
    name = longer;
  }
  return name;
}

/** The folder of a table's files. */
export function folderOf({ name, tableId }: Relation): string {
  const plain = name.replaceAll(/[^A-Za-z0-9_-]+/g, '_').slice(0, 60);
  return `tables/${plain}-${tableId}`;
}

/**
 * A file of the manifest, to be read by ranges. It may move while it is read: what is not in one place any more is
 * in the other.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE` when the cold store does not answer, `NO_SUCH_FILE` when it has lost it.
 */
export function rangeFile(file: ColdFile, { local, cold }: Places): RangeFile {
  const { path } = file;
  const here = { store: local, at: localPath(path) };
  const there = { store: cold, at: path };
  const from = file.place === 'local' ? [here, there] : [there, here];
  return {
    name: path,
    size: file.sizeBytes,
    // A path is never written with other bytes.
    etag: path,
    isCopied: true,
    async read(offset, length, signal) {
      signal?.throwIfAborted();
      for (const { store, at } of from) {
        const bytes = await store?.read(at, { offset, length }).catch((cause: unknown) => {
          throw new DoSQLError(
            'STORAGE_UNAVAILABLE',
            `cold rows in "${path}" cannot be read now: ${cause instanceof Error ? cause.message : String(cause)}`,
            { cause },
          );
        });
        if (bytes?.length === length) return bytes;
        if (bytes !== undefined && bytes !== null)
          throw new DoSQLError(
            'CORRUPT_FILE',
            `"${path}" ends at ${offset + bytes.length}, not at ${file.sizeBytes} bytes as it was written`,
          );
      }
      const missing = from.every(({ store }) => store !== undefined) ? 'is gone from' : 'was put into';
      throw new DoSQLError(
        'NO_SUCH_FILE',
        `"${path}", which holds cold rows, ${missing} the cold store: open the database with the storage that it was written with`,
      );
    },
  };
}
