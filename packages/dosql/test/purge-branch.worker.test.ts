import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { DB, type Database } from '../src/index.ts';
import { failure, newObject, withDatabase } from './support/database.ts';
import { entriesAfter, found } from './support/found.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

const rows = (db: Database, sql: string): Promise<unknown[]> => db.query(sql);

const SCHEMA = `
  CREATE TABLE t(id INTEGER PRIMARY KEY, owner TEXT, body TEXT);
  CREATE TABLE docs(slug TEXT PRIMARY KEY, t INTEGER REFERENCES t(id) ON DELETE CASCADE, owner TEXT, body) WITHOUT ROWID;
  CREATE TABLE seen(id INTEGER PRIMARY KEY, t REFERENCES t(id) ON DELETE SET NULL, owner TEXT);
  CREATE TABLE plain(owner TEXT, body BLOB);
  CREATE TABLE "it's"(a, b TEXT COLLATE NOCASE, owner TEXT, body, size INTEGER AS (length(body)), PRIMARY KEY(a, b)) WITHOUT ROWID;
`;
const OWNED = ['t', 'docs', 'plain', "it's"];
const COLUMNS: Record<string, string> = {
  t: 'id, owner, body',
  docs: 'slug, t, owner, body',
  plain: 'rowid, owner, CAST(body AS TEXT) AS body',
  "it's": '*',
};

/** Writes something of some owner's to one line. */
async function write(random: Random, db: Database, i: number): Promise<void> {
  const id = random.int(6);
  const owner = random.pick(['ann', 'bob', 'cy']);
  const body = `${owner}-secret-${i}`;
  const [sql, params] = random.pick<[string, (string | number)[]]>([
    ['INSERT OR IGNORE INTO t VALUES (?, ?, ?)', [id, owner, body]],
    ['INSERT OR REPLACE INTO t SELECT id, owner, owner || ? FROM t WHERE id = ?', ['-secret', id]],
    [
      'INSERT OR IGNORE INTO docs SELECT owner || ?1, id, owner, owner || ?2 FROM t WHERE id = ?3',
      [random.int(3), '-secret', id],
    ],
    ['INSERT OR IGNORE INTO seen SELECT ?1, id, ?2 FROM t WHERE id = ?3', [random.int(9), 'x', id]],
    ['INSERT INTO plain VALUES (?, CAST(? AS BLOB))', [owner, body]],
    [
      `INSERT OR IGNORE INTO "it's"(a, b, owner, body) VALUES (?, ?, ?, ?)`,
      [id, random.pick(['é', 'K', 'k']), owner, body],
    ],
    ["UPDATE t SET body = owner || '-secret!' || ? WHERE id >= ?", [i, id]],
    ["UPDATE docs SET body = owner || '-secret!' || ? WHERE t = ?", [i, id]],
    [`UPDATE "it's" SET body = owner || '-secret!' || ? WHERE a >= ?`, [i, id]],
    ['UPDATE plain SET body = CAST(owner || ? AS BLOB) WHERE rowid >= ?', ['-secret', id]],
    ['DELETE FROM t WHERE id = ?', [id]],
    [`DELETE FROM "it's" WHERE a = ?`, [id]],
    ['DELETE FROM plain WHERE rowid = ?', [id]],
  ]);
  await db.run(sql, params);
}

/** What is not ann's, on one line or as of a point of it. */
async function others(db: Pick<Database, 'query'>): Promise<unknown> {
  const read = (table: string): Promise<unknown[]> =>
    db.query(`SELECT ${COLUMNS[table]} FROM "${table}" WHERE owner <> 'ann' ORDER BY 1, 2`);
  const tables: unknown[] = [];
  for (const table of OWNED) tables.push(await read(table));
  return tables;
}

