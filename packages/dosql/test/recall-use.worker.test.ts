import { env } from 'cloudflare:workers';
import { createMemoryBackend, type FileStore } from '@dotdo/fsx';
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { expect, it, vi } from 'vitest';
import { createCDC, DB, restore, type Database, type DatabaseOptions } from '../src/index.ts';
import { picture, withCold } from './support/backup.ts';
import { failure, newObject, withDatabase } from './support/database.ts';
import { alarms, archivedDays, START, streamed } from './support/recall.ts';

vi.setConfig({ testTimeout: 120_000 });

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;

type Storage = DurableObjectStorage;

/** The end of a day. */
type Day = Awaited<ReturnType<typeof archivedDays>>[number];

interface Setting {
  readonly db: Database;
  readonly storage: Storage;
  readonly store: FileStore;
  readonly clock: { now: number };
  readonly days: readonly Day[];
}

/** A database of some days, of which the log has the last. */
function withDays<T>(
  use: (setting: Setting) => Promise<T>,
  history: DatabaseOptions['history'] = {},
  count: number = 6,
): Promise<T> {
  const store = createMemoryBackend();
  const clock = { now: START };
  return withCold(
    async (db, storage) =>
      use({ db, storage, store, clock, days: await archivedDays(db, storage.sql, clock, count) }),
    { clock: () => clock.now, history: { keep: '1d', archive: true, ...history } },
    { kind: 'tiered', cold: store },
  );
}

const count = (sql: SqlStorage, table = '__dosql_log'): number =>
  Number(sql.exec(`SELECT count(*) AS n FROM ${table}`).one()['n']);

it('every call that waits reads the archive, also when others hold the gate', async () => {
  const text = 'SELECT max(id) AS n FROM entry FOR SYSTEM_TIME AS OF LSN ';
  const calls: Record<string, (db: Database, lsn: bigint) => Promise<unknown>> = {
    query: (db, lsn) => db.query(text + lsn),
    'exact query': (db, lsn) => db.query(text + lsn, [], { integers: 'bigint' }),
    get: (db, lsn) => db.get(`${text}?`, [lsn]),
    'prepared statement': (db, lsn) => db.prepare(`${text}?`).bind(lsn).all(),
    iterate: async (db, lsn) => {
      for await (const row of db.asOf({ lsn }).iterate('SELECT max(id) AS n FROM entry')) return row;
      return undefined;
    },
    'as of a time': (db) => db.asOf({ ago: '4d' }).query('SELECT max(id) AS n FROM entry'),
    run: (db, lsn) => db.run(`INSERT INTO kept SELECT * FROM entry FOR SYSTEM_TIME AS OF LSN ${lsn}`),
    exec: (db, lsn) =>
      db.exec(`DELETE FROM kept; INSERT INTO kept SELECT * FROM entry FOR SYSTEM_TIME AS OF LSN ${lsn}`),
    batch: (db, lsn) => db.batch([{ sql: 'DELETE FROM kept' }, { sql: text + lsn }]),
    'large batch': (db, lsn) =>
      db.batch([...Array.from({ length: 40 }, () => ({ sql: 'DELETE FROM kept' })), { sql: text + lsn }]),
    explain: (db, lsn) => db.explain(text + lsn),
    arrow: async (db, lsn) => new Response(await db.arrow(text + lsn)).arrayBuffer(),
    copy: (db, lsn) => db.copy(text + lsn, 'fsx://copied.parquet'),
    history: (db) => db.history('entry', 1),
    blame: (db) => db.blame('entry', 1),
    restore: (db, lsn) => db.restore({ lsn }, { tables: ['entry'] }),
    revert: (db, lsn) => db.revert(lsn),
    'cherry pick': async (db, lsn) => db.cherryPick(lsn).catch(() => undefined),
    branch: (db, lsn) => db.branch('then', { from: { lsn } }),
    recall: (db, lsn) => db.recall({ lsn }),
    stream: (db, lsn) => createCDC(db).read(lsn),
  };
  for (const [name, call] of Object.entries(calls))
    for (const isHeld of [false, true])
      await withDays(
        async ({ db, days }) => {
          await db.exec('CREATE TABLE kept(id INTEGER PRIMARY KEY, day, text)');
          const { lsn } = days[1] as Day;
          expect((await db.earliest()).lsn).toBeGreaterThan(lsn);
          const other = isHeld ? db.transaction(async (tx) => void (await tx.query('SELECT 1'))) : undefined;
          await call(db, lsn);
          await other;
          expect((await db.earliest()).lsn, name).toBeLessThanOrEqual(lsn);
        },
        {},
        3,
      );
});

