import type { Expression, Select } from '../../src/scan/plan-syntax.ts';
import type { Scalar } from '../../src/scan/scalar.ts';

/** A node of sqlite3-parser's tree; what it holds depends on `type`. */
export interface ParserNode {
  readonly type: string;
  readonly [key: string]: unknown;
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

function literal(value: Scalar): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (value instanceof Uint8Array) return `x${hex(value)}`;
  return String(value);
}

/** An expression of the planner, fully parenthesised. */
export function planned(expression: Expression | undefined): string {
  if (expression === undefined) return '-';
  const all = (list: readonly Expression[]): string => list.map(planned).join(' ');
  switch (expression.kind) {
    case 'literal':
      return literal(expression.value);
    case 'parameter':
      return `?${expression.index}`;
    case 'column':
      return `"${expression.name}"`;
    case 'unary':
      return `(${expression.operator} ${planned(expression.operand)})`;
    case 'binary':
      return `(${expression.operator} ${planned(expression.left)} ${planned(expression.right)})`;
    case 'between':
      return `(between ${expression.not} ${all([expression.operand, expression.low, expression.high])})`;
    case 'in':
      return `(in ${expression.not} ${all([expression.operand, ...expression.list])})`;
    case 'like':
      return `(${expression.operator} ${expression.not} ${planned(expression.operand)} ${planned(expression.pattern)} ${planned(expression.escape)})`;
    case 'case':
      return `(case ${planned(expression.operand)} ${expression.branches.map(({ when, result }) => all([when, result])).join(' ')} ${planned(expression.otherwise)})`;
    case 'cast':
      return `(cast ${planned(expression.operand)} ${expression.type})`;
    case 'call': {
      const args = expression.star ? '*' : all(expression.args);
      return `(${expression.name} ${expression.distinct} ${args} ${planned(expression.filter)})`;
    }
    default:
      throw new Error(expression.kind);
  }
}

const OPERATORS: Readonly<Record<string, string>> = {
  Add: '+',
  Subtract: '-',
  Multiply: '*',
  Divide: '/',
  Modulus: '%',
  Concat: '||',
  BitwiseAnd: '&',
  BitwiseOr: '|',
  LeftShift: '<<',
  RightShift: '>>',
  Equals: '=',
  NotEquals: '<>',
  Less: '<',
  LessEquals: '<=',
  Greater: '>',
  GreaterEquals: '>=',
  Is: 'is',
  IsNot: 'is not',
  And: 'and',
  Or: 'or',
  Negative: '-',
  Positive: '+',
  BitwiseNot: '~',
  Not: 'not',
};

function numberText(text: string): string {
  if (/^0x/i.test(text)) return String(BigInt.asIntN(64, BigInt(text)));
  const plain = text.replaceAll('_', '');
  return /^\d+$/.test(plain) && BigInt(plain) < 2n ** 63n ? String(BigInt(plain)) : String(Number(plain));
}

