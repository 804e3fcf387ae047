import { physicalName } from '../schema/line.ts';
import { sameName } from '../schema/catalog.ts';
import type { SchemaObject } from '../schema/relation.ts';
import { parse, splice, type Statement } from '../sql/statement.ts';
import { isName, nameOf, quoteName, tokenize, type Token } from '../sql/token.ts';
import { IS_NO_COPY } from '../schema/capture.ts';
import { clausesOf, isReservedWord } from './clauses.ts';
import { BEGIN_COPY, copyUp, END_COPY } from './overlay.ts';
import type { BranchTable } from './table.ts';
import { viewSource } from './view.ts';
import { keysWritten, type Edit } from './write.ts';

/** What a branch sees by a name. */
export interface Seen {
  table(name: string): BranchTable | undefined;
  view(name: string): SchemaObject | undefined;
  isVirtual(name: string): boolean;
}

/**
 * A trigger of the user's as it stands on a branch's own table: named and placed there, silent while rows are
 * copied up, its condition and body reading and writing what the branch sees. One that uses a virtual table, which has
 * no branches, fails when it fires.
 */
export function branchTrigger(branch: number, sql: string, seen: Seen): string {
  const tokens = tokenize(sql);
  const index = (text: string, from = 0): number =>
    tokens.findIndex((token, i) => i >= from && token.text === text && token.kind === 'word');
  const at = index('TRIGGER') + 1;
  const on = index('ON', at);
  const begin = index('BEGIN', on);
  const name = tokens[tokens[at + 1]?.text === '.' ? at + 2 : at] as Token;
  const nameAt = tokens[at]?.text === 'IF' ? (tokens[at + 3] as Token) : name;
  const table = tokens[tokens[on + 2]?.text === '.' ? on + 3 : on + 1] as Token;
  const when = tokens.findIndex(
    ({ text, kind }, i) => i > on && i < begin && text === 'WHEN' && kind === 'word',
  );
  const events = sql.slice(nameAt.end, (tokens[on] as Token).start);
  const beginToken = tokens[begin] as Token;
  const condition = when < 0 ? '' : sql.slice((tokens[when] as Token).end, beginToken.start);
  const guard = condition === '' ? IS_NO_COPY : `${IS_NO_COPY} AND (${conditionOn(condition, seen)})`;
  const body = parse(sql.slice(beginToken.end, (tokens.at(-1) as Token).start), true);
  const virtual = body
    .flatMap(({ references }) => references)
    .find(({ name, isCte }) => !isCte && seen.isVirtual(name));
  const statements =
    virtual === undefined
      ? body.flatMap((statement) => statementsOn(branch, statement, seen))
      : [refusal(nameOf(sql, nameAt), virtual.name)];
  const target = isReservedWord(sql, table)
    ? sql.slice(table.start, table.end)
    : quoteName(physicalName(branch, nameOf(sql, table)));
  return (
    `CREATE TRIGGER ${quoteName(physicalName(branch, nameOf(sql, nameAt)))}${events}ON ${target} FOR EACH ROW ` +
    `WHEN ${guard} BEGIN ${statements.map((text) => `${text}; `).join('')}END`
  );
}

function refusal(trigger: string, table: string): string {
  const message = `trigger "${trigger}" uses "${table}", a virtual table, which has no branches`;
  return `SELECT RAISE(ABORT, '${message.replaceAll("'", "''")}')`;
}

function conditionOn(condition: string, seen: Seen): string {
  const [statement] = parse(`SELECT ${condition}`, true) as [Statement];
  return splice(statement.sql, readEdits(statement, seen)).slice('SELECT'.length);
}

/** What a trigger's statement becomes: the copying up of the rows that it is to write, and the statement itself. */
function statementsOn(branch: number, statement: Statement, seen: Seen): string[] {
  const edits = readEdits(statement, seen);
  const clauses = clausesOf(statement);
  const table = clauses === undefined ? undefined : seen.table(clauses.target.name);
  if (clauses === undefined || table === undefined) return [splice(statement.sql, edits)];
  const { target } = clauses;
  const physical = quoteName(table.own.table);
  const named = [{ start: target.start, end: target.end, text: physical }];
  // No alias can be given to what a trigger's statement writes, so mentions of the table's name change with it.
  statement.tokens.forEach((token, i) => {
    const isQualifier =
      statement.tokens[i + 1]?.text === '.' &&
      isName(token) &&
      sameName(nameOf(statement.sql, token), target.name);
    if (
      isQualifier &&
      target.alias === undefined &&
      !edits.some(({ start, end }) => token.start >= start && token.end <= end)
    )
      named.push({ start: token.start, end: token.end, text: physical });
  });
  const written = splice(statement.sql, [...edits, ...named]);
  const keys = keysWritten(branch, statement, clauses, table, edits);
  if (keys === undefined) return [written];
  return [BEGIN_COPY, copyUp(branch, table.shape, keys), END_COPY, written];
}

/** Names of tables and views that are read, replaced by what the branch sees of them. */
function readEdits(statement: Statement, seen: Seen): Edit[] {
  return statement.references.flatMap(({ kind, name, alias, whole, isCte }) => {
    if (isCte || (kind !== 'from' && kind !== 'in')) return [];
    const table = seen.table(name);
    const view = table === undefined ? seen.view(name) : undefined;
    const source = view === undefined ? table?.rows() : viewSource(view, (body) => readEdits(body, seen));
    if (source === undefined) return [];
    if (kind === 'in') return [{ ...whole, text: `(SELECT * FROM ${source})` }];
    return [{ ...whole, text: `${source} AS ${quoteName(alias ?? name)}` }];
  });
}
