import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { DB, type Database, type DatabaseOptions } from '../src/index.ts';
import { failure, newObject, withDatabase } from './support/database.ts';

/** Far enough ahead for no alarm to go off by itself while a test runs. */
const FUTURE = Date.UTC(2100, 0);
const HOUR = 3_600_000;

interface Clocked {
  readonly db: Database;
  readonly storage: DurableObjectStorage;
  readonly pass: (ms: number) => void;
  /** Runs alarms until the next one is not at once. */
  readonly trim: () => Promise<void>;
}

function clocked(
  history: DatabaseOptions['history'],
  use: (clocked: Clocked) => Promise<void>,
  stub = newObject(),
  begin = FUTURE,
): Promise<void> {
  return runInDurableObject(stub, async (_, { storage }) => {
    let now = begin;
    const db = await DB('test', { storage, clock: () => now, ...(history === undefined ? {} : { history }) });
    const trim = async (): Promise<void> => {
      do {
        now = Math.max(now, (await storage.getAlarm()) ?? now);
        await storage.deleteAlarm();
        expect((await db.alarm()).failed).toEqual([]);
      } while ((await storage.getAlarm()) === now);
    };
    await use({ db, storage, pass: (ms) => void (now += ms), trim });
  });
}

const SCHEMA = 'CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(id INTEGER PRIMARY KEY, v);';
const sums = 'SELECT (SELECT sum(v) FROM t) AS t, (SELECT sum(v) FROM u) AS u';

