import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { expect, it } from 'vitest';
import { DB } from '../src/index.ts';

it('smoke', async () => {
  const stub = env.TEST.get(env.TEST.idFromName('smoke'));
  await runInDurableObject(stub, async (_, state) => {
    const db = await DB('test', { storage: state.storage });
    await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c REAL); CREATE INDEX ix ON t(b)');
    const r = await db.run('INSERT INTO t(a,b,c) VALUES(?,?,?)', ['x', 1, 2.5]);
    expect(r).toMatchObject({ changes: 1, lastRowId: 1, rowsWritten: 3 });
    await db.run('INSERT INTO t(a,b,c) VALUES(?,?,?)', ['y', 2, 3]);
    const p = db.lsn();
    await db.run('UPDATE t SET b = b + 10');
    await db.run('DELETE FROM t WHERE id = 1');
    expect(await db.query('SELECT * FROM t')).toEqual([{ id: 2, a: 'y', b: 12, c: 3 }]);
    expect(await db.query('SELECT * FROM t FOR SYSTEM_TIME AS OF LSN ? AS z WHERE z.b = ?', [p, '2'])).toEqual([{ id: 2, a: 'y', b: 2, c: 3 }]);
    expect(await db.asOf({ lsn: p }).query('SELECT * FROM t ORDER BY id')).toHaveLength(2);
    for (let i = 0; i < 15; i++) expect(await db.asOf({ lsn: p }).get('SELECT b FROM t WHERE id = ?', [1])).toEqual({ b: 1 });
    expect(await db.history('t', 2)).toHaveLength(2);
    console.log(await db.explain('SELECT sum(b) FROM t FOR SYSTEM_TIME AS OF LSN 3'));
  });
});
