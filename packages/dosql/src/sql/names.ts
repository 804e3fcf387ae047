import type { Span } from './scan.ts';
import type { Statement } from './statement.ts';
import { quoteName } from './token.ts';

/**
 * SQLite names a result column without alias by its own text; where that text is about to change, the column
 * gets its old text as alias.
 */
export function keepNames(
  statement: Statement,
  edits: readonly Span[],
): { start: number; end: number; text: string }[] {
  const { tokens, sql } = statement;
  let i = tokens.findIndex(({ text }) => text === 'SELECT');
  if (i < 0 || tokens[0]?.text === 'INSERT' || tokens[0]?.text === 'REPLACE') return [];
  if (tokens[0]?.text !== 'SELECT') {
    let depth = 0;
    i = tokens.findIndex(({ text }) => {
      depth += text === '(' ? 1 : text === ')' ? -1 : 0;
      return depth === 0 && text === 'SELECT';
    });
    if (i < 0) return [];
  }
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
    const last = tokens[at - 1];
    const isBare =
      last !== undefined && (last.text === ')' || last.kind === 'variable' || last.kind === 'number');
    if (
      start !== undefined &&
      end !== undefined &&
      isBare &&
      edits.some((edit) => edit.start >= start && edit.end <= end)
    )
      names.push({ start: end, end, text: ` AS ${quoteName(sql.slice(start, end))}` });
    if (token?.text !== ',') break;
    first = at + 1;
  }
  return names;
}
