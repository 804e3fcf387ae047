import { sameName } from '../schema/catalog.ts';
import { columnOf, type Relation } from '../schema/relation.ts';
import type { TableReference } from '../sql/scan.ts';
import type { Statement } from '../sql/statement.ts';
import { isName, nameOf, type Token } from '../sql/token.ts';
import type { SqlParameter } from '../value/parameter.ts';
import type { KeyChoice } from './key-index.ts';

/** A statement that reads one row by its key. */
export interface PointLookup {
  readonly by: KeyChoice;
  /** The key's values, given the statement's parameters; undefined when one is of a kind that needs SQLite's conversions. */
  key(values: readonly SqlParameter[]): (string | number)[] | undefined;
}

const ENDS_WHERE = new Set(['GROUP', 'HAVING', 'ORDER', 'LIMIT', 'WINDOW', 'UNION', 'INTERSECT', 'EXCEPT']);

/**
 * Recognises `SELECT … FROM t … WHERE key = value [AND …]`: one table, and for each column of its key an
 * equality among the conditions that all must hold. Anything it does not understand is no lookup.
 */
export function findPointLookup(
  statement: Statement,
  reference: TableReference,
  relation: Relation,
): PointLookup | undefined {
  if (statement.references.length !== 1 || statement.tokens[0]?.text !== 'SELECT') return undefined;
  const conditions = conjuncts(statement, reference);
  if (conditions === undefined) return undefined;
  const { key } = relation;
  // A rowid table whose primary key is not its rowid is looked up by what it declares.
  const by = key.kind === 'rowid' && key.columnId === undefined ? 'primary key' : 'key';
  const ids =
    by === 'primary key'
      ? relation.primaryKey
      : key.kind === 'rowid'
        ? [key.columnId as number]
        : key.columnIds;
  if (ids.length === 0) return undefined;
  const columns = ids.map((id) => columnOf(relation, id));
  if (columns.some(({ collation }) => collation !== undefined)) return undefined;
  const operands = columns.map(({ name }) => operandOf(statement, conditions, name, reference));
  if (operands.some((operand) => operand === undefined)) return undefined;
  return {
    by,
    key(values) {
      const found = operands.map((token, i) =>
        keyValue(statement, token as Token, values, columns[i]?.affinity ?? 'blob'),
      );
      return found.every((value) => value !== undefined) ? found : undefined;
    },
  };
}

/** The conditions of WHERE that are joined by AND; undefined when there are none or more than ANDs. */
function conjuncts({ tokens }: Statement, { whole }: TableReference): Token[][] | undefined {
  const where = tokens.findIndex(({ start }) => start >= whole.end);
  if (tokens[where]?.text !== 'WHERE') return undefined;
  const all: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens.slice(where + 1)) {
    if (token.text === '(') depth++;
    else if (token.text === ')') depth--;
    if (depth === 0 && token.kind === 'word') {
      if (['OR', 'BETWEEN', 'CASE', 'NOT', 'SELECT'].includes(token.text)) return undefined;
      if (ENDS_WHERE.has(token.text)) break;
      if (token.text === 'AND') {
        all.push([]);
        continue;
      }
    }
    all.at(-1)?.push(token);
  }
  return all;
}

function operandOf(
  statement: Statement,
  conditions: readonly Token[][],
  column: string,
  reference: TableReference,
): Token | undefined {
  const { sql } = statement;
  const isColumn = (tokens: readonly Token[]): boolean => {
    const [first, dot, second] = tokens;
    const named = (token: Token | undefined, name: string): boolean =>
      isName(token) && token.kind !== 'string' && sameName(nameOf(sql, token), name);
    if (tokens.length === 1) return named(first, column);
    return (
      tokens.length === 3 &&
      dot?.text === '.' &&
      named(first, reference.alias ?? reference.name) &&
      named(second, column)
    );
  };
  for (const tokens of conditions) {
    const at = tokens.findIndex(({ text }) => text === '=' || text === '==');
    if (at < 0) continue;
    const sides = [tokens.slice(0, at), tokens.slice(at + 1)];
    for (const [left, right] of [sides, sides.toReversed()])
      if (left !== undefined && right?.length === 1 && isColumn(left) && right[0]?.kind !== 'word')
        return right[0];
  }
  return undefined;
}

function keyValue(
  { sql, parameters }: Statement,
  token: Token,
  values: readonly SqlParameter[],
  affinity: string,
): string | number | undefined {
  let value: unknown;
  if (token.kind === 'variable')
    value = values[(parameters.find(({ start }) => start === token.start)?.index ?? 0) - 1];
  else if (token.kind === 'string') value = nameOf(sql, token);
  else if (token.kind === 'number') value = Number(sql.slice(token.start, token.end));
  if (affinity === 'integer') {
    if (typeof value === 'bigint' || (typeof value === 'string' && /^-?\d{1,15}$/.test(value)))
      value = Number(value);
    return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined;
  }
  return affinity === 'text' && typeof value === 'string' ? value : undefined;
}
