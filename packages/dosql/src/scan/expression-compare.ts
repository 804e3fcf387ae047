import type { Frame } from './frame.ts';
import {
  FALSE,
  TRUE,
  truthNode,
  UNKNOWN,
  withUnknown,
  nullsOf,
  type Node,
  type Truths,
} from './expression-node.ts';
import { applyNumeric, applyText, compareScalars, encodeText, type Affinity, type Scalar } from './scalar.ts';
import { bytes as scratchBytes, integers } from './scratch.ts';
import { countOf, parseInstant, parseTime, perSecond } from './time.ts';
import {
  expand,
  flatNumbers,
  isSafe,
  isTemporal,
  scalarReader,
  words,
  type Values,
  type ValueType,
} from './values.ts';
import type { BigintVector, BytesVector } from './vector.ts';

/** The operators that compare. */
export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>=';

/** `left operator right`, with SQLite's affinities (https://sqlite.org/datatype3.html#comparison_expressions). */
export function compareNode(operator: Comparison, left: Node, right: Node): Node {
  const convert = conversions(left.affinity, right.affinity);
  if (left.constant !== undefined && right.constant === undefined)
    return compareNode(MIRRORED[operator], right, left);
  const constant = right.constant === undefined ? undefined : convert.right(right.constant);
  return truthNode([left, right], (frame) => {
    const a = left.evaluate(frame);
    if (constant !== undefined) return compareWithConstant(operator, a, constant, convert.left);
    return compareBoth(operator, a, right.evaluate(frame), convert);
  });
}

