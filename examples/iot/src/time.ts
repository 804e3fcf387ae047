/** Spans of time in ms, in which all times of the app are told. */
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** The beginning of the minute, hour or day that a time lies in. */
export function startOf(timestamp: number, spanMs: number): number {
  return timestamp - (timestamp % spanMs);
}
