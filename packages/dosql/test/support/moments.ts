import type { Database } from '../../src/index.ts';
import { alter, change, questions, schemaOf, shapeOf, type Question } from './history.ts';
import type { Random } from './random.ts';

/** What a query gave: rows as text, sorted unless the query orders them. */
export interface Answer {
  readonly names: readonly unknown[];
  readonly rows: readonly string[];
}

/** A committed point, and what the present answered then. */
export interface Moment {
  readonly lsn: bigint;
  readonly ms: number;
  readonly asked: readonly { readonly question: Question; readonly answer: Answer }[];
}

function answerOf(names: readonly unknown[], rows: readonly unknown[][], ordered: boolean): Answer {
  const texts = rows.map((row) => row.map(show).join(' | '));
  return { names, rows: ordered ? texts : texts.toSorted() };
}

function show(value: unknown): string {
  if (value instanceof ArrayBuffer || value instanceof Uint8Array)
    return `x${[...new Uint8Array(value)].join()}`;
  return typeof value === 'string' ? `'${value}'` : Object.is(value, -0) ? '-0.0' : String(value);
}

const tableNames = (sql: SqlStorage): string[] =>
  [
    ...sql
      .exec(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '[_]*' AND name NOT GLOB 'sqlite*'",
      )
      .raw(),
  ].flat() as string[];

/** Runs a random history and takes down answers of the present as it goes. */
export async function live(
  db: Database,
  sql: SqlStorage,
  random: Random,
  tick: () => number,
  count: number,
): Promise<Moment[]> {
  const ignore = (): undefined => undefined;
  await db.exec(schemaOf(random));
  const moments: Moment[] = [];
  const aChange = (): string => change(random, shapeOf(sql, random.pick(tableNames(sql))));
  while (moments.length < count) {
    const ms = tick();
    const dice = random.next();
    if (dice < 0.1) await db.exec(alter(random, shapeOf(sql, random.pick(tableNames(sql))))).catch(ignore);
    else if (dice < 0.2)
      await db
        .transaction(async (tx) => {
          for (let i = random.int(5); i >= 0; i--) {
            tick();
            await tx.run(aChange()).catch(ignore);
          }
          if (random.chance(0.2)) throw new Error('undo');
        })
        .catch(ignore);
    else if (dice < 0.3) await db.batch([{ sql: aChange() }, { sql: aChange() }]).catch(ignore);
    else if (dice < 0.37) {
      // An injected clock is read when DoSQL writes.
      await db.run('DELETE FROM kv WHERE 0');
      try {
        // A trigger of this schema fires itself, so only DoSQL sees what REPLACE deletes.
        sql.exec(aChange().replace('OR REPLACE ', '')).toArray();
      } catch {
        // A constraint; nothing changed.
      }
    } else await db.run(aChange()).catch(ignore);
    if (random.chance(0.5)) continue;
    const shapes = tableNames(sql).map((name) => shapeOf(sql, name));
    const shape = random.pick(shapes);
    const all = questions(random, shape, random.pick(shapes));
    const asked = [all[0] as Question, ...random.some(all.slice(1))].map((question) => {
      const cursor = sql.exec(question.sql((table) => table));
      return { question, answer: answerOf(cursor.columnNames, [...cursor.raw()], question.ordered) };
    });
    moments.push({ lsn: db.lsn(), ms: Math.max(ms, tick() - 1), asked });
  }
  return moments;
}

/** Asks the past, in one of the ways that there are. */
export async function ask(
  db: Database,
  random: Random,
  { lsn, ms }: Moment,
  question: Question,
): Promise<Answer> {
  const count = (): number => (question.sql((table) => `${table}§`).match(/§/g) ?? []).length;
  const way = random.int(4);
  if (way === 0) {
    const rows = await db
      .asOf(random.pick([{ lsn }, new Date(ms), ms]))
      .query(question.sql((table) => table));
    return answerOf(
      Object.keys(rows[0] ?? {}),
      rows.map((row) => Object.values(row)),
      question.ordered,
    );
  }
  const [clause, point] = random.pick([
    ['LSN ?', lsn],
    ['LSN ?', Number(lsn)],
    ['TIMESTAMP ?', ms],
    ['TIMESTAMP ?', new Date(ms)],
    ['?', new Date(ms).toISOString()],
  ] as const);
  const text = question.sql((table) => `${table} FOR SYSTEM_TIME AS OF ${clause}`);
  const params = Array.from({ length: count() }, () => point);
  const [names = [], ...rows] = await db
    .prepare(text)
    .bind(...params)
    .raw({ columnNames: true });
  return answerOf(names, rows, question.ordered);
}
