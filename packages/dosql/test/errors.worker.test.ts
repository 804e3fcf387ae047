import { env } from 'cloudflare:workers';
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { createDOBackend, createMemoryBackend, createR2Backend, createTieredBackend } from '../src/fsx.ts';
import { DB } from '../src/index.ts';
import type { SqlParameters } from '../src/index.ts';
import { failure, newObject, withDatabase } from './support/database.ts';

const people = `
  CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, age INTEGER CHECK (age > 0), boss INTEGER REFERENCES person(id));
  INSERT INTO person VALUES (1, 'ada@example.com', 36, NULL);
`;

describe('a statement that SQLite refuses', () => {
  const cases: [sql: string, code: string, message: RegExp][] = [
    ['SELEC 1', 'SYNTAX', /near "SELEC": syntax error/],
    ['SELECT * FROM nowhere', 'NO_SUCH_TABLE', /nowhere/],
    ['SELECT shoe_size FROM person', 'NO_SUCH_COLUMN', /shoe_size/],
    ["INSERT INTO person VALUES (1, 'b', 1, NULL)", 'CONSTRAINT_UNIQUE', /person\.id/],
    ["INSERT INTO person VALUES (2, 'ada@example.com', 1, NULL)", 'CONSTRAINT_UNIQUE', /person\.email/],
    ['INSERT INTO person VALUES (2, NULL, 1, NULL)', 'CONSTRAINT_NOTNULL', /person\.email/],
    ["INSERT INTO person VALUES (2, 'b', -1, NULL)", 'CONSTRAINT_CHECK', /age > 0/],
    ["INSERT INTO person VALUES (2, 'b', 1, 99)", 'CONSTRAINT_FOREIGNKEY', /FOREIGN KEY/],
    ['SELECT power(2, 2)', 'FORBIDDEN', /power/],
    ['BEGIN', 'FORBIDDEN', /transaction/],
    ["ATTACH 'x' AS y", 'FORBIDDEN', /not authorized/],
    ["INSERT OR ROLLBACK INTO person VALUES (2, 'b', 1, NULL)", 'FORBIDDEN', /OR ROLLBACK.*use ABORT/],
    ['CREATE TABLE t(a UNIQUE ON CONFLICT ROLLBACK)', 'FORBIDDEN', /ON CONFLICT ROLLBACK/],
    ['CREATE TABLE t(a, "True")', 'FORBIDDEN', /column named True.*rename it/],
    ['ALTER TABLE person RENAME COLUMN age TO "false"', 'FORBIDDEN', /column named false.*rename it/],
    [
      "CREATE TRIGGER t AFTER INSERT ON person BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
      'FORBIDDEN',
      /RAISE\(ROLLBACK\)/,
    ],
    ['SELECT * FROM __dosql_log', 'FORBIDDEN', /reserved/],
    ['', 'SYNTAX', /no statement/],
    ['-- nothing', 'SYNTAX', /no statement/],
    ['SELECT 1; SELECT 2', 'SYNTAX', /2 statements/],
    ['PRAGMA recursive_triggers = OFF', 'FORBIDDEN', /recursive_triggers/],
    ['SELECT * FROM person FOR SYSTEM_TIME AS OF', 'SYNTAX', /FOR SYSTEM_TIME/],
    ['UPDATE person FOR SYSTEM_TIME AS OF LSN 1 SET age = 1', 'READ_ONLY', /past does not change/],
  ];

  it.each(cases)('%s is %s', async (sql, code, message) => {
    await withDatabase(async (db) => {
      await db.exec(people);
      for (const run of [
        () => db.query(sql),
        () => db.run(sql),
        () => db.prepare(sql).all(),
        () => db.batch([{ sql }]),
      ]) {
        const error = await failure(run());
        expect(error.code).toBe(code);
        expect(error.message).toMatch(message);
      }
      expect(await db.query('SELECT * FROM person')).toHaveLength(1);
    });
  });

  it('tells where it stopped', async () => {
    await withDatabase(async (db) => {
      expect(await failure(db.query('SELECT * FRM person'))).toMatchObject({
        code: 'SYNTAX',
        offset: 9,
        sql: 'SELECT * FRM person',
      });
    });
  });

  it('is told across RPC with its code', async () => {
    const stub = newObject();
    await stub.fail(people);
    const statement = "INSERT INTO person VALUES (2, 'ada@example.com', 1, NULL)";
    expect((await failure(stub.fail(statement))).code).toBe('CONSTRAINT_UNIQUE');
    expect((await failure(stub.failPlainly(statement))).code).toBe('CONSTRAINT_UNIQUE');
  });
});

