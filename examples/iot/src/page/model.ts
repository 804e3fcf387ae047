/** What sensors measure, in the order in which the page has it, and in what. */
export const UNITS: Readonly<Record<string, string>> = {
  temperature: '°C',
  humidity: '%',
  co2: 'ppm',
  occupancy: 'people',
  power: 'W',
  water: 'l',
};

/** What the page says of a rule's condition. */
export const CONDITIONS: Readonly<Record<string, string>> = {
  gt: 'above',
  gte: 'at or above',
  lt: 'below',
  lte: 'at or below',
  eq: 'equal to',
  neq: 'other than',
  range_outside: 'outside of',
};

export interface Alert {
  readonly id: number;
  readonly floor: string;
  readonly sensor_id: string;
  readonly sensor_type: string;
  readonly condition: string;
  readonly threshold_value: number;
  readonly trigger_value: number;
  readonly severity: 'info' | 'warning' | 'critical';
  readonly status: 'ACTIVE' | 'ACKNOWLEDGED' | 'RESOLVED';
  readonly triggered_at: number;
  readonly acknowledged_by: string | null;
}

/** What a type of sensor has reported last, on one floor. */
export interface Summary {
  readonly floor: string;
  readonly sensor_type: string;
  readonly minute: number;
  readonly sensor_count: number;
  readonly min_value: number;
  readonly max_value: number;
  readonly mean_value: number;
}

/** A minute or an hour of a type. */
export interface SeriesRow {
  readonly sensor_type: string;
  readonly time: number;
  readonly min_value: number;
  readonly max_value: number;
  readonly avg_value: number;
}

export interface Rule {
  readonly id: number;
  readonly sensor_id: string | null;
  readonly sensor_type: string;
  readonly condition: string;
  readonly threshold_value: number | null;
  readonly threshold_min: number | null;
  readonly threshold_max: number | null;
  readonly severity: string;
  readonly enabled: boolean;
}

export interface Status {
  readonly title: string;
  readonly late_readings: number;
  readonly archive: {
    readonly cold_rows: number;
    readonly waiting_files: number;
    readonly problem: string | null;
  };
}

/** A number as people read it, in its unit. */
export function measure(value: number, type: string): string {
  const digits = Math.abs(value) < 100 ? 1 : 0;
  return `${value.toLocaleString('en', { maximumFractionDigits: digits })} ${UNITS[type] ?? ''}`.trim();
}

/** What a rule is broken by. */
export function conditionText({
  condition,
  threshold_value,
  threshold_min,
  threshold_max,
  sensor_type,
}: Pick<Rule, 'condition' | 'threshold_value' | 'threshold_min' | 'threshold_max' | 'sensor_type'>): string {
  const bounds =
    condition === 'range_outside' && threshold_min !== null
      ? `${threshold_min} to ${measure(threshold_max ?? 0, sensor_type)}`
      : measure(threshold_value ?? 0, sensor_type);
  return `${CONDITIONS[condition] ?? condition} ${bounds}`;
}
