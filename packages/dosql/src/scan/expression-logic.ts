import { Frame } from './frame.ts';
import { truthNode, UNKNOWN, valueNode, FALSE, TRUE, nullsOf, type Node } from './expression-node.ts';
import { trueRows } from './expression-compare.ts';
import {
  constantValues,
  expand,
  isTemporal,
  plainType,
  scalarReader,
  flatNumbers,
  mixedValues,
  numberValues,
  typeOnly,
  type Values,
  type ValueType,
} from './values.ts';
import { doubles, integers } from './scratch.ts';
import { encodeText, type Scalar } from './scalar.ts';
import type { BytesVector } from './vector.ts';

/** For each pair of truths, of AND and of OR. */
const BOTH = Uint8Array.of(FALSE, FALSE, FALSE, FALSE, TRUE, UNKNOWN, FALSE, UNKNOWN, UNKNOWN);
const EITHER = Uint8Array.of(FALSE, TRUE, UNKNOWN, TRUE, TRUE, TRUE, UNKNOWN, TRUE, UNKNOWN);

/** `left AND right`, or `left OR right`. */
export function logicNode(operator: 'and' | 'or', left: Node, right: Node): Node {
  const outcome = operator === 'and' ? BOTH : EITHER;
  return truthNode([left, right], (frame) => {
    const a = left.truths(frame);
    const b = right.truths(frame);
    for (let i = 0; i < a.length; i++) a[i] = outcome[a[i]! * 3 + b[i]!]!;
    return a;
  });
}

/** `NOT operand`. */
export function notNode(operand: Node): Node {
  return truthNode([operand], (frame) => {
    const truths = operand.truths(frame);
    for (let i = 0; i < truths.length; i++) if (truths[i]! < UNKNOWN) truths[i] = 1 - truths[i]!;
    return truths;
  });
}

/** Rows of a frame, and the values that they have. */
interface Part {
  readonly rows: Uint32Array;
  readonly values: Values;
}

/**
 * The value of the first branch whose condition is true; each is evaluated for its own rows only. Where nothing but the sum
 * of the values matters (`isSummed`), an integer 0 is as good as a REAL one.
 */
export function caseNode(
  branches: readonly { readonly when: Node; readonly result: Node }[],
  otherwise: Node,
  isSummed = false,
): Node {
  const inputs = branches.flatMap(({ when, result }) => [when, result]);
  const results = [...branches.map(({ result }) => result), otherwise];
  const zeroIsReal = isSummed && results.every(isRealOrZero);
  return valueNode(
    [...inputs, otherwise],
    (frame) => {
      const blended = blend(frame, branches, otherwise, zeroIsReal);
      if (blended !== undefined) return blended;
      const parts: Part[] = [];
      let rest = allRows(frame.length);
      for (const { when, result } of branches) {
        if (rest.length === 0) break;
        const truths = when.truths(frame.select(rest));
        const taken = at(rest, trueRows(truths));
        if (taken.length === 0) continue;
        parts.push({ rows: taken, values: result.evaluate(frame.select(taken)) });
        rest = at(rest, otherRows(truths));
      }
      if (rest.length > 0) parts.push({ rows: rest, values: otherwise.evaluate(frame.select(rest)) });
      return merge(parts, frame.length, zeroIsReal);
    },
    { type: commonType(results) },
  );
}

function isRealOrZero({ constant, type }: Node): boolean {
  if (constant === undefined) return type?.type === 'real';
  return constant === null || constant === 0n || typeof constant === 'number';
}

/** One condition between numbers that are at hand: both are taken row by row, which is less work than parting the rows. */
function blend(
  frame: Frame,
  branches: readonly { readonly when: Node; readonly result: Node }[],
  otherwise: Node,
  zeroIsReal: boolean,
): Values | undefined {
  const [branch] = branches;
  if (branch === undefined || branches.length > 1 || !isAtHand(branch.result) || !isAtHand(otherwise))
    return undefined;
  const yes = branch.result.evaluate(frame);
  const no = otherwise.evaluate(frame);
  const isMixed = yes.type !== no.type;
  if (isMixed && !(zeroIsReal && isNumber(yes) && isNumber(no))) return undefined;
  if (!isMixed && !sameType(yes, no)) return undefined;
  const a = flatNumbers(yes);
  const b = a === undefined ? undefined : flatNumbers(no);
  if (a === undefined || b === undefined || a.nulls !== undefined || b.nulls !== undefined) return undefined;
  const truths = branch.when.truths(frame);
  const out = doubles(frame.length);
  for (let i = 0; i < out.length; i++) out[i] = truths[i] === TRUE ? a.values[i]! : b.values[i]!;
  return numberValues(isMixed ? 'real' : yes.type, out, undefined, yes);
}

