import { describe, expect, it } from 'vitest';
import type { ConflictError, Database } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';
import { entriesAfter } from './support/found.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

const rows = (db: Pick<Database, 'query'>, sql: string): Promise<unknown[]> => db.query(sql);

const SCHEMA = `
  CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b, u UNIQUE);
  CREATE TABLE c(slug TEXT PRIMARY KEY, t INTEGER REFERENCES t(id) ON DELETE CASCADE ON UPDATE CASCADE, n INTEGER);
  CREATE TABLE plain(a, b BLOB);
  CREATE TABLE "it's"("a b", "__proto__" TEXT COLLATE NOCASE, x, size INTEGER AS (length(x)), PRIMARY KEY("a b", "__proto__")) WITHOUT ROWID;
  CREATE TABLE strict(id ANY PRIMARY KEY, n INTEGER NOT NULL DEFAULT 7) STRICT;
`;
const TABLES = ['t', 'c', 'plain', "it's", 'strict'];

/** Every value of every row with its type, on a line or as of a point of it. */
async function exact(db: Pick<Database, 'query'>, tables: readonly string[] = TABLES): Promise<unknown> {
  const columns: Record<string, string[]> = {
    t: ['id', 'a', 'b', 'u'],
    c: ['slug', 't', 'n'],
    plain: ['rowid', 'a', 'b'],
    "it's": ['"a b"', '"__proto__"', 'x', 'size'],
    strict: ['id', 'n'],
  };
  const found: Record<string, unknown[]> = {};
  for (const table of tables) {
    const values = (columns[table] ?? []).map((name, i) => `typeof(${name}) || quote(${name}) AS c${i}`);
    const read = await db.query(`SELECT ${values.join(', ')} FROM "${table}"`);
    found[table] = read.map((row) => Object.values(row as object).join(' ')).toSorted();
  }
  return found;
}

/** One transaction; undefined when it has changed nothing. */
async function write(random: Random, db: Database, i: number): Promise<bigint | undefined> {
  const id = random.int(8);
  const value = random.pick([null, 1, 1.5, '1', 'é', 9_007_199_254_740_993n, new Uint8Array([0, i % 256])]);
  const one = (): [string, (string | number | bigint | null | Uint8Array)[]] =>
    random.pick<[string, (string | number | bigint | null | Uint8Array)[]]>([
      ['INSERT OR IGNORE INTO t VALUES (?, ?, ?, ?)', [id, random.pick(['k', 'K']), value, i % 5]],
      ['INSERT OR REPLACE INTO t VALUES (?, ?, ?, ?)', [id, `r${i}`, value, i % 5]],
      ['UPDATE t SET b = ?, a = upper(a) WHERE id >= ?', [value, id]],
      ['UPDATE OR IGNORE t SET id = id + 1 WHERE id = ?', [id]],
      ['DELETE FROM t WHERE id = ?', [id]],
      ['INSERT OR IGNORE INTO c SELECT ?, id, ? FROM t WHERE id = ?', [`s${random.int(6)}`, i, id]],
      ['UPDATE c SET n = n + 1 WHERE t >= ?', [id]],
      ['INSERT INTO plain VALUES (?, ?)', [i, value]],
      ['UPDATE plain SET a = ? WHERE rowid = ?', [value, id]],
      ['DELETE FROM plain WHERE rowid = ?', [id]],
      [`INSERT OR REPLACE INTO "it's" VALUES (?, ?, ?)`, [id, random.pick(['k', 'K']), value]],
      [`DELETE FROM "it's" WHERE "a b" = ?`, [id]],
      ['INSERT OR IGNORE INTO strict(id) VALUES (?)', [random.pick([id, String(id)])]],
      ['UPDATE strict SET n = n + ? WHERE id = ?', [i, id]],
    ]);
  const before = db.lsn();
  await db.transaction(async (tx) => {
    for (let n = random.int(3); n >= 0; n--) await tx.run(...one());
  });
  return db.lsn() > before ? db.lsn() : undefined;
}

