import { DoSQLError } from '../error.ts';
import { lowerName } from '../sql/token.ts';
import { arithmeticNode, bitNode, complementNode, joinNode } from './expression-arithmetic.ts';
import { compareNode, isNode } from './expression-compare.ts';
import { inNode, likeNode } from './expression-match.ts';
import { caseNode, coalesceNode, logicNode, notNode } from './expression-logic.ts';
import { columnNode, constantNode, valueNode, type Node } from './expression-node.ts';
import { FUNCTIONS, type ScalarFunction } from './functions.ts';
import { textFunctionNode } from './functions-text.ts';
import {
  epochNode,
  FORMATS,
  formatNode,
  partNode,
  timePart,
  truncatable,
  truncateNode,
} from './functions-time.ts';
import { Declined } from './plan-expression.ts';
import type { Call, Expression } from './plan-syntax.ts';
import { castScalar, castType, type Affinity, type Scalar } from './scalar.ts';
import { fromScalars, plainType, scalarReader, type ValueType } from './values.ts';
import type { ColumnType, ScanColumn } from './vector.ts';

/** What an expression can name. */
export interface Scope {
  readonly columns: readonly ScanColumn[];
  /** What is known of each slot: the outputs of the grouping below. */
  readonly slots: readonly SlotType[];
  readonly parameters: readonly Scalar[];
}

/** What is known beforehand of one output of a grouping. */
export interface SlotType {
  readonly type: ValueType | undefined;
  readonly affinity: Affinity;
}

/** The number of the column that `name` names; -1 where there is none. */
export function columnIndex(columns: readonly ScanColumn[], name: string): number {
  const exact = columns.findIndex((column) => column.name === name);
  if (exact >= 0) return exact;
  const lower = lowerName(name);
  return columns.findIndex((column) => lowerName(column.name) === lower);
}

/** What a comparison does with a column of this type. */
export function affinityOf(type: ColumnType): Affinity {
  if (type === 'integer' || type === 'real') return 'numeric';
  return type === 'any' || type === 'blob' ? 'blob' : 'text';
}

/**
 * Makes an expression ready to be evaluated; `isSummed` where nothing but the sum of its values matters.
 *
 * @throws DoSQLError `NO_SUCH_COLUMN`
 */
export function compile(expression: Expression, scope: Scope, isSummed = false): Node {
  const inner = (operand: Expression): Node => compile(operand, scope);
  switch (expression.kind) {
    case 'literal':
      return constantNode(expression.value);
    case 'parameter':
      return constantNode(scope.parameters[expression.index - 1] ?? null);
    case 'column':
      return compileColumn(expression.name, scope);
    case 'slot': {
      const slot = scope.slots[expression.index];
      return columnNode(expression.index, slot?.type ?? plainType('any'), slot?.affinity ?? 'none');
    }
    case 'unary':
      return compileUnary(expression.operator, inner(expression.operand));
    case 'binary':
      return compileBinary(expression, inner);
    case 'between':
      return compileBetween(expression, inner);
    case 'in':
      return inNode(inner(expression.operand), expression.list.map(inner), expression.not);
    case 'like': {
      const escape = expression.escape === undefined ? undefined : inner(expression.escape);
      const { operator, not } = expression;
      return likeNode(operator, inner(expression.operand), inner(expression.pattern), escape, not);
    }
    case 'case':
      return compileCase(expression, inner, isSummed);
    case 'cast':
      return compileCast(inner(expression.operand), expression.type);
    default:
      return compileCall(expression, inner, isSummed);
  }
}

function compileColumn(name: string, { columns }: Scope): Node {
  const index = columnIndex(columns, name);
  const column = columns[index];
  if (column === undefined) {
    if (/^(?:true|false)$/i.test(name)) return constantNode(/^t/i.test(name) ? 1n : 0n);
    throw new DoSQLError('NO_SUCH_COLUMN', `no such column: ${name}`);
  }
  const type = { type: column.type, unit: column.unit ?? 'ms', isUtc: column.isUtc ?? true } as const;
  return columnNode(index, type, affinityOf(column.type));
}

function compileUnary(operator: '-' | '+' | '~' | 'not', operand: Node): Node {
  switch (operator) {
    case '-':
      if (typeof operand.constant === 'number') return constantNode(-operand.constant);
      return arithmeticNode('-', constantNode(0n), operand);
    case '+':
      return { ...operand, affinity: 'none' };
    case '~':
      return complementNode(operand);
    default:
      return notNode(operand);
  }
}

