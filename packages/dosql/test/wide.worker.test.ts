import { expect, it } from 'vitest';
import { createCDC } from '../src/index.ts';
import { withDatabase } from './support/database.ts';

/** SQLite in a Durable Object takes so many columns in a table, and in a result. */
const MAX_COLUMNS = 100;
const COLUMNS = Array.from({ length: MAX_COLUMNS - 2 }, (_, i) => `c${i}`);
const BIG = 9_007_199_254_740_993n;

it.each([
  ['whose rowid is its key', `id INTEGER PRIMARY KEY, ${COLUMNS.join(', ')}, z`, ''],
  ['with a key of its own', `id TEXT, ${COLUMNS.join(', ')}, z, PRIMARY KEY (z, id)`, ' WITHOUT ROWID'],
])(
  'a table of as many columns as there may be, %s, is streamed, compared and merged',
  (_, columns, options) =>
    withDatabase(async (db) => {
      await db.exec(`CREATE TABLE t(${columns})${options}`);
      for (const id of [1, 2, 3])
        await db.run('INSERT INTO t(id, c0, z) VALUES (?, ?, ?)', [id, BIG, `z${id}`]);
      const rows: unknown[] = [];
      for await (const event of createCDC(db).subscribe(0n, { snapshot: 'only', tables: ['t'], batch: 2 }))
        if ('after' in event) rows.push([event.after?.['c0'], event.after?.['z']]);
      expect(rows).toEqual([
        [BIG, 'z1'],
        [BIG, 'z2'],
        [BIG, 'z3'],
      ]);

      const draft = await db.branch('draft');
      await draft.run("UPDATE t SET c97 = 'theirs' WHERE z = 'z1'");
      await db.run("UPDATE t SET c0 = 'ours' WHERE z = 'z1'");
      await draft.run("DELETE FROM t WHERE z = 'z3'");
      const changed = await db.diff('main', 'draft', { base: true });
      expect(changed.map(({ type, columns }) => `${type} ${columns.length}`).sort()).toEqual([
        'modified 1',
        `removed ${MAX_COLUMNS}`,
      ]);
      const { lsn, ...result } = await db.merge('draft');
      expect(result).toMatchObject({ merged: true, updated: 1, deleted: 1 });
      const now = 'SELECT c0, c97, z FROM t ORDER BY z';
      expect((await db.query(now))[0]).toEqual({ c0: 'ours', c97: 'theirs', z: 'z1' });
      await db.revert(lsn);
      expect((await db.query(now)).map((row) => [row['c97'], row['z']])).toEqual([
        [null, 'z1'],
        [null, 'z2'],
        [null, 'z3'],
      ]);
    }),
);
