import { describe, expect, it } from 'vitest';
import { createCDC, type ChangeEvent } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

async function take(count: number, stream: AsyncIterable<ChangeEvent>): Promise<ChangeEvent[]> {
  const events: ChangeEvent[] = [];
  for await (const event of stream) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

describe('a change stream', () => {
  it('gives what is in the log, then what comes, in order, with keys and both images', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE a(id INTEGER PRIMARY KEY, x); CREATE TABLE b(p TEXT, q INTEGER, v BLOB, PRIMARY KEY (p, q)) WITHOUT ROWID; CREATE TABLE c(z)',
      );
      const from = db.lsn();
      await db.run('INSERT INTO a(x) VALUES (1)');
      const events = take(5, createCDC(db).subscribe(from));
      await new Promise((resolve) => setTimeout(resolve, 10));
      await db.run("INSERT INTO b VALUES ('k', 2, x'ff')");
      await db.run('UPDATE a SET x = 2');
      await db.transaction(async (tx) => {
        await tx.run('DELETE FROM a');
        await new Promise((resolve) => setTimeout(resolve, 10));
        await tx.run("INSERT INTO c VALUES ('last')");
      });
      const [one, two, three, four, five] = await events;
      expect(one).toMatchObject({
        lsn: from + 1n,
        tx: from + 1n,
        table: 'a',
        op: 'insert',
        key: { id: 1 },
        before: null,
        after: { id: 1, x: 1 },
      });
      expect(one?.timestamp).toBeInstanceOf(Date);
      expect(two).toMatchObject({
        table: 'b',
        op: 'insert',
        key: { p: 'k', q: 2 },
        after: { p: 'k', q: 2, v: new Uint8Array([255]) },
      });
      expect(three).toMatchObject({
        table: 'a',
        op: 'update',
        before: { id: 1, x: 1 },
        after: { id: 1, x: 2 },
      });
      expect(four).toMatchObject({
        table: 'a',
        op: 'delete',
        before: { id: 1, x: 2 },
        after: null,
        tx: from + 5n,
      });
      expect(five).toMatchObject({
        table: 'c',
        op: 'insert',
        key: { rowid: 1 },
        after: { z: 'last' },
        tx: from + 5n,
        lsn: from + 5n,
      });
    });
  });

  it('is resumable at any LSN and loses or repeats nothing', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, x)');
      const from = db.lsn();
      for (let i = 0; i < 30; i++)
        await db.run(
          i % 3 === 0 ? 'INSERT INTO t(x) VALUES (1), (2), (3)' : 'UPDATE t SET x = x + 1 WHERE id % 2 = 0',
        );
      const end = db.lsn();
      const all = await take(Number(end - from), createCDC(db).subscribe(from, { batch: 7 }));
      expect(all.map(({ lsn }) => lsn)).toEqual(all.map((_, i) => from + 1n + BigInt(i)));
      for (const at of [from, from + 1n, from + 17n, end - 1n])
        expect(await take(Number(end - at), createCDC(db.backend).subscribe(at))).toEqual(
          all.slice(Number(at - from)),
        );
    });
  });

  it('shows a transaction only once it is committed, and never one that is rolled back', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, x)');
      const from = db.lsn();
      const seen: ChangeEvent[] = [];
      const stop = new AbortController();
      const done = (async () => {
        for await (const event of createCDC(db).subscribe(from, { transactions: true, signal: stop.signal }))
          seen.push(event);
      })();
      const pause = () => new Promise((resolve) => setTimeout(resolve, 10));
      await expect(
        db.transaction(async (tx) => {
          await tx.run('INSERT INTO t(x) VALUES (1)');
          await pause();
          throw new Error('no');
        }),
      ).rejects.toThrow('no');
      await db.transaction(async (tx) => {
        await tx.run('INSERT INTO t(x) VALUES (2)');
        await pause();
        expect(seen).toEqual([]);
        await tx.run('INSERT INTO t(x) VALUES (3)');
      });
      await db.run('DELETE FROM t WHERE id = 1');
      await pause();
      stop.abort();
      await done;
      expect(seen.map((event) => [event.op, event.lsn - from, event.tx - from])).toEqual([
        ['begin', 1n, 2n],
        ['insert', 1n, 2n],
        ['insert', 2n, 2n],
        ['commit', 2n, 2n],
        ['begin', 3n, 3n],
        ['delete', 3n, 3n],
        ['commit', 3n, 3n],
      ]);
    });
  });

  it('tells of schema changes if asked, and filters by table', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE TABLE u(y)');
      await db.exec(
        'INSERT INTO t(x) VALUES (1); INSERT INTO u VALUES (1); ALTER TABLE t DROP COLUMN x; DROP TABLE u',
      );
      const events = await take(6, createCDC(db).subscribe(0, { schema: true }));
      expect(events.map((event) => [event.op, 'table' in event && event.table])).toEqual([
        ['schema', 't'],
        ['schema', 'u'],
        ['insert', 't'],
        ['insert', 'u'],
        ['schema', 't'],
        ['delete', 'u'],
      ]);
      expect(events[4]).toMatchObject({ sql: 'CREATE TABLE t(id INTEGER PRIMARY KEY)' });
      const [only] = await take(1, createCDC(db).subscribe(0, { tables: ['U'] }));
      expect(only).toMatchObject({ table: 'u', op: 'insert' });
    });
  });

  it('ends at once when its signal aborts, and when its consumer stops', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(x)');
      const stop = new AbortController();
      const next = createCDC(db).subscribe(db.lsn(), { signal: stop.signal }).next();
      stop.abort();
      expect(await next).toEqual({ done: true, value: undefined });
      expect(await createCDC(db).subscribe(0, { signal: AbortSignal.abort() }).next()).toMatchObject({
        done: true,
      });
    });
  });

  it('from a position that is none, or lies ahead, is refused', async () => {
    await withDatabase(async (db) => {
      expect((await failure(() => createCDC(db).subscribe(-1))).code).toBe('BAD_PARAMETER');
      expect((await failure(() => createCDC(db).subscribe(0.5))).code).toBe('BAD_PARAMETER');
      expect((await failure(createCDC(db).subscribe(99).next())).code).toBe('BAD_PARAMETER');
      const cdc = createCDC(db);
      for (const options of [{ snapshot: 'all' as 'only' }, { batch: 0 }, { batch: 1.5 }])
        expect((await failure(async () => cdc.subscribe(0, options).next())).code).toBe('BAD_PARAMETER');
      expect((await failure(cdc.read(0, { limit: 0 }))).code).toBe('BAD_PARAMETER');
    });
  });
});
