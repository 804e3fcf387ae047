import type { SqlValue } from '../value/row.ts';
import type { Partition } from './options.ts';

/** How a column tells the time: text that begins as ISO 8601 or SQLite's own, or a count since the epoch. */
export type TimeForm = 'T' | ' ' | 's' | 'ms';

/** Counts above this are taken for ms: as seconds it would be the year 5138. */
export const LEAST_MS = 100_000_000_000;
/** Characters of an ISO time that name the partition. */
const LENGTHS: Readonly<Record<Partition, number>> = { year: 4, month: 7, day: 10, hour: 13 };

/** The form of a time; undefined for what is none. */
export function timeForm(value: SqlValue): TimeForm | undefined {
  if (typeof value === 'number' && Number.isFinite(value)) return Math.abs(value) >= LEAST_MS ? 'ms' : 's';
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d(?:$|[T ]\d\d)/.test(value)) return undefined;
  return value[10] === ' ' ? ' ' : 'T';
}

/** SQL for the condition that `column`, an expression, is a time of this form. */
export function hasForm(column: string, form: TimeForm): string {
  if (form === 's' || form === 'ms') {
    const operator = form === 'ms' ? '>=' : '<';
    return `(typeof(${column}) IN ('integer', 'real') AND abs(${column}) ${operator} ${LEAST_MS})`;
  }
  // In two parts, for a pattern may have 50 bytes; a date alone is of the form with T.
  const date = "'-[0-9][0-9]-[0-9][0-9]";
  const rest = `substr(${column}, 5)`;
  const alone = form === 'T' ? ` OR ${rest} GLOB ${date}'` : '';
  return (
    `(typeof(${column}) = 'text' AND ${column} GLOB '[0-9][0-9][0-9][0-9]-*' ` +
    `AND (${rest} GLOB ${date}${form}[0-9][0-9]*'${alone}))`
  );
}

/** A stretch of time: its name, its first value and the first behind it, as the column has them. */
export interface Stretch {
  /** `2026-01-31`, `2026-01` and so on. */
  readonly name: string;
  readonly from: SqlValue;
  readonly to: SqlValue;
}

/** The partition that the time `value`, of this form, lies in. Text is cut as it stands, in whatever zone. */
export function stretchOf(value: SqlValue, form: TimeForm, partition: Partition): Stretch {
  const name =
    typeof value === 'string'
      ? value.slice(0, LENGTHS[partition])
      : isoOf(value as number, form).slice(0, LENGTHS[partition]);
  // A date alone in a partition of hours is its first.
  const whole = name.length < LENGTHS[partition] ? `${name}T00` : name;
  const start = startOf(whole, partition);
  return {
    name: whole.replace(' ', 'T'),
    from:
      typeof value === 'string' && name.length < LENGTHS[partition] ? name : asForm(start, form, partition),
    to: asForm(nextOf(start, partition), form, partition),
  };
}

/** The first value, in the column's form, that is not in a partition that has ended by `ms`. */
export function boundary(ms: number, form: TimeForm, partition: Partition): SqlValue {
  return asForm(startOf(new Date(ms).toISOString().slice(0, LENGTHS[partition]), partition), form, partition);
}

/** How long the partition called `name` is. The policy may have had another one when it was made: its name tells. */
export function unitOf(name: string): Partition {
  return (Object.keys(LENGTHS) as Partition[]).find((each) => LENGTHS[each] === name.length) ?? 'day';
}

/** When the partition called `name` is over, in ms since the epoch. */
export function endOf(name: string): number {
  const partition = unitOf(name);
  return nextOf(startOf(name, partition), partition);
}

function isoOf(value: number, form: TimeForm): string {
  const date = new Date(form === 's' ? value * 1_000 : value);
  return Number.isNaN(date.getTime()) ? '0000-01-01T00' : date.toISOString();
}

function startOf(name: string, partition: Partition): number {
  const iso = name.replace(' ', 'T');
  const whole = { year: `${iso}-01-01`, month: `${iso}-01`, day: iso, hour: `${iso}:00:00Z` }[partition];
  return Date.parse(whole);
}

function nextOf(start: number, partition: Partition): number {
  const date = new Date(start);
  if (partition === 'hour') return start + 3_600_000;
  if (partition === 'day') return start + 86_400_000;
  if (partition === 'month') return date.setUTCMonth(date.getUTCMonth() + 1);
  return date.setUTCFullYear(date.getUTCFullYear() + 1);
}

/** The start of a partition in the column's form: for text its name, which all times in it begin with. */
function asForm(ms: number, form: TimeForm, partition: Partition): SqlValue {
  if (form === 'ms') return ms;
  if (form === 's') return ms / 1_000;
  const name = new Date(ms).toISOString().slice(0, LENGTHS[partition]);
  return form === ' ' ? name.replace('T', ' ') : name;
}
