import { compareScalars, encodeText, real, toInteger, toReal, toText, type Scalar } from './scalar.ts';

/** A function of SQLite over values one by one. */
export interface ScalarFunction {
  readonly least: number;
  readonly most: number;
  readonly call: (args: readonly Scalar[]) => Scalar;
}

const MANY = 100;

function strict(
  least: number,
  most: number,
  call: (...args: NonNullable<Scalar>[]) => Scalar,
): ScalarFunction {
  return {
    least,
    most,
    call: (args) => (args.includes(null) ? null : call(...(args as NonNullable<Scalar>[]))),
  };
}

function math(call: (value: number) => number): ScalarFunction {
  return strict(1, 1, (value) => {
    const number = numeric(value);
    return number === null ? null : real(call(number));
  });
}

/** The mathematical functions give NULL for what is no number. */
function numeric(value: Scalar): number | null {
  if (value instanceof Uint8Array) return null;
  if (typeof value !== 'string') return value === null ? null : Number(value);
  return /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i.test(value) ? Number(value) : null;
}

function rounding(call: (value: number) => number): ScalarFunction {
  return strict(1, 1, (value) => {
    if (typeof value === 'bigint') return value;
    const number = numeric(value);
    return number === null ? null : call(number);
  });
}

const text = (value: Scalar): string => toText(value) ?? '';
const upToNul = (value: string): string => {
  const nul = value.indexOf('\0');
  return nul < 0 ? value : value.slice(0, nul);
};
const count = (value: string): number => {
  let size = 0;
  for (let i = 0; i < value.length; i++) if ((value.charCodeAt(i) & 0xfc00) !== 0xdc00) size++;
  return size;
};

/** The functions of SQLite over single values, by name. */
export const FUNCTIONS: Readonly<Record<string, ScalarFunction>> = {
  abs: strict(1, 1, absolute),
  ceil: rounding(Math.ceil),
  ceiling: rounding(Math.ceil),
  char: { least: 0, most: MANY, call: characters },
  concat: { least: 1, most: MANY, call: (args) => args.map(text).join('') },
  concat_ws: {
    least: 2,
    most: MANY,
    call: ([separator = null, ...args]) =>
      separator === null
        ? null
        : args
            .filter((arg) => arg !== null)
            .map(text)
            .join(text(separator)),
  },
  exp: math(Math.exp),
  floor: rounding(Math.floor),
  hex: { least: 1, most: 1, call: ([value = null]) => hex(value) },
  instr: strict(2, 2, position),
  length: strict(1, 1, (value) =>
    value instanceof Uint8Array ? BigInt(value.length) : BigInt(count(upToNul(text(value)))),
  ),
  ln: math((value) => (value > 0 ? Math.log(value) : Number.NaN)),
  log: strict(1, 2, logarithm),
  log10: math((value) => (value > 0 ? Math.log10(value) : Number.NaN)),
  log2: math((value) => (value > 0 ? Math.log2(value) : Number.NaN)),
  lower: strict(1, 1, (value) => upToNul(text(value)).replace(/[A-Z]+/g, (letters) => letters.toLowerCase())),
  ltrim: strict(1, 2, (value, characters = ' ') => trim(text(value), text(characters), true, false)),
  max: { least: 2, most: MANY, call: (args) => extreme(args, 1) },
  min: { least: 2, most: MANY, call: (args) => extreme(args, -1) },
  mod: strict(2, 2, (a, b) => {
    const [x, y] = [numeric(a), numeric(b)];
    return x === null || y === null ? null : real(x % y);
  }),
  octet_length: strict(1, 1, (value) =>
    BigInt(value instanceof Uint8Array ? value.length : encodeText(text(value)).length),
  ),
  pow: strict(2, 2, power),
  power: strict(2, 2, power),
  replace: strict(3, 3, (value, from, to) =>
    text(from) === '' ? text(value) : text(value).replaceAll(text(from), () => text(to)),
  ),
  round: strict(1, 2, round),
  rtrim: strict(1, 2, (value, characters = ' ') => trim(text(value), text(characters), false, true)),
  sign: strict(1, 1, (value) => {
    const number = numeric(value);
    return number === null ? null : BigInt(Math.sign(number));
  }),
  sqrt: math((value) => (value < 0 ? Number.NaN : Math.sqrt(value))),
  substr: strict(2, 3, substring),
  substring: strict(2, 3, substring),
  trim: strict(1, 2, (value, characters = ' ') => trim(text(value), text(characters), true, true)),
  trunc: rounding(Math.trunc),
  typeof: { least: 1, most: 1, call: ([value = null]) => typeName(value) },
  unicode: strict(1, 1, (value) => {
    const code = upToNul(text(value)).codePointAt(0);
    return code === undefined ? null : BigInt(code);
  }),
  upper: strict(1, 1, (value) => upToNul(text(value)).replace(/[a-z]+/g, (letters) => letters.toUpperCase())),
};