it('answers are those of then, in SQL, by handles, histories, streams and restoring', async () => {
  await withDays(async ({ db, storage, days }) => {
    for (const { lsn, ms } of days) {
      const then = await db.asOf({ lsn }).query('SELECT * FROM entry ORDER BY id');
      expect(await db.asOf(ms).query('SELECT * FROM entry ORDER BY id')).toEqual(then);
      expect(then.length).toBeGreaterThan(0);
    }
    const { lsn, picture: then } = days[2] as Day;
    await db.restore({ lsn });
    expect(picture(storage.sql)).toEqual(then);
    expect(await streamed(db, 0n)).toHaveLength(Number(db.lsn()) - 1);
  });
});

it('undoes one transaction that is in the archive only, and makes it again', async () => {
  await withDays(async ({ db, days }) => {
    const { lsn } = days[1] as Day;
    expect((await db.earliest()).lsn).toBeGreaterThan(lsn);
    expect(await db.revert(lsn)).toMatchObject({ inserted: 0, updated: 0, deleted: 1 });
    expect(await db.cherryPick(lsn)).toMatchObject({ inserted: 1, updated: 0, deleted: 0 });
  });
});

it('what cannot wait is told so, and reads what has been recalled before', async () => {
  await withDays(async ({ db, days }) => {
    const lsn = days[0]?.lsn as bigint;
    const text = `SELECT count(*) AS n FROM entry FOR SYSTEM_TIME AS OF LSN ${lsn}`;
    const waits = await failure(() => db.sql.exec(text));
    expect([waits.code, waits.reason]).toEqual([
      'WAITS',
      `LSN ${lsn} lies in the archive, which takes waiting: use db.query(), or await db.recall() before`,
    ]);
    for (const call of [
      db.transaction((tx) => tx.query(text)),
      db.transaction((tx) => tx.asOf({ ago: '5d' }).query('SELECT * FROM entry')),
      db.transaction((tx) => tx.batch([{ sql: text }])),
      db.transaction((tx) => tx.exec(`DELETE FROM entry; ${text}`)),
      db.transaction((tx) => tx.transaction((inner) => inner.get(text))),
    ])
      expect((await failure(call)).code).toBe('WAITS');
    expect((await failure(db.transaction(() => db.recall({ lsn })))).code).toBe('NESTED_TRANSACTION');
    await db.run("INSERT INTO entry(day) VALUES ('one')");
    const { lsn: recalled } = await db.recall({ lsn });
    expect(recalled).toBe(lsn);
    const expected = await db.query(text);
    expect(db.sql.exec(text).toArray()).toEqual(expected);
    expect(await db.transaction((tx) => tx.query(text))).toEqual(expected);
  });
});

it('nothing of SQLite tells that something was recalled', async () => {
  await withDays(async ({ db, days }) => {
    const { lastRowId } = await db.run("INSERT INTO entry(day) VALUES ('one'), ('two')");
    await db.recall({ lsn: days[0]?.lsn as bigint });
    expect(await db.query('SELECT last_insert_rowid() AS id, changes() AS n')).toEqual([
      { id: lastRowId, n: 2 },
    ]);
    const { lsn } = await db.run("INSERT INTO entry(day) VALUES ('three')");
    expect(db.lsn()).toBe(lsn);
    expect((await createCDC(db).read(lsn - 1n)).changes).toHaveLength(1);
  });
});

it('says where the archive begins, and that nothing lies before it', async () => {
  await withDays(async ({ db, days, clock }) => {
    const { lsn, archived } = await db.earliest();
    expect(archived).toEqual({ lsn: 0n, timestamp: new Date(START) });
    await expect(db.asOf(START - 1).query('SELECT * FROM entry')).rejects.toMatchObject({
      code: 'HISTORY_EXPIRED',
    });
    await db.asOf({ lsn: 0 }).query('SELECT 1');
    await db.recall({ lsn: 0 });
    expect(await db.earliest()).toEqual({ lsn: 0n, timestamp: new Date(START) });
    clock.now += 11 * MINUTE;
    await alarms(db, clock);
    expect((await db.earliest()).lsn).toBe(lsn);
    expect(days).toHaveLength(6);
  });
});

