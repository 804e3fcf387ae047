import type { Span, TableReference } from '../sql/scan.ts';
import type { Statement } from '../sql/statement.ts';
import type { Token } from '../sql/token.ts';

/** Where the parts of an INSERT, UPDATE or DELETE stand in its text. */
export interface Clauses {
  readonly verb: 'insert' | 'update' | 'delete';
  /** The table that is written. */
  readonly target: TableReference;
  /** WITH and what it names, up to the verb; empty without. */
  readonly with: Span;
  /** INDEXED BY … or NOT INDEXED behind the target. */
  readonly indexed: Span | undefined;
  /** FROM … of an UPDATE, up to the next clause. */
  readonly from: Span | undefined;
  readonly where: Span | undefined;
  /** ORDER BY … LIMIT … of an UPDATE or DELETE. */
  readonly limit: Span | undefined;
}

const VERBS = new Set(['INSERT', 'REPLACE', 'UPDATE', 'DELETE']);
const CLAUSES = new Set(['FROM', 'WHERE', 'RETURNING', 'ORDER', 'LIMIT']);
const WRITES = new Set(['into', 'update', 'delete']);

/** The clauses of a statement that writes; undefined for any other. */
export function clausesOf(statement: Statement): Clauses | undefined {
  const { tokens, references, sql } = statement;
  const target = references.find(({ kind }) => WRITES.has(kind));
  if (statement.kind !== 'write' || target === undefined) return undefined;
  const verb = tokens.findIndex(
    ({ text, start }, i) => VERBS.has(text) && start < target.start && depthAt(tokens, i) === 0,
  );
  const verbToken = tokens[verb] as Token;
  const starts: { text: string; start: number }[] = [];
  let depth = 0;
  tokens.forEach(({ text, start, kind }, i) => {
    depth += text === '(' ? 1 : text === ')' ? -1 : 0;
    if (depth > 0 || start < target.whole.end || kind !== 'word' || !CLAUSES.has(text)) return;
    // IS [NOT] DISTINCT FROM is no clause.
    if (text === 'FROM' && tokens[i - 1]?.text === 'DISTINCT') return;
    starts.push({ text, start });
  });
  const clause = (name: string): Span | undefined => {
    const i = starts.findIndex(({ text }) => text === name);
    const found = starts[i];
    return found && { start: found.start, end: starts[i + 1]?.start ?? sql.length };
  };
  const order = clause('ORDER');
  const limit = clause('LIMIT');
  return {
    verb: target.kind === 'into' ? 'insert' : (target.kind as 'update' | 'delete'),
    target,
    with: { start: 0, end: verbToken.start },
    indexed: indexedBy(tokens, target.whole.end),
    from: target.kind === 'update' ? clause('FROM') : undefined,
    where: target.kind === 'into' ? undefined : clause('WHERE'),
    limit:
      limit === undefined || target.kind === 'into'
        ? undefined
        : { start: (order ?? limit).start, end: limit.end },
  };
}

function depthAt(tokens: readonly Token[], index: number): number {
  return tokens
    .slice(0, index)
    .reduce((depth, { text }) => depth + (text === '(' ? 1 : text === ')' ? -1 : 0), 0);
}

/** INDEXED BY or NOT INDEXED behind the reference that ends at `end`. */
export function indexedBy(tokens: readonly Token[], end: number): Span | undefined {
  const at = tokens.findIndex(({ start }) => start >= end);
  const first = tokens[at];
  const isNot = first?.text === 'NOT' && tokens[at + 1]?.text === 'INDEXED';
  const last = first?.text === 'INDEXED' ? tokens[at + 2] : isNot ? tokens[at + 1] : undefined;
  return first === undefined || last === undefined ? undefined : { start: first.start, end: last.end };
}

// Words that SQLite takes for no name unless they are quoted (https://sqlite.org/lang_keywords.html, less its fallbacks).
const RESERVED_WORDS = new Set(
  (
    'ADD ALL ALTER AND AS AUTOINCREMENT BETWEEN CASE CHECK COLLATE COMMIT CONSTRAINT CREATE DEFAULT DEFERRABLE DELETE ' +
    'DISTINCT DROP ELSE ESCAPE EXISTS FOREIGN FROM GROUP HAVING IN INDEX INSERT INTO IS ISNULL JOIN LIMIT NOT NOTNULL ' +
    'NULL ON OR ORDER PRIMARY REFERENCES RETURNING SELECT SET TABLE THEN TO TRANSACTION UNION UNIQUE UPDATE USING ' +
    'VALUES WHEN WHERE'
  ).split(' '),
);

/** Whether a name is a word that would have to be quoted: SQLite is to see it as it is, and refuse it. */
export function isReservedWord(sql: string, { start, end }: Span): boolean {
  return RESERVED_WORDS.has(sql.slice(start, end).toUpperCase());
}
