import type { Database } from '@dotdo/dosql';
import { aggregate } from './aggregate.ts';
import { keyOf, store, type StoredReading } from './readings.ts';
import { DAY_MS, startOf } from './time.ts';

const TIMER = 'late';
/** How many sensors' days one alarm sees to, and readings of each. */
const MAX_DAYS = 100;
const MAX_READINGS = 1_000;

/** Has late readings stored soon. Inside of a transaction it is a part of it. */
export async function scheduleLate(db: Database, now: number): Promise<void> {
  await db.schedule(TIMER, now);
}

/** Names what {@link scheduleLate} leads to. While R2 is away it fails, and DoSQL tries it again, later and later. */
export function storeLateByTimer(db: Database, now: () => number): void {
  db.onTimer(TIMER, async () => {
    for (let days = 0; days < MAX_DAYS; days++) if (!(await storeNext(db))) return;
    await scheduleLate(db, now());
  });
}

/** Stores the late readings of one sensor and day; false when there are none. */
async function storeNext(db: Database): Promise<boolean> {
  const first = await db.get<StoredReading>(
    'SELECT * FROM late_readings ORDER BY timestamp, sensor_id LIMIT 1',
  );
  if (first === null) return false;
  const from = startOf(first.timestamp, DAY_MS);
  const late = await db.query<StoredReading>(
    `SELECT * FROM late_readings WHERE sensor_id = ? AND timestamp >= ? AND timestamp < ?
      ORDER BY timestamp LIMIT ${MAX_READINGS}`,
    [first.sensor_id, from, from + DAY_MS],
  );
  const last = late.at(-1) ?? first;
  // Looked up before the transaction, so that nobody waits for R2 meanwhile, and what it needs is in memory then.
  const there = await db.query<StoredReading>(
    'SELECT timestamp, sensor_id FROM readings WHERE sensor_id = ? AND timestamp >= ? AND timestamp <= ?',
    [first.sensor_id, first.timestamp, last.timestamp],
  );
  const known = new Set(there.map(keyOf));
  const fresh = late.filter((reading) => !known.has(keyOf(reading)));
  await db.transaction(async (tx) => {
    if (fresh.length > 0) {
      const stored = await store(tx, fresh);
      await aggregate(
        tx,
        fresh.filter((reading) => stored.has(keyOf(reading))),
      );
    }
    // These only: others may have been put aside meanwhile.
    await tx.run(
      'DELETE FROM late_readings WHERE sensor_id = ? AND timestamp IN (SELECT value FROM json_each(?))',
      [first.sensor_id, JSON.stringify(late.map(({ timestamp }) => timestamp))],
    );
  });
  return true;
}
