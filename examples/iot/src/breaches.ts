import type { Transaction } from '@dotdo/dosql';
import { brokenBound, type Rule, type RuleBook } from './rules.ts';
import type { StoredReading } from './readings.ts';
import { SECOND_MS } from './time.ts';

/** More alerts than this that nobody has resolved tell nobody anything: no others are raised until some are. */
const MAX_OPEN = 5_000;

/** A reading that breaks a rule. */
export interface Breach {
  readonly rule: Rule;
  readonly reading: StoredReading;
  /** The bound that it is beyond. */
  readonly bound: number;
}

/** The breaches of some readings, in the readings' order. */
export function breachesIn(rules: RuleBook, readings: readonly StoredReading[]): Breach[] {
  const breaches: Breach[] = [];
  for (const reading of readings)
    for (const rule of rules.for(reading)) {
      const bound = brokenBound(rule, reading.value);
      if (bound !== undefined) breaches.push({ rule, reading, bound });
    }
  return breaches;
}

/**
 * Raises an alert for each breach, but for those within a rule's cooldown of the newest alert, or before it, counted from
 * reading to reading. Returns the breaches that it was raised for.
 */
export async function raiseAlerts(tx: Transaction, breaches: readonly Breach[]): Promise<Breach[]> {
  if (breaches.length === 0) return [];
  const last = await lastAlerts(tx, breaches);
  const raised = breaches
    .toSorted((a, b) => a.reading.timestamp - b.reading.timestamp)
    .filter(({ rule, reading }) => {
      const key = `${rule.id} ${reading.sensor_id}`;
      const before = last.get(key);
      if (before !== undefined && reading.timestamp - before < rule.cooldown_seconds * SECOND_MS)
        return false;
      last.set(key, reading.timestamp);
      return true;
    });
  if (raised.length === 0) return [];
  const open = await tx.get<{ alerts: number }>(
    "SELECT count(*) AS alerts FROM alerts WHERE status IN ('ACTIVE', 'ACKNOWLEDGED')",
  );
  const few = raised.slice(0, Math.max(0, MAX_OPEN - (open?.alerts ?? 0)));
  if (few.length > 0) await tx.run(INSERT_ALERTS, [asJson(few)]);
  return few;
}

/** When each rule last raised an alert for a sensor, for those of the breaches. */
async function lastAlerts(tx: Transaction, breaches: readonly Breach[]): Promise<Map<string, number>> {
  const pairs = new Map(
    breaches.map(({ rule, reading }) => [`${rule.id} ${reading.sensor_id}`, [rule.id, reading.sensor_id]]),
  );
  const rows = await tx.query<{ key: string; at: number }>(
    `SELECT rule_id || ' ' || sensor_id AS key, max(triggered_at) AS at FROM alerts
      WHERE (rule_id, sensor_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))
      GROUP BY rule_id, sensor_id`,
    [JSON.stringify([...pairs.values()])],
  );
  return new Map(rows.map(({ key, at }) => [key, at]));
}

const INSERT_ALERTS = `
  INSERT INTO alerts
    (floor, rule_id, condition, severity, threshold_value, trigger_value, sensor_id, sensor_type, triggered_at)
  SELECT '', value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
    FROM json_each(?)`;

function asJson(breaches: readonly Breach[]): string {
  return JSON.stringify(
    breaches.map(({ rule, reading, bound }) => [
      rule.id,
      rule.condition,
      rule.severity,
      bound,
      reading.value,
      reading.sensor_id,
      reading.sensor_type,
      reading.timestamp,
    ]),
  );
}
