import { valueNode, type Node } from './expression-node.ts';
import { doubles } from './scratch.ts';
import type { Scalar } from './scalar.ts';
import { civilDays, dateOf, dateText, instantOf, parseInstant, perSecond } from './time.ts';
import {
  expand,
  fromScalars,
  mixedValues,
  numberValues,
  plainType,
  scalarReader,
  typeOnly,
  type Values,
  type ValueType,
} from './values.ts';
import type { NumberVector } from './vector.ts';

const DAY = 86_400_000;
/** Parts of which each is so many milliseconds, everywhere. */
const FIXED: Readonly<Record<string, number>> = {
  millisecond: 1,
  second: 1000,
  minute: 60_000,
  hour: 3_600_000,
  day: DAY,
};

/** Parts of a time that can be truncated to, with how many months the longer ones take. */
const MONTHS: Readonly<Record<string, number>> = {
  month: 1,
  quarter: 3,
  year: 12,
  decade: 120,
  century: 1200,
};

/** The part that `name` means, in the singular; undefined where `date_trunc` has no such. */
export function truncatable(name: string): string | undefined {
  const part = name.toLowerCase().replace(/s$/, '');
  return Object.hasOwn(FIXED, part) || Object.hasOwn(MONTHS, part) || part === 'week' ? part : undefined;
}

/** `date_trunc(part, operand)`: the beginning of the part that the time lies in; weeks begin on Monday. */
export function truncateNode(part: string, operand: Node): Node {
  const input = operand.type;
  const like: ValueType =
    input?.type === 'timestamp' || input?.type === 'date'
      ? input
      : { type: 'timestamp', unit: 'ms', isUtc: true };
  // Nanoseconds are past what a double counts; at the beginning of a part there are none.
  const type = { ...typeOnly(like), unit: like.unit === 'ns' ? 'ms' : like.unit } as const;
  return valueNode(
    [operand],
    (frame) => {
      const { ms, nulls } = millisecondsOf(operand.evaluate(frame));
      const runs = nulls === undefined ? truncatedRuns(part, ms) : undefined;
      const out = runs === undefined ? truncated(part, ms) : runs.starts;
      if (type.type === 'date') for (let i = 0; i < out.length; i++) out[i] = out[i]! / DAY;
      else if (type.unit === 'us') for (let i = 0; i < out.length; i++) out[i] = out[i]! * 1000;
      const values = numberValues(type.type, out, nulls, type);
      if (runs === undefined) return values;
      const { length } = ms;
      return {
        ...values,
        vector: {
          kind: 'runs',
          length,
          nulls: undefined,
          ends: runs.ends,
          values: values.vector as NumberVector,
        },
      };
    },
    { type, affinity: 'none' },
  );
}

/** Most times in a row lie in the same part, where they come in their order: only its bounds are looked at then. */
function truncated(part: string, ms: Float64Array): Float64Array {
  const out = doubles(ms.length);
  let start = Number.NaN;
  let end = Number.NaN;
  for (let i = 0; i < out.length; i++) {
    const value = ms[i]!;
    if (!(value >= start && value < end)) {
      start = startOf(part, value);
      end = endOf(part, start);
    }
    out[i] = start;
  }
  return out;
}

/** The same in runs; undefined where these would be short. */
function truncatedRuns(
  part: string,
  ms: Float64Array,
): { starts: Float64Array; ends: Uint32Array } | undefined {
  const most = ms.length >> 4;
  const starts: number[] = [];
  const ends: number[] = [];
  let start = Number.NaN;
  let end = Number.NaN;
  for (let i = 0; i < ms.length; i++) {
    const value = ms[i]!;
    if (value >= start && value < end) continue;
    if (starts.length > 0) ends.push(i);
    if (starts.length >= most) return undefined;
    start = startOf(part, value);
    end = endOf(part, start);
    starts.push(start);
  }
  if (starts.length === 0) return undefined;
  ends.push(ms.length);
  return { starts: Float64Array.from(starts), ends: Uint32Array.from(ends) };
}

function startOf(part: string, ms: number): number {
  const size = FIXED[part];
  if (size !== undefined) return Math.floor(ms / size) * size;
  const day = Math.floor(ms / DAY);
  // The epoch was a Thursday.
  if (part === 'week') return (day - mod(day + 3, 7)) * DAY;
  const { year, month } = dateOf(day);
  const months = MONTHS[part] ?? 1;
  const first = year * 12 + month - 1;
  return monthStart(first - mod(first, months));
}

