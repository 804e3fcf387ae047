import type { TimeUnit } from './vector.ts';

const DAY_MS = 86_400_000;

/** An instant: milliseconds since the epoch, and what is beyond them in nanoseconds. */
export interface Instant {
  readonly ms: number;
  readonly ns: number;
}

const TIME_TEXT =
  /^(-?\d{4,6})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?(?: ?(Z|z|[+-]\d\d:?\d\d))?)?$/;

/** The instant that a time text names: a date, or a date and time with `T` or a space and any offset, UTC without one. */
export function parseInstant(text: string): Instant | undefined {
  const match = TIME_TEXT.exec(text);
  if (match === null) return undefined;
  const [
    ,
    year = '',
    month = '',
    day = '',
    hour = '0',
    minute = '0',
    second = '0',
    fraction = '',
    zone = 'Z',
  ] = match;
  const date = daysOf(Number(year), Number(month), Number(day));
  if (date === undefined || +hour > 24 || +minute > 59 || +second > 60) return undefined;
  const digits = fraction.padEnd(9, '0');
  const ms = ((+hour * 60 + +minute) * 60 + +second) * 1000 + Number(digits.slice(0, 3));
  return { ms: date * DAY_MS + ms - offsetMs(zone), ns: Number(digits.slice(3)) };
}

/** Nanoseconds since midnight of a time text. */
export function parseTime(text: string): number | undefined {
  const match = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?$/.exec(text);
  if (match === null) return undefined;
  const [, hour = '0', minute = '0', second = '0', fraction = ''] = match;
  if (+hour > 24 || +minute > 59 || +second > 60) return undefined;
  return ((+hour * 60 + +minute) * 60 + +second) * 1e9 + Number(fraction.padEnd(9, '0'));
}

function offsetMs(zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0;
  const digits = zone.replace(':', '');
  const minutes = Number(digits.slice(1, 3)) * 60 + Number(digits.slice(3, 5));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

/** Days since the epoch of a date; undefined where there is no such day. */
export function daysOf(year: number, month: number, day: number): number | undefined {
  if (month < 1 || month > 12 || day < 1 || day > 31) return undefined;
  const days = civilDays(year, month, day);
  return dateOf(days).month === month ? days : undefined;
}

/** Days since the epoch of the first of a month and so many days on, in the proleptic Gregorian calendar (H. Hinnant, days_from_civil). */
export function civilDays(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/** A date by its parts. */
export interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** The date of a day since the epoch (H. Hinnant, civil_from_days). */
export function dateOf(days: number): CivilDate {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}

const two = (value: number): string => (value < 10 ? `0${value}` : String(value));

/** `YYYY-MM-DD` of a day since the epoch. */
export function dateText(days: number): string {
  const { year, month, day } = dateOf(days);
  const digits = String(Math.abs(year)).padStart(4, '0');
  return `${year < 0 ? '-' : ''}${digits}-${two(month)}-${two(day)}`;
}

/** How many of `unit` a second has. */
export function perSecond(unit: TimeUnit): number {
  return unit === 'ms' ? 1e3 : unit === 'us' ? 1e6 : 1e9;
}

/** A timestamp in its unit as ISO 8601: three digits of fraction, six or nine where there is anything in them. */
export function timestampText(value: number | bigint, unit: TimeUnit, isUtc: boolean): string {
  const { ms, ns } = instantOf(value, unit);
  const days = Math.floor(ms / DAY_MS);
  return `${dateText(days)}T${clockText(ms - days * DAY_MS, ns, true)}${isUtc ? 'Z' : ''}`;
}

/** A time since midnight in its unit as `HH:MM:SS`, with a fraction where there is one. */
export function timeText(value: number | bigint, unit: TimeUnit): string {
  const { ms, ns } = instantOf(value, unit);
  return clockText(ms, ns, false);
}

function clockText(ms: number, ns: number, always: boolean): string {
  const seconds = Math.floor(ms / 1000);
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const milli = ms - seconds * 1000;
  if (ns === 0) return always || milli !== 0 ? `${clock}.${String(milli).padStart(3, '0')}` : clock;
  const fraction = String(milli).padStart(3, '0') + String(ns).padStart(6, '0');
  return `${clock}.${ns % 1000 === 0 ? fraction.slice(0, 6) : fraction}`;
}

/** A count of `unit` since the epoch, split at the millisecond. */
export function instantOf(value: number | bigint, unit: TimeUnit): Instant {
  const per = perSecond(unit) / 1000;
  if (per === 1) return { ms: Number(value), ns: 0 };
  if (typeof value === 'bigint') {
    const unitsPerMs = BigInt(per);
    const rest = ((value % unitsPerMs) + unitsPerMs) % unitsPerMs;
    return { ms: Number((value - rest) / unitsPerMs), ns: Number(rest) * (1e6 / per) };
  }
  const ms = Math.floor(value / per);
  return { ms, ns: (value - ms * per) * (1e6 / per) };
}

/** An instant as a count of `unit`, a fraction where the unit does not reach it; a bigint where a number is not exact. */
export function countOf({ ms, ns }: Instant, unit: TimeUnit): number | bigint {
  const per = perSecond(unit) / 1000;
  const value = ms * per + ns / (1e6 / per);
  if (Math.abs(value) <= 2 ** 53) return value;
  return BigInt(ms) * BigInt(per) + BigInt(Math.floor(ns / (1e6 / per)));
}
