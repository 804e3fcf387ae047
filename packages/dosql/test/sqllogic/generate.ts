import { Random } from '../support/random.ts';
import { linesOf, type Answer } from './answer.ts';
import type { Topic } from './queries.ts';
import type { Script, ScriptRecord } from './script.ts';
import { define, fill, INDEXES, returning, SCHEMA, write } from './tables.ts';

/** From how many values on a script has only their hash. */
const HASH_THRESHOLD = 12;
/** Changes of the schema that a script has. */
const DEFINITIONS = 6;

/** Runs a statement on plain SQLite; undefined where SQLite refuses it. */
export type Run = (sql: string) => Answer | undefined;

/**
 * A script of about `count` queries on a topic, with writes and changes of the schema between them. Which statements
 * fail, and what queries answer, is what `run` says.
 */
export function generate(seed: number, topic: Topic, count: number, run: Run): Script {
  const random = new Random(seed);
  const records: ScriptRecord[] = [];
  const state = (sql: string): void => {
    records.push({ kind: 'statement', conditions: [], succeeds: run(sql) !== undefined, sql });
  };
  const ask = (sql: string, types: string, sort: 'nosort' | 'rowsort' | 'valuesort'): void => {
    const answer = run(sql);
    if (answer === undefined) {
      records.push({ kind: 'statement', conditions: [], succeeds: false, sql });
      return;
    }
    // A table may have got columns since.
    const width = answer.names?.length ?? types.length;
    const record = {
      kind: 'query' as const,
      conditions: [],
      types: types.padEnd(width, 'T').slice(0, width),
      sort,
      label: '',
      sql,
      answer: [],
    };
    records.push({ ...record, answer: linesOf(record, HASH_THRESHOLD, answer) });
  };
  for (const sql of [...SCHEMA, ...random.some(INDEXES), ...fill(random)]) state(sql);
  const rounds = Math.ceil(count / 4);
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < 4; i++) {
      const { sql, types, sort } = topic(random);
      ask(sql, types, sort);
    }
    const step = Math.floor(((round + 1) * (DEFINITIONS + 1)) / rounds);
    if (step > Math.floor((round * (DEFINITIONS + 1)) / rounds))
      for (const sql of define(random, step - 1)) state(sql);
    for (let i = random.int(3); i >= 0; i--) state(write(random));
    if (random.chance(0.3)) {
      const [sql, types] = returning(random);
      ask(sql, types, 'rowsort');
    }
  }
  ask('SELECT * FROM audit', 'ITI', 'rowsort');
  return { hashThreshold: HASH_THRESHOLD, records };
}
