import { env } from 'cloudflare:workers';
import { describe, expect, inject, it } from 'vitest';
import { failure, withDatabase } from '../support/database.ts';
import { expectSnippetsIn } from '../support/snippets.ts';
import { ask, quoteName, sealed, tenantOf } from './security.ts';

describe('the guide to security', () => {
  it('shows only code that this test runs', () => {
    expectSnippetsIn(inject('docCode')['security'] ?? '', [inject('docs')['security'] ?? '']);
  });

  it('a handle on the past takes no write from SQL of others', async () => {
    await withDatabase(async (db, { storage }) => {
      await db.exec(
        'CREATE TABLE people(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO people VALUES (1, 1)',
      );
      const schema = "SELECT * FROM sqlite_schema WHERE name NOT GLOB '__dosql*'";
      const before = [db.lsn(), storage.sql.exec(schema).toArray()];
      for (const sql of [
        'DELETE FROM people',
        'WITH x AS (SELECT 1) INSERT INTO people SELECT 2, 2',
        "INSERT INTO people VALUES (3, 'x') RETURNING *",
        'SELECT 1; DELETE FROM people',
        '/* SELECT */ REPLACE INTO people VALUES (1, 2)',
        'CREATE TABLE x(y)',
        'DROP TABLE people',
        'ALTER TABLE people RENAME TO x',
        'CREATE TRIGGER t AFTER INSERT ON people BEGIN SELECT 1; END',
        'PRAGMA foreign_keys = OFF',
        'PRAGMA case_sensitive_like = ON',
        'REINDEX',
        'ANALYZE',
        'VACUUM',
        'INSERT INTO "b/people" VALUES (7, 7)',
        "INSERT INTO 'fsx://x.parquet' SELECT 1",
        'SELECT * FROM __dosql_log',
      ])
        expect([sql, (await failure(ask(db, sql))).code]).toEqual([
          sql,
          expect.stringMatching(/^(?:READ_ONLY|SYNTAX|FORBIDDEN|NO_SUCH_TABLE|SQLITE)$/),
        ]);
      expect([db.lsn(), storage.sql.exec(schema).toArray()]).toEqual(before);
      expect(await ask(db, 'SELECT id FROM people')).toEqual([{ id: 1 }]);
    });
  });

  it('quotes any name, finds tenants by what their token says, seals a column', async () => {
    await withDatabase(async (db) => {
      for (const name of ['a', 'a"b', '"; DROP TABLE people; --', "it's", 'a b']) {
        await db.exec(`CREATE TABLE ${quoteName(name)}(id INTEGER PRIMARY KEY)`);
        expect(await db.get('SELECT name FROM sqlite_schema WHERE name = ?', [name])).toEqual({ name });
      }
      expect(() => quoteName('a\0b')).toThrow('NUL');
      await db.exec(
        'CREATE TABLE people(id INTEGER PRIMARY KEY, note TEXT); INSERT INTO people(id) VALUES (1)',
      );
      const key = 'a secret of 32 bytes or more, as it should be';
      const { stored, read } = await sealed(db, key, 1, 'Ada is ill');
      expect([read, stored?.includes('Ada')]).toEqual(['Ada is ill', false]);
    });
    const named = tenantOf({ tenant: 'acme' }, env.TEST);
    expect(named.id.equals(env.TEST.idFromName('tenant:acme'))).toBe(true);
  });
});
