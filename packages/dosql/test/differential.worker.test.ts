import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { DB, type Database } from '../src/index.ts';
import { failure as failureOf, withDatabase } from './support/database.ts';
import { contents, knownTables, runDosql, runPlain, SCHEMA, type Outcome } from './support/differential.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';
import { Statements, type Step } from './support/statements.ts';

/**
 * Every statement runs through DoSQL and, in another object, through plain `ctx.storage.sql`; rows, column
 * names, counts, errors and the whole contents must be the same.
 *
 * Intended differences, which the generated statements keep clear of:
 * - REPLACE fires the user's DELETE triggers, since recursive_triggers is on: rounds with REPLACE have none.
 * - A schema with a trigger that fires itself has recursive_triggers off but for statements with REPLACE,
 *   where such a trigger then recurses: rounds with such triggers have no REPLACE.
 * - total_changes() counts the log's rows too. ROLLBACK conflict clauses are refused.
 * - Cascades and triggers may nest one level less than SQLite's 10, the last is the log's.
 * - A script is all or nothing, and its RETURNING is read, which plain exec does not: plain runs its statements
 *   one by one inside transactionSync.
 * - A foreign key whose parent key is not unique is a mismatch: SQLite tells so on inserts into the parent too
 *   once the parent has triggers, and the log's are.
 * - last_insert_rowid() after a statement that failed: with triggers SQLite inserts before it checks foreign keys.
 *   An insert after every failure makes it the same again.
 * - A statement that fails for a value that a rowid does not take leaves nothing behind. Plain SQLite, which
 *   counts that as no constraint, may keep its first rows: there each statement gets a savepoint.
 * - A deferred foreign key that is violated at commit is an error, where plain SQLite resets the object.
 */
const ROUNDS = 6;
const CHUNKS = 16;
const STEPS = 25;

function countOf(step: Step): number {
  return step.kind === 'transaction'
    ? step.steps.reduce((sum, each) => sum + countOf(each), 0)
    : step.kind === 'batch'
      ? step.calls.length
      : 1;
}

describe.each(seeds(20_261_120))('seed %i', (seed) => {
  it('DoSQL does what plain SQLite does', { timeout: 60_000 }, async () => {
    console.log(`differential: VITE_SEED=${seed}`);
    let count = 0;
    let failed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const generator = new Statements(new Random(seed + round * 7919), round % 2 === 0);
      const dosql = env.TEST.get(env.TEST.idFromName(`dosql-${seed}-${round}`));
      const plain = env.TEST.get(env.TEST.idFromName(`plain-${seed}-${round}`));
      const first: Step = {
        statements: SCHEMA,
        kind: 'exec',
        sql: SCHEMA.join(';'),
      };
      let database: Database | undefined;
      for (let chunk = 0; chunk < CHUNKS; chunk++) {
        const steps = chunk === 0 ? [first] : Array.from({ length: STEPS }, () => generator.step());
        const ours: Outcome[] = [];
        const theirs: Outcome[] = [];
        let [ourContents, theirContents]: Record<string, unknown>[] = [];
        await runInDurableObject(dosql, async (_, state) => {
          const db = (database ??= await DB('test', { storage: state.storage }));
          for (const step of steps) ours.push(await runDosql(db, step));
          ourContents = contents(state.storage.sql);
        });
        await runInDurableObject(plain, (_, { storage }) => {
          for (const step of steps) theirs.push(runPlain(storage, step));
          theirContents = contents(storage.sql);
          generator.tables = knownTables(storage.sql);
        });
        const where = (step: unknown): string =>
          `round ${round}, chunk ${chunk}: ${JSON.stringify(step, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v))}`;
        steps.forEach((step, i) => expect(ours[i], where(step)).toEqual(theirs[i]));
        expect(ourContents, where(steps)).toEqual(theirContents);
        failed += theirs.filter(({ error }) => error !== undefined).length;
        count += steps.reduce((sum, step) => sum + countOf(step), 0);
      }
    }
    console.log(`differential: ${count} statements, ${failed} steps failed in both`);
    expect(count).toBeGreaterThan(2_500);
  });
});

