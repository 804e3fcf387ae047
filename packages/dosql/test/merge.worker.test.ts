import { describe, expect, it } from 'vitest';
import type { Database, Row, SqlValue } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';
import { MERGE_CASES } from './support/merge-cases.ts';
import type {
  ExpectedConflict,
  ExpectedMerge,
  MergeCase,
  MergeConflict,
  MergeStep,
  MergeStrategy,
  Rows,
} from './support/merge-cases-shape.ts';
import { MergeModel, MODEL_SCHEMA, MODEL_TABLES, randomHistory, sqlOf } from './support/merge-model.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

interface MergeOutcome {
  readonly merged: boolean;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  readonly conflicts: readonly MergeConflict[];
  readonly schemaConflicts: readonly { readonly what: string; readonly name: string }[];
  readonly violations: readonly { readonly table: string; readonly key: Row; readonly type: string }[];
  readonly lsn: bigint;
}

/** What the cases ask of a database. */
interface Merging {
  merge(
    source: string,
    options: { into?: string; strategy?: MergeStrategy; dryRun?: boolean },
  ): Promise<MergeOutcome>;
  conflicts(branch?: string): Promise<readonly MergeConflict[]>;
  resolve(table: string, key: 'all' | Row, by: 'ours' | 'theirs' | Row): Promise<unknown>;
}

const merging = (db: Database): Merging => db;

/** A value as text that tells its type, but for numbers. */
const show = (value: SqlValue): string =>
  value instanceof Uint8Array
    ? `x${value.join()}`
    : typeof value === 'string'
      ? JSON.stringify(value)
      : String(value);

const texts = (rows: Rows): string[] => rows.map((row) => row.map(show).join(' | ')).toSorted();

interface Found {
  readonly table: string;
  readonly key?: Row;
}

/** Conflicts or violations in the order of their keys, with what is expected of each and no more. */
function compare(actual: readonly Found[], expected: readonly Found[], where: string): void {
  const order = ({ table, key = {} }: Found): string => `${table} ${Object.values(key).map(show).join()}`;
  const sorted = (list: readonly Found[]): Found[] => list.toSorted((a, b) => (order(a) < order(b) ? -1 : 1));
  expect(actual.map(order), where).toHaveLength(expected.length);
  const found = sorted(actual);
  sorted(expected).forEach((each, i) => expect(found[i], where).toMatchObject(each));
}

function compareMerge(outcome: MergeOutcome, expected: ExpectedMerge, where: string): void {
  const { merged, inserted, updated, deleted, conflicts, violations, schemaConflicts } = expected;
  expect(
    outcome.merged,
    `${where}: ${JSON.stringify(outcome, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))}`,
  ).toBe(merged);
  const counts = { inserted, updated, deleted };
  for (const [name, count] of Object.entries(counts))
    if (count !== undefined) expect(outcome[name as keyof typeof counts], `${where}: ${name}`).toBe(count);
  if (conflicts !== undefined) compare(outcome.conflicts, conflicts, where);
  if (violations !== undefined || merged) compare(outcome.violations, violations ?? [], where);
  if (schemaConflicts !== undefined || merged)
    expect(outcome.schemaConflicts, where).toMatchObject(schemaConflicts ?? []);
}

/** Carries out a case. */
class Run {
  readonly #main: Database;
  readonly #marks = new Map<string, bigint>();

  constructor(main: Database) {
    this.#main = main;
  }

  async step(step: MergeStep, where: string): Promise<void> {
    if ('branch' in step) await this.#branch(step);
    else if ('mark' in step) this.#marks.set(step.mark, this.#main.lsn());
    else if ('drop' in step) await this.#main.dropBranch(step.drop);
    else if ('resolve' in step)
      await merging(await this.#on(step.on ?? 'main')).resolve(step.resolve, step.key, step.by);
    else if ('conflictsOn' in step) await this.#conflicts(step.conflictsOn, step.gives, where);
    else if ('merge' in step) await this.#merge(step, where);
    else await this.#use(await this.#on(step.on), step, where);
  }

  async #on(name: string): Promise<Database> {
    return name === 'main' ? this.#main : this.#main.checkout(name);
  }

