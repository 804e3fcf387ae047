import { evictDurableObject } from 'cloudflare:test';
import {
  LiveClient,
  liveQuery,
  rowKey,
  type LiveQuery,
  type LiveStatus,
  type RowChange,
} from '@dotdo/cdc/client';
import { afterEach, describe, expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { byKey, inside, newLiveObject, socketsTo } from './support/live.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

interface Task {
  readonly id: number;
  readonly title: string;
}

let clients: LiveClient[] = [];

afterEach(() => {
  for (const client of clients) client.close();
  clients = [];
});

function connectTo(
  stub: ReturnType<typeof newLiveObject>,
  publication = 'board',
): { client: LiveClient; sockets: ReturnType<typeof socketsTo> } {
  const sockets = socketsTo(() => stub);
  const { WebSocket } = sockets;
  const client = new LiveClient({ url: 'http://do/live', publication, WebSocket, maxRetryMs: 20 });
  clients.push(client);
  return { client, sockets };
}

async function untilLive<T>(query: LiveQuery<T>): Promise<void> {
  await expect.poll(() => query.status, { timeout: 20_000 }).toBe('live');
}

async function tasks(db: Database): Promise<Map<string, unknown>> {
  return byKey(await db.query('SELECT * FROM tasks'), 'id');
}

describe('a live query', () => {
  it('has the rows that are there, then those that change, and tells what has changed', async () => {
    const stub = newLiveObject();
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('one'), ('two')"));
    const { client } = connectTo(stub);
    const query = client.query<Task>({ table: 'tasks', columns: ['title'], where: "status <> 'done'" });
    expect([query.status, query.rows.size]).toEqual(['connecting', 0]);
    const heard: RowChange<Task>[][] = [];
    query.onChange((changes) => heard.push([...changes]));
    await untilLive(query);
    const [one, two] = [
      { id: 1, title: 'one' },
      { id: 2, title: 'two' },
    ];
    expect([...query.rows]).toEqual([
      [rowKey(1), one],
      [rowKey(2), two],
    ]);
    await inside(stub, async (db) => {
      await db.transaction(async (tx) => {
        await tx.run("UPDATE tasks SET title = 'renamed' WHERE id = 1");
        await tx.run("UPDATE tasks SET status = 'done' WHERE id = 2");
        await tx.run("INSERT INTO tasks(id, title) VALUES (9, 'gone')");
        await tx.run('DELETE FROM tasks WHERE id = 9');
        await tx.run("INSERT INTO tasks(id, title) VALUES (3, 'three')");
      });
    });
    await expect.poll(() => heard.length).toBe(2);
    await inside(stub, async (db) => {
      await db.run("UPDATE tasks SET owner = 'not asked for' WHERE id = 1");
      await db.run('UPDATE tasks SET id = 4 WHERE id = 1');
    });
    await expect.poll(() => heard.length).toBe(3);
    expect(heard).toEqual([
      [
        { op: 'insert', key: '[1]', after: one },
        { op: 'insert', key: '[2]', after: two },
      ],
      [
        { op: 'update', key: '[1]', before: one, after: { id: 1, title: 'renamed' } },
        { op: 'delete', key: '[2]', before: two },
        { op: 'insert', key: '[3]', after: { id: 3, title: 'three' } },
      ],
      [
        { op: 'delete', key: '[1]', before: { id: 1, title: 'renamed' } },
        { op: 'insert', key: '[4]', after: { id: 4, title: 'renamed' } },
      ],
    ]);
  });

  it('shows a transaction whole, however large', async () => {
    const stub = newLiveObject();
    const { client } = connectTo(stub);
    const query = client.query({ table: 'tasks' });
    await untilLive(query);
    const sizes: number[] = [];
    query.onChange(() => sizes.push(query.rows.size));
    for (const [from, to] of [
      [1, 2_500],
      [2_501, 4_000],
    ])
      await inside(stub, (db) =>
        db.run(
          'WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO tasks(id, title) SELECT i, hex(randomblob(100)) FROM n',
          [from as number, to as number],
        ),
      );
    await expect.poll(() => query.rows.size).toBe(4_000);
    expect(sizes).toEqual([2_500, 4_000]);
  });

  it('keeps values of every kind, and rows with keys of every kind', async () => {
    const stub = newLiveObject();
    const { client } = connectTo(stub);
    const words = client.query({ table: 'words', columns: ['n'] });
    const loose = client.query({ table: 'loose' });
    await Promise.all([untilLive(words), untilLive(loose)]);
    await inside(stub, async (db) => {
      await db.run(
        "INSERT INTO words VALUES ('a', 0, 9223372036854775807), ('__proto__', 0, x'00ff'), ('', 0, NULL)",
      );
      await db.run("UPDATE words SET word = 'b' WHERE word = 'a'");
      await db.run("UPDATE words SET word = 'it''s 漢', n = 1e999 WHERE word = 'b'");
      await db.run("INSERT INTO loose VALUES ('x'), ('x')");
      await db.run("UPDATE loose SET rowid = 7, v = 'y' WHERE rowid = 2");
      await db.run('DELETE FROM loose WHERE rowid = 1');
    });
    await expect.poll(() => loose.rows.get(rowKey(7))).toEqual({ rowid: 7, v: 'y' });
    expect(loose.rows.size).toBe(1);
    await expect.poll(() => words.rows.get(rowKey("it's 漢"))?.['n']).toBe(Infinity);
    expect([...words.rows.values()]).toEqual([
      { word: '__proto__', n: new Uint8Array([0, 255]) },
      { word: '', n: null },
      { word: "it's 漢", n: Infinity },
    ]);
  });

  it('goes offline with its rows, comes back by itself, and gets what it has missed', async () => {
    const stub = newLiveObject();
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('one'), ('two')"));
    const { client, sockets } = connectTo(stub);
    const query = client.query({ table: 'tasks' });
    const statuses: LiveStatus[] = [];
    query.subscribe(() => {
      if (statuses.at(-1) !== query.status) statuses.push(query.status);
    });
    await untilLive(query);
    sockets.breakDown();
    expect([query.status, query.rows.size]).toEqual(['offline', 2]);
    await inside(stub, (db) => db.run('DELETE FROM tasks WHERE id = 1'));
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('missed')"));
    await expect.poll(() => sockets.urls.length).toBeGreaterThan(3);
    const before = sockets.bytes().length;
    sockets.mend();
    await untilLive(query);
    expect(query.rows).toEqual(await inside(stub, tasks));
    expect(sockets.bytes().slice(before)).not.toContain('isSnapshot');
    expect(statuses).toEqual(['connecting', 'live', 'offline', 'connecting', 'live']);
    await evictDurableObject(stub, { webSockets: 'close' });
    await expect.poll(() => statuses.slice(5)).toEqual(['offline', 'connecting', 'live']);
  });

  it('starts again from a snapshot when the log is gone, and tells only what is different', async () => {
    const stub = newLiveObject();
    let now = Date.UTC(2100, 0);
    const options = { clock: () => now, history: { keep: '1h' } } as const;
    await inside(
      stub,
      (db) => db.run("INSERT INTO tasks(title) VALUES ('one'), ('two'), ('three')"),
      options,
    );
    const { client, sockets } = connectTo(stub);
    const query = client.query<Task>({ table: 'tasks', columns: ['title'] });
    await untilLive(query);
    sockets.breakDown();
    await inside(stub, async (db) => {
      const lsn = db.lsn();
      await db.run('DELETE FROM tasks WHERE id = 1');
      await db.run("UPDATE tasks SET title = 'other' WHERE id = 2");
      now += 10 * 3_600_000;
      for (let i = 0; i < 10; i++) {
        await db.run("INSERT INTO loose VALUES ('later')");
        now += 3_600_000;
        await db.alarm();
      }
      await expect(db.backend.read(lsn, 1)).rejects.toThrow('LSN_EXPIRED');
    });
    const heard: unknown[] = [];
    query.onChange((changes) => heard.push(...changes));
    sockets.mend();
    await untilLive(query);
    expect(query.rows).toEqual(
      new Map(Object.entries({ '[2]': { id: 2, title: 'other' }, '[3]': { id: 3, title: 'three' } })),
    );
    expect(heard).toEqual([
      { op: 'delete', key: '[1]', before: { id: 1, title: 'one' } },
      { op: 'update', key: '[2]', before: { id: 2, title: 'two' }, after: { id: 2, title: 'other' } },
    ]);
  });

  it('is in step with a table that is altered, dropped, or made again', async () => {
    const stub = newLiveObject();
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('one'), ('two')"));
    const { client, sockets } = connectTo(stub);
    const query = client.query({ table: 'tasks' });
    await untilLive(query);
    await inside(stub, (db) => db.exec('ALTER TABLE tasks ADD COLUMN more DEFAULT 5'));
    await expect.poll(() => query.rows.get(rowKey(1))?.['more']).toBe(5);
    sockets.breakDown();
    await inside(stub, (db) => db.exec('ALTER TABLE tasks DROP COLUMN more; DROP TABLE tasks'));
    sockets.mend();
    await expect.poll(() => query.rows.size).toBe(0);
    await inside(stub, async (db) => {
      await db.exec('CREATE TABLE tasks(id TEXT PRIMARY KEY, name)');
      await db.run("INSERT INTO tasks VALUES ('x', 'new')");
    });
    await expect.poll(() => [...query.rows.values()]).toEqual([{ id: 'x', name: 'new' }]);
  });

  it('is kept over a reload, which gets only what it has missed', async () => {
    const stub = newLiveObject();
    await inside(stub, (db) =>
      db.run("INSERT INTO words VALUES ('a', x'01', 0), ('b', 9007199254740993, 0)"),
    );
    const kept = new Map<string, string>();
    const storages = [
      {
        getItem: (key: string) => kept.get(key) ?? null,
        setItem: (key: string, text: string) => kept.set(key, text),
      },
      {
        getItem: (key: string) => Promise.resolve(kept.get(key) ?? null),
        setItem: (key: string, text: string) => Promise.resolve(kept.set(key, text)),
      },
    ];
    const options = { table: 'words', where: "word <> 'c'" };
    for (const [i, storage] of storages.entries()) {
      const { client, sockets } = connectTo(stub);
      const query = client.query({ ...options, persist: { storage } });
      await untilLive(query);
      const n = i === 0 ? 0 : 200;
      expect([...query.rows.values()]).toEqual([
        { word: 'a', 'a b': new Uint8Array([1]), n },
        { word: 'b', 'a b': 9_007_199_254_740_993n, n },
      ]);
      expect(sockets.bytes().includes('isSnapshot')).toBe(i === 0);
      await inside(stub, (db) => db.run('UPDATE words SET n = ?', [i + 100]));
      await expect.poll(() => query.rows.get(rowKey('a'))?.['n']).toBe(i + 100);
      query.close();
      expect(query.status).toBe('closed');
      await inside(stub, (db) => db.run('UPDATE words SET n = ?', [i + 200]));
      expect(query.rows.get(rowKey('a'))?.['n']).toBe(i + 100);
    }
    expect(kept.size).toBe(1);
    // What somebody else has written there is not taken for rows; a storage that fails costs nothing else.
    for (const text of ['{', '{"v":1,"position":"1","rows":5}', '{"v":1,"position":"999999","rows":[]}']) {
      const { client } = connectTo(stub);
      const query = client.query({
        ...options,
        persist: { storage: { getItem: () => text, setItem: () => {} } },
      });
      await untilLive(query);
      await expect.poll(() => query.rows.size).toBe(2);
    }
    const errors: unknown[] = [];
    const broken = (): never => {
      throw new Error('no storage');
    };
    const { client } = connectTo(stub);
    const persist = {
      storage: { getItem: broken, setItem: broken },
      onError: (error: unknown) => errors.push(error),
    };
    const query = client.query({ ...options, persist });
    await untilLive(query);
    expect([query.rows.size, errors.length]).toEqual([2, 1]);
  });

  it('fails, and says why, when it asks for what it cannot have', async () => {
    const stub = newLiveObject();
    const { client } = connectTo(stub, 'open');
    const queries = [
      client.query({ table: 'members' }),
      client.query({ table: 'tasks' }),
      client.query({ table: 'people', columns: ['secret'] }),
      client.query({ table: 'people', where: 'secret = 1' }),
      client.query({ table: 'people', where: 'name = lower(' }),
    ];
    const masked = client.query({ table: 'accounts' });
    await untilLive(masked);
    await expect.poll(() => queries.map(({ status }) => status)).toEqual(queries.map(() => 'failed'));
    expect(queries.map(({ error }) => error?.code)).toEqual([
      'BAD_PARAMETER',
      'BAD_PARAMETER',
      'BAD_PARAMETER',
      'NO_SUCH_COLUMN',
      'SYNTAX',
    ]);
    expect(queries[0]?.error?.message).toContain('key');
    await inside(stub, async (db) => {
      await db.run("INSERT INTO accounts VALUES ('x', 1, 2), ('y', 2, 3)");
      await db.run("UPDATE accounts SET balance = 5 WHERE iban = 'x'");
      await db.run("UPDATE accounts SET iban = 'z' WHERE iban = 'x'");
      await db.run("DELETE FROM accounts WHERE iban = 'y'");
    });
    await expect.poll(() => [...masked.rows.values()].map(({ balance }) => balance)).toEqual([5]);
  });

  it('is the same to a framework until something changes', async () => {
    const stub = newLiveObject();
    const { client } = connectTo(stub);
    const query = client.query<Task>({ table: 'tasks' });
    await untilLive(query);
    const { getSnapshot, subscribe } = query;
    const before = getSnapshot();
    expect(getSnapshot()).toBe(before);
    expect(before).toEqual({ rows: [], status: 'live', error: undefined });
    let calls = 0;
    const stop = subscribe(() => calls++);
    await inside(stub, (db) => db.run("INSERT INTO words VALUES ('not ours', 0, 0)"));
    await inside(stub, (db) => db.run("INSERT INTO tasks(title) VALUES ('one')"));
    await expect.poll(() => getSnapshot().rows.map(({ title }) => title)).toEqual(['one']);
    expect(calls).toBe(1);
    stop();
    query.close();
    expect(calls).toBe(1);
  });

  it('has a connection of its own by liveQuery, with a token that is asked for each time', async () => {
    const stub = newLiveObject();
    const sockets = socketsTo(() => stub);
    let count = 0;
    const query = liveQuery<Task>({
      url: () => `https://do/live?token=${++count}`,
      publication: 'board',
      table: 'tasks',
      WebSocket: sockets.WebSocket,
      maxRetryMs: 5,
    });
    await untilLive(query);
    sockets.breakDown();
    sockets.mend();
    await untilLive(query);
    query.close();
    expect(sockets.urls.slice(0, 2)).toEqual([1, 2].map((i) => `wss://do/live?token=${i}&publication=board`));
    expect(count).toBe(sockets.urls.length);
  });

  for (const seed of seeds(7))
    it(`is in step whatever happens, with seed ${seed}`, async () => {
      const random = new Random(seed);
      const stub = newLiveObject();
      const connections = random.times(3, () => connectTo(stub));
      const condition = 'id % 3 <> 0';
      const all = connections.map(({ client }) => client.query({ table: 'tasks' }));
      const some = connections.map(({ client }) => client.query({ table: 'tasks', where: condition }));
      const words = connections.map(({ client }) => client.query({ table: 'words', columns: ['n'] }));
      for (let step = 0; step < 60; step++) {
        await inside(stub, (db) => write(db, random));
        const { sockets } = random.pick(connections);
        if (random.chance(0.15)) sockets.breakDown();
        if (random.chance(0.5)) for (const connection of connections) connection.sockets.mend();
        if (random.chance(0.15))
          await evictDurableObject(stub, { webSockets: random.chance(0.3) ? 'close' : 'hibernate' });
        if (random.chance(0.3)) await new Promise((resolve) => setTimeout(resolve, random.int(8)));
      }
      for (const { sockets } of connections) sockets.mend();
      await inside(stub, (db) =>
        db.run("INSERT INTO words VALUES ('last', 0, 0) ON CONFLICT DO UPDATE SET n = n + 1"),
      );
      await inside(stub, (db) => db.run("INSERT INTO tasks(id, title) VALUES (1000, 'last')"));
      const at = { timeout: 20_000, message: `seed ${seed}` };
      for (const query of [...all, ...some])
        await expect.poll(() => query.rows.has(rowKey(1000)), at).toBe(true);
      for (const query of words) await expect.poll(() => query.rows.has(rowKey('last')), at).toBe(true);
      const [rows, part, lexicon] = await inside(stub, async (db) => [
        await tasks(db),
        byKey(await db.query(`SELECT * FROM tasks WHERE ${condition}`), 'id'),
        byKey(await db.query('SELECT word, n FROM words'), 'word'),
      ]);
      for (const query of all) expect(query.rows).toEqual(rows);
      for (const query of some) expect(query.rows).toEqual(part);
      for (const query of words) expect(query.rows).toEqual(lexicon);
    }, 60_000);
});

/** Some random writes, sometimes in one transaction. */
async function write(db: Database, random: Random): Promise<void> {
  const statements = random.times(1 + random.int(6), (): [string, (string | number)[]] => {
    const [id, other] = [random.int(30), random.int(30)];
    return random.pick<[string, (string | number)[]]>([
      ['INSERT OR REPLACE INTO tasks(id, title) VALUES (?, ?)', [id, `title ${other}`]],
      ['UPDATE tasks SET title = ? WHERE id < ?', [`title ${other}`, id]],
      ['UPDATE OR REPLACE tasks SET id = ? WHERE id = ?', [id, other]],
      ['DELETE FROM tasks WHERE id = ?', [id]],
      ['INSERT OR REPLACE INTO words VALUES (?, ?, ?)', [`w${id}`, other, id]],
      ['UPDATE OR REPLACE words SET word = ? WHERE word = ?', [`w${id}`, `w${other}`]],
      ['UPDATE words SET "a b" = ?', [id]],
      ['DELETE FROM words WHERE n = ?', [id]],
    ]);
  });
  if (random.chance(0.5)) for (const [sql, params] of statements) await db.run(sql, params);
  else
    await db.transaction(async (tx) => {
      for (const [sql, params] of statements) await tx.run(sql, params);
    });
}
