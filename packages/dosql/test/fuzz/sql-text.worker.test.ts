import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, inject, it } from 'vitest';
import type { Database } from '../../src/index.ts';
import { parse } from '../../src/sql/statement.ts';
import { counted } from '../support/counted.ts';
import { newObject, withDatabase } from '../support/database.ts';
import { Random } from '../support/random.ts';
import { seeds } from '../support/seeds.ts';
import { exactly } from '../sqllogic/answer.ts';
import { TOPICS } from '../sqllogic/queries.ts';
import { ask, run, runPlain, textAsOf, type Outcome } from '../sqllogic/subject.ts';
import { fill, INDEXES, returning, SCHEMA, write } from '../sqllogic/tables.ts';
import { damaged, disguised, soup } from './mutate.ts';

/**
 * Texts of SQL that no person writes. SQLite names a column by the text that it was given and says where in it an error
 * is, so an answer tells whether a text has been changed on the way.
 */
const RUNS = Number(inject('runs')) || 300;
const ROWSORT = {
  kind: 'query',
  conditions: [],
  types: '',
  sort: 'rowsort',
  label: '',
  sql: '',
  answer: [],
} as const;

/** An outcome as texts; SQLite does not always say where an error is, by which one of the text is told from others. */
function shown(outcome: Outcome): unknown {
  if (typeof outcome === 'string') return outcome === 'SQLITE' ? 'SYNTAX' : outcome;
  return { names: outcome.names, rows: exactly(ROWSORT, outcome) };
}

/** What plain SQLite gives for each of these texts, once it has run those to begin with. */
function plainly(start: readonly string[], texts: readonly string[]): Promise<Outcome[]> {
  return runInDurableObject(newObject(), (_, { storage }) => {
    storage.sql.exec('PRAGMA recursive_triggers = ON');
    for (const sql of start) storage.sql.exec(sql);
    return texts.map((sql) => runPlain(storage, sql));
  });
}

const topics = Object.values(TOPICS);

it('a column without a name of its own is called by its text, with the comments behind it', async () => {
  await withDatabase(async (db) => {
    await db.exec('CREATE TABLE t(a); INSERT INTO t VALUES (1)');
    const branch = await db.branch('work');
    await branch.run('UPDATE t SET a = 2');
    const names = async (from: Database): Promise<string[]> =>
      Object.keys(
        (await from.query('SELECT (SELECT a FROM t) /* one */, (SELECT 1 FROM t) -- two\n FROM t'))[0] ?? {},
      );
    expect(await names(branch)).toEqual(await names(db));
    expect(await names(db)).toEqual(['(SELECT a FROM t) /* one */', '(SELECT 1 FROM t) -- two']);
  });
});

