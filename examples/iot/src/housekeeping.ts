import type { Database } from '@dotdo/dosql';
import { DAY_MS, HOUR_MS, SECOND_MS, startOf } from './time.ts';

const TIMER = 'housekeeping';

/** Has the housekeeping done at the next full hour. The timer has a name for each hour: a run does not put off itself. */
export async function scheduleHousekeeping(db: Database, now: number): Promise<void> {
  const next = startOf(now, HOUR_MS) + HOUR_MS;
  await db.schedule(`${TIMER}:${next}`, next);
}

/** Names what the housekeeping does, beside setting itself for the next hour. */
export function keepHouseByTimer(
  db: Database,
  now: () => number,
  work: (before: number) => Promise<void>,
): void {
  db.onTimer(TIMER, async () => {
    await work(now() - DAY_MS);
    await scheduleHousekeeping(db, now());
  });
}

/** Moves alerts that were resolved before to the history, which becomes cold in time. */
export function moveResolved(db: Database, before: number): Promise<void> {
  return db.transaction(async (tx) => {
    await tx.run(
      `INSERT INTO alert_history (id, floor, sensor_id, sensor_type, condition, threshold_value, trigger_value, severity,
         triggered_at, acknowledged_by, resolved_at, resolved_by, resolved_reason, duration_seconds)
       SELECT id, floor, sensor_id, sensor_type, condition, threshold_value, trigger_value, severity,
         triggered_at, acknowledged_by, resolved_at, resolved_by, resolved_reason,
         (resolved_at - triggered_at) / ${SECOND_MS}
         FROM alerts WHERE status = 'RESOLVED' AND resolved_at < ?`,
      [before],
    );
    await tx.run("DELETE FROM alerts WHERE status = 'RESOLVED' AND resolved_at < ?", [before]);
  });
}

/** Forgets alerts that a floor raised before: the building has them, and no cooldown is that long. */
export async function forgetRaised(db: Database, before: number): Promise<void> {
  await db.run('DELETE FROM alerts WHERE triggered_at < ?', [before]);
}
