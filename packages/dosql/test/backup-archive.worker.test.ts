import { env } from 'cloudflare:workers';
import { createMemoryBackend, type FileStore } from '@dotdo/fsx';
import { runInDurableObject } from 'cloudflare:test';
import { expect, it } from 'vitest';
import { createCDC, DB, restore, type Change, type Database } from '../src/index.ts';
import { logPicture, picture, withCold, withRestored } from './support/backup.ts';
import { failure, newObject, withDatabase } from './support/database.ts';

const START = Date.parse('2026-03-01T00:00:00.000Z');
const DAY = 86_400_000;

const cold = (store: FileStore): { kind: 'tiered'; cold: FileStore } => ({ kind: 'tiered', cold: store });

async function pathsOf(store: FileStore, prefix = ''): Promise<string[]> {
  return (await store.list(prefix)).files.map(({ path }) => path);
}

/** A change a day. */
async function days(db: Database, clock: { now: number }, count: number): Promise<void> {
  for (let day = 0; day < count; day++) {
    await db.run('INSERT INTO entry(day) VALUES (?)', [(clock.now - START) / DAY]);
    clock.now += DAY;
    await db.alarm();
  }
}

it('archives changes before they are trimmed, and deletes archived ones that are too old', async () => {
  const store = createMemoryBackend();
  const clock = { now: START };
  await withCold(
    async (db, { sql }) => {
      await db.exec('CREATE TABLE entry(id INTEGER PRIMARY KEY, day)');
      await days(db, clock, 6);
      const early = { lsn: db.lsn(), picture: picture(sql) };
      await days(db, clock, 14);
      expect(Number((await db.earliest()).lsn)).toBeGreaterThan(Number(early.lsn));
      await db.backup();
      await withRestored({ from: store, at: { lsn: early.lsn } }, async (restored) => {
        expect(picture(restored.sql)).toEqual(early.picture);
      });
      const many = (await pathsOf(store, 'log/')).length;
      await days(db, clock, 40);
      await db.backup();
      clock.now += 2 * DAY;
      await db.run('INSERT INTO entry(day) VALUES (0)');
      await db.backup();
      expect(
        (await failure(withRestored({ from: store, at: { lsn: early.lsn } }, async () => undefined))).code,
      ).toBe('HISTORY_EXPIRED');
      expect(many).toBeGreaterThan(0);
      const then = picture(sql);
      await withRestored({ from: store }, async (restored) => expect(picture(restored.sql)).toEqual(then));
    },
    { clock: () => clock.now, history: { keep: '2d', archive: '15d' } },
    cold(store),
  );
});

it('trims nothing while the cold store takes nothing', async () => {
  const clock = { now: START };
  const store = createMemoryBackend();
  const refusing = new Proxy(store, {
    get: (target, key) =>
      key === 'write'
        ? () => Promise.reject(new Error('refused'))
        : (Reflect.get(target, key, target) as () => void).bind?.(target),
  });
  await withCold(
    async (db) => {
      await db.exec('CREATE TABLE entry(id INTEGER PRIMARY KEY, day)');
      await days(db, clock, 10);
      expect((await db.earliest()).lsn).toBe(0n);
      expect((await failure(db.backup())).code).toBe('STORAGE_UNAVAILABLE');
    },
    { clock: () => clock.now, history: { keep: '2d', archive: true } },
    cold(refusing),
  );
});

it('needs cold storage to archive to', async () => {
  const wanted = [{ history: { archive: true } }, { backup: { every: '10m' } }] as const;
  for (const options of wanted)
    expect((await failure(withDatabase(async () => undefined, options))).code).toBe('BAD_PARAMETER');
  const wrong = withCold(async () => undefined, { backup: { every: 'often' } }, cold(createMemoryBackend()));
  expect((await failure(wrong)).code).toBe('BAD_PARAMETER');
});

it('backs up by the alarm, and leaves in the cold store just what the newest backup needs', async () => {
  const clock = { now: START };
  const store = createMemoryBackend();
  await withCold(
    async (db, { sql }) => {
      await db.exec('CREATE TABLE entry(id INTEGER PRIMARY KEY, day)');
      await days(db, clock, 5);
      await db.run(
        "INSERT INTO entry(day) SELECT randomblob(1000) FROM json_each('[' || substr(replace(hex(zeroblob(300)), '0', ',1'), 2) || ']')",
      );
      const then = picture(sql);
      clock.now += DAY;
      expect((await db.alarm()).ran).toContain('dosql:backup');
      clock.now += 3 * DAY;
      await db.alarm();
      await withRestored({ from: store }, async (restored) => expect(picture(restored.sql)).toEqual(then));
      const [newest] = (await pathsOf(store, 'backup/')).toReversed();
      const text = new TextDecoder().decode((await store.read(newest as string)) as Uint8Array);
      for (const path of await pathsOf(store))
        expect(path === newest || text.includes(path), path).toBe(true);
      expect((await pathsOf(store, 'base/')).length).toBe(1);
    },
    { clock: () => clock.now, backup: { every: '10m' } },
    cold(store),
  );
});