describe('restoring a branch', () => {
  it.each(seeds(81))(
    'sets it back to each of its points, also before its fork, and nothing else (seed %i)',
    (seed) =>
      withDatabase(async (db) => {
        const random = new Random(seed);
        await db.exec(SCHEMA);
        const start = db.lsn();
        const lines = [db];
        const points: bigint[] = [start];
        for (let i = 0; i < 90; i++) {
          if (i % 20 === 19) lines.push(await random.pick(lines).branch(`b${i}`));
          await write(random, random.pick(lines), i);
          if (random.chance(0.15)) points.push(db.lsn());
        }
        for (let i = 0; i < 12; i++) {
          const line = random.pick(lines.slice(1));
          const lsn = random.pick(points);
          const others = [];
          for (const other of lines) if (other !== line) others.push(await exact(other));
          const now = db.lsn();
          const before = await exact(line);
          const then = await exact(line.asOf({ lsn }));
          const { changes } = await line.restore({ lsn });
          expect([line.activeBranch, lsn, await exact(line)]).toEqual([line.activeBranch, lsn, then]);
          expect(changes > 0).toBe(JSON.stringify(before) !== JSON.stringify(then));
          expect((await line.restore({ lsn })).changes).toBe(0);
          const after = [];
          for (const other of lines) if (other !== line) after.push(await exact(other));
          expect(after).toEqual(others);
          if (random.chance(0.5)) {
            await line.restore({ lsn: now });
            expect([line.activeBranch, lsn, await exact(line)]).toEqual([line.activeBranch, lsn, before]);
          }
          await write(random, random.pick(lines), 100 + i);
          points.push(db.lsn());
        }
        expect(await db.query('PRAGMA foreign_keys')).toEqual([{ foreign_keys: 1 }]);
      }),
  );

  it('creates again what was dropped, empties what was created, and leaves other tables where only some are named', () =>
    withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a UNIQUE, b); CREATE INDEX ib ON t(b); CREATE TABLE log(what); CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.a); END; CREATE TABLE o(x); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2); INSERT INTO o VALUES (1)",
      );
      const early = db.lsn();
      await db.exec('CREATE TABLE later(x); INSERT INTO later VALUES (1)');
      const branch = await db.branch('b');
      await branch.run('UPDATE t SET b = 3 WHERE id = 1');
      const point = db.lsn();
      await branch.exec(
        "DROP TABLE t; CREATE TABLE own(x); INSERT INTO own VALUES (1); UPDATE o SET x = 2; ALTER TABLE o ADD COLUMN y DEFAULT 'd'",
      );
      await branch.run('INSERT INTO o VALUES (3, 3)');
      expect(await branch.restore({ lsn: point }, { tables: ['T'] })).toMatchObject({ changes: 2 });
      expect(await rows(branch, 'SELECT * FROM t')).toEqual([
        { id: 1, a: 'a', b: 3 },
        { id: 2, a: 'b', b: 2 },
      ]);
      expect(await rows(branch, 'SELECT x FROM o')).toEqual([{ x: 2 }, { x: 3 }]);
      expect(await rows(branch, 'SELECT * FROM log')).toHaveLength(2);
      await branch.run("INSERT INTO t VALUES (3, 'c', 3)");
      expect(await rows(branch, 'SELECT * FROM log')).toHaveLength(3);
      expect(
        await branch.query<{ name: string }>(
          "SELECT name FROM sqlite_schema WHERE type = 'index' AND name = 'ib'",
        ),
      ).toHaveLength(1);
      expect((await failure(branch.run("INSERT INTO t VALUES (4, 'c', 3)"))).code).toBe('CONSTRAINT_UNIQUE');
      await branch.restore({ lsn: early });
      expect(await rows(branch, 'SELECT * FROM t')).toEqual([
        { id: 1, a: 'a', b: 1 },
        { id: 2, a: 'b', b: 2 },
      ]);
      expect(await rows(branch, 'SELECT * FROM o')).toEqual([{ x: 1, y: 'd' }]);
      for (const name of ['later', 'own']) expect(await rows(branch, `SELECT * FROM ${name}`)).toEqual([]);
      expect(await rows(db, 'SELECT * FROM later')).toEqual([{ x: 1 }]);
      expect(await rows(db, 'SELECT b FROM t')).toEqual([{ b: 1 }, { b: 2 }]);
      expect((await failure(branch.restore({ lsn: early }, { tables: ['none'] }))).code).toBe(
        'NO_SUCH_TABLE',
      );
    }));

  it('refuses rows that would refer to nothing, and then changes nothing', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE c(p REFERENCES p(id)); INSERT INTO p VALUES (1)',
      );
      const branch = await db.branch('b');
      const lsn = db.lsn();
      await branch.run('INSERT INTO p VALUES (2)');
      await branch.run('INSERT INTO c VALUES (2)');
      const error = await failure(branch.restore({ lsn }, { tables: ['p'] }));
      expect([error.code, error.message]).toEqual(['CONSTRAINT_FOREIGNKEY', expect.stringContaining('"c"')]);
      expect(await rows(branch, 'SELECT * FROM p')).toHaveLength(2);
      expect((await branch.restore({ lsn })).changes).toBe(2);
    }));
});

