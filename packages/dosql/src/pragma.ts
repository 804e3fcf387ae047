import { DoSQLError } from './error.ts';
import type { Outcome } from './outcome.ts';
import { plainNames } from './schema/line.ts';
import { RESERVED, type Statement } from './sql/statement.ts';
import { nameOf } from './sql/token.ts';

/**
 * The words of a PRAGMA, in upper case.
 *
 * @throws DoSQLError `FORBIDDEN` when it sets what DoSQL depends on.
 */
export function pragmaWords({ sql, tokens }: Statement): string[] {
  const words = tokens.map((token) =>
    token.kind === 'quoted' || token.kind === 'string' ? nameOf(sql, token).toUpperCase() : token.text,
  );
  if (words.includes('RECURSIVE_TRIGGERS') && words.length > 2)
    throw new DoSQLError('FORBIDDEN', 'recursive_triggers belongs to DoSQL: the log needs it', { sql });
  return words;
}

/** What a PRAGMA gave, without DoSQL's own tables, and with the names that a branch gives its own. */
export function pragmaOutcome(outcome: Outcome, words: readonly string[], isOnBranch: boolean): Outcome {
  const plain = (value: Outcome['raw'][number][number]): typeof value =>
    typeof value === 'string' ? plainNames(value) : value;
  const raw = isOnBranch ? outcome.raw.map((row) => row.map(plain)) : outcome.raw;
  if (!words.includes('TABLE_LIST')) return { ...outcome, raw };
  const name = outcome.names.indexOf('name');
  return { ...outcome, raw: raw.filter((row) => !(row[name] as string).startsWith(RESERVED)) };
}
