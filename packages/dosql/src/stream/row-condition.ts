import { DoSQLError, sqliteError } from '../error.ts';
import { all } from '../sql/read.ts';
import { isName, lowerName, nameOf, quoteName, tokenize, type Token } from '../sql/token.ts';

/** Longer conditions are refused. */
const MAX_LENGTH = 10_000;

/** What an expression over one row may be made of besides its columns, values and {@link FUNCTIONS}. */
const WORDS = new Set(
  'AND OR NOT IS NULL ISNULL NOTNULL DISTINCT FROM IN LIKE GLOB ESCAPE BETWEEN CASE WHEN THEN ELSE END CAST AS COLLATE TRUE FALSE'.split(
    ' ',
  ),
);

/** Functions of one row that always give the same, and cost about what their arguments are long. */
const FUNCTIONS = new Set(
  (
    'ABS CEIL CEILING CHAR COALESCE CONCAT CONCAT_WS DATE DATETIME FLOOR HEX IFNULL IIF INSTR JSON_ARRAY_LENGTH JSON_EXTRACT ' +
    'JSON_TYPE JSON_VALID JULIANDAY LENGTH LOWER LTRIM MAX MIN MOD NULLIF OCTET_LENGTH REPLACE ROUND RTRIM SIGN STRFTIME ' +
    'SUBSTR SUBSTRING TIME TRIM TRUNC TYPEOF UNICODE UNIXEPOCH UPPER'
  ).split(' '),
);

/**
 * A condition over one row that comes from outside: an expression of columns, values, operators and plain functions,
 * no subquery, no parameter, no other table. It is let through token by token, so that what is not known is refused.
 */
export class RowCondition {
  readonly sql: string;
  readonly #table: string;
  readonly #isVisible: (column: string) => boolean;
  readonly #columns: readonly { readonly name: string; readonly token: Token }[];

  /** @throws DoSQLError `SYNTAX` for what is no such expression, `BAD_PARAMETER`. */
  constructor(sql: string, table: string, isVisible: (column: string) => boolean) {
    if (typeof sql !== 'string' || sql.trim() === '')
      throw new DoSQLError(
        'BAD_PARAMETER',
        `where of table "${table}" is empty: give a condition over its row`,
      );
    if (sql.length > MAX_LENGTH)
      throw new DoSQLError(
        'BAD_PARAMETER',
        `where of table "${table}" has ${sql.length} characters: ${MAX_LENGTH} are the most`,
      );
    this.sql = sql;
    this.#table = table;
    this.#isVisible = isVisible;
    this.#columns = columnsIn(sql, table);
  }

  /** @throws DoSQLError `SYNTAX` for what SQLite does not understand, and as {@link columns}. */
  check(sql: SqlStorage, known: ReadonlySet<string>): void {
    const columns = [...new Set(this.columns(known)), ''].map((name) => `NULL AS ${quoteName(name)}`);
    const row = `(SELECT ${columns.join(', ')}) AS ${quoteName(this.#table)}`;
    try {
      all(sql, `EXPLAIN SELECT 1 FROM ${row} WHERE (${this.sql})`);
    } catch (error) {
      throw conditionError(error, this.#table);
    }
  }

  /**
   * Names of the columns that it mentions, in lower case.
   *
   * @throws DoSQLError `NO_SUCH_COLUMN` for one that is not among `known`, or that it may not see: in the same words.
   */
  columns(known: ReadonlySet<string>): string[] {
    return this.#columns.map(({ name, token }) => {
      const column = lowerName(name);
      if (known.has(column) && this.#isVisible(column)) return column;
      throw new DoSQLError('NO_SUCH_COLUMN', `no such column: ${name}`, {
        sql: this.sql,
        offset: token.start,
      });
    });
  }
}

/** What SQLite said of a condition, without the statement that it was made part of. */
export function conditionError(error: unknown, table: string): DoSQLError {
  if (error instanceof DoSQLError) return error;
  const { code, reason } = sqliteError(error, '');
  return new DoSQLError(code, `where of table "${table}": ${reason.replace(/ \(at offset \d+\)$/, '')}`);
}

function columnsIn(sql: string, table: string): { name: string; token: Token }[] {
  const tokens = tokenize(sql);
  const refuse = (token: Token | undefined, why: string): DoSQLError =>
    new DoSQLError(
      'SYNTAX',
      `where of table "${table}" ${why}: it is an expression over one row of the table`,
      {
        sql,
        offset: token?.start,
      },
    );
  if (/\/\*|--/.test(sql)) throw refuse(undefined, 'holds a comment');
  const columns: { name: string; token: Token }[] = [];
  let depth = 0;
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    const before = tokens[i - 1];
    const shown = sql.slice(token.start, token.end).slice(0, 60);
    if (!isWhole(sql, token)) throw refuse(token, 'ends inside a text or a name');
    if (token.text === '(') depth++;
    else if (token.text === ')' && --depth < 0) throw refuse(token, 'closes a bracket that is not open');
    else if (token.text === ';' || token.kind === 'variable') throw refuse(token, `holds ${shown}`);
    else if (token.kind === 'word' && next?.text === '(' && !WORDS.has(token.text)) {
      if (!FUNCTIONS.has(token.text))
        throw refuse(token, `calls ${shown}(), which is not one of the functions for it`);
    } else if (token.text === 'IN' && next?.text !== '(') throw refuse(token, 'has IN without a list');
    else if (token.kind === 'quoted' || (token.kind === 'word' && !WORDS.has(token.text))) {
      const isOfCast = before?.text === 'AS' || before?.text === 'COLLATE';
      const isTable = next?.text === '.' && lowerName(nameOf(sql, token)) === lowerName(table);
      if (isOfCast && token.kind === 'word') return;
      if (!isTable) columns.push({ name: nameOf(sql, token), token });
      else if (!isName(tokens[i + 2])) throw refuse(token, 'names no column');
    }
  });
  if (depth > 0) throw refuse(tokens.at(-1), 'leaves a bracket open');
  return columns;
}

/** A text or a quoted name that its own quote ends. */
function isWhole(sql: string, { kind, start, end }: Token): boolean {
  if (kind !== 'quoted' && kind !== 'string' && kind !== 'blob') return true;
  const open = sql.charAt(kind === 'blob' ? start + 1 : start);
  const body = sql.slice(start, end);
  if (end - start < 2 || !body.endsWith(open === '[' ? ']' : open)) return false;
  // `'it''` ends inside: its last two quotes are one.
  return open === '[' || (body.split(open).length - 1) % 2 === 0;
}