describe('reverting on a branch', () => {
  it.each(seeds(91))(
    'undoes any transaction that nothing has followed, and makes it again (seed %i)',
    (seed) =>
      withDatabase(async (db) => {
        const random = new Random(seed);
        await db.exec(SCHEMA);
        for (let i = 0; i < 20; i++) await write(random, db, i);
        const inherited = await write(random, db, 20);
        const line = await (await db.branch('outer')).branch('inner');
        const fork = await exact(line);
        if (inherited !== undefined) {
          await line.revert(inherited);
          expect(await exact(line)).toEqual(await exact(db.asOf({ before: inherited })));
          await line.cherryPick(inherited);
          // Its own rowids it has not got back.
          expect(await exact(line, ['t', 'c', "it's", 'strict'])).toEqual(
            await exact(db, ['t', 'c', "it's", 'strict']),
          );
          await line.restore({ lsn: inherited });
          expect(await exact(line)).toEqual(fork);
        }
        for (let i = 21; i < 40; i++) {
          if (random.chance(0.3)) await write(random, db, i);
          const before = await exact(line);
          const tx = await write(random, line, i);
          if (tx === undefined) continue;
          const after = await exact(line);
          const there = await exact(db);
          await line.revert(tx);
          expect([i, await exact(line)]).toEqual([i, before]);
          await line.cherryPick(tx);
          expect([i, await exact(line)]).toEqual([i, after]);
          expect(await exact(db)).toEqual(there);
        }
      }),
  );

  it('is of what the branch has, keeps what others changed since, and says what is in its way', () =>
    withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2)",
      );
      const branch = await db.branch('b');
      const { lsn } = await branch.run("UPDATE t SET a = 'x'");
      await branch.run('UPDATE t SET b = 9 WHERE id = 1');
      const later = await db.run('DELETE FROM t WHERE id = 2');
      expect(await branch.revert(lsn)).toMatchObject({ inserted: 0, updated: 2, deleted: 0 });
      expect(await rows(branch, 'SELECT * FROM t')).toEqual([
        { id: 1, a: 'a', b: 9 },
        { id: 2, a: 'b', b: 2 },
      ]);
      expect(await branch.revert(lsn)).toMatchObject({ inserted: 0, updated: 0, deleted: 0 });
      await branch.run("UPDATE t SET a = 'again' WHERE id = 2");
      const error = (await failure(branch.revert(lsn))) as ConflictError;
      expect(error.code).toBe('MERGE_CONFLICT');
      expect(error.conflicts).toMatchObject([{ key: { id: 2 }, columns: ['a'], ours: { a: 'again', b: 2 } }]);
      for (const [handle, tx, name] of [
        [branch, later.lsn, 'main'],
        [db, lsn, 'b'],
      ] as const) {
        const strange = await failure(handle.revert(tx));
        expect([strange.code, strange.message]).toEqual([
          'BAD_PARAMETER',
          expect.stringContaining(`"${name}"`),
        ]);
      }
    }));
});

