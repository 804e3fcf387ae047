import { DoSQLError } from '../error.ts';
import { ArchivedPoint, type Archived } from '../log/archived.ts';
import type { Log } from '../log/log.ts';
import type { Relation } from '../schema/relation.ts';
import { durationMs } from '../value/duration.ts';
import { describe } from '../value/parameter.ts';

/**
 * A point of the past: a time (Date, ISO-8601 text, ms since the epoch), an LSN, so long ago, or just
 * before a change.
 */
export type Point =
  | Date
  | string
  | number
  | { readonly lsn: number | bigint }
  | { readonly ago: string | number }
  | { readonly before: number | bigint };

/**
 * A stretch of a table's past: the versions that begin no later than the LSN `to` and end after the LSN `from`.
 * `at` is the LSN of the state that gives it its schema.
 */
export interface Interval {
  readonly from: number;
  readonly to: number;
  readonly at: number;
  readonly isEmpty: boolean;
}

/** A caller's clock may be ahead of the object's by this much before its present counts as the future. */
const CLOCK_TOLERANCE_MS = 1_000;
/**
 * ms since the epoch of a time given as text: ISO-8601 with any offset, or SQLite's `YYYY-MM-DD HH:MM[:SS[.SSS]]`;
 * without an offset both are UTC. A date alone is its midnight.
 *
 * @throws DoSQLError `BAD_PARAMETER`
 */
export function parseTime(text: string): number {
  const match =
    /^\s*(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?)?\s*(Z|[+-]\d{2}:?\d{2})?\s*$/i.exec(
      text,
    );
  if (match !== null) {
    const [, date, time = '00:00', seconds = ':00', offset = 'Z'] = match;
    const zone = /^[+-]\d{4}$/.test(offset)
      ? `${offset.slice(0, 3)}:${offset.slice(3)}`
      : offset.toUpperCase();
    // Date reads milliseconds only; further digits are cut, as SQLite cuts them.
    const ms = Date.parse(`${date}T${time}${seconds.replace(/(\.\d{3})\d+$/, '$1')}${zone}`);
    // Date takes the 30th of February for the 1st of March.
    if (!Number.isNaN(ms) && isRealDate(date ?? '')) return ms;
  }
  throw new DoSQLError('BAD_PARAMETER', `"${text.slice(0, 80)}" is no point in time: use ISO-8601`);
}

function isRealDate(date: string): boolean {
  const parsed = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
}

/**
 * Resolves points to LSNs. What lies in the past does not move, so resolved times are remembered.
 *
 * @throws DoSQLError `BAD_PARAMETER` for what is no point or lies in the future, `HISTORY_EXPIRED` for what
 * lies before the window, {@link ArchivedPoint} where the archive has it.
 */
export class Points {
  readonly #log: Log;
  readonly #nowMs: () => number;
  /** What has been archived; undefined where there is no cold storage to read it from. */
  readonly #archived: Archived | undefined;
  readonly #times = new Map<number, number>();
  readonly #lsns = new Map<number, number>();
  #lastMs = 0;
  /** Told of every LSN from which on the log is read, while something is recalled. */
  onUse: ((lsn: number) => void) | undefined;

  constructor(log: Log, nowMs: () => number, archived: Archived | undefined) {
    this.#log = log;
    this.#nowMs = nowMs;
    this.#archived = archived;
  }

  /** Forgets everything: after a rollback or a trim. */
  clear(): void {
    this.#times.clear();
    this.#lsns.clear();
  }

