import type { FileStore } from '@dotdo/fsx';
import { DoSQLError } from '../error.ts';
import { parseTime, type Point } from '../history/point.ts';
import { fromJulian } from '../log/log.ts';
import { valueAt } from '../tier/vectors.ts';
import { durationMs } from '../value/duration.ts';
import { describe } from '../value/parameter.ts';
import { SEGMENT_KEY, type SegmentAbout } from './archive.ts';
import { getFile } from './cold-file.ts';
import type { BackupManifest } from './manifest.ts';
import type { Segment } from './notes.ts';
import { openRows } from './rows-file.ts';

/**
 * The LSN of the last whole transaction at a point; without one, that of the backup.
 *
 * @throws DoSQLError `BAD_PARAMETER` for a point after the backup, `HISTORY_EXPIRED` for one before its archive.
 */
export async function targetLsn(
  cold: FileStore,
  manifest: BackupManifest,
  point: Point | undefined,
  nowMs: number,
): Promise<number> {
  if (point === undefined) return manifest.lsn;
  if (typeof point === 'object' && !(point instanceof Date)) {
    if ('lsn' in point) return wholeAt(cold, manifest, lsnOf(point.lsn));
    if ('before' in point) return wholeAt(cold, manifest, lsnOf(point.before) - 1);
    return timeAt(cold, manifest, nowMs - durationMs(point.ago, 'ago'));
  }
  const ms = point instanceof Date ? point.getTime() : typeof point === 'string' ? parseTime(point) : point;
  return timeAt(cold, manifest, ms);
}

/** The first LSN that a backup reaches back to. */
export function earliestLsn({ segments, lsn }: BackupManifest): number {
  const [first] = segments;
  return first === undefined ? lsn : first.first - 1;
}

function lsnOf(value: number | bigint): number {
  const lsn = Number(value);
  if (Number.isSafeInteger(lsn)) return lsn;
  throw new DoSQLError('BAD_PARAMETER', `${describe(value)} is no LSN: an LSN is a whole number`);
}

async function wholeAt(cold: FileStore, manifest: BackupManifest, lsn: number): Promise<number> {
  if (lsn > manifest.lsn)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `LSN ${lsn} is not in the backup, which ends at LSN ${manifest.lsn}`,
    );
  const earliest = earliestLsn(manifest);
  if (lsn < earliest)
    throw new DoSQLError(
      'HISTORY_EXPIRED',
      `LSN ${lsn} lies before the backup's archive: the earliest point is LSN ${earliest}`,
    );
  // A transaction may go on in the segments behind the one that it begins in.
  for (const segment of manifest.segments) {
    if (segment.last < lsn) continue;
    const { transactions } = await aboutOf(cold, segment);
    const around = transactions.find(([, last]) => last >= lsn);
    if (around !== undefined) return around[0] <= lsn && lsn < around[1] ? around[0] - 1 : lsn;
  }
  return lsn;
}

async function timeAt(cold: FileStore, manifest: BackupManifest, ms: number): Promise<number> {
  if (!Number.isFinite(ms)) throw new DoSQLError('BAD_PARAMETER', `the point in time is ${ms}`);
  const iso = new Date(ms).toISOString();
  const end = new Date(manifest.at).toISOString();
  if (ms > manifest.at)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `${iso} is not in the backup, which was made at ${end}: back up first, or restore without a point`,
    );
  const segment = manifest.segments.findLast(({ fromAt }) => fromJulian(fromAt) <= ms);
  if (segment !== undefined) return wholeAt(cold, manifest, await lastUntil(cold, segment, ms));
  const [first] = manifest.segments;
  const { window } = manifest;
  if (window.lsn === earliestLsn(manifest) && fromJulian(window.at) <= ms) return window.lsn;
  throw new DoSQLError(
    'HISTORY_EXPIRED',
    `${iso} lies before the backup's archive: the earliest point is ${first === undefined ? end : new Date(fromJulian(first.fromAt)).toISOString()}`,
  );
}

/** The last LSN of a segment that was not later than `ms`. */
async function lastUntil(cold: FileStore, segment: Segment, ms: number): Promise<number> {
  if (fromJulian(segment.toAt) <= ms) return segment.last;
  const file = await openRows(segment.path, await getFile(cold, segment));
  let last = segment.first - 1;
  for await (const batch of file.batches(['lsn', 'at'])) {
    const [lsns, times] = [batch.column('lsn'), batch.column('at')];
    for (let i = 0; i < batch.rowCount; i++)
      if (fromJulian(valueAt(times, i) as number) <= ms) last = Math.max(last, valueAt(lsns, i) as number);
  }
  return last;
}

async function aboutOf(cold: FileStore, segment: Segment): Promise<SegmentAbout> {
  return segmentAbout(
    segment,
    (await openRows(segment.path, await getFile(cold, segment))).about(SEGMENT_KEY),
  );
}

/**
 * What a segment says of itself.
 *
 * @throws DoSQLError `CORRUPT_FILE`
 */
export function segmentAbout({ path }: Segment, text: string | undefined): SegmentAbout {
  if (text === undefined) throw new DoSQLError('CORRUPT_FILE', `"${path}" is no segment of a log`);
  return JSON.parse(text) as SegmentAbout;
}