it('is kept for ten minutes after it was last read, and recalled again after that', async () => {
  await withDays(async ({ db, storage, clock, days }) => {
    const [{ lsn, picture: then }] = days as [Day];
    const hot = (await db.earliest()).lsn;
    const before = count(storage.sql);
    const read = async (): Promise<void> => {
      const rows = await db.asOf({ lsn }).query('SELECT * FROM entry');
      expect(rows).toHaveLength(then.filter((line) => line.startsWith('entry: ')).length);
    };
    for (let round = 0; round < 2; round++) {
      await read();
      expect((await db.earliest()).lsn).toBeLessThanOrEqual(lsn);
      expect(count(storage.sql)).toBeGreaterThan(before);
      for (let i = 0; i < 4; i++) {
        clock.now += 6 * MINUTE;
        await alarms(db, clock);
        expect((await db.earliest()).lsn).toBeLessThanOrEqual(lsn);
        await read();
      }
      const due = await storage.getAlarm();
      expect(due).toBeLessThanOrEqual(clock.now + 10 * MINUTE);
      clock.now += 11 * MINUTE;
      await alarms(db, clock);
      expect((await db.earliest()).lsn).toBe(hot);
      expect(count(storage.sql)).toBe(before);
      expect(count(storage.sql, '__dosql_tx')).toBe(0);
    }
  });
});

it('a lease follows points that move on with time, and survives the object', async () => {
  const store = createMemoryBackend();
  const stub = newObject();
  const clock = { now: START };
  const open = (storage: Storage): Promise<Database> =>
    DB('test', {
      storage: { kind: 'tiered', hot: { kind: 'durable-object', storage }, cold: store },
      clock: () => clock.now,
      history: { keep: '1d', archive: true },
    });
  await runInDurableObject(stub, async (_, { storage }) => {
    const db = await open(storage);
    const days = await archivedDays(db, storage.sql, clock, 6);
    await db.recall({ lsn: days[0]?.lsn as bigint });
    // Reading what is later keeps the earlier only for an hour.
    for (let i = 0; i < 14; i++) {
      clock.now += 6 * MINUTE;
      await db.recall({ lsn: days[3]?.lsn as bigint });
      await alarms(db, clock);
    }
    expect((await db.earliest()).lsn).toBeGreaterThan(days[0]?.lsn as bigint);
    expect((await db.earliest()).lsn).toBeLessThanOrEqual(days[3]?.lsn as bigint);
  });
  for (let i = 0; i < 3; i++) {
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (_, { storage }) => {
      const db = await open(storage);
      const { lsn } = await db.earliest();
      clock.now += 6 * MINUTE;
      await db.asOf({ lsn }).query('SELECT * FROM entry');
      await alarms(db, clock);
      expect((await db.earliest()).lsn).toBe(lsn);
    });
  }
});

it('brings back no more than history.recallBytes, and says what it would take', async () => {
  await withDays(
    async ({ db, days }) => {
      const [first, , , , late] = days as [Day, ...Setting['days']];
      const { lsn } = await db.earliest();
      const error = await failure(db.asOf({ lsn: first.lsn }).query('SELECT * FROM entry'));
      expect(error.code).toBe('TOO_BIG');
      expect(error.reason).toMatch(
        new RegExp(`^LSN ${first.lsn} lies so far back that \\d{3,} bytes .*history.recallBytes is 700`),
      );
      expect((await db.earliest()).lsn).toBe(lsn);
      const tooFar = await failure(createCDC(db).read(first.lsn));
      expect(tooFar.code).toBe('LSN_EXPIRED');
      expect(tooFar.reason).toContain('history.recallBytes');
      expect((await failure(db.history('entry', 1))).code).toBe('TOO_BIG');
      expect((await failure(db.blame('entry', 1))).code).toBe('TOO_BIG');
      expect((await db.blame('entry', 1, { since: { lsn } }))[0]).toMatchObject({
        column: 'id',
        op: undefined,
      });
      expect(await db.history('entry', 1, { since: { lsn } })).toHaveLength(1);
      const rows = await db.asOf({ lsn: late?.lsn as bigint }).query('SELECT * FROM entry');
      expect(rows.length).toBeGreaterThan(0);
      // What is there already counts.
      expect((await failure(db.asOf({ lsn: first.lsn }).query('SELECT * FROM entry'))).code).toBe('TOO_BIG');
    },
    { recallBytes: 700 },
  );
  expect((await failure(withDatabase(async () => undefined, { history: { recallBytes: 0 } }))).code).toBe(
    'BAD_PARAMETER',
  );
});

