import type { Transaction } from '@dotdo/dosql';
import type { Reading } from './input.ts';

/** A reading as the tables have it; its unit is its sensor's. */
export type StoredReading = Omit<Reading, 'unit'>;

const STORE = insertInto('readings');
const PUT_ASIDE = insertInto('late_readings');

/** Stores readings; returns the keys of those that were not there yet. */
export async function store(tx: Transaction, readings: readonly StoredReading[]): Promise<Set<string>> {
  const stored = await tx.query<Pick<StoredReading, 'timestamp' | 'sensor_id'>>(
    `${STORE} RETURNING timestamp, sensor_id`,
    [asJson(readings)],
  );
  return new Set(stored.map(keyOf));
}

/** Puts readings aside that {@link storeLate} stores later. */
export async function putAside(tx: Transaction, readings: readonly StoredReading[]): Promise<void> {
  await tx.run(PUT_ASIDE, [asJson(readings)]);
}

/** What makes a reading the same as another: a sensor measures one value at a time. */
export function keyOf({ timestamp, sensor_id }: Pick<StoredReading, 'timestamp' | 'sensor_id'>): string {
  return `${timestamp} ${sensor_id}`;
}

/** As arrays, which are shorter than objects, and quicker to take apart in SQL. */
function asJson(readings: readonly StoredReading[]): string {
  return JSON.stringify(
    readings.map(({ timestamp, sensor_id, sensor_type, value, quality }) => [
      timestamp,
      sensor_id,
      sensor_type,
      value,
      quality,
    ]),
  );
}

/** One statement for any number of readings. The first of several with one key stays. */
function insertInto(table: string): string {
  return `
    INSERT INTO ${table} (timestamp, sensor_id, sensor_type, value, quality)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?)
     WHERE true
        ON CONFLICT (timestamp, sensor_id) DO NOTHING`;
}