function compileBinary(
  { operator, left, right }: Extract<Expression, { kind: 'binary' }>,
  inner: (operand: Expression) => Node,
): Node {
  const a = inner(left);
  const b = inner(right);
  switch (operator) {
    case 'and':
    case 'or':
      return logicNode(operator, a, b);
    case 'is':
    case 'is not':
      return isNode(a, b, operator === 'is not');
    case '=':
    case '<>':
    case '<':
    case '<=':
    case '>':
    case '>=':
      return compareNode(operator, a, b);
    case '||':
      return joinNode(a, b);
    case '&':
    case '|':
    case '<<':
    case '>>':
      return bitNode(operator, a, b);
    default:
      return arithmeticNode(operator, a, b);
  }
}

function compileBetween(
  { operand, low, high, not }: Extract<Expression, { kind: 'between' }>,
  inner: (operand: Expression) => Node,
): Node {
  const value = inner(operand);
  const both = logicNode('and', compareNode('>=', value, inner(low)), compareNode('<=', value, inner(high)));
  return not ? notNode(both) : both;
}

function compileCase(
  { operand, branches, otherwise }: Extract<Expression, { kind: 'case' }>,
  inner: (operand: Expression) => Node,
  isSummed: boolean,
): Node {
  const base = operand === undefined ? undefined : inner(operand);
  return caseNode(
    branches.map(({ when, result }) => ({
      when: base === undefined ? inner(when) : compareNode('=', base, inner(when)),
      result: inner(result),
    })),
    otherwise === undefined ? constantNode(null) : inner(otherwise),
    isSummed,
  );
}

function compileCast(operand: Node, name: string): Node {
  const type = castType(name);
  const affinity = type === 'text' ? 'text' : type === 'blob' ? 'blob' : 'numeric';
  const known: ValueType | undefined = type === 'integer' || type === 'real' ? plainType(type) : undefined;
  return valueNode(
    [operand],
    (frame) => {
      const values = operand.evaluate(frame);
      if (values.type === type) return values;
      const read = scalarReader(values);
      const out: Scalar[] = [];
      for (let i = 0; i < frame.length; i++) out.push(castScalar(read(i), type));
      return fromScalars(out);
    },
    { affinity, type: known },
  );
}

function compileCall(call: Call, inner: (operand: Expression) => Node, isSummed: boolean): Node {
  const args = call.args.map(inner);
  const [first, second, third] = args;
  switch (call.name) {
    case 'coalesce':
    case 'ifnull':
      return coalesceNode(args);
    case 'iif':
    case 'if':
      return compileIif(args, isSummed);
    case 'nullif':
      if (first === undefined || second === undefined) break;
      return caseNode(
        [{ when: compareNode('=', bare(first), bare(second)), result: constantNode(null) }],
        first,
      );
    case 'date_trunc':
    case 'datetrunc':
    case 'date_part':
    case 'datepart':
    case 'extract': {
      const part = String(first?.constant ?? '');
      const known = call.name.endsWith('trunc') ? truncatable(part) : timePart(part);
      if (known === undefined || second === undefined) break;
      return call.name.endsWith('trunc') ? truncateNode(known, second) : partNode(known, second);
    }
    case 'strftime':
      if (second === undefined) break;
      return formatNode(String(first?.constant ?? ''), second, third !== undefined);
    case 'date':
    case 'time':
    case 'datetime':
      if (first === undefined) break;
      return formatNode(FORMATS[call.name] ?? '', first, second !== undefined);
    case 'unixepoch':
    case 'julianday':
      if (first === undefined) break;
      return epochNode(call.name, first);
  }
  const part = timePart(call.name);
  if (part !== undefined && first !== undefined) return partNode(part, first);
  return textFunctionNode(call.name, args) ?? scalarCall(call.name, args);
}

/** A function's arguments are compared as they are, whatever columns they come from. */
function bare(node: Node): Node {
  return { ...node, affinity: 'none' };
}

function compileIif(args: readonly Node[], isSummed: boolean): Node {
  const branches: { when: Node; result: Node }[] = [];
  for (let i = 0; i + 1 < args.length; i += 2)
    branches.push({ when: args[i] as Node, result: args[i + 1] as Node });
  const otherwise = args.length % 2 === 1 ? args.at(-1) : undefined;
  return caseNode(branches, otherwise ?? constantNode(null), isSummed);
}

function scalarCall(name: string, args: readonly Node[]): Node {
  const known: ScalarFunction | undefined = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (known === undefined) throw new Declined();
  return valueNode(args, (frame) => {
    const readers = args.map((arg) => scalarReader(arg.evaluate(frame)));
    const values: Scalar[] = readers.map(() => null);
    const out: Scalar[] = [];
    for (let i = 0; i < frame.length; i++) {
      for (let arg = 0; arg < readers.length; arg++) values[arg] = readers[arg]!(i);
      out.push(known.call(values));
    }
    return fromScalars(out);
  });
}
