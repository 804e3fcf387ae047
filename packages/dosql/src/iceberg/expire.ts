import { STATUS } from './manifest.ts';
import type { ManifestContent } from './change.ts';
import { currentSnapshot, type Snapshot, type SnapshotId, type TableMetadata } from './metadata.ts';

/** Which snapshots go. */
export interface ExpireOptions {
  /** Those that were made before this, in ms since the epoch. */
  readonly olderThan: number;
  /** So many of the newest stay anyhow; 1 by default. */
  readonly retainLast?: number | undefined;
  /** Data files stay in the store: whoever has written them removes them. */
  readonly keepsDataFiles?: boolean | undefined;
}

/** What is left of a table's snapshots, and what goes. */
export interface Expiry {
  readonly metadata: TableMetadata;
  readonly expired: readonly Snapshot[];
}

/**
 * Takes old snapshots out of the metadata. The current one, those that branches and tags name, and the newest stay.
 */
export function expireSnapshots(metadata: TableMetadata, options: ExpireOptions): Expiry {
  const { olderThan, retainLast = 1 } = options;
  const snapshots = metadata.snapshots ?? [];
  const kept = new Set<SnapshotId | undefined>(ancestors(metadata, retainLast));
  for (const ref of Object.values(metadata.refs ?? {})) kept.add(ref['snapshot-id']);
  const isKept = (snapshot: Snapshot): boolean =>
    kept.has(snapshot['snapshot-id']) || snapshot['timestamp-ms'] >= olderThan;
  const expired = snapshots.filter((snapshot) => !isKept(snapshot));
  if (expired.length === 0) return { metadata, expired };
  const gone = new Set(expired.map((snapshot) => snapshot['snapshot-id']));
  // The log tells which snapshot was current at a time; before one that is gone it can no longer tell.
  const log = metadata['snapshot-log'] ?? [];
  const start = log.findLastIndex((entry) => gone.has(entry['snapshot-id'])) + 1;
  return {
    metadata: { ...metadata, snapshots: snapshots.filter(isKept), 'snapshot-log': log.slice(start) },
    expired,
  };
}

/** The current snapshot and those it came from, so many. */
function ancestors(metadata: TableMetadata, count: number): SnapshotId[] {
  const ids: SnapshotId[] = [];
  let snapshot = currentSnapshot(metadata);
  while (snapshot !== undefined && ids.length < Math.max(1, count)) {
    const { 'snapshot-id': id, 'parent-snapshot-id': parent } = snapshot;
    ids.push(id);
    snapshot = metadata.snapshots?.find((one) => one['snapshot-id'] === parent);
  }
  return ids;
}

/** A snapshot and what it lists. */
export interface SnapshotContent {
  readonly snapshot: Snapshot;
  readonly manifests: readonly ManifestContent[];
}

/**
 * The objects that only expired snapshots reach: their manifest lists, manifests, and data files.
 *
 * @param retained all snapshots that are left
 * @param withDataFiles whether data files are told, too
 */
export function unreachable(
  expired: readonly SnapshotContent[],
  retained: readonly SnapshotContent[],
  withDataFiles: boolean = true,
): string[] {
  const manifests = new Set(retained.flatMap((one) => one.manifests.map(({ file }) => file.manifest_path)));
  const files = new Set<string>();
  for (const { manifests: contents } of retained)
    for (const { entries } of contents)
      for (const { status, data_file } of entries)
        if (status !== STATUS.DELETED) files.add(data_file.file_path);
  const paths = new Set<string>();
  for (const { snapshot, manifests: contents } of expired) {
    paths.add(snapshot['manifest-list']);
    for (const { file, entries } of contents) {
      if (!manifests.has(file.manifest_path)) paths.add(file.manifest_path);
      // Files that a retained manifest lists as deleted were live in a snapshot that goes.
      for (const { data_file } of withDataFiles ? entries : [])
        if (!files.has(data_file.file_path)) paths.add(data_file.file_path);
    }
  }
  return [...paths];
}