function endOf(part: string, start: number): number {
  const size = FIXED[part] ?? (part === 'week' ? 7 * DAY : undefined);
  if (size !== undefined) return start + size;
  const { year, month } = dateOf(start / DAY);
  return monthStart(year * 12 + month - 1 + (MONTHS[part] ?? 1));
}

/** The beginning of a month that is counted from the year 0 on. */
function monthStart(month: number): number {
  return civilDays(Math.floor(month / 12), mod(month, 12) + 1, 1) * DAY;
}

/** Milliseconds of times of any type: of timestamps and dates by their counts, of texts by what they say, NULL where that is no time. */
function millisecondsOf(values: Values): {
  ms: Float64Array;
  nulls: Uint8Array | undefined;
} {
  const { type, unit } = values;
  const length = values.vector.length;
  if (type !== 'timestamp' && type !== 'date') return millisecondsOfText(values);
  const vector = expand(values.vector);
  const ms = vector.kind === 'number' ? doubles(length) : new Float64Array(length);
  if (vector.kind === 'number') {
    const numbers = vector.values as Float64Array;
    const per = perSecond(unit) / 1000;
    if (type === 'date') for (let i = 0; i < length; i++) ms[i] = numbers[i]! * DAY;
    else if (per === 1) ms.set(numbers.subarray(0, length));
    else for (let i = 0; i < length; i++) ms[i] = Math.floor(numbers[i]! / per);
  } else if (vector.kind === 'bigint') {
    for (let i = 0; i < length; i++) ms[i] = instantOf(vector.values[i]!, unit).ms;
  }
  return { ms, nulls: vector.nulls };
}

function millisecondsOfText(values: Values): { ms: Float64Array; nulls: Uint8Array } {
  const read = scalarReader(values);
  const length = values.vector.length;
  const ms = new Float64Array(length);
  const nulls = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const text = read(i);
    const instant = typeof text === 'string' ? parseInstant(text) : undefined;
    if (instant === undefined) nulls[i] = 1;
    else ms[i] = instant.ms;
  }
  return { ms, nulls };
}

type Part = (ms: number) => number;

const mod = (value: number, by: number): number => value - Math.floor(value / by) * by;

/** Parts by arithmetic, and parts that need the date, which are looked up once for each day. */
const CLOCK_PARTS: Readonly<Record<string, Part>> = {
  hour: (ms) => Math.floor(mod(ms, DAY) / 3_600_000),
  minute: (ms) => Math.floor(mod(ms, 3_600_000) / 60_000),
  second: (ms) => Math.floor(mod(ms, 60_000) / 1000),
  millisecond: (ms) => mod(ms, 60_000),
  epoch_ms: (ms) => ms,
};
const DAY_PARTS: Readonly<Record<string, Part>> = {
  year: (day) => dateOf(day).year,
  quarter: (day) => Math.ceil(dateOf(day).month / 3),
  month: (day) => dateOf(day).month,
  day: (day) => dateOf(day).day,
  dayofmonth: (day) => dateOf(day).day,
  dayofweek: (day) => mod(day + 4, 7),
  dow: (day) => mod(day + 4, 7),
  weekday: (day) => mod(day + 4, 7),
  isodow: (day) => mod(day + 3, 7) + 1,
  dayofyear: (day) => day - civilDays(dateOf(day).year, 1, 1) + 1,
  doy: (day) => day - civilDays(dateOf(day).year, 1, 1) + 1,
  week: isoWeek,
  weekofyear: isoWeek,
};

function isoWeek(day: number): number {
  const thursday = day - mod(day + 3, 7) + 3;
  return Math.floor((thursday - civilDays(dateOf(thursday).year, 1, 1)) / 7) + 1;
}

/** The part of a time that `name` means; undefined where there is no such. */
export function timePart(name: string): string | undefined {
  const part = name.toLowerCase();
  const found = [part, part.replace(/s$/, '')].find(
    (part) => Object.hasOwn(CLOCK_PARTS, part) || Object.hasOwn(DAY_PARTS, part),
  );
  return found ?? (part === 'epoch' ? part : undefined);
}

/** `date_part(part, operand)`; `epoch` is a REAL of seconds, all else an INTEGER. */
export function partNode(part: string, operand: Node): Node {
  const type = plainType(part === 'epoch' ? 'real' : 'integer');
  return valueNode(
    [operand],
    (frame) => {
      const values = operand.evaluate(frame);
      const { ms, nulls } = millisecondsOf(values);
      const out = doubles(ms.length);
      const clock = CLOCK_PARTS[part];
      if (part === 'epoch') secondsOf(values, ms, out);
      else if (part === 'epoch_ms') cutMilliseconds(values, ms, out);
      else if (clock !== undefined) for (let i = 0; i < out.length; i++) out[i] = clock(ms[i]!);
      else partOfDays(DAY_PARTS[part] as Part, ms, out);
      return numberValues(type.type, out, nulls);
    },
    { type },
  );
}

