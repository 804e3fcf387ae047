/**
 * Scripts in the format of sqllogictest (https://sqlite.org/sqllogictest/doc/trunk/about.wiki): records apart by empty
 * lines, each a statement that succeeds or fails, or a query with what it answers.
 */

/** How the values of an answer are put in order before they are compared. */
export type SortMode = 'nosort' | 'rowsort' | 'valuesort';

/** What a record is for: all engines, or all but some. */
export interface Condition {
  readonly kind: 'onlyif' | 'skipif';
  readonly engine: string;
}

/** A statement of a script. */
export interface StatementRecord {
  readonly kind: 'statement';
  readonly conditions: readonly Condition[];
  readonly succeeds: boolean;
  readonly sql: string;
}

/** A query of a script. */
export interface QueryRecord {
  readonly kind: 'query';
  readonly conditions: readonly Condition[];
  /** A letter for each column: `I` integer, `R` real, `T` text. */
  readonly types: string;
  readonly sort: SortMode;
  /** Queries of one label have one answer; empty without one. */
  readonly label: string;
  readonly sql: string;
  /** The values, one a line, or how many there are and their hash. */
  readonly answer: readonly string[];
}

/** One record of a script. */
export type ScriptRecord = StatementRecord | QueryRecord;

/** A script, and from how many values on an answer is written as a hash. */
export interface Script {
  readonly hashThreshold: number;
  readonly records: readonly ScriptRecord[];
}

/** Reads a script; `halt` ends it. */
export function parseScript(text: string): Script {
  const records: ScriptRecord[] = [];
  let hashThreshold = 0;
  for (const block of text.split(/\n\s*\n/)) {
    const lines = block.split('\n').filter((line) => !line.startsWith('#'));
    const conditions: Condition[] = [];
    while (/^(?:onlyif|skipif) /.test(lines[0] ?? '')) {
      const [kind, engine] = (lines.shift() as string).split(/\s+/) as [Condition['kind'], string];
      conditions.push({ kind, engine });
    }
    const [head = '', ...body] = lines;
    const [word, ...words] = head.trim().split(/\s+/);
    if (word === '' || word === undefined) continue;
    if (word === 'halt' && applies(conditions, ['sqlite'])) break;
    if (word === 'hash-threshold') hashThreshold = Number(words[0]);
    else if (word === 'statement' && /^(?:ok|error)$/.test(words[0] ?? ''))
      records.push({ kind: 'statement', conditions, succeeds: words[0] === 'ok', sql: body.join('\n') });
    else if (word === 'query') records.push(query(conditions, words, body));
    else if (word !== 'halt') throw new Error(`no record of a script begins so: ${head}`);
  }
  return { hashThreshold, records };
}

function query(
  conditions: readonly Condition[],
  [types = '', sort = 'nosort', label = '']: readonly string[],
  body: readonly string[],
): QueryRecord {
  if (!/^[IRT]+$/.test(types) || !/^(?:nosort|rowsort|valuesort)$/.test(sort))
    throw new Error(`a query's types and order are not "${types} ${sort}"`);
  const end = body.indexOf('----');
  const sql = (end < 0 ? body : body.slice(0, end)).join('\n');
  const answer = end < 0 ? [] : body.slice(end + 1).filter((line) => line !== '');
  return { kind: 'query', conditions, types, sort: sort as SortMode, label, sql, answer };
}

/** Writes a script as {@link parseScript} reads it. */
export function printScript({ hashThreshold, records }: Script, comment: string): string {
  const blocks = records.map((record) => {
    const conditions = record.conditions.map(({ kind, engine }) => `${kind} ${engine}`);
    const { sql } = record;
    if (record.kind === 'statement')
      return [...conditions, `statement ${record.succeeds ? 'ok' : 'error'}`, sql].join('\n');
    const head = `query ${record.types} ${record.sort} ${record.label}`.trimEnd();
    return [...conditions, head, sql, '----', ...record.answer].join('\n');
  });
  const lines = comment.split('\n').map((line) => `# ${line}`);
  return [lines.join('\n'), `hash-threshold ${hashThreshold}`, ...blocks].join('\n\n') + '\n';
}

/** Whether a record is for an engine that goes by these names. */
export function applies(conditions: readonly Condition[], names: readonly string[]): boolean {
  return conditions.every(({ kind, engine }) => names.includes(engine) === (kind === 'onlyif'));
}
