import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, inject, it } from 'vitest';
import type { Database } from '../../src/index.ts';
import { failure, newObject, withDatabase } from '../support/database.ts';
import { expectSnippetsIn, Printed, runSql, section } from '../support/snippets.ts';
import {
  backToNoon,
  board,
  boardOrOldest,
  forget,
  forgetOld,
  lastChanges,
  open,
  story,
  undo,
} from './time-travel.ts';

const guide = inject('docs')['time-travel'] ?? '';
const MINUTE = 60_000;

/** The guide's database, a minute before its first block, and what runs a part of the guide in it. */
async function atNoon(
  use: (db: Database, run: (text: string) => Promise<void>, pass: (ms: number) => number) => Promise<void>,
): Promise<void> {
  let now = Date.UTC(2026, 10, 21, 12) - MINUTE;
  const pass = (ms: number): number => (now += ms);
  await withDatabase((db) => use(db, (text) => runSql(text, db, () => void pass(MINUTE)), pass), {
    clock: () => now,
    history: { keep: '30d' },
  });
}

describe('the guide to time travel', () => {
  it('shows only code that this test runs', () => {
    expectSnippetsIn(inject('docCode')['time-travel'] ?? '', [guide]);
  });

  it('prints what its SQL and its code give', async () => {
    await atNoon(async (db, run, pass) => {
      const printed = new Printed(guide);
      const [start = ''] = guide.split('\n## As of');
      await run(start);
      await run(section(guide, '## As of'));
      expect(new Date(pass(0)).toISOString()).toBe('2026-11-21T12:06:00.000Z');
      printed.next(await board(db, { ago: '5m' }));
      await run(section(guide, '## Versions'));
      printed.next(await story(db, 1));
      printed.next(await lastChanges(db, 1));
      const [lost = '', after = ''] = section(guide, '## Set back').split('```ts');
      await run(lost);
      expect(await backToNoon(db)).toBe(3);
      await run('```ts' + after);
      await run(section(guide, '## Erase'));
      printed.next(await forget(db, 'ada@example.com'));
      printed.end();
      expect(await db.query('SELECT id FROM people FOR SYSTEM_TIME ALL')).toEqual([{ id: 2 }]);
    });
  });

  it('takes all forms of points for the same point', async () => {
    await atNoon(async (db, run, pass) => {
      const [start = ''] = guide.split('\n## As of');
      await run(start);
      const at = Date.UTC(2026, 10, 21, 12, 0, 30);
      const expected = await board(db, { lsn: 4n });
      expect(expected).toHaveLength(3);
      const points = [
        new Date(at),
        at,
        '2026-11-21T13:00:30+01:00',
        '2026-11-21 12:00:30',
        { ago: '90s' },
        { ago: 90_000 },
        { before: 5n },
        { lsn: 4 },
      ];
      for (const point of points) expect(await board(db, point)).toEqual(expected);
      pass(86_400_000);
      expect(await board(db, '2026-11-22')).toEqual([
        { id: 1, status: 'done' },
        { id: 2, status: 'todo' },
      ]);
      const sql = 'SELECT id, status FROM tasks FOR SYSTEM_TIME AS OF';
      for (const [text, ...params] of [
        ['?', new Date(at)],
        ['?', at],
        [String(at)],
        ["datetime('2026-11-21 12:01:30', '-1 minute')"],
        ['LSN ?', 4n],
        ['LSN ? - 1', 5n],
        ['LSN 3 + 1'],
      ] as const)
        expect(await db.query(`${sql} ${text} ORDER BY id`, params), text).toEqual(expected);
      // In the middle of the transaction that made the table and its rows, there was none yet.
      expect((await failure(board(db, { lsn: 3 }))).code).toBe('NO_SUCH_TABLE');
      expect((await failure(board(db, '2027-01-01'))).code).toBe('BAD_PARAMETER');
      const stretch = 'SELECT count(*) AS n FROM tasks FOR SYSTEM_TIME BETWEEN LSN 4 AND 5';
      expect(await db.get(stretch)).toEqual({ n: 4 });
    });
  });

  it('reads a handle as of one moment, in the definitions of then or of now', async () => {
    await atNoon(async (db, run, pass) => {
      const [start = ''] = guide.split('\n## As of');
      await run(start);
      const was = db.asOf({ ago: '0s' });
      expect(await was.get('SELECT count(*) AS n FROM tasks')).toEqual({ n: 2 });
      pass(MINUTE);
      await db.exec('ALTER TABLE tasks ADD COLUMN note TEXT; ALTER TABLE tasks DROP COLUMN status');
      expect(await was.get('SELECT * FROM tasks WHERE id = 1')).toEqual({
        id: 1,
        title: 'write',
        status: 'done',
      });
      const now = db.asOf({ ago: '1m' }, { schema: 'present' });
      expect(await now.get('SELECT * FROM tasks WHERE id = 1')).toEqual({
        id: 1,
        title: 'write',
        note: null,
      });
      await db.exec('DROP TABLE tasks');
      expect(await was.get('SELECT count(*) AS n FROM tasks')).toEqual({ n: 2 });
      expect(await db.restore({ ago: '1m' })).toMatchObject({ changes: 2 });
      expect(await db.query('SELECT id FROM tasks')).toEqual([{ id: 1 }, { id: 2 }]);
    });
  });

  it('undoes a transaction unless its cells have changed again, and makes it again', async () => {
    await atNoon(async (db, run, pass) => {
      const [start = ''] = guide.split('\n## As of');
      await run(start);
      const { lsn } = await db.run("UPDATE tasks SET status = 'lost'");
      await db.run("UPDATE tasks SET title = 'write it' WHERE id = 1");
      pass(MINUTE);
      expect(await undo(db, lsn)).toBe(2);
      expect(await db.query('SELECT * FROM tasks')).toEqual([
        { id: 1, title: 'write it', status: 'done' },
        { id: 2, title: 'test', status: 'todo' },
      ]);
      expect(await db.cherryPick(lsn)).toMatchObject({ updated: 2 });
      await db.run("UPDATE tasks SET status = 'found' WHERE id = 2");
      expect(await undo(db, lsn)).toBe('these cells have changed again since');
    });
  });

  it('erases by what rows held, and by age; what is older than the window is not to be had', async () => {
    await atNoon(async (db, run, pass) => {
      await run(section(guide, '## Erase'));
      await db.run("INSERT INTO people VALUES (3, 'old@example.com', '2025-12-31')");
      pass(40 * 86_400_000);
      await db.run("UPDATE people SET email = 'bob@new.example' WHERE id = 2");
      await forgetOld(db);
      const all = 'SELECT id, email FROM people FOR SYSTEM_TIME ALL ORDER BY id, _lsn_from';
      expect(await db.query(all)).toEqual([
        { id: 1, email: 'ada@new.example' },
        { id: 2, email: 'bob@example.com' },
        { id: 2, email: 'bob@new.example' },
      ]);
    });
    await atNoon(async (db, run, pass) => {
      const [start = ''] = guide.split('\n## As of');
      await run(start);
      pass(40 * 86_400_000);
      await db.run("INSERT INTO tasks(title) VALUES ('late')");
      await db.alarm();
      expect(await boardOrOldest(db, '2026-11-21 12:00')).toHaveLength(2);
    });
  });

  it('bills as many rows as it says', async () => {
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const db = await open(storage);
      await db.exec('CREATE TABLE tasks(id INTEGER PRIMARY KEY, title TEXT)');
      const billed = [];
      for (const sql of [
        "INSERT INTO tasks(title) VALUES ('a')",
        "UPDATE tasks SET title = 'b'",
        'DELETE FROM tasks',
        "INSERT INTO tasks(title) VALUES ('a'), ('b')",
      ])
        billed.push((await db.run(sql)).rowsWritten);
      expect(billed).toEqual([2, 2, 2, 5]);
    });
  });
});
