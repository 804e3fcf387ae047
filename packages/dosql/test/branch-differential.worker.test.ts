import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { DB, type Database } from '../src/index.ts';
import { contents, knownTables, runDosql, runPlain, SCHEMA, type Outcome } from './support/differential.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';
import { Statements, type KnownTable, type Step } from './support/statements.ts';

/**
 * A branch forks from a main with some history; then statements run on either, each of them also on a plain SQLite
 * that was filled alike. Both must give the same rows, counts and errors and hold the same contents, and neither
 * may see what the other does.
 *
 * Beyond what the test of main leaves out: the order of rows that none is asked for, and texts of SQLite's schema,
 * where names of a branch's tables are quoted.
 */
const INSERTED = 'INSERT INTO failed DEFAULT VALUES';
const ROUNDS = 6;
const CHUNKS = 10;
const STEPS = 20;

/**
 * An error, but for what differs in its words: names are quoted as the statement did; a trigger's body has been
 * rewritten; a BEFORE trigger makes a STRICT table look at types before it looks for NULLs; and an ALTER finds a
 * broken trigger of the user's before or after the one that it breaks.
 */
function wording(error: string): string {
  return error
    .replaceAll(/["`[\]]|main\./g, '')
    .replace(/(SYNTAX: near) .*/, '$1')
    .replace(/table \w+ has/i, 'table has')
    .replace(/^CONSTRAINT_(?:NOTNULL|DATATYPE): .*/, 'CONSTRAINT')
    .replace(/^\w+: (?:error in trigger.*|SQL logic error)/, 'broken trigger');
}

/** Of several constraints that a row fails, a BEFORE trigger makes SQLite find a wrong type or a NULL first. */
function first(ours: string, theirs: string | undefined): string {
  const isEarly = /^CONSTRAINT_(?:NOTNULL|DATATYPE)/.test(ours) && theirs?.startsWith('CONSTRAINT_');
  return isEarly === true ? (theirs as string) : ours;
}

/** What a query leaves to SQLite: the order of its rows, and of what is joined to one text. */
function unordered(outcome: Outcome | undefined, other?: Outcome): unknown {
  if (outcome === undefined) return undefined;
  const { rows, inner, ...rest } = outcome;
  const sorted = rows
    ?.map((row) => row.replaceAll(/'[a-z,]+'/g, (text) => Array.from(text).toSorted().join('')))
    .toSorted();
  return {
    ...rest,
    error: rest.error === undefined ? undefined : wording(first(rest.error, other?.error)),
    rows: sorted,
    names: rows?.length === 0 ? [] : outcome.names,
    inner: inner?.map((each, i) => unordered(each, other?.inner?.[i])),
  };
}

/** A branch's ALTER does not look at views; where there are any, plain SQLite's may fail for them. */
function isComparable(step: Step, hasViews: boolean): boolean {
  const other = hasViews ? /ALTER[\s\S]*(?:RENAME|DROP)/ : /CREATE VIEW/;
  if (step.kind === 'exec' && other.test(step.sql)) return false;
  const calls =
    step.kind === 'query' || step.kind === 'run' ? [step.call] : step.kind === 'batch' ? step.calls : [];
  if (step.kind === 'transaction') return step.steps.every((each) => isComparable(each, hasViews));
  return calls.every(({ sql }) => !/sqlite_(?:master|schema)|LIMIT 20/.test(sql) && !other.test(sql));
}

function isReplaced(step: Step): boolean {
  return /UPDATE OR REPLACE/i.test(
    JSON.stringify(step, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value)),
  );
}

function hasFailed(outcome: Outcome | undefined): boolean {
  return outcome?.error?.startsWith('CONSTRAINT_UNIQUE') === true || outcome?.inner?.some(hasFailed) === true;
}

/** A BEFORE trigger makes a STRICT table look at types before anything else, also at a row that is not to be inserted. */
function isTypedFirst(ours: Outcome, theirs: Outcome | undefined): boolean {
  const isWrong = (outcome: Outcome | undefined): boolean =>
    outcome?.error?.startsWith('CONSTRAINT_DATATYPE: cannot store') === true;
  if (isWrong(ours) && !isWrong(theirs)) return true;
  return ours.inner?.some((each, i) => isTypedFirst(each, theirs?.inner?.[i])) === true;
}

/** Everything that a handle sees in these tables. */
async function seen(db: Database, tables: readonly KnownTable[]): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {};
  for (const { name, columns } of tables) {
    const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`;
    const exact = columns.map((column) => `typeof(${quote(column)}) || ' ' || quote(${quote(column)})`);
    try {
      const rows = await db.prepare(`SELECT ${exact.join(', ')} FROM ${quote(name)}`).raw<string[]>();
      all[name] = rows.map((row) => row.join(' | ')).toSorted();
    } catch (error) {
      all[name] = (error as Error).message.replace(/ \(at offset[\s\S]*$/, '');
    }
  }
  return all;
}

describe.each(seeds(20_261_163))('seed %i', (seed) => {
  it('a branch does what plain SQLite does, and leaves main alone', { timeout: 120_000 }, async () => {
    console.log(`branch differential: VITE_SEED=${seed}`);
    let count = 0;
    let failed = 0;
    rounds: for (let round = 0; round < ROUNDS; round++) {
      const random = new Random(seed + round * 7919);
      const dosql = env.TEST.get(env.TEST.idFromName(`branch-${seed}-${round}`));
      const lines = ['main', 'branch'].map((line) => ({
        line,
        generator: new Statements(
          new Random(seed + round * 7919 + (line === 'main' ? 0 : 1)),
          round % 2 === 0,
          true,
        ),
        plain: env.TEST.get(env.TEST.idFromName(`branch-${line}-${seed}-${round}`)),
      }));
      const handles = new Map<string, Database>();
      const first: Step = { statements: SCHEMA, kind: 'exec', sql: SCHEMA.join(';') };
      for (let chunk = 0; chunk < CHUNKS; chunk++) {
        const isForked = chunk >= 3;
        if (chunk === 3)
          await runInDurableObject(dosql, async () => {
            handles.set('branch', await (handles.get('main') as Database).branch('feature/a'));
          });
        let shared: Step[] | undefined;
        const before: unknown[] = [];
        for (const { line, generator, plain } of lines) {
          if (isForked && line === 'main' && random.chance(0.4)) continue;
          const made = chunk === 0 ? [first] : Array.from({ length: STEPS }, () => generator.step());
          // Until the fork both lines are one.
          const steps = ((isForked ? undefined : shared) ?? made).filter((step) =>
            isComparable(step, round % 3 === 0),
          );
          shared = steps;
          // last_insert_rowid() is the connection's, whichever line was written last.
          if (isForked)
            steps.unshift({
              kind: 'run',
              call: { sql: INSERTED, params: [], plainSql: INSERTED, plainParams: [] },
            });
          const theirs: Outcome[] = [];
          const ours: Outcome[] = [];
          let theirContents: Record<string, unknown> = {};
          let ourContents: Record<string, unknown> = {};
          await runInDurableObject(plain, (_, { storage }) => {
            for (const step of steps) theirs.push(runPlain(storage, step));
            theirContents = contents(storage.sql);
            delete theirContents['schema'];
            delete theirContents['sqlite_sequence'];
            generator.tables = knownTables(storage.sql);
          });
          before.push(theirContents);
          if (!isForked && line === 'branch') {
            // Two plain databases may differ already: SQLite does not say which of several rows an UPDATE takes.
            if (JSON.stringify(before[0]) !== JSON.stringify(before[1])) continue rounds;
            continue;
          }
          await runInDurableObject(dosql, async (_, { storage }) => {
            if (!handles.has('main')) handles.set('main', await DB('test', { storage }));
            const db = handles.get(line) as Database;
            for (const step of steps) ours.push(await runDosql(db, step));
            ourContents = await seen(db, [
              ...generator.tables,
              { name: 'failed', columns: ['id'], writable: [] },
            ]);
          });
          const where = (step: unknown): string =>
            `seed ${seed}, round ${round}, chunk ${chunk}, ${line}: ${JSON.stringify(step, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v))}`;
          // Where a trigger fires for what REPLACE deletes, SQLite's second look at the constraints can take the row
          // itself for another one that has its key: https://sqlite.org/src/file?name=src/insert.c, lblRecheckOk.
          if (steps.some((step, i) => isReplaced(step) && hasFailed(ours[i]) && !hasFailed(theirs[i])))
            continue rounds;
          if (ours.some((each, i) => isTypedFirst(each, theirs[i]))) continue rounds;
          // A trigger of main's that is broken stands in the way of a branch's ALTER, too.
          if (JSON.stringify([ours, theirs].flat().map((each) => unordered(each))).includes('broken trigger'))
            continue rounds;
          steps.forEach((step, i) =>
            expect(unordered(ours[i], theirs[i]), where(step)).toEqual(unordered(theirs[i])),
          );
          expect(ourContents, where('contents')).toEqual(theirContents);
          failed += theirs.filter(({ error }) => error !== undefined).length;
          count += steps.length;
        }
      }
    }
    console.log(`branch differential: ${count} steps, ${failed} failed in both`);
    expect(count).toBeGreaterThan(1_000);
  });
});
