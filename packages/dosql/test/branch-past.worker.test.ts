import { describe, expect, it } from 'vitest';
import { createCDC, type Change, type Database, type Migration } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

const rows = (db: { query(sql: string): Promise<unknown[]> }, from: string): Promise<unknown[]> =>
  db.query(`SELECT id, v FROM ${from} ORDER BY id`);

describe('one row of a branch', () => {
  it('has the versions of its parent up to the fork, and then its own', () =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v)');
      await db.run('INSERT INTO t VALUES (1, 1)');
      await db.run('UPDATE t SET v = 2');
      const a = await db.branch('a');
      await db.run('UPDATE t SET v = 99');
      expect((await a.history('t', 1)).map(({ row, lsnTo }) => [row['v'], lsnTo === null])).toEqual([
        [1, false],
        [2, true],
      ]);
      const { lsn } = await a.run('UPDATE t SET v = 3');
      const inner = await a.branch('a/inner');
      await a.run('UPDATE t SET v = 98');
      await inner.run('DELETE FROM t');
      await inner.run('INSERT INTO t VALUES (1, 4)');
      const values = async (handle: Database): Promise<unknown[]> =>
        (await handle.history('t', 1)).map(({ row, op }) => [row['v'], op]);
      expect(await values(db)).toEqual([
        [1, 'insert'],
        [2, 'update'],
        [99, 'update'],
      ]);
      expect(await values(a)).toEqual([
        [1, 'insert'],
        [2, 'update'],
        [3, 'update'],
        [98, 'update'],
      ]);
      expect(await values(inner)).toEqual([
        [1, 'insert'],
        [2, 'update'],
        [3, 'update'],
        [4, 'insert'],
      ]);
      const [, , third, last] = await inner.history('t', 1);
      expect(third).toMatchObject({ lsnFrom: lsn, tx: lsn });
      expect(last?.validTo).toBeNull();
      // Each version is what the branch reads as of its LSN.
      for (const handle of [a, inner])
        for (const { row, lsnFrom } of await handle.history('t', 1))
          expect(await handle.asOf({ lsn: lsnFrom }).get('SELECT * FROM t')).toEqual(row);
    }));

  it('is blamed on the change of whichever line made it so, columns on the one that added them', () =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(a TEXT, b INT, v, w, PRIMARY KEY(a, b)) WITHOUT ROWID');
      const first = (await db.run("INSERT INTO t VALUES ('é', 1, 1, 1)")).lsn;
      const branch = await db.branch('b');
      const key = { a: 'é', b: 1 };
      const lsns = async (handle: Database): Promise<unknown> =>
        Object.fromEntries((await handle.blame('t', key)).map(({ column, op, tx }) => [column, [op, tx]]));
      expect(await lsns(branch)).toEqual(await lsns(db));
      await db.run('UPDATE t SET v = 2, w = 2');
      await db.exec("ALTER TABLE t ADD COLUMN x DEFAULT 'main'");
      const second = (await branch.run('UPDATE t SET w = 3')).lsn;
      await branch.exec("ALTER TABLE t ADD COLUMN y DEFAULT 'branch'");
      const third = branch.lsn();
      expect(await lsns(branch)).toEqual({
        a: ['insert', first],
        b: ['insert', first],
        v: ['insert', first],
        w: ['update', second],
        y: ['schema', third],
      });
      expect(Object.keys((await lsns(db)) as object)).toEqual(['a', 'b', 'v', 'w', 'x']);
      expect(await branch.blame('t', { a: 'é', b: 2 })).toEqual([]);
      expect(await failure(branch.blame('nothing', 1))).toMatchObject({ code: 'NO_SUCH_TABLE' });
    }));

  it('is found where the branch has renamed, dropped or made the table', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE u(v TEXT); INSERT INTO u VALUES (1)',
      );
      await db.run('INSERT INTO t VALUES (9007199254740993, 1)');
      const branch = await db.branch('b');
      await branch.exec(
        'ALTER TABLE t RENAME TO "it\'s"; DROP TABLE u; CREATE TABLE own(id INTEGER PRIMARY KEY, __proto__)',
      );
      await branch.run('UPDATE "it\'s" SET v = 2');
      await branch.run('INSERT INTO own VALUES (1, 1)');
      expect((await branch.history("it's", 9_007_199_254_740_993n)).map(({ row }) => row)).toEqual([
        { id: 9_007_199_254_740_993n, v: 1 },
        { id: 9_007_199_254_740_993n, v: 2 },
      ]);
      expect(await branch.history('u', 1)).toMatchObject([{ row: { v: '1' }, lsnTo: expect.any(BigInt) }]);
      const [own] = await branch.history('own', 1);
      expect(Object.entries(own?.row ?? {})).toEqual([
        ['id', 1],
        ['__proto__', 1],
      ]);
      expect(await failure(db.history('own', 1))).toMatchObject({ code: 'NO_SUCH_TABLE' });
      expect(await db.history('u', 1)).toMatchObject([{ row: { v: '1' }, lsnTo: null }]);
      await db.exec('DROP TABLE u');
      const other = await db.branch('c', { from: { lsn: (await db.branches())[0]?.base as bigint } });
      expect(await other.history('u', 1)).toMatchObject([{ row: { v: '1' }, lsnTo: null }]);
    }));
});