describe('parameters', () => {
  const cases: [sql: string, params: unknown, message: RegExp][] = [
    ['SELECT ?', [], /1 parameter\(s\), 0 value\(s\)/],
    ['SELECT ?', [1, 2], /1 parameter\(s\), 2 value\(s\)/],
    ['SELECT ?', undefined, /1 parameter\(s\), 0/],
    ['SELECT 1', [1], /0 parameter\(s\), 1/],
    ['SELECT ?3', [1, 2], /3 parameter\(s\), 2/],
    ['SELECT :a', {}, /:a/],
    ['SELECT :a', { a: 1, b: 2 }, /no parameter named "b"/],
    ['SELECT ?', { a: 1 }, /no name/],
    ['SELECT ?', [{ a: 1 }], /JSON\.stringify/],
    ['SELECT ?', [[1, 2]], /an array of 2/],
    ['SELECT ?', [() => 1], /a function/],
    ['SELECT ?', [Symbol('x')], /a symbol/],
    ['SELECT ?', [new Date('nonsense')], /invalid Date/],
    ['SELECT ?', [2n ** 63n], /9223372036854775808.*64 bits/],
    ['SELECT ?', 'text', /array or an object/],
  ];

  it.each(cases)('%s with %o is BAD_PARAMETER', async (sql, params, message) => {
    await withDatabase(async (db) => {
      const error = await failure(db.query(sql, params as SqlParameters));
      expect(error.code).toBe('BAD_PARAMETER');
      expect(error.message).toMatch(message);
    });
  });
});

describe('opening', () => {
  it('one storage under two names is NAME_MISMATCH, also after the object was restarted', async () => {
    const stub = newObject();
    await runInDurableObject(stub, async (_, state) => {
      await DB('a', { storage: state.storage });
      expect(await failure(DB('b', { storage: state.storage }))).toMatchObject({ code: 'NAME_MISMATCH' });
    });
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (_, state) => {
      expect((await failure(DB('b', { storage: state.storage }))).message).toMatch(
        /holds the database "a".*"b"/,
      );
      expect((await DB('a', { storage: state.storage })).name).toBe('a');
    });
  });

  it('gives the same database to everyone who opens it', async () => {
    await runInDurableObject(newObject(), async (_, state) => {
      let loads = 0;
      const open = () =>
        DB('a', {
          storage: state.storage,
          migrations: () => (loads++, [{ name: '1', sql: 'CREATE TABLE t(a)' }]),
        });
      const all = await Promise.all([
        open(),
        open(),
        DB('a', { storage: { hot: state.storage, cold: env.BUCKET } }),
        DB('a', { storage: createDOBackend(state.storage) }),
        DB('a', {
          storage: createTieredBackend(
            createDOBackend(state.storage),
            createR2Backend(env.BUCKET, { prefix: 'a' }),
          ),
        }),
      ]);
      expect(new Set(all).size).toBe(1);
      expect(loads).toBe(1);
    });
  });

  it('a class that is not SQLite-backed is told what its configuration lacks', async () => {
    const error = await failure(env.PLAIN.get(env.PLAIN.idFromName('a')).open());
    expect(error.code).toBe('STORAGE_UNAVAILABLE');
    expect(error.message).toMatch(/new_sqlite_classes/);
  });

  it('what is no storage, no name or no window is BAD_PARAMETER', async () => {
    await runInDurableObject(newObject(), async (_, { storage }) => {
      expect((await failure(DB('a', { storage: createMemoryBackend() as never }))).code).toBe(
        'BAD_PARAMETER',
      );
      expect((await failure(DB('a', { storage: 'here' as never }))).message).toMatch(
        /storage is string here/,
      );
      expect((await failure(DB('a', undefined as never))).code).toBe('BAD_PARAMETER');
      expect((await failure(DB('', { storage }))).message).toMatch(/is text, not an empty text/);
      expect((await failure(DB('a', { storage: undefined as never }))).message).toMatch(
        /storage is undefined:/,
      );
      for (const migrations of [5, [{ sql: 'SELECT 1' }], async () => [{ name: '001_a' }]])
        expect((await failure(DB('a', { storage, migrations: migrations as never }))).message).toMatch(
          /^BAD_PARAMETER: migrations are .* \[{ name, sql }\]/,
        );
      expect((await failure(DB('a', { storage, history: { keep: 'a week' } }))).message).toMatch(
        /history\.keep is string a week/,
      );
      expect((await failure(DB('a', { storage, history: { maxBytes: 0 } }))).message).toMatch(/maxBytes/);
      expect((await DB('a', { storage })).name).toBe('a');
    });
  });

  it('deleteAll() behind an open database is STORAGE_UNAVAILABLE, and DB() makes a new one', async () => {
    await withDatabase(async (db, state) => {
      await db.exec(people);
      await state.storage.deleteAll();
      for (const run of [
        () => db.query('SELECT * FROM person'),
        () => db.run('DELETE FROM person'),
        () => db.exec('CREATE TABLE t(a)'),
        () => db.transaction(async (tx) => tx.query('SELECT * FROM person')),
      ]) {
        const error = await failure(run());
        expect(error.code).toBe('STORAGE_UNAVAILABLE');
        expect(error.message).toMatch(/deleteAll/);
      }
      const again = await DB('other', { storage: state.storage });
      await again.exec(people);
      expect(await again.query('SELECT id FROM person')).toEqual([{ id: 1 }]);
    });
  });
});