describe('the log that a branch needs', () => {
  it('stays while there is the branch, and goes when it is dropped', () =>
    clocked({ keep: '1h' }, async ({ db, pass, trim }) => {
      await db.exec(`${SCHEMA} INSERT INTO t VALUES (1, 10); INSERT INTO u VALUES (1, 1)`);
      pass(3 * HOUR);
      await db.run('UPDATE t SET v = 20');
      const fork = db.lsn();
      const branch = await db.branch('b');
      for (let i = 0; i < 20; i++) {
        pass(HOUR);
        await db.run('UPDATE t SET v = v + 1');
        await db.run('UPDATE u SET v = v + 1');
        await trim();
        expect((await db.earliest()).lsn <= fork).toBe(true);
      }
      expect((await db.earliest()).lsn).toBe(fork);
      expect(await branch.get(sums)).toEqual({ t: 20, u: 1 });
      expect(await branch.asOf({ lsn: fork }).get(sums)).toEqual({ t: 20, u: 1 });
      expect(await failure(db.asOf({ lsn: fork - 1n }).get(sums))).toMatchObject({ code: 'HISTORY_EXPIRED' });
      expect(await failure(branch.asOf({ lsn: fork - 1n }).get(sums))).toMatchObject({
        code: 'HISTORY_EXPIRED',
      });
      const before = { from: { lsn: fork - 1n } };
      expect(await failure(db.branch('c', before))).toMatchObject({ code: 'HISTORY_EXPIRED' });
      const [info] = await db.branches();
      expect(info).toMatchObject({ name: 'b', base: fork, heldChanges: 40, changes: 0 });
      await branch.run('UPDATE t SET v = v * 3');
      expect(await db.merge('b')).toMatchObject({ merged: false, conflicts: [{ table: 't' }] });
      expect(await db.merge('b', { strategy: 'theirs' })).toMatchObject({ merged: true, updated: 1 });
      expect(await db.get(sums)).toEqual({ t: 60, u: 21 });
      await db.dropBranch('b');
      pass(2 * HOUR);
      await db.run('UPDATE t SET v = 0');
      pass(2 * HOUR);
      await trim();
      expect((await db.earliest()).lsn > fork).toBe(true);
    }));

  it('is that of the oldest branch, also where it is one of a branch', () =>
    clocked({ keep: '1h' }, async ({ db, pass, trim }) => {
      await db.exec(`${SCHEMA} INSERT INTO t VALUES (1, 1); INSERT INTO u VALUES (1, 1)`);
      const first = db.lsn();
      const a = await db.branch('a');
      await db.run('UPDATE u SET v = 100');
      pass(HOUR);
      await a.run('UPDATE t SET v = 2');
      const inner = await a.branch('a/inner');
      pass(HOUR);
      await db.run('UPDATE t SET v = 100');
      const late = await db.branch('late');
      pass(9 * HOUR);
      await db.run('UPDATE t SET v = 101, id = 2');
      await trim();
      expect((await db.earliest()).lsn).toBe(first);
      expect(await a.get(sums)).toEqual({ t: 2, u: 1 });
      expect(await inner.get(sums)).toEqual({ t: 2, u: 1 });
      expect(await late.get(sums)).toEqual({ t: 100, u: 100 });
      await db.dropBranch('a/inner');
      await db.dropBranch('a');
      pass(9 * HOUR);
      await db.run('UPDATE t SET v = 102');
      await trim();
      const [{ base } = { base: 0n }] = await db.branches();
      expect((await db.earliest()).lsn).toBe(base);
      expect(await late.get(sums)).toEqual({ t: 100, u: 100 });
    }));

  it('is not lost to a limit of bytes either, nor when the object comes back', async () => {
    const stub = newObject();
    const size = { maxBytes: 100_000 };
    await clocked(
      size,
      async ({ db }) => {
        await db.exec(SCHEMA);
        await db.run('INSERT INTO t VALUES (1, 1)');
        await db.branch('b');
      },
      stub,
    );
    await evictDurableObject(stub);
    await clocked(
      size,
      async ({ db, trim }) => {
        for (let i = 0; i < 30; i++)
          await db.run(
            'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO u(v) SELECT hex(zeroblob(50)) FROM n',
          );
        await db.run('UPDATE t SET v = 2');
        await trim();
        const [info] = await db.branches();
        expect((await db.earliest()).lsn).toBe(info?.base);
        const branch = await db.checkout('b');
        expect(await branch.get(sums)).toEqual({ t: 1, u: null });
        await db.dropBranch('b');
        await trim();
        expect((await db.earliest()).lsn).toBeGreaterThan(1_000n);
      },
      stub,
      FUTURE + HOUR,
    );
  });

  it('keeps a table that main has dropped, and one that it has dropped columns of', () =>
    clocked({ keep: '1h' }, async ({ db, pass, trim }) => {
      await db.exec(
        `${SCHEMA} INSERT INTO t VALUES (1, 1); INSERT INTO u VALUES (1, 1); CREATE VIEW both AS SELECT t.v + u.v AS v FROM t, u`,
      );
      const branch = await db.branch('b');
      pass(HOUR);
      await db.exec('DROP VIEW both; DROP TABLE t; ALTER TABLE u DROP COLUMN v; ALTER TABLE u RENAME TO x');
      pass(9 * HOUR);
      await db.exec('INSERT INTO x VALUES (5)');
      await trim();
      expect(await branch.get('SELECT v FROM both')).toEqual({ v: 2 });
      await branch.run('UPDATE t SET v = 7');
      expect(await branch.get('SELECT v FROM both')).toEqual({ v: 8 });
    }));
});

it('the window begins at the time of its last change, also where a purge has left a gap', () =>
  clocked({ keep: '1h' }, async ({ db, pass, trim }) => {
    await db.exec(SCHEMA);
    await db.run('INSERT INTO t VALUES (1, 1)');
    pass(HOUR);
    const at = FUTURE + HOUR;
    await db.run('INSERT INTO u VALUES (1, 1)');
    pass(HOUR);
    await db.run('INSERT INTO t VALUES (2, 1)');
    pass(HOUR / 2);
    await db.run('INSERT INTO u VALUES (2, 1)');
    const { lsn } = await db.run('INSERT INTO u VALUES (3, 1)');
    await db.purge('t', { where: 'id = 2', keepKeys: false });
    pass(5 * HOUR);
    await db.run('INSERT INTO u VALUES (4, 1)');
    pass(HOUR - 1);
    await trim();
    const earliest = await db.earliest();
    expect(earliest.lsn).toBeGreaterThanOrEqual(lsn);
    expect(+earliest.timestamp).toBeGreaterThan(at);
    expect(await db.asOf(earliest.timestamp).query('SELECT id FROM u')).toHaveLength(3);
  }));