describe('a branch as of a point', () => {
  it('is its parent before the fork, and itself after it, whatever main has done since', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE VIEW tv AS SELECT id, v * 10 AS v FROM t',
      );
      const states: [lsn: bigint, rows: unknown[]][] = [];
      const note = async (handle: Database): Promise<void> => {
        states.push([db.lsn(), await rows(handle, 't')]);
      };
      await db.run('INSERT INTO t VALUES (1, 1), (2, 2)');
      await note(db);
      await db.run('UPDATE t SET v = 3 WHERE id = 1');
      await note(db);
      const branch = await db.branch('b');
      await note(branch);
      await db.run('UPDATE t SET v = -1');
      await note(branch);
      await db.run('INSERT INTO t VALUES (3, -1)');
      await branch.run('UPDATE t SET v = 4 WHERE id = 2');
      await note(branch);
      await db.run('DELETE FROM t WHERE id = 2');
      await db.exec('ALTER TABLE t ADD COLUMN later');
      await branch.run('INSERT INTO t(v) VALUES (5)');
      await note(branch);
      await branch.exec('ALTER TABLE t RENAME COLUMN v TO value; ALTER TABLE t ADD COLUMN v DEFAULT 7');
      await note(branch);
      await branch.exec('DROP VIEW tv; DROP TABLE t');
      await db.exec('DROP TABLE t');
      for (const [lsn, expected] of states) {
        const at = branch.asOf({ lsn });
        expect(await rows(at, 't'), `LSN ${lsn}`).toEqual(expected);
        expect(await rows(branch, `t FOR SYSTEM_TIME AS OF LSN ${lsn}`)).toEqual(expected);
        expect(await rows(db, `"b/t" FOR SYSTEM_TIME AS OF LSN ${lsn}`)).toEqual(expected);
        for (const id of [1, 2, 3])
          expect(await at.get('SELECT id, v FROM t WHERE id = ?', [id])).toEqual(
            (expected as { id: number }[]).find((row) => row.id === id) ?? null,
          );
        const tens = (expected as { id: number; v: number }[]).map(({ id, v }) => ({ id, v: v * 10 }));
        if (lsn !== states.at(-1)?.[0]) expect(await rows(at, 'tv')).toEqual(tens);
      }
      expect(await failure(branch.query('SELECT * FROM t'))).toMatchObject({ code: 'NO_SUCH_TABLE' });
      // Another branch of any of these states has it, and may go on from it.
      for (const [i, [lsn, expected]] of states.entries()) {
        const again = await branch.branch(`again/${i}`, { from: { lsn } });
        expect(await rows(again, 't'), `branch of LSN ${lsn}`).toEqual(expected);
        await again.run('UPDATE t SET v = 0 WHERE id = 1');
        await again.run('DELETE FROM t WHERE id <> 1');
        expect(await rows(again, 't')).toEqual([{ id: 1, v: 0 }]);
        expect(await rows(again.asOf({ lsn }), 't')).toEqual(expected);
      }
    }));

  it('has the tables and columns of then, on a branch of an earlier state of a branch too', () =>
    withDatabase(async (db) => {
      const a = await db.branch('a');
      await a.exec('CREATE TABLE own(v); INSERT INTO own VALUES (1)');
      const lsn = db.lsn();
      await a.exec('ALTER TABLE own RENAME COLUMN v TO w; UPDATE own SET w = 2');
      const b = await a.branch('b', { from: { lsn } });
      await b.run('UPDATE own SET v = 3');
      expect(await b.asOf({ lsn }).query('SELECT * FROM own')).toEqual([{ v: 1 }]);
      const point = 'FOR SYSTEM_TIME AS OF LSN ?';
      expect(await a.query(`SELECT *, rowid FROM own ${point}`, [lsn])).toEqual([{ v: 1, rowid: 1 }]);
      // What a statement changes is not taken for the past.
      await a.run('INSERT INTO own VALUES (2)');
      const end = db.lsn();
      await a.run(`UPDATE own SET w = w + (SELECT sum(w) FROM own ${point})`, [end]);
      expect(await a.query('SELECT w FROM own')).toEqual([{ w: 6 }, { w: 6 }]);
      expect(await failure(a.run(`UPDATE own ${point} SET w = 0`, [lsn]))).toMatchObject({
        code: 'READ_ONLY',
      });
    }));

  it('undoes what triggers did to the row that fired them', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TRIGGER made AFTER INSERT ON t BEGIN UPDATE t SET v = 0 WHERE id = NEW.id; END',
      );
      const branch = await db.branch('b');
      const lsn = db.lsn();
      await branch.run('INSERT INTO t VALUES (1, 1)');
      expect(await branch.asOf({ lsn }).query('SELECT * FROM t')).toEqual([]);
      await branch.exec('ALTER TABLE t ADD COLUMN w');
      await branch.run('INSERT INTO t VALUES (2, 2, 2)');
      expect(await branch.asOf({ lsn }).query('SELECT * FROM t')).toEqual([]);
      const { entries } = await branch.backend.read(lsn, 100);
      expect(entries.map(({ op }) => op)).toEqual(['insert', 'update', 'schema', 'insert', 'update']);
    }));
});

