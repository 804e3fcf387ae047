import type { FileStore } from '@dotdo/fsx';
import { DoSQLError } from '../error.ts';
import type { Base, Sequence } from './base.ts';
import type { CatalogRows } from './catalog-rows.ts';
import { checksumOf, putFile, reaching, type ColdFileInfo } from './cold-file.ts';
import type { Segment } from './notes.ts';

/** A row of `__dosql_migration` of main. */
export type MigrationRow = readonly [
  name: string,
  checksum: string,
  appliedAt: number,
  durationMs: number,
  lsn: number,
];

/**
 * A backup: everything that it takes to make the database anew, at its LSN or at any before it that the segments reach
 * back to. It is written last, under a name of its own, so one that is there is complete.
 */
export interface BackupManifest extends CatalogRows {
  readonly format: 1;
  /** The database's name. */
  readonly name: string;
  /** Grows from backup to backup. */
  readonly sequence: number;
  readonly lsn: number;
  /** When it was made, in ms. */
  readonly at: number;
  /** Where the log's hot window began, with the time as a julian day. */
  readonly window: { readonly lsn: number; readonly at: number };
  readonly base: Base;
  readonly segments: readonly Segment[];
  readonly sequences: readonly Sequence[];
  /** The highest numbers that versions of tables, and tables, have had. */
  readonly numbers?: readonly [id: number, tableId: number];
  readonly migrations: readonly MigrationRow[];
  /** The cold files of tiered tables that the base refers to. */
  readonly tierFiles: readonly ColdFileInfo[];
  /** Tables whose rows are not in it: virtual ones. */
  readonly leftOut: readonly string[];
}

const PREFIX = 'backup/';

/**
 * Writes a manifest and reads it back.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE`
 */
export async function writeManifest(
  cold: FileStore,
  path: string,
  manifest: BackupManifest,
): Promise<ColdFileInfo> {
  const checksum = await checksumOf(new TextEncoder().encode(JSON.stringify(manifest)));
  return putFile(cold, path, new TextEncoder().encode(JSON.stringify({ ...manifest, checksum })));
}

/** A path that no other manifest has had; they sort by their sequence. */
export function manifestPath(sequence: number): string {
  return `${PREFIX}${String(sequence).padStart(10, '0')}-${crypto.randomUUID()}.json`;
}

/**
 * The newest backup. One that was cut off while it was written has never been complete, and does not count.
 *
 * @throws DoSQLError `NO_SUCH_FILE` when there is none, `CORRUPT_FILE`, `STORAGE_UNAVAILABLE`.
 */
export async function newestManifest(cold: FileStore): Promise<{ path: string; manifest: BackupManifest }> {
  for (const path of (await manifestPaths(cold)).toReversed()) {
    const bytes = await reaching(path, 'cannot be read from', () => cold.read(path));
    const parsed = bytes === null ? undefined : parse(path, bytes);
    if (parsed === undefined) continue;
    const { checksum, ...manifest } = parsed;
    if ((await checksumOf(new TextEncoder().encode(JSON.stringify(manifest)))) !== checksum)
      throw new DoSQLError(
        'CORRUPT_FILE',
        `"${path}" has other bytes than were written: its checksum is another one`,
      );
    if (manifest.format !== 1)
      throw new DoSQLError(
        'CORRUPT_FILE',
        `"${path}" is of format ${String(manifest.format)}, which this version does not read`,
      );
    return { path, manifest };
  }
  throw new DoSQLError(
    'NO_SUCH_FILE',
    'the cold store holds no backup: give the bucket and the prefix that db.backup() wrote to',
  );
}

/** Paths of all manifests, the oldest first. */
export async function manifestPaths(cold: FileStore): Promise<string[]> {
  const paths: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await reaching(PREFIX, 'cannot be listed in', () => cold.list(PREFIX, { cursor }));
    paths.push(...page.files.map(({ path }) => path).filter((path) => path.endsWith('.json')));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return paths;
}

/** Undefined for a text that ends too early. */
function parse(
  path: string,
  bytes: Uint8Array,
): (BackupManifest & { readonly checksum: string }) | undefined {
  const text = new TextDecoder().decode(bytes);
  if (!/"checksum":"[0-9a-f]{64}"\}$/.test(text)) return undefined;
  try {
    return JSON.parse(text) as BackupManifest & { readonly checksum: string };
  } catch (cause) {
    throw new DoSQLError('CORRUPT_FILE', `"${path}" is no JSON any more`, { cause });
  }
}
