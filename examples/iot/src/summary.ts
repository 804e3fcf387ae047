import type { Database } from '@dotdo/dosql';
import { DAY_MS, MINUTE_MS, SECOND_MS } from './time.ts';

const TIMER = 'summary';
/** How soon after readings they are summed up; those in between come along. */
const DELAY_MS = SECOND_MS;

interface Summary {
  readonly sensor_type: string;
  readonly minute: number;
  readonly sensor_count: number;
  readonly min_value: number;
  readonly max_value: number;
  readonly mean_value: number;
}

/**
 * Keeps one row for each type of sensor, of what was reported last. Readings come by the thousand; this is what is
 * little enough to be told to others, as it changes: to the page, the building of a floor, and the fleet.
 */
export class Summaries {
  readonly #db: Database;
  readonly #now: () => number;
  /** Whether the timer is known to be set. */
  #isScheduled = false;

  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
    db.onTimer(TIMER, async () => {
      // What is stored from now on may not be in it any more.
      this.#isScheduled = false;
      await this.#write();
    });
  }

  /** Has the summaries written soon. Inside of a transaction that is a part of it: when it fails, {@link forget}. */
  async writeSoon(): Promise<void> {
    if (this.#isScheduled) return;
    await this.#db.schedule(TIMER, this.#now() + DELAY_MS);
    this.#isScheduled = true;
  }

  /** It is not known any more whether the timer is set. */
  forget(): void {
    this.#isScheduled = false;
  }

  async #write(): Promise<void> {
    const newest = await this.#db.get<{ minute: number | null }>(
      'SELECT max(minute) AS minute FROM minute_aggregates WHERE minute > ?',
      [this.#now() - DAY_MS],
    );
    if (typeof newest?.minute !== 'number') return;
    // The newest minute has only begun, so the one before counts as well.
    const rows = await this.#db.query<Summary>(
      `SELECT sensor_type, max(minute) AS minute, count(DISTINCT sensor_id) AS sensor_count,
              min(min_value) AS min_value, max(max_value) AS max_value,
              sum(sum_value) / sum(reading_count) AS mean_value
         FROM minute_aggregates
        WHERE minute >= ?
        GROUP BY sensor_type`,
      [newest.minute - MINUTE_MS],
    );
    await this.#db.run(
      `INSERT INTO summaries (floor, sensor_type, minute, sensor_count, min_value, max_value, mean_value)
       SELECT '', value ->> 'sensor_type', value ->> 'minute', value ->> 'sensor_count', value ->> 'min_value',
              value ->> 'max_value', value ->> 'mean_value'
         FROM json_each(?)
        WHERE true
           ON CONFLICT (floor, sensor_type) DO UPDATE SET
              minute = excluded.minute, sensor_count = excluded.sensor_count, min_value = excluded.min_value,
              max_value = excluded.max_value, mean_value = excluded.mean_value
        WHERE (minute, sensor_count, min_value, max_value, mean_value) IS NOT
              (excluded.minute, excluded.sensor_count, excluded.min_value, excluded.max_value, excluded.mean_value)`,
      [JSON.stringify(rows)],
    );
  }
}
