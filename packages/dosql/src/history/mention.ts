import { sameName } from '../schema/catalog.ts';
import { ROWID_NAMES, type Column, type Relation } from '../schema/relation.ts';
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

/** The columns that the statement names somewhere, and one that is the rowid, which goes by other words too; at least one. */
export function namedColumns(statement: Statement, { columns, key }: Relation): readonly Column[] {
  const isNamed = mentions(statement);
  const rowid = key.kind === 'rowid' ? key.columnId : undefined;
  const named = columns.filter(({ id, name }) => id === rowid || isNamed(name));
  return named.length > 0 ? named : columns.slice(0, 1);
}

/** The word by which the statement asks for a rowid that is no column of the table. */
export function rowidMention({ tokens, sql }: Statement, relation: Relation): string | undefined {
  if (relation.key.kind !== 'rowid') return undefined;
  return tokens
    .filter(({ kind }) => kind === 'word' || kind === 'quoted')
    .map((token) => lowerName(nameOf(sql, token)))
    .find((name) => isRowid(name, relation));
}

function isRowid(name: string, { columns }: Relation): boolean {
  return ROWID_NAMES.includes(name) && !columns.some((column) => sameName(column.name, name));
}

/** The name that a subquery in place of the table gives a rowid that is no column, if the statement asks for that. */
export function rowidName(statement: Statement, relation: Relation): string | undefined {
  const { key } = relation;
  if (key.kind !== 'rowid' || key.columnId !== undefined) return undefined;
  return rowidMention(statement, relation) && key.name;
}

/**
 * The rowid of `reference` goes by three words, and a subquery has but one for it: all become that one. `inside` are
 * the edits within a longer expression, which is the name of its result column.
 */
export function oneRowid(
  statement: Statement,
  reference: TableReference,
  relation: Relation,
): { whole: Edit[]; inside: Edit[] } {
  const edits: { whole: Edit[]; inside: Edit[] } = { whole: [], inside: [] };
  const { key } = relation;
  if (key.kind !== 'rowid' || rowidMention(statement, relation) === undefined) return edits;
  const { tokens, sql } = statement;
  const selects = selectsAround(statement);
  tokens.forEach((token, i) => {
    const name = isName(token) ? lowerName(nameOf(sql, token)) : '';
    if (!isRowid(name, relation)) return;
    const [table, dot] = tokens.slice(Math.max(0, i - 2), i);
    const called = dot?.text === '.' && isName(table) ? nameOf(sql, table) : undefined;
    // Without a table it is that of the innermost SELECT which reads just one.
    const isMeant = (other: TableReference, _: number, { length }: readonly unknown[]): boolean => {
      const { alias, name } = other.start === reference.start ? reference : other;
      return called === undefined ? length === 1 : sameName(called, alias ?? name);
    };
    let select = selects[i];
    while (select !== undefined && !select.tables.some(isMeant)) select = select.around;
    if (select?.tables.find(isMeant)?.start !== reference.start) return;
    const before = tokens[called === undefined ? i - 1 : i - 3]?.text ?? '';
    const isWhole =
      select === selects[i] &&
      token.start < reference.start &&
      /^(?:SELECT|DISTINCT|ALL|,)$/.test(before) &&
      /^(?:,|FROM)$/.test(tokens[i + 1]?.text ?? '');
    // A subquery's column is called as it is written, a result's as the table has it.
    const alias = isWhole && select.around !== undefined ? ` AS ${quoteName(name)}` : '';
    edits[isWhole ? 'whole' : 'inside'].push({ ...token, text: quoteName(key.name) + alias });
  });
  return edits;
}

/** A SELECT, or what else is between parentheses, and the tables that it reads. */
interface Select {
  readonly around: Select | undefined;
  readonly tables: TableReference[];
}

/** For each token the SELECT that it is in. */
function selectsAround({ tokens, references }: Statement): readonly Select[] {
  let select: Select = { around: undefined, tables: [] };
  return tokens.map(({ text, start }) => {
    if (text === '(') select = { around: select, tables: [] };
    else if (/^(?:UNION|INTERSECT|EXCEPT)$/.test(text)) select = { around: select.around, tables: [] };
    const own = select;
    own.tables.push(
      ...references.filter((table) => table.start === start && !table.isCte && !table.kind.startsWith('in')),
    );
    if (text === ')') select = select.around ?? select;
    return own;
  });
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
 * too: those of the reference itself, and a bare one of a SELECT that reads nothing else.
 */
export function spellStars(
  statement: Statement,
  reference: TableReference,
  columns: readonly string[],
): Edit[] {
  const { tokens, sql } = statement;
  const own = reference.alias ?? reference.name;
  const selects = selectsAround(statement);
  const from = tokens.findLast(({ end }) => end <= reference.whole.start)?.text;
  const behind = tokens.find(({ start }) => start >= hintEnd(statement, reference))?.text ?? '';
  const isAlone = from === 'FROM' && !/^(?:,|JOIN|NATURAL|LEFT|RIGHT|FULL|INNER|CROSS)$/.test(behind);
  const list = columns.map((name) => `${quoteName(own)}.${quoteName(name)}`).join(', ');
  return tokens.flatMap((star, i): Edit[] => {
    if (star.text !== '*') return [];
    const [table, dot] = tokens.slice(Math.max(0, i - 2), i);
    if (dot?.text === '.' && isName(table))
      return sameName(nameOf(sql, table), own) ? [{ start: table.start, end: star.end, text: list }] : [];
    const isBare = /^(?:SELECT|DISTINCT|ALL|,)$/.test(tokens[i - 1]?.text ?? '');
    const isOnly =
      isAlone && selects[i]?.tables.length === 1 && selects[i].tables[0]?.start === reference.start;
    return isBare && isOnly ? [{ start: star.start, end: star.end, text: list }] : [];
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
