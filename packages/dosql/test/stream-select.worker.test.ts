import { createCDC, type ChangeEvent, type SubscribeOptions } from '@dotdo/cdc';
import { describe, expect, it } from 'vitest';
import type { Database } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

/** What a stream from the beginning gives of what is there now: operation, key, before, after. */
async function seen(
  db: Database,
  options: SubscribeOptions = {},
  from: bigint | string = 0n,
): Promise<unknown[]> {
  const cdc = createCDC(db);
  const slot = await cdc.slot(`s ${Math.random()}`, { ...options, fromLSN: from });
  const events = await slot.read(10_000);
  await slot.drop();
  return events.map((event) =>
    'key' in event ? [event.op, event.key, event.before, event.after] : [event.op],
  );
}

const TASKS = 'CREATE TABLE tasks(id INTEGER PRIMARY KEY, owner TEXT, n INTEGER, note)';

describe('a selection', () => {
  it('where: a row that begins to satisfy it is inserted, one that ceases to is deleted', async () => {
    await withDatabase(async (db) => {
      await db.exec(TASKS);
      await db.exec(`INSERT INTO tasks VALUES (1, 'ann', 1, 'a'), (2, 'bob', 2, 'b');
        UPDATE tasks SET owner = 'ann' WHERE id = 2; UPDATE tasks SET n = 9; UPDATE tasks SET owner = NULL WHERE id = 1;
        UPDATE tasks SET id = 7 WHERE id = 2; DELETE FROM tasks`);
      const where = { TASKS: "owner = 'ann'" };
      const found = await seen(db, { tables: ['Tasks'], where, columns: { tasks: ['n'] } });
      expect(found).toEqual([
        ['insert', { id: 1 }, null, { n: 1 }],
        ['insert', { id: 2 }, null, { n: 2 }],
        ['update', { id: 1 }, { n: 1 }, { n: 9 }],
        ['update', { id: 2 }, { n: 2 }, { n: 9 }],
        ['delete', { id: 1 }, { n: 9 }, null],
        ['delete', { id: 2 }, { n: 9 }, null],
        ['insert', { id: 7 }, null, { n: 9 }],
        ['delete', { id: 7 }, { n: 9 }, null],
      ]);
    });
  });

  it('columns: updates of others are left out, and one of the key carries the key', async () => {
    await withDatabase(async (db) => {
      await db.exec(`CREATE TABLE t(code TEXT PRIMARY KEY, a, b, "__proto__"); INSERT INTO t VALUES ('x', 1, x'01', 3);
        UPDATE t SET a = 2; UPDATE t SET b = x'01'; UPDATE t SET b = x'02'; UPDATE t SET code = 'y'; UPDATE t SET "__proto__" = 4`);
      expect(await seen(db, { tables: ['t'], columns: { t: ['B'] } })).toEqual([
        ['insert', { code: 'x' }, null, { b: new Uint8Array([1]) }],
        ['update', { code: 'x' }, { b: new Uint8Array([1]) }, { b: new Uint8Array([2]) }],
        [
          'update',
          { code: 'x' },
          { b: new Uint8Array([2]), code: 'x' },
          { b: new Uint8Array([2]), code: 'y' },
        ],
      ]);
      const own = await seen(db, { tables: ['t'], columns: { t: ['__proto__'] } });
      expect(JSON.stringify(own.at(-1))).toBe('["update",{"code":"y"},{"__proto__":3},{"__proto__":4}]');
    });
  });

  it('a key that changes as the row comes into view is the new one', async () => {
    await withDatabase(async (db) => {
      await db.exec(`CREATE TABLE t(code TEXT PRIMARY KEY, a); INSERT INTO t VALUES ('x', 1); UPDATE t SET code = 'y', a = 5;
        UPDATE t SET code = 'z', a = 0`);
      expect(await seen(db, { tables: ['t'], where: { t: 'a > 3' } })).toEqual([
        ['insert', { code: 'y' }, null, { code: 'y', a: 5 }],
        ['delete', { code: 'y' }, { code: 'y', a: 5 }, null],
      ]);
    });
  });

  it('operations: only these, as the condition leaves them', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        `${TASKS}; INSERT INTO tasks VALUES (1, 'ann', 1, 'a'); UPDATE tasks SET n = 2; UPDATE tasks SET owner = 'bob'`,
      );
      const ops = async (options: SubscribeOptions): Promise<unknown[]> =>
        (await seen(db, { tables: ['tasks'], ...options })).map((event) => (event as unknown[])[0]);
      expect(await ops({ operations: ['update'] })).toEqual(['update', 'update']);
      expect(await ops({ operations: ['delete', 'insert'], where: { tasks: "owner = 'ann'" } })).toEqual([
        'insert',
        'delete',
      ]);
      expect(await ops({ operations: [] })).toEqual([]);
      expect(await ops({ operations: ['insert'], transactions: true })).toEqual([
        'begin',
        'insert',
        'commit',
      ]);
      const error = await failure(async () => ops({ operations: ['truncate' as never] }));
      expect(error.message).toBe(
        'BAD_PARAMETER: there is no operation "truncate", only insert, update and delete',
      );
    });
  });

  it('compares as the table does: affinities, collations, and columns added since with their defaults', async () => {
    await withDatabase(async (db) => {
      await db.exec(`CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, name TEXT COLLATE NOCASE);
        INSERT INTO t VALUES (1, 10, 'ANN'), (2, 9, 'bob'); ALTER TABLE t ADD COLUMN kind TEXT DEFAULT 'old';
        INSERT INTO t VALUES (3, 8, 'ann', 'new')`);
      const ids = async (where: string): Promise<unknown[]> =>
        (await seen(db, { tables: ['t'], where: { t: where } })).map(
          (event) => ((event as unknown[])[1] as { id: number }).id,
        );
      expect(await ids("n < '10'")).toEqual([2, 3]);
      expect(await ids("name = 'Ann'")).toEqual([1, 3]);
      expect(await ids("kind = 'old'")).toEqual([1, 2]);
      expect(await ids('t.id IN (1, 3) AND NOT (id = 3)')).toEqual([1]);
      expect(
        await ids("iif(name LIKE 'a%', length(name) + n, NULL) BETWEEN 11 AND 12 OR CAST(n AS TEXT) = '9'"),
      ).toEqual([2, 3]);
    });
  });

  it.each([
    [{ tables: ['nothing'] }, 'NO_SUCH_TABLE', 'no such table: nothing'],
    [{ tables: ['t'], columns: { t: ['b'] } }, 'NO_SUCH_COLUMN', 'no such column: t.b'],
    [{ tables: ['t'], where: { t: 'b = 1' } }, 'NO_SUCH_COLUMN', 'no such column: b'],
    [{ tables: ['t'], where: { t: '' } }, 'BAD_PARAMETER', 'is empty'],
    [{ tables: ['t'], where: { t: 'a = ' } }, 'SYNTAX', 'where of table "t": near ")"'],
    [{ tables: ['t'], where: { t: 'abs(a, 2)' } }, 'SYNTAX', 'wrong number of arguments'],
    [
      { tables: ['t'], where: { t: "json_extract('no', '$') = a" } },
      'SQLITE',
      'where of table "t": malformed JSON',
    ],
    [
      { tables: ['t'], where: { t: "json_extract('no', '$') = a" }, snapshot: 'initial' },
      'SQLITE',
      'malformed JSON',
    ],
    [{ tables: ['t'], where: { t: 'SELECT 1' } }, 'NO_SUCH_COLUMN', 'SELECT'],
    [
      { tables: ['t'], where: { u: 'a = 1' } },
      'BAD_PARAMETER',
      'name the table "u", which is not among tables',
    ],
    [{ where: { t: 'a = 1' } }, 'BAD_PARAMETER', 'need tables'],
    [{ tables: ['t'], where: { t: 'a = random()' } }, 'SYNTAX', 'calls random()'],
    [{ tables: ['t'], where: { t: 'a'.repeat(10_001) } }, 'BAD_PARAMETER', '10001 characters'],
  ] as [SubscribeOptions, string, string][])(
    'that is none is refused: %j',
    async (options, code, message) => {
      await withDatabase(async (db) => {
        await db.exec('CREATE TABLE t(a); INSERT INTO t VALUES (1)');
        const error = await failure(async () => seen(db, options));
        expect([error.code, error.message]).toEqual([code, expect.stringContaining(message)]);
      });
    },
  );
});

