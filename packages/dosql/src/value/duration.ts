import { DoSQLError } from '../error.ts';
import { describe } from './parameter.ts';

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * A duration in ms: a number is ms already, text is a number with `ms`, `s`, `m`, `h`, `d` or `w`.
 *
 * @throws DoSQLError `BAD_PARAMETER`
 */
export function durationMs(value: string | number, what: string): number {
  const match = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*$/.exec(value) : null;
  const ms =
    typeof value === 'number'
      ? value
      : match === null
        ? Number.NaN
        : Number(match[1]) * (UNITS[match[2] ?? ''] ?? Number.NaN);
  if (Number.isFinite(ms) && ms >= 0) return ms;
  throw new DoSQLError('BAD_PARAMETER', `${what} is ${describe(value)}: give ms, or text like '90s' or '7d'`);
}
