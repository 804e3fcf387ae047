import { describe, expect, it } from 'vitest';
import { createCDC } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

const SHOP = `
  CREATE TABLE shop(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE item(id INTEGER PRIMARY KEY, shop_id INTEGER REFERENCES shop(id) ON DELETE CASCADE, name TEXT, stock INTEGER DEFAULT 0 CHECK (stock >= 0));
  CREATE INDEX item_shop ON item(shop_id);
  INSERT INTO shop VALUES (1, 'north'), (2, 'south');
  INSERT INTO item VALUES (1, 1, 'lamp', 5), (2, 1, 'desk', 2), (3, 2, 'chair', 9);
`;

describe('a branch', () => {
  it('sees its parent as it was, and neither sees what the other does', () =>
    withDatabase(async (db) => {
      await db.exec(SHOP);
      const draft = await db.branch('draft');
      await db.run('UPDATE item SET stock = 50 WHERE id = 1');
      expect(await draft.get('SELECT stock FROM item WHERE id = 1')).toEqual({ stock: 5 });
      const { changes } = await draft.run('UPDATE item SET stock = stock + 1 WHERE shop_id = 1');
      expect(changes).toBe(2);
      await db.run("INSERT INTO item VALUES (4, 2, 'shelf', 1)");
      await db.run('DELETE FROM item WHERE id = 2');
      expect(await draft.query('SELECT id, stock FROM item ORDER BY id')).toEqual([
        { id: 1, stock: 6 },
        { id: 2, stock: 3 },
        { id: 3, stock: 9 },
      ]);
      expect(await db.query('SELECT id, stock FROM item ORDER BY id')).toEqual([
        { id: 1, stock: 50 },
        { id: 3, stock: 9 },
        { id: 4, stock: 1 },
      ]);
      expect(
        await db.query(
          'SELECT m.id, m.stock AS main, d.stock AS draft FROM item m JOIN "draft/item" d USING (id) ORDER BY 1',
        ),
      ).toEqual([
        { id: 1, main: 50, draft: 6 },
        { id: 3, main: 9, draft: 9 },
      ]);
      await draft.run('DELETE FROM shop WHERE id = 1');
      expect(await draft.query('SELECT id FROM item')).toEqual([{ id: 3 }]);
      expect(await failure(draft.run("INSERT INTO shop(name) VALUES ('south')"))).toMatchObject({
        code: 'CONSTRAINT_UNIQUE',
        reason: 'UNIQUE constraint failed: shop.name',
      });
      expect((await draft.run("INSERT INTO shop(name) VALUES ('east')")).lastRowId).toBe(3);
      expect(draft.activeBranch).toBe('draft');
      await db.dropBranch('draft');
      expect(await failure(draft.query('SELECT 1 FROM item'))).toMatchObject({ code: 'NO_SUCH_BRANCH' });
    }));

  it('merges as the changes that were made, and no more: definitions that say the same are the same', () =>
    withDatabase(async (db) => {
      await db.exec(SHOP);
      const draft = await db.branch('draft');
      await draft.run('UPDATE item SET stock = 7 WHERE id = 3');
      const before = db.lsn();
      expect(await db.merge('draft')).toMatchObject({ merged: true, updated: 1 });
      const { changes } = await createCDC(db).read(before);
      expect(changes.map(({ op, table, key }) => [op, table, key])).toEqual([['update', 'item', { id: 3 }]]);
    }));

  it('differs from its parent in what either did, and from their base in what it did itself', () =>
    withDatabase(async (db) => {
      await db.exec(SHOP);
      const draft = await db.branch('draft');
      await draft.run('UPDATE item SET stock = 7 WHERE id = 3');
      await db.run('UPDATE item SET stock = 8 WHERE id = 1');
      expect((await db.diff('main', 'draft')).map(({ key }) => key.id)).toEqual([1, 3]);
      expect(await db.diff('main', 'draft', { base: true, table: 'item' })).toMatchObject([
        {
          table: 'item',
          key: { id: 3 },
          type: 'modified',
          columns: ['stock'],
          before: { stock: 9 },
          after: { stock: 7 },
        },
      ]);
      await db.merge('draft');
      expect(await db.diff('main', 'draft', { base: true })).toEqual([]);
    }));
});