const MIRRORED: Readonly<Record<Comparison, Comparison>> = {
  '=': '=',
  '<>': '<>',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

/** `left IS right`: as `=`, but two NULLs are the same, and one is not the same as a value. */
export function isNode(left: Node, right: Node, not: boolean): Node {
  const same = not ? FALSE : TRUE;
  const other = not ? TRUE : FALSE;
  if (right.constant === null) return nullTest(left, same, other);
  if (left.constant === null) return nullTest(right, same, other);
  const equal = compareNode('=', left, right);
  return truthNode([left, right], (frame) => {
    const truths = equal.truths(frame);
    const a = nullsOf(left.evaluate(frame));
    const b = nullsOf(right.evaluate(frame));
    for (let i = 0; i < truths.length; i++) {
      if (truths[i] === UNKNOWN) truths[i] = a?.[i] === 1 && b?.[i] === 1 ? same : other;
      else truths[i] = truths[i] === TRUE ? same : other;
    }
    return truths;
  });
}

function nullTest(node: Node, ifNull: number, ifNot: number): Node {
  return truthNode([node], (frame) => {
    const nulls = nullsOf(node.evaluate(frame));
    const truths = new Uint8Array(frame.length).fill(ifNot);
    if (nulls !== undefined) for (let i = 0; i < truths.length; i++) if (nulls[i] === 1) truths[i] = ifNull;
    return truths;
  });
}

interface Conversions {
  readonly left: (scalar: Scalar) => Scalar;
  readonly right: (scalar: Scalar) => Scalar;
}

const same = (scalar: Scalar): Scalar => scalar;

/** What a comparison of operands of these affinities makes of each. */
export function conversions(left: Affinity, right: Affinity): Conversions {
  if (left === 'numeric' && right !== 'numeric') return { left: same, right: applyNumeric };
  if (right === 'numeric' && left !== 'numeric') return { left: applyNumeric, right: same };
  if (left === 'text' && right === 'none') return { left: same, right: applyText };
  if (right === 'text' && left === 'none') return { left: applyText, right: same };
  return { left: same, right: same };
}

function compareWithConstant(
  operator: Comparison,
  a: Values,
  constant: Scalar,
  convert: (scalar: Scalar) => Scalar,
): Truths {
  const { length } = a.vector;
  if (constant === null) return new Uint8Array(length).fill(UNKNOWN);
  // Numeric values stay as they are, so only text and `any` are converted.
  const converts = convert !== same && (a.type === 'any' || a.type === 'text' || isTemporal(a.type));
  if (!converts) {
    const sought = isTemporal(a.type) ? countOfText(constant, a) : constant;
    const fast = sought === undefined ? undefined : compareFast(operator, a, sought);
    if (fast !== undefined) return fast;
  }
  if (isTemporal(a.type) && !converts) return compareTimes(operator, a, () => constant);
  const read = scalarReader(a);
  const out = new Uint8Array(length);
  const holds = HOLDS[operator];
  for (let i = 0; i < length; i++) {
    const value = convert(read(i));
    out[i] = value === null ? UNKNOWN : holds(compareScalars(value, constant)) ? TRUE : FALSE;
  }
  return out;
}

function compareFast(operator: Comparison, a: Values, constant: Scalar): Truths | undefined {
  if (typeof constant === 'number' || typeof constant === 'bigint') {
    const exact = typeof constant === 'number' || isSafe(constant);
    const numbers = exact ? flatNumbers(a) : undefined;
    if (numbers !== undefined) {
      const values = numbers.values as Float64Array;
      return withUnknown(compareNumbers(operator, values, Number(constant)), numbers.nulls);
    }
    const plain = typeof constant === 'bigint' && a.type !== 'any' ? expand(a.vector) : undefined;
    if (plain?.kind === 'bigint' && typeof constant === 'bigint')
      return withUnknown(compareBigints(operator, plain, constant), plain.nulls);
    return undefined;
  }
  if (typeof constant === 'string' ? a.type !== 'text' : a.type !== 'blob') return undefined;
  const plain = expand(a.vector);
  if (plain.kind !== 'bytes') return undefined;
  const bytes = typeof constant === 'string' ? encodeText(constant) : (constant as Uint8Array);
  return withUnknown(compareWithBytes(operator, plain, bytes), plain.nulls);
}

/** A constant as a count of the values' unit; undefined where it is no time. */
export function countOfText(constant: Scalar, like: ValueType): number | bigint | undefined {
  if (typeof constant !== 'string') return undefined;
  if (like.type === 'time') {
    const ns = parseTime(constant);
    return ns === undefined ? undefined : ns / (1e9 / perSecond(like.unit));
  }
  const instant = parseInstant(constant);
  if (instant === undefined) return undefined;
  return like.type === 'date' ? (instant.ms + instant.ns / 1e6) / 86_400_000 : countOf(instant, like.unit);
}

function compareNumbers(operator: Comparison, values: Float64Array, constant: number): Truths {
  const { length } = values;
  const out = scratchBytes(length);
  switch (operator) {
    case '=':
      for (let i = 0; i < length; i++) out[i] = values[i] === constant ? 1 : 0;
      break;
    case '<>':
      for (let i = 0; i < length; i++) out[i] = values[i]! !== constant ? 1 : 0;
      break;
    case '<':
      for (let i = 0; i < length; i++) out[i] = values[i]! < constant ? 1 : 0;
      break;
    case '<=':
      for (let i = 0; i < length; i++) out[i] = values[i]! <= constant ? 1 : 0;
      break;
    case '>':
      for (let i = 0; i < length; i++) out[i] = values[i]! > constant ? 1 : 0;
      break;
    case '>=':
      for (let i = 0; i < length; i++) out[i] = values[i]! >= constant ? 1 : 0;
      break;
  }
  return out;
}

/** Without a bigint for each value: by the halves. */
function compareBigints(operator: Comparison, vector: BigintVector, constant: bigint): Truths {
  const halves = words(vector.values);
  const high = Number(BigInt.asIntN(32, constant >> 32n));
  const low = Number(BigInt.asUintN(32, constant));
  const out = scratchBytes(vector.length);
  if (operator === '=') {
    // Both halves must be the same, which is told without a branch.
    const last = high >>> 0;
    for (let i = 0; i < out.length; i++)
      out[i] = ((halves[2 * i]! ^ low) | (halves[2 * i + 1]! ^ last)) === 0 ? 1 : 0;
    return out;
  }
  const outcome = OUTCOMES[operator];
  for (let i = 0; i < out.length; i++) {
    const h = halves[2 * i + 1]! | 0;
    const l = halves[2 * i]!;
    out[i] = outcome[h < high ? 0 : h > high ? 2 : l < low ? 0 : l > low ? 2 : 1]!;
  }
  return out;
}

/** What an operator gives for less, equal and greater. */
const OUTCOMES: Readonly<Record<Comparison, Uint8Array>> = {
  '=': Uint8Array.of(0, 1, 0),
  '<>': Uint8Array.of(1, 0, 1),
  '<': Uint8Array.of(1, 0, 0),
  '<=': Uint8Array.of(1, 1, 0),
  '>': Uint8Array.of(0, 0, 1),
  '>=': Uint8Array.of(0, 1, 1),
};

function compareWithBytes(
  operator: Comparison,
  { data, offsets, length }: BytesVector,
  sought: Uint8Array,
): Truths {
  const out = scratchBytes(length);
  const size = sought.length;
  if (operator === '=' || operator === '<>') {
    const equal = operator === '=' ? 1 : 0;
    for (let i = 0; i < length; i++) {
      const start = offsets[i]!;
      let is = offsets[i + 1]! - start === size;
      for (let j = 0; is && j < size; j++) is = data[start + j] === sought[j]!;
      out[i] = is ? equal : 1 - equal;
    }
    return out;
  }
  const outcome = OUTCOMES[operator];
  for (let i = 0; i < length; i++) {
    const start = offsets[i]!;
    const own = offsets[i + 1]! - start;
    const shared = own < size ? own : size;
    let j = 0;
    while (j < shared && data[start + j] === sought[j]!) j++;
    const order = j < shared ? data[start + j]! - sought[j]! : own - size;
    out[i] = outcome[order < 0 ? 0 : order > 0 ? 2 : 1]!;
  }
  return out;
}

const HOLDS: Readonly<Record<Comparison, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

function compareBoth(operator: Comparison, a: Values, b: Values, convert: Conversions): Truths {
  const temporal = isTemporal(a.type) || isTemporal(b.type);
  if (!temporal || (a.type === b.type && a.unit === b.unit)) {
    const x = flatNumbers(a);
    const y = x === undefined ? undefined : flatNumbers(b);
    if (x !== undefined && y !== undefined) {
      const truths = compareTwo(operator, x.values as Float64Array, y.values as Float64Array);
      return withUnknown(withUnknown(truths, x.nulls), y.nulls);
    }
  }
  if (temporal) {
    const read = scalarReader(isTemporal(a.type) ? b : a);
    return isTemporal(a.type) ? compareTimes(operator, a, read) : compareTimes(MIRRORED[operator], b, read);
  }
  const readA = scalarReader(a);
  const readB = scalarReader(b);
  const out = new Uint8Array(a.vector.length);
  const holds = HOLDS[operator];
  for (let i = 0; i < out.length; i++) {
    const x = convert.left(readA(i));
    const y = convert.right(readB(i));
    out[i] = x === null || y === null ? UNKNOWN : holds(compareScalars(x, y)) ? TRUE : FALSE;
  }
  return out;
}

function compareTwo(operator: Comparison, a: Float64Array, b: Float64Array): Truths {
  const { length } = a;
  const out = scratchBytes(length);
  switch (operator) {
    case '=':
      for (let i = 0; i < length; i++) out[i] = a[i] === b[i]! ? 1 : 0;
      break;
    case '<>':
      for (let i = 0; i < length; i++) out[i] = a[i]! !== b[i]! ? 1 : 0;
      break;
    case '<':
      for (let i = 0; i < length; i++) out[i] = a[i]! < b[i]! ? 1 : 0;
      break;
    case '<=':
      for (let i = 0; i < length; i++) out[i] = a[i]! <= b[i]! ? 1 : 0;
      break;
    case '>':
      for (let i = 0; i < length; i++) out[i] = a[i]! > b[i]! ? 1 : 0;
      break;
    case '>=':
      for (let i = 0; i < length; i++) out[i] = a[i]! >= b[i]! ? 1 : 0;
      break;
  }
  return out;
}

/** Times against anything: as instants where the other is a time text, else as texts. */
function compareTimes(operator: Comparison, times: Values, other: (row: number) => Scalar): Truths {
  const read = scalarReader(times);
  const out = new Uint8Array(times.vector.length);
  const holds = HOLDS[operator];
  for (let i = 0; i < out.length; i++) {
    const a = read(i);
    const b = applyText(other(i));
    out[i] = a === null || b === null ? UNKNOWN : holds(compareTime(a, b)) ? TRUE : FALSE;
  }
  return out;
}

function compareTime(a: Scalar, b: Scalar): number {
  if (typeof a !== 'string' || typeof b !== 'string') return compareScalars(a, b);
  const x = parseInstant(a);
  const y = x === undefined ? undefined : parseInstant(b);
  if (x !== undefined && y !== undefined) return x.ms - y.ms || x.ns - y.ns;
  const t = parseTime(a);
  const u = t === undefined ? undefined : parseTime(b);
  return t === undefined || u === undefined ? compareScalars(a, b) : t - u;
}

/** The rows at which a truth is true. */
export function trueRows(truths: Truths): Uint32Array {
  const rows = integers(truths.length);
  let count = 0;
  for (let i = 0; i < truths.length; i++) {
    rows[count] = i;
    count += truths[i]! & 1;
  }
  return rows.subarray(0, count);
}

/** The frame's rows for which every one of `predicates` is true; each looks only at what the ones before have left. */
export function filterFrame(frame: Frame, predicates: readonly Node[]): Frame {
  let kept = frame;
  for (const predicate of predicates) {
    if (kept.length === 0) return kept;
    kept = kept.select(trueRows(predicate.truths(kept)));
  }
  return kept;
}
