/**
 * SQLite's tokens, by its own rules (https://sqlite.org/src/file?name=src/tokenize.c): no grammar, no
 * tree, comments and white space skipped. Everything that changes or judges a statement goes by these, so
 * that nothing inside a string, a quoted name or a comment is ever taken for SQL.
 */
export type TokenKind = 'word' | 'quoted' | 'string' | 'blob' | 'number' | 'variable' | 'operator';

/** One token; `start` and `end` are offsets into the text. */
export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
  /** A word in upper case, an operator as written; empty for every other kind. */
  readonly text: string;
}

const SPACE = 1;
const WORD = 2;
const DIGIT = 3;
const DOLLAR = 4;
const CLASS = new Uint8Array(128);
for (const c of ' \t\n\v\f\r') CLASS[c.charCodeAt(0)] = SPACE;
for (let i = 0; i < 26; i++) CLASS[65 + i] = CLASS[97 + i] = WORD;
CLASS[95] = WORD;
for (let i = 48; i < 58; i++) CLASS[i] = DIGIT;
CLASS[36] = DOLLAR;

function classOf(code: number): number {
  return code > 127 ? WORD : (CLASS[code] ?? 0);
}

function isWordPart(code: number): boolean {
  return classOf(code) >= WORD;
}

/** The tokens of `sql`, in order. Text that ends inside a string or comment ends the last token there. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  const length = sql.length;
  let i = 0;
  const push = (kind: TokenKind, start: number, text = ''): void => {
    tokens.push({ kind, start, end: i, text });
  };
  while (i < length) {
    const start = i;
    const code = sql.charCodeAt(i);
    const next = sql.charCodeAt(i + 1);
    const type = classOf(code);
    if (type === SPACE || code === 0xfeff) {
      i++;
    } else if (code === 45 /* - */ && next === 45) {
      const end = sql.indexOf('\n', i);
      i = end < 0 ? length : end + 1;
    } else if (code === 47 /* / */ && next === 42 /* * */) {
      const end = sql.indexOf('*/', i + 2);
      i = end < 0 ? length : end + 2;
    } else if ((code | 32) === 120 /* x */ && next === 39) {
      i = closing(sql, i + 1, "'", false);
      push('blob', start);
    } else if (type === WORD) {
      do i++;
      while (i < length && isWordPart(sql.charCodeAt(i)));
      push('word', start, sql.slice(start, i).toUpperCase());
    } else if (code === 39 /* ' */) {
      i = closing(sql, i, "'", true);
      push('string', start);
    } else if (code === 34 /* " */ || code === 96 /* ` */) {
      i = closing(sql, i, sql.charAt(i), true);
      push('quoted', start);
    } else if (code === 91 /* [ */) {
      i = closing(sql, i, ']', false);
      push('quoted', start);
    } else if (type === DIGIT || (code === 46 /* . */ && classOf(next) === DIGIT)) {
      i = numberEnd(sql, i);
      push('number', start);
    } else if (code === 63 || code === 58 || code === 64 || code === 36 || code === 35 /* ? : @ $ # */) {
      i = variableEnd(sql, i);
      push('variable', start);
    } else {
      i += operatorLength(sql, i);
      push('operator', start, sql.slice(start, i));
    }
  }
  return tokens;
}

function closing(sql: string, open: number, quote: string, doubles: boolean): number {
  let from = open + 1;
  for (;;) {
    const end = sql.indexOf(quote, from);
    if (end < 0) return sql.length;
    if (!doubles || sql.charAt(end + 1) !== quote) return end + 1;
    from = end + 2;
  }
}

function numberEnd(sql: string, start: number): number {
  const hex = (sql.charCodeAt(start + 1) | 32) === 120;
  let i = start + 1;
  for (; i < sql.length; i++) {
    const code = sql.charCodeAt(i);
    const signed = (code === 43 || code === 45) && !hex && (sql.charCodeAt(i - 1) | 32) === 101;
    if (!signed && code !== 46 && !isWordPart(code)) break;
  }
  return i;
}

function variableEnd(sql: string, start: number): number {
  let i = start + 1;
  if (sql.charAt(start) === '?') {
    while (classOf(sql.charCodeAt(i)) === DIGIT) i++;
    return i;
  }
  while (i < sql.length) {
    if (isWordPart(sql.charCodeAt(i))) i++;
    else if (sql.startsWith('::', i)) i += 2;
    else break;
  }
  const suffix = i > start + 1 ? /^\([^)\s]*\)/.exec(sql.slice(i)) : null;
  return i + (suffix?.[0].length ?? 0);
}

const OPERATORS = ['->>', '->', '||', '<<', '<=', '<>', '>>', '>=', '==', '!='];

function operatorLength(sql: string, i: number): number {
  return OPERATORS.find((operator) => sql.startsWith(operator, i))?.length ?? 1;
}

/** Whether `token` can be a name: a word, a quoted name, or a string where SQLite takes one for a name. */
export function isName(token: Token | undefined): token is Token {
  return token !== undefined && (token.kind === 'word' || token.kind === 'quoted' || token.kind === 'string');
}

/** The name that `token` spells, without its quotes. */
export function nameOf(sql: string, token: Token): string {
  if (token.kind === 'word') return sql.slice(token.start, token.end);
  const quote = sql.charAt(token.start);
  const body = sql.slice(token.start + 1, token.end - 1);
  return quote === '[' ? body : body.replaceAll(quote + quote, quote);
}

/** `name` in lower case as SQLite compares names: without regard to the case of ASCII letters, and of no others. */
export function lowerName(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/**
 * `name` as SQL, quoted. NUL cannot stand in an SQL text: such a name is refused by the caller that got
 * it from a user, and never comes out of SQLite.
 */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string literal of SQL. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
