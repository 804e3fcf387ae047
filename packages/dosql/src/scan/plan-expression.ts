import type { Statement } from '../sql/statement.ts';
import { nameOf, type Token } from '../sql/token.ts';
import type { BinaryOperator, Call, Expression } from './plan-syntax.ts';
import type { Scalar } from './scalar.ts';

/** Thrown within the planner where a statement is left to SQLite. */
export class Declined extends Error {}

/** How tightly each operator binds, by SQLite's grammar (https://sqlite.org/lang_expr.html#operators_and_parse_affecting_attributes). */
const OR = 1;
const AND = 2;
const NOT = 3;
const EQUALS = 4;
const COMPARES = 5;
const BITS = 7;
const ADDS = 8;
const MULTIPLIES = 9;
const JOINS = 10;
const SIGN = 12;

const BINARY: Readonly<Record<string, readonly [BinaryOperator, number]>> = {
  OR: ['or', OR],
  AND: ['and', AND],
  '=': ['=', EQUALS],
  '==': ['=', EQUALS],
  '<>': ['<>', EQUALS],
  '!=': ['<>', EQUALS],
  '<': ['<', COMPARES],
  '<=': ['<=', COMPARES],
  '>': ['>', COMPARES],
  '>=': ['>=', COMPARES],
  '&': ['&', BITS],
  '|': ['|', BITS],
  '<<': ['<<', BITS],
  '>>': ['>>', BITS],
  '+': ['+', ADDS],
  '-': ['-', ADDS],
  '*': ['*', MULTIPLIES],
  '/': ['/', MULTIPLIES],
  '%': ['%', MULTIPLIES],
  '||': ['||', JOINS],
};

/** Trees that are deeper, SQLite refuses itself, or walks them with less stack. */
const MAX_DEPTH = 200;
const MAX_CHAIN = 500;

/** Words that SQLite never takes for a column's name (https://sqlite.org/lang_keywords.html), as far as an operand can begin with them. */
const RESERVED_WORDS: ReadonlySet<string> = new Set(
  (
    'ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE CROSS CURRENT_DATE ' +
    'CURRENT_TIME CURRENT_TIMESTAMP DEFAULT DEFERRABLE DELETE DISTINCT DROP ELSE ESCAPE EXCEPT EXISTS FILTER FOREIGN ' +
    'FROM FULL GROUP HAVING IN INDEX INNER INSERT INTERSECT INTO IS ISNULL JOIN LEFT LIMIT NATURAL NOT NOTHING NOTNULL ' +
    'NULL ON OR ORDER OUTER OVER PRIMARY REFERENCES RETURNING RIGHT SELECT SET TABLE THEN TO TRANSACTION UNION UNIQUE ' +
    'UPDATE USING VALUES WHEN WHERE WINDOW RAISE'
  ).split(' '),
);

/** Reads expressions from a statement's tokens, by precedence climbing. */
export class ExpressionReader {
  readonly #sql: string;
  readonly #tokens: readonly Token[];
  readonly #parameters: ReadonlyMap<number, number>;
  readonly #table: ReadonlySet<string>;
  #depth = 0;
  /** Index of the next token. */
  at = 0;

  /** `table`: the names, in lower case, by which columns may be qualified. */
  constructor(statement: Statement, table: ReadonlySet<string>) {
    this.#sql = statement.sql;
    this.#tokens = statement.tokens;
    this.#parameters = new Map(statement.parameters.map(({ start, index }) => [start, index]));
    this.#table = table;
  }

  /** The text of the token `ahead` of the next one; empty where it is neither word nor operator. */
  text(ahead = 0): string {
    return this.#tokens[this.at + ahead]?.text ?? '';
  }

  token(ahead = 0): Token | undefined {
    return this.#tokens[this.at + ahead];
  }

  /** Skips the next tokens where they are these. */
  skip(...texts: string[]): boolean {
    if (!texts.every((text, i) => this.text(i) === text)) return false;
    this.at += texts.length;
    return true;
  }

  expect(text: string): void {
    if (!this.skip(text)) throw new Declined();
  }

