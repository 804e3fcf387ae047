import type { Span } from './scan.ts';
import type { Statement } from './statement.ts';
import { isName, quoteName, type Token } from './token.ts';

/**
 * SQLite names a result column without alias by its own text; where that text is about to change, the column
 * gets its old text as alias.
 */
export function keepNames(
  statement: Statement,
  edits: readonly Span[],
): { start: number; end: number; text: string }[] {
  const { tokens, sql } = statement;
  const results = statement.kind === 'write' ? 'RETURNING' : 'SELECT';
  let nesting = 0;
  const i = tokens.findIndex(({ text }) => {
    nesting += text === '(' ? 1 : text === ')' ? -1 : 0;
    return nesting === 0 && text === results;
  });
  if (i < 0) return [];
  const names: { start: number; end: number; text: string }[] = [];
  let depth = 0;
  let first = i + 1;
  if (tokens[first]?.text === 'DISTINCT' || tokens[first]?.text === 'ALL') first++;
  for (let at = first; at <= tokens.length; at++) {
    const token = tokens[at];
    if (token?.text === '(') depth++;
    else if (token?.text === ')') depth--;
    const ends =
      token === undefined ||
      (depth === 0 && /^(?:,|FROM|WHERE|GROUP|ORDER|LIMIT|UNION|EXCEPT|INTERSECT)$/.test(token.text));
    if (!ends) continue;
    const [start, end] = [tokens[first]?.start, tokens[at - 1]?.end];
    if (
      start !== undefined &&
      end !== undefined &&
      !hasAlias(tokens.slice(first, at)) &&
      edits.some((edit) => edit.start >= start && edit.end <= end)
    )
      names.push({ start: end, end, text: ` AS ${quoteName(named(sql.slice(start, token?.start)))}` });
    if (token?.text !== ',') break;
    first = at + 1;
  }
  return names;
}

/** What SQLite calls a column with this text up to the next token: comments behind it too, but no spaces. */
function named(text: string): string {
  return text.replace(/[ \t-\r]+$/, '');
}

const ENDS_OPERAND = /^(?:END|ISNULL|NOTNULL)$/;
const BEFORE_OPERAND =
  /^(?:AND|OR|NOT|IS|LIKE|GLOB|REGEXP|MATCH|IN|BETWEEN|COLLATE|ESCAPE|CASE|WHEN|THEN|ELSE|FROM|OVER)$/;

/** Whether a result column ends with a name of its own: behind AS, or behind an operand that is already whole. */
function hasAlias(column: readonly Token[]): boolean {
  const [before, last] = column.slice(-2);
  if (before === undefined || !isName(last) || ENDS_OPERAND.test(last.text)) return false;
  if (before.kind === 'operator') return before.text === ')';
  return before.kind !== 'word' || !BEFORE_OPERAND.test(before.text);
}
