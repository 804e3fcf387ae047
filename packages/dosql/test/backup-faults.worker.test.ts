import {
  createDOBackend,
  createMemoryBackend,
  createTieredBackend,
  type FileStore,
  type MemoryBackend,
} from '@dotdo/fsx';
import { createFaultyBackend, type Fault } from '@dotdo/fsx/testing';
import { runInDurableObject } from 'cloudflare:test';
import { expect, it } from 'vitest';
import { DB, restore, type Database } from '../src/index.ts';
import { logPicture, picture, withCold, withRestored } from './support/backup.ts';
import { failure, newObject } from './support/database.ts';
import { FailingStore } from './support/failing-store.ts';
import { Random } from './support/random.ts';

const SCHEMA =
  'CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, data BLOB); CREATE TABLE pair(a, b TEXT, v, PRIMARY KEY(a, b)) WITHOUT ROWID; CREATE INDEX by_name ON item(name)';

async function write(db: Database, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) {
    await db.run('INSERT INTO item(name, data) VALUES (?, randomblob(20))', [`item ${i}`]);
    await db.run('INSERT OR REPLACE INTO pair VALUES (?, ?, 5.0)', [i % 7, `b${i % 3}`]);
    if (i % 5 === 0) await db.run('UPDATE item SET name = ? WHERE id = ?', ['changed', i]);
    if (i % 11 === 0) await db.run('DELETE FROM item WHERE id = ?', [i]);
  }
}

const cold = (store: FileStore): { kind: 'tiered'; cold: FileStore } => ({ kind: 'tiered', cold: store });

async function paths(store: FileStore): Promise<string[]> {
  return (await store.list('')).files.map(({ path }) => path);
}

/** A store with a backup in it, and what the database was then. */
async function backedUp(): Promise<{ store: MemoryBackend; picture: string[] }> {
  const store = createMemoryBackend();
  return withCold(
    async (db, { sql }) => {
      await db.exec(SCHEMA);
      await write(db, 0, 20);
      await db.backup();
      await write(db, 20, 40);
      await db.backup();
      return { store, picture: picture(sql) };
    },
    {},
    cold(store),
  );
}

