import type { Span } from './scan.ts';
import { RESERVED, type Statement } from './statement.ts';
import { quoteName, type Token } from './token.ts';

const OWN = `'${RESERVED}'`;
/** SQLite's schema table without DoSQL's tables, triggers and indexes. */
const SCHEMA =
  `(SELECT * FROM sqlite_schema WHERE substr(name, 1, ${RESERVED.length}) <> ${OWN} ` +
  `AND substr(tbl_name, 1, ${RESERVED.length}) <> ${OWN})`;

/**
 * The changes to a statement's text that keep DoSQL out of the user's sight: its own objects are missing from
 * SQLite's schema table, and `changes()` is that of the user's last statement, not of what DoSQL wrote since.
 */
export function disguise(statement: Statement, changes: number): (Span & { text: string })[] {
  const { tokens } = statement;
  const schema = statement.references
    .filter(({ kind, name }) => kind === 'from' && /^sqlite_(?:master|schema)$/i.test(name))
    .map(({ whole, name, alias }) => ({ ...whole, text: `${SCHEMA} AS ${quoteName(alias ?? name)}` }));
  const calls = tokens.flatMap(({ text, start }, i) =>
    text === 'CHANGES' && tokens[i + 1]?.text === '(' && tokens[i + 2]?.text === ')'
      ? [{ start, end: (tokens[i + 2] as Token).end, text: `(${changes})` }]
      : [],
  );
  return [...schema, ...calls];
}