it('goes on after a restore: numbers, changes, past and backups', async () => {
  const prefix = `on-${Math.random()}`;
  const from = { bucket: env.BUCKET, prefix };
  const changesOf = async (db: Database, after: bigint): Promise<Change[]> => {
    const found: Change[] = [];
    const last = db.lsn();
    for await (const change of createCDC(db).subscribe(after)) {
      found.push(change);
      if (change.lsn >= last) return found;
    }
    return found;
  };
  const then = await withCold(
    async (db, { sql }) => {
      await db.exec(
        'CREATE TABLE task(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT, owner REFERENCES person(id)); CREATE TABLE person(id INTEGER PRIMARY KEY); ' +
          'CREATE TRIGGER log AFTER INSERT ON task BEGIN UPDATE task SET title = upper(title) WHERE id = NEW.id; END',
      );
      await db.run('INSERT INTO person VALUES (1)');
      await db.run("INSERT INTO task(title, owner) VALUES ('a', 1), ('b', 1)");
      await db.backup();
      await db.run('DELETE FROM task WHERE id = 2');
      await db.run("UPDATE task SET title = 'c'");
      const draft = await db.branch('draft');
      await draft.run("UPDATE task SET title = 'on a branch'");
      await db.run("UPDATE task SET title = 'd'");
      await db.backup();
      return {
        lsn: db.lsn(),
        history: await db.history('task', 1),
        changes: await changesOf(db, 0n),
        past: await db.query('SELECT * FROM task FOR SYSTEM_TIME ALL ORDER BY id, _lsn_from'),
        earliest: await db.earliest(),
        picture: picture(sql),
      };
    },
    {},
    { cold: env.BUCKET, coldPrefix: prefix },
  );
  await runInDurableObject(newObject(), async (_, { storage }) => {
    await restore({ storage, from });
    expect(picture(storage.sql)).toEqual(then.picture);
    const db = await DB('test', { storage: { hot: storage, cold: env.BUCKET, coldPrefix: prefix } });
    expect(await db.history('task', 1)).toEqual(then.history);
    expect(await db.earliest()).toEqual(then.earliest);
    expect(await db.query('SELECT * FROM task FOR SYSTEM_TIME ALL ORDER BY id, _lsn_from')).toEqual(
      then.past,
    );
    expect(await changesOf(db, 0n)).toEqual(then.changes);
    expect((await failure(db.run("INSERT INTO task(title, owner) VALUES ('x', 7)"))).code).toBe(
      'CONSTRAINT_FOREIGNKEY',
    );
    const { lsn, lastRowId } = await db.run("INSERT INTO task(title, owner) VALUES ('e', 1)");
    expect(lsn).toBe(then.lsn + 2n);
    expect(lastRowId).toBe(3);
    expect(await db.get('SELECT title FROM task WHERE id = 3')).toEqual({ title: 'E' });
    const backup = await db.backup();
    expect(backup).toMatchObject({ lsn, segments: 1, files: 2 });
    const [now, log] = [picture(storage.sql), logPicture(storage.sql)];
    await withRestored({ from }, async (again) => {
      expect(picture(again.sql)).toEqual(now);
      expect(logPicture(again.sql)).toEqual(log);
    });
  });
});

it('begins anew when rows have been erased, and deletes the files that had them', async () => {
  const store = createMemoryBackend();
  await withCold(
    async (db, { sql }) => {
      await db.exec('CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT)');
      await db.run("INSERT INTO person(name) VALUES ('Ada'), ('Canary of the cage')");
      await db.backup();
      await db.run("UPDATE person SET name = 'Canary again' WHERE id = 2");
      await db.backup();
      await db.purge('person', { where: 'id = 2' });
      await db.backup();
      const then = picture(sql);
      await withRestored({ from: store }, async (restored) => {
        expect(picture(restored.sql)).toEqual(then);
        expect(logPicture(restored.sql).join('\n')).not.toContain('Canary');
      });
      expect((await pathsOf(store, 'backup/')).length).toBe(1);
      expect((await pathsOf(store, 'base/')).length).toBe(1);
      expect((await pathsOf(store, 'log/')).length).toBe(1);
    },
    {},
    cold(store),
  );
});

