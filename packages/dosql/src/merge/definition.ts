import { isName, lowerName, nameOf, quoteName, tokenize, type Token } from '../sql/token.ts';

/** A column of a table's definition. */
export interface ColumnDefinition {
  readonly name: string;
  /** The whole definition, name and all. */
  readonly text: string;
  /** What the definition says behind the name: type and constraints. */
  readonly rest: string;
  /** Stays the same through renames; where it is not given, columns are matched by their names. */
  readonly id?: number;
}

/** What a constraint of a table constrains. */
export type ConstraintKind = 'primary key' | 'unique' | 'check' | 'foreign key';

/** A constraint that stands in a table's definition by itself, not with a column. */
export interface ConstraintDefinition {
  readonly name: string | undefined;
  readonly kind: ConstraintKind;
  /** The whole constraint, `CONSTRAINT name` included. */
  readonly text: string;
}

/** What a CREATE TABLE statement says. */
export interface TableDefinition {
  readonly name: string;
  readonly columns: readonly ColumnDefinition[];
  readonly constraints: readonly ConstraintDefinition[];
  readonly isWithoutRowid: boolean;
  readonly isStrict: boolean;
}

const KINDS: Readonly<Record<string, ConstraintKind>> = {
  PRIMARY: 'primary key',
  UNIQUE: 'unique',
  CHECK: 'check',
  FOREIGN: 'foreign key',
};

/**
 * What `sql`, a CREATE TABLE statement, defines; undefined for any other, also for one without a list of
 * columns: a virtual table's, or CREATE TABLE … AS.
 *
 * `ids` gives the columns' ids by their names.
 */
export function parseTable(
  sql: string,
  ids?: (name: string) => number | undefined,
): TableDefinition | undefined {
  const tokens = tokenize(sql);
  const open = tokens.findIndex(({ text }) => text === '(' || text === 'AS' || text === 'USING');
  const nameToken = tokens[open - 1];
  const isTable = tokens.slice(0, 3).some(({ text }, i) => text === 'TABLE' && i > 0);
  if (!isTable || tokens[open]?.text !== '(' || !isName(nameToken)) return undefined;
  const { elements, close } = elementsOf(tokens, open);
  const columns: ColumnDefinition[] = [];
  const constraints: ConstraintDefinition[] = [];
  for (const element of elements) {
    const constraint = constraintOf(sql, element);
    if (constraint === undefined) columns.push(columnOf(sql, element, ids));
    else constraints.push(constraint);
  }
  const options = tokens.slice(close + 1).map(({ text }) => text);
  return {
    name: nameOf(sql, nameToken),
    columns,
    constraints,
    isWithoutRowid: options.includes('WITHOUT'),
    isStrict: options.includes('STRICT'),
  };
}

/** The CREATE TABLE statement of a definition, in the form that SQLite keeps. */
export function printTable({
  name,
  columns,
  constraints,
  isWithoutRowid,
  isStrict,
}: TableDefinition): string {
  const elements = [...columns, ...constraints].map(({ text }) => text);
  const options = [...(isWithoutRowid ? ['WITHOUT ROWID'] : []), ...(isStrict ? ['STRICT'] : [])];
  const body = elements.join(', ');
  return `CREATE TABLE ${quoteName(name)}(${body})${options.length > 0 ? ` ${options.join(', ')}` : ''}`;
}

/** The tokens of each element between the parenthesis at `open` and the one that closes it. */
function elementsOf(tokens: readonly Token[], open: number): { elements: Token[][]; close: number } {
  const elements: Token[][] = [];
  let element: Token[] = [];
  let depth = 0;
  let at = open + 1;
  for (; at < tokens.length; at++) {
    const token = tokens[at] as Token;
    if (token.text === ')' && depth === 0) break;
    if (depth === 0 && (token.text === ',' || beginsAnother(element, token))) {
      elements.push(element);
      element = token.text === ',' ? [] : [token];
      continue;
    }
    depth += token.text === '(' ? 1 : token.text === ')' ? -1 : 0;
    element.push(token);
  }
  if (element.length > 0) elements.push(element);
  return { elements, close: at };
}

/** SQLite takes table constraints without a comma between them. */
function beginsAnother(element: readonly Token[], token: Token): boolean {
  const first = element[0]?.text ?? '';
  if (first !== 'CONSTRAINT' && !(first in KINDS)) return false;
  if (token.text === 'CONSTRAINT') return true;
  return token.text in KINDS && !(first === 'CONSTRAINT' && element.length === 2);
}

