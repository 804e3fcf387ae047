import { describe, expect, it } from 'vitest';
import { withDatabase } from './support/database.ts';

const SCHEMA = [
  'CREATE TABLE t(a)',
  "INSERT INTO t(rowid, a) VALUES(3, 'x'), (7, 'y')",
  'CREATE TABLE i(id INTEGER PRIMARY KEY, a)',
  "INSERT INTO i VALUES(3, 'x'), (5, 'z')",
  'CREATE TABLE o(oid TEXT, a)',
  "INSERT INTO o VALUES('mine', 'x')",
];

const QUERIES = [
  'SELECT oid FROM t',
  'SELECT rowid, oid FROM t',
  'SELECT _rowid_, ROWID AS r, t.oid o, oid + 1 FROM t WHERE "oid" > 0',
  'SELECT *, oid FROM t ORDER BY _rowid_ DESC',
  'SELECT t.*, max(1, oid, 2) FROM t',
  'SELECT oid, rowid, * FROM i',
  'SELECT i.oid + 1, _rowid_ FROM i ORDER BY rowid',
  'SELECT oid, rowid, _rowid_ FROM o',
  'SELECT * FROM (SELECT oid, a FROM t)',
  'SELECT * FROM (SELECT oid FROM i)',
  'SELECT x.oid, y._rowid_ FROM t AS x JOIN t AS y ON x.rowid = y.oid',
  'SELECT t.oid, i.oid FROM t, i WHERE t._rowid_ = i.rowid',
  'SELECT a, (SELECT oid FROM i WHERE i.oid = t.rowid) AS other FROM t WHERE oid IN (SELECT oid FROM t)',
  'SELECT oid FROM t UNION ALL SELECT rowid FROM i ORDER BY 1',
  'WITH c AS (SELECT oid AS k FROM t) SELECT k, oid FROM c JOIN i ON i.rowid = k',
];

describe('a rowid by any of its names', () => {
  for (const query of QUERIES)
    it(`is read and called as SQLite does: ${query}`, () =>
      withDatabase(async (db, { storage }) => {
        for (const sql of SCHEMA) await db.exec(sql);
        const expected = storage.sql.exec(query).toArray();
        const point = { lsn: db.lsn() };
        const unwritten = await db.branch('unwritten');
        const written = await db.branch('written');
        for (const line of [written, db])
          for (const table of ['t', 'i', 'o']) {
            await line.run(`UPDATE ${table} SET a = a || '!'`);
            await line.run(`UPDATE ${table} SET a = rtrim(a, '!')`);
          }
        const here = { lsn: db.lsn() };
        await db.run("INSERT INTO t VALUES('later')");
        await db.run('DELETE FROM i WHERE id = 3');
        const past = query.replaceAll(
          /(?<=FROM |JOIN |, )([tio])\b(?! *[.+])/g,
          `$1 FOR SYSTEM_TIME AS OF LSN ${point.lsn}`,
        );
        expect(await db.query(past)).toEqual(expected);
        expect(await db.asOf(point).query(query)).toEqual(expected);
        expect(await unwritten.query(query)).toEqual(expected);
        expect(await written.query(query)).toEqual(expected);
        expect(await written.asOf(here).query(query)).toEqual(expected);
        expect(await written.asOf(point).query(query)).toEqual(expected);
      }));
});
