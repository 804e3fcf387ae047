import { describe, expect, it } from 'vitest';
import type { Database, Reader } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

const PAST = 'SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ?';

/** A database whose table t held 1 at the LSN given, and holds 2 now; nothing has asked for the past yet. */
async function changed(db: Database): Promise<bigint> {
  await db.exec(
    'CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE copy(v); INSERT INTO t VALUES (1, 1)',
  );
  const before = db.lsn();
  await db.run('UPDATE t SET v = 2');
  return before;
}

/** Every way to ask for the past first, and the value that it finds. */
const WAYS: Record<string, (db: Database, lsn: bigint) => Promise<unknown>> = {
  'query()': async (db, lsn) => (await db.query(PAST, [lsn]))[0]?.v,
  'get()': async (db, lsn) => (await db.get(PAST, [lsn]))?.v,
  'a handle of then': async (db, lsn) => (await db.asOf({ lsn }).get('SELECT v FROM t'))?.v,
  'iterate()': async (db, lsn) => {
    const found: unknown[] = [];
    for await (const { v } of db.iterate(PAST, [lsn])) found.push(v);
    return found[0];
  },
  'a prepared statement': (db, lsn) => db.prepare(PAST).bind(Number(lsn)).first('v'),
  'run()': async (db, lsn) => {
    await db.run(`INSERT INTO copy ${PAST}`, [lsn]);
    return (await db.get('SELECT v FROM copy'))?.v;
  },
  'exec()': async (db, lsn) => {
    await db.exec(`INSERT INTO copy VALUES (0); INSERT INTO copy ${PAST.replace('?', String(lsn))}`);
    return (await db.get('SELECT max(v) AS v, count(*) AS n FROM copy HAVING n = 2'))?.v;
  },
  'a batch': async (db, lsn) => {
    const [, read] = await db.batch([{ sql: 'INSERT INTO copy VALUES (0)' }, { sql: PAST, params: [lsn] }]);
    expect(await db.get('SELECT count(*) AS n FROM copy')).toEqual({ n: 1 });
    return read?.rows[0]?.v;
  },
  'a large batch': async (db, lsn) => {
    const writes = Array.from({ length: 100 }, () => ({ sql: 'INSERT INTO copy VALUES (0)' }));
    const read = (await db.batch([...writes, { sql: PAST, params: [lsn] }])).at(-1);
    expect(await db.get('SELECT count(*) AS n FROM copy')).toEqual({ n: 100 });
    return read?.rows[0]?.v;
  },
  'a transaction': (db, lsn) =>
    db.transaction(async (tx) => {
      await tx.run('INSERT INTO copy VALUES (0)');
      const found = await tx.get(PAST, [lsn]);
      expect(await tx.get('SELECT count(*) AS n FROM copy')).toEqual({ n: 1 });
      return found?.v;
    }),
  'a migration': async (db, lsn) => {
    await db.migrate([{ name: '1', sql: `INSERT INTO copy ${PAST.replace('?', String(lsn))}` }]);
    return (await db.get('SELECT v FROM copy'))?.v;
  },
  'history()': async (db) => (await db.history('t', 1))[0]?.row.v,
  'blame()': async (db) => Number((await db.blame('t', 1)).find(({ column }) => column === 'v')?.value) - 1,
  'restore()': async (db, lsn) => {
    await db.restore({ lsn });
    return (await db.get('SELECT v FROM t'))?.v;
  },
  'revert()': async (db, lsn) => {
    await db.revert(lsn + 1n);
    return (await db.get('SELECT v FROM t'))?.v;
  },
  'a branch of then': async (db, lsn) =>
    (await (await db.branch('then', { from: { lsn } })).get('SELECT v FROM t'))?.v,
  'explain()': async (db, lsn) => ((await db.explain(PAST, [lsn])).sql.includes('__dosql_log') ? 1 : 0),
};

describe('what reads the past is loaded by the first who asks for it', () => {
  it.each(Object.keys(WAYS))('%s', (way) =>
    withDatabase(async (db) => {
      const lsn = await changed(db);
      expect(await WAYS[way]?.(db, lsn)).toBe(1);
    }),
  );
});

it('statements that are called meanwhile wait, in the order in which they were called', () =>
  withDatabase(async (db) => {
    const lsn = await changed(db);
    const [past, update, transaction, read] = await Promise.all([
      db.run(`INSERT INTO copy ${PAST}`, [lsn]),
      db.run('UPDATE copy SET v = v + 10'),
      db.transaction((tx) => tx.run('UPDATE copy SET v = v * 2')),
      db.query('SELECT v FROM copy'),
    ]);
    expect([past.changes, update.changes, transaction.changes]).toEqual([1, 1, 1]);
    expect([past.lsn, update.lsn, transaction.lsn].map((end) => end - lsn)).toEqual([2n, 3n, 4n]);
    expect(read).toEqual([{ v: 22 }]);
  }));

it('so do those that ask for the past while a transaction is open', () =>
  withDatabase(async (db) => {
    const lsn = await changed(db);
    const open = db.transaction(async (tx) => {
      await tx.run('INSERT INTO copy VALUES (1)');
      await tx.run('UPDATE copy SET v = 5');
    });
    const results = await Promise.all([
      db.query(`SELECT copy.v AS c, t.v FROM copy, t FOR SYSTEM_TIME AS OF LSN ?`, [lsn]),
      db.run('DELETE FROM copy'),
      db.query(`SELECT count(*) AS n FROM copy, t FOR SYSTEM_TIME AS OF LSN ?`, [lsn]),
      open,
    ]);
    expect(results[0]).toEqual([{ c: 5, v: 1 }]);
    expect(results[2]).toEqual([{ n: 0 }]);
  }));

it('who asks for the past wrongly is told so, and holds nobody up', () =>
  withDatabase(async (db) => {
    await changed(db);
    const wrong: [Reader, unknown][] = [
      [db.asOf({ lsn: 999 }), 'BAD_PARAMETER'],
      [db.asOf({ ago: '9 lives' }), 'BAD_PARAMETER'],
      [db.asOf('2001-01-01'), 'HISTORY_EXPIRED'],
    ];
    for (const [reader, code] of wrong)
      expect((await failure(reader.query('SELECT * FROM t'))).code).toBe(code);
    expect(await db.get('SELECT v FROM t')).toEqual({ v: 2 });
  }));

it('db.sql cannot wait, and says what to do', () =>
  withDatabase(async (db) => {
    const lsn = await changed(db);
    const read = (): unknown => db.sql.exec(PAST, Number(lsn)).toArray();
    const refused = await failure(read);
    expect([refused.code, refused.message]).toEqual(['WAITS', expect.stringContaining('db.recall()')]);
    await db.recall({ lsn });
    expect(read()).toEqual([{ v: 1 }]);
  }));
