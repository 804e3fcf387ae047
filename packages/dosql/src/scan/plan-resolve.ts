import { lowerName } from '../sql/token.ts';
import { AGGREGATES, isAggregate } from './aggregate-names.ts';
import { FUNCTIONS } from './functions.ts';
import { FORMATS, isFormat, timePart, truncatable } from './functions-time.ts';
import { Declined } from './plan-expression.ts';
import {
  operands,
  withOperands,
  type Call,
  type Expression,
  type OrderTerm,
  type Select,
} from './plan-syntax.ts';

/** One result column. */
export interface Output {
  readonly expression: Expression;
  readonly name: string;
  /** The name is the column's own, as the table spells it. */
  readonly isColumn: boolean;
}

/** A SELECT in the steps that it is executed in; from a grouping on, expressions are over the slots of the one before. */
export interface Resolved {
  /** All must be true; undefined is no condition. */
  readonly where: readonly Expression[];
  /** Keys, then aggregates, are the slots of what follows. */
  readonly grouping: Grouping | undefined;
  readonly having: readonly Expression[];
  /** Undefined stands for every column of the table. */
  readonly outputs: readonly (Output | undefined)[];
  readonly distinct: boolean;
  /** Over the outputs' slots where `distinct`. */
  readonly orderBy: readonly OrderTerm[];
  readonly limit: Expression | undefined;
  readonly offset: Expression | undefined;
}

/** What GROUP BY makes of rows. */
export interface Grouping {
  readonly keys: readonly Expression[];
  readonly aggregates: readonly Call[];
}

/**
 * Resolves aliases and ordinals and takes the aggregates out, given the names of the table's columns.
 *
 * @throws Declined
 */
export function resolve(select: Select, columnNames: readonly string[]): Resolved {
  const columns = new Set(columnNames.map(lowerName));
  const aliases = new Map<string, Expression>();
  for (const { expression, name, hasAlias } of select.columns)
    if (hasAlias && expression !== undefined && !aliases.has(lowerName(name)))
      aliases.set(lowerName(name), expression);
  /** Where a name can be an alias it is, unless the table has such a column. */
  const named = (expression: Expression): Expression => {
    if (expression.kind === 'column') {
      const name = lowerName(expression.name);
      return columns.has(name) ? expression : (aliases.get(name) ?? expression);
    }
    return withOperands(expression, named);
  };
  const hasStar = select.columns.some(({ expression }) => expression === undefined);
  const ordinal = (expression: Expression): Expression | undefined => {
    // SQLite takes a signed number for an ordinal, too.
    if (expression.kind === 'unary' && isSignedLiteral(expression)) throw new Declined();
    if (expression.kind !== 'literal') return undefined;
    if (typeof expression.value !== 'bigint' || hasStar) throw new Declined();
    const column = select.columns[Number(expression.value) - 1]?.expression;
    if (column === undefined) throw new Declined();
    return column;
  };
  const where = conjuncts(select.where === undefined ? undefined : named(select.where));
  const keys = select.groupBy.map((key) => ordinal(key) ?? named(key));
  const having = conjuncts(select.having === undefined ? undefined : named(select.having));
  const orderBy = select.orderBy.map((term) => ({
    ...term,
    expression: ordinal(term.expression) ?? aliasOf(term.expression, aliases) ?? named(term.expression),
  }));
  const outputs = select.columns.map(({ expression, name, hasAlias }) =>
    expression === undefined
      ? undefined
      : { expression, name, isColumn: expression.kind === 'column' && !hasAlias },
  );
  for (const expression of [...where, ...keys]) check(expression, false);
  const after = [
    ...having,
    ...orderBy.map(({ expression }) => expression),
    ...outputs.map((o) => o?.expression),
  ];
  for (const expression of after) if (expression !== undefined) check(expression, true);
  for (const expression of [select.limit, select.offset]) checkConstant(expression);
  const { limit, offset } = select;
  const isGrouped =
    keys.length > 0 || after.some((expression) => expression !== undefined && hasAggregate(expression));
  if (!isGrouped && having.length > 0) throw new Declined();
  const plain: Resolved = {
    where,
    grouping: undefined,
    having,
    outputs,
    distinct: select.distinct,
    orderBy,
    limit,
    offset,
  };
  return withDistinct(isGrouped ? grouped(plain, keys) : plain);
}

function isSignedLiteral(expression: Expression): boolean {
  return expression.kind === 'unary' ? isSignedLiteral(expression.operand) : expression.kind === 'literal';
}

function aliasOf(expression: Expression, aliases: ReadonlyMap<string, Expression>): Expression | undefined {
  return expression.kind === 'column' ? aliases.get(lowerName(expression.name)) : undefined;
}

function conjuncts(expression: Expression | undefined): Expression[] {
  if (expression === undefined) return [];
  if (expression.kind === 'binary' && expression.operator === 'and')
    return [...conjuncts(expression.left), ...conjuncts(expression.right)];
  return [expression];
}

function hasAggregate(expression: Expression): boolean {
  return isAggregate(expression) || operands(expression).some(hasAggregate);
}

function checkConstant(expression: Expression | undefined): void {
  if (expression === undefined) return;
  check(expression, false);
  const hasColumn = (inner: Expression): boolean =>
    inner.kind === 'column' || operands(inner).some(hasColumn);
  if (hasColumn(expression)) throw new Declined();
}

/** Declines what is not known in full. */
function check(expression: Expression, aggregates: boolean): void {
  if (expression.kind === 'call') {
    if (isAggregate(expression)) {
      if (!aggregates) throw new Declined();
      checkAggregate(expression);
      for (const operand of operands(expression)) check(operand, false);
      return;
    }
    checkCall(expression);
  }
  if (expression.kind === 'like' && expression.escape !== undefined) checkEscape(expression.escape);
  for (const operand of operands(expression)) check(operand, aggregates);
}