describe('dropping a branch', () => {
  it('leaves nothing of it, and gives its space back', () =>
    withDatabase(async (db, { storage }) => {
      const objects = (): unknown[] =>
        storage.sql.exec('SELECT type, name FROM sqlite_schema ORDER BY 1, 2').toArray();
      await db.exec(`CREATE TABLE p(id INTEGER PRIMARY KEY, v);
        CREATE TABLE c(id INTEGER PRIMARY KEY AUTOINCREMENT, p REFERENCES p(id), v UNIQUE);
        CREATE INDEX cv ON c(v, p);
        CREATE TRIGGER ct AFTER INSERT ON c BEGIN UPDATE p SET v = v + 1 WHERE id = NEW.p; END;
        CREATE VIEW pc AS SELECT * FROM p JOIN c ON c.p = p.id;
        INSERT INTO p VALUES (1, 0)`);
      const fill =
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) INSERT INTO c(p, v) SELECT 1, i || hex(zeroblob(50)) FROM n';
      // DoSQL's own tables for branches are made with the first one.
      await db.branch('first');
      await db.dropBranch('first');
      const before = objects();
      const sizes: number[] = [];
      let full = 0;
      for (let i = 0; i < 4; i++) {
        const name = `it's a "b" ${i}`;
        const branch = await db.branch(name);
        await branch.run(fill);
        await branch.exec(
          'CREATE TABLE own(id INTEGER PRIMARY KEY, c REFERENCES c(id)); CREATE VIEW v AS SELECT * FROM own; CREATE INDEX ci ON c(p)',
        );
        await branch.exec(
          'ALTER TABLE p ADD COLUMN w; DROP INDEX cv; DROP TRIGGER ct; INSERT INTO own VALUES (1, 1)',
        );
        await branch.get('SELECT * FROM c FOR SYSTEM_TIME AS OF LSN 8 WHERE id = 1');
        full = db.size;
        await db.dropBranch(name);
        expect(objects()).toEqual(before);
        const rows =
          'SELECT count(*) AS n FROM __dosql_log JOIN __dosql_relation AS r ON r.id = rel WHERE branch > 0';
        expect(storage.sql.exec(rows).one()).toEqual({ n: 0 });
        sizes.push(db.size);
      }
      // How its tables were stays recorded until the window moves on.
      expect(sizes[3]).toBeLessThan((sizes[0] as number) + 20_000);
      expect(sizes[3]).toBeLessThan(full / 4);
      expect(await db.query('SELECT count(*) AS n FROM c')).toEqual([{ n: 0 }]);
      expect(
        storage.sql
          .exec("SELECT name FROM sqlite_sequence WHERE name LIKE '\\_\\_dosql%' ESCAPE '\\'")
          .toArray(),
      ).toEqual([]);
      // The next row of main gets the id that it would have got.
      expect((await db.run("INSERT INTO c(p, v) VALUES (1, 'x')")).lastRowId).toBe(1);
    }));

  it('forgets where its changes were in the log', () =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 0), (2, 0)');
      const branch = await db.branch('b');
      const fork = db.lsn();
      for (let i = 0; i < 20; i++) {
        await db.run('UPDATE t SET v = ? WHERE id = 1', [i]);
        await branch.run('UPDATE t SET v = ? WHERE id = 1', [-i]);
        // Looked up so often that an index of the log is made.
        for (const handle of [db, branch])
          for (let n = 0; n < 10; n++)
            await handle.get(`SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ${fork} WHERE id = 1`);
      }
      const end = db.lsn();
      await db.dropBranch('b');
      const again = await db.branch('b');
      expect(await again.get('SELECT v FROM t WHERE id = 1')).toEqual({ v: 19 });
      await again.run('UPDATE t SET v = 5 WHERE id = 1');
      for (let n = 0; n < 50; n++) {
        expect(await db.get(`SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ${end} WHERE id = 1`)).toEqual({
          v: 19,
        });
        expect(await again.get(`SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ${end} WHERE id = 1`)).toEqual({
          v: 19,
        });
      }
      expect(await db.history('t', 1)).toHaveLength(21);
    }));

  it('is not forgotten by merges: one made later is not taken for it', () =>
    clocked({ keep: '1h' }, async ({ db, pass, trim }) => {
      await db.exec(SCHEMA);
      await db.run('INSERT INTO t VALUES (1, 1)');
      const branch = await db.branch('b');
      await branch.run('UPDATE t SET v = 2');
      expect(await db.merge('b')).toMatchObject({ merged: true, updated: 1 });
      await db.dropBranch('b');
      for (let i = 0; i < 5; i++) {
        pass(2 * HOUR);
        await db.run('INSERT INTO u(v) VALUES (?)', [i]);
        await trim();
      }
      await db.run('UPDATE t SET v = 3');
      const again = await db.branch('b');
      await again.run('UPDATE t SET v = v + 1; ');
      await db.run('UPDATE t SET id = id');
      expect(await branch.query('SELECT 1 FROM t').catch((error: Error) => error.message)).toMatch(
        /NO_SUCH_BRANCH/,
      );
      expect(await db.diff('main', 'b')).toMatchObject([{ table: 't' }]);
      expect(await db.merge('b')).toMatchObject({ merged: true, updated: 1, inserted: 0, deleted: 0 });
      expect(await db.get('SELECT v FROM t')).toEqual({ v: 4 });
    }));

  it('is done with by all its handles; one made anew by that name is another', () =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 0)');
      const old = await db.branch('b');
      await old.run('UPDATE t SET v = 1');
      const statement = old.prepare('SELECT v FROM t');
      expect(await statement.first()).toEqual({ v: 1 });
      await db.dropBranch('b');
      const again = await db.branch('b');
      const calls: (() => Promise<unknown>)[] = [
        () => old.query('SELECT v FROM t'),
        () => statement.first(),
        () => old.run('UPDATE t SET v = 2'),
        () => old.exec('CREATE TABLE x(y)'),
        () => old.asOf({ lsn: db.lsn() }).query('SELECT v FROM t'),
        () => old.branch('c'),
        () => old.query('PRAGMA table_info(t)'),
        () => old.transaction((tx) => tx.run('DELETE FROM t')),
        () => old.merge('b'),
        () => old.iterate('SELECT v FROM t').next(),
      ];
      for (const call of calls)
        expect(await failure(call()), String(call)).toMatchObject({ code: 'NO_SUCH_BRANCH' });
      expect(await again.get('SELECT v FROM t')).toEqual({ v: 0 });
      expect(await db.get('SELECT v FROM t')).toEqual({ v: 0 });
      expect(await failure(db.query('SELECT * FROM "gone/t"'))).toMatchObject({ code: 'NO_SUCH_TABLE' });
      expect(await failure(db.dropBranch('gone'))).toMatchObject({ code: 'NO_SUCH_BRANCH' });
      expect(await failure(db.dropBranch('main'))).toMatchObject({ code: 'BAD_PARAMETER' });
      expect(await failure(db.checkout('gone'))).toMatchObject({ code: 'NO_SUCH_BRANCH' });
      expect(await failure(db.branch('b'))).toMatchObject({ code: 'BRANCH_EXISTS' });
    }));
});