/** An expression of sqlite3-parser, as {@link planned} writes it. */
export function parsed(node: unknown, index: (parameter: string) => number): string {
  if (node === undefined || node === null) return '-';
  const one = node as ParserNode;
  const go = (key: string): string => parsed(one[key], index);
  const all = (list: unknown): string =>
    ((list ?? []) as unknown[]).map((inner) => parsed(inner, index)).join(' ');
  const operator = (): string => {
    const found = OPERATORS[String(one['op'])];
    if (found === undefined) throw new Error(`operator ${String(one['op'])}`);
    return found;
  };
  switch (one.type) {
    case 'NullLiteral':
      return 'null';
    case 'NumericLiteral':
      return numberText(String(one['value']));
    case 'StringLiteral':
      return JSON.stringify(one['value']);
    case 'BlobLiteral':
      return literal(one['bytes'] as Uint8Array);
    case 'VariableExpr':
      return `?${index(String(one['name']))}`;
    case 'Id':
      return `"${String(one['name'])}"`;
    case 'Name':
      return `"${String(one['text'])}"`;
    case 'QualifiedExpr':
      return go('column');
    case 'UnaryExpr': {
      const operand = go('expr');
      const text = operator();
      return text === '-' && operand === '9223372036854776000'
        ? '-9223372036854775808'
        : `(${text} ${operand})`;
    }
    case 'BinaryExpr':
      return `(${operator()} ${go('left')} ${go('right')})`;
    case 'IsNullExpr':
      return `(is ${go('expr')} null)`;
    case 'NotNullExpr':
      return `(is not ${go('expr')} null)`;
    case 'BetweenExpr':
      return `(between ${String(one['not'])} ${go('lhs')} ${go('start')} ${go('end')})`;
    case 'InListExpr':
      return `(in ${String(one['not'])} ${go('lhs')} ${all(one['rhs'])})`;
    case 'LikeExpr':
      return `(${String(one['op']).toLowerCase()} ${String(one['not'])} ${go('lhs')} ${go('rhs')} ${go('escape')})`;
    case 'CaseExpr':
      return `(case ${go('base')} ${all(one['whenThenPairs'])} ${go('elseExpr')})`;
    case 'WhenThen':
      return `${go('when')} ${go('then')}`;
    case 'CastExpr':
      return `(cast ${go('expr')} ${String((one['typeName'] as ParserNode)['name'])})`;
    case 'FunctionCallExpr':
    case 'FunctionCallStarExpr': {
      const name = String(
        (one['name'] as ParserNode)['name'] ?? (one['name'] as ParserNode)['text'],
      ).toLowerCase();
      const tail = one['filterOver'] as ParserNode | undefined;
      const args = one.type === 'FunctionCallStarExpr' ? '*' : all(one['args']);
      const filter = tail?.['filterClause'];
      return `(${name} ${String(one['distinctness'] === 'Distinct')} ${args} ${parsed(filter, index)})`;
    }
    case 'ParenthesizedExpr':
      return all(one['exprs'] ?? [one['expr']]);
    default:
      throw new Error(`${one.type}: ${JSON.stringify(one)}`);
  }
}

/** A SELECT of the planner. */
export function plannedSelect(select: Select): string {
  return [
    select.distinct,
    select.columns
      .map(({ expression, name, hasAlias }) =>
        expression === undefined ? '*' : `${planned(expression)}${hasAlias ? ` as ${name}` : ''}`,
      )
      .join(', '),
    planned(select.where),
    select.groupBy.map(planned).join(', '),
    planned(select.having),
    select.orderBy
      .map(({ expression, descending, nullsFirst }) => `${planned(expression)} ${descending} ${nullsFirst}`)
      .join(', '),
    planned(select.limit),
    planned(select.offset),
  ].join('\n');
}

/** A SELECT of sqlite3-parser, as {@link plannedSelect} writes it. */
export function parsedSelect(statement: ParserNode, index: (parameter: string) => number): string {
  const body = statement['body'] as ParserNode;
  const select = body['select'] as ParserNode;
  const list = (value: unknown): ParserNode[] => (value ?? []) as ParserNode[];
  const groupBy = select['groupBy'] as ParserNode | ParserNode[] | undefined;
  const keys = Array.isArray(groupBy) ? groupBy : list(groupBy?.['exprs']);
  const having = Array.isArray(groupBy) || groupBy === undefined ? select['having'] : groupBy['having'];
  const limit = body['limit'] as ParserNode | undefined;
  return [
    select['distinctness'] === 'Distinct',
    list(select['columns'])
      .map((column) => {
        if (column.type !== 'ExprResultColumn') return '*';
        const alias = column['alias'] as ParserNode | undefined;
        const name = alias === undefined ? '' : ` as ${String((alias['name'] as ParserNode)['text'])}`;
        return `${parsed(column['expr'], index)}${name}`;
      })
      .join(', '),
    parsed(select['whereClause'], index),
    keys.map((key) => parsed(key, index)).join(', '),
    parsed(having, index),
    list(body['orderBy'])
      .map((term) => {
        const descending = term['order'] === 'Desc';
        const first = term['nulls'] === undefined ? !descending : term['nulls'] === 'First';
        return `${parsed(term['expr'], index)} ${descending} ${first}`;
      })
      .join(', '),
    parsed(limit?.['expr'], index),
    parsed(limit?.['offset'], index),
  ].join('\n');
}
