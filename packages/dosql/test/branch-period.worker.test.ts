import { describe, expect, it } from 'vitest';
import type { Database, SqlParameter } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';
import { rowsOf } from './support/rows-of.ts';

const ALL = 'FOR SYSTEM_TIME ALL';
const VERSIONS = 'id, v, _lsn_from, _lsn_to';

describe('versions on a branch', () => {
  it('are those of its parent up to the fork, and then its own', () =>
    withDatabase(async (db) => {
      const lsns: number[] = [];
      const run = async (line: Database, sql: string): Promise<void> => {
        lsns.push(Number((await line.run(sql)).lsn));
      };
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v)');
      await run(db, 'INSERT INTO t VALUES (1, 1)');
      await run(db, 'UPDATE t SET v = 2');
      const branch = await db.branch('feature');
      await run(db, 'UPDATE t SET v = 99');
      await db.run('INSERT INTO t VALUES (2, 99)');
      const [one, two] = lsns;
      const untouched = [
        [1, 1, one, two],
        [1, 2, two, null],
      ];
      expect(await rowsOf(branch, `SELECT ${VERSIONS} FROM t ${ALL}`)).toEqual(untouched);
      await run(branch, 'UPDATE t SET v = 3');
      const three = lsns.at(-1);
      const inner = await branch.branch('feature/inner');
      await run(branch, 'UPDATE t SET v = 98');
      await run(inner, 'DELETE FROM t');
      const four = lsns.at(-1);
      const expected = [
        [1, 1, one, two],
        [1, 2, two, three],
        [1, 3, three, four],
      ];
      expect(await rowsOf(inner, `SELECT ${VERSIONS} FROM t ${ALL}`)).toEqual(expected);
      expect(await rowsOf(db, `SELECT ${VERSIONS} FROM "feature/inner/t" ${ALL}`)).toEqual(expected);
      expect(await rowsOf(branch, `SELECT ${VERSIONS} FROM "feature/inner/t" ${ALL}`)).toEqual(expected);
      expect(await rowsOf(inner, `SELECT ${VERSIONS} FROM t ${ALL} WHERE id = ?`, [1])).toEqual(expected);
      expect(await rowsOf(inner, `SELECT v FROM "main/t" ${ALL} WHERE id = 1`)).toEqual([[1], [2], [99]]);
      // The versions of one row are those that history gives.
      const history = await inner.history('t', 1);
      expect(
        history.map(({ row, lsnFrom, lsnTo }) => [1, row.v, Number(lsnFrom), lsnTo && Number(lsnTo)]),
      ).toEqual(expected);
      const ends = await rowsOf(inner, `SELECT v, _valid_from, _valid_to FROM t ${ALL}`);
      expect(ends).toEqual(
        history.map(({ row, validFrom, validTo }) => [
          row.v,
          validFrom.toISOString(),
          validTo?.toISOString(),
        ]),
      );
    }));

  it('are of a stretch of time, by LSN or by time, on either side of the fork or across it', async () => {
    const clock = { ms: Date.UTC(2030, 0, 1) };
    const at = (second: number): Date => new Date(Date.UTC(2030, 0, 1, 0, 0, second));
    await withDatabase(
      async (db) => {
        await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v)');
        const lsns = [db.lsn()];
        let branch = db;
        for (const second of [1, 2, 3, 4]) {
          clock.ms = at(second).getTime();
          if (second === 3) branch = await db.branch('b');
          if (second === 3) await db.run('UPDATE t SET v = -1');
          lsns.push((await branch.run('INSERT OR REPLACE INTO t VALUES (1, ?)', [second])).lsn);
        }
        const values = async (period: string, ...params: SqlParameter[]): Promise<unknown> =>
          (await rowsOf(branch, `SELECT v FROM t FOR SYSTEM_TIME ${period}`, params)).flat();
        for (const [a, b, between, from] of [
          [0, 0, [], []],
          [0, 1, [1], []],
          [1, 2, [1, 2], [1]],
          [2, 3, [2, 3], [2]],
          [1, 4, [1, 2, 3, 4], [1, 2, 3]],
          [3, 4, [3, 4], [3]],
          [4, 4, [4], []],
          [3, 2, [], []],
        ] as const) {
          expect(await values('BETWEEN LSN ? AND ?', lsns[a], lsns[b]), `${a} to ${b}`).toEqual(between);
          expect(await values('FROM LSN ? TO ?', lsns[a], lsns[b]), `${a} to ${b}`).toEqual(from);
          expect(await values('BETWEEN ? AND ?', at(a), at(b)), `${a} to ${b}`).toEqual(between);
          expect(await values('FROM TIMESTAMP ? TO ?', at(a), at(b)), `${a} to ${b}`).toEqual(from);
        }
        expect(await values(`BETWEEN datetime(?, '+2 seconds') AND '9999-12-31'`, at(1))).toEqual([3, 4]);
        for (const period of ['BETWEEN LSN 1e9 AND 1e10', "BETWEEN 'soon' AND 1", 'FROM LSN ? TO ?'])
          expect(await failure(values(period, null, 1))).toMatchObject({ code: 'BAD_PARAMETER' });
      },
      { clock: () => clock.ms },
    );
  });

  it('follow a table that the branch has renamed, altered, dropped or made, and that main has since', () =>
    withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, v, gone); CREATE TABLE u(v); CREATE TABLE w(v PRIMARY KEY) WITHOUT ROWID; ' +
          'CREATE TABLE x(v); CREATE VIEW tv AS SELECT * FROM t; INSERT INTO t VALUES (1, 1, 1); INSERT INTO u VALUES (1); ' +
          "INSERT INTO w VALUES ('a'); INSERT INTO x VALUES (1)",
      );
      const branch = await db.branch('b');
      await branch.exec(
        "ALTER TABLE t RENAME TO s; ALTER TABLE s RENAME v TO value; ALTER TABLE s DROP COLUMN gone; ALTER TABLE s ADD COLUMN n DEFAULT 'new'; UPDATE s SET value = 2",
      );
      await branch.exec('CREATE TABLE own(id INTEGER PRIMARY KEY, v); INSERT INTO own VALUES (1, 1)');
      await branch.run('UPDATE own SET v = 2');
      const there = db.lsn();
      await branch.exec('DROP TABLE u');
      const dropped = db.lsn();
      await db.exec("DROP TABLE x; ALTER TABLE u ADD COLUMN other; UPDATE w SET v = 'b'");
      const values = async (sql: string, ...params: SqlParameter[]): Promise<unknown> =>
        (await rowsOf(branch, sql, params)).map((row) => row.join());
      expect(await values(`SELECT id, value, n FROM s ${ALL}`)).toEqual(['1,1,new', '1,2,new']);
      expect(await values(`SELECT v FROM own ${ALL}`)).toEqual(['1', '2']);
      expect(await values(`SELECT v FROM w ${ALL}`)).toEqual(['a']);
      expect(await values(`SELECT rowid, v, _lsn_to FROM x ${ALL}`)).toEqual(['1,1,']);
      expect(await values('SELECT v, _lsn_to FROM u FOR SYSTEM_TIME BETWEEN LSN 0 AND ?', there)).toEqual([
        `1,${dropped}`,
      ]);
      const before = (await db.branches())[0]?.base;
      expect(await values('SELECT v, gone FROM t FOR SYSTEM_TIME BETWEEN LSN 0 AND ?', before)).toEqual([
        '1,1',
      ]);
      for (const name of ['u', 't', 'nothing', 'sqlite_schema', 'dosql_conflicts_t'])
        expect(await failure(branch.query(`SELECT * FROM ${name} ${ALL}`)), name).toMatchObject({
          code: 'NO_SUCH_TABLE',
        });
      expect(await failure(db.query(`SELECT * FROM own ${ALL}`))).toMatchObject({ code: 'NO_SUCH_TABLE' });
      expect(await failure(branch.query(`SELECT * FROM tv ${ALL}`))).toMatchObject({
        code: 'SYNTAX',
        message: expect.stringContaining('"tv" is a view'),
      });
      await branch.exec('CREATE VIEW late AS SELECT 1');
      const period = 'FOR SYSTEM_TIME FROM LSN 0 TO 1';
      expect(await failure(branch.query(`SELECT * FROM late ${period}`))).toMatchObject({ code: 'SYNTAX' });
      expect(await failure(branch.run(`DELETE FROM w ${ALL}`))).toMatchObject({ code: 'READ_ONLY' });
    }));

  it('stand in joins, subqueries, CTEs and what is written, under any name', () =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1)');
      await db.exec('CREATE TABLE nokey(v); INSERT INTO nokey VALUES (7)');
      const branch = await db.branch('b');
      await branch.run('UPDATE t SET v = 2');
      await branch.run('UPDATE nokey SET v = 8');
      await db.run('UPDATE t SET v = 20');
      const flat = async (handle: Database, sql: string): Promise<unknown> =>
        (await rowsOf(handle, sql)).flat();
      for (const [handle, name] of [
        [branch, 't'],
        [db, '"b/t"'],
      ] as const) {
        expect(await flat(handle, `SELECT x.v FROM ${name} ${ALL} AS x WHERE x.id = 1`)).toEqual([1, 2]);
        expect(await flat(handle, `SELECT x.v FROM ${name} AS x ${ALL} INDEXED BY nothing`)).toEqual([1, 2]);
        expect(
          await flat(
            handle,
            `SELECT a.v || b.v FROM ${name} ${ALL} a JOIN ${name} ${ALL} b ON a.id = b.id AND b._lsn_from = a._lsn_to`,
          ),
        ).toEqual(['12']);
        expect(
          await flat(handle, `SELECT m.v || b.v FROM "main/t" ${ALL} m JOIN ${name} b USING (id)`),
        ).toEqual(['12', '202']);
        expect(
          await flat(
            handle,
            `WITH h AS (SELECT * FROM ${name} ${ALL}) SELECT max(v) FROM h WHERE _lsn_to IS NULL`,
          ),
        ).toEqual([2]);
        expect(
          await flat(
            handle,
            `SELECT (SELECT count(*) FROM ${name} ${ALL} h WHERE h.id = n.id) FROM ${name} n`,
          ),
        ).toEqual([2]);
        expect(await flat(handle, `SELECT v FROM ${name} ${ALL} EXCEPT SELECT v FROM ${name}`)).toEqual([1]);
      }
      const names = async (sql: string): Promise<unknown> => Object.keys((await branch.query(sql))[0] ?? {});
      const system = ['_valid_from', '_valid_to', '_lsn_from', '_lsn_to'];
      expect(await names(`SELECT * FROM t ${ALL}`)).toEqual(['id', 'v', ...system]);
      expect(await names(`SELECT *, rowid FROM nokey ${ALL}`)).toEqual(['v', ...system, 'rowid']);
      await branch.exec('CREATE TABLE kept(id, v, a, b, c, d)');
      await branch.run(`INSERT INTO kept SELECT * FROM t ${ALL}`);
      await branch.run(`INSERT INTO "main/t"(v) SELECT v FROM t ${ALL} WHERE _lsn_to IS NULL`);
      expect(await flat(branch, 'SELECT v FROM kept')).toEqual([1, 2]);
      expect(await flat(db, 'SELECT sum(v) FROM t')).toEqual([22]);
      await branch.run(`DELETE FROM t WHERE v = (SELECT max(v) FROM t ${ALL} WHERE id = t.id)`);
      expect(await flat(branch, 'SELECT v FROM t')).toEqual([]);
      // An insert that has not been committed is the present of its own transaction.
      await branch.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (5, 1)');
        await tx.run('UPDATE t SET v = 2 WHERE id = 5');
        expect(await tx.query(`SELECT v FROM t ${ALL} WHERE id = 5`)).toEqual([{ v: 2 }]);
        expect(await tx.query(`SELECT v FROM "main/t" ${ALL} WHERE id = 5`)).toEqual([]);
      });
    }));

  it('begin with the window where they are older', () =>
    withDatabase(async (db, { storage }) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1)');
      await db.run('UPDATE t SET v = 2');
      const trimmed = Number(db.lsn());
      await db.run('UPDATE t SET v = 3');
      const branch = await db.branch('b');
      const { lsn } = await branch.run('UPDATE t SET v = 4');
      // As trimming leaves it, its rows not yet deleted.
      storage.sql.exec("UPDATE __dosql_meta SET value = ? WHERE key = 'trimmed_lsn'", trimmed);
      expect(await rowsOf(branch, `SELECT ${VERSIONS} FROM t ${ALL}`)).toEqual([
        [1, 2, trimmed, trimmed + 1],
        [1, 3, trimmed + 1, Number(lsn)],
        [1, 4, Number(lsn), null],
      ]);
      const early = failure(branch.query('SELECT * FROM t FOR SYSTEM_TIME BETWEEN LSN 0 AND ?', [lsn]));
      expect(await early).toMatchObject({ code: 'HISTORY_EXPIRED' });
    }));

  it('keep their times when a branch goes that shared a transaction', async () => {
    const clock = { ms: Date.UTC(2030, 0, 1) };
    await withDatabase(
      async (db) => {
        await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v)');
        await db.branch('b');
        clock.ms += 1_000;
        await db.transaction(async (tx) => {
          await tx.run('INSERT INTO t VALUES (1, 1)');
          await tx.run('INSERT INTO "b/t" VALUES (1, 1)');
        });
        clock.ms += 1_000;
        await db.run('UPDATE t SET v = 2');
        await db.dropBranch('b');
        expect(await rowsOf(db, `SELECT v, _valid_from, _valid_to FROM t ${ALL}`)).toEqual([
          [1, '2030-01-01T00:00:01.000Z', '2030-01-01T00:00:02.000Z'],
          [2, '2030-01-01T00:00:02.000Z', null],
        ]);
      },
      { clock: () => clock.ms },
    );
  });
});

