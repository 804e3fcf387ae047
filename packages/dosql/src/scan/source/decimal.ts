const POWERS = Float64Array.from({ length: 23 }, (_, i) => 10 ** i);

/** More digits than this of a number do not fit into the arithmetic here. */
const MAX_DIGITS = 19;
const HIGH_DIGITS = 10;
/** What splits a double into two halves of 26 bits (T. Dekker, A floating-point technique for extending the available precision). */
const SPLITTER = 134_217_729;

/**
 * The double nearest to a decimal number of up to 19 digits without exponent, read without making a string; NaN for
 * all else, and for the few that lie so near to the middle of two doubles that it takes more to tell.
 */
export function decimal(bytes: Uint8Array, start: number, end: number): number {
  const isNegative = bytes[start] === 45;
  const first = isNegative ? start + 1 : start;
  let high = 0;
  let low = 0;
  let count = 0;
  let point = -1;
  for (let i = first; i < end; i++) {
    const byte = bytes[i] as number;
    const digit = byte - 48;
    if (digit >= 0 && digit <= 9) {
      if (count < HIGH_DIGITS) high = high * 10 + digit;
      else low = low * 10 + digit;
      // Zeros in front say nothing.
      if (count > 0 || digit > 0) count++;
    } else if (byte === 46 && point < 0) point = i;
    else return NaN;
  }
  const decimals = point < 0 ? 0 : end - point - 1;
  if (end - first === (point < 0 ? 0 : 1) || count > MAX_DIGITS || decimals > 22) return NaN;
  const value = quotient(high, low, count, POWERS[decimals] as number);
  return isNegative ? -value : value;
}

/** The nearest double to `high` and `low`, of `count` digits in a row, by a power of ten. */
function quotient(high: number, low: number, count: number, divisor: number): number {
  const scale = count > HIGH_DIGITS ? (POWERS[count - HIGH_DIGITS] as number) : 1;
  // With up to 15 digits both are exact doubles, and so is the rounding of their quotient (W. Clinger, How to read
  // floating point numbers accurately).
  if (count <= 15) return (high * scale + low) / divisor;
  // The digits as a sum of two doubles: both parts of the product have less than 53 bits.
  const top = Math.floor(high / 131_072);
  const upper = top * scale * 131_072;
  const lower = (high - top * 131_072) * scale + low;
  const sum = upper + lower;
  const rest = lower - (sum - upper);
  // A quotient, and what it is wrong by: the remainder over the divisor again.
  const near = sum / divisor;
  const product = near * divisor;
  const remainder = sum - product - productError(near, divisor, product) + rest;
  const correction = remainder / divisor;
  // The correction is known to far more than this.
  const doubt = near * 2 ** -100;
  const value = near + (correction + doubt);
  return value === near + (correction - doubt) ? value : NaN;
}

/** What rounding took off a product, exactly. */
function productError(a: number, b: number, product: number): number {
  const wideA = SPLITTER * a;
  const highA = wideA - (wideA - a);
  const lowA = a - highA;
  const wideB = SPLITTER * b;
  const highB = wideB - (wideB - b);
  const lowB = b - highB;
  return lowA * lowB - (product - highA * highB - lowA * highB - highA * lowB);
}
