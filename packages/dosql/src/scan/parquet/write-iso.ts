/** Instants as `Date.toISOString` prints them: `YYYY-MM-DDTHH:MM:SS.sssZ`, for the years 0000 to 9999. */

const LENGTH = 24;
const DAY = 86_400_000;

/** The instant in ms since the epoch that `text` is, NaN where `Date.toISOString` would not print just that. */
export function parseIso(text: string): number {
  if (text.length !== LENGTH) return Number.NaN;
  if (text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45 || text.charCodeAt(10) !== 84) return Number.NaN;
  if (text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58 || text.charCodeAt(19) !== 46)
    return Number.NaN;
  if (text.charCodeAt(23) !== 90) return Number.NaN;
  const year = pair(text, 0) * 100 + pair(text, 2);
  const month = pair(text, 5);
  const day = pair(text, 8);
  const hour = pair(text, 11);
  const minute = pair(text, 14);
  const second = pair(text, 17);
  const ms = pair(text, 20) * 10 + digit(text, 22);
  // NaN, which a character that is no digit has become, is not within any bounds.
  if (!(month >= 1 && month <= 12 && day >= 1 && hour <= 23 && minute <= 59 && second <= 59))
    return Number.NaN;
  if (!(day <= monthDays(year, month))) return Number.NaN;
  return daysSinceEpoch(year, month, day) * DAY + ((hour * 60 + minute) * 60 + second) * 1000 + ms;
}

function digit(text: string, at: number): number {
  const value = text.charCodeAt(at) - 48;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}

function pair(text: string, at: number): number {
  return digit(text, at) * 10 + digit(text, at + 1);
}

function monthDays(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
}

/** Days of the Gregorian calendar, years counted from March so that a leap day ends one. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const ofEra = shifted - era * 400;
  const ofYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719_468;
}

/** The text of an instant that {@link parseIso} gave. */
export function formatIso(instant: number): string {
  return new Date(instant).toISOString();
}

/** Writes the 24 characters of instants one after the other into `out` from `start` on. */
export function writeIso(instants: Float64Array | Int32Array, out: Uint8Array, start: number): void {
  let at = start;
  let lastDay = Number.NaN;
  for (let i = 0; i < instants.length; i++, at += LENGTH) {
    const instant = instants[i] as number;
    const day = Math.floor(instant / DAY);
    if (day === lastDay) out.copyWithin(at, at - LENGTH, at - LENGTH + 11);
    else {
      const text = formatIso(day * DAY);
      for (let j = 0; j < 11; j++) out[at + j] = text.charCodeAt(j);
      lastDay = day;
    }
    const ms = instant - day * DAY;
    const seconds = Math.floor(ms / 1000);
    digits(out, at + 11, Math.floor(seconds / 3600), 2);
    out[at + 13] = 58;
    digits(out, at + 14, Math.floor(seconds / 60) % 60, 2);
    out[at + 16] = 58;
    digits(out, at + 17, seconds % 60, 2);
    out[at + 19] = 46;
    digits(out, at + 20, ms % 1000, 3);
    out[at + 23] = 90;
  }
}

function digits(out: Uint8Array, at: number, value: number, count: number): void {
  let rest = value;
  for (let i = at + count - 1; i >= at; i--) {
    out[i] = 48 + (rest % 10);
    rest = Math.floor(rest / 10);
  }
}
