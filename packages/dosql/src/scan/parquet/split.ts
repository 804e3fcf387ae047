import type { RowRange } from './take.ts';

/** A batch has about this many rows: few enough for the memory, enough that what is done once a batch does not count. */
export const BATCH_ROWS = 131_072;

/** What tells where its pages begin. */
interface Paged {
  readonly firstRows: readonly number[];
}

/**
 * The rows in pieces of about {@link BATCH_ROWS}, cut where pages begin: a page that two batches share is decoded twice.
 */
export function* splitRanges(
  ranges: readonly RowRange[],
  columns: readonly Paged[],
): Generator<RowRange[], void, undefined> {
  let left = ranges.reduce((count, { start, end }) => count + end - start, 0);
  if (left <= 1.5 * BATCH_ROWS) {
    if (left > 0) yield [...ranges];
    return;
  }
  const starts = pageStarts(columns);
  let batch: RowRange[] = [];
  let room = BATCH_ROWS;
  for (const { start: first, end } of ranges) {
    let start = first;
    while (left > 1.5 * BATCH_ROWS && end - start >= room) {
      const cut = Math.min(
        end,
        nearestStart(starts, start + room, Math.max(start, start + room - BATCH_ROWS / 4)),
      );
      batch.push({ start, end: cut });
      yield batch;
      batch = [];
      left -= BATCH_ROWS - room + cut - start;
      start = cut;
      room = BATCH_ROWS;
    }
    if (start === end) continue;
    batch.push({ start, end });
    room = Math.max(1, room - (end - start));
  }
  if (batch.length > 0) yield batch;
}

/** How many columns have a page that begins at a row. */
function pageStarts(columns: readonly Paged[]): ReadonlyMap<number, number> {
  const starts = new Map<number, number>();
  for (const { firstRows } of columns)
    for (const row of firstRows) starts.set(row, (starts.get(row) ?? 0) + 1);
  return starts;
}

/** The row, from after `least` up to a bit past `wanted`, at which most pages begin; `wanted` where none does. */
function nearestStart(starts: ReadonlyMap<number, number>, wanted: number, least: number): number {
  let best = wanted;
  let most = 0;
  for (const [row, count] of starts) {
    if (row <= least || row > wanted + BATCH_ROWS / 4) continue;
    if (count > most || (count === most && Math.abs(row - wanted) < Math.abs(best - wanted))) {
      best = row;
      most = count;
    }
  }
  return best;
}