function checkEscape(escape: Expression): void {
  if (escape.kind !== 'literal' || typeof escape.value !== 'string' || Array.from(escape.value).length !== 1)
    throw new Declined();
}

function checkAggregate(call: Call): void {
  const aggregate = AGGREGATES[call.name];
  if (aggregate === undefined) throw new Declined();
  const { length } = call.args;
  if (
    call.star ? call.name !== 'count' || call.distinct : length < aggregate.least || length > aggregate.most
  )
    throw new Declined();
  if (call.distinct && length !== 1) throw new Declined();
  const [, second] = call.args;
  if (second !== undefined && second.kind !== 'literal' && second.kind !== 'parameter') throw new Declined();
}

function checkCall(call: Call): void {
  if (call.star || call.distinct || call.filter !== undefined) throw new Declined();
  const { name, args } = call;
  const text = (at: number): string => {
    const arg = args[at];
    if (arg?.kind !== 'literal' || typeof arg.value !== 'string') throw new Declined();
    return arg.value;
  };
  const takes = (least: number, most: number): void => {
    if (args.length < least || args.length > most) throw new Declined();
  };
  switch (name) {
    case 'coalesce':
      return takes(2, 100);
    case 'ifnull':
    case 'nullif':
      return takes(2, 2);
    case 'iif':
    case 'if':
      return takes(2, 100);
    case 'date_trunc':
    case 'datetrunc':
      takes(2, 2);
      if (truncatable(text(0)) === undefined) throw new Declined();
      return;
    case 'date_part':
    case 'datepart':
    case 'extract':
      takes(2, 2);
      if (timePart(text(0)) === undefined) throw new Declined();
      return;
    case 'strftime':
      takes(2, 3);
      if (!isFormat(text(0)) || !isTime(args[1]) || (args.length === 3 && text(2) !== 'unixepoch'))
        throw new Declined();
      return;
    case 'unixepoch':
    case 'julianday':
      takes(1, 1);
      if (!isTime(args[0])) throw new Declined();
      return;
  }
  if (Object.hasOwn(FORMATS, name)) {
    takes(1, 2);
    if (!isTime(args[0]) || (args.length === 2 && text(1) !== 'unixepoch')) throw new Declined();
    return;
  }
  if (timePart(name) !== undefined) return takes(1, 1);
  const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
  if (known === undefined) throw new Declined();
  takes(known.least, known.most);
}

/** Times that are written out could be `now`. */
function isTime(expression: Expression | undefined): boolean {
  if (expression === undefined) return false;
  return expression.kind === 'column' || operands(expression).some(isTime);
}

/** Equal for expressions that are the same. */
export function textOf(expression: Expression): string {
  return JSON.stringify(expression, (key, value: unknown) => {
    if (typeof value === 'bigint') return `i${value}`;
    if (typeof value === 'number') return key === 'value' ? `r${value}` : value;
    if (value instanceof Uint8Array) return `b${value.join()}`;
    if (typeof value === 'string') return key === 'name' ? lowerName(value) : `t${value}`;
    return value;
  });
}

/** Without keys that follow from others: what is made of columns that are keys themselves parts no group. */
function deciding(keys: readonly Expression[]): readonly Expression[] {
  const columns = new Set(keys.filter(({ kind }) => kind === 'column').map(textOf));
  const follows = (expression: Expression): boolean =>
    expression.kind === 'column' ? columns.has(textOf(expression)) : operands(expression).every(follows);
  const kept = keys.filter((key) => key.kind === 'column' || !follows(key));
  // With no key at all, no rows would make a group.
  return kept.length > 0 ? kept : keys.slice(0, 1);
}

function grouped(plain: Resolved, allKeys: readonly Expression[]): Resolved {
  const keys = deciding(allKeys);
  const slots = new Map<string, number>();
  keys.forEach((key, i) => {
    if (!slots.has(textOf(key))) slots.set(textOf(key), i);
  });
  const aggregates: Call[] = [];
  const rewrite = (expression: Expression): Expression => {
    const text = textOf(expression);
    const slot = slots.get(text);
    if (slot !== undefined) return { kind: 'slot', index: slot };
    if (isAggregate(expression)) {
      const index = keys.length + aggregates.length;
      aggregates.push(expression);
      slots.set(text, index);
      return { kind: 'slot', index };
    }
    // A column that is neither key nor aggregate has the value of any row: which, only SQLite can tell.
    if (expression.kind === 'column' && !/^(?:true|false)$/i.test(expression.name)) throw new Declined();
    return withOperands(expression, rewrite);
  };
  const outputs = plain.outputs.map((output) => {
    if (output === undefined) throw new Declined();
    return { ...output, expression: rewrite(output.expression) };
  });
  const having = plain.having.map(rewrite);
  const orderBy = plain.orderBy.map((term) => ({ ...term, expression: rewrite(term.expression) }));
  return { ...plain, outputs, having, orderBy, grouping: { keys, aggregates } };
}

/** Rows that are distinct can only be ordered by what is in them. */
function withDistinct(resolved: Resolved): Resolved {
  if (!resolved.distinct) return resolved;
  const texts = resolved.outputs.map((output) => (output === undefined ? '*' : textOf(output.expression)));
  const orderBy = resolved.orderBy.map((term) => {
    const index = texts.indexOf(textOf(term.expression));
    if (index < 0 || texts.includes('*')) throw new Declined();
    return { ...term, expression: { kind: 'slot', index } as const };
  });
  return { ...resolved, orderBy };
}