describe('the schema of the present on a branch', () => {
  it('reads its past with the columns and names of today', () =>
    withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, gone); CREATE VIEW v AS SELECT id, a FROM t; INSERT INTO t VALUES (1, 'x', 1)",
      );
      const early = db.lsn();
      const branch = await db.branch('b');
      await branch.run("UPDATE t SET a = 'X'");
      const late = db.lsn();
      await branch.exec(
        'DROP VIEW v; ALTER TABLE t RENAME a TO b; ALTER TABLE t DROP COLUMN gone; ALTER TABLE t ADD COLUMN n INT DEFAULT 5; ' +
          'ALTER TABLE t RENAME TO u; UPDATE u SET n = 6; CREATE VIEW v AS SELECT b, n FROM u; CREATE TABLE later(v)',
      );
      await db.exec('ALTER TABLE t RENAME a TO mains');
      const schema = 'present';
      for (const [lsn, b] of [
        [early, 'x'],
        [late, 'X'],
      ] as const) {
        const then = branch.asOf({ lsn }, { schema });
        expect(await then.query('SELECT * FROM u')).toEqual([{ id: 1, b, n: 5 }]);
        expect(await then.query('SELECT * FROM u WHERE id = ?', [1])).toEqual([{ id: 1, b, n: 5 }]);
        expect(await then.query('SELECT * FROM v')).toEqual([{ b, n: 5 }]);
        expect(await then.query('SELECT rowid, * FROM later')).toEqual([]);
        expect(await failure(then.query('SELECT * FROM t'))).toMatchObject({ code: 'NO_SUCH_TABLE' });
        const of = `SELECT b, n FROM u FOR SYSTEM_TIME BETWEEN LSN ? AND ?`;
        expect(await branch.query(of, [lsn, lsn], { schema })).toEqual([{ b, n: 5 }]);
        expect(await failure(branch.query(of, [lsn, lsn]))).toMatchObject({ code: 'NO_SUCH_TABLE' });
        const since = 'SELECT v, _lsn_to FROM later FOR SYSTEM_TIME BETWEEN LSN 0 AND ?';
        expect(await branch.query(since, [lsn], { schema })).toEqual([]);
        // By default the schema is that of then.
        const gone = await branch.asOf({ lsn }).query('SELECT * FROM t');
        expect(gone).toEqual([{ id: 1, a: b, gone: 1 }]);
      }
      await db.exec('CREATE TABLE other(v)');
      const none = 'SELECT rowid, v, _lsn_to FROM other FOR SYSTEM_TIME BETWEEN LSN 0 AND ?';
      expect(await db.query(none, [early], { schema })).toEqual([]);
    }));
});