  async #branch({ branch, from, at }: Extract<MergeStep, { branch: string }>): Promise<void> {
    const lsn = at === undefined ? undefined : this.#marks.get(at);
    const point = lsn === undefined ? from : { lsn };
    await this.#main.branch(branch, point === undefined ? {} : { from: point });
  }

  async #conflicts(on: string, expected: readonly ExpectedConflict[], where: string): Promise<void> {
    const actual = await merging(await this.#on(on)).conflicts();
    compare(actual, expected, where);
    const other = await merging(this.#main).conflicts(on);
    expect(other, where).toEqual(actual);
  }

  async #merge(step: Extract<MergeStep, { merge: string }>, where: string): Promise<void> {
    const into = step.into === undefined ? {} : { into: step.into };
    if ('code' in step) {
      const error = await failure(merging(this.#main).merge(step.merge, into));
      expect(error.code, where).toBe(step.code);
      return;
    }
    const options = {
      ...into,
      ...(step.strategy === undefined ? {} : { strategy: step.strategy }),
      ...(step.dryRun === undefined ? {} : { dryRun: step.dryRun }),
    };
    compareMerge(await merging(this.#main).merge(step.merge, options), step.gives, where);
  }

  async #use(db: Database, step: Extract<MergeStep, { on: string }>, where: string): Promise<void> {
    if ('fails' in step) expect((await failure(db.exec(step.fails))).code, where).toBe(step.code);
    else if ('query' in step) expect(texts(await rawOf(db, step.query)), where).toEqual(texts(step.gives));
    else if ('rows' in step)
      for (const [table, rows] of Object.entries(step.rows))
        expect(texts(await rawOf(db, `SELECT * FROM ${table}`)), `${where}: ${table}`).toEqual(texts(rows));
    else if ('sql' in step) await db.exec(step.sql);
  }
}

function rawOf(db: Database, sql: string): Promise<SqlValue[][]> {
  return db.prepare(sql).raw<SqlValue[]>();
}

function about({ steps }: MergeCase, i: number): string {
  return `step ${i + 1}: ${JSON.stringify(steps[i]).slice(0, 200)}`;
}

describe.each([...new Set(MERGE_CASES.map(({ theme }) => theme))])('merging: %s', (theme) => {
  it.each(MERGE_CASES.filter((each) => each.theme === theme))('$name', (each) =>
    withDatabase(async (db) => {
      await db.exec(each.setup);
      const run = new Run(db);
      for (const [i, step] of each.steps.entries()) await run.step(step, about(each, i));
    }),
  );
});

const HISTORIES = 6;
const STEPS = 60;

describe.each(seeds(20_261_150))('seed %i', (seed) => {
  it('random histories of branches merge as the model has it', { timeout: 120_000 }, async () => {
    console.log(`merge: VITE_SEED=${seed}`);
    for (let history = 0; history < HISTORIES; history++) {
      const random = new Random(seed + history * 104_729);
      await withDatabase((db) => checkHistory(db, random, `history ${history}`));
    }
  });
});

async function checkHistory(db: Database, random: Random, about: string): Promise<void> {
  await db.exec(MODEL_SCHEMA);
  const model = new MergeModel();
  const branches = new Map([['main', db]]);
  for (const step of randomHistory(random, model, STEPS)) {
    if ('write' in step) await (branches.get(step.on) as Database).run(sqlOf(step.write));
    else if ('branch' in step) branches.set(step.branch, await db.branch(step.branch, { from: step.from }));
    else {
      const { merge, into, strategy, gives } = step;
      const outcome = await merging(db).merge(merge, { into, strategy });
      const where = `${about}: ${merge} into ${into}, ${strategy}`;
      // Of more than two bases the order in which they are folded may matter.
      if (gives.bases > 2) return;
      const { merged, inserted, updated, deleted } = gives;
      expect(outcome, where).toMatchObject({ merged, inserted, updated, deleted });
      if (strategy === 'fail') expect(outcome.conflicts.length, where).toBe(gives.conflicts.length);
    }
    for (const [name, branch] of branches)
      for (const { name: table, columns } of MODEL_TABLES) {
        const list = columns.map((column) => `typeof(${column}), CAST(${column} AS TEXT), hex(${column})`);
        const actual = await rawOf(branch, `SELECT ${list.join(', ')} FROM ${table}`);
        const expected = model.rows(name, table).map((row) => row.flatMap(stored(table)));
        expect(texts(actual), `${about}: ${table} of ${name}`).toEqual(texts(expected));
      }
  }
}

/** A value as the query above sees it. */
function stored(table: string): (value: SqlValue, column: number) => SqlValue[] {
  return (value, column) => {
    const hexOf = (bytes: Uint8Array): string =>
      [...bytes]
        .map((byte) => byte.toString(16).padStart(2, '0'))
        .join('')
        .toUpperCase();
    if (value === null) return ['null', null, ''];
    if (value instanceof Uint8Array) return ['blob', new TextDecoder().decode(value), hexOf(value)];
    const isReal = (table === 't' && column === 3) || (typeof value === 'number' && !Number.isInteger(value));
    const text = isReal && Number.isInteger(value) ? `${value}.0` : String(value);
    const type = typeof value === 'string' ? 'text' : isReal ? 'real' : 'integer';
    return [type, text, hexOf(new TextEncoder().encode(text))];
  };
}
