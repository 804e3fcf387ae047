import { runInDurableObject } from 'cloudflare:test';
import { describe, expect, inject, it } from 'vitest';
import { DB, type Migration } from '../../src/index.ts';
import { countWritten } from '../support/billed.ts';
import { failure, newObject, withDatabase } from '../support/database.ts';
import { expectSnippetsIn, Printed } from '../support/snippets.ts';
import { fill, migrations, open, openDrizzle, rollOut, stricter, tryNext, version } from './migrations.ts';

const guide = inject('docs')['migrations'] ?? '';
const [tasks, status] = migrations as [Migration, Migration];

/** Runs `use` in a new object, with what opens its database. */
function inObject(use: (storage: DurableObjectStorage) => Promise<void>): Promise<void> {
  return runInDurableObject(newObject(), (_, { storage }) => use(storage));
}

/** What opening a database with these migrations fails with, in an object where the guide's have run. */
async function refusal(of: readonly Migration[]): Promise<string> {
  let message = '';
  const stub = newObject();
  await runInDurableObject(stub, async (_, { storage }) => {
    const db = await open(storage);
    const before = await db.query('SELECT name, sql FROM sqlite_schema ORDER BY name');
    ({ message } = await failure(db.migrate(of)));
    expect(await db.query('SELECT name, sql FROM sqlite_schema ORDER BY name')).toEqual(before);
  });
  return message;
}