  /** The name that the token spells. */
  name(token: Token): string {
    return nameOf(this.#sql, token);
  }

  /** The source from token `from` to the last one that was read. */
  source(from: number): string {
    const start = this.#tokens[from]?.start ?? 0;
    return this.#sql.slice(start, this.#tokens[this.at - 1]?.end);
  }

  expression(minimum = 0): Expression {
    if (++this.#depth > MAX_DEPTH) throw new Declined();
    let left = this.#prefix();
    for (let length = 0; ; length++) {
      if (length > MAX_CHAIN) throw new Declined();
      const next = this.#infix(left, minimum);
      if (next === undefined) break;
      left = next;
    }
    this.#depth--;
    return left;
  }

  list(): Expression[] {
    const list: Expression[] = [];
    do list.push(this.expression());
    while (this.skip(','));
    return list;
  }

  #infix(left: Expression, minimum: number): Expression | undefined {
    const text = this.text();
    const binary = Object.hasOwn(BINARY, text) ? BINARY[text] : undefined;
    if (binary !== undefined) {
      const [operator, precedence] = binary;
      if (precedence < minimum) return undefined;
      this.at++;
      return { kind: 'binary', operator, left, right: this.expression(precedence + 1) };
    }
    if (minimum > EQUALS) {
      if (text === 'COLLATE' || text === '->' || text === '->>') throw new Declined();
      return undefined;
    }
    return this.#wordOperator(left, text);
  }

  #wordOperator(left: Expression, text: string): Expression | undefined {
    switch (text) {
      case 'ISNULL':
        this.at++;
        return { kind: 'binary', operator: 'is', left, right: NULL };
      case 'NOTNULL':
        this.at++;
        return { kind: 'binary', operator: 'is not', left, right: NULL };
      case 'IS':
        this.at++;
        return this.#is(left);
      case 'NOT':
        if (this.text(1) === 'NULL') {
          this.at += 2;
          return { kind: 'binary', operator: 'is not', left, right: NULL };
        }
        this.at++;
        return this.#test(left, true);
      case 'BETWEEN':
      case 'IN':
      case 'LIKE':
      case 'GLOB':
        return this.#test(left, false);
      case 'COLLATE':
      case 'REGEXP':
      case 'MATCH':
      case '->':
      case '->>':
        throw new Declined();
      default:
        return undefined;
    }
  }

