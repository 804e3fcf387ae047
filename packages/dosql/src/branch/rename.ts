import { sameName } from '../schema/catalog.ts';
import type { Relation, SchemaObject } from '../schema/relation.ts';
import { scan } from '../sql/scan.ts';
import { splice, type Ddl } from '../sql/statement.ts';
import { isName, lowerName, nameOf, quoteName, tokenize, type Token } from '../sql/token.ts';

/**
 * What ALTER … RENAME makes of the text of a view, index or trigger, which SQLite would rewrite, were it stored
 * under its own names. Undefined where it does not mention what is renamed; `'ambiguous'` where a column's name
 * may be another table's.
 */
export function renamed(
  object: SchemaObject,
  ddl: Ddl,
  tables: readonly Relation[],
): { readonly sql: string; readonly table: string } | 'ambiguous' | undefined {
  const { sql } = object;
  const tokens = tokenize(sql);
  if (ddl.renamedTo !== undefined) return tableRenamed(object, tokens, ddl.name, ddl.renamedTo);
  const { from, to } = ddl.column ?? {};
  if (from === undefined || to === undefined) return undefined;
  const named = new Set(scan(sql, tokens).map(({ name }) => lowerName(name)));
  if (!named.has(lowerName(ddl.name))) return undefined;
  const isColumn = (token: Token): boolean =>
    isName(token) &&
    token.kind !== 'string' &&
    // A bare END ends a trigger's body, or a CASE.
    token.text !== 'END' &&
    sameName(nameOf(sql, token), from);
  const mentions = tokens.filter(isColumn);
  if (mentions.length === 0) return undefined;
  const others = tables.filter(
    (table) => named.has(lowerName(table.name)) && !sameName(table.name, ddl.name),
  );
  if (others.some(({ columns }) => columns.some(({ name }) => sameName(name, from)))) return 'ambiguous';
  return {
    sql: splice(
      sql,
      mentions.map(({ start, end }) => ({ start, end, text: quoteName(to) })),
    ),
    table: object.table,
  };
}

function tableRenamed(
  { sql, table }: SchemaObject,
  tokens: readonly Token[],
  from: string,
  to: string,
): { sql: string; table: string } | undefined {
  const edits = scan(sql, tokens)
    .filter(({ name, isCte }) => !isCte && sameName(name, from))
    .map(({ start, end }) => ({ start, end, text: quoteName(to) }));
  tokens.forEach((token, i) => {
    const isQualifier = tokens[i + 1]?.text === '.' && isName(token) && sameName(nameOf(sql, token), from);
    if (isQualifier && !edits.some(({ start, end }) => token.start >= start && token.end <= end))
      edits.push({ start: token.start, end: token.end, text: quoteName(to) });
  });
  if (edits.length === 0) return undefined;
  return { sql: splice(sql, edits), table: sameName(table, from) ? to : table };
}