  /** The LSN of a point as `db.asOf` takes it. */
  resolve(point: Point): number {
    // In SQL it may be ms, but here it is an LSN.
    if (typeof (point as unknown) === 'bigint') throw noTime(point);
    if (typeof point === 'object' && point !== null && !(point instanceof Date)) {
      if ('lsn' in point) return this.lsn(point.lsn);
      if ('before' in point) return this.lsn(lsnOf(point.before) - 1);
      if ('ago' in point) return this.time(this.#nowMs() - durationMs(point.ago, 'ago'));
    }
    return this.timestamp(point);
  }

  /** The LSN of a value given as TIMESTAMP: a Date, text, or a number of ms since the epoch. */
  timestamp(value: unknown): number {
    return this.time(msOf(value));
  }

  /**
   * The stretch that `BETWEEN low AND high` (the last moment included) or `FROM low TO high` (not included) is.
   * It may end in the future, which is now. It is empty where its end lies before its beginning.
   */
  interval(kind: 'between' | 'from', unit: 'timestamp' | 'lsn', low: unknown, high: unknown): Interval {
    const [first, last] = unit === 'lsn' ? [lsnOf(low), lsnOf(high)] : [msOf(low), msOf(high)];
    const resolve = (point: number): number => (unit === 'lsn' ? this.lsn(point) : this.time(point));
    const isEmpty = kind === 'from' ? first >= last : first > last;
    if (isEmpty) return { from: 0, to: -1, at: this.#near(last, unit), isEmpty };
    const from = resolve(first);
    // The last moment before `high` is a ms or an LSN earlier: times of the log are whole ms.
    const end = kind === 'from' ? Math.ceil(last) - 1 : Math.floor(last);
    const to = end <= first ? from : this.#near(end, unit);
    return { from, to, at: to, isEmpty };
  }

  /**
   * Makes sure that the log is there from `lsn` on, which the caller calls `point`.
   *
   * @throws DoSQLError {@link ArchivedPoint}; returns whether it is there.
   */
  reach(lsn: number, point: string = `LSN ${lsn}`): boolean {
    return this.#reach(lsn, point, this.#log.earliest().lsn);
  }

  #reach(lsn: number, point: string, earliest: number): boolean {
    if (lsn < earliest) {
      if (lsn >= (this.#archived?.begin()?.[0] ?? Infinity)) throw new ArchivedPoint(point, lsn);
      return false;
    }
    this.onUse?.(lsn);
    return true;
  }

  /** Makes sure that all of a table's changes are there that the archive has; gives the LSN that they are after. */
  reachAll(versions: readonly Relation[], from: number = 0): number {
    const begin = this.#archived?.begin()?.[0] ?? Infinity;
    const since = Math.min(...versions.map((version) => version.since)) - 1;
    const earliest = this.#log.earliest().lsn;
    const lsn = Math.max(from, Math.min(begin, earliest), since);
    this.#reach(lsn, `the past of "${versions[0]?.name}"`, earliest);
    return lsn;
  }

  /** The whole window. */
  all(): Interval {
    const to = this.#log.end();
    return { from: this.#log.earliest().lsn, to, at: to, isEmpty: false };
  }

  /** The LSN of a point, or that of the window's end that it lies beyond. */
  #near(point: number, unit: 'timestamp' | 'lsn'): number {
    const earliest = this.#log.earliest();
    const end = this.#log.end();
    if (unit === 'lsn') return point >= end ? end : point <= earliest.lsn ? earliest.lsn : this.lsn(point);
    if (point <= earliest.ms) return this.time(earliest.ms);
    return point > this.#presentMs(end) ? end : this.time(point);
  }

  /** The present time; that of the last change where the clock has stepped back since. */
  #presentMs(end: number): number {
    this.#lastMs = Math.max(this.#lastMs, end === 0 ? 0 : this.#log.timeOf(end));
    return Math.max(this.#nowMs(), this.#lastMs);
  }

  /** The LSN whose state was the present one at `ms`. */
  time(ms: number): number {
    const known = this.#times.get(ms);
    if (known !== undefined) return this.#used(known);
    const now = this.#nowMs();
    if (ms > this.#presentMs(this.#log.end()) + CLOCK_TOLERANCE_MS)
      throw new DoSQLError('BAD_PARAMETER', `${isoTime(ms)} is in the future; it is ${isoTime(now)} now`);
    const earliest = this.#log.earliest();
    if (ms < earliest.ms) {
      const lsn = this.#archived?.lsnAt(ms) ?? Infinity;
      // Recalling up to there has to bring something back, or it would be tried for ever.
      throw lsn < earliest.lsn ? new ArchivedPoint(isoTime(ms), lsn) : expired(isoTime(ms), earliest);
    }
    const lsn = this.#log.wholeUpTo(this.#log.lsnAt(ms));
    // A later change can still get the present millisecond, so only what is over is remembered.
    if (ms < now && ms < this.#lastMs) remember(this.#times, ms, lsn);
    return this.#used(lsn);
  }

  /** The LSN of the last whole transaction up to `value`. */
  lsn(value: unknown): number {
    const lsn = lsnOf(value);
    const known = this.#lsns.get(lsn);
    if (known !== undefined) return this.#used(known);
    const end = this.#log.end();
    if (lsn > end)
      throw new DoSQLError('BAD_PARAMETER', `LSN ${lsn} is in the future: the last change has LSN ${end}`);
    if (!this.reach(lsn)) throw expired(`LSN ${lsn}`, this.#log.earliest());
    const whole = lsn === end ? lsn : this.#log.wholeUpTo(lsn);
    if (lsn < end) remember(this.#lsns, lsn, whole);
    return whole;
  }

  #used(lsn: number): number {
    this.onUse?.(lsn);
    return lsn;
  }
}

/** ms since the epoch of what is given as a time. */
function msOf(value: unknown): number {
  const ms =
    value instanceof Date
      ? value.getTime()
      : typeof value === 'string'
        ? parseTime(value)
        : typeof value === 'bigint'
          ? Number(value)
          : value;
  if (typeof ms !== 'number') throw noTime(value);
  if (Number.isFinite(ms)) return ms;
  throw new DoSQLError(
    'BAD_PARAMETER',
    `the point in time is ${value instanceof Date ? 'an invalid Date' : ms}`,
  );
}

function noTime(value: unknown): DoSQLError {
  return new DoSQLError(
    'BAD_PARAMETER',
    `${describe(value)} is no point in time: give a Date, ISO-8601 text or ms, or AS OF LSN ? and { lsn } for an LSN`,
  );
}

function lsnOf(value: unknown): number {
  const lsn = integer(value);
  if (lsn !== undefined) return lsn;
  throw new DoSQLError('BAD_PARAMETER', `${describe(value)} is no LSN: an LSN is a whole number`);
}

function integer(value: unknown): number | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) && number >= 0 ? number : undefined;
  }
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function remember(map: Map<number, number>, key: number, lsn: number): void {
  if (map.size >= 1_000) map.clear();
  map.set(key, lsn);
}

function expired(point: string, earliest: { lsn: number; ms: number }): DoSQLError {
  return new DoSQLError(
    'HISTORY_EXPIRED',
    `${point} lies before the history kept: the earliest point is LSN ${earliest.lsn}, ${isoTime(earliest.ms)}`,
  );
}

function isoTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