  #is(left: Expression): Expression {
    let not = this.skip('NOT');
    if (this.skip('DISTINCT', 'FROM')) not = !not;
    const operator = not ? 'is not' : 'is';
    const right = this.expression(EQUALS + 1);
    // `x IS TRUE` asks for the truth of x, not for its being 1.
    if (right.kind === 'column' && /^(?:true|false)$/i.test(right.name)) throw new Declined();
    return { kind: 'binary', operator, left, right };
  }

  #test(operand: Expression, not: boolean): Expression {
    const text = this.text();
    this.at++;
    switch (text) {
      case 'BETWEEN': {
        const low = this.expression(EQUALS + 1);
        this.expect('AND');
        return { kind: 'between', not, operand, low, high: this.expression(EQUALS + 1) };
      }
      case 'IN': {
        this.expect('(');
        if (this.text() === 'SELECT' || this.text() === 'VALUES' || this.text() === 'WITH')
          throw new Declined();
        // SQLite takes an empty list for the word FALSE, and that behind IS for a question of truth.
        const list = this.list();
        this.expect(')');
        return { kind: 'in', not, operand, list };
      }
      case 'LIKE':
      case 'GLOB': {
        const operator = text === 'LIKE' ? 'like' : 'glob';
        const pattern = this.expression(EQUALS + 1);
        const escape = this.skip('ESCAPE') ? this.expression(EQUALS + 1) : undefined;
        return { kind: 'like', operator, not, operand, pattern, escape };
      }
      default:
        throw new Declined();
    }
  }

  #prefix(): Expression {
    const token = this.token();
    if (token === undefined) throw new Declined();
    this.at++;
    switch (token.kind) {
      case 'string':
        return { kind: 'literal', value: nameOf(this.#sql, closed(this.#sql, token)) };
      case 'blob':
        return { kind: 'literal', value: blob(this.#sql.slice(token.start + 2, token.end - 1)) };
      case 'number':
        return { kind: 'literal', value: number(this.#sql.slice(token.start, token.end)) };
      case 'variable':
        return this.#parameter(token);
      case 'quoted':
        return this.#column(token);
      case 'operator':
        return this.#sign(token.text);
      default:
        return this.#word(token);
    }
  }

  #parameter(token: Token): Expression {
    const index = this.#parameters.get(token.start);
    if (index === undefined) throw new Declined();
    return { kind: 'parameter', index };
  }

  #sign(text: string): Expression {
    if (text === '(') {
      if (this.text() === 'SELECT' || this.text() === 'WITH' || this.text() === 'VALUES')
        throw new Declined();
      const inner = this.expression();
      // A row value has several; those are SQLite's.
      this.expect(')');
      return inner;
    }
    if (text !== '-' && text !== '+' && text !== '~') throw new Declined();
    const token = this.token();
    // The least integer is the sign and a number that is no integer by itself.
    if (text === '-' && token?.kind === 'number' && /^9223372036854775808$/.test(this.#textOf(token))) {
      this.at++;
      return { kind: 'literal', value: -(2n ** 63n) };
    }
    return { kind: 'unary', operator: text, operand: this.expression(SIGN) };
  }

  #textOf(token: Token): string {
    return this.#sql.slice(token.start, token.end);
  }

  #word(token: Token): Expression {
    switch (token.text) {
      case 'NULL':
        return NULL;
      case 'NOT':
        return { kind: 'unary', operator: 'not', operand: this.expression(NOT) };
      case 'CASE':
        return this.#case();
      case 'CAST':
        if (this.text() === '(') return this.#cast();
        break;
      case 'DATE':
      case 'TIMESTAMP':
        // The standard's typed literal, as other engines have it, is a string with a word before it.
        if (this.token()?.kind === 'string') throw new Declined();
        break;
    }
    if (RESERVED_WORDS.has(token.text)) throw new Declined();
    if (this.text() === '(') return this.#call(nameOf(this.#sql, token).toLowerCase());
    return this.#column(token);
  }

  #column(token: Token): Expression {
    if (token.kind === 'quoted') closed(this.#sql, token);
    if (!this.skip('.')) {
      if (token.kind === 'quoted' && this.text() === '(') throw new Declined();
      return { kind: 'column', name: nameOf(this.#sql, token) };
    }
    const name = this.token();
    if (name === undefined || (name.kind !== 'word' && name.kind !== 'quoted')) throw new Declined();
    if (!this.#table.has(nameOf(this.#sql, token).toLowerCase())) throw new Declined();
    this.at++;
    if (this.text() === '.') throw new Declined();
    return { kind: 'column', name: nameOf(this.#sql, name) };
  }

  #case(): Expression {
    const operand = this.text() === 'WHEN' ? undefined : this.expression();
    const branches: { when: Expression; result: Expression }[] = [];
    while (this.skip('WHEN')) {
      const when = this.expression();
      this.expect('THEN');
      branches.push({ when, result: this.expression() });
    }
    if (branches.length === 0) throw new Declined();
    const otherwise = this.skip('ELSE') ? this.expression() : undefined;
    this.expect('END');
    return { kind: 'case', operand, branches, otherwise };
  }

  #cast(): Expression {
    this.expect('(');
    const operand = this.expression();
    this.expect('AS');
    const words: string[] = [];
    while (this.token()?.kind === 'word') {
      words.push(this.text());
      this.at++;
    }
    if (this.skip('(')) {
      while (this.token()?.kind === 'number' || this.text() === ',') this.at++;
      this.expect(')');
    }
    this.expect(')');
    if (words.length === 0) throw new Declined();
    return { kind: 'cast', operand, type: words.join(' ') };
  }

  #call(name: string): Call {
    this.expect('(');
    if (name === 'extract') return this.#extract();
    const distinct = this.skip('DISTINCT');
    if (!distinct) this.skip('ALL');
    const star = this.skip('*');
    const args = star || this.text() === ')' ? [] : this.list();
    // ORDER BY within an aggregate, and every window, are SQLite's.
    this.expect(')');
    const filter = this.skip('FILTER', '(', 'WHERE') ? this.expression() : undefined;
    if (filter !== undefined) this.expect(')');
    if (this.text() === 'OVER' || this.text() === 'WITHIN') throw new Declined();
    return { kind: 'call', name, args, star, distinct, filter };
  }

  /** `extract(part FROM operand)`, the standard's way to call `date_part`. */
  #extract(): Call {
    const part = this.token();
    if (part?.kind !== 'word' && part?.kind !== 'string') throw new Declined();
    this.at++;
    if (!this.skip('FROM')) this.expect(',');
    const args: Expression[] = [{ kind: 'literal', value: this.name(part).toLowerCase() }, this.expression()];
    this.expect(')');
    return { kind: 'call', name: 'extract', args, star: false, distinct: false, filter: undefined };
  }
}

const NULL: Expression = { kind: 'literal', value: null };

/** `token`, which ends with its quote. */
function closed(sql: string, token: Token): Token {
  const open = sql.charAt(token.start);
  const close = open === '[' ? ']' : open;
  if (token.end - token.start < 2 || sql.charAt(token.end - 1) !== close) throw new Declined();
  return token;
}

function blob(hex: string): Uint8Array {
  if (hex.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(hex)) throw new Declined();
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}

function number(text: string): Scalar {
  if (/^0x[0-9a-f]{1,16}$/i.test(text)) return BigInt.asIntN(64, BigInt(text));
  // Digits may be set apart by single underscores.
  if (!/^(?:\d+(?:_\d+)*)?(?:\.(?:\d+(?:_\d+)*)?)?(?:e[+-]?\d+(?:_\d+)*)?$/i.test(text)) throw new Declined();
  const plain = text.replaceAll('_', '');
  if (!/^\d+$/.test(plain)) return Number(plain);
  const integer = BigInt(plain);
  return integer < 2n ** 63n ? integer : Number(plain);
}