it('reads of the archive only as far back as a table, or what is asked of a row, goes', async () => {
  await withDays(async ({ db, clock, days }) => {
    await db.exec('CREATE TABLE young(id INTEGER PRIMARY KEY, v)');
    const { lsn: born } = await db.run('INSERT INTO young VALUES (1, 1)');
    clock.now += 2 * DAY;
    await db.run("UPDATE entry SET day = 'new', text = 'new' WHERE id = 1");
    await alarms(db, clock);
    const { lsn: hot } = await db.earliest();
    expect(await db.history('young', 1)).toHaveLength(1);
    const { lsn } = await db.earliest();
    expect(lsn).toBeLessThan(hot);
    expect(lsn).toBeLessThan(born);
    expect(lsn).toBeGreaterThan(days[3]?.lsn as bigint);
    await db.query('SELECT * FROM young FOR SYSTEM_TIME ALL');
    expect((await db.earliest()).lsn).toBe(lsn);
    const [id] = (await db.blame('entry', 1)).filter(({ column }) => column === 'id');
    expect(id?.op).toBe('insert');
    expect((await db.query('SELECT count(*) AS n FROM entry FOR SYSTEM_TIME ALL'))[0]).not.toEqual({ n: 0 });
    expect((await db.earliest()).lsn).toBeLessThan(days[0]?.lsn as bigint);
  });
});

it('without cold storage the archive is as if it were not there', async () => {
  const store = createMemoryBackend();
  const clock = { now: START };
  const stub = newObject();
  const history = { keep: '1d', archive: true } as const;
  const lsn = await runInDurableObject(stub, async (_, { storage }) => {
    const cold = { kind: 'tiered', hot: { kind: 'durable-object', storage }, cold: store } as const;
    const db = await DB('test', { storage: cold, clock: () => clock.now, history });
    const [first] = await archivedDays(db, storage.sql, clock, 3);
    return first?.lsn as bigint;
  });
  await runInDurableObject(stub, async (_, state) => {
    // The same object: what is open is asked anew.
    state.storage.sql.exec('DELETE FROM __dosql_segment');
    const db = await DB('test', { storage: state.storage });
    const error = await failure(db.asOf({ lsn }).query('SELECT * FROM entry'));
    expect(error.code).toBe('HISTORY_EXPIRED');
    expect((await db.earliest()).archived).toBeUndefined();
  });
});

it('a clock that stepped back before the first change does not make it try for ever', async () => {
  const clock = { now: START };
  await withCold(
    async (db, { sql }) => {
      clock.now = START - DAY;
      await archivedDays(db, sql, clock, 1);
      clock.now += 10 * DAY;
      await db.recall({ lsn: 0 });
      sql.exec("UPDATE __dosql_meta SET value = 1e7 WHERE key = 'trimmed_at'");
      expect((await failure(db.asOf(START).query('SELECT * FROM entry'))).code).toBe('HISTORY_EXPIRED');
    },
    { clock: () => clock.now, history: { keep: '1d', archive: true } },
    { kind: 'tiered', cold: createMemoryBackend() },
  );
});

it('branches read their past before the fork, and are not disturbed', async () => {
  await withDays(async ({ db, clock, days }) => {
    const draft = await db.branch('draft');
    await draft.run("UPDATE entry SET day = 'draft'");
    await draft.run("INSERT INTO entry(day) VALUES ('draft')");
    const rows = await draft.query('SELECT * FROM entry ORDER BY id');
    clock.now += 3 * DAY;
    await db.run("INSERT INTO entry(day) VALUES ('main')");
    await alarms(db, clock);
    const gone = await db.branch('gone');
    await gone.run("INSERT INTO entry(day) VALUES ('gone')");
    await alarms(db, clock);
    await db.dropBranch('gone');
    const { lsn, picture: then } = days[1] as Day;
    const wanted = then.filter((line) => line.startsWith('entry: ')).length;
    expect((await db.earliest()).lsn).toBeGreaterThan(lsn);
    const versions =
      'SELECT * FROM entry FOR SYSTEM_TIME ALL WHERE _lsn_from <= ?1 AND ifnull(_lsn_to > ?1, TRUE)';
    expect(await draft.query(versions, [lsn])).toHaveLength(wanted);
    expect(await draft.asOf({ lsn }).query('SELECT * FROM entry')).toHaveLength(wanted);
    expect(await draft.query('SELECT * FROM entry ORDER BY id')).toEqual(rows);
    expect((await draft.history('entry', 1)).map(({ op }) => op)).toContain('insert');
    const old = await db.branch('old', { from: { lsn: days[0]?.lsn as bigint } });
    const oldRows = await old.query('SELECT * FROM entry');
    expect(oldRows).toHaveLength(
      (days[0]?.picture ?? []).filter((line) => line.startsWith('entry: ')).length,
    );
    clock.now += 3 * DAY;
    await alarms(db, clock);
    expect((await db.earliest()).lsn).toBeLessThanOrEqual(days[0]?.lsn as bigint);
    await old.run("INSERT INTO entry(day) VALUES ('old')");
    expect(await old.query('SELECT * FROM entry')).toHaveLength(oldRows.length + 1);
    await db.dropBranch('old');
    expect((await db.merge('draft')).conflicts).toBeDefined();
    expect(await streamed(db, 0n)).not.toContain('gone');
  });
});