it.each<Fault>(['before', 'after', 'stop-after', 'torn-write', 'short-read'])(
  'loses nothing when the cold store fails in any call of a backup: %s',
  { timeout: 120_000 },
  async (fault) => {
    let calls = 1;
    for (let n = 1; n <= calls; n++) {
      const store = createMemoryBackend();
      const faulty = createFaultyBackend(store, { plan: { [n]: fault }, seed: n });
      await runInDurableObject(newObject(), async (_, { storage }) => {
        const hot = { kind: 'durable-object' as const, storage };
        // The same object, with a store that fails at first and does not later.
        let target: FileStore = faulty;
        const forward = new Proxy(store, {
          get: (_, key) => {
            const value: unknown = Reflect.get(target, key, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
        const db = await DB('test', { storage: { kind: 'tiered', hot, cold: forward } });
        await db.exec(SCHEMA);
        await write(db, 0, 6);
        await db.backup().catch(() => undefined);
        await write(db, 6, 12);
        await db.backup().catch(() => undefined);
        calls = Math.max(calls, Math.min(faulty.calls, 60));
        // What is there by now is a whole backup, or none.
        const before = await withRestored({ from: store }, async () => undefined).catch(
          (error: unknown) => error,
        );
        if (before instanceof Error) expect(before.message).toMatch(/NO_SUCH_FILE.*holds no backup/);
        target = store;
        await write(db, 12, 14);
        const { lsn } = await db.backup();
        expect(lsn).toBe(db.lsn());
        const [then, log] = [picture(storage.sql), logPicture(storage.sql)];
        await withRestored({ from: store }, async (restored) => {
          expect(picture(restored.sql)).toEqual(then);
          expect(logPicture(restored.sql)).toEqual(log);
        });
      });
    }
    expect(calls).toBeGreaterThan(8);
  },
);

it('tells of every file that is damaged or gone, and keeps nothing then', { timeout: 60_000 }, async () => {
  const { store, picture: then } = await backedUp();
  const random = new Random(5);
  const newest = (await paths(store))
    .filter((path) => path.startsWith('backup/'))
    .toSorted()
    .at(-1) as string;
  const manifest = new TextDecoder().decode((await store.read(newest)) as Uint8Array);
  const needed = (await paths(store)).filter((path) => path === newest || manifest.includes(path));
  expect(needed.length).toBeGreaterThan(3);
  await runInDurableObject(newObject(), async (_, { storage }) => {
    for (const path of needed) {
      const bytes = (await store.read(path)) as Uint8Array;
      for (let i = 0; i < 4; i++) {
        const damaged = bytes.slice();
        const at = random.int(bytes.length);
        damaged[at] = (damaged[at] as number) ^ (1 << random.int(8));
        await store.write(path, damaged);
        const error = await failure(restore({ storage, from: store }));
        expect(error.code, `${path} at ${at}`).toBe('CORRUPT_FILE');
        expect(error.message).toContain(path);
        expect([
          ...storage.sql.exec("SELECT name FROM sqlite_schema WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'"),
        ]).toEqual([]);
      }
      await store.delete(path);
      if (path !== newest) {
        const error = await failure(restore({ storage, from: store }));
        expect(error.code).toBe('NO_SUCH_FILE');
        expect(error.message).toContain(path);
      }
      await store.write(path, bytes);
    }
    await restore({ storage, from: store });
    expect(picture(storage.sql)).toEqual(then);
  });
});

it('keeps nothing of a restore that fails at any call, and begins anew after one that was cut off', async () => {
  const { store, picture: then } = await backedUp();
  const counting = createFaultyBackend(store);
  await withRestored({ from: counting }, async () => undefined);
  await runInDurableObject(newObject(), async (_, { storage }) => {
    for (let n = 1; n <= counting.calls; n++) {
      const error = await failure(
        restore({ storage, from: createFaultyBackend(store, { plan: { [n]: 'before' } }) }),
      );
      expect(error.code).toBe('STORAGE_UNAVAILABLE');
    }
    storage.sql.exec('CREATE TABLE __dosql_restoring(at); CREATE TABLE item(a); INSERT INTO item VALUES (1)');
    expect((await failure(DB('test', { storage }))).code).toBe('STORAGE_UNAVAILABLE');
    await restore({ storage, from: store });
    expect(picture(storage.sql)).toEqual(then);
    expect([...storage.sql.exec('PRAGMA foreign_keys').raw()]).toEqual([[1]]);
    const db = await DB('test', { storage });
    expect((await db.query('SELECT count(*) AS n FROM item')).length).toBe(1);
  });
});

it('reads all tables while others write, and several backups at once are one after the other', async () => {
  const store = createMemoryBackend();
  await withCold(
    async (db, { sql }) => {
      await db.exec(SCHEMA);
      // Larger than one file: a table is read in several pieces, between which it changes.
      await db.run(
        'INSERT INTO item(name, data) WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 34) SELECT i, iif(i % 2, randomblob(900000), NULL) FROM n',
      );
      const moments: { lsn: bigint; picture: string[] }[] = [];
      const state = { isDone: false };
      const backups = Promise.all([db.backup(), db.backup()]).finally(() => (state.isDone = true));
      for (let i = 0; !state.isDone && i < 300; i++) {
        await db.run('UPDATE item SET name = ? WHERE id = ?', [`during ${i}`, 2 * ((i * 7) % 45)]);
        await db.run('DELETE FROM item WHERE id = ?', [2 * ((i * 13) % 40) + (i % 40 === 0 ? 1 : 0)]);
        await db.run('INSERT INTO item(name) VALUES (?)', [`new ${i}`]);
        if (i === 20)
          await db.exec("ALTER TABLE item ADD COLUMN later TEXT DEFAULT 'd'; ALTER TABLE pair DROP COLUMN v");
        if (i % 10 === 0 && moments.length < 8) moments.push({ lsn: db.lsn(), picture: picture(sql) });
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      const [first, second] = await backups;
      expect(second.lsn >= first.lsn).toBe(true);
      const { lsn } = await db.backup();
      expect(lsn).toBe(db.lsn());
      moments.push({ lsn, picture: picture(sql) });
      const manifest = (await paths(store)).filter((path) => path.startsWith('base/item'));
      expect(manifest.length).toBeGreaterThan(1);
      for (const moment of [...moments.slice(0, 2), ...moments.slice(-2)])
        await withRestored({ from: store, at: { lsn: moment.lsn } }, async ({ sql: restored }) => {
          expect(picture(restored)).toEqual(moment.picture);
        });
    },
    {},
    cold(store),
  );
}, 60_000);

it('backs up cold rows whose file still waits in the object for the cold store', async () => {
  const files = createMemoryBackend();
  const store = new FailingStore(files);
  const rows = 'SELECT * FROM reading ORDER BY id';
  await withCold(
    async (db) => {
      await db.exec('CREATE TABLE reading(id INTEGER PRIMARY KEY, at TEXT)');
      await db.run(
        "INSERT INTO reading(at) VALUES ('2026-01-01T00:00:00.000Z'), ('2026-01-01T01:00:00.000Z'), ('2026-01-02')",
      );
      await db.tier('reading', { column: 'at', hotFor: '1d' });
      store.beginAtRandom({ rates: { before: 1 } });
      await db.tierPass();
      store.end();
      expect(await db.tierStatus()).toMatchObject([{ coldRows: 2, waiting: { files: 1 } }]);
      await db.backup();
      const all = await db.query(rows);
      await withRestored({ from: files }, async (storage, _, open) => {
        const restored = await open({ storage: createTieredBackend(createDOBackend(storage), files, {}) });
        expect(await restored.query(rows)).toEqual(all);
      });
      await db.tierPass();
      expect(await db.tierStatus()).toMatchObject([{ coldRows: 2, waiting: { files: 0 } }]);
      expect(await db.query(rows)).toEqual(all);
    },
    // In the future, so that no alarm goes off that moves the file.
    { clock: () => Date.UTC(2046, 0, 1) },
    cold(store),
  );
});

/** A store that gives half of the files of tables when it is read. */
class ShortStore extends FailingStore {
  isShort = false;

  override async read(path: string): Promise<Uint8Array | null> {
    const bytes = await super.read(path);
    return this.isShort && path.startsWith('tables/') && bytes !== null
      ? bytes.subarray(0, bytes.length >> 1)
      : bytes;
  }
}

it('says that the cold store is to be asked again, not that a file is gone, when it gives a part of one', async () => {
  const store = new ShortStore(createMemoryBackend());
  await withCold(
    async (db) => {
      await db.exec('CREATE TABLE reading(id INTEGER PRIMARY KEY, at TEXT)');
      await db.run("INSERT INTO reading(at) VALUES ('2026-01-01T00:00:00.000Z'), ('2026-01-02')");
      await db.tier('reading', { column: 'at', hotFor: '1d' });
      while ((await db.tierPass()).more);
      expect(await db.tierStatus()).toMatchObject([{ coldRows: 1, waiting: { files: 0 } }]);
      store.isShort = true;
      const error = await failure(db.backup());
      store.isShort = false;
      expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
      expect(error.message).toMatch(/gives \d+ bytes of ".*", which has \d+: back up again later/);
      await db.backup();
    },
    { clock: () => Date.UTC(2046, 0, 1) },
    cold(store),
  );
});