describe('a snapshot', () => {
  const collect = async (
    db: Database,
    options: SubscribeOptions,
    from: string | number = 0,
  ): Promise<ChangeEvent[]> => {
    const events: ChangeEvent[] = [];
    for await (const event of createCDC(db).subscribe(from, { snapshot: 'initial', ...options })) {
      events.push(event);
      if (event.op === 'snapshot-end') break;
    }
    return events;
  };

  it('gives every row once, in the order of the key, with writes going on, and what comes after', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(p TEXT, q REAL, v, PRIMARY KEY (p, q)) WITHOUT ROWID',
      );
      await db
        .run('INSERT INTO a SELECT value, 0 FROM generate_series(1, 100)')
        .catch(() =>
          db.run(
            'WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 100) INSERT INTO a SELECT n, 0 FROM s',
          ),
        );
      await db.run("INSERT INTO b VALUES ('x', 1, 0), ('x', 0.5, 0), ('', 2, 0)");
      const counts = new Map<string, number>();
      const order: unknown[] = [];
      const stream = createCDC(db).subscribe(0, { snapshot: 'initial', batch: 7 });
      for await (const event of stream) {
        if (event.op === 'snapshot-end') break;
        if (!('key' in event)) continue;
        const name = JSON.stringify([event.table, event.key]);
        counts.set(
          name,
          (counts.get(name) ?? 0) + (event.op === 'insert' ? 1 : event.op === 'delete' ? -1 : 0),
        );
        if (event.isSnapshot === true) order.push(event.key['id'] ?? event.key);
        if (order.length % 10 === 0) await db.run('UPDATE a SET v = v + 1 WHERE id % 10 = 0');
        if (order.length === 50)
          await db.exec('DELETE FROM a WHERE id IN (3, 80); INSERT INTO a VALUES (-1, 0), (200, 0)');
      }
      const ids = Array.from({ length: 100 }, (_, i) => i + 1).filter((id) => id !== 80);
      expect(order).toEqual([...ids, 200, { p: '', q: 2 }, { p: 'x', q: 0.5 }, { p: 'x', q: 1 }]);
      expect(counts.get('["a",{"id":3}]')).toBe(0);
      expect(counts.get('["a",{"id":-1}]')).toBe(1);
      expect([...counts.values()].every((count) => count === 0 || count === 1)).toBe(true);
    });
  });

  it('resumes at every one of its events', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE a(id TEXT PRIMARY KEY); CREATE TABLE b(k BLOB PRIMARY KEY) WITHOUT ROWID; CREATE TABLE c(v)',
      );
      await db.exec(
        "INSERT INTO a VALUES ('it''s'), (':[\"'), ('𝄞'); INSERT INTO b VALUES (x''), (x'00ff'), (9007199254740993); INSERT INTO c VALUES (1), (1)",
      );
      const whole = (await collect(db, { batch: 2 })).map((event) =>
        'key' in event ? [event.table, event.key] : event.op,
      );
      expect(whole).toHaveLength(9);
      const events = await collect(db, { batch: 2 });
      for (const [i, event] of events.entries()) {
        const { cursor } = event;
        if (cursor === undefined) continue;
        const rest = await collect(db, { batch: 3 }, cursor);
        expect(rest.map((each) => ('key' in each ? [each.table, each.key] : each.op))).toEqual(
          whole.slice(i + 1),
        );
      }
    });
  });

  it('reads no more at a time than it was asked to', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE a(id INTEGER PRIMARY KEY); CREATE TABLE b(id INTEGER PRIMARY KEY)');
      const numbers =
        'WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000) SELECT n FROM s';
      await db.exec(`INSERT INTO a ${numbers}; INSERT INTO b ${numbers}`);
      const pages: number[] = [];
      const read = db.backend.read.bind(db.backend);
      db.backend.read = async (...args) => {
        const page = await read(...args);
        pages.push(page.entries.length + (page.rows?.length ?? 0));
        return page;
      };
      let rows = 0;
      for await (const event of createCDC(db).subscribe(0, { snapshot: 'initial', batch: 64 })) {
        if (event.op === 'insert') rows++;
        if (event.op === 'snapshot-end') break;
        if (rows === 500) await db.run('UPDATE a SET id = id');
      }
      expect(rows).toBe(2_000);
      expect(Math.max(...pages)).toBe(64);
    });
  });

  it('only: ends with the last row; of nothing it is empty', async () => {
    await withDatabase(async (db) => {
      const only = async (): Promise<unknown[]> => {
        const events: unknown[] = [];
        for await (const { op } of createCDC(db).subscribe(0, { snapshot: 'only' })) events.push(op);
        return events;
      };
      expect(await only()).toEqual(['snapshot-end']);
      await db.exec('CREATE TABLE a(v)');
      expect(await only()).toEqual(['snapshot-end']);
      await db.exec('INSERT INTO a VALUES (1)');
      expect(await only()).toEqual(['insert', 'snapshot-end']);
    });
  });
});
