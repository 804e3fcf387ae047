// Where a block stands among the others: text of the digits below, read as a fraction, compared as SQLite compares
// text. Between two there is always another, so inserting a block changes no other row.

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BASE = DIGITS.length;
/** Blocks that are added at the end step on at this digit: 100,000 of them take three digits each. */
const STEP_DIGIT = 3;

/**
 * Longer ones are not given. Each digit halves what is between two blocks about six times, so that is some 380 blocks
 * put in at one place; then `spread` gives all blocks of the document new positions.
 */
export const MAX_POSITION_LENGTH = 64;

/** A position after `before` and before `after`: '' is the beginning, undefined the end. */
export function between(before: string, after: string | undefined): string {
  if (after === undefined) return next(before) ?? middle(before, undefined);
  return middle(before, after);
}

/** Positions for so many blocks, evenly apart. */
export function spread(count: number): string[] {
  const step = BASE ** STEP_DIGIT / (count + 1);
  return Array.from({ length: count }, (_, i) => write(Math.floor(step * (i + 1))));
}

/** The next round position; undefined when there is none left. */
function next(before: string): string | undefined {
  if (before === '') return middle('', undefined);
  const value = Array.from(before.slice(0, STEP_DIGIT).padEnd(STEP_DIGIT, '0')).reduce(
    (value, digit) => value * BASE + DIGITS.indexOf(digit),
    0,
  );
  return value + 1 < BASE ** STEP_DIGIT ? write(value + 1) : undefined;
}

function middle(before: string, after: string | undefined): string {
  let result = '';
  let bound = after;
  for (let i = 0; ; i++) {
    const low = i < before.length ? DIGITS.indexOf(before[i] ?? '0') : 0;
    const high = bound === undefined ? BASE : i < bound.length ? DIGITS.indexOf(bound[i] ?? '0') : 0;
    if (high - low > 1) return result + DIGITS[Math.floor((low + high) / 2)];
    result += DIGITS[low];
    // From a digit on that is less than the bound's, anything is before the bound.
    if (low < high) bound = undefined;
  }
}

/** No position ends with 0: nothing could be put before it. */
function write(value: number): string {
  let digits = '';
  for (let rest = value, i = 0; i < STEP_DIGIT; i++) {
    digits = `${DIGITS[rest % BASE]}${digits}`;
    rest = Math.floor(rest / BASE);
  }
  return digits.endsWith('0') ? `${digits}V` : digits;
}
