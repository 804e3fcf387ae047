import { DoSQLError } from '../error.ts';
import { scan, type ReferenceKind, type TableReference } from './scan.ts';
import { isName, lowerName, nameOf, tokenize, type Token } from './token.ts';

/** What a statement does: `write` changes rows, `ddl` the schema, `maintenance` (ANALYZE, REINDEX) neither. */
export type StatementKind = 'read' | 'write' | 'ddl' | 'pragma' | 'maintenance';

/** What a DDL statement does, to what. Names are as the statement spells them. */
export interface Ddl {
  readonly verb: 'create' | 'alter' | 'drop';
  readonly what: 'table' | 'index' | 'view' | 'trigger' | 'virtual table';
  readonly name: string;
  /** For `alter`: the column renamed or dropped. */
  readonly column?: { readonly from: string; readonly to: string | undefined };
  /** For `alter … rename to`: the new name. */
  readonly renamedTo?: string;
}

/** Where a parameter stands in the text and which one it is, counted from 1. */
export interface ParameterSpan {
  readonly start: number;
  readonly end: number;
  readonly index: number;
}

/** One statement, judged once by its tokens. */
export interface Statement {
  readonly sql: string;
  readonly kind: StatementKind;
  readonly tokens: readonly Token[];
  readonly ddl: Ddl | undefined;
  readonly parameters: readonly ParameterSpan[];
  /** How many values SQLite expects: the highest parameter number. */
  readonly parameterCount: number;
  /** Name of each named parameter, with its sigil, at its number. */
  readonly parameterNames: ReadonlyMap<number, string>;
  /** The statement inserts or updates with REPLACE as its conflict resolution. */
  readonly replaces: boolean;
  /** `INSERT INTO table … VALUES (…)` of one row, with nothing that could make it more or less than one. */
  readonly insertsOne: boolean;
  /** The table that a statement that writes names as the one to write, in lower case. */
  readonly target: string | undefined;
  /** A statement that writes, and returns rows. */
  readonly isReturning: boolean;
  /** The text names the past, perhaps a branch, SQLite's schema table or changes(), so it may have to be changed before it runs. */
  readonly isSpecial: boolean;
  /** The table references; scanned when first asked for. */
  readonly references: readonly TableReference[];
}

const WRITES: ReadonlySet<ReferenceKind> = new Set(['into', 'update', 'delete']);

/** Names that begin so belong to DoSQL. */
export const RESERVED = '__dosql_';

/**
 * The statements of `sql`, split at the semicolons that end one; a trigger's body is one statement.
 *
 * `isOwn` is for text of DoSQL's own, which may use its names.
 *
 * @throws DoSQLError `FORBIDDEN` for a reserved name, or for a ROLLBACK conflict clause.
 */
export function parse(sql: string, isOwn = false): Statement[] {
  if (sql.includes('\0')) throw new DoSQLError('SYNTAX', 'the statement contains a NUL character', { sql });
  const tokens = tokenize(sql);
  const statements: Statement[] = [];
  let first = 0;
  let isTrigger = false;
  for (let i = 0; i <= tokens.length; i++) {
    const token = tokens[i];
    if (i === first) isTrigger = isCreateTrigger(tokens, i);
    if (token !== undefined && token.text !== ';') continue;
    // As sqlite3_complete() has it, a trigger ends with `; END;`. An END by itself may be a CASE's, or a column's name.
    const endsTrigger = tokens[i - 1]?.text === 'END' && tokens[i - 2]?.text === ';';
    if (token !== undefined && isTrigger && !endsTrigger) continue;
    if (i > first) statements.push(statement(sql, tokens.slice(first, i), isOwn));
    first = i + 1;
  }
  return statements;
}

