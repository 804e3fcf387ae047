/** What all regions have counted of a day and a type of events; `*` is all types. */
export interface DayTotal {
  readonly date: string;
  readonly event_type: string;
  readonly events: number;
  readonly users: number;
  readonly regions: number;
}

/** What one region has counted of a minute. */
export interface Minute {
  readonly region: string;
  readonly minute: string;
  readonly event_type: string;
  readonly events: number;
  readonly users: number;
}

/** Sessions that have ended, by the day on which they began. */
export interface Visits {
  readonly region: string;
  readonly date: string;
  readonly visits: number;
  readonly seconds: number;
}

/** A page, and how often it was seen. */
export interface PageCount {
  readonly page_path: string;
  readonly events: number;
}

/** Stands for all types of events. */
export const ALL = '*';

/** The parts of the world, each with the colour of its line. */
export const REGIONS: readonly { readonly id: string; readonly name: string; readonly color: string }[] = [
  { id: 'eu', name: 'Europe', color: 'var(--region-1)' },
  { id: 'na', name: 'North America', color: 'var(--region-2)' },
  { id: 'sa', name: 'South America', color: 'var(--region-3)' },
  { id: 'as', name: 'Asia', color: 'var(--region-4)' },
  { id: 'oc', name: 'Oceania', color: 'var(--region-5)' },
  { id: 'af', name: 'Africa', color: 'var(--region-6)' },
];

/** The day of a time in ms; days are those of UTC, as the regions count them. */
export function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** The minute of a time in ms. */
export function minuteOf(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16)}:00Z`;
}
