import { bareRowid } from '../schema/relation.ts';
import { quoteName } from '../sql/token.ts';
import { splice, type Statement } from '../sql/statement.ts';
import type { Span } from '../sql/scan.ts';
import type { Clauses } from './clauses.ts';
import { mentions } from '../history/mention.ts';
import { bareRows, shadowColumns, shadowName } from './overlay.ts';
import type { BranchTable } from './table.ts';

/** A stretch of a statement's text, and what it becomes. */
export interface Edit extends Span {
  readonly text: string;
  /** A result column that it changes has its name in the new text, too. */
  readonly isNamed?: boolean;
}

/**
 * The query for the keys of the rows that an UPDATE or DELETE is to write and that the branch has not copied up
 * yet; undefined when there can be none. `edits` are those of the statement's other references and parameters.
 */
export function keysWritten(
  branch: number,
  statement: Statement,
  clauses: Clauses,
  table: BranchTable,
  edits: readonly Edit[],
  rowid?: string,
): string | undefined {
  const { main } = table;
  if (clauses.verb === 'insert' || main === undefined) return undefined;
  const text = (span: Span | undefined): string =>
    span === undefined ? '' : segment(statement.sql, span, edits).trim();
  const alias = quoteName(clauses.target.alias ?? clauses.target.name);
  const names =
    main.key.kind === 'rowid'
      ? [main.key.name]
      : main.key.columnIds.map((id) => main.columns.find((column) => column.id === id)?.name ?? '');
  const keys = names.map((name, i) => `${alias}.${quoteName(name)} AS k${i}`).join(', ');
  const from = text(clauses.from).replace(/^FROM\b/i, ',');
  if (clauses.limit === undefined)
    return `${text(clauses.with)} SELECT DISTINCT ${keys} FROM ${bareRows(branch, main, mentions(statement), rowid)} AS ${alias}${from} ${text(clauses.where)}`.trim();
  // Which rows the limit takes depends on all of them.
  const rowidColumn = bareRowid(main) ?? rowid;
  const picked = `${text(clauses.with)} SELECT ${keys} FROM ${table.rows(rowidColumn)} AS ${alias}${from} ${text(clauses.where)} ${text(clauses.limit)}`;
  const hidden = shadowColumns(main).map((column) => `s.${column} = p.${column}`);
  return `SELECT * FROM (${picked}) AS p WHERE NOT EXISTS (SELECT 1 FROM ${quoteName(shadowName(branch, main.name))} AS s WHERE ${hidden.join(' AND ')})`;
}

/** A stretch of the statement's text with the edits that fall into it. */
function segment(sql: string, { start, end }: Span, edits: readonly Edit[]): string {
  const inside = edits.filter((edit) => edit.start >= start && edit.end <= end);
  return splice(
    sql.slice(start, end),
    inside.map((edit) => ({ ...edit, start: edit.start - start, end: edit.end - start })),
  );
}
