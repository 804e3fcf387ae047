import { Frame } from './frame.ts';
import { truthNode, UNKNOWN, valueNode, FALSE, TRUE, nullsOf, type Node } from './expression-node.ts';
import { trueRows } from './expression-compare.ts';
import { scalarReader, flatNumbers, mixedValues, fromScalars, numberValues, type Values, type ValueType } from './values.ts';
import type { Scalar } from './scalar.ts';

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

/** The value of the first branch whose condition is true; each is evaluated for its own rows only. */
export function caseNode(
  branches: readonly { readonly when: Node; readonly then: Node }[],
  otherwise: Node,
): Node {
  const inputs = branches.flatMap(({ when, then }) => [when, then]);
  const results = [...branches.map(({ then }) => then), otherwise];
  const zeroIsReal = results.every((node) => node.type?.type !== 'integer' || node.constant === 0n);
  return valueNode(
    [...inputs, otherwise],
    (frame) => {
      const parts: Part[] = [];
      let rest = allRows(frame.length);
      for (const { when, then } of branches) {
        if (rest.length === 0) break;
        const truths = when.truths(frame.select(rest));
        const taken = at(rest, trueRows(truths));
        if (taken.length === 0) continue;
        parts.push({ rows: taken, values: then.evaluate(frame.select(taken)) });
        rest = at(rest, otherRows(truths));
      }
      if (rest.length > 0) parts.push({ rows: rest, values: otherwise.evaluate(frame.select(rest)) });
      return merge(parts, frame.length, zeroIsReal);
    },
    { type: commonType(results) },
  );
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
        const kept = trueRows(nulls.map((flag) => 1 - flag) as Uint8Array<ArrayBuffer>);
        if (kept.length > 0) {
          const inner = new Frame(rest.length, () => values).select(kept).column(0);
          parts.push({ rows: at(rest, kept), values: inner });
        }
        rest = at(rest, trueRows(nulls as Uint8Array<ArrayBuffer>));
      }
      if (rest.length > 0) parts.push({ rows: rest, values: fromScalars(Array.from(rest, () => null)) });
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
  const rows = new Uint32Array(length);
  for (let i = 0; i < length; i++) rows[i] = i;
  return rows;
}

function at(rows: Uint32Array, positions: Uint32Array): Uint32Array {
  const out = new Uint32Array(positions.length);
  for (let i = 0; i < out.length; i++) out[i] = rows[positions[i]!]!;
  return out;
}

function otherRows(truths: Uint8Array): Uint32Array {
  const rows = new Uint32Array(truths.length);
  let count = 0;
  for (let i = 0; i < truths.length; i++) if (truths[i] !== TRUE) rows[count++] = i;
  return rows.subarray(0, count);
}

function merge(parts: readonly Part[], length: number, zeroIsReal: boolean): Values {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only.values;
  return mergeNumbers(parts, length, zeroIsReal) ?? mergeEach(parts, length);
}

/** Numbers of one type stay numbers. An integer that can only be 0 may join reals: nobody but `typeof` can tell. */
function mergeNumbers(parts: readonly Part[], length: number, zeroIsReal: boolean): Values | undefined {
  const values = new Float64Array(length);
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

function sameType(a: ValueType, b: ValueType): boolean {
  return a.type === b.type && a.unit === b.unit && a.isUtc === b.isUtc;
}

function isNull({ vector }: Values): boolean {
  return vector.kind === 'runs' && vector.values.kind === 'mixed' && vector.values.values.every((v) => v === null);
}

function mergeEach(parts: readonly Part[], length: number): Values {
  const out: Scalar[] = Array.from({ length }, () => null);
  for (const { rows, values } of parts) {
    const read = scalarReader(values);
    for (let i = 0; i < rows.length; i++) out[rows[i]!] = read(i);
  }
  return mixedValues(out);
}