function constraintOf(sql: string, tokens: readonly Token[]): ConstraintDefinition | undefined {
  const isNamed = tokens[0]?.text === 'CONSTRAINT';
  const kind = KINDS[tokens[isNamed ? 2 : 0]?.text ?? ''];
  const name = isNamed && isName(tokens[1]) ? nameOf(sql, tokens[1]) : undefined;
  return kind && { name, kind, text: textOf(sql, tokens) };
}

function columnOf(
  sql: string,
  tokens: readonly Token[],
  ids: ((name: string) => number | undefined) | undefined,
): ColumnDefinition {
  const name = nameOf(sql, tokens[0] as Token);
  const id = ids?.(name);
  const text = textOf(sql, tokens);
  return { name, text, rest: textOf(sql, tokens.slice(1)), ...(id === undefined ? {} : { id }) };
}

function textOf(sql: string, tokens: readonly Token[]): string {
  const [first, last] = [tokens[0], tokens.at(-1)];
  return first === undefined || last === undefined ? '' : sql.slice(first.start, last.end);
}

/** A column of that name and of these words behind it. */
export function namedColumn(column: ColumnDefinition, name: string, rest: string): ColumnDefinition {
  if (name === column.name && rest === column.rest) return column;
  // What stands between the name and the rest stays, unless there is none.
  const spelled = name === column.name ? column.text.slice(0, nameEnd(column.text)) : quoteName(name);
  return { ...column, name, rest, text: rest === '' ? spelled : `${spelled} ${rest}` };
}

function nameEnd(text: string): number {
  return tokenize(text)[0]?.end ?? 0;
}

/**
 * A piece of SQL for comparing: its tokens, words without regard to case, names without regard to how they are
 * quoted, and neither white space nor comments.
 */
export function normal(text: string): string {
  return tokenize(text)
    .map((token) =>
      token.kind === 'quoted'
        ? normalName(nameOf(text, token))
        : token.text || text.slice(token.start, token.end),
    )
    .join(' ');
}

/** A quoted name as it would be without its quotes, if it can be: then it is the same name. */
function normalName(name: string): string {
  return /^[A-Za-z_][\w$]*$/.test(name) ? name.toUpperCase() : quoteName(lowerName(name));
}

/** Whether two pieces of SQL say the same; undefined only equals itself. */
export function sameText(a: string | undefined, b: string | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && normal(a) === normal(b));
}

/** Names by their lower case, to the names that they become. */
export type Renames = ReadonlyMap<string, string>;

/**
 * The names inside of parentheses in `text`, where constraints and indexes name columns, as offsets of their
 * tokens. What belongs to another table than `table`, the columns behind REFERENCES, is left out, and so are
 * functions and collations.
 */
function columnTokens(text: string, table: string): Token[] {
  const tokens = tokenize(text);
  const found: Token[] = [];
  let depth = 0;
  let foreignDepth: number | undefined;
  tokens.forEach((token, i) => {
    if (token.text === '(') {
      const isForeign =
        tokens[i - 2]?.text === 'REFERENCES' &&
        lowerName(nameOf(text, tokens[i - 1] as Token)) !== lowerName(table);
      if (isForeign) foreignDepth ??= depth;
      depth++;
    } else if (token.text === ')') {
      depth--;
      if (depth === foreignDepth) foreignDepth = undefined;
    } else if (depth > 0 && foreignDepth === undefined && isColumnName(tokens, i)) found.push(token);
  });
  return found;
}

function isColumnName(tokens: readonly Token[], i: number): boolean {
  const token = tokens[i];
  if (token?.kind !== 'word' && token?.kind !== 'quoted') return false;
  const next = tokens[i + 1]?.text;
  return next !== '(' && next !== '.' && tokens[i - 1]?.text !== 'COLLATE';
}

/** The names that may be columns in `text`, a part of the definition of `table`, in lower case. */
export function columnsIn(text: string, table: string): Set<string> {
  return new Set(columnTokens(text, table).map((token) => lowerName(nameOf(text, token))));
}

/** `text`, a part of the definition of `table`, with its columns renamed. */
export function renamed(text: string, table: string, renames: Renames): string {
  if (renames.size === 0) return text;
  let result = '';
  let at = 0;
  for (const token of columnTokens(text, table)) {
    const name = renames.get(lowerName(nameOf(text, token)));
    if (name === undefined) continue;
    result += text.slice(at, token.start) + quoteName(name);
    at = token.end;
  }
  return result + text.slice(at);
}