describe.each(seeds(20_261_121))('seed %i', (seed) => {
  it('a plain statement reaches SQLite as it was written', { timeout: 60_000 + 40 * RUNS }, async () => {
    console.log(`texts of SQL: VITE_SEED=${seed}`);
    const random = new Random(seed);
    const start = [...SCHEMA, ...INDEXES, ...fill(random)];
    const texts = random
      .times(RUNS * 2, () => anyText(random))
      // Several statements are refused, which plain SQLite runs; and none is a mistake, which plain SQLite ignores.
      .filter((text) => split(text).length === 1);
    const theirs = await plainly(start, texts);
    await withDatabase(async (db) => {
      for (const sql of start) await db.exec(sql);
      for (const [i, text] of texts.entries())
        expect(shown(await run(db, text)), `run ${i}: ${JSON.stringify(text)}`).toEqual(
          shown(theirs[i] as Outcome),
        );
    });
    const compared = texts.length;
    const refused = theirs.filter((outcome) => typeof outcome === 'string').length;
    counted('texts of SQL', { compared, 'refused by both': refused });
    expect(compared - refused).toBeGreaterThan(RUNS / 3);
    expect(refused).toBeGreaterThan(RUNS / 6);
  });

  it(
    'a disguised statement reads the past and a branch as it would the tables',
    { timeout: 60_000 + 80 * RUNS },
    async () => {
      console.log(`disguised statements: VITE_SEED=${seed}`);
      const random = new Random(seed);
      const start = [...SCHEMA, ...random.some(INDEXES), ...fill(random)];
      const texts = random.times(RUNS, () => disguised(random, random.pick(topics)(random).sql, true));
      const theirs = (await plainly(start, texts)).map(shown);
      await withDatabase(async (db) => {
        for (const sql of start) await db.exec(sql);
        const lsn = db.lsn();
        const branch = await db.branch('work');
        for (const sql of UNDONE) await branch.run(sql);
        await branch.restore({ lsn }, { tables: ['loose'] });
        for (const sql of DAMAGE) await db.run(sql);
        for (const [i, sql] of texts.entries()) {
          const wanted = theirs[i];
          const label = `run ${i}: ${JSON.stringify(sql)}`;
          expect(shown(await run(branch, sql)), `on a branch, ${label}`).toEqual(wanted);
          const past = await ask(db.asOf({ lsn }), sql);
          // A handle on the past names the columns in rows alone.
          const isNameless = typeof past === 'object' && past.names === undefined;
          expect(shown(past), `as of, ${label}`).toEqual(
            isNameless ? { ...(wanted as object), names: undefined } : wanted,
          );
          const text = await run(db, textAsOf(sql, lsn));
          expect(shown(unlabelled(text, lsn)), `FOR SYSTEM_TIME, ${label}`).toEqual(wanted);
        }
      });
      const found = theirs.filter((outcome) => typeof outcome === 'object').length;
      counted('disguised statements', { run: RUNS, answered: found, 'answers compared': 3 * RUNS });
      expect(found).toBeGreaterThan(RUNS / 2);
    },
  );

  it('statements are split where they were joined', { timeout: 60_000 + 10 * RUNS }, () => {
    console.log(`splitting: VITE_SEED=${seed}`);
    const random = new Random(seed);
    const pool = [
      ...SCHEMA,
      ...INDEXES,
      "CREATE TRIGGER t AFTER UPDATE ON item WHEN CASE WHEN 1 THEN 2 END BEGIN SELECT CASE NEW.n WHEN 1 THEN ';' ELSE CASE WHEN 2 THEN 'END;' END END; UPDATE item SET n = 1; END",
      "CREATE TEMP TRIGGER IF NOT EXISTS main.t INSTEAD OF INSERT ON by_s BEGIN INSERT INTO item(s) VALUES ('; END; '); DELETE FROM loose; END",
      'SELECT CASE WHEN 1 THEN 2 END, "end;", [;], `;` FROM item AS begin',
      "SELECT ';' || '''; --' || x'3b' -- the end ;\n, 1",
    ];
    for (let i = 0; i < RUNS * 2; i++) {
      const statements = random.times(1 + random.int(6), () =>
        disguised(
          random,
          random.chance(0.4)
            ? random.pick(pool)
            : random.chance(0.5)
              ? write(random)
              : random.pick(topics)(random).sql,
          true,
        ),
      );
      const script = statements
        .map(
          (sql) =>
            random.pick(['', ' ', '\n', '-- ; \n', '/* ; END; */', ';']) +
            sql +
            random.pick(['', '\n', '/* ; */', '\t']),
        )
        .join(random.pick([';', ' ; ', ';\n;', ';-- x\n']));
      expect(
        parse(script).map(({ sql }) => sql),
        `run ${i}: ${JSON.stringify(script)}`,
      ).toEqual(statements);
      // What nobody could run is split too, into pieces of the text that hold all but spaces, comments and semicolons.
      const odd = damaged(random, script);
      const pieces = split(odd);
      let at = 0;
      for (const piece of pieces) {
        const from = odd.indexOf(piece, at);
        expect(from, JSON.stringify(odd)).toBeGreaterThanOrEqual(at);
        expect(split(odd.slice(at, from)), JSON.stringify(odd)).toEqual([]);
        at = from + piece.length;
      }
      expect(split(odd.slice(at)), JSON.stringify(odd)).toEqual([]);
      expect(split(pieces.join(';\n')), JSON.stringify(odd)).toEqual(pieces);
    }
    counted('scripts of SQL split', { scripts: RUNS * 4 });
  });
});

/** Text that may be SQL. */
function anyText(random: Random): string {
  const statement = random.pick([
    () => random.pick(topics)(random).sql,
    () => write(random),
    () => returning(random)[0],
  ]);
  return random.pick([
    () => soup(random),
    () => damaged(random, statement()),
    () => disguised(random, statement(), true),
  ])();
}

/** An outcome whose columns are called as without the past. */
function unlabelled(outcome: Outcome, lsn: bigint): Outcome {
  if (typeof outcome === 'string') return outcome;
  return {
    ...outcome,
    names: outcome.names?.map((name) => name.replaceAll(` FOR SYSTEM_TIME AS OF LSN ${lsn}`, '')),
  };
}

/** Changes of a branch that come to nothing, so that it reads rows of its own. */
const UNDONE = [
  'UPDATE item SET n = n + 1 WHERE id % 3 = 0',
  'UPDATE item SET n = n - 1 WHERE id % 3 = 0',
  'DELETE FROM loose WHERE n > 2',
];
/** What happens to main meanwhile. */
const DAMAGE = [
  'DELETE FROM item WHERE id % 2',
  'UPDATE pair SET v = 0',
  'DELETE FROM part',
  'DELETE FROM loose',
  'UPDATE exact SET t = NULL',
];

/** The statements of a text; of one that is refused as a whole, the text. */
function split(text: string): string[] {
  try {
    return parse(text).map(({ sql }) => sql);
  } catch {
    return [text];
  }
}
