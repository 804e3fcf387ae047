import type { Transaction } from '@dotdo/dosql';
import { HOUR_MS, MINUTE_MS, startOf } from './time.ts';
import type { StoredReading } from './readings.ts';

/** A sensor's readings of one minute or hour, in the order of the columns. */
type Group = [
  sensor: string,
  start: number,
  type: string,
  min: number,
  max: number,
  sum: number,
  quality: number,
  count: number,
];

const ADD_TO_MINUTES = addTo('minute_aggregates', 'minute');
const ADD_TO_HOURS = addTo('hourly_aggregates', 'hour');

/**
 * Adds readings to the minutes and hours that they lie in, however late they come: one statement each.
 *
 * Invariant: each reading comes here once, in the transaction that has stored it.
 */
export async function aggregate(tx: Transaction, readings: readonly StoredReading[]): Promise<void> {
  if (readings.length === 0) return;
  await tx.run(ADD_TO_MINUTES, [JSON.stringify(groupsOf(readings, MINUTE_MS))]);
  await tx.run(ADD_TO_HOURS, [JSON.stringify(groupsOf(readings, HOUR_MS))]);
}

/** Readings by sensor and stretch of time. */
export function groupsOf(readings: readonly StoredReading[], spanMs: number): Group[] {
  const groups = new Map<string, Group>();
  for (const { sensor_id, sensor_type, timestamp, value, quality } of readings) {
    const start = startOf(timestamp, spanMs);
    const key = `${start} ${sensor_id}`;
    const group = groups.get(key);
    if (group === undefined)
      groups.set(key, [sensor_id, start, sensor_type, value, value, value, quality, 1]);
    else {
      group[3] = Math.min(group[3], value);
      group[4] = Math.max(group[4], value);
      group[5] += value;
      group[6] += quality;
      group[7]++;
    }
  }
  return [...groups.values()];
}

/** `WHERE true` tells SQLite that ON CONFLICT does not belong to a join. */
function addTo(table: string, time: string): string {
  return `
    INSERT INTO ${table} (sensor_id, ${time}, sensor_type, min_value, max_value, sum_value, sum_quality, reading_count)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
      FROM json_each(?)
     WHERE true
        ON CONFLICT (sensor_id, ${time}) DO UPDATE SET
           min_value = min(min_value, excluded.min_value),
           max_value = max(max_value, excluded.max_value),
           sum_value = sum_value + excluded.sum_value,
           sum_quality = sum_quality + excluded.sum_quality,
           reading_count = reading_count + excluded.reading_count`;
}
