import type { Scalar } from './scalar.ts';

/** Operators of two operands. `and`, `or` and the comparisons give 1, 0 or NULL. */
export type BinaryOperator =
  | '+'
  | '-'
  | '*'
  | '/'
  | '%'
  | '||'
  | '&'
  | '|'
  | '<<'
  | '>>'
  | '='
  | '<>'
  | '<'
  | '<='
  | '>'
  | '>='
  | 'is'
  | 'is not'
  | 'and'
  | 'or';

/** A function call. `star` is `count(*)`. */
export interface Call {
  readonly kind: 'call';
  /** In lower case. */
  readonly name: string;
  readonly args: readonly Expression[];
  readonly star: boolean;
  readonly distinct: boolean;
  readonly filter: Expression | undefined;
}

/** An expression as it is written; parameters are known by number. */
export type Expression =
  | { readonly kind: 'literal'; readonly value: Scalar }
  | { readonly kind: 'parameter'; readonly index: number }
  | { readonly kind: 'column'; readonly name: string }
  /** Output `index` of the grouping below: its keys first, result its aggregates. */
  | { readonly kind: 'slot'; readonly index: number }
  | { readonly kind: 'unary'; readonly operator: '-' | '+' | '~' | 'not'; readonly operand: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'between';
      readonly not: boolean;
      readonly operand: Expression;
      readonly low: Expression;
      readonly high: Expression;
    }
  | {
      readonly kind: 'in';
      readonly not: boolean;
      readonly operand: Expression;
      readonly list: readonly Expression[];
    }
  | {
      readonly kind: 'like';
      readonly operator: 'like' | 'glob';
      readonly not: boolean;
      readonly operand: Expression;
      readonly pattern: Expression;
      readonly escape: Expression | undefined;
    }
  | {
      readonly kind: 'case';
      readonly operand: Expression | undefined;
      readonly branches: readonly { readonly when: Expression; readonly result: Expression }[];
      readonly otherwise: Expression | undefined;
    }
  | { readonly kind: 'cast'; readonly operand: Expression; readonly type: string }
  | Call;

/** One result column; undefined stands for `*`. */
export interface ResultColumn {
  readonly expression: Expression | undefined;
  /** The alias, or else the text of the expression, by which SQLite names it. */
  readonly name: string;
  readonly hasAlias: boolean;
}

/** One term of ORDER BY. */
export interface OrderTerm {
  readonly expression: Expression;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** A SELECT over one table, as it is written. */
export interface Select {
  readonly distinct: boolean;
  readonly columns: readonly ResultColumn[];
  readonly where: Expression | undefined;
  readonly groupBy: readonly Expression[];
  readonly having: Expression | undefined;
  readonly orderBy: readonly OrderTerm[];
  readonly limit: Expression | undefined;
  readonly offset: Expression | undefined;
}

/** The expressions that `expression` is made of. */
export function operands(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'literal':
    case 'parameter':
    case 'column':
    case 'slot':
      return [];
    case 'unary':
    case 'cast':
      return [expression.operand];
    case 'binary':
      return [expression.left, expression.right];
    case 'between':
      return [expression.operand, expression.low, expression.high];
    case 'in':
      return [expression.operand, ...expression.list];
    case 'like':
      return [expression.operand, expression.pattern, ...present(expression.escape)];
    case 'case':
      return [
        ...present(expression.operand),
        ...expression.branches.flatMap(({ when, result }) => [when, result]),
        ...present(expression.otherwise),
      ];
    default:
      return [...expression.args, ...present(expression.filter)];
  }
}

/** `expression` with `change` applied to each of the expressions that it is made of. */
export function withOperands(
  expression: Expression,
  change: (operand: Expression) => Expression,
): Expression {
  const maybe = (operand: Expression | undefined): Expression | undefined =>
    operand === undefined ? undefined : change(operand);
  switch (expression.kind) {
    case 'literal':
    case 'parameter':
    case 'column':
    case 'slot':
      return expression;
    case 'unary':
    case 'cast':
      return { ...expression, operand: change(expression.operand) };
    case 'binary':
      return { ...expression, left: change(expression.left), right: change(expression.right) };
    case 'between':
      return {
        ...expression,
        operand: change(expression.operand),
        low: change(expression.low),
        high: change(expression.high),
      };
    case 'in':
      return { ...expression, operand: change(expression.operand), list: expression.list.map(change) };
    case 'like':
      return {
        ...expression,
        operand: change(expression.operand),
        pattern: change(expression.pattern),
        escape: maybe(expression.escape),
      };
    case 'case':
      return {
        ...expression,
        operand: maybe(expression.operand),
        branches: expression.branches.map(({ when, result }) => ({
          when: change(when),
          result: change(result),
        })),
        otherwise: maybe(expression.otherwise),
      };
    default:
      return { ...expression, args: expression.args.map(change), filter: maybe(expression.filter) };
  }
}

function present<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}