describe('what generated statements do not reach', () => {
  it('values travel exactly past 100 parameters', async () => {
    const random = new Random(7);
    const numbers = Array.from({ length: 300 }, () => {
      const bits = new DataView(new ArrayBuffer(8));
      bits.setUint32(0, random.int(2 ** 32));
      bits.setUint32(4, random.int(2 ** 32));
      return bits.getFloat64(0);
    }).filter((number) => Number.isFinite(number));
    const values = [
      ...numbers,
      5e-324,
      -0,
      1e21,
      123456789012345680000,
      null,
      'a"\\\u2028\n💥',
      '',
      new Uint8Array([0, 255]),
      true,
      2n ** 63n - 1n,
    ];
    await withDatabase(async (db) => {
      const list = values.map((_, i) => `(${i}, ?)`).join();
      await db.exec('CREATE TABLE t(i INTEGER PRIMARY KEY, v)');
      await db.run(`INSERT INTO t VALUES ${list}`, values);
      const rows = await db.query<{ v: unknown }>('SELECT v FROM t ORDER BY i');
      expect(rows.map(({ v }) => v)).toEqual(
        values.map((value) => (value === true ? 1 : typeof value === 'bigint' ? Number(value) : value)),
      );
      expect(await db.query('SELECT v FROM t WHERE v = ?', [2n ** 63n - 1n], { integers: 'bigint' })).toEqual(
        [{ v: 2n ** 63n - 1n }],
      );
    });
  });

  it('a bigint compares as an integer without affinity, and leaves column names as they are', async () => {
    await withDatabase(async (db) => {
      await db.exec("CREATE TABLE t(a TEXT); INSERT INTO t VALUES ('5'), ('05'), ('5.0')");
      expect(await db.query('SELECT a FROM t WHERE a = ?', [5n])).toEqual([{ a: '5' }]);
      const names = async (sql: string): Promise<string[]> =>
        Object.keys((await db.query(sql, [5n]))[0] ?? {});
      expect(await names('SELECT ?, 1 AS b')).toEqual(['?', 'b']);
      expect(await names('SELECT CASE WHEN ? THEN 1 END')).toEqual(['CASE WHEN ? THEN 1 END']);
      expect(await names('SELECT ? x')).toEqual(['x']);
      expect(await names('SELECT a || ? ISNULL FROM t')).toEqual(['a || ? ISNULL']);
      expect(await names('INSERT INTO t VALUES (1) RETURNING ? + 1, a')).toEqual(['? + 1', 'a']);
    });
  });

  it('last_insert_rowid() and changes() know nothing of what DoSQL itself writes', async () => {
    let now = Date.UTC(2030, 0, 1);
    await withDatabase(
      async (db, { storage }) => {
        await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE)');
        // Setting the alarm inserts a row of the platform's own, which shows in last_insert_rowid().
        await db.run('INSERT INTO t VALUES (1, 0)');
        await storage.sync();
        await db.run('INSERT INTO t VALUES (41, 1), (42, 2)');
        now += 1_000;
        for (const sql of [
          'CREATE TABLE u AS SELECT * FROM t',
          'ALTER TABLE u ADD COLUMN b',
          'ALTER TABLE u DROP COLUMN b',
          'DROP TABLE u',
          'ANALYZE',
          'CREATE TABLE t(a)',
          'SELEC',
        ])
          await db.exec(sql).catch(() => undefined);
        expect(await db.query('SELECT last_insert_rowid() AS id, changes() AS n')).toEqual([
          { id: 42, n: 2 },
        ]);
        await db.run('UPDATE t SET a = 2').catch(() => undefined);
        expect(await db.get('SELECT changes() AS n')).toEqual({ n: 0 });
      },
      { clock: () => now },
    );
  });

  it('rowids of inserts of one row are right whatever stands between', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE i(id INTEGER PRIMARY KEY, a UNIQUE ON CONFLICT IGNORE); CREATE TABLE r(id INTEGER PRIMARY KEY, a UNIQUE ON CONFLICT REPLACE)',
      );
      await db.transaction(async (tx) => {
        const runs = [];
        for (const sql of [
          'INSERT INTO t VALUES (7, 1)',
          'INSERT INTO i VALUES (8, 1)',
          'INSERT INTO i VALUES (9, 1)',
          'INSERT INTO r VALUES (10, 1)',
          'INSERT INTO r VALUES (11, 1)',
          'INSERT INTO t SELECT 12, 1 UNION ALL VALUES (13, 1)',
          'INSERT INTO t VALUES (14, 1)',
        ])
          runs.push(await tx.run(sql));
        await tx.exec('CREATE TABLE x(a)');
        await tx.run('INSERT OR FAIL INTO t VALUES (15, 1), (7, 1)').catch(() => undefined);
        runs.push(await tx.run('INSERT INTO t VALUES (16, 1)'));
        expect(runs.map(({ changes, lastRowId }) => [changes, lastRowId])).toEqual([
          [1, 7],
          [1, 8],
          [0, 8],
          [1, 10],
          [1, 11],
          [2, 13],
          [1, 14],
          [1, 16],
        ]);
      });
    });
  });

  it('names that differ by more than the case of ASCII letters are different names', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE "é"(id INTEGER PRIMARY KEY, a); CREATE TABLE "É"(id INTEGER PRIMARY KEY, b)',
      );
      await db.exec('INSERT INTO "é"(a) VALUES (1); INSERT INTO "É"(b) VALUES (2)');
      const p = db.lsn();
      await db.exec('DELETE FROM "é"; DELETE FROM "É"');
      expect(await db.query('SELECT a FROM "é" FOR SYSTEM_TIME AS OF LSN ?', [p])).toEqual([{ a: 1 }]);
      expect(await db.query('SELECT b FROM "É" FOR SYSTEM_TIME AS OF LSN ?', [p])).toEqual([{ b: 2 }]);
    });
  });

  it('recursive_triggers and what fails half-way stay as DoSQL needs them', async () => {
    await withDatabase(async (db) => {
      for (const sql of [
        'PRAGMA recursive_triggers = OFF',
        'PRAGMA "recursive_triggers" = OFF',
        "PRAGMA main.'recursive_triggers'(0)",
        'EXPLAIN PRAGMA recursive_triggers = OFF',
        'EXPLAIN QUERY PLAN PRAGMA [recursive_triggers] = 0',
      ])
        expect((await failureOf(db.exec(sql))).code, sql).toBe('FORBIDDEN');
      await db.exec("CREATE TABLE t(id TEXT, rowid, _rowid_); INSERT INTO t VALUES ('a', 1, 2)");
      const p = db.lsn();
      expect((await failureOf(db.exec('ALTER TABLE t ADD COLUMN oid'))).code).toBe('FORBIDDEN');
      await db.run('INSERT INTO t(id) VALUES (?)', ['b']);
      expect(await db.query('SELECT id FROM t FOR SYSTEM_TIME AS OF LSN ?', [p])).toEqual([{ id: 'a' }]);
    });
  });

  it('a deferred foreign key is checked when the transaction ends, unless foreign keys are off', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p DEFERRABLE INITIALLY DEFERRED)',
      );
      await db.exec('INSERT INTO c VALUES (1); INSERT INTO p VALUES (1)');
      expect((await failureOf(db.run('INSERT INTO c VALUES (2)'))).code).toBe('CONSTRAINT_FOREIGNKEY');
      expect(await db.query('SELECT p FROM c')).toEqual([{ p: 1 }]);
    });
    await withDatabase(async (db, { storage }) => {
      // The pragma does nothing inside a transaction, and opening the database began one.
      await storage.sync();
      await db.exec('PRAGMA foreign_keys = OFF');
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p DEFERRABLE INITIALLY DEFERRED)',
      );
      expect((await db.run('INSERT INTO c VALUES (2)')).changes).toBe(1);
    });
  });
});