function isAtHand({ constant, columns, isColumn }: Node): boolean {
  return isColumn || (columns.length === 0 && (typeof constant === 'bigint' || typeof constant === 'number'));
}

function isNumber({ type }: ValueType): boolean {
  return type === 'integer' || type === 'real';
}

/** The first value that is not NULL. */
export function coalesceNode(nodes: readonly Node[]): Node {
  return valueNode(
    nodes,
    (frame) => {
      const parts: Part[] = [];
      let rest = allRows(frame.length);
      for (const node of nodes) {
        if (rest.length === 0) break;
        const values = node.evaluate(frame.select(rest));
        const nulls = nullsOf(values);
        if (nulls === undefined) {
          parts.push({ rows: rest, values });
          rest = new Uint32Array(0);
          break;
        }
        const kept = trueRows(nulls.map((flag) => 1 - flag));
        if (kept.length > 0) {
          const inner = new Frame(rest.length, () => values).select(kept).column(0);
          parts.push({ rows: at(rest, kept), values: inner });
        }
        rest = at(rest, trueRows(nulls as Uint8Array<ArrayBuffer>));
      }
      if (rest.length > 0) parts.push({ rows: rest, values: constantValues(null, rest.length) });
      return merge(parts, frame.length, false);
    },
    { type: commonType(nodes) },
  );
}

function commonType(nodes: readonly Node[]): ValueType | undefined {
  const typed = nodes.filter(({ constant }) => constant !== null);
  const [first, ...others] = typed.map(({ type }) => type);
  const isSame = others.every(
    (type) => type?.type === first?.type && type?.unit === first?.unit && type?.isUtc === first?.isUtc,
  );
  return isSame ? first : undefined;
}

function allRows(length: number): Uint32Array {
  const rows = integers(length);
  for (let i = 0; i < length; i++) rows[i] = i;
  return rows;
}

function at(rows: Uint32Array, positions: Uint32Array): Uint32Array {
  const out = integers(positions.length);
  for (let i = 0; i < out.length; i++) out[i] = rows[positions[i]!]!;
  return out;
}

function otherRows(truths: Uint8Array): Uint32Array {
  const rows = integers(truths.length);
  let count = 0;
  for (let i = 0; i < truths.length; i++) if (truths[i] !== TRUE) rows[count++] = i;
  return rows.subarray(0, count);
}

function merge(parts: readonly Part[], length: number, zeroIsReal: boolean): Values {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only.values;
  return (
    mergeNumbers(parts, length, zeroIsReal) ??
    mergeIntegers(parts, length) ??
    mergeTexts(parts, length) ??
    mergeEach(parts, length)
  );
}

/** Numbers of one type stay numbers; an integer that can only be 0 joins reals where `zeroIsReal`. */
function mergeNumbers(parts: readonly Part[], length: number, zeroIsReal: boolean): Values | undefined {
  const values = doubles(length).fill(0);
  let nulls: Uint8Array | undefined;
  let like: ValueType | undefined;
  for (const part of parts) {
    const numbers = flatNumbers(part.values);
    if (numbers === undefined) {
      if (!isNull(part.values)) return undefined;
      nulls ??= new Uint8Array(length);
      for (let i = 0; i < part.rows.length; i++) nulls[part.rows[i]!] = 1;
      continue;
    }
    const { type } = part.values;
    if (like === undefined || (zeroIsReal && like.type === 'integer' && type === 'real')) like = part.values;
    else if (!sameType(like, part.values) && !(zeroIsReal && like.type === 'real' && type === 'integer'))
      return undefined;
    for (let i = 0; i < part.rows.length; i++) values[part.rows[i]!] = numbers.values[i]!;
    if (numbers.nulls === undefined) continue;
    nulls ??= new Uint8Array(length);
    for (let i = 0; i < part.rows.length; i++) nulls[part.rows[i]!] = numbers.nulls[i]!;
  }
  return like === undefined ? undefined : numberValues(like.type, values, nulls, like);
}

