import { describe, expect, it } from 'vitest';
import { failure, withDatabase } from './support/database.ts';

describe('a table with a slash in its name', () => {
  it('is itself when its rows are cold, also beside the table that the name would mean on a branch', () =>
    withDatabase(async (db) => {
      for (const [table, note] of [
        ['a/b', 'first'],
        ['b', 'second'],
      ]) {
        await db.exec(`CREATE TABLE "${table}"(id INTEGER PRIMARY KEY, at TEXT, note TEXT)`);
        const rows = "(1, '2026-01-01', :note), (2, '2026-01-02', :note), (3, '2026-01-03', NULL)";
        await db.run(`INSERT INTO "${table}" VALUES ${rows}`, { note });
        await db.tier(table as string, { column: 'at', hotFor: '1d' });
      }
      await db.tierPass();
      expect((await db.tierStatus()).map(({ coldRows }) => coldRows)).toEqual([2, 2]);
      const past = { lsn: db.lsn() };
      expect(await db.query('SELECT id, note FROM "a/b" ORDER BY id')).toEqual([
        { id: 1, note: 'first' },
        { id: 2, note: 'first' },
        { id: 3, note: null },
      ]);
      expect((await db.run(`UPDATE "a/b" SET note = 'changed' WHERE id = 1`)).changes).toBe(1);
      expect(await db.query("SELECT id FROM b WHERE note = 'second' ORDER BY id")).toEqual([
        { id: 1 },
        { id: 2 },
      ]);
      const draft = await db.branch('draft');
      expect((await draft.run('DELETE FROM "a/b" WHERE id = 2')).changes).toBe(1);
      expect(await draft.query('SELECT note FROM "a/b" ORDER BY id')).toEqual([
        { note: 'changed' },
        { note: null },
      ]);
      expect(await db.get('SELECT count(*) AS n FROM "draft/a/b"')).toEqual({ n: 2 });
      expect((await db.run('DELETE FROM "a/b"')).changes).toBe(3);
      expect(await db.get('SELECT count(*) AS n FROM b')).toEqual({ n: 3 });
      expect(await db.asOf(past).get('SELECT note FROM "a/b" WHERE id = 1')).toEqual({ note: 'first' });
    }));

  it('is refused where it would be taken for one of a branch', () =>
    withDatabase(async (db) => {
      await db.exec('CREATE TABLE "f/x"(a); CREATE TABLE t(a)');
      expect((await failure(db.branch('f'))).message).toContain('there is a table "f/x"');
      const draft = await db.branch('g');
      for (const handle of [db, draft])
        for (const sql of [
          'CREATE TABLE "main/x"(a)',
          'CREATE TABLE "g/y"(a)',
          'CREATE VIEW "g/y" AS SELECT 1 AS a',
          'ALTER TABLE t RENAME TO "g/y"',
        ])
          expect((await failure(handle.exec(sql))).code, sql).toBe('FORBIDDEN');
      await db.exec('CREATE TABLE "h/y"(a); CREATE INDEX "g/i" ON t(a)');
      expect(await db.query('SELECT * FROM "h/y"')).toEqual([]);
    }));
});
