import { describe, expect, it } from 'vitest';
import type { Change } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';
import { changesOf, found } from './support/found.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';
import { exactRows } from './support/rows.ts';

const SCHEMA = `
  CREATE TABLE t(id INTEGER PRIMARY KEY, owner TEXT, body TEXT, x);
  CREATE TABLE plain(owner TEXT, body TEXT);
  CREATE TABLE pair(a, b TEXT, owner TEXT, body, PRIMARY KEY(a, b)) WITHOUT ROWID;
  CREATE TABLE wide(id INTEGER PRIMARY KEY, owner TEXT, ${Array.from({ length: 60 }, (_, i) => `c${i} TEXT`).join(', ')});
`;

describe('purging', () => {
  it.each(seeds(31))(
    'erases an owner from every table, and nothing of others at any point (seed %i)',
    async (seed) => {
      await withDatabase(async (db, { storage: { sql } }) => {
        const random = new Random(seed);
        await db.exec(SCHEMA);
        const tables = ['t', 'plain', 'pair', 'wide'];
        const owners = ['ann', 'bob', 'cy'];
        const lsns: bigint[] = [];
        for (let i = 0; i < 200; i++) {
          const table = random.pick(tables);
          const owner = random.pick(owners);
          const body = `${owner}-secret-${random.int(100)}`;
          const id = random.int(8);
          const key = table === 'plain' ? 'rowid' : table === 'pair' ? 'a' : 'id';
          const write = random.pick<() => [string, (string | number)[]]>([
            () =>
              table === 'pair'
                ? ['INSERT INTO pair VALUES(?, ?, ?, ?)', [id, random.pick(['x', 'y']), owner, body]]
                : table === 'wide'
                  ? ['INSERT INTO wide(id, owner, c0, c59) VALUES(?, ?, ?, ?)', [id, owner, body, body]]
                  : [`INSERT INTO ${table}(rowid, owner, body) VALUES(?, ?, ?)`, [id, owner, body]],
            () => [
              `UPDATE ${table} SET ${table === 'wide' ? 'c30' : 'body'} = owner || '-secret' || ? WHERE ${key} >= ?`,
              [i, id],
            ],
            () => [`DELETE FROM ${table} WHERE ${key} = ?`, [id]],
          ])();
          await db.run(...write).catch(() => undefined);
          if (random.chance(0.3)) lsns.push(db.lsn());
        }
        if (random.chance(0.5))
          await db.exec(
            "ALTER TABLE t DROP COLUMN x; ALTER TABLE t ADD COLUMN y DEFAULT 'd'; ALTER TABLE plain RENAME TO plainer",
          );
        const names = (
          await db.query<{ name: string }>(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB '[_]*'",
          )
        ).map(({ name }) => name);
        const read = async (lsn?: bigint): Promise<unknown> => {
          const columns = {
            t: 'id, owner, body',
            pair: '*',
            wide: '*',
            plain: 'rowid, owner, body',
            plainer: 'rowid, owner, body',
          };
          const then: Record<string, unknown> = {};
          for (const [name, list] of Object.entries(columns))
            then[name] = await (lsn === undefined ? db : db.asOf({ lsn }))
              .query(`SELECT ${list} FROM ${name} WHERE owner <> 'ann' ORDER BY 1, 2`)
              .catch(() => 'none');
          return then;
        };
        const before = new Map<bigint, unknown>();
        for (const lsn of lsns) before.set(lsn, await read(lsn));
        const present = await read();
        expect(found(sql, 'ann-secret')).not.toEqual([]);
        for (const name of names) await db.purge(name, { where: 'owner = ?', params: ['ann'] });
        expect(found(sql, 'ann')).toEqual([]);
        for (const lsn of lsns) {
          expect([lsn, await read(lsn)]).toEqual([lsn, before.get(lsn)]);
          for (const name of ['t', 'pair', 'wide'])
            expect(
              await db.asOf({ lsn }).query(`SELECT * FROM ${name} WHERE owner = 'ann' OR owner IS NULL`),
            ).toEqual([]);
        }
        expect(await read()).toEqual(present);
        const changes = await changesOf(db);
        expect(
          JSON.stringify(changes, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
        ).not.toContain('ann');
        // Who follows the log from the beginning ends up with the same rows.
        const rows = new Map<string, unknown>();
        for (const { table, op, key, after } of changes) {
          const at = JSON.stringify([table === 'plain' ? 'plainer' : table, key]);
          if (op === 'delete') rows.delete(at);
          else if ((op as string) !== 'schema') rows.set(at, after);
        }
        const count = async (name: string): Promise<number> =>
          (await db.query(`SELECT 1 FROM ${name}`)).length;
        let total = 0;
        for (const name of names) total += await count(name);
        expect(rows.size).toBe(total);
        // And what comes is logged as ever.
        const { lsn } = await db.run("INSERT INTO t(owner, body) VALUES('dan', 'new')");
        expect(lsn).toBe(db.lsn());
        expect(await exactRows(db, ['t'], lsn)).toEqual(await exactRows(db, ['t']));
      });
    },
  );

  it('erases what foreign keys delete along, and leaves deletions with nothing but keys', async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        'CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT, up REFERENCES users(id) ON DELETE CASCADE);' +
          'CREATE TABLE posts(slug TEXT PRIMARY KEY, user REFERENCES users(id) ON DELETE CASCADE, body);' +
          'CREATE TABLE likes(post REFERENCES posts(slug) ON DELETE CASCADE, who TEXT, note BLOB, PRIMARY KEY(post, who)) WITHOUT ROWID;' +
          'CREATE TABLE seen(id INTEGER PRIMARY KEY, user REFERENCES users(id) ON DELETE SET NULL, at);' +
          'CREATE TABLE audit(what); CREATE TRIGGER keep AFTER DELETE ON users BEGIN INSERT INTO audit VALUES(OLD.name); END;' +
          "INSERT INTO users VALUES(1, 'SECRET one', NULL), (2, 'two', NULL), (3, 'SECRET child', 1); UPDATE users SET name = name || ' SECRET' WHERE id = 1;" +
          "INSERT INTO posts VALUES('p1', 1, 'SECRET post'), ('p2', 2, 'post'); UPDATE posts SET body = body || '!';" +
          "INSERT INTO likes VALUES('p1', 'cy', CAST('SECRET note' AS BLOB)), ('p2', 'cy', 'note'); INSERT INTO seen VALUES(1, 1, 'now'), (2, 2, 'now')",
      );
      const from = db.lsn();
      expect(found(sql, 'SECRET')).not.toEqual([]);
      const report = await db.purge('users', { where: 'id = :id', params: { id: 1n } });
      expect(report).toEqual({
        table: 'users',
        rows: 2,
        logEntries: 3,
        tables: {
          users: { rows: 2, logEntries: 3 },
          posts: { rows: 1, logEntries: 2 },
          likes: { rows: 1, logEntries: 1 },
        },
        branches: 0,
        deadLetters: 0,
        files: 0,
        lsn: db.lsn(),
      });
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await db.query('SELECT id FROM users')).toEqual([{ id: 2 }]);
      expect(await db.query('SELECT * FROM seen')).toEqual([
        { id: 1, user: null, at: 'now' },
        { id: 2, user: 2, at: 'now' },
      ]);
      expect(await db.query('SELECT * FROM audit')).toEqual([]);
      expect(await db.history('users', 1)).toEqual([]);
      expect(await db.asOf({ lsn: from }).query('SELECT id FROM users')).toEqual([{ id: 2 }]);
      const entries = (await db.backend.read(from, 100)).entries as readonly Change[];
      const gone = entries
        .filter(({ op }) => op === 'delete')
        .map(({ table, key, before }) => [table, key, before]);
      expect(gone).toEqual(
        expect.arrayContaining([
          ['users', { id: 1 }, { id: 1, name: null, up: null }],
          ['users', { id: 3 }, { id: 3, name: null, up: null }],
          ['posts', { slug: 'p1' }, { slug: 'p1', user: null, body: null }],
          ['likes', { post: 'p1', who: 'cy' }, { post: 'p1', who: 'cy', note: null }],
        ]),
      );
      expect(gone).toHaveLength(4);
      // The trigger is there again.
      await db.run('DELETE FROM posts');
      await db.run('DELETE FROM users');
      expect(await db.query('SELECT * FROM audit')).toEqual([{ what: 'two' }]);
      expect((await db.restore({ lsn: from }, { tables: ['users'] })).changes).toBe(1);
      expect(await db.query('SELECT name FROM users')).toEqual([{ name: 'two' }]);
    });
  });

  it('changes nothing when other rows refer to these', async () => {
    await withDatabase(async (db) => {
      for (const key of ['', 'ON DELETE RESTRICT', 'DEFERRABLE INITIALLY DEFERRED']) {
        await db.exec(
          `CREATE TABLE p(id INTEGER PRIMARY KEY, a); CREATE TABLE c(p REFERENCES p(id) ${key}); INSERT INTO p VALUES(1, 'a'); INSERT INTO c VALUES(1)`,
        );
        const end = db.lsn();
        expect((await failure(db.purge('p', { where: 'TRUE' }))).code).toBe('CONSTRAINT_FOREIGNKEY');
        expect(db.lsn()).toBe(end);
        expect(await db.history('p', 1)).toHaveLength(1);
        expect(await db.query('SELECT * FROM p')).toHaveLength(1);
        await db.exec('DROP TABLE c; DROP TABLE p');
      }
    });
  });

  it('finds rows by what they held at any time, and erases all that they held', async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, mail TEXT COLLATE NOCASE, n INTEGER); INSERT INTO t VALUES(1, 'Ann@x', 1), (2, 'bob@x', 2); UPDATE t SET mail = 'MARK one' WHERE id = 1;" +
          "ALTER TABLE t RENAME COLUMN mail TO email; INSERT OR REPLACE INTO t VALUES(1, 'MARK two', 3); ALTER TABLE t ADD COLUMN note DEFAULT 'd'; UPDATE t SET n = n + 1",
      );
      await db.purge('t', { where: "email = 'ANN@X' AND n = '1' AND rowid = 1 -- of old" });
      expect(found(sql, 'MARK')).toEqual([]);
      expect(await db.query('SELECT id FROM t')).toEqual([{ id: 2 }]);
      expect(await db.history('t', 2)).toHaveLength(2);
    });
  });

  it('a key that has been of two rows is erased for one', async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, who TEXT); INSERT INTO t VALUES(1, 'first')");
      const first = db.lsn();
      await db.run('DELETE FROM t');
      await db.run("INSERT INTO t VALUES(1, 'SECRET')");
      const second = db.lsn();
      await db.run('DELETE FROM t');
      await db.run("INSERT INTO t VALUES(1, 'third')");
      expect(await db.purge('t', { where: "who = 'SECRET'" })).toMatchObject({ rows: 0, logEntries: 2 });
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await db.asOf({ lsn: first }).query('SELECT who FROM t')).toEqual([{ who: 'first' }]);
      expect(await db.asOf({ lsn: second }).query('SELECT who FROM t')).toEqual([]);
      expect((await db.history<{ who: string }>('t', 1)).map(({ row }) => row.who)).toEqual([
        'first',
        'third',
      ]);
    });
  });

  it('images that take several rows of the log go wholly', async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      const columns = Array.from({ length: 98 }, (_, i) => `c${i}`);
      await db.exec(
        `CREATE TABLE w(${columns.map((name) => `${name} TEXT`).join(', ')}); CREATE TABLE big(id INTEGER PRIMARY KEY, body TEXT)`,
      );
      await db.run(`INSERT INTO w VALUES(${columns.map(() => "'SECRET'").join(', ')})`);
      await db.run(`INSERT INTO w(c0, c97) VALUES('a', 'kept')`);
      await db.run("UPDATE w SET c97 = c97 || '!'");
      await db.run('INSERT INTO big VALUES(1, ?)', [`SECRET${'x'.repeat(1_500_000)}`]);
      await db.run("UPDATE big SET body = 'SECRET' || body");
      const end = db.lsn();
      await db.purge('w', { where: "c97 LIKE 'SECRET%'" });
      await db.purge('big', { where: 'id = 1' });
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await db.query('SELECT c0, c97 FROM w')).toEqual([{ c0: 'a', c97: 'kept!' }]);
      expect(await db.asOf({ lsn: end - 3n }).query('SELECT c97 FROM w')).toHaveLength(1);
      expect(
        (await changesOf(db))
          .map(({ op, table }) => `${op} ${table}`)
          .filter((text) => !text.startsWith('schema')),
      ).toEqual(['insert w', 'update w', 'delete w', 'delete big']);
    });
  });

  it('keys may go too, and no LSN is given twice', async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      await db.exec("CREATE TABLE t(mail TEXT PRIMARY KEY, a); INSERT INTO t VALUES('SECRET', 1)");
      const end = db.lsn();
      const { lsn } = await db.purge('t', { where: "mail = 'SECRET'", keepKeys: false });
      expect(lsn).toBe(end);
      expect(found(sql, 'SECRET')).toEqual([]);
      expect((await db.backend.read(0n, 10)).entries.map(({ op }) => op)).toEqual(['schema']);
      expect((await db.run("INSERT INTO t VALUES('next', 1)")).lsn).toBe(end + 1n);
      expect(await db.asOf({ lsn: end }).query('SELECT * FROM t')).toEqual([]);
      expect((await db.backend.read(end, 10)).entries.map(({ op }) => op)).toEqual(['insert']);
    });
  });

  it('who has not come to the end of a row is told that it is gone, by every key that it has had', async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      await db.exec('CREATE TABLE t(slug TEXT PRIMARY KEY, x); CREATE TABLE big(slug TEXT PRIMARY KEY, x)');
      for (const [table, x] of [
        ['t', 'SECRET'],
        ['big', `SECRET${'x'.repeat(1_500_000)}`],
      ] as const) {
        await db.run(`INSERT INTO ${table} VALUES ('a', ?), ('o', 'other')`, [x]);
        const from = db.lsn();
        await db.run(`UPDATE ${table} SET x = x || '!'`);
        await db.run(`UPDATE ${table} SET slug = 'b' WHERE slug = 'a'`);
        await db.run(`DELETE FROM ${table} WHERE slug = 'b'`);
        await db.run(`INSERT INTO ${table} VALUES ('b', 'next')`);
        await db.purge(table, { where: "x LIKE 'SECRET%'" });
        expect(found(sql, 'SECRET')).toEqual([]);
        const told = (await db.backend.read(from, 100)).entries as readonly Change[];
        expect(
          told.map(({ op, key, before, after }) => [op, key['slug'], before?.['x'], after?.['x']]),
        ).toEqual([
          ['update', 'o', 'other', 'other!'],
          ['delete', 'a', null, undefined],
          ['delete', 'b', null, undefined],
          ['insert', 'b', undefined, 'next'],
        ]);
        expect(await db.history(table, 'b')).toHaveLength(1);
        expect(await db.asOf({ lsn: from }).query(`SELECT slug FROM ${table}`)).toEqual([{ slug: 'o' }]);
      }
    });
  });

  it('what was dropped can be erased', async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 'SECRET'), (2, 'b')");
      const lsn = db.lsn();
      await db.exec('DROP TABLE t');
      expect(await db.purge('t', { where: "a = 'SECRET'" })).toMatchObject({ rows: 0 });
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await db.asOf({ lsn }).query('SELECT * FROM t')).toEqual([{ id: 2, a: 'b' }]);
      await db.exec(
        "CREATE TABLE t(k TEXT PRIMARY KEY, c) WITHOUT ROWID; INSERT INTO t VALUES('x', 'SECRET')",
      );
      await db.purge('t', { where: "c = 'SECRET'" });
      expect(found(sql, 'SECRET')).toEqual([]);
      expect(await db.asOf({ lsn }).query('SELECT * FROM t')).toEqual([{ id: 2, a: 'b' }]);
    });
  });

  it('rows of before a time go by a column, with what they were, whether they are there or not', async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, at TEXT, body); INSERT INTO t VALUES(1, '2026-01-01', 'OLD'), (2, '2026-01-01', 'was'), (3, '2026-03-01', 'new'), (4, '2026-01-01', 'OLD');" +
          "UPDATE t SET at = '2026-03-02', body = 'now' WHERE id = 2; DELETE FROM t WHERE id = 4",
      );
      expect(await db.purge('t', { before: new Date('2026-02-01'), column: 'at' })).toMatchObject({
        rows: 1,
      });
      expect(found(sql, 'OLD')).toEqual([]);
      expect(await db.query('SELECT id FROM t')).toEqual([{ id: 2 }, { id: 3 }]);
      expect(await db.history('t', 2)).toHaveLength(2);
    });
  });

  it("a table's past goes without its rows, and cannot be read any more", async () => {
    await withDatabase(async (db, { storage: { sql } }) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a); CREATE TABLE o(a); INSERT INTO t VALUES(1, 'OLD'), (2, 'kept')",
      );
      const before = db.lsn();
      await db.exec("INSERT INTO o VALUES(1); UPDATE t SET a = 'middle' WHERE id = 1");
      const middle = db.lsn();
      await db.exec("UPDATE t SET a = 'now' WHERE id = 1");
      expect(await db.purge('t', { before: { lsn: middle } })).toMatchObject({
        table: 't',
        rows: 0,
        logEntries: 3,
      });
      expect(found(sql, 'OLD')).toEqual([]);
      expect(await db.query('SELECT a FROM t ORDER BY id')).toEqual([{ a: 'now' }, { a: 'kept' }]);
      expect(await db.asOf({ lsn: middle }).query('SELECT a FROM t ORDER BY id')).toEqual([
        { a: 'middle' },
        { a: 'kept' },
      ]);
      await expect(db.asOf({ lsn: before }).query('SELECT a FROM t')).rejects.toThrow();
      expect(await db.asOf({ lsn: before }).query('SELECT a FROM o')).toEqual([]);
      expect((await failure(db.restore({ lsn: before }))).code).toBe('HISTORY_EXPIRED');
      expect(await db.restore({ lsn: before }, { tables: ['o'] })).toMatchObject({ changes: 1 });
      expect((await failure(db.revert(before))).code).toBe('HISTORY_EXPIRED');
      expect(await db.restore({ lsn: middle }, { tables: ['t'] })).toMatchObject({ changes: 1 });
      await db.purge('t', { before: { lsn: db.lsn() } });
      const end = db.lsn();
      expect((await db.run("INSERT INTO t VALUES(3, 'c')")).lsn).toBe(end + 1n);
      expect(await db.asOf({ lsn: end }).query('SELECT id FROM t')).toHaveLength(2);
    });
  });

  it('refuses what is no condition, no table and no target', async () => {
    await withDatabase(async (db) => {
      await db.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 'a')");
      const code = async (table: string, target: unknown): Promise<string> =>
        (await failure(db.purge(table, target as { where: string }))).code;
      expect(await code('no', { where: 'TRUE' })).toBe('NO_SUCH_TABLE');
      expect(await code('__dosql_log', { where: 'TRUE' })).toBe('NO_SUCH_TABLE');
      for (const target of [
        {},
        undefined,
        { where: '' },
        { where: 'id = ?' },
        { where: 'TRUE', before: 1 },
        { where: 5 },
      ])
        expect([target, await code('t', target)]).toEqual([target, 'BAD_PARAMETER']);
      for (const where of ['TRUE; DELETE FROM t', 'TRUE LIMIT 1', ')', 'TRUE) --'])
        expect(['SYNTAX', 'SQLITE']).toContain(await code('t', { where }));
      expect(await code('t', { where: 'nonesuch = 1' })).toBe('NO_SUCH_COLUMN');
      expect(await code('t', { before: 5, column: 'nonesuch' })).toBe('NO_SUCH_COLUMN');
      expect(await code('t', { where: 'id IN (SELECT lsn FROM __dosql_log)' })).toBe('FORBIDDEN');
      expect(await db.query('SELECT * FROM t')).toHaveLength(1);
    });
  });
});