/** Integers and times of one type stay what they are where some are beyond ±2^53. */
function mergeIntegers(parts: readonly Part[], length: number): Values | undefined {
  const values = new BigInt64Array(length);
  const nulls = new Uint8Array(length);
  let like: ValueType | undefined;
  for (const { rows, values: part } of parts) {
    if (isNull(part)) {
      for (let i = 0; i < rows.length; i++) nulls[rows[i]!] = 1;
      continue;
    }
    if (part.type !== 'integer' && !isTemporal(part.type)) return undefined;
    like ??= part;
    const vector = expand(part.vector);
    if (!sameType(like, part) || (vector.kind !== 'number' && vector.kind !== 'bigint')) return undefined;
    for (let i = 0; i < rows.length; i++)
      if (vector.nulls?.[i] === 1) nulls[rows[i]!] = 1;
      else values[rows[i]!] = BigInt(vector.values[i]!);
  }
  if (like === undefined) return undefined;
  const some = nulls.includes(1) ? nulls : undefined;
  return { ...typeOnly(like), vector: { kind: 'bigint', length, nulls: some, values } };
}

/** Texts stay bytes. */
function mergeTexts(parts: readonly Part[], length: number): Values | undefined {
  const vectors: BytesVector[] = [];
  for (const { values } of parts) {
    const vector = bytesOf(values);
    if (vector === undefined) return undefined;
    vectors.push(vector);
  }
  const offsets = new Uint32Array(length + 1);
  const nulls = new Uint8Array(length);
  parts.forEach(({ rows }, part) => {
    const vector = vectors[part] as BytesVector;
    for (let i = 0; i < rows.length; i++) {
      offsets[rows[i]! + 1] = vector.offsets[i + 1]! - vector.offsets[i]!;
      if (vector.nulls !== undefined) nulls[rows[i]!] = vector.nulls[i]!;
    }
  });
  for (let i = 0; i < length; i++) offsets[i + 1]! += offsets[i]!;
  const data = new Uint8Array(offsets[length]!);
  parts.forEach(({ rows }, part) => {
    const vector = vectors[part] as BytesVector;
    for (let i = 0; i < rows.length; i++) {
      const from = vector.offsets[i]!;
      const end = vector.offsets[i + 1]!;
      for (let at = from, to = offsets[rows[i]!]!; at < end; at++, to++) data[to] = vector.data[at]!;
    }
  });
  const some = nulls.includes(1) ? nulls : undefined;
  return { ...plainType('text'), vector: { kind: 'bytes', length, nulls: some, data, offsets } };
}

/** Texts as bytes, a constant one too. */
function bytesOf({ type, vector }: Values): BytesVector | undefined {
  if (type === 'text') {
    const plain = expand(vector);
    return plain.kind === 'bytes' ? plain : undefined;
  }
  const constant =
    vector.kind === 'runs' && vector.values.kind === 'mixed' ? vector.values.values : undefined;
  const [text] = constant ?? [];
  if (constant?.length !== 1 || typeof text !== 'string' || !text.isWellFormed()) return undefined;
  const bytes = encodeText(text);
  const data = new Uint8Array(bytes.length * vector.length);
  const offsets = new Uint32Array(vector.length + 1);
  for (let i = 0; i < vector.length; i++) {
    data.set(bytes, i * bytes.length);
    offsets[i + 1] = (i + 1) * bytes.length;
  }
  return { kind: 'bytes', length: vector.length, nulls: undefined, data, offsets };
}

function sameType(a: ValueType, b: ValueType): boolean {
  return a.type === b.type && a.unit === b.unit && a.isUtc === b.isUtc;
}

function isNull({ vector }: Values): boolean {
  return (
    vector.kind === 'runs' && vector.values.kind === 'mixed' && vector.values.values.every((v) => v === null)
  );
}

function mergeEach(parts: readonly Part[], length: number): Values {
  const out: Scalar[] = Array.from({ length }, () => null);
  for (const { rows, values } of parts) {
    const read = scalarReader(values);
    for (let i = 0; i < rows.length; i++) out[rows[i]!] = read(i);
  }
  return mixedValues(out);
}
