import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, inject, it, vi } from 'vitest';
import { DB } from '../../src/index.ts';
import { failure, newObject, withDatabase } from '../support/database.ts';
import { expectSnippetsIn, Printed } from '../support/snippets.ts';
import { adopt, batchLikeD1, importDump, importFiles, likeD1, withoutTransaction } from './coming-from.ts';

vi.setConfig({ testTimeout: 60_000 });

const guide = inject('docs')['coming-from'] ?? '';
/** As `wrangler d1 export` writes it. */
const D1_DUMP = `PRAGMA defer_foreign_keys=TRUE;
CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, picture BLOB, boss INTEGER REFERENCES users(id));
INSERT INTO "users" VALUES(1,'Ada',X'00FF',2);
INSERT INTO "users" VALUES(2,'Bob',NULL,NULL);
CREATE TABLE posts(id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), body TEXT);
INSERT INTO "posts" VALUES(1,2,'it''s; fine');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('users',7);
CREATE INDEX posts_user ON posts(user_id);
`;

describe('the guide for those who come from elsewhere', () => {
  it('shows only code that this test runs', () => {
    expectSnippetsIn(inject('docCode')['coming-from'] ?? '', [guide]);
  });

  it('prints what its code gives', async () => {
    const printed = new Printed(guide);
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)');
      printed.next(await likeD1(db));
      printed.next(await batchLikeD1(db));
    });
    await runInDurableObject(newObject(), async (_, { storage }) => {
      printed.next(await adopt(storage));
      const db = await DB('notes', { storage });
      expect(await db.get('SELECT typeof(?) AS a, typeof(?) AS b', [5, 5n])).toEqual({
        a: 'real',
        b: 'integer',
      });
      expect(storage.sql.exec('SELECT typeof(?) AS type', 5).one()).toEqual({ type: 'real' });
      await storage.put('kept', 'as it was');
      expect(await db.storage.get('kept')).toBe('as it was');
      expect(db.sql.exec('SELECT text FROM notes WHERE id = ?', 1).one()).toEqual({ text: 'new' });
    });
    printed.end();
  });

  it('takes in what D1 and Turso export, all or nothing', async () => {
    await withDatabase(async (db) => {
      expect(await importDump(db, D1_DUMP)).toEqual(['Ada', 'Bob']);
      expect(await db.run("INSERT INTO users(name) VALUES ('Cy')")).toMatchObject({ lastRowId: 8 });
      expect(await db.get('SELECT picture FROM users')).toEqual({ picture: new Uint8Array([0, 255]) });
    });
    await withDatabase(async (db) => {
      const orphan = D1_DUMP.replace('(1,2,', '(1,3,');
      expect((await failure(importDump(db, orphan))).code).toBe('CONSTRAINT_FOREIGNKEY');
      expect(await db.query("SELECT name FROM sqlite_schema WHERE name = 'users'")).toEqual([]);
    });
    await withDatabase(async (db) => {
      const dump = `PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE users(id INTEGER PRIMARY KEY, name);\nINSERT INTO users VALUES(1,'Ada');\nCOMMIT;\n`;
      expect((await failure(importDump(db, dump))).code).toBe('FORBIDDEN');
      expect(await importDump(db, withoutTransaction(dump))).toEqual(['Ada']);
    });
  });

  it('takes in files', async () => {
    await env.LAKE.put('users/a.csv', 'name,age\nAda,36\nBob,41\n');
    await withDatabase(
      async (db) => {
        await db.exec('CREATE TABLE users(id INTEGER PRIMARY KEY, name TEXT)');
        expect(await importFiles(db)).toBe(2);
      },
      { buckets: { import: env.LAKE } },
    );
  });
});