describe('cherry-picking', () => {
  it('makes one transaction of a branch on main, without the others, cell by cell', () =>
    withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id TEXT PRIMARY KEY, a, b, n INTEGER); INSERT INTO t VALUES ('x', 1, 1, 1), ('y', 2, 2, 2)",
      );
      const branch = await db.branch('draft');
      await branch.run("INSERT INTO t VALUES ('first', 0, 0, 0)");
      const { lsn } = await branch.transaction(async (tx) => {
        await tx.run("UPDATE t SET a = 'picked' WHERE id = 'x'");
        await tx.run("DELETE FROM t WHERE id = 'y'");
        return tx.run("INSERT INTO t VALUES ('z', NULL, x'00ff', 9007199254740993)");
      });
      await branch.run("UPDATE t SET b = 'not this'");
      await db.run("UPDATE t SET b = 'main' WHERE id = 'x'");
      await db.run("INSERT INTO t VALUES ('other', 0, 0, 0)");
      const from = db.lsn();
      expect(await branch.cherryPick(lsn, { onto: 'main' })).toEqual({
        inserted: 1,
        updated: 1,
        deleted: 1,
        lsn: db.lsn(),
      });
      expect(await db.query('SELECT * FROM t ORDER BY id', [], { integers: 'bigint' })).toEqual([
        { id: 'other', a: 0n, b: 0n, n: 0n },
        { id: 'x', a: 'picked', b: 'main', n: 1n },
        { id: 'z', a: null, b: new Uint8Array([0, 255]), n: 9_007_199_254_740_993n },
      ]);
      const entries = await entriesAfter(db, from);
      expect(entries.map(({ op }) => op).toSorted()).toEqual(['delete', 'insert', 'update']);
      // Any LSN of the transaction names it; what is so already stays.
      expect(await db.cherryPick(lsn - 1n)).toMatchObject({ inserted: 0, updated: 0, deleted: 0 });
      expect((await db.merge('draft')).conflicts).toHaveLength(2);
    }));

  it('takes transactions of main and of other branches onto a branch', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id)); INSERT INTO p VALUES (1, 1), (2, 2)',
      );
      const [a, b] = [await db.branch('a'), await db.branch('b/c')];
      const parent = await db.run('INSERT INTO p VALUES (3, 3)');
      const child = await db.run('INSERT INTO c VALUES (1, 3)');
      const error = await failure(a.cherryPick(child.lsn));
      expect(error.code).toBe('CONSTRAINT_FOREIGNKEY');
      await a.cherryPick(parent.lsn);
      await a.cherryPick(child.lsn);
      expect(await rows(a, 'SELECT * FROM c JOIN p ON p.id = c.p')).toHaveLength(1);
      await b.run('INSERT INTO p VALUES (4, 3)');
      const unique = await failure(b.cherryPick(parent.lsn));
      expect(unique.code).toBe('CONSTRAINT_UNIQUE');
      const swap = await a.run('UPDATE p SET u = CASE id WHEN 1 THEN -2 ELSE u END');
      await a.cherryPick(swap.lsn, { onto: 'b/c' });
      expect(await rows(b, 'SELECT u FROM p ORDER BY id')).toEqual([{ u: -2 }, { u: 2 }, { u: 3 }]);
      expect(await rows(db, 'SELECT u FROM p ORDER BY id')).toEqual([{ u: 1 }, { u: 2 }, { u: 3 }]);
      expect((await failure(db.cherryPick(swap.lsn, { onto: 'none' }))).code).toBe('NO_SUCH_BRANCH');
      expect((await failure(db.cherryPick(swap.lsn, { onto: 5 as unknown as string }))).code).toBe(
        'NO_SUCH_BRANCH',
      );
    }));

  it('says which rows are in its way, and changes nothing then', () =>
    withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
      );
      const branch = await db.branch('b');
      const { lsn } = await branch.run("UPDATE t SET a = a || '!'");
      await db.run("UPDATE t SET a = 'main' WHERE id = 1");
      await db.run('DELETE FROM t WHERE id = 2');
      const end = db.lsn();
      const error = (await failure(db.cherryPick(lsn))) as ConflictError;
      expect(error.code).toBe('MERGE_CONFLICT');
      expect(error.conflicts).toMatchObject([
        {
          table: 't',
          key: { id: 1 },
          columns: ['a'],
          base: { a: 'a' },
          ours: { a: 'main' },
          theirs: { a: 'a!' },
        },
        { table: 't', key: { id: 2 }, ours: null },
      ]);
      expect(db.lsn()).toBe(end);
      expect(await rows(db, 'SELECT a FROM t')).toEqual([{ a: 'main' }, { a: 'c' }]);
    }));

  it('without a primary key inserts rows as new, and changes those only that are the same', () =>
    withDatabase(async (db) => {
      await db.exec("CREATE TABLE k(a, b); INSERT INTO k VALUES ('x', 1), ('y', 2)");
      const branch = await db.branch('b');
      const inserted = await branch.run("INSERT INTO k VALUES ('branch', 3)");
      const updated = await branch.run("UPDATE k SET b = 9 WHERE a = 'y'");
      await db.run("INSERT INTO k VALUES ('main', 3)");
      expect(await db.cherryPick(inserted.lsn)).toMatchObject({ inserted: 1 });
      expect(await db.cherryPick(updated.lsn)).toMatchObject({ updated: 1 });
      expect(await rows(db, 'SELECT rowid, * FROM k')).toEqual([
        { rowid: 1, a: 'x', b: 1 },
        { rowid: 2, a: 'y', b: 9 },
        { rowid: 3, a: 'main', b: 3 },
        { rowid: 4, a: 'branch', b: 3 },
      ]);
      const other = await branch.run("UPDATE k SET b = 4 WHERE a = 'branch'");
      expect((await failure(db.cherryPick(other.lsn))).code).toBe('MERGE_CONFLICT');
    }));

  it('goes by names where two lines have made a table, and loses no column', () =>
    withDatabase(async (db) => {
      const branch = await db.branch('b');
      await branch.exec('CREATE TABLE n(v, "Key" TEXT PRIMARY KEY, extra DEFAULT 5)');
      const { lsn } = await branch.run(`INSERT INTO n(v, "Key") VALUES ('a', 'k')`);
      expect((await failure(db.cherryPick(lsn))).code).toBe('NO_SUCH_TABLE');
      await db.exec('CREATE TABLE other(x); CREATE TABLE N("key" TEXT PRIMARY KEY, w DEFAULT 7, v)');
      await db.cherryPick(lsn);
      expect(await rows(db, 'SELECT * FROM n')).toEqual([{ key: 'k', w: 7, v: 'a' }]);
      const lost = await branch.run('UPDATE n SET extra = 6');
      const error = await failure(db.cherryPick(lost.lsn));
      expect([error.code, error.message]).toEqual(['NO_SUCH_COLUMN', expect.stringContaining('extra')]);
      await db.exec('DROP TABLE n; CREATE TABLE n(v PRIMARY KEY, "key" TEXT)');
      expect((await failure(db.cherryPick(lsn))).code).toBe('FORBIDDEN');
    }));

  it('refuses what changed a schema, a view or nothing that can be found again', () =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id TEXT PRIMARY KEY, a)');
      const branch = await db.branch('b');
      await branch.exec('CREATE VIEW v AS SELECT * FROM t');
      expect((await failure(db.cherryPick(db.lsn()))).code).toBe('FORBIDDEN');
      await branch.exec('ALTER TABLE t ADD COLUMN b');
      expect((await failure(branch.revert(db.lsn()))).code).toBe('FORBIDDEN');
      const { lsn } = await branch.run('INSERT INTO t(a) VALUES (1)');
      expect((await failure(db.cherryPick(lsn))).code).toBe('FORBIDDEN');
      await branch.run("INSERT INTO t(id, a) VALUES ('SECRET', 1)");
      await db.purge('t', { where: "id = 'SECRET'", keepKeys: false });
      expect((await failure(db.cherryPick(db.lsn()))).code).toBe('FORBIDDEN');
    }));

  it('fires no trigger, and keeps those that there are', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE TABLE log(id); CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.id); END',
      );
      const branch = await db.branch('b');
      const { lsn } = await db.run('INSERT INTO t VALUES (1)');
      await branch.cherryPick(lsn);
      expect(await rows(branch, 'SELECT * FROM log')).toEqual([{ id: 1 }]);
      await branch.run('INSERT INTO t VALUES (2)');
      expect(await rows(branch, 'SELECT * FROM log')).toEqual([{ id: 1 }, { id: 2 }]);
    }));
});
