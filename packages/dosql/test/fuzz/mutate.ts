import { tokenize, type Token } from '../../src/sql/token.ts';
import type { Random } from '../support/random.ts';
import { TABLES, VIEWS } from '../sqllogic/tables.ts';

/** Names that may be quoted wherever they stand, as they are no functions. */
const NAMES = new Set(
  [...TABLES, ...VIEWS].flatMap(({ name, columns }) => [name, ...columns.map(([column]) => column)]),
);

/** Comments that look like SQL to whoever does not read tokens. */
const COMMENTS = [
  '/* FROM item FOR SYSTEM_TIME AS OF LSN 1 */',
  '-- it\'s FROM "work/item"\n',
  '/* ; */',
  '/**/',
  '-- ; BEGIN /*\n',
  '/* "item */',
  "/* ' */",
];

/** Texts that look like SQL. */
const STRINGS = [
  "'item FOR SYSTEM_TIME AS OF LSN 1'",
  "'; DROP TABLE item; --'",
  "'/* '",
  "'work/item'",
  "'it''s \"item\"'",
  "'FROM item --'",
];

const SPACES = [' ', '  ', '\n', '\t', '\r\n', '\f'];

/** The statement with other spaces, comments, quotes and letters' case: the same to SQLite, but for its texts. */
export function disguised(random: Random, sql: string, changesTexts: boolean): string {
  const tokens = tokenize(sql);
  return tokens
    .map((token, i) => {
      const before = i === 0 ? '' : gap(random, sql.slice((tokens[i - 1] as Token).end, token.start));
      // ESCAPE takes one character. What another leads to depends on whether SQLite comes to ask.
      const isText = changesTexts && tokens[i - 1]?.text !== 'ESCAPE';
      return before + dressed(random, sql, token, tokens[i + 1], isText);
    })
    .join('');
}

/** What stands between two tokens: where there was nothing, there need not be anything. */
function gap(random: Random, before: string): string {
  if (random.chance(0.7)) return before;
  const parts = random.times(1 + random.int(2), () => random.pick(random.chance(0.6) ? SPACES : COMMENTS));
  return parts.join('') || before;
}

function dressed(
  random: Random,
  sql: string,
  token: Token,
  next: Token | undefined,
  changesTexts: boolean,
): string {
  const text = sql.slice(token.start, token.end);
  if (changesTexts && token.kind === 'string' && random.chance(0.3)) return random.pick(STRINGS);
  if (token.kind !== 'word' || random.chance(0.6)) return text;
  if (!NAMES.has(text) || next?.text === '(') return random.chance(0.5) ? text.toLowerCase() : text;
  return random.pick([`"${text}"`, `[${text}]`, `\`${text}\``, text.toUpperCase()]);
}

/** Tokens of SQL that hardly ever make sense together. */
const SOUP = (
  'SELECT FROM WHERE item pair part exact loose item_part by_s n s id k m r at x AS a b , , . ( ) ( ) * + - || = < >= <> -> ->> IN NOT NULL IS AND OR ' +
  'CASE WHEN THEN ELSE END LIKE GLOB BETWEEN EXISTS UNION ALL EXCEPT GROUP BY ORDER LIMIT HAVING JOIN LEFT NATURAL ON USING WITH VALUES DISTINCT ' +
  "COLLATE NOCASE CAST OVER PARTITION WINDOW FILTER FOR count max length 1 0 2.5 .5 1e3 0x1f 'a' 'it''s' \"item\" [item] `n` x'61' '' " +
  '/*c*/ --c\n ; CURRENT RAISE ROW INDEXED MATERIALIZED RECURSIVE REPLACE rowid ä 𝄞 "a""b"'
).split(/ (?!\n)/);

/** Any tokens in a row. */
export function soup(random: Random): string {
  const words = random.times(2 + random.int(12), () => random.pick(SOUP));
  const text = words.join(random.chance(0.9) ? ' ' : '');
  return random.chance(0.7) ? `SELECT ${text}` : text;
}

/** The statement with some of its tokens left out, said twice, put elsewhere, or others put in. */
export function damaged(random: Random, sql: string): string {
  const parts = tokenize(sql).map(({ start, end }) => sql.slice(start, end));
  for (let i = random.int(2); i >= 0; i--) {
    const at = random.int(parts.length);
    const kind = random.int(4);
    if (kind === 0) parts.splice(at, 1);
    else if (kind === 1) parts.splice(at, 0, parts[at] as string);
    else if (kind === 2) parts.splice(random.int(parts.length), 0, ...parts.splice(at, 1));
    else parts.splice(at, 0, random.pick(SOUP));
  }
  const text = parts.join(' ');
  // Within a word or a text too.
  return random.chance(0.1) ? text.slice(0, random.int(text.length + 1)) : text;
}
