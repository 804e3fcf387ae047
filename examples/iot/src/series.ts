import type { Database } from '@dotdo/dosql';
import { HttpError } from '@dotdo/example-shared/http';

/** The most rows that a query answers, and that a floor gives for one. */
const MAX_ROWS = 5_000;

/** Where sums over stretches of time lie: the columns of such a row, and that of the time. */
const SOURCES = {
  minutes: sums('minute_aggregates', 'minute'),
  hours: sums('hourly_aggregates', 'hour'),
  days: sums('daily_aggregates', 'day'),
  // Readings themselves, hot and cold, summed up by day.
  readings: {
    table: 'readings',
    time: 'timestamp / 86400000 * 86400000',
    column: 'timestamp',
    sums: `min(value) AS min_value, max(value) AS max_value, sum(value) AS sum_value,
           sum(quality) AS sum_quality, count(*) AS reading_count`,
  },
};

/** What of the telemetry to read: plain data, as it goes to the objects of floors. */
export interface SeriesRequest {
  readonly source: keyof typeof SOURCES;
  /** From `start` up to, not including, `end`. */
  readonly start: number;
  readonly end: number;
  readonly sensor_id?: string | undefined;
  readonly type?: string | undefined;
  /** Whether a row is of one sensor, or of all sensors of a type. */
  readonly by: 'sensor' | 'type';
}

/** What was measured in one stretch of time. */
export interface SeriesRow {
  /** '' for the building itself, and for rows of a type. */
  readonly floor: string;
  /** '' for rows of a type. */
  readonly sensor_id: string;
  readonly sensor_type: string;
  readonly time: number;
  readonly min_value: number;
  readonly max_value: number;
  readonly sum_value: number;
  readonly sum_quality: number;
  readonly reading_count: number;
}

/**
 * Rows of one object, hot and cold in one query. Each set of filters is one text, so that it is prepared once, and names
 * the time plainly, so that files outside of it are not opened. One row more than is allowed tells that there are too many.
 */
export function readSeries(
  db: Database,
  { source, start, end, sensor_id, type, by }: SeriesRequest,
): Promise<SeriesRow[]> {
  const { table, time, column, sums } = SOURCES[source];
  const isOfSensors = by === 'sensor';
  return db.query<SeriesRow>(
    `SELECT '' AS floor, ${isOfSensors ? 'sensor_id' : "'' AS sensor_id"}, sensor_type, ${time} AS time, ${sums}
       FROM ${table}
      WHERE ${column} >= ? AND ${column} < ?${sensor_id === undefined ? '' : ' AND sensor_id = ?'}${
        type === undefined ? '' : ' AND sensor_type = ?'
      }
      GROUP BY ${isOfSensors ? 'sensor_id, ' : ''}sensor_type, time
      LIMIT ${MAX_ROWS + 1}`,
    [start, end, ...[sensor_id, type].filter((value) => value !== undefined)],
  );
}

/**
 * Rows of several sources or floors as one list, in the order of time: what is about the same is summed up.
 *
 * @throws HttpError 422 for too many rows.
 */
export function mergeSeries(lists: readonly (readonly SeriesRow[])[]): SeriesRow[] {
  const merged = new Map<string, SeriesRow>();
  for (const row of lists.flat()) {
    const key = `${row.floor} ${row.sensor_id} ${row.sensor_type} ${row.time}`;
    const other = merged.get(key);
    merged.set(key, other === undefined ? row : together(row, other));
  }
  if (merged.size > MAX_ROWS)
    throw new HttpError(
      422,
      `these are more than ${MAX_ROWS} rows: ask for less time, one sensor, or by=type`,
    );
  return [...merged.values()].sort(
    (a, b) => a.time - b.time || compare(a.sensor_type, b.sensor_type) || compare(a.sensor_id, b.sensor_id),
  );
}

/** A row as it is answered. */
export function shownSeries({ sum_value, sum_quality, reading_count, ...row }: SeriesRow): object {
  return {
    ...row,
    avg_value: sum_value / reading_count,
    avg_quality: sum_quality / reading_count,
    reading_count,
  };
}

function together(a: SeriesRow, b: SeriesRow): SeriesRow {
  return {
    ...a,
    min_value: Math.min(a.min_value, b.min_value),
    max_value: Math.max(a.max_value, b.max_value),
    sum_value: a.sum_value + b.sum_value,
    sum_quality: a.sum_quality + b.sum_quality,
    reading_count: a.reading_count + b.reading_count,
  };
}

function sums(table: string, column: string): { table: string; time: string; column: string; sums: string } {
  return {
    table,
    time: column,
    column,
    sums: `min(min_value) AS min_value, max(max_value) AS max_value, sum(sum_value) AS sum_value,
           sum(sum_quality) AS sum_quality, sum(reading_count) AS reading_count`,
  };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
