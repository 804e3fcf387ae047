import type { Condition } from '../scan/table.ts';
import type { TableReference } from '../sql/scan.ts';
import type { Statement } from '../sql/statement.ts';
import { isName, lowerName, nameOf, type Token } from '../sql/token.ts';
import type { SqlValue } from '../value/row.ts';

const ENDS_WHERE = new Set(['GROUP', 'HAVING', 'WINDOW', 'ORDER', 'LIMIT', 'RETURNING']);
const COMPOUND = new Set(['UNION', 'EXCEPT', 'INTERSECT']);
const MIRRORED: Readonly<Record<string, Condition['operator']>> = {
  '=': '=',
  '==': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};
const STRAIGHT: Readonly<Record<string, Condition['operator']>> = {
  '=': '=',
  '==': '=',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

/**
 * Conditions of the statement's WHERE that a row of `reference` has to fulfil by itself to be of any use: those of
 * the form column, operator, constant that are joined by AND. Each also refuses NULL, so that they hold for the side
 * of an outer join that may be missing, too.
 *
 * `owns` tells whether an unqualified column is the reference's. Found by tokens alone: what they do not make sure of
 * is left out, for the statement itself looks at each row again.
 */
export function conditionsOn(
  statement: Statement,
  reference: TableReference,
  values: readonly SqlValue[],
  owns: (column: string) => boolean,
): Condition[] {
  const { tokens, sql } = statement;
  const conjuncts = isOutermost(tokens, reference) ? conjunctsOf(tokens) : [];
  const own = lowerName(reference.alias ?? reference.name);
  const columnOf = (part: readonly Token[]): string | undefined => {
    const [first, dot, second] = part;
    if (!isName(first) || first.kind === 'string') return undefined;
    if (part.length === 1) {
      const name = nameOf(sql, first);
      return owns(name) ? name : undefined;
    }
    if (part.length !== 3 || dot?.text !== '.' || !isName(second) || second.kind === 'string')
      return undefined;
    return lowerName(nameOf(sql, first)) === own ? nameOf(sql, second) : undefined;
  };
  const constantOf = (part: readonly Token[]): SqlValue | undefined =>
    constant(statement, part, values) ?? undefined;
  return conjuncts.flatMap((part): Condition[] => {
    const found = comparison(part);
    if (found === undefined) return [];
    const { left, operator, right } = found;
    if (operator === 'BETWEEN') {
      const and = right.findIndex(({ text }) => text === 'AND');
      const column = columnOf(left);
      const low = constantOf(right.slice(0, and));
      const high = constantOf(right.slice(and + 1));
      if (column === undefined || low === undefined || high === undefined) return [];
      return [
        { column, operator: '>=', values: [low] },
        { column, operator: '<=', values: [high] },
      ];
    }
    if (operator === 'IN') {
      const column = columnOf(left);
      const list = listOf(right)?.map(constantOf);
      if (column === undefined || list === undefined || list.includes(undefined)) return [];
      return [{ column, operator: 'in', values: list as SqlValue[] }];
    }
    const column = columnOf(left);
    const value = constantOf(right);
    if (column !== undefined && value !== undefined)
      return [{ column, operator: STRAIGHT[operator] as Condition['operator'], values: [value] }];
    const mirrored = columnOf(right);
    const other = constantOf(left);
    if (mirrored === undefined || other === undefined) return [];
    return [{ column: mirrored, operator: MIRRORED[operator] as Condition['operator'], values: [other] }];
  });
}

/** Whether a reference stands in the FROM of the statement itself, not of a query inside it. */
function isOutermost(tokens: readonly Token[], { start }: TableReference): boolean {
  let depth = 0;
  for (const token of tokens) {
    if (token.start >= start) break;
    depth += token.text === '(' ? 1 : token.text === ')' ? -1 : 0;
  }
  return depth === 0;
}

/** The parts of the outermost WHERE that AND joins; none where an OR does, or where there are several queries. */
function conjunctsOf(tokens: readonly Token[]): Token[][] {
  let depth = 0;
  let isIn = false;
  let isBetween = false;
  const parts: Token[][] = [];
  for (const token of tokens) {
    const { text, kind } = token;
    if (depth === 0 && kind === 'word') {
      if (COMPOUND.has(text)) return [];
      if (isIn && ENDS_WHERE.has(text)) {
        isIn = false;
        continue;
      }
      if (text === 'WHERE') {
        isIn = true;
        parts.push([]);
        continue;
      }
      // CASE has operators of its own; what they join is not looked into.
      if (isIn && (text === 'OR' || text === 'CASE')) return [];
      if (isIn && text === 'BETWEEN') isBetween = true;
      else if (isIn && text === 'AND') {
        if (!isBetween) {
          parts.push([]);
          continue;
        }
        isBetween = false;
      }
    }
    depth += text === '(' ? 1 : text === ')' ? -1 : 0;
    if (isIn) parts.at(-1)?.push(token);
  }
  return parts;
}

function comparison(part: readonly Token[]): { left: Token[]; operator: string; right: Token[] } | undefined {
  let depth = 0;
  const at = part.findIndex(({ text, kind }) => {
    depth += text === '(' ? 1 : text === ')' ? -1 : 0;
    if (depth > 0) return false;
    return (
      (kind === 'operator' && text in STRAIGHT) || (kind === 'word' && (text === 'BETWEEN' || text === 'IN'))
    );
  });
  const operator = part[at]?.text;
  if (operator === undefined) return undefined;
  return { left: part.slice(0, at), operator, right: part.slice(at + 1) };
}

/** The elements of `(a, b, c)`. */
function listOf(part: readonly Token[]): Token[][] | undefined {
  if (part[0]?.text !== '(' || part.at(-1)?.text !== ')') return undefined;
  const elements: Token[][] = [[]];
  for (const token of part.slice(1, -1)) {
    if (token.text === '(' || token.text === ')') return undefined;
    if (token.text === ',') elements.push([]);
    else elements.at(-1)?.push(token);
  }
  return elements;
}

/** The value of a literal, or of a parameter; undefined for anything else, and for NULL. */
function constant(
  { sql, parameters }: Statement,
  part: readonly Token[],
  values: readonly SqlValue[],
): SqlValue | undefined {
  const sign = part[0]?.text === '-' || part[0]?.text === '+' ? part[0].text : '';
  const [token, more] = sign === '' ? part : part.slice(1);
  if (token === undefined || more !== undefined) return undefined;
  const text = sql.slice(token.start, token.end);
  if (token.kind === 'number') {
    if (/^0x/i.test(text) || !/^[\d.eE+-]+$/.test(text)) return undefined;
    const number = Number(text);
    const isExact = !Number.isInteger(number) || Number.isSafeInteger(number) || /[.eE]/.test(text);
    const value = isExact ? number : BigInt(text);
    return sign === '-' ? -value : value;
  }
  if (sign !== '') return undefined;
  if (token.kind === 'string') return nameOf(sql, token);
  if (token.kind !== 'variable') return undefined;
  const parameter = parameters.find(({ start }) => start === token.start);
  return parameter === undefined ? undefined : (values[parameter.index - 1] ?? undefined);
}