it('a stream from far back gives each change once, while others write; a client far away begins anew', async () => {
  await withDays(async ({ db, days }) => {
    const seen: bigint[] = [];
    const last = db.lsn() + 5n;
    const abort = new AbortController();
    const subscribed = (async () => {
      for await (const { lsn } of createCDC(db).subscribe(0, { signal: abort.signal })) {
        seen.push(lsn);
        if (lsn >= last) return;
      }
    })();
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await db.run('INSERT INTO entry(day) VALUES (?)', [`during ${i}`]);
    }
    await subscribed;
    const changes = (await createCDC(db).read(0, { limit: 100_000 })).changes.map(({ lsn }) => lsn);
    expect(seen).toEqual(changes);
    expect(new Set(seen).size).toBe(seen.length);
    expect(days).toHaveLength(6);
  });
  await withDays(async ({ db, days }) => {
    const { lsn } = days[0] as Day;
    const { lsn: hot } = await db.earliest();
    const error = await failure(db.backend.read(lsn, 10, undefined, undefined, true));
    expect([error.code, (await db.earliest()).lsn]).toEqual(['LSN_EXPIRED', hot]);
  });
});

it('a slot that was left behind goes on', async () => {
  const clock = { now: START };
  await withCold(
    async (db, { sql }) => {
      const slot = await createCDC(db).slot('late', { maxLag: { changes: 3 } });
      await archivedDays(db, sql, clock, 4);
      expect((await db.earliest()).lsn).toBeGreaterThan(3n);
      const events = await slot.read(100_000);
      expect(events.map(({ lsn }) => lsn)).toEqual(
        (await createCDC(db).read(0, { limit: 100_000 })).changes.map(({ lsn }) => lsn),
      );
    },
    { clock: () => clock.now, history: { keep: '1d', archive: true } },
    { kind: 'tiered', cold: createMemoryBackend() },
  );
});

it('a restored database reads its past beyond what it was restored with', async () => {
  const prefix = `recall-${Math.random()}`;
  const clock = { now: START };
  const options = { clock: () => clock.now, history: { keep: '1d', archive: true } } as const;
  const days = await withCold(
    async (db, { sql }) => {
      const found = await archivedDays(db, sql, clock, 6);
      await db.backup();
      return found;
    },
    options,
    { cold: env.BUCKET, coldPrefix: prefix },
  );
  await runInDurableObject(newObject(), async (_, { storage }) => {
    await restore({ storage, from: { bucket: env.BUCKET, prefix } });
    const db = await DB('test', {
      storage: { hot: storage, cold: env.BUCKET, coldPrefix: prefix },
      ...options,
    });
    for (const { lsn, picture: then } of days.toReversed()) {
      const rows = await db.asOf({ lsn }).query('SELECT * FROM entry');
      expect(rows).toHaveLength(then.filter((line) => line.startsWith('entry: ')).length);
    }
    await db.exec('DROP TABLE entry; CREATE TABLE entry(id INTEGER PRIMARY KEY, again)');
    await db.run('INSERT INTO entry VALUES (1, 1)');
    clock.now += 2 * DAY;
    await alarms(db, clock);
    expect(await db.asOf({ lsn: days[0]?.lsn as bigint }).query('SELECT * FROM entry')).not.toEqual([]);
    expect(await db.history('entry', 1)).toHaveLength(1);
  });
});