describe('purging with branches', () => {
  it.each(seeds(71))(
    'erases an owner from every line, and nothing of others at any point (seed %i)',
    (seed) =>
      withDatabase(async (db, { storage: { sql } }) => {
        const random = new Random(seed);
        await db.exec(SCHEMA);
        const lines = [db];
        const points: { line: Database; lsn: bigint }[] = [];
        for (let i = 0; i < 160; i++) {
          if (lines.length < 5 && i % 25 === 24)
            lines.push(await random.pick(lines).branch(`b${lines.length}`));
          const line = random.pick(lines);
          await write(random, line, i);
          if (random.chance(0.15)) points.push({ line, lsn: db.lsn() });
        }
        const before = [];
        for (const { line, lsn } of points) before.push(await others(line.asOf({ lsn })));
        const present = [];
        for (const line of lines) {
          const seen = await line.query(
            "SELECT id, iif(t IN (SELECT id FROM t WHERE owner = 'ann'), NULL, t) AS t, owner FROM seen ORDER BY id",
          );
          present.push([await others(line), seen]);
        }
        expect(found(sql, 'ann')).not.toEqual([]);
        for (const table of OWNED)
          await random.pick(lines).purge(table, { where: 'owner = ?', params: ['ann'], keepKeys: false });
        expect(found(sql, 'ann')).toEqual([]);
        for (const [i, line] of lines.entries()) {
          const seen = await line.query('SELECT id, t, owner FROM seen ORDER BY id');
          expect([line.activeBranch, await others(line), seen]).toEqual([
            line.activeBranch,
            ...(present[i] as unknown[]),
          ]);
          for (const table of OWNED)
            expect(await rows(line, `SELECT * FROM "${table}" WHERE owner = 'ann' OR owner IS NULL`)).toEqual(
              [],
            );
        }
        for (const [i, { line, lsn }] of points.entries()) {
          expect([lsn, await others(line.asOf({ lsn }))]).toEqual([lsn, before[i]]);
          expect(await line.asOf({ lsn }).query("SELECT * FROM t WHERE owner = 'ann'")).toEqual([]);
        }
        // What main does now is none of the branches' business.
        for (let i = 0; i < 20; i++)
          await db.run('INSERT OR REPLACE INTO t VALUES (?, ?, ?)', [random.int(6), 'dan', 'new']);
        await db.run(`INSERT OR REPLACE INTO "it's"(a, b, owner) VALUES (1, 'k', 'dan')`);
        for (const [i, line] of lines.entries())
          if (line !== db)
            expect([line.activeBranch, await others(line)]).toEqual([
              line.activeBranch,
              (present[i] as unknown[])[0],
            ]);
        for (const line of lines)
          for (const { before: was, after } of await entriesAfter(line, 0n))
            expect(JSON.stringify([was, after])).not.toContain('ann');
        for (const line of lines.slice(1).toReversed())
          for (const strategy of ['fail', 'theirs'] as const) {
            expect(JSON.stringify(await db.diff('main', line.activeBranch))).not.toContain('ann');
            await db.merge(line.activeBranch, { strategy });
          }
        expect(found(sql, 'ann')).toEqual([]);
      }),
  );

  it('reports the branches that it has erased from, and a row of several lines as one', () =>
    withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'SECRET'), (2, 'b')",
      );
      const changed = await db.branch('changed');
      await changed.run("UPDATE t SET a = a || '!'");
      await db.branch('clean', { from: { lsn: 1 } });
      await db.branch('reads');
      const own = await db.branch('own');
      await own.run("INSERT INTO t VALUES (3, 'SECRET')");
      expect(await db.purge('t', { where: "a = 'SECRET'" })).toMatchObject({
        table: 't',
        rows: 2,
        logEntries: 3,
        tables: { t: { rows: 2, logEntries: 3 } },
        branches: 3,
      });
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await rows(changed, 'SELECT * FROM t')).toEqual([{ id: 2, a: 'b!' }]);
    }));

  it('takes what keys and conflicts hold along, and no merge brings a row back', () =>
    withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        "CREATE TABLE p(mail TEXT PRIMARY KEY, a) WITHOUT ROWID; INSERT INTO p VALUES ('SECRET', 1), ('bob', 1)",
      );
      const branch = await db.branch('feature');
      await branch.run("UPDATE p SET a = 'SECRET 2'");
      await db.run("UPDATE p SET a = 'SECRET 3'");
      await db.run("INSERT INTO p VALUES ('SECRET later', 1)");
      await branch.run("DELETE FROM p WHERE mail = 'SECRET later'");
      expect((await db.merge('feature')).conflicts).toHaveLength(2);
      await db.resolve('p', 'bob', { a: 'SECRET 4' });
      expect(await db.conflicts()).toHaveLength(1);
      await db.purge('p', { where: "mail LIKE 'SECRET%' OR a LIKE 'SECRET%'", keepKeys: false });
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await db.conflicts()).toEqual([]);
      expect(await db.diff('main', 'feature')).toEqual([]);
      expect(await db.merge('feature')).toMatchObject({ merged: true, inserted: 0 });
      expect(await rows(db, 'SELECT * FROM p')).toEqual([]);
      expect(await branch.merge('main')).toMatchObject({ merged: true, inserted: 0 });
      // A key can be another's then, on either side.
      await branch.run("INSERT INTO p VALUES ('bob', 'new')");
      await db.run("INSERT INTO p VALUES ('cy', 'new')");
      expect(await rows(branch, 'SELECT mail FROM p')).toEqual([{ mail: 'bob' }]);
      expect(await db.merge('feature')).toMatchObject({ merged: true, inserted: 1 });
      expect(await rows(db, 'SELECT mail FROM p')).toEqual([{ mail: 'bob' }, { mail: 'cy' }]);
    }));

  it('of a row that was another once, erases what it was on branches that forked before', () =>
    withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, who, body); INSERT INTO t VALUES (1, '?', 'SECRET'), (2, '?', 'b')",
      );
      const reads = await db.branch('reads');
      const writes = await db.branch('writes');
      await writes.run("UPDATE t SET body = body || '!'");
      const inner = await writes.branch('inner');
      const anew = await db.branch('anew');
      await anew.run('DELETE FROM t WHERE id = 1');
      await anew.run("INSERT INTO t VALUES (1, 'other', 'kept')");
      await db.run("UPDATE t SET who = 'ann' WHERE id = 1");
      await db.run("UPDATE t SET who = 'nobody' WHERE id = 1");
      await db.purge('t', { where: "who = 'ann'" });
      expect(found(sql, 'SECRET')).toEqual([]);
      for (const line of [db, reads, writes, inner])
        expect(await rows(line, 'SELECT id FROM t')).toEqual([{ id: 2 }]);
      expect(await rows(anew, 'SELECT who FROM t ORDER BY id')).toEqual([{ who: 'other' }, { who: '?' }]);
      expect((await anew.history('t', 1)).map(({ row }) => row['body'])).toEqual(['kept']);
    }));

  it("goes by a row's time on the branch where the branch has changed it", () =>
    withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, at); INSERT INTO t VALUES (1, '2025'), (2, '2025'), (3, '2026')",
      );
      const a = await db.branch('a');
      await a.run("UPDATE t SET at = '2026' WHERE id = 1");
      await a.run("UPDATE t SET at = '2025' WHERE id = 3");
      expect(await db.purge('t', { before: '2026', column: 'at' })).toMatchObject({ rows: 3, branches: 1 });
      expect(await rows(db, 'SELECT id FROM t')).toEqual([{ id: 3 }]);
      expect(await rows(a, 'SELECT id FROM t')).toEqual([{ id: 1 }]);
    }));

  it('knows columns and tables by the names of the handle that is asked', () =>
    withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, mail TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
      );
      const branch = await db.branch('names');
      await branch.exec(
        'ALTER TABLE t RENAME COLUMN mail TO email; ALTER TABLE t RENAME TO u; CREATE TABLE own(x)',
      );
      await branch.exec(
        "INSERT INTO own VALUES ('SECRET own'), ('k'); UPDATE u SET email = 'SECRET'  WHERE id = 1; ALTER TABLE u ADD COLUMN extra DEFAULT 'd'",
      );
      await db.purge('t', { where: "t.mail = 'SECRET' OR rowid = 2" });
      expect(found(sql, 'SECRET')).toEqual(['__dosql_log.b0: 1', '__dosql_b1_own.x: 1']);
      expect(await rows(db, 'SELECT id FROM t')).toEqual([{ id: 1 }, { id: 3 }]);
      expect(await rows(branch, 'SELECT id FROM u')).toEqual([{ id: 3 }]);
      await branch.purge('u', { where: "u.email = 'c' AND extra = 'd'" });
      expect([await rows(db, 'SELECT id FROM t'), await rows(branch, 'SELECT id FROM u')]).toEqual([
        [{ id: 1 }],
        [],
      ]);
      await db.purge('own', { where: "x LIKE 'SECRET%'" });
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await rows(branch, 'SELECT * FROM own')).toEqual([{ x: 'k' }]);
    }));

  it('erases what a branch or main has dropped, and what main has altered since', () =>
    withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE TABLE c(t REFERENCES t(id) ON DELETE CASCADE, note); INSERT INTO t VALUES (1, 'SECRET', 'SECRET'), (2, 'b', 'b'); INSERT INTO c VALUES (1, 'SECRET'), (2, 'n')",
      );
      const drops = await db.branch('drops');
      const reads = await db.branch('reads');
      const writes = await db.branch('writes');
      await drops.exec('DROP TABLE c; DROP TABLE t');
      await writes.run("UPDATE t SET a = a || '!'");
      await db.exec("ALTER TABLE t DROP COLUMN b; UPDATE t SET a = a || '?'");
      await db.purge('t', { where: 'id = 1' });
      // Whose table is gone, nothing of it refers to anything.
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await rows(reads, 'SELECT id, a, note FROM t JOIN c ON c.t = t.id')).toEqual([
        { id: 2, a: 'b', note: 'n' },
      ]);
      expect(await rows(writes, 'SELECT id, a, note FROM t JOIN c ON c.t = t.id')).toEqual([
        { id: 2, a: 'b!', note: 'n' },
      ]);
      await db.exec('DROP TABLE c; DROP TABLE t');
      await db.purge('t', { where: 'id = 2' });
      expect([
        await rows(reads, 'SELECT * FROM t'),
        await rows(reads, 'SELECT * FROM c'),
        await rows(writes, 'SELECT * FROM c'),
      ]).toEqual([[], [], []]);
    }));

  it('changes nothing when rows of a branch refer to these, and says which branch', () =>
    withDatabase(async (db) => {
      for (const [i, key] of ['', 'ON DELETE RESTRICT', 'DEFERRABLE INITIALLY DEFERRED'].entries()) {
        await db.exec(
          `CREATE TABLE p(id INTEGER PRIMARY KEY, a); CREATE TABLE c(p REFERENCES p(id) ${key}); INSERT INTO p VALUES(1, 'a')`,
        );
        const branch = await db.branch(`refers ${i}`);
        await branch.run('INSERT INTO c VALUES (1)');
        const error = await failure(db.purge('p', { where: 'TRUE' }));
        expect([error.code, error.message]).toEqual([
          'CONSTRAINT_FOREIGNKEY',
          expect.stringContaining(`on branch "refers ${i}"`),
        ]);
        for (const line of [db, branch]) expect(await rows(line, 'SELECT * FROM p')).toHaveLength(1);
        await branch.run('DELETE FROM c');
        expect(await db.purge('p', { where: 'TRUE' })).toMatchObject({ rows: 1, branches: 1 });
        await db.dropBranch(`refers ${i}`);
        await db.exec('DROP TABLE c; DROP TABLE p');
      }
    }));

  it('fires no trigger of any line, and leaves them where they are', () =>
    withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE audit(what); CREATE TRIGGER keep AFTER DELETE ON t BEGIN INSERT INTO audit VALUES (OLD.a); END; INSERT INTO t VALUES (1, 'SECRET'), (2, 'b')",
      );
      const branch = await db.branch('b');
      await branch.run('UPDATE t SET a = a');
      await db.purge('t', { where: 'id = 1' });
      expect(found(sql, 'SECRET')).toEqual([]);
      for (const line of [db, branch]) {
        await line.run('DELETE FROM t');
        expect(await rows(line, 'SELECT * FROM audit')).toEqual([{ what: 'b' }]);
      }
    }));

  it("forgets main's past where no branch needs it", () =>
    withDatabase(async (db, { storage: { sql } }) => {
      await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'OLD')");
      const old = await db.branch('old');
      await db.run("UPDATE t SET a = 'new'");
      const lsn = db.lsn();
      const young = await db.branch('young');
      await young.exec('UPDATE t SET a = 1; CREATE TABLE own(x)');
      const error = await failure(db.purge('t', { before: { lsn } }));
      expect([error.code, error.message]).toEqual(['BAD_PARAMETER', expect.stringContaining('branch "old"')]);
      expect(await rows(old, 'SELECT a FROM t')).toEqual([{ a: 'OLD' }]);
      await db.dropBranch('old');
      await young.purge('t', { before: { lsn } });
      expect(found(sql, 'OLD')).toEqual([]);
      expect((await failure(young.purge('own', { before: { lsn } }))).code).toBe('BAD_PARAMETER');
      expect((await db.merge('young')).merged).toBe(true);
      expect(await rows(db, 'SELECT a FROM t')).toEqual([{ a: 1 }]);
    }));

  it('is undone wholly when it fails, and two at once take turns', () =>
    withDatabase(async (db) => {
      await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y')");
      const branch = await db.branch('b');
      await db.run("UPDATE t SET a = 'z' WHERE id = 1");
      expect((await failure(branch.purge('t', { where: 'nonesuch' }))).code).toBe('NO_SUCH_COLUMN');
      expect(await rows(branch, 'SELECT a FROM t ORDER BY id')).toEqual([{ a: 'x' }, { a: 'y' }]);
      expect(await rows(db, 'SELECT a FROM t')).toEqual([{ a: 'z' }, { a: 'y' }]);
      const [one, two] = await Promise.all([
        db.purge('t', { where: 'id = 1', keepKeys: false }),
        branch.purge('t', { where: 'id = 1', keepKeys: false }),
      ]);
      expect([one.rows, two.rows]).toEqual([1, 0]);
      await db.dropBranch('b');
      expect((await failure(branch.purge('t', { where: 'TRUE' }))).code).toBe('NO_SUCH_BRANCH');
    }));

  it('leaves branches that are as right after opening again, whatever main writes then', async () => {
    const stub = newObject();
    await runInDurableObject(stub, async (_, { storage }) => {
      const db = await DB('test', { storage });
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')",
      );
      const branch = await db.branch('b');
      await branch.run("UPDATE t SET a = 'b' WHERE id = 2");
      await db.purge('t', { where: 'id = 1', keepKeys: false });
      expect((await db.run("INSERT INTO t VALUES (1, 'main')")).lsn).toBe(db.lsn());
      await db.run("UPDATE t SET a = 'main'");
    });
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (_, { storage }) => {
      const db = await DB('test', { storage });
      const branch = await db.checkout('b');
      expect(await rows(branch, 'SELECT a FROM t ORDER BY id')).toEqual([{ a: 'b' }, { a: 'z' }]);
      await branch.run("INSERT INTO t VALUES (1, 'branch')");
      expect(await rows(branch, 'SELECT a FROM t ORDER BY id')).toEqual([
        { a: 'branch' },
        { a: 'b' },
        { a: 'z' },
      ]);
      expect(await rows(db, 'SELECT DISTINCT a FROM t')).toEqual([{ a: 'main' }]);
    });
  });

  it('tells those who follow a branch by a deletion with nothing but the key', () =>
    withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'SECRET'), (2, 'b')",
      );
      const branch = await db.branch('b');
      await branch.run("UPDATE t SET a = a || '!'");
      const end = db.lsn();
      await db.purge('t', { where: 'id = 1' });
      for (const line of [db, branch])
        expect(await entriesAfter(line, end)).toMatchObject([
          { op: 'delete', table: 't', key: { id: 1 }, before: { id: 1, a: null }, after: null },
        ]);
    }));
});
