import { valueNode, type Node } from './expression-node.ts';
import { doubles } from './scratch.ts';
import { integerOrReal, real, toInteger, toNumber, toText, type Scalar } from './scalar.ts';
import { flatNumbers, fromScalars, mixedValues, numberValues, scalarReader, type Values } from './values.ts';

/** The operators of arithmetic. */
export type Arithmetic = '+' | '-' | '*' | '/' | '%';
/** The operators on 64 bits. */
export type Bitwise = '&' | '|' | '<<' | '>>';

const MAX_SAFE = 2 ** 53;

/** `left operator right`, by SQLite's rules: integers stay integers, one that overflows becomes REAL, division by zero is NULL. */
export function arithmeticNode(operator: Arithmetic, left: Node, right: Node): Node {
  return valueNode([left, right], (frame) => compute(operator, left.evaluate(frame), right.evaluate(frame)));
}

function compute(operator: Arithmetic, a: Values, b: Values): Values {
  const integers = a.type === 'integer' && b.type === 'integer';
  const numeric = integers || (isNumber(a) && isNumber(b) && operator !== '%');
  const x = numeric ? flatNumbers(a) : undefined;
  const y = x === undefined ? undefined : flatNumbers(b);
  if (x === undefined || y === undefined) return computeEach(operator, a, b);
  const nulls = unite(x.nulls, y.nulls, a.vector.length);
  const xs = x.values as Float64Array;
  const ys = y.values as Float64Array;
  if (!integers) return computeReals(operator, xs, ys, nulls);
  return computeIntegers(operator, xs, ys, nulls) ?? computeEach(operator, a, b);
}

function isNumber({ type }: Values): boolean {
  return type === 'integer' || type === 'real';
}

/** NULL where either is. */
export function unite(
  a: Uint8Array | undefined,
  b: Uint8Array | undefined,
  length: number,
): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i++) out[i] = a[i]! | b[i]!;
  return out;
}

function computeReals(
  operator: Arithmetic,
  a: Float64Array,
  b: Float64Array,
  nulls: Uint8Array | undefined,
): Values {
  const { length } = a;
  const out = doubles(length);
  if (operator === '+') for (let i = 0; i < length; i++) out[i] = a[i]! + b[i]!;
  else if (operator === '-') for (let i = 0; i < length; i++) out[i] = a[i]! - b[i]!;
  else if (operator === '*') for (let i = 0; i < length; i++) out[i] = a[i]! * b[i]!;
  // Division by zero gives NaN, and so NULL, here.
  else for (let i = 0; i < length; i++) out[i] = b[i] === 0 ? Number.NaN : a[i]! / b[i]!;
  return numberValues('real', out, withNaN(out, nulls));
}

/** `nulls`, and NULL where there is no number. */
function withNaN(values: Float64Array, nulls: Uint8Array | undefined): Uint8Array | undefined {
  const { length } = values;
  let found = nulls === undefined ? undefined : Uint8Array.from(nulls);
  for (let i = 0; i < length; i++) if (values[i]! !== values[i]!) (found ??= new Uint8Array(length))[i] = 1;
  return found;
}

/** Undefined where a result is not exact as a double. */
function computeIntegers(
  operator: Arithmetic,
  a: Float64Array,
  b: Float64Array,
  nulls: Uint8Array | undefined,
): Values | undefined {
  const { length } = a;
  const out = doubles(length);
  if (operator === '+') for (let i = 0; i < length; i++) out[i] = a[i]! + b[i]!;
  else if (operator === '-') for (let i = 0; i < length; i++) out[i] = a[i]! - b[i]!;
  else if (operator === '*') for (let i = 0; i < length; i++) out[i] = a[i]! * b[i]!;
  else if (operator === '/')
    for (let i = 0; i < length; i++) out[i] = b[i] === 0 ? Number.NaN : Math.trunc(a[i]! / b[i]!);
  else for (let i = 0; i < length; i++) out[i] = b[i] === 0 ? Number.NaN : a[i]! % b[i]!;
  for (let i = 0; i < length; i++) {
    const value = out[i]!;
    if (value >= MAX_SAFE || value <= -MAX_SAFE) if (nulls?.[i] !== 1) return undefined;
    out[i] = value + 0;
  }
  const mayDivide = operator === '/' || operator === '%';
  return numberValues('integer', out, mayDivide ? withNaN(out, nulls) : nulls);
}