describe('the changes of a branch', () => {
  it('are a stream of its own: whole transactions, its schema, nothing of main’s and no copies', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY, v); CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE CASCADE); ' +
          'INSERT INTO p VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1, 1), (2, 1), (3, 2)',
      );
      const start = db.lsn();
      const branch = await db.branch('b');
      await db.run('UPDATE p SET v = 10');
      await branch.transaction(async (tx) => {
        await tx.run('UPDATE p SET v = v + 1');
        await tx.run('DELETE FROM p WHERE id = 1');
      });
      await db.run('UPDATE p SET v = 20');
      await branch.exec('ALTER TABLE p ADD COLUMN w; CREATE TABLE own(id INTEGER PRIMARY KEY)');
      await branch.run('INSERT INTO own VALUES (1)');
      await db.transaction(async (tx) => {
        await tx.run('INSERT INTO p VALUES (3, 3)');
        await tx.run('INSERT INTO "b/p" VALUES (3, 33, 0)');
      });
      const inner = await branch.branch('b/inner');
      await inner.run('DELETE FROM own');
      const read = async (handle: Database, after: bigint): Promise<string[][]> => {
        const { entries } = await handle.backend.read(after, 1_000);
        const byTx = new Map<bigint, string[]>();
        for (const entry of entries)
          byTx.set(entry.tx, [
            ...(byTx.get(entry.tx) ?? []),
            entry.op === 'schema'
              ? `schema ${entry.table}`
              : `${entry.op} ${entry.table} ${JSON.stringify(entry.after ?? entry.key)}`,
          ]);
        return [...byTx.values()];
      };
      const own = [
        [
          'update p {"id":1,"v":2}',
          'update p {"id":2,"v":3}',
          'delete c {"id":1}',
          'delete c {"id":2}',
          'delete p {"id":1}',
        ],
        ['schema p', 'schema own'],
        ['insert own {"id":1}'],
        ['insert p {"id":3,"v":33,"w":0}'],
      ];
      const sorted = (all: string[][]): string[][] => all.map((changes) => changes.toSorted());
      expect(sorted(await read(branch, start))).toEqual(sorted(own));
      expect(await read(db, start)).toEqual([
        ['update p {"id":1,"v":10}', 'update p {"id":2,"v":10}'],
        ['update p {"id":1,"v":20}', 'update p {"id":2,"v":20}'],
        ['insert p {"id":3,"v":3}'],
      ]);
      expect(await read(inner, start)).toEqual([['delete own {"id":1}']]);
      // From any LSN on, a stream goes on with what comes after it.
      const { entries } = await branch.backend.read(start, 1_000);
      for (const { tx } of entries) {
        const { entries: rest } = await branch.backend.read(tx, 1_000);
        expect(rest).toEqual(entries.filter((entry) => entry.tx > tx));
      }
      const stream = createCDC(branch).subscribe(start)[Symbol.asyncIterator]();
      const { value } = (await stream.next()) as { value: Change };
      expect(value).toMatchObject({ table: 'p', op: 'update' });
      await stream.return?.(undefined);
    }));
});

