import { civilDays, parseInstant, parseTime } from '../time.ts';

const DAY_MS = 86_400_000;

/** Reads times out of bytes: where they are written as usual, without making a string. */
export class TimeReader {
  /** Milliseconds since the epoch. */
  ms = 0;
  /** Nanoseconds beyond them. */
  ns = 0;
  readonly #decode: (start: number, end: number) => string;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, decode: (start: number, end: number) => string) {
    this.#bytes = bytes;
    this.#decode = decode;
  }

  /** Reads a date, or a date and a time; false where there is none. */
  instant(start: number, end: number): boolean {
    if (this.#plain(start, end)) return true;
    const found = parseInstant(this.#decode(start, end).trim());
    if (found === undefined) return false;
    this.ms = found.ms;
    this.ns = found.ns;
    return true;
  }

  /** Reads a time of day. */
  time(start: number, end: number): boolean {
    const found = parseTime(this.#decode(start, end).trim());
    if (found === undefined) return false;
    this.ms = Math.floor(found / 1e6);
    this.ns = found % 1e6;
    return true;
  }

  /** `YYYY-MM-DD[(T| )HH:MM:SS[.f…][Z]]`; what is anything else, or out of its range, is left to others. */
  #plain(start: number, end: number): boolean {
    const bytes = this.#bytes;
    const length = end - start;
    if (length !== 10 && length < 19) return false;
    if (bytes[start + 4] !== 45 || bytes[start + 7] !== 45) return false;
    const year = this.#two(start) * 100 + this.#two(start + 2);
    const month = this.#two(start + 5);
    const day = this.#two(start + 8);
    // 28 days are in every month; the few later ones are looked up by the careful way.
    if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= 28)) return false;
    const date = civilDays(year, month, day) * DAY_MS;
    this.ms = date;
    this.ns = 0;
    if (length === 10) return true;
    const between = bytes[start + 10];
    if ((between !== 84 && between !== 32) || bytes[start + 13] !== 58 || bytes[start + 16] !== 58)
      return false;
    const hour = this.#two(start + 11);
    const minute = this.#two(start + 14);
    const second = this.#two(start + 17);
    if (!(hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 60)) return false;
    this.ms = date + ((hour * 60 + minute) * 60 + second) * 1000;
    let at = start + 19;
    if (at < end && bytes[at] === 46) at = this.#fraction(at + 1, end);
    return at === end || (at === end - 1 && bytes[at] === 90);
  }

  /** Adds the digits of a second's fraction, and gives where they end; before the end where there are more than nine. */
  #fraction(start: number, end: number): number {
    let at = start;
    let value = 0;
    let scale = 100_000_000;
    for (; at < end && scale >= 1; at++) {
      const digit = (this.#bytes[at] as number) - 48;
      if (digit < 0 || digit > 9) break;
      value += digit * scale;
      scale /= 10;
    }
    if (at === start) return start - 1;
    this.ms += Math.floor(value / 1e6);
    this.ns = Math.round(value % 1e6);
    return at;
  }

  /** Two digits; negative where there are none. */
  #two(at: number): number {
    const tens = (this.#bytes[at] as number) - 48;
    const ones = (this.#bytes[at + 1] as number) - 48;
    return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -10_000;
  }
}
