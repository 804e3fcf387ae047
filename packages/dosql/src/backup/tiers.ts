import type { DOBackend, FileStore } from '@dotdo/fsx';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import { all, first } from '../sql/read.ts';
import { localPath } from '../tier/places.ts';
import { checksumOf, reaching, type ColdFileInfo } from './cold-file.ts';

/** A row of `__dosql_tier_file`: all but its number and its place. */
export type TierFileRow = readonly [
  tableId: number,
  path: string,
  partition: string,
  rows: number,
  sizeBytes: number,
  etag: string,
  lsn: number,
  columns: string,
  ranges: string,
  /** As hex. */
  gone: string | null,
  goneCount: number,
];

/** How a table is tiered, and where its cold rows are. */
export interface TierSnapshot {
  readonly tableId: number;
  readonly policy: string;
  readonly files: readonly TierFileRow[];
  /** Another text whenever rows have become cold or hot. */
  readonly state: string;
}

/** What is tiered of a table; undefined when nothing is. */
export function tierSnapshot(engine: Engine, tableId: number): TierSnapshot | undefined {
  if (!engine.hasOwn('__dosql_tier')) return undefined;
  const { sql } = engine.storage;
  const policy = first<[string]>(sql, 'SELECT policy FROM __dosql_tier WHERE table_id = ?', tableId)?.[0];
  if (policy === undefined) return undefined;
  const files = all<TierFileRow>(
    sql,
    'SELECT table_id, path, partition, rows, size, etag, lsn, columns, ranges, hex(gone), gone_count FROM __dosql_tier_file WHERE table_id = ? ORDER BY id',
    tableId,
  );
  const state = JSON.stringify(files.map(([, path, , , , , , , , , gone]) => [path, gone]));
  return { tableId, policy, files, state };
}

/**
 * Makes sure that every cold file that a base refers to is in the cold store; gives what each must be. The checksum of a
 * file is computed once.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE`, `NO_SUCH_FILE`
 */
export async function tierFiles(
  cold: FileStore,
  local: DOBackend,
  tiers: readonly TierSnapshot[],
  known: readonly ColdFileInfo[],
): Promise<ColdFileInfo[]> {
  const checked = new Map(known.map((file) => [file.path, file]));
  const files: ColdFileInfo[] = [];
  for (const [, path, , , sizeBytes] of tiers.flatMap((tier) => tier.files)) {
    const before = checked.get(path);
    files.push(before ?? { path, sizeBytes, checksum: await checksumIn(cold, local, path, sizeBytes) });
  }
  return files;
}

async function checksumIn(
  cold: FileStore,
  local: DOBackend,
  path: string,
  sizeBytes: number,
): Promise<string> {
  const there = await reaching(path, 'cannot be read from', () => cold.read(path));
  const isThere = there?.length === sizeBytes;
  const bytes = isThere ? there : await local.read(localPath(path));
  // A file is written once and never changed, so what is shorter has not been read whole.
  if (bytes === null && there !== null)
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      `the cold store gives ${there.length} bytes of "${path}", which has ${sizeBytes}: back up again later`,
    );
  if (bytes === null)
    throw new DoSQLError('NO_SUCH_FILE', `"${path}", which holds cold rows, is gone: it cannot be backed up`);
  if (!isThere)
    await reaching(path, 'was not taken by', () => cold.write(path, bytes, { size: bytes.length }));
  return checksumOf(bytes);
}