const first: Migration = {
  name: '001_t',
  sql: 'CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t(v) VALUES (1)',
};
const second: Migration = {
  name: '002_w',
  sql: 'ALTER TABLE t ADD COLUMN w DEFAULT 5; UPDATE t SET v = v + 1',
};
const third: Migration = {
  name: '003_u',
  sql: 'CREATE TABLE u(id INTEGER PRIMARY KEY); INSERT INTO u DEFAULT VALUES',
};
const names = async (db: Database): Promise<string[]> => (await db.migrations()).map(({ name }) => name);

describe('migrations on a branch', () => {
  it('are its own until it is merged, and are not applied again then', () =>
    withDatabase(
      async (db) => {
        const branch = await db.branch('next');
        expect(await names(branch)).toEqual(['001_t']);
        expect((await branch.migrate([third, first, second])).map(({ name }) => name)).toEqual([
          '002_w',
          '003_u',
        ]);
        expect(await branch.migrate([first, second, third])).toEqual([]);
        expect(await names(branch)).toEqual(['001_t', '002_w', '003_u']);
        expect(await names(db)).toEqual(['001_t']);
        expect(await db.query('SELECT * FROM t')).toEqual([{ id: 1, v: 1 }]);
        const inner = await branch.branch('next/inner');
        expect(await names(inner)).toEqual(['001_t', '002_w', '003_u']);
        const past = await branch.branch('past', { from: { lsn: (await db.branches())[0]?.base as bigint } });
        expect(await names(past)).toEqual(['001_t']);
        expect(await db.merge('next')).toMatchObject({ merged: true });
        expect(await db.query('SELECT * FROM t')).toEqual([{ id: 1, v: 2, w: 5 }]);
        expect(await names(db)).toEqual(['001_t', '002_w', '003_u']);
        expect(await db.migrate([first, second, third])).toEqual([]);
        expect(await names(past)).toEqual(['001_t']);
        expect(await past.merge('main')).toMatchObject({ merged: true });
        expect(await names(past)).toEqual(['001_t', '002_w', '003_u']);
        for (const name of ['next/inner', 'past', 'next']) await db.dropBranch(name);
        expect(await names(db)).toEqual(['001_t', '002_w', '003_u']);
        expect(await names(await db.branch('next'))).toEqual(['001_t', '002_w', '003_u']);
      },
      { migrations: [first] },
    ));

  it('stay apart where main has gone on, and fail without a trace', () =>
    withDatabase(
      async (db) => {
        const branch = await db.branch('b');
        await db.migrate([first, second]);
        expect(await names(branch)).toEqual(['001_t']);
        const bad = { name: '002_x', sql: 'UPDATE t SET v = 100; INSERT INTO nothing VALUES (1)' };
        expect(await failure(branch.migrate([first, bad]))).toMatchObject({ code: 'MIGRATION_FAILED' });
        expect(await names(branch)).toEqual(['001_t']);
        expect(await branch.query('SELECT * FROM t')).toEqual([{ id: 1, v: 1 }]);
        expect(await failure(branch.migrate([{ ...first, sql: 'SELECT 1' }]))).toMatchObject({
          code: 'MIGRATION_CHANGED',
        });
        expect(await failure(branch.migrate([third]))).toMatchObject({ code: 'MIGRATION_MISSING' });
        await branch.migrate([first, second]);
        expect(await branch.query('SELECT * FROM t')).toEqual([{ id: 1, v: 2, w: 5 }]);
        expect(
          await failure(branch.migrate([first, { name: '001_s', sql: 'SELECT 1' }, second])),
        ).toMatchObject({
          code: 'MIGRATION_MISSING',
        });
        expect(await db.merge('b')).toMatchObject({ merged: true });
        expect(await names(db)).toEqual(['001_t', '002_w']);
        expect(await db.query('SELECT * FROM t')).toEqual([{ id: 1, v: 2, w: 5 }]);
      },
      { migrations: [first] },
    ));

  it('need none on main', () =>
    withDatabase(async (db) => {
      expect(await db.migrations()).toEqual([]);
      const branch = await db.branch('b');
      expect(await branch.migrations()).toEqual([]);
      await branch.migrate(() => [first]);
      expect(await names(branch)).toEqual(['001_t']);
      expect(await names(db)).toEqual([]);
      await db.merge('b');
      expect(await names(db)).toEqual(['001_t']);
    }));
});
