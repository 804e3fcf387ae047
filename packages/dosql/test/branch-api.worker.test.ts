import { drizzle } from 'drizzle-orm/durable-sqlite';
import { sql } from 'drizzle-orm';
import { describe, expect, it } from 'vitest';
import { type Database } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

const SCHEMA = `
  CREATE TABLE p(id INTEGER PRIMARY KEY, v UNIQUE);
  CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE CASCADE, v);
  INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c');
  INSERT INTO c VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30);
`;

const all = async (db: { query(sql: string): Promise<unknown[]> }, table: string): Promise<unknown[][]> =>
  (await db.query(`SELECT * FROM ${table} ORDER BY 1`)).map(
    (row) => Object.values(row as object) as unknown[],
  );

const P = [
  [1, 'a'],
  [2, 'b'],
  [3, 'c'],
];

function withBranch(
  use: (db: Database, branch: Database, storage: DurableObjectStorage) => Promise<void>,
): Promise<void> {
  return withDatabase(async (db, { storage }) => {
    await db.exec(SCHEMA);
    await use(db, await db.branch('b'), storage);
  });
}

describe('a transaction on a branch', () => {
  it('keeps all or nothing, the making of its tables included', () =>
    withBranch(async (db, branch, storage) => {
      const objects = (): unknown => storage.sql.exec('SELECT name FROM sqlite_schema ORDER BY 1').toArray();
      const before = objects();
      const end = db.lsn();
      await expect(
        branch.transaction(async (tx) => {
          await tx.run("UPDATE p SET v = 'x' WHERE id = 1");
          expect(await tx.get('SELECT v FROM p WHERE id = 1')).toEqual({ v: 'x' });
          expect(await all(tx, 'c')).toHaveLength(3);
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      expect(objects()).toEqual(before);
      expect(await all(branch, 'p')).toEqual(P);
      expect(db.lsn()).toBe(end);
      await branch.transaction(async (tx) => {
        await expect(
          tx.transaction(async (inner) => {
            await inner.run('DELETE FROM p WHERE id = 1');
            expect(await all(inner, 'c')).toHaveLength(1);
            throw new Error('back');
          }),
        ).rejects.toThrow('back');
        expect(await all(tx, 'c')).toHaveLength(3);
        await tx.run("INSERT INTO p(v) VALUES ('d')");
        await tx.transaction((inner) => inner.run('DELETE FROM p WHERE id = 2'));
        expect(await failure(tx.run("INSERT INTO p(v) VALUES ('d')"))).toMatchObject({
          code: 'CONSTRAINT_UNIQUE',
        });
      });
      expect(await all(branch, 'p')).toEqual([P[0], P[2], [4, 'd']]);
      expect(await all(branch, 'c')).toHaveLength(2);
      expect([await all(db, 'p'), (await all(db, 'c')).length]).toEqual([P, 3]);
    }));

  it('may change main and two branches together', () =>
    withBranch(async (db, a) => {
      const b = await db.branch('it\'s/b "2"');
      await db.transaction(async (tx) => {
        await tx.run("INSERT INTO p VALUES (10, 'main')");
        await tx.run(`INSERT INTO "b/p" VALUES (10, 'one')`);
        await tx.run(`INSERT INTO "it's/b ""2""/p" VALUES (10, 'two')`);
        await tx.run(`UPDATE "b/p" SET v = v || (SELECT v FROM p WHERE id = 10) WHERE id = 10`);
      });
      const { lsn } = { lsn: db.lsn() };
      expect((await all(db, 'p')).at(-1)).toEqual([10, 'main']);
      expect((await all(a, 'p')).at(-1)).toEqual([10, 'onemain']);
      expect((await all(b, 'p')).at(-1)).toEqual([10, 'two']);
      expect(
        await db.query(
          `SELECT m.v, x.v AS x, y.v AS y FROM p AS m JOIN "b/p" AS x USING (id) JOIN "it's/b ""2""/p" AS y USING (id) WHERE id = 10`,
        ),
      ).toEqual([{ v: 'main', x: 'onemain', y: 'two' }]);
      expect(await a.query('SELECT m.v FROM "main/p" m EXCEPT SELECT v FROM p')).toEqual([{ v: 'main' }]);
      await a.run(`INSERT INTO "main/p" SELECT id + 100, v FROM p WHERE id = 10`);
      expect((await all(db, 'p')).at(-1)).toEqual([110, 'onemain']);
      expect((await all(a, 'p')).at(-1)).toEqual([10, 'onemain']);
      await expect(
        db.transaction(async (tx) => {
          await tx.run('DELETE FROM "b/p"');
          await tx.run('DELETE FROM p');
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      expect((await all(a, 'p')).length).toBe(4);
      // Each line's stream has its part of the one transaction.
      const entry = async (handle: Database): Promise<unknown> =>
        (await handle.backend.read(0n, 1_000)).entries.filter(({ tx }) => tx === lsn).map(({ op }) => op);
      expect(await entry(db)).toEqual(['insert']);
      expect(await entry(a)).toEqual(['insert', 'update']);
      expect(await entry(b)).toEqual(['insert']);
    }));

  it('leaves nothing when its first write fails', () =>
    withBranch(async (db, branch) => {
      expect(await failure(branch.run("INSERT INTO p VALUES (1, 'z')"))).toMatchObject({
        code: 'CONSTRAINT_UNIQUE',
        reason: 'UNIQUE constraint failed: p.id',
      });
      expect(await failure(branch.run("UPDATE p SET v = 'b' WHERE id = 1"))).toMatchObject({
        code: 'CONSTRAINT_UNIQUE',
        reason: 'UNIQUE constraint failed: p.v',
      });
      expect(await failure(branch.run('INSERT INTO c VALUES (9, 9, 9)'))).toMatchObject({
        code: 'CONSTRAINT_FOREIGNKEY',
      });
      expect(await failure(branch.run('UPDATE p SET absent = 1'))).toMatchObject({ code: 'NO_SUCH_COLUMN' });
      expect(await failure(branch.run('INSERT INTO absent VALUES (1)'))).toMatchObject({
        code: 'NO_SUCH_TABLE',
      });
      expect([await all(branch, 'p'), await all(db, 'p')]).toEqual([P, P]);
      expect((await branch.backend.read(db.lsn(), 10)).entries).toEqual([]);
      expect(await db.branches()).toMatchObject([{ changes: 0 }]);
    }));
});

describe('a branch’s handle', () => {
  it('runs batches, prepared statements, cursors and plans', () =>
    withBranch(async (db, branch) => {
      const [one, two] = await branch.batch([
        { sql: 'UPDATE c SET v = v + ? WHERE p = ?', params: [1, 1] },
        { sql: 'SELECT sum(v) AS v FROM c' },
      ]);
      expect([one?.changes, two?.rows]).toEqual([2, [{ v: 62 }]]);
      const many = Array.from({ length: 50 }, (_, i) => ({
        sql: 'INSERT INTO c(p, v) VALUES (1, ?)',
        params: [i],
      }));
      const results = await branch.batch(many);
      expect(results.map(({ lastRowId }) => lastRowId)).toEqual(many.map((_, i) => i + 4));
      expect(await failure(branch.batch([...many, { sql: 'INSERT INTO c(p) VALUES (99)' }]))).toMatchObject({
        code: 'CONSTRAINT_FOREIGNKEY',
      });
      expect(await branch.get('SELECT count(*) AS n FROM c')).toEqual({ n: 53 });
      const statement = branch.prepare('SELECT v FROM p WHERE id = ?');
      expect(await statement.bind(2).first()).toEqual({ v: 'b' });
      const { meta, results: rows } = await branch
        .prepare("UPDATE p SET v = 'B' WHERE id = 2 RETURNING *")
        .all();
      expect([rows, meta.changes]).toEqual([[{ id: 2, v: 'B' }], 1]);
      expect(await statement.bind(2).first()).toEqual({ v: 'B' });
      expect(await db.prepare('SELECT v FROM p WHERE id = ?').bind(2).first()).toEqual({ v: 'b' });
      const seen: unknown[] = [];
      for await (const { id } of branch.iterate<{ id: number }>('SELECT id FROM c ORDER BY id'))
        seen.push(id);
      expect(seen).toEqual(Array.from({ length: 53 }, (_, i) => i + 1));
      const plan = await branch.explain('SELECT v FROM p WHERE id = ?', [1]);
      expect(plan.steps.map(({ detail }) => detail).join()).toMatch(/SEARCH/);
      expect(
        await branch.query('SELECT id, v FROM c WHERE v > 9007199254740992', [], { integers: 'bigint' }),
      ).toEqual([]);
      expect(await branch.get('SELECT changes() AS n')).toEqual({ n: 1 });
    }));

  it('is read while a table of its own is made', () =>
    withBranch(async (db, branch) => {
      const seen: number[] = [];
      for await (const { id } of branch.iterate<{ id: number }>(
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT i AS id FROM n, p WHERE p.id = 1',
      )) {
        seen.push(id);
        if (id === 150) await branch.run("UPDATE p SET v = 'z' WHERE id = 2");
        if (id === 200) await db.run("UPDATE p SET v = 'y' WHERE id = 2");
      }
      expect(seen).toHaveLength(300);
      expect(await branch.get('SELECT v FROM p WHERE id = 2')).toEqual({ v: 'z' });
    }));

  it('is what drizzle and raw SQL run on', () =>
    withBranch(async (db, branch) => {
      const orm = drizzle(branch.storage as never);
      orm.run(sql`UPDATE p SET v = ${'drizzle'} WHERE id = ${1}`);
      expect(orm.all(sql`SELECT v FROM p WHERE id = 1`)).toEqual([{ v: 'drizzle' }]);
      expect(branch.sql.exec('SELECT v FROM p WHERE id = ?', 1).one()).toEqual({ v: 'drizzle' });
      branch.sql.exec('DELETE FROM c WHERE id = ?', 3);
      expect(await all(branch, 'c')).toHaveLength(2);
      expect([await all(db, 'p'), (await all(db, 'c')).length]).toEqual([P, 3]);
      expect(() => branch.sql.exec('SELECT * FROM nothing').toArray()).toThrow(/nothing/);
      branch.storage.transactionSync(() => branch.sql.exec("INSERT INTO p VALUES (9, 'nine')"));
      expect(await branch.get('SELECT v FROM p WHERE id = 9')).toEqual({ v: 'nine' });
    }));

  it('may be used by many at once', () =>
    withBranch(async (db, branch) => {
      const other = await db.checkout('b');
      await Promise.all(
        Array.from({ length: 40 }, (_, i) => [
          branch.run('UPDATE c SET v = v + 1 WHERE id = 1'),
          other.transaction(async (tx) => {
            const row = await tx.get<{ v: number }>('SELECT v FROM c WHERE id = 1');
            await tx.run('UPDATE c SET v = ? WHERE id = 1', [(row?.v ?? 0) + 1]);
          }),
          db.run('UPDATE c SET v = v - 1 WHERE id = 1'),
          db.branch(`many/${i}`).then((made) => made.run('UPDATE c SET v = ? WHERE id = 1', [i])),
        ]).flat(),
      );
      expect(await branch.get('SELECT v FROM c WHERE id = 1')).toEqual({ v: 90 });
      expect(await db.get('SELECT v FROM c WHERE id = 1')).toEqual({ v: -30 });
      for (let i = 0; i < 40; i++)
        expect(await db.get(`SELECT v FROM "many/${i}/c" WHERE id = 1`)).toEqual({ v: i });
    }));
});

describe('names of branches', () => {
  const names = [
    'ü/ß ✓',
    `it's`,
    'a "quoted" one',
    '__proto__',
    'constructor',
    'a/b',
    'a/b/c',
    'a',
    'Main/x',
    '`',
    '%_',
    '1',
    'x'.repeat(100),
  ];

  it('are any text', () =>
    withBranch(async (db) => {
      for (const [i, name] of names.entries()) {
        const branch = await db.branch(name);
        await branch.run('UPDATE c SET v = ? WHERE id = 1', [i]);
        expect(branch.activeBranch).toBe(name);
      }
      for (const [i, name] of names.entries()) {
        expect(await (await db.checkout(name)).get('SELECT v FROM c WHERE id = 1')).toEqual({ v: i });
        const address = `"${name.replaceAll('"', '""')}/c"`;
        expect(await db.get(`SELECT v FROM ${address} WHERE id = 1`), name).toEqual({ v: i });
        expect(await failure(db.branch(name))).toMatchObject({ code: 'BRANCH_EXISTS' });
      }
      expect((await db.branches()).map(({ name }) => name)).toEqual(['b', ...names]);
      for (const name of names) await db.dropBranch(name);
      expect((await db.branches()).map(({ name }) => name)).toEqual(['b']);
    }));

  it('are neither empty nor main, and are told from tables', () =>
    withBranch(async (db, branch) => {
      for (const name of ['', 'main', 'MAIN', '/a', 'a/', '\0', 'x'.repeat(101), 5, null, undefined, {}])
        expect(await failure(db.branch(name as string)), JSON.stringify(name)).toMatchObject({
          code: 'BAD_PARAMETER',
        });
      for (const name of ['', 'B', 'c', 5, null])
        expect(await failure(db.checkout(name as string))).toMatchObject({ code: 'NO_SUCH_BRANCH' });
      expect(await failure(db.exec('CREATE TABLE "b/x"(v)'))).toMatchObject({ code: 'FORBIDDEN' });
      await db.exec('CREATE TABLE "z/p"(v); INSERT INTO "z/p" VALUES (7)');
      expect(await db.get('SELECT v FROM "z/p"')).toEqual({ v: 7 });
      expect((await db.checkout('main')).activeBranch).toBe('main');
      expect(await all(await branch.checkout('main'), 'p')).toEqual(P);
    }));
});

describe('a branch of a branch', () => {
  it('goes its own way, from now or from a point of the past, and is dropped first', () =>
    withBranch(async (db, a) => {
      const values = async (handle: Database): Promise<unknown> =>
        (await handle.query('SELECT v FROM c ORDER BY id')).map((row) => row['v']);
      const before = db.lsn();
      await db.run('UPDATE c SET v = v + 1');
      await a.run('UPDATE c SET v = 100 WHERE id = 1');
      const first = db.lsn();
      await a.run('DELETE FROM c WHERE id = 2');
      await a.run("INSERT INTO c VALUES (4, 3, 'new')");
      const b = await a.branch('b/b');
      const past = await a.branch('b/past', { from: { lsn: first } });
      const old = await a.branch('b/old', { from: { lsn: before } });
      const older = await b.branch('b/older', { from: { lsn: first } });
      const mains = await a.branch('mains', { from: 'main' });
      expect(await values(b)).toEqual([100, 30, 'new']);
      expect(await values(past)).toEqual([100, 20, 30]);
      expect(await values(old)).toEqual([10, 20, 30]);
      expect(await values(older)).toEqual([100, 20, 30]);
      expect(await values(mains)).toEqual([11, 21, 31]);
      const parents = Object.fromEntries((await db.branches()).map(({ name, parent }) => [name, parent]));
      expect(parents).toEqual({
        b: 'main',
        'b/b': 'b',
        'b/past': 'b',
        'b/old': 'b',
        'b/older': 'b',
        mains: 'main',
      });
      await a.run('UPDATE c SET v = -1');
      await db.run('UPDATE c SET v = -2');
      await b.run('UPDATE c SET v = 5 WHERE id = 3');
      await past.run('DELETE FROM p WHERE id = 1');
      expect(await values(b)).toEqual([100, 5, 'new']);
      expect(await values(past)).toEqual([30]);
      expect(await values(old)).toEqual([10, 20, 30]);
      expect(await values(older)).toEqual([100, 20, 30]);
      const deep = await (await b.branch('b/b/b')).branch('b/b/b/b');
      await b.run('DELETE FROM c');
      await deep.run("INSERT INTO c(p, v) VALUES (3, 'deep')");
      expect(await values(deep)).toEqual([100, 5, 'new', 'deep']);
      expect(await db.merge('b/b/b/b', { into: 'b/b/b' })).toMatchObject({ merged: true, inserted: 1 });
      expect(await failure(db.dropBranch('b'))).toMatchObject({
        code: 'BAD_PARAMETER',
        message: expect.stringContaining('b/b'),
      });
      for (const name of ['b/b/b/b', 'b/b/b', 'b/b', 'b/past', 'b/older', 'b/old', 'b', 'mains'])
        await db.dropBranch(name);
      expect(await db.branches()).toEqual([]);
      expect(await values(db)).toEqual([-2, -2, -2]);
    }));
});