function isCreateTrigger(tokens: readonly Token[], start: number): boolean {
  const at = start + explainLength(tokens, start);
  if (tokens[at]?.text !== 'CREATE') return false;
  const second = tokens[at + 1]?.text;
  return (
    second === 'TRIGGER' ||
    ((second === 'TEMP' || second === 'TEMPORARY') && tokens[at + 2]?.text === 'TRIGGER')
  );
}

function statement(whole: string, inWhole: readonly Token[], isOwn: boolean): Statement {
  const start = inWhole[0]?.start ?? 0;
  const sql = whole.slice(start, inWhole.at(-1)?.end);
  const tokens =
    start === 0
      ? inWhole
      : inWhole.map((token) => ({ ...token, start: token.start - start, end: token.end - start }));
  refuseRollback(sql, tokens);
  const kind = kindOf(tokens);
  const { parameters, count, names } = parametersOf(sql, tokens);
  let references: readonly TableReference[] | undefined;
  let target: string | undefined;
  const result: Statement = {
    sql,
    kind,
    tokens,
    ddl: kind === 'ddl' ? ddlOf(sql, tokens) : undefined,
    parameters,
    parameterCount: count,
    parameterNames: names,
    replaces: kind === 'write' && tokens.some((token, i) => isReplace(tokens, token, i)),
    insertsOne: kind === 'write' && insertsOne(tokens),
    isReturning: kind === 'write' && tokens.some(({ text }) => text === 'RETURNING'),
    isSpecial: /system_time|sqlite_(?:master|schema)|changes\s*\(|["`[][^"`\]]*\//i.test(sql),
    get target() {
      if (kind !== 'write') return undefined;
      return (target ??= lowerName(result.references.find(({ kind }) => WRITES.has(kind))?.name ?? ''));
    },
    get references() {
      return (references ??= scan(sql, tokens));
    },
  };
  if (!isOwn) refuseReserved(result);
  refuseUnknownPast(result);
  return result;
}

/** How many tokens from `start` on are EXPLAIN or EXPLAIN QUERY PLAN. */
function explainLength(tokens: readonly Token[], start: number): number {
  if (tokens[start]?.text !== 'EXPLAIN') return 0;
  return tokens[start + 1]?.text === 'QUERY' ? 3 : 1;
}

/** The first word that tells what a statement does: EXPLAIN, or what stands past the WITH clause. */
function verbIndex(tokens: readonly Token[]): number {
  let i = 0;
  if (tokens[i]?.text !== 'WITH') return i;
  let depth = 0;
  for (; i < tokens.length; i++) {
    const { text, kind } = tokens[i] as Token;
    if (text === '(') depth++;
    else if (text === ')') depth--;
    // REPLACE is a name where INTO does not follow.
    else if (text === 'REPLACE' && tokens[i + 1]?.text !== 'INTO') continue;
    else if (depth === 0 && kind === 'word' && /^(?:SELECT|VALUES|INSERT|REPLACE|UPDATE|DELETE)$/.test(text))
      return i;
  }
  return 0;
}

function kindOf(tokens: readonly Token[]): StatementKind {
  // Some pragmas take effect while they are compiled, also behind EXPLAIN.
  if (tokens[explainLength(tokens, 0)]?.text === 'PRAGMA') return 'pragma';
  const verb = tokens[verbIndex(tokens)]?.text;
  if (verb === 'INSERT' || verb === 'REPLACE' || verb === 'UPDATE' || verb === 'DELETE') return 'write';
  if (verb === 'CREATE' || verb === 'ALTER' || verb === 'DROP') return 'ddl';
  if (verb === 'ANALYZE' || verb === 'REINDEX') return 'maintenance';
  return 'read';
}

function insertsOne(tokens: readonly Token[]): boolean {
  if (tokens[0]?.text !== 'INSERT' || tokens[1]?.text !== 'INTO' || !isName(tokens[2])) return false;
  // One pair of parentheses for the columns, or none, and one for the values: nothing behind, nothing between.
  const closing = (open: number): number => {
    let depth = 0;
    return tokens.findIndex(({ text }, i) => {
      if (i < open) return false;
      depth += text === '(' ? 1 : text === ')' ? -1 : 0;
      return depth === 0;
    });
  };
  const values = tokens[3]?.text === '(' ? closing(3) + 1 : 3;
  if (tokens[values]?.text !== 'VALUES' || tokens[values + 1]?.text !== '(') return false;
  return closing(values + 1) === tokens.length - 1;
}

function isReplace(tokens: readonly Token[], token: Token, i: number): boolean {
  if (token.text !== 'REPLACE') return false;
  const verb = tokens[i - 1]?.text === 'OR' ? tokens[i - 2]?.text : undefined;
  return verb === 'INSERT' || verb === 'UPDATE' || tokens[i + 1]?.text === 'INTO';
}

/**
 * `OR ROLLBACK`, `ON CONFLICT ROLLBACK` and `RAISE(ROLLBACK)` end the transaction that the platform holds
 * open around every write of a turn: what was written before is lost, what comes after is committed row by
 * row, and the object may reset. There is no safe way to run them.
 */
function refuseRollback(sql: string, tokens: readonly Token[]): void {
  tokens.forEach((token, i) => {
    if (token.text !== 'ROLLBACK' || token.kind !== 'word') return;
    const before = tokens[i - 1]?.text;
    const earlier = tokens[i - 2]?.text;
    const form =
      before === 'OR' && (earlier === 'INSERT' || earlier === 'UPDATE')
        ? `${earlier} OR ROLLBACK`
        : before === 'CONFLICT' && earlier === 'ON'
          ? 'ON CONFLICT ROLLBACK'
          : before === '(' && earlier === 'RAISE'
            ? 'RAISE(ROLLBACK)'
            : undefined;
    if (form === undefined) return;
    throw new DoSQLError(
      'FORBIDDEN',
      `${form} would end the transaction around all writes of the turn and lose some of them; use ABORT instead (at offset ${token.start})`,
      { sql, offset: token.start },
    );
  });
}

function refuseReserved({ sql, tokens, references, ddl }: Statement): void {
  const made = ddl?.verb === 'create' ? ddl.name : ddl?.renamedTo;
  if (made?.startsWith('main/') === true)
    throw new DoSQLError(
      'FORBIDDEN',
      `the name "${made}" is reserved: "main/…" is what branches call main's tables`,
      { sql },
    );
  if (!sql.toLowerCase().includes(RESERVED)) return;
  const isReserved = (name: string): boolean => name.toLowerCase().startsWith(RESERVED);
  const refuse = (name: string, offset: number): never => {
    throw new DoSQLError('FORBIDDEN', `the name "${name}" is reserved: ${RESERVED} is DoSQL's`, {
      sql,
      offset,
    });
  };
  tokens.forEach((token, i) => {
    // A string is a name where a table can stand (below) and as an argument of a table-valued pragma.
    const isPragmaArgument =
      token.kind === 'string' &&
      tokens[i - 1]?.text === '(' &&
      /^PRAGMA_|^PRAGMA$/.test(tokens[i - 2]?.text ?? '');
    const isPragma = tokens[0]?.text === 'PRAGMA';
    if (token.kind === 'word' || token.kind === 'quoted' || isPragmaArgument || (isPragma && isName(token))) {
      const name = nameOf(sql, token);
      if (isReserved(name)) refuse(name, token.start);
    }
  });
  for (const { name, start } of references) if (isReserved(name)) refuse(name, start);
  if (ddl !== undefined && isReserved(ddl.name)) refuse(ddl.name, sql.toLowerCase().indexOf(RESERVED));
}

/** `FOR SYSTEM_TIME` that the scanner took for no table's would only be a puzzle as SQLite's syntax error. */
function refuseUnknownPast({ sql, tokens, references, isSpecial }: Statement): void {
  if (!isSpecial) return;
  tokens.forEach(({ text, start }, i) => {
    if (text !== 'SYSTEM_TIME' || tokens[i - 1]?.text !== 'FOR') return;
    if (
      references.some(
        ({ systemTime }) => systemTime !== undefined && systemTime.start < start && start < systemTime.end,
      )
    )
      return;
    const message =
      "FOR SYSTEM_TIME takes AS OF x, BETWEEN a AND b, FROM a TO b or ALL, behind a table's name; " +
      'a point is a TIMESTAMP or an LSN, both points of a pair the same';
    throw new DoSQLError('SYNTAX', message, { sql, offset: start });
  });
}

function parametersOf(
  sql: string,
  tokens: readonly Token[],
): { parameters: ParameterSpan[]; count: number; names: Map<number, string> } {
  const parameters: ParameterSpan[] = [];
  const names = new Map<number, string>();
  const byText = new Map<string, number>();
  let count = 0;
  for (const token of tokens) {
    if (token.kind !== 'variable') continue;
    const text = sql.slice(token.start, token.end);
    let index: number;
    if (text === '?') {
      index = count + 1;
    } else if (text.startsWith('?')) {
      index = Number(text.slice(1));
      if (!Number.isInteger(index) || index < 1 || index > 32_766)
        throw new DoSQLError('SYNTAX', `parameter ${text} is not between ?1 and ?32766`, {
          sql,
          offset: token.start,
        });
    } else {
      index = byText.get(text) ?? count + 1;
      byText.set(text, index);
      names.set(index, text);
    }
    count = Math.max(count, index);
    parameters.push({ start: token.start, end: token.end, index });
  }
  return { parameters, count, names };
}

function ddlOf(sql: string, tokens: readonly Token[]): Ddl | undefined {
  const text = (i: number): string => tokens[i]?.text ?? '';
  const name = (i: number): string => (isName(tokens[i]) ? nameOf(sql, tokens[i]) : '');
  const verb = text(0).toLowerCase() as Ddl['verb'];
  let i = 1;
  while (text(i) === 'TEMP' || text(i) === 'TEMPORARY' || text(i) === 'UNIQUE') i++;
  const isVirtual = text(i) === 'VIRTUAL';
  if (isVirtual) i++;
  const what = isVirtual ? 'virtual table' : (text(i).toLowerCase() as Ddl['what']);
  i++;
  if (text(i) === 'IF') i += text(i + 1) === 'NOT' ? 3 : 2;
  if (text(i + 1) === '.') i += 2;
  const ddl = { verb, what, name: name(i) };
  if (verb !== 'alter') return ddl;
  if (text(i + 1) === 'DROP') {
    const at = text(i + 2) === 'COLUMN' && isName(tokens[i + 3]) ? i + 3 : i + 2;
    return { ...ddl, column: { from: name(at), to: undefined } };
  }
  if (text(i + 1) !== 'RENAME') return ddl;
  if (text(i + 2) === 'TO' && isName(tokens[i + 3]) && tokens[i + 4] === undefined)
    return { ...ddl, renamedTo: name(i + 3) };
  const at = text(i + 2) === 'COLUMN' && text(i + 3) !== 'TO' ? i + 3 : i + 2;
  return { ...ddl, column: { from: name(at), to: name(at + 2) } };
}

/** Whether a table's name is that of files: `'r2://bucket/path'`. */
export function isUrl(name: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(name);
}

/** Whether a statement reads files by URL. */
export function readsUrl({ kind, references }: Statement): boolean {
  return (kind === 'read' || kind === 'write') && references.some(({ name, isCte }) => !isCte && isUrl(name));
}

/** Replaces stretches of `text`; the stretches do not overlap. */
export function splice(text: string, edits: readonly { start: number; end: number; text: string }[]): string {
  let out = '';
  let at = 0;
  for (const edit of edits.toSorted((a, b) => a.start - b.start)) {
    out += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return out + text.slice(at);
}
