import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, inject, it } from 'vitest';
import { counted } from '../support/counted.ts';
import { newObject } from '../support/database.ts';
import { linesOf } from './answer.ts';
import { generate } from './generate.ts';
import { MODES } from './modes.ts';
import { TOPICS } from './queries.ts';
import { applies, parseScript, printScript, type Script } from './script.ts';
import { runPlain, Tally, type Outcome, type Scripted } from './subject.ts';

/**
 * Scripts in the format of sqllogictest, run by plain SQLite in an object and through DoSQL in every mode. Those in the
 * folder are run always; `VITE_RUNS=n` makes n more of each topic, from `VITE_SEED`.
 */
declare global {
  interface ImportMeta {
    /** Texts of files, which Vite reads (https://vite.dev/guide/features#glob-import). */
    glob(pattern: string, options: { query: '?raw'; import: 'default'; eager: true }): Record<string, string>;
  }
}

const files = import.meta.glob('./scripts/*.slt', { query: '?raw', import: 'default', eager: true });
const scripts = Object.entries(files).map(([path, text]) => ({
  name: path.replace(/^.*\/|\.slt$/g, ''),
  text,
}));
const RUNS = Number(inject('runs')) || 0;
const SEED = Number(inject('seed')) || 20_261_121;
const QUERIES = 60;
const RECURSIVE = 'PRAGMA recursive_triggers = ON';

/** Runs a script on plain SQLite and compares its answers with those that it has. */
function scripted(name: string, script: Script, tally: Tally): Promise<Scripted> {
  return runInDurableObject(newObject(), (_, { storage }) => {
    storage.sql.exec(RECURSIVE);
    const outcomes = script.records.map((record): Outcome | undefined => {
      if (!applies(record.conditions, ['sqlite'])) return undefined;
      const outcome = runPlain(storage, record.sql);
      const where = `${name}: ${record.sql}`;
      tally.add('plain');
      if (record.kind === 'statement') expect(typeof outcome === 'object', where).toBe(record.succeeds);
      else expect(lines(record, script, outcome), where).toEqual(record.answer);
      return outcome;
    });
    return { name, script, outcomes };
  });
}

function lines(record: Parameters<typeof linesOf>[0], script: Script, outcome: Outcome): string[] {
  return typeof outcome === 'string' ? [outcome] : linesOf(record, script.hashThreshold, outcome);
}

async function inEveryMode(subject: Scripted, tally: Tally): Promise<void> {
  for (const mode of Object.values(MODES)) await mode(subject, tally);
}

describe('a script', () => {
  it('is read as it is written', () => {
    for (const { text } of scripts) {
      const comment = text.split('\n', 1)[0]?.slice(2) as string;
      expect(printScript(parseScript(text), comment)).toBe(text);
    }
    expect(scripts.length).toBe(Object.keys(TOPICS).length);
  });

  it('fails where an answer is another one', async () => {
    const text = 'statement ok\nCREATE TABLE t(a)\n\nquery I rowsort\nSELECT count(*) FROM t\n----\n1\n';
    await expect(scripted('wrong', parseScript(text), new Tally())).rejects.toThrow('SELECT count(*)');
    const fails = 'statement error\nCREATE TABLE t(a)\n';
    await expect(scripted('wrong', parseScript(fails), new Tally())).rejects.toThrow('CREATE TABLE');
  });

  it('says which engines a record is for', () => {
    const text =
      'onlyif mysql\nstatement ok\nSELECT 1\n\nskipif cold\nstatement ok\nSELECT 2\n\nhalt\n\nnonsense';
    const { records } = parseScript(text);
    expect(records.map(({ conditions }) => applies(conditions, ['sqlite', 'cold']))).toEqual([false, false]);
    expect(records.map(({ conditions }) => applies(conditions, ['sqlite', 'main']))).toEqual([false, true]);
  });
});

describe.each(scripts)('$name', ({ name, text }) => {
  it('answers alike in every mode', { timeout: 60_000 }, async () => {
    const tally = new Tally();
    await inEveryMode(await scripted(name, parseScript(text), tally), tally);
    console.log(`sqllogic ${name}: ${JSON.stringify([...tally.counts])}`);
    counted('SQL beside SQLite', { scripts: 1, 'answers compared': tally.total });
    expect(tally.total).toBeGreaterThan(400);
  });
});

for (const [name, topic] of Object.entries(TOPICS))
  for (let seed = SEED; seed < SEED + RUNS; seed++)
    it(`${name} made with the seed ${seed} answers alike in every mode`, { timeout: 120_000 }, async () => {
      const tally = new Tally();
      let script: Script | undefined;
      await runInDurableObject(newObject(), (_, { storage }) => {
        storage.sql.exec(RECURSIVE);
        script = generate(seed, topic, QUERIES, (sql) => {
          const outcome = runPlain(storage, sql);
          return typeof outcome === 'string' ? undefined : outcome;
        });
      });
      const subject = await scripted(`${name} VITE_SEED=${seed}`, script as Script, tally);
      await inEveryMode(subject, tally);
      console.log(`sqllogic ${name}: VITE_SEED=${seed}`);
      counted('SQL beside SQLite', { scripts: 1, 'answers compared': tally.total });
    });