/** Seconds of the epoch, with the fraction that the unit has. */
function secondsOf(values: Values, ms: Float64Array, out: Float64Array): void {
  const counts = values.type === 'timestamp' && values.unit !== 'ms' ? expand(values.vector) : undefined;
  const per = perSecond(values.unit);
  for (let i = 0; i < out.length; i++)
    out[i] =
      counts?.kind === 'number' || counts?.kind === 'bigint'
        ? Number(counts.values[i]!) / per
        : ms[i]! / 1000;
}

/** Milliseconds of the epoch, cut towards it. */
function cutMilliseconds(values: Values, ms: Float64Array, out: Float64Array): void {
  const counts = values.type === 'timestamp' && values.unit !== 'ms' ? expand(values.vector) : undefined;
  const per = perSecond(values.unit) / 1000;
  for (let i = 0; i < out.length; i++) {
    if (counts?.kind === 'number') out[i] = Math.trunc(counts.values[i]! / per);
    else out[i] = counts?.kind === 'bigint' ? Number(counts.values[i]! / BigInt(per)) : ms[i]!;
  }
}

function partOfDays(part: Part, ms: Float64Array, out: Float64Array): void {
  let lastDay = Number.NaN;
  let last = 0;
  for (let i = 0; i < out.length; i++) {
    const day = Math.floor(ms[i]! / DAY);
    if (day !== lastDay) {
      lastDay = day;
      last = part(day);
    }
    out[i] = last;
  }
}

const two = (value: number): string => String(value).padStart(2, '0');

type Field = (time: SqliteTime) => string;
interface SqliteTime {
  readonly day: number;
  /** Milliseconds of the day. */
  readonly clock: number;
}

const hour = ({ clock }: SqliteTime): number => Math.floor(clock / 3_600_000);
const minute = ({ clock }: SqliteTime): number => Math.floor(clock / 60_000) % 60;
const second = ({ clock }: SqliteTime): number => Math.floor(clock / 1000) % 60;
const date: Field = ({ day }) => dateText(day);
const clockText: Field = (time) => `${two(hour(time))}:${two(minute(time))}:${two(second(time))}`;

/** What each letter of a strftime format gives. */
const FIELDS: Readonly<Record<string, Field>> = {
  Y: ({ day }) => String(dateOf(day).year).padStart(4, '0'),
  m: ({ day }) => two(dateOf(day).month),
  d: ({ day }) => two(dateOf(day).day),
  e: ({ day }) => String(dateOf(day).day).padStart(2, ' '),
  H: (time) => two(hour(time)),
  I: (time) => two(hour(time) % 12 || 12),
  M: (time) => two(minute(time)),
  S: (time) => two(second(time)),
  f: (time) => `${two(second(time))}.${String(time.clock % 1000).padStart(3, '0')}`,
  F: date,
  T: clockText,
  R: (time) => clockText(time).slice(0, 5),
  p: (time) => (hour(time) < 12 ? 'AM' : 'PM'),
  j: ({ day }) => String(day - civilDays(dateOf(day).year, 1, 1) + 1).padStart(3, '0'),
  w: ({ day }) => String(mod(day + 4, 7)),
  u: ({ day }) => String(mod(day + 3, 7) + 1),
  s: ({ day, clock }) => String(day * 86_400 + Math.floor(clock / 1000)),
  '%': () => '%',
};

/** A formatter for a strftime format, and how fine the times have to be told apart for it; undefined where a letter is not known. */
function formatter(format: string): { format: Field; size: number } | undefined {
  const parts = format.split(/(%[\s\S])/);
  if (parts.some((part, i) => i % 2 === 1 && !Object.hasOwn(FIELDS, part.charAt(1)))) return undefined;
  if (parts.some((part, i) => i % 2 === 0 && part.includes('%'))) return undefined;
  const size = /%f/.test(format) ? 1 : /%[STs]/.test(format) ? 1000 : /%[MRHIp]/.test(format) ? 60_000 : DAY;
  const fields = parts.map((part, i) => (i % 2 === 1 ? (FIELDS[part.charAt(1)] as Field) : () => part));
  return { format: (time) => fields.map((field) => field(time)).join(''), size };
}

/** The formats of SQLite's own functions. */
export const FORMATS: Readonly<Record<string, string>> = { date: '%F', time: '%T', datetime: '%F %T' };

