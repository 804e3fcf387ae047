import type { SchemaObject } from '../schema/relation.ts';
import { parse, splice, type Statement } from '../sql/statement.ts';
import type { Token } from '../sql/token.ts';
import type { Edit } from './write.ts';

/** The query that a view stands for, as a statement; `columns` is the list of names that it gives its columns, if any. */
export function viewQuery({ sql }: SchemaObject): { readonly body: Statement; readonly columns: string } {
  const { tokens } = parse(sql)[0] as Statement;
  const as = tokens.findIndex(({ text, kind }, i) => i > 2 && kind === 'word' && text === 'AS');
  const open = tokens.findIndex(({ text }) => text === '(');
  const columns =
    open >= 0 && open < as ? sql.slice((tokens[open] as Token).start, (tokens[as - 1] as Token).end) : '';
  const [body] = parse(sql.slice((tokens[as] as Token).end)) as [Statement];
  return { body, columns };
}

/** A view as a subquery, with `edits` making its query read what a branch sees. */
export function viewSource(view: SchemaObject, edits: (body: Statement) => Edit[]): string {
  const { body, columns } = viewQuery(view);
  const text = splice(body.sql, edits(body));
  if (columns === '') return `(${text})`;
  return `(WITH __dosql_view${columns} AS (${text}) SELECT * FROM __dosql_view)`;
}
