import type { TableReference } from '../sql/scan.ts';
import type { Statement } from '../sql/statement.ts';
import { lowerName, type Token } from '../sql/token.ts';
import { Declined, ExpressionReader } from './plan-expression.ts';
import type { Expression, OrderTerm, ResultColumn, Select } from './plan-syntax.ts';

const ENDS_COLUMN = /^(?:|,|FROM)$/;

/**
 * The SELECT that `statement` is, when it is one over `reference` alone.
 *
 * @throws Declined where it is anything else.
 */
export function readSelect(statement: Statement, reference: TableReference): Select {
  const names = new Set([lowerName(reference.alias ?? reference.name)]);
  const reader = new ExpressionReader(statement, names);
  reader.expect('SELECT');
  const distinct = reader.skip('DISTINCT');
  if (!distinct) reader.skip('ALL');
  const columns: ResultColumn[] = [];
  do columns.push(readColumn(reader, names));
  while (reader.skip(','));
  reader.expect('FROM');
  skipReference(reader, reference);
  const where = reader.skip('WHERE') ? reader.expression() : undefined;
  const groupBy = reader.skip('GROUP', 'BY') ? reader.list() : [];
  const having = reader.skip('HAVING') ? reader.expression() : undefined;
  const orderBy = reader.skip('ORDER', 'BY') ? readOrder(reader) : [];
  const { limit, offset } = readLimit(reader);
  if (reader.token() !== undefined) throw new Declined();
  return { distinct, columns, where, groupBy, having, orderBy, limit, offset };
}

function readColumn(reader: ExpressionReader, names: ReadonlySet<string>): ResultColumn {
  const from = reader.at;
  if (reader.skip('*')) return { expression: undefined, name: '*', hasAlias: false };
  const first = reader.token();
  if (reader.text(1) === '.' && reader.text(2) === '*' && first !== undefined) {
    if (!names.has(lowerName(reader.name(first)))) throw new Declined();
    reader.at += 3;
    return { expression: undefined, name: '*', hasAlias: false };
  }
  const expression = reader.expression();
  const source = reader.source(from);
  if (reader.skip('AS')) return { expression, name: readAlias(reader), hasAlias: true };
  if (
    !ENDS_COLUMN.test(reader.text()) ||
    reader.token()?.kind === 'quoted' ||
    reader.token()?.kind === 'string'
  )
    return { expression, name: readAlias(reader), hasAlias: true };
  return { expression, name: expression.kind === 'column' ? expression.name : source, hasAlias: false };
}

function readAlias(reader: ExpressionReader): string {
  const token: Token | undefined = reader.token();
  if (token === undefined || !/^(?:word|quoted|string)$/.test(token.kind)) throw new Declined();
  reader.at++;
  return reader.name(token);
}

function skipReference(reader: ExpressionReader, reference: TableReference): void {
  const { whole } = reference;
  if (reader.token()?.start !== whole.start || reference.systemTime !== undefined) throw new Declined();
  while ((reader.token()?.start ?? Number.POSITIVE_INFINITY) < whole.end) reader.at++;
}

function readOrder(reader: ExpressionReader): OrderTerm[] {
  const terms: OrderTerm[] = [];
  do {
    const expression: Expression = reader.expression();
    const descending = reader.skip('DESC');
    if (!descending) reader.skip('ASC');
    let nullsFirst = !descending;
    if (reader.skip('NULLS', 'FIRST')) nullsFirst = true;
    else if (reader.skip('NULLS', 'LAST')) nullsFirst = false;
    terms.push({ expression, descending, nullsFirst });
  } while (reader.skip(','));
  return terms;
}

function readLimit(reader: ExpressionReader): {
  limit: Expression | undefined;
  offset: Expression | undefined;
} {
  if (!reader.skip('LIMIT')) return { limit: undefined, offset: undefined };
  const first = reader.expression();
  if (reader.skip('OFFSET')) return { limit: first, offset: reader.expression() };
  if (reader.skip(',')) return { limit: reader.expression(), offset: first };
  return { limit: first, offset: undefined };
}