function computeEach(operator: Arithmetic, a: Values, b: Values): Values {
  return each(a, b, (x, y) => computeScalars(operator, x, y));
}

function each(a: Values, b: Values, compute: (x: Scalar, y: Scalar) => Scalar): Values {
  const readA = scalarReader(a);
  const readB = scalarReader(b);
  const out: Scalar[] = [];
  for (let i = 0; i < a.vector.length; i++) out.push(compute(readA(i), readB(i)));
  return fromScalars(out);
}

/** `left operator right` of two values. */
export function computeScalars(operator: Arithmetic, left: Scalar, right: Scalar): Scalar {
  const a = toNumber(left);
  const b = toNumber(right);
  if (a === null || b === null) return null;
  if (operator === '%') return remainder(left, right, typeof a === 'bigint' && typeof b === 'bigint');
  if (typeof a === 'bigint' && typeof b === 'bigint') return computeBigints(operator, a, b);
  const x = Number(a);
  const y = Number(b);
  switch (operator) {
    case '+':
      return real(x + y);
    case '-':
      return real(x - y);
    case '*':
      return real(x * y);
    default:
      return y === 0 ? null : real(x / y);
  }
}

function computeBigints(operator: '+' | '-' | '*' | '/', a: bigint, b: bigint): Scalar {
  switch (operator) {
    case '+':
      return overflowing(a + b, Number(a) + Number(b));
    case '-':
      return overflowing(a - b, Number(a) - Number(b));
    case '*':
      return overflowing(a * b, Number(a) * Number(b));
    default:
      return b === 0n ? null : integerOrReal(a / b);
  }
}

/** An integer that does not fit is computed anew in doubles. */
function overflowing(exact: bigint, approximate: number): Scalar {
  return BigInt.asIntN(64, exact) === exact ? exact : approximate;
}

function remainder(left: Scalar, right: Scalar, integers: boolean): Scalar {
  const a = toInteger(left) ?? 0n;
  const b = toInteger(right) ?? 0n;
  if (b === 0n) return null;
  return integers ? a % b : Number(a % b);
}

/** `left operator right` on 64 bits. */
export function bitNode(operator: Bitwise, left: Node, right: Node): Node {
  return valueNode([left, right], (frame) =>
    each(left.evaluate(frame), right.evaluate(frame), (x, y) => bits(operator, x, y)),
  );
}

function bits(operator: Bitwise, left: Scalar, right: Scalar): Scalar {
  const a = toInteger(left);
  const b = toInteger(right);
  if (a === null || b === null) return null;
  if (operator === '&') return a & b;
  if (operator === '|') return a | b;
  return shift(a, operator === '<<' ? b : -b);
}

function shift(value: bigint, by: bigint): bigint {
  if (by >= 64n) return 0n;
  if (by <= -64n) return value < 0n ? -1n : 0n;
  return by >= 0n ? BigInt.asIntN(64, value << by) : value >> -by;
}

/** `~operand`. */
export function complementNode(operand: Node): Node {
  return valueNode([operand], (frame) => {
    const read = scalarReader(operand.evaluate(frame));
    const out: Scalar[] = [];
    for (let i = 0; i < frame.length; i++) {
      const value = toInteger(read(i));
      out.push(value === null ? null : ~value);
    }
    return fromScalars(out);
  });
}

/** `left || right`. */
export function joinNode(left: Node, right: Node): Node {
  return valueNode([left, right], (frame) => {
    const readA = scalarReader(left.evaluate(frame));
    const readB = scalarReader(right.evaluate(frame));
    const out: Scalar[] = [];
    for (let i = 0; i < frame.length; i++) {
      const a = toText(readA(i));
      const b = toText(readB(i));
      out.push(a === null || b === null ? null : a + b);
    }
    return mixedValues(out);
  });
}