/** Whether `format` is one that {@link formatNode} takes. */
export function isFormat(format: string): boolean {
  return formatter(format) !== undefined;
}

/** `strftime(format, operand)`, by SQLite's reading of times; `unixepoch` counts numbers in seconds of the epoch. */
export function formatNode(format: string, operand: Node, unixepoch: boolean): Node {
  const made = formatter(format);
  if (made === undefined) throw new TypeError(`no such format: ${format}`);
  return valueNode([operand], (frame) => {
    const values = operand.evaluate(frame);
    if (values.type === 'timestamp' || values.type === 'date') {
      const { ms, nulls } = millisecondsOf(values);
      return formatTimes(made, ms, nulls);
    }
    const read = scalarReader(values);
    const out: Scalar[] = [];
    for (let i = 0; i < frame.length; i++) {
      const ms = sqliteMilliseconds(read(i), unixepoch);
      out.push(ms === undefined ? null : made.format(split(ms)));
    }
    return mixedValues(out);
  });
}

function split(ms: number): SqliteTime {
  const day = Math.floor(ms / DAY);
  return { day, clock: ms - day * DAY };
}

/** Times that read the same are formatted once. */
function formatTimes(
  { format, size }: { format: Field; size: number },
  ms: Float64Array,
  nulls: Uint8Array | undefined,
): Values {
  const known = new Map<number, number>();
  const texts: string[] = [];
  const codes = new Uint32Array(ms.length);
  let last = Number.NaN;
  let code = 0;
  for (let i = 0; i < ms.length; i++) {
    if (nulls?.[i] === 1) continue;
    const at = Math.floor(ms[i]! / size);
    if (at !== last) {
      last = at;
      code = known.get(at) ?? -1;
      if (code < 0) {
        known.set(at, (code = texts.length));
        texts.push(format(split(at * size)));
      }
    }
    codes[i] = code;
  }
  if (texts.length === 0) return fromScalars(Array.from(ms, () => null));
  const dictionary = mixedValues(texts).vector as {
    kind: 'mixed';
    length: number;
    nulls: undefined;
    values: string[];
  };
  return { ...plainType('any'), vector: { kind: 'dictionary', length: ms.length, nulls, codes, dictionary } };
}

const SQLITE_TIME =
  /^(?:(\d{4})-(\d\d)-(\d\d))?(?:(?:^|[T ] *)(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?\s*(Z|z|[+-]\d\d:\d\d)?)?\s*$/;

/** Milliseconds of the epoch, as SQLite reads a time value: text, or a Julian day number, or seconds. */
function sqliteMilliseconds(value: Scalar, unixepoch: boolean): number | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') {
    const number = Number(value);
    const ms = Math.round(unixepoch ? number * 1000 : (number - 2_440_587.5) * DAY);
    return ms >= -210_866_760_000_000 && ms < 253_402_300_800_000 ? ms : undefined;
  }
  if (typeof value !== 'string' || value === '') return undefined;
  const match = SQLITE_TIME.exec(value);
  if (match === null || (match[1] === undefined && match[4] === undefined)) {
    return /^\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*$/.test(value)
      ? sqliteMilliseconds(Number(value), unixepoch)
      : undefined;
  }
  if (unixepoch) return undefined;
  const [
    ,
    year = '2000',
    month = '01',
    day = '01',
    hours = '0',
    minutes = '0',
    seconds = '0',
    fraction = '0',
    zone,
  ] = match;
  if (+month < 1 || +month > 12 || +day < 1 || +day > 31 || +hours > 24 || +minutes > 59 || +seconds > 59)
    return undefined;
  const clock = (+hours * 60 + +minutes) * 60_000 + Math.round((+seconds + Number(`0${fraction}`)) * 1000);
  const offset = zone === undefined || /z/i.test(zone) ? 0 : zoneMs(zone);
  return civilDays(+year, +month, +day) * DAY + clock - offset;
}

function zoneMs(zone: string): number {
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

/** `unixepoch(operand)` and `julianday(operand)`. */
export function epochNode(kind: 'unixepoch' | 'julianday', operand: Node): Node {
  return valueNode([operand], (frame) => {
    const read = scalarReader(operand.evaluate(frame));
    const out: Scalar[] = [];
    for (let i = 0; i < frame.length; i++) {
      const ms = sqliteMilliseconds(read(i), false);
      if (ms === undefined) out.push(null);
      else out.push(kind === 'julianday' ? ms / DAY + 2_440_587.5 : BigInt(Math.floor(ms / 1000)));
    }
    return fromScalars(out);
  });
}
