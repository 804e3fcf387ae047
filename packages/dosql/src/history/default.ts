import type { Column, Relation } from '../schema/relation.ts';
import { lowerName, nameOf, tokenize, type Token } from '../sql/token.ts';

/**
 * SQL for the constant that each column of a table has by default, by the column's id: what ADD COLUMN gives to
 * the rows that are there. Columns whose default is no constant are left out, as ADD COLUMN refuses them.
 */
export function defaultsOf(relation: Relation): Map<number, string> {
  const found = new Map<number, string>();
  for (const [name, literal] of literals(relation.sql)) {
    const column = relation.columns.find((column) => lowerName(column.name) === name);
    if (column !== undefined) found.set(column.id, stored(literal, column));
  }
  return found;
}

/** The literals behind DEFAULT in a CREATE TABLE, by the column's name in lower case. */
function literals(sql: string): Map<string, Literal> {
  const found = new Map<string, Literal>();
  const tokens = tokenize(sql);
  let depth = 0;
  let column: string | undefined;
  let atColumn = false;
  tokens.forEach((token, i) => {
    if (token.text === '(') atColumn = ++depth === 1;
    else if (token.text === ')') depth--;
    else if (depth === 1 && token.text === ',') atColumn = true;
    else if (atColumn) {
      column = lowerName(nameOf(sql, token));
      atColumn = false;
    } else if (depth === 1 && token.text === 'DEFAULT' && column !== undefined) {
      const literal = literalAt(sql, tokens, i + 1);
      if (literal !== undefined) found.set(column, literal);
    }
  });
  return found;
}

interface Literal {
  readonly text: string;
  readonly kind: 'number' | 'text' | 'blob' | 'null';
}

function literalAt(sql: string, tokens: readonly Token[], at: number): Literal | undefined {
  const token = tokens[at];
  if (token === undefined) return undefined;
  const text = sql.slice(token.start, token.end);
  if (token.text === '(') {
    const inner = literalAt(sql, tokens, at + 1);
    const length = tokens[at + 1]?.text === '-' || tokens[at + 1]?.text === '+' ? 2 : 1;
    return tokens[at + 1 + length]?.text === ')' ? inner : undefined;
  }
  if (token.text === '-' || token.text === '+') {
    const number = literalAt(sql, tokens, at + 1);
    return number?.kind === 'number' ? { text: `${token.text}${number.text}`, kind: 'number' } : undefined;
  }
  if (token.kind === 'number') return { text, kind: 'number' };
  if (token.kind === 'blob') return { text, kind: 'blob' };
  if (token.kind === 'string') return { text, kind: 'text' };
  if (token.text === 'NULL') return { text, kind: 'null' };
  if (token.text === 'TRUE' || token.text === 'FALSE') return { text, kind: 'number' };
  // SQLite takes a name behind DEFAULT for text.
  const isTime = /^CURRENT_(?:TIME|DATE|TIMESTAMP)$/.test(token.text);
  if ((token.kind !== 'word' && token.kind !== 'quoted') || isTime) return undefined;
  return { text: `'${nameOf(sql, token).replaceAll("'", "''")}'`, kind: 'text' };
}

/** A literal as the column's affinity stores it, and with that affinity where a CAST changes nothing more. */
function stored({ text, kind }: Literal, { affinity }: Column): string {
  if (kind === 'null') return affinity === 'blob' ? 'NULL' : `CAST(NULL AS ${affinity.toUpperCase()})`;
  if (affinity === 'blob' || kind === 'blob') return text;
  if (affinity === 'text') return `CAST(${text} AS TEXT)`;
  const isNumber = kind === 'number' || /^'\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*'$/i.test(text);
  return isNumber ? `CAST(${text} AS ${affinity === 'real' ? 'REAL' : 'NUMERIC'})` : text;
}
