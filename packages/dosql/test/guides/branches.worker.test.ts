import { describe, expect, inject, it } from 'vitest';
import type { Database } from '../../src/index.ts';
import { countWritten } from '../support/billed.ts';
import { failure, withDatabase } from '../support/database.ts';
import { expectSnippetsIn, Printed, runSql, section } from '../support/snippets.ts';
import {
  mergeAgain,
  mergeDearest,
  mergeSettled,
  mergeSpring,
  open,
  pick,
  planSpring,
  review,
  settle,
  stale,
} from './branches.ts';

const guide = inject('docs')['branches'] ?? '';

/** A database with the guide's products, and its branch. */
function withSpring(use: (db: Database, spring: Database) => Promise<void>): Promise<void> {
  return withDatabase(async (db) => {
    await runSql(guide.split('\n## A branch')[0] ?? '', db);
    await use(db, await planSpring(db));
  });
}

describe('the guide to branches', () => {
  it('shows only code that this test runs', () => {
    expectSnippetsIn(inject('docCode')['branches'] ?? '', [guide]);
  });

  it('prints what its SQL and its code give', async () => {
    await withSpring(async (db) => {
      const printed = new Printed(guide);
      await runSql(section(guide, '## In SQL'), db);
      printed.next(await review(db, 'prices/spring'));
      await runSql(section(guide, '## Merge'), db);
      const dry = await db.merge('prices/spring', { dryRun: true });
      expect(await db.conflicts()).toEqual([]);
      printed.next(await mergeSpring(db));
      expect(dry).toMatchObject({ merged: false, conflicts: [{ key: { sku: 'C3' } }] });
      printed.next(await open(db));
      expect(await settle(db)).toMatchObject({ merged: true });
      const [settled = '', changed = '', left = '', after = ''] = section(guide, '## Conflicts').split(
        /(?=\n### Conflicts in SQL|```ts\nawait db.merge)/,
      );
      await runSql(settled, db);
      await runSql(changed, db);
      await mergeAgain(db);
      expect(await db.conflicts()).toHaveLength(1);
      await runSql(left, db);
      await mergeSettled(db);
      expect(await db.conflicts()).toEqual([]);
      await runSql(after, db);
      printed.end();
    });
  });

  it('names branches, and makes them of branches and of the past', async () => {
    await withSpring(async (db, spring) => {
      expect([spring.activeBranch, db.activeBranch]).toEqual(['prices/spring', 'main']);
      for (const name of ['main', '']) expect((await failure(db.branch(name))).code).not.toBe('SQLITE');
      expect((await failure(db.branch('prices/spring'))).code).toBe('BRANCH_EXISTS');
      const late = await db.branch('prices/late', { from: 'prices/spring' });
      expect(await late.get("SELECT price FROM products WHERE sku = 'A1'")).toEqual({ price: 44 });
      expect((await failure(db.dropBranch('prices/spring'))).code).toBe('BAD_PARAMETER');
      const lsn = db.lsn();
      await db.run('DELETE FROM products');
      const before = await db.branch('before', { from: { lsn } });
      expect(await before.get('SELECT count(*) AS n FROM products')).toEqual({ n: 3 });
      await db.exec('CREATE VIRTUAL TABLE words USING fts5(word)');
      expect((await failure(before.run("INSERT INTO words VALUES ('a')"))).code).toBe('FORBIDDEN');
      await before.exec(
        'ALTER TABLE products ADD COLUMN stock INTEGER; CREATE INDEX by_name ON products(name)',
      );
      expect(await db.merge('before')).toMatchObject({ merged: true });
      expect(await db.query('SELECT stock FROM products')).toEqual([]);
      expect(await stale(db, 0)).toContain('before');
      expect(await stale(db, 1_000)).toEqual([]);
    });
  });

  it('bills one row for a branch, and not a table for its first write', async () => {
    await withDatabase(async (db, { storage }) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v, w); CREATE INDEX by_v ON t(v)');
      await db.run('INSERT INTO t(v) SELECT value FROM json_each(?)', [JSON.stringify(Array(1_000).fill(1))]);
      await db.branch('first'); // which makes the table of branches
      const written = countWritten(storage.sql);
      await db.branch('b');
      expect(written()).toBe(1);
      await (await db.checkout('b')).run('UPDATE t SET w = 1 WHERE id = 7');
      expect(written()).toBeLessThan(60);
    });
  });

  it('merges cells and JSON keys, says what constraints forbid, and is undone as one', async () => {
    await withSpring(async (db, spring) => {
      await db.run(`UPDATE products SET tags = '{"oak":1}', name = 'armchair' WHERE sku = 'A1'`);
      await spring.run(`UPDATE products SET tags = '{"new":1}' WHERE sku = 'A1'`);
      const before = await db.query('SELECT * FROM products');
      const { merged, lsn } = await db.merge('prices/spring');
      expect(merged).toBe(true);
      const row = await db.get<{ tags: string }>("SELECT * FROM products WHERE sku = 'A1'");
      expect(row).toMatchObject({ name: 'armchair', price: 44 });
      expect(JSON.parse(row?.tags ?? '')).toEqual({ oak: 1, new: 1 });
      await db.revert(lsn);
      expect(await db.query('SELECT * FROM products')).toEqual(before);

      await db.exec('CREATE UNIQUE INDEX by_name ON products(name)');
      const twice = await db.branch('twice');
      await twice.run("INSERT INTO products(sku, name, price) VALUES ('X', 'stool', 1)");
      await db.run("INSERT INTO products(sku, name, price) VALUES ('Y', 'stool', 1)");
      expect(await db.merge('twice')).toMatchObject({ merged: false, violations: [{ type: 'unique' }] });
      expect(await twice.merge('main', { dryRun: true })).toMatchObject({ merged: false });
    });
  });

  it('asks anew about a conflict whose rows have changed since it was settled', async () => {
    await withSpring(async (db) => {
      await db.run("UPDATE products SET price = 27 WHERE sku = 'C3'");
      await db.merge('prices/spring');
      await db.resolve('products', 'C3', 'theirs');
      await db.run("UPDATE products SET price = 29 WHERE sku = 'C3'");
      expect(await db.merge('prices/spring')).toMatchObject({ merged: false });
      expect(await db.resolve('products', 'all', 'theirs')).toBe(1);
      expect(await db.merge('prices/spring')).toMatchObject({ merged: true });
      expect(await db.get("SELECT price FROM products WHERE sku = 'C3'")).toEqual({ price: 27.5 });
    });
  });

  it('settles by a strategy, and takes one transaction alone', async () => {
    await withSpring(async (db, spring) => {
      await db.exec("UPDATE products SET price = 50 WHERE sku = 'A1'; DELETE FROM products WHERE sku = 'C3'");
      await spring.run("UPDATE products SET name = 'stool' WHERE sku = 'A1'");
      expect(await mergeDearest(db, 'prices/spring')).toMatchObject({ merged: true, inserted: 1 });
      expect(await db.query('SELECT sku, name, price FROM products ORDER BY sku')).toEqual([
        { sku: 'A1', name: 'stool', price: 50 },
        { sku: 'B2', name: 'table', price: 120 },
        { sku: 'D4', name: 'bench', price: 80 },
      ]);
      const draft = await db.branch('draft');
      await draft.run("UPDATE products SET name = 'stool'");
      expect(await pick(db, 'draft', 'B2', 130)).toMatchObject({ updated: 1 });
      expect(await db.get("SELECT name, price FROM products WHERE sku = 'B2'")).toEqual({
        name: 'table',
        price: 130,
      });
    });
  });

  it('gives the same id on both sides, which is a conflict', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v)');
      const branch = await db.branch('b');
      await branch.run("INSERT INTO t(v) VALUES ('theirs')");
      await db.run("INSERT INTO t(v) VALUES ('ours')");
      expect(await db.merge('b')).toMatchObject({
        merged: false,
        conflicts: [{ key: { id: 1 }, base: null }],
      });
    });
  });
});