describe('points of the past', () => {
  it('that are no points, lie ahead or lie too far back say so', async () => {
    let now = Date.parse('2026-01-01T00:00:00Z');
    await withDatabase(
      async (db) => {
        now += 60_000;
        await db.exec(people);
        const read = (point: unknown) =>
          failure(db.query('SELECT * FROM person FOR SYSTEM_TIME AS OF ?', [point as never]));
        expect(await read('2026-01-02')).toMatchObject({
          code: 'BAD_PARAMETER',
          message: expect.stringMatching(/2026-01-02T00:00:00.000Z is in the future/),
        });
        expect(await read('yesterday')).toMatchObject({ code: 'BAD_PARAMETER' });
        expect(await read('2026-02-30')).toMatchObject({ code: 'BAD_PARAMETER' });
        expect(await read(null)).toMatchObject({ code: 'BAD_PARAMETER' });
        expect(await read('2025-12-31T23:59:59Z')).toMatchObject({
          code: 'HISTORY_EXPIRED',
          message: expect.stringMatching(/earliest point is LSN 0, 2026-01-01T00:00:00.000Z/),
        });
        expect(await failure(db.asOf({ lsn: 1_000 }).query('SELECT 1 FROM person'))).toMatchObject({
          code: 'BAD_PARAMETER',
        });
        expect(await failure(db.asOf(2n as never).query('SELECT 1 FROM person'))).toMatchObject({
          code: 'BAD_PARAMETER',
          message: expect.stringMatching(/\{ lsn \} for an LSN/),
        });
        expect(await failure(db.asOf({ lsn: -1 }).query('SELECT 1 FROM person'))).toMatchObject({
          code: 'BAD_PARAMETER',
        });
        expect(await failure(db.asOf({ ago: '1 year' }).query('SELECT 1 FROM person'))).toMatchObject({
          code: 'BAD_PARAMETER',
        });
        expect(await failure(db.asOf({ lsn: 0 }).query('SELECT 1 FROM person'))).toMatchObject({
          code: 'NO_SUCH_TABLE',
        });
        expect(await failure(db.query('SELECT * FROM person FOR SYSTEM_TIME AS OF person.id'))).toMatchObject(
          { code: 'SYNTAX' },
        );
      },
      { clock: () => now },
    );
  });

  it('cannot be written through', async () => {
    await withDatabase(async (db) => {
      await db.exec(people);
      const then = db.asOf({ lsn: db.lsn() });
      for (const sql of [
        'DELETE FROM person',
        'INSERT INTO person(email) VALUES (1) RETURNING *',
        'DROP TABLE person',
        'CREATE TABLE t(a)',
        'PRAGMA foreign_keys = OFF',
      ])
        expect((await failure(then.query(sql))).code).toBe('READ_ONLY');
      expect(await db.query('SELECT id FROM person')).toEqual([{ id: 1 }]);
    });
  });
});
