import { physicalName } from '../schema/line.ts';
import { sameName } from '../schema/catalog.ts';
import { parse, splice, type Statement } from '../sql/statement.ts';
import { isName, nameOf, quoteName, tokenize, type Token } from '../sql/token.ts';
import { IS_NO_COPY } from '../schema/capture.ts';
import { clausesOf, isReservedWord } from './clauses.ts';
import { BEGIN_COPY, copyUp, END_COPY } from './overlay.ts';
import type { BranchTable } from './table.ts';
import { keysWritten, type Edit } from './write.ts';

/**
 * A trigger of the user's as it stands on a branch's own table: named and placed there, silent while rows are
 * copied up, its condition and body reading and writing what the branch sees.
 */
export function branchTrigger(
  branch: number,
  sql: string,
  tableNamed: (name: string) => BranchTable | undefined,
): string {
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
  const guard = condition === '' ? IS_NO_COPY : `${IS_NO_COPY} AND (${conditionOn(condition, tableNamed)})`;
  const body = parse(sql.slice(beginToken.end, (tokens.at(-1) as Token).start), true);
  const statements = body.flatMap((statement) => statementsOn(branch, statement, tableNamed));
  const target = isReservedWord(sql, table)
    ? sql.slice(table.start, table.end)
    : quoteName(physicalName(branch, nameOf(sql, table)));
  return (
    `CREATE TRIGGER ${quoteName(physicalName(branch, nameOf(sql, nameAt)))}${events}ON ${target} FOR EACH ROW ` +
    `WHEN ${guard} BEGIN ${statements.map((text) => `${text}; `).join('')}END`
  );
}

function conditionOn(condition: string, tableNamed: (name: string) => BranchTable | undefined): string {
  const [statement] = parse(`SELECT ${condition}`, true) as [Statement];
  return splice(statement.sql, readEdits(statement, tableNamed)).slice('SELECT'.length);
}

/** What a trigger's statement becomes: the copying up of the rows that it is to write, and the statement itself. */
function statementsOn(
  branch: number,
  statement: Statement,
  tableNamed: (name: string) => BranchTable | undefined,
): string[] {
  const edits = readEdits(statement, tableNamed);
  const clauses = clausesOf(statement);
  const table = clauses === undefined ? undefined : tableNamed(clauses.target.name);
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

/** Table names that are read, replaced by what the branch sees of them. */
function readEdits(statement: Statement, tableNamed: (name: string) => BranchTable | undefined): Edit[] {
  return statement.references.flatMap(({ kind, name, alias, whole, isCte }) => {
    const table = isCte || (kind !== 'from' && kind !== 'in') ? undefined : tableNamed(name);
    if (table === undefined) return [];
    if (kind === 'in') return [{ ...whole, text: `(SELECT * FROM ${table.rows()})` }];
    return [{ ...whole, text: `${table.rows()} AS ${quoteName(alias ?? name)}` }];
  });
}
