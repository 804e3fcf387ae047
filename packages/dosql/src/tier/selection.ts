import { clausesOf } from '../branch/clauses.ts';
import type { Relation } from '../schema/relation.ts';
import type { Span } from '../sql/scan.ts';
import { splice, type Statement } from '../sql/statement.ts';
import { isName, nameOf, quoteName } from '../sql/token.ts';
import { FILE_COLUMN, ROW_COLUMN } from './cold-table.ts';
import { COLD_PLACES } from './reads.ts';

/**
 * The query for the places of cold rows that an UPDATE or DELETE may be about; undefined for an INSERT. On a branch
 * names in subqueries mean the branch's tables, and the cold rows are main's: there all rows that the WHERE does not
 * exclude by itself are taken.
 */
export function selectionOf(
  statement: Statement,
  relation: Relation,
  isOnBranch: boolean,
): string | undefined {
  const clauses = clausesOf(statement);
  if (clauses === undefined || clauses.verb === 'insert') return undefined;
  const { target, with: ctes, from, where } = clauses;
  const text = (span: Span | undefined): string => {
    if (span === undefined) return '';
    const inside = statement.parameters.filter(({ start, end }) => start >= span.start && end <= span.end);
    return splice(
      statement.sql.slice(span.start, span.end),
      inside.map(({ start, end, index }) => ({
        start: start - span.start,
        end: end - span.start,
        text: `?${index}`,
      })),
    );
  };
  const name = target.alias ?? relation.name;
  const own = `'${COLD_PLACES}' AS ${quoteName(name)}`;
  const places = [FILE_COLUMN, ROW_COLUMN]
    .map((column) => `${quoteName(name)}.${quoteName(column)}`)
    .join(', ');
  const isSimple = from === undefined && statement.references.length === 1;
  if (isOnBranch && !isSimple) return `SELECT ${places} FROM ${own}`;
  const others = from === undefined ? '' : `${text(from).replace(/^\s*FROM/i, '')}, `;
  return `${text(ctes)} SELECT ${places} FROM ${others}${own} ${text(where)}`.trim();
}

/** The columns named behind the target of an INSERT, at `end`; undefined where none are. */
export function columnList({ tokens, sql }: Statement, end: number): string[] | undefined {
  const open = tokens.findIndex(({ start }) => start >= end);
  if (tokens[open]?.text !== '(') return undefined;
  const close = tokens.findIndex(({ text }, i) => i > open && text === ')');
  return tokens
    .slice(open + 1, close)
    .filter(isName)
    .map((token) => nameOf(sql, token));
}