describe('the guide to migrations', () => {
  it('shows only code that this test runs', () => {
    expectSnippetsIn(inject('docCode')['migrations'] ?? '', [guide]);
  });

  it('says in which words migrations are refused', async () => {
    const printed = new Printed(guide, 'text');
    printed.nextText(await refusal([tasks, { ...status, sql: `${status.sql} ` }]));
    printed.nextText(await refusal([status]));
    printed.nextText(await refusal([tasks, status, { name: '001_more', sql: 'SELECT 1' }]));
    const owner = {
      name: '003_owner',
      sql: 'ALTER TABLE tasks ADD COLUMN owner INTEGER; CREATE INDEX by_owner ON tasks(ower);',
    };
    printed.nextText(await refusal([tasks, status, owner]));
    printed.end();
  });

  it('runs them in order, once, whatever the line ends, from a list or a function', async () => {
    await inObject(async (storage) => {
      const db = await open(storage);
      expect(await version(db)).toBe('002_status');
      const lsn = db.lsn();
      const late = { name: '10_late', sql: 'CREATE TABLE late(x);\r\nCREATE TABLE later(x);' };
      const early = { name: '9_early', sql: 'CREATE TABLE early(x);' };
      expect((await db.migrate(async () => [...migrations, late, early])).map(({ name }) => name)).toEqual([
        '9_early',
        '10_late',
      ]);
      expect(await db.migrate([...migrations, early, { ...late, sql: late.sql.replace('\r', '') }])).toEqual(
        [],
      );
      expect((await failure(db.asOf({ lsn }).query('SELECT * FROM late'))).code).toBe('NO_SUCH_TABLE');
    });
  });

  it('tries one on a branch, of which main sees nothing', async () => {
    await inObject(async (storage) => {
      const db = await open(storage);
      await db.run("INSERT INTO tasks(title) VALUES ('write')");
      const due = { name: '003_due', sql: 'ALTER TABLE tasks ADD COLUMN due TEXT' };
      expect(await tryNext(db, due)).toEqual({ applied: 1, columns: ['id', 'title', 'status', 'due'] });
      expect(await version(db)).toBe('002_status');
      expect(await db.branches()).toEqual([]);
      const branch = await db.branch('next');
      await branch.migrate([...migrations, due]);
      expect(await db.merge('next')).toMatchObject({ merged: true });
      expect(await version(db)).toBe('003_due');
      expect(await db.get('SELECT * FROM tasks')).toMatchObject({ due: null });
    });
  });

  it('bills what the table says', async () => {
    await inObject(async (storage) => {
      const db = await open(storage);
      const titles = JSON.stringify(Array.from({ length: 1_000 }, (_, i) => `Task ${i}`));
      await db.run('INSERT INTO tasks(title) SELECT value FROM json_each(?)', [titles]);
      const written = countWritten(storage.sql);
      const billed = async (sql: string): Promise<number> => {
        await db.exec(sql);
        return written();
      };
      const rows: number[] = [];
      for (const sql of [
        'ALTER TABLE tasks ADD COLUMN due TEXT',
        'CREATE INDEX by_title ON tasks(title)',
        "UPDATE tasks SET due = 'now'",
        'DROP INDEX by_title',
        'ALTER TABLE tasks DROP COLUMN due',
        'DROP TABLE tasks',
      ])
        rows.push(await billed(sql));
      const said = [...guide.matchAll(/^\| `[A-Z ]+`.*\| ([\d,]+) +\|$/gm)].map(([, text]) => text);
      expect(rows.map((count) => count.toLocaleString('en'))).toEqual(said);
    });
  });

  it('fills a column some rows at a time', async () => {
    await inObject(async (storage) => {
      const db = await open(storage);
      for (const title of ['Write it', 'Test it', 'Ship it'])
        await db.run('INSERT INTO tasks(title) VALUES (?)', [title]);
      await db.exec('ALTER TABLE tasks ADD COLUMN slug TEXT');
      await fill(db, 2);
      const filled = async (): Promise<number | undefined> =>
        (await db.get<{ n: number }>('SELECT count(slug) AS n FROM tasks'))?.n;
      const steps = [];
      for (let i = 0; i < 4; i++) {
        await db.alarm();
        steps.push(await filled());
      }
      expect(steps.at(-1)).toBe(3);
      expect(await db.get('SELECT slug FROM tasks')).toEqual({ slug: 'write-it' });
      await storage.deleteAlarm();
      await fill(db, 2);
      expect(await storage.getAlarm()).toBe(null);
    });
  });

  it('makes a table anew, whose past stays', async () => {
    await inObject(async (storage) => {
      const db = await open(storage);
      const { lsn } = await db.run("INSERT INTO tasks(title) VALUES ('write')");
      await db.migrate([...migrations, stricter]);
      expect((await failure(db.run("UPDATE tasks SET status = 'x'"))).code).toBe('CONSTRAINT_CHECK');
      expect(await db.asOf({ lsn }).query('SELECT * FROM tasks')).toEqual(
        await db.query('SELECT * FROM tasks'),
      );
      expect(await db.history('tasks', 1)).toHaveLength(1);
    });
  });

  it('finds the objects that are behind, and brings the others along', async () => {
    const stubs = new Map(['acme', 'globex', 'initech'].map((name) => [name, newObject()]));
    const [, globex] = [...stubs.values()];
    await runInDurableObject(globex as DurableObjectStub, async (_, { storage }) => {
      await DB('tasks', { storage, migrations: [{ name: '001_tasks', sql: 'CREATE TABLE other(x)' }] });
    });
    const versionOf = (tenant: string): Promise<string | undefined> =>
      runInDurableObject(stubs.get(tenant) as DurableObjectStub, async (_, { storage }) => {
        // The object as the new version wakes it.
        const db = await open(storage);
        if (tenant === 'globex') await db.migrate(migrations);
        return version(db);
      });
    expect(await rollOut([...stubs.keys()], versionOf)).toEqual(['globex']);
  });

  it("runs drizzle's", async () => {
    const generated = {
      journal: { entries: [{ idx: 0, when: 1, tag: '0000_tasks', breakpoints: true }] },
      migrations: { m0000: 'CREATE TABLE `tasks` (`id` integer PRIMARY KEY, `title` text);' },
    };
    await inObject(async (storage) => {
      await openDrizzle(storage, generated);
      const { db } = await openDrizzle(storage, generated);
      await db.run("INSERT INTO tasks(title) VALUES ('write')");
      expect(await db.history('tasks', 1)).toHaveLength(1);
      expect(await db.get('SELECT count(*) AS n FROM __drizzle_migrations')).toEqual({ n: 1 });
    });
    await withDatabase(async (db) => expect(await db.migrations()).toEqual([]));
  });
});
