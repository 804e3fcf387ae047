import type { ChangeEvent } from '../reader.ts';

/** Events whose marks follow one another: the first mark, and how many there are. */
export type Run = readonly [mark: number, count: number];

/**
 * What tells the events of a stretch of the log apart: the LSN, but for the boundaries of transactions, which share that
 * of a change.
 */
function markOf({ op, lsn }: ChangeEvent): number {
  if (op === 'begin') return -Number(lsn);
  return op === 'commit' ? Number(lsn) + 0.5 : Number(lsn);
}

/** Which events these are. */
export function runsOf(events: readonly ChangeEvent[]): Run[] {
  const runs: [number, number][] = [];
  for (const event of events) {
    const mark = markOf(event);
    const last = runs.at(-1);
    if (last !== undefined && mark === last[0] + last[1]) last[1]++;
    else runs.push([mark, 1]);
  }
  return runs;
}

/** The place of each event among those that `runs` tells of; undefined when one is none of them. */
export function placesIn(runs: readonly Run[], events: readonly ChangeEvent[]): number[] | undefined {
  const places: number[] = [];
  let run = 0;
  let before = 0;
  for (const event of events) {
    const mark = markOf(event);
    for (; run < runs.length; before += (runs[run++] as Run)[1]) {
      const [first, count] = runs[run] as Run;
      if (mark >= first && mark < first + count && Number.isInteger(mark - first)) break;
    }
    const found = runs[run];
    if (found === undefined) return undefined;
    places.push(before + mark - found[0]);
  }
  return places;
}