it('refers to the cold files of tiered tables', { timeout: 30_000 }, async () => {
  const prefix = `tiered-${Math.random()}`;
  const clock = { now: START };
  const options = { clock: (): number => clock.now, history: { keep: '60d' } };
  const queries = [
    'SELECT * FROM reading ORDER BY id',
    'SELECT sensor, count(*), sum(value) FROM reading GROUP BY sensor ORDER BY sensor',
  ];
  const answers = async (db: Database): Promise<unknown[]> =>
    Promise.all(queries.map((sql) => db.query(sql)));
  const moments: { lsn: bigint; answers: unknown[] }[] = [];
  await withCold(
    async (db) => {
      await db.exec('CREATE TABLE reading(id INTEGER PRIMARY KEY, sensor TEXT, value REAL, at TEXT)');
      const write = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) {
          clock.now += DAY / 8;
          await db.run('INSERT INTO reading(sensor, value, at) VALUES (?, ?, ?)', [
            'abc'.charAt(i % 3),
            i,
            new Date(clock.now).toISOString(),
          ]);
        }
      };
      const note = async (): Promise<void> =>
        void moments.push({ lsn: db.lsn(), answers: await answers(db) });
      await write(40);
      await db.tier('reading', { column: 'at', hotFor: '1d' });
      await db.tierPass();
      await note();
      await db.backup();
      await db.run('UPDATE reading SET value = -1 WHERE id IN (2, 5)');
      await db.run('DELETE FROM reading WHERE id = 9');
      await note();
      await write(10);
      await db.tierPass();
      await db.run('UPDATE reading SET value = -2 WHERE id = 5');
      await note();
      await db.backup();
    },
    options,
    { cold: env.BUCKET, coldPrefix: prefix },
  );
  for (const { lsn, answers: then } of moments)
    await withRestored({ from: { bucket: env.BUCKET, prefix }, at: { lsn } }, async (storage, _, open) => {
      const db = await open({ ...options, storage: { hot: storage, cold: env.BUCKET, coldPrefix: prefix } });
      expect(await answers(db)).toEqual(then);
      expect(await db.tierStatus()).toMatchObject([{ table: 'reading' }]);
      await db.tierPass();
      expect(await answers(db)).toEqual(then);
    });
});

it(
  'makes a new base when more has come than it holds, and reaches back behind it',
  { timeout: 30_000 },
  async () => {
    const store = createMemoryBackend();
    const clock = { now: START };
    await withCold(
      async (db, { sql }) => {
        await db.exec('CREATE TABLE entry(id INTEGER PRIMARY KEY, day, data BLOB)');
        const moments: { lsn: bigint; picture: string[] }[] = [];
        for (let round = 0; round < 4; round++) {
          for (let i = 0; i < 5; i++) {
            await db.run('INSERT INTO entry(day, data) VALUES (?, randomblob(40000))', [i + 0.5]);
            await db.run('UPDATE entry SET day = 5.0 WHERE id = ?', [i]);
            moments.push({ lsn: db.lsn(), picture: picture(sql) });
          }
          await db.exec(`ALTER TABLE entry ADD COLUMN c${round} TEXT DEFAULT 'x'`);
          await db.backup();
          clock.now += DAY / 2;
        }
        const text = async (path: string): Promise<string> =>
          new TextDecoder().decode((await store.read(path)) as Uint8Array);
        const newest = (await pathsOf(store, 'backup/')).at(-1) as string;
        const { base } = JSON.parse(await text(newest)) as { base: { first: number } };
        expect(base.first).toBeGreaterThan(Number(moments[3]?.lsn));
        for (const moment of moments.filter((_, i) => i % 3 === 0))
          await withRestored({ from: store, at: { lsn: moment.lsn } }, async (restored) =>
            expect(picture(restored.sql)).toEqual(moment.picture),
          );
      },
      { clock: () => clock.now },
      cold(store),
    );
  },
);

it('reads large tables piece by piece, whatever their keys are', { timeout: 60_000 }, async () => {
  const store = createMemoryBackend();
  await withCold(
    async (db, { sql }) => {
      await db.exec(
        'CREATE TABLE pair(v, a, b TEXT COLLATE NOCASE, PRIMARY KEY(a, b)) WITHOUT ROWID; CREATE TABLE plain(v BLOB, r REAL)',
      );
      const keys = [
        '1',
        '1.5',
        '5.0',
        "'5'",
        "'x'",
        "x'00'",
        '9223372036854775807',
        '-9223372036854775808',
        '-0.0',
      ];
      for (const key of keys)
        for (const b of ['A', 'b', 'ü'])
          await db.run(`INSERT INTO pair VALUES (randomblob(1000000), ${key}, ?)`, [b]);
      for (const rowid of ['-9223372036854775808', '0', '9007199254740993', '9223372036854775807'])
        await db.run(`INSERT INTO plain(rowid, v, r) VALUES (${rowid}, randomblob(1900000), -0.0)`);
      await db.run('INSERT INTO plain(rowid, v) SELECT value, randomblob(1000000) FROM json_each(?)', [
        '[1, 2, 3, 4, 5, 6]',
      ]);
      await db.backup();
      expect((await pathsOf(store, 'base/pair')).length).toBeGreaterThan(2);
      expect((await pathsOf(store, 'base/plain')).length).toBeGreaterThan(1);
      const then = picture(sql);
      await withRestored({ from: store }, async (restored) => expect(picture(restored.sql)).toEqual(then));
    },
    {},
    cold(store),
  );
});
