import { lowerName, nameOf, tokenize } from '../sql/token.ts';

/** The collations that a CREATE TABLE gives to its columns; no pragma tells them. */
export function collationsOf(sql: string): Map<string, string> {
  const collations = new Map<string, string>();
  const tokens = tokenize(sql);
  let depth = 0;
  let column: string | undefined;
  let atColumn = false;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token === undefined) break;
    if (token.text === '(') {
      depth++;
      if (depth === 1) atColumn = true;
    } else if (token.text === ')') {
      depth--;
    } else if (depth === 1 && token.text === ',') {
      atColumn = true;
    } else if (atColumn) {
      column = lowerName(nameOf(sql, token));
      atColumn = false;
    } else if (depth === 1 && token.text === 'COLLATE' && column !== undefined) {
      const name = tokens[i + 1];
      if (name !== undefined) collations.set(column, nameOf(sql, name).toUpperCase());
    }
  }
  for (const [name, collation] of collations) if (collation === 'BINARY') collations.delete(name);
  return collations;
}
