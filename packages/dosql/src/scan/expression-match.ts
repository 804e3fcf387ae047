import { compareNode, conversions } from './expression-compare.ts';
import {
  FALSE,
  TRUE,
  truthNode,
  UNKNOWN,
  withUnknown,
  constantNode,
  type Node,
  type Truths,
} from './expression-node.ts';
import { logicNode, notNode } from './expression-logic.ts';
import { byteLike, globMatcher, likeMatcher, matchBytes, type ByteLike, type Matcher } from './pattern.ts';
import { toText, type Scalar } from './scalar.ts';
import { expand, isTemporal, scalarReader } from './values.ts';
import type { Vector } from './vector.ts';

/** Up to so many constants are sought one by one. */
const FEW = 8;

/** `operand IN (list)`. */
export function inNode(operand: Node, list: readonly Node[], not: boolean): Node {
  const node = membership(operand, list);
  return not ? notNode(node) : node;
}

function membership(operand: Node, list: readonly Node[]): Node {
  const constants = list.map(({ constant }) => constant);
  const many = list.length > FEW && constants.every((constant) => constant !== undefined);
  if (!many || (operand.type !== undefined && isTemporal(operand.type.type)))
    return list
      .map((node) => compareNode('=', operand, { ...node, affinity: 'none' }))
      .reduce((left, right) => logicNode('or', left, right));
  const convert = conversions(operand.affinity, 'none');
  const keys = new Set(
    constants.filter((c) => c !== null && c !== undefined).map((c) => keyOf(convert.right(c))),
  );
  const otherwise = constants.includes(null) ? UNKNOWN : FALSE;
  return truthNode([operand], (frame) => {
    const read = scalarReader(operand.evaluate(frame));
    const out = new Uint8Array(frame.length);
    for (let i = 0; i < out.length; i++) {
      const value = read(i);
      out[i] = value === null ? UNKNOWN : keys.has(keyOf(convert.left(value))) ? TRUE : otherwise;
    }
    return out;
  });
}

/** Equal for values that are equal, and different for others. */
export function keyOf(scalar: Scalar): string | number | bigint {
  if (typeof scalar === 'string') return `t${scalar}`;
  if (scalar instanceof Uint8Array) return `b${scalar.join()}`;
  if (scalar === null) return 'n';
  if (typeof scalar === 'number')
    return Number.isInteger(scalar) &&
      Math.abs(scalar) > Number.MAX_SAFE_INTEGER &&
      scalar >= -(2 ** 63) &&
      scalar < 2 ** 63
      ? BigInt(scalar)
      : scalar + 0;
  const number = Number(scalar);
  return Number.isSafeInteger(number) ? number : scalar;
}

/** `operand LIKE pattern ESCAPE escape`, or GLOB. */
export function likeNode(
  operator: 'like' | 'glob',
  operand: Node,
  pattern: Node,
  escape: Node | undefined,
  not: boolean,
): Node {
  const inputs = [operand, pattern, ...(escape === undefined ? [] : [escape])];
  if (pattern.constant === null || escape?.constant === null) return constantNode(null);
  const fixed = pattern.constant !== undefined && (escape === undefined || escape.constant !== undefined);
  const node = fixed
    ? fixedLike(
        operator,
        operand,
        toText(pattern.constant) ?? '',
        toText(escape?.constant ?? null) ?? undefined,
      )
    : truthNode(inputs, (frame) => {
        const read = scalarReader(operand.evaluate(frame));
        const readPattern = scalarReader(pattern.evaluate(frame));
        const readEscape = escape === undefined ? undefined : scalarReader(escape.evaluate(frame));
        const out = new Uint8Array(frame.length);
        for (let i = 0; i < out.length; i++) {
          const text = toText(read(i));
          const own = toText(readPattern(i));
          const escapes = readEscape === undefined ? undefined : toText(readEscape(i));
          if (text === null || own === null || escapes === null) out[i] = UNKNOWN;
          else out[i] = matcherOf(operator, own, escapes)(text) ? TRUE : FALSE;
        }
        return out;
      });
  return not ? notNode(node) : node;
}

function matcherOf(operator: 'like' | 'glob', pattern: string, escape: string | undefined): Matcher {
  return operator === 'glob' ? globMatcher(pattern) : likeMatcher(pattern, escape);
}

function fixedLike(
  operator: 'like' | 'glob',
  operand: Node,
  pattern: string,
  escape: string | undefined,
): Node {
  const matcher = matcherOf(operator, pattern, escape);
  const bytes = operator === 'like' ? byteLike(pattern, escape) : undefined;
  return truthNode([operand], (frame): Truths => {
    const values = operand.evaluate(frame);
    const matched =
      bytes === undefined || values.type !== 'text' ? undefined : matchVector(values.vector, bytes);
    if (matched !== undefined) return matched;
    const read = scalarReader(values);
    const out = new Uint8Array(frame.length);
    for (let i = 0; i < out.length; i++) {
      const text = toText(read(i));
      out[i] = text === null ? UNKNOWN : matcher(text) ? TRUE : FALSE;
    }
    return out;
  });
}

/** Texts that have codes are matched where they stand: putting them side by side would cost more than the match. */
function matchVector(vector: Vector, like: ByteLike): Truths | undefined {
  if (vector.kind === 'dictionary' && vector.dictionary.kind === 'bytes' && vector.nulls === undefined)
    return matchBytes(vector.dictionary, like, vector.codes);
  const plain = expand(vector);
  return plain.kind === 'bytes' ? withUnknown(matchBytes(plain, like), plain.nulls) : undefined;
}
