import type { SqlValue } from '../value/row.ts';
import { affinityOf, columnIndex, compile, type Scope } from './expression.ts';
import { conversions } from './expression-compare.ts';
import { operands, type Expression } from './plan-syntax.ts';
import { toText, type Scalar } from './scalar.ts';
import type { Condition } from './table.ts';
import { parseInstant } from './time.ts';
import { isSafe } from './values.ts';
import type { ScanColumn } from './vector.ts';

type Operator = Condition['operator'];

const MIRRORED: Readonly<Record<string, Operator>> = { '=': '=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' };

/**
 * What a table may leave rows out by: the conjuncts that compare a column with a constant. They say no more than the
 * predicates themselves do, and may say less.
 */
export function conditionsOf(where: readonly Expression[], scope: Scope): Condition[] {
  return where.flatMap((conjunct) => conditionOf(conjunct, scope));
}

function conditionOf(conjunct: Expression, scope: Scope): Condition[] {
  switch (conjunct.kind) {
    case 'binary':
      return ofBinary(conjunct, scope);
    case 'between': {
      const column = conjunct.not ? undefined : columnOf(conjunct.operand, scope);
      if (column === undefined) return [];
      const low = constantOf(conjunct.low, scope);
      const high = constantOf(conjunct.high, scope);
      return [...compared(column, '>=', low), ...compared(column, '<=', high)];
    }
    case 'in': {
      const column = conjunct.not ? undefined : columnOf(conjunct.operand, scope);
      return column === undefined ? [] : ofList(column, conjunct.list, scope);
    }
    case 'like':
      return ofLike(conjunct, scope);
    default:
      return [];
  }
}

function ofBinary(
  { operator, left, right }: Extract<Expression, { kind: 'binary' }>,
  scope: Scope,
): Condition[] {
  const column = columnOf(left, scope);
  if (operator === 'and') return [...conditionOf(left, scope), ...conditionOf(right, scope)];
  if (operator === 'is' || operator === 'is not') {
    if (column === undefined || constantOf(right, scope) !== null) return [];
    return [{ column: column.name, operator: operator === 'is' ? 'is null' : 'is not null', values: [] }];
  }
  const mirrored = MIRRORED[operator];
  if (mirrored === undefined) return [];
  if (column !== undefined) return compared(column, operator as Operator, constantOf(right, scope));
  const other = columnOf(right, scope);
  return other === undefined ? [] : compared(other, mirrored, constantOf(left, scope));
}

function columnOf(expression: Expression, { columns }: Scope): ScanColumn | undefined {
  return expression.kind === 'column' ? columns[columnIndex(columns, expression.name)] : undefined;
}

/** The value of an expression without columns; undefined for any other. */
function constantOf(expression: Expression, scope: Scope): Scalar | undefined {
  const isFixed = (inner: Expression): boolean =>
    inner.kind !== 'column' && inner.kind !== 'slot' && operands(inner).every(isFixed);
  return isFixed(expression) ? compile(expression, scope).constant : undefined;
}

/** A constant as the column's values compare with it; undefined where they do so otherwise than a table does. */
function comparable(column: ScanColumn, constant: Scalar | undefined): SqlValue | undefined {
  if (constant === undefined || constant === null) return undefined;
  const value = conversions(affinityOf(column.type), 'none').right(constant);
  switch (column.type) {
    case 'integer':
      if (typeof value === 'bigint') return isSafe(value) ? Number(value) : value;
      return typeof value === 'number' ? value : undefined;
    case 'real':
      if (typeof value === 'bigint') return isSafe(value) ? Number(value) : undefined;
      return typeof value === 'number' ? value : undefined;
    case 'text':
      return typeof value === 'string' ? value : undefined;
    case 'blob':
      return value instanceof Uint8Array ? value : undefined;
    case 'date':
      return typeof value === 'string' && parseInstant(value) !== undefined ? value : undefined;
    default:
      return undefined;
  }
}

function compared(column: ScanColumn, operator: Operator, constant: Scalar | undefined): Condition[] {
  if (column.type === 'timestamp') return ofTime(column.name, operator, constant);
  const value = comparable(column, constant);
  return value === undefined ? [] : [{ column: column.name, operator, values: [value] }];
}

/** Milliseconds; what lies between two of them widens the condition to both. */
function ofTime(column: string, operator: Operator, constant: Scalar | undefined): Condition[] {
  const instant = typeof constant === 'string' ? parseInstant(constant) : undefined;
  if (instant === undefined) return [];
  const { ms, ns } = instant;
  if (ns === 0) return [{ column, operator, values: [ms] }];
  const above: Condition = { column, operator: '>=', values: [ms] };
  const below: Condition = { column, operator: '<=', values: [ms + 1] };
  if (operator === '=') return [above, below];
  return [operator.startsWith('>') ? above : below];
}

function ofList(column: ScanColumn, list: readonly Expression[], scope: Scope): Condition[] {
  const values: SqlValue[] = [];
  for (const item of list) {
    const constant = constantOf(item, scope);
    if (constant === null) continue;
    const value = comparable(column, constant);
    if (value === undefined) return [];
    values.push(value);
  }
  return values.length === 0 ? [] : [{ column: column.name, operator: 'in', values }];
}

/** A pattern that begins with characters that stand for themselves bounds the text; letters do not, whose case LIKE ignores. */
function ofLike(
  { operator, not, operand, pattern, escape }: Extract<Expression, { kind: 'like' }>,
  scope: Scope,
): Condition[] {
  const column = columnOf(operand, scope);
  if (column?.type !== 'text' || not || escape !== undefined) return [];
  const text = toText(constantOf(pattern, scope) ?? null);
  const own = operator === 'like' ? /^[^%_A-Za-z\u{80}-\u{10ffff}]+/u : /^[^*?[\u{80}-\u{10ffff}]+/u;
  const prefix = text === null ? undefined : own.exec(text)?.[0];
  if (prefix === undefined) return [];
  const next = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
  return [
    { column: column.name, operator: '>=', values: [prefix] },
    { column: column.name, operator: '<', values: [next] },
  ];
}

/** A condition as an expression, for those who want it fulfilled to the letter. */
export function expressionOf(condition: Condition, column: ScanColumn | undefined): Expression {
  const operand: Expression = { kind: 'column', name: condition.column };
  const literal = (value: SqlValue | undefined): Expression => ({
    kind: 'literal',
    value:
      column?.type === 'timestamp' && typeof value === 'number'
        ? new Date(value).toISOString()
        : typeof value === 'number' && Number.isSafeInteger(value) && column?.type !== 'real'
          ? BigInt(value)
          : (value ?? null),
  });
  const { operator, values } = condition;
  if (operator === 'in') return { kind: 'in', not: false, operand, list: values.map(literal) };
  if (operator === 'is null' || operator === 'is not null')
    return {
      kind: 'binary',
      operator: operator === 'is null' ? 'is' : 'is not',
      left: operand,
      right: { kind: 'literal', value: null },
    };
  return { kind: 'binary', operator, left: operand, right: literal(values[0]) };
}
