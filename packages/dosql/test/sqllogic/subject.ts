import { expect } from 'vitest';
import type { Database, Reader } from '../../src/index.ts';
import { sqliteError } from '../../src/error.ts';
import { scan } from '../../src/sql/scan.ts';
import { tokenize } from '../../src/sql/token.ts';
import { outcomeOf } from '../support/tier-twin.ts';
import { exactly, type Answer, type Value } from './answer.ts';
import { applies, type QueryRecord, type Script, type ScriptRecord } from './script.ts';

/** What a statement gave: rows, or the code of an error. */
export type Outcome = Answer | string;

/** A script and what plain SQLite in an object gave for each of its records; undefined for one that it skips. */
export interface Scripted {
  readonly name: string;
  readonly script: Script;
  readonly outcomes: readonly (Outcome | undefined)[];
}

/** Counts what has been compared, by mode. */
export class Tally {
  readonly counts = new Map<string, number>();

  add(mode: string): void {
    this.counts.set(mode, (this.counts.get(mode) ?? 0) + 1);
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

/** Runs a statement on plain SQLite, all or nothing. */
export function runPlain(storage: DurableObjectStorage, sql: string): Outcome {
  try {
    return storage.transactionSync(() => {
      const cursor = storage.sql.exec(sql);
      const names = cursor.columnNames;
      return { names, rows: [...cursor.raw()] };
    });
  } catch (error) {
    return sqliteError(error, sql).code;
  }
}

/** Runs a statement on a database or a branch. */
export async function run(db: Database, sql: string): Promise<Outcome> {
  return (await outcomeOf(async () => {
    const [names = [], ...rows] = await db.prepare(sql).raw<Value[]>({ columnNames: true });
    return { names: names as unknown as string[], rows };
  })) as Outcome;
}

/** Asks a handle that only reads, which names columns in rows alone. */
export async function ask(reader: Reader, sql: string): Promise<Outcome> {
  return (await outcomeOf(async () => {
    const rows = await reader.query<Record<string, Value>>(sql);
    const names = rows[0] === undefined ? undefined : Object.keys(rows[0]);
    return { names, rows: rows.map((row) => Object.values(row)) };
  })) as Outcome;
}

/** The query with each table that it reads named as of `lsn`. */
export function textAsOf(sql: string, lsn: bigint): string {
  return scan(sql, tokenize(sql))
    .filter(({ kind, isCte }) => kind === 'from' && !isCte)
    .map(({ end }) => end)
    .toSorted((a, b) => b - a)
    .reduce((text, end) => `${text.slice(0, end)} FOR SYSTEM_TIME AS OF LSN ${lsn}${text.slice(end)}`, sql);
}

/** Whether a record only reads. */
export function isRead(record: ScriptRecord): record is QueryRecord {
  return record.kind === 'query' && /^(?:SELECT|WITH|VALUES)/.test(record.sql);
}

/** The records that engines of these names run, with what plain SQLite gave. */
export function* recordsFor(
  { script, outcomes }: Scripted,
  mode: string,
): Generator<readonly [record: ScriptRecord, outcome: Outcome, index: number]> {
  for (const [i, record] of script.records.entries()) {
    const outcome = outcomes[i];
    if (outcome !== undefined && applies(record.conditions, ['sqlite', 'dosql', mode]))
      yield [record, outcome, i];
  }
}

/** The outcome is that of plain SQLite: rows as the record orders them, names of columns, or the error's code. */
export function compare(
  tally: Tally,
  { name }: Scripted,
  mode: string,
  record: ScriptRecord,
  ours: Outcome,
  theirs: Outcome,
): void {
  const where = `${name}, ${mode}: ${record.sql}`;
  tally.add(mode);
  if (typeof ours === 'string' || typeof theirs === 'string' || record.kind === 'statement') {
    const codeOf = (outcome: Outcome): string => (typeof outcome === 'string' ? outcome : 'ok');
    expect(codeOf(ours), where).toBe(codeOf(theirs));
    return;
  }
  expect(exactly(record, ours), where).toEqual(exactly(record, theirs));
  // A column without a name of its own is called as its text.
  const names = ours.names?.map((name) => name.replaceAll(/ FOR SYSTEM_TIME AS OF LSN \d+/g, ''));
  if (names !== undefined) expect(names, where).toEqual(theirs.names);
}
