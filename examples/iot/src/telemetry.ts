import type { Database } from '@dotdo/dosql';
import { Intake } from './intake.ts';
import { storeLateByTimer } from './late.ts';

/** What a building and a floor have in common: a database of readings, what stores them, and what its timers do. */
export interface Telemetry {
  readonly db: Database;
  readonly intake: Intake;
}

/** Starts the telemetry of a database. Called whenever its object wakes: the alarm may be what has woken it. */
export function startTelemetry(db: Database, now: () => number): Telemetry {
  storeLateByTimer(db, now);
  return { db, intake: new Intake(db, now) };
}
