import { sameName } from '../schema/catalog.ts';
import type { Column, Relation } from '../schema/relation.ts';
import type { Span, TableReference } from '../sql/scan.ts';
import type { Statement } from '../sql/statement.ts';
import { isName, lowerName, nameOf, quoteName } from '../sql/token.ts';

/** A stretch of a statement's text, and what is to stand there. */
export interface Edit extends Span {
  readonly text: string;
}

/**
 * Whether the statement has a name somewhere: SQLite fetches all columns that a subquery of ours has, so it gets
 * only those. A star names all.
 */
export function mentions({ tokens, sql }: Statement): (name: string) => boolean {
  // A star names all columns, but for that of count(*).
  if (tokens.some(({ text }, i) => text === 'NATURAL' || (text === '*' && tokens[i - 1]?.text !== '(')))
    return () => true;
  const names = new Set(tokens.map((token) => lowerName(nameOf(sql, token))));
  return (name) => names.has(lowerName(name));
}

/** The columns whose names the statement has somewhere; at least one. */
export function namedColumns(statement: Statement, columns: readonly Column[]): readonly Column[] {
  const isNamed = mentions(statement);
  const named = columns.filter(({ name }) => isNamed(name));
  return named.length > 0 ? named : columns.slice(0, 1);
}

/** The word by which the statement asks for a rowid that is no column of the table. */
export function rowidMention(statement: Statement, relation: Relation): string | undefined {
  const { tokens } = statement;
  const mention = tokens
    .filter((token) => token.kind === 'word' || token.kind === 'quoted')
    .map((token) => nameOf(statement.sql, token).toLowerCase())
    .find((name) => name === 'rowid' || name === '_rowid_' || name === 'oid');
  if (mention === undefined || relation.key.kind !== 'rowid') return undefined;
  return relation.columns.some(({ name }) => sameName(name, mention)) ? undefined : mention;
}

/**
 * A subquery that stands for a table is known by its name alone: `main.` goes from `main.t.a`. `inside` are the
 * edits within a longer expression, which is the name of its result column.
 */
export function unqualify(
  { tokens, sql }: Statement,
  names: readonly string[],
): { whole: Edit[]; inside: Edit[] } {
  const edits: { whole: Edit[]; inside: Edit[] } = { whole: [], inside: [] };
  tokens.forEach((token, i) => {
    const [dot, table, second] = tokens.slice(i + 1, i + 4);
    if (!isName(token) || dot?.text !== '.' || !isName(table) || second?.text !== '.') return;
    if (tokens[i - 1]?.text === '.' || !sameName(nameOf(sql, token), 'main')) return;
    if (!names.some((name) => sameName(name, nameOf(sql, table)))) return;
    const isWhole =
      /^(?:SELECT|DISTINCT|ALL|,)$/.test(tokens[i - 1]?.text ?? '') &&
      /^(?:,|FROM|AS|)$/.test(tokens[i + 5]?.text ?? '');
    edits[isWhole ? 'whole' : 'inside'].push({ start: token.start, end: table.start, text: '' });
  });
  return edits;
}

/**
 * Where the subquery of `reference` has a rowid before its columns, stars are spelled out, or they would give it
 * too: those of the reference itself, and a bare one where nothing else is read.
 */
export function spellStars(
  statement: Statement,
  reference: TableReference,
  columns: readonly string[],
): Edit[] {
  const { tokens, sql, references } = statement;
  const own = reference.alias ?? reference.name;
  const list = columns.map((name) => `${quoteName(own)}.${quoteName(name)}`).join(', ');
  return tokens.flatMap((star, i): Edit[] => {
    if (star.text !== '*') return [];
    const [table, dot] = tokens.slice(Math.max(0, i - 2), i);
    if (dot?.text === '.' && isName(table))
      return sameName(nameOf(sql, table), own) ? [{ start: table.start, end: star.end, text: list }] : [];
    const before = tokens[i - 1]?.text ?? '';
    const isBare = /^(?:SELECT|DISTINCT|ALL|,)$/.test(before);
    return isBare && references.length === 1 ? [{ start: star.start, end: star.end, text: list }] : [];
  });
}

/** The end of `INDEXED BY name` or `NOT INDEXED` behind the reference, which a subquery cannot have. */
export function hintEnd({ tokens }: Statement, { whole }: TableReference): number {
  const at = tokens.findIndex(({ start }) => start >= whole.end);
  const [first, second, third] = at < 0 ? [] : tokens.slice(at, at + 3);
  if (first?.text === 'INDEXED' && second?.text === 'BY' && third !== undefined) return third.end;
  if (first?.text === 'NOT' && second?.text === 'INDEXED') return second.end;
  return whole.end;
}