function absolute(value: Scalar): Scalar {
  if (typeof value === 'bigint') {
    // The least integer has no opposite: SQLite fails with "integer overflow".
    if (value === -(2n ** 63n)) throw new RangeError('integer overflow');
    return value < 0n ? -value : value;
  }
  const number = value instanceof Uint8Array || typeof value === 'string' ? toReal(value) : value;
  return number === null ? null : Math.abs(number);
}

function characters(args: readonly Scalar[]): Scalar {
  return args
    .map((arg) => {
      const code = Number(toInteger(arg) ?? 0n);
      return String.fromCodePoint(code < 0 || code > 0x10ffff ? 0xfffd : code);
    })
    .join('');
}

function hex(value: Scalar): string {
  const bytes = value instanceof Uint8Array ? value : encodeText(text(value));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('');
}

function position(value: NonNullable<Scalar>, sought: NonNullable<Scalar>): Scalar {
  if (value instanceof Uint8Array && sought instanceof Uint8Array) {
    for (let i = 0; i + sought.length <= value.length; i++)
      if (sought.every((byte, j) => value[i + j] === byte)) return BigInt(i + 1);
    return 0n;
  }
  const whole = text(value);
  const at = whole.indexOf(text(sought));
  return BigInt(at < 0 ? 0 : count(whole.slice(0, at)) + 1);
}

function logarithm(first: Scalar, second?: Scalar): Scalar {
  const base = second === undefined ? 10 : numeric(first);
  const value = numeric(second ?? first);
  if (base === null || value === null || base <= 0 || value <= 0) return null;
  if (base === 10) return Math.log10(value);
  if (base === 2) return Math.log2(value);
  const divisor = Math.log(base);
  return divisor <= 0 ? null : Math.log(value) / divisor;
}

function extreme(args: readonly Scalar[], sign: number): Scalar {
  let best = args[0] ?? null;
  for (const arg of args) {
    if (arg === null || best === null) return null;
    const order = compareScalars(arg, best);
    // Of equal ones, max takes the first and min the last.
    if (sign > 0 ? order > 0 : order <= 0) best = arg;
  }
  return best;
}

function power(a: Scalar, b: Scalar): Scalar {
  const [x, y] = [numeric(a), numeric(b)];
  return x === null || y === null ? null : real(x ** y);
}

function round(value: Scalar, places: Scalar = 0n): Scalar {
  const digits = Math.min(Math.max(Number(toInteger(places) ?? 0n), 0), 30);
  const number = toReal(value) ?? 0;
  if (Math.abs(number) > 4_503_599_627_370_496) return number;
  if (digits === 0) return number + 0 < 0 ? -Math.floor(0.5 - number) : Math.floor(number + 0.5);
  return Number(toFixed(number, digits));
}

/** SQLite prints with 16 significant digits at most, half away from zero, and reads that back. */
function toFixed(value: number, digits: number): string {
  const negative = value < 0;
  const [mantissa = '0', exponent = '0'] = Math.abs(value).toExponential(15).split('e');
  const all = BigInt(mantissa.replace('.', ''));
  const drop = 15 - Number(exponent) - digits;
  if (drop <= 0) return String(value);
  const unit = 10n ** BigInt(drop);
  const kept = (all + unit / 2n) / unit;
  return `${negative ? '-' : ''}${kept}e${-digits}`;
}

function substring(value: NonNullable<Scalar>, from: Scalar, size?: Scalar): Scalar {
  const isBlob = value instanceof Uint8Array;
  // SQLite takes an empty blob for none here.
  if (isBlob && value.length === 0) return null;
  const characters = isBlob ? value : Array.from(text(value));
  const { length } = characters;
  let start = Number(toInteger(from) ?? 0n);
  let take = size === undefined ? Number.MAX_SAFE_INTEGER : Number(toInteger(size) ?? 0n);
  const negative = take < 0;
  if (negative) take = -take;
  if (start < 0) {
    start += length;
    if (start < 0) {
      take = Math.max(0, take + start);
      start = 0;
    }
  } else if (start > 0) start--;
  else if (take > 0 && !negative) take--;
  if (negative) {
    start -= take;
    if (start < 0) {
      take += start;
      start = 0;
    }
  }
  const end = Math.min(length, start + Math.max(0, take));
  return isBlob ? value.slice(start, end) : (characters as string[]).slice(start, end).join('');
}

function trim(value: string, characters: string, left: boolean, right: boolean): string {
  const set = new Set(characters);
  const all = Array.from(value);
  let from = 0;
  let to = all.length;
  if (left) while (from < to && set.has(all[from]!)) from++;
  if (right) while (to > from && set.has(all[to - 1]!)) to--;
  return all.slice(from, to).join('');
}

function typeName(value: Scalar): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint') return 'integer';
  if (typeof value === 'number') return 'real';
  return typeof value === 'string' ? 'text' : 'blob';
}
