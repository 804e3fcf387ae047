import { describe, expect, it } from 'vitest';
import type { Database, SqlParameter } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';
import { rowsOf } from './support/rows-of.ts';

const START = Date.UTC(2030, 0, 1);
const iso = (ms: number): string => new Date(START + ms).toISOString();

interface Clock {
  ms: number;
}

/** A database whose clock stands at `clock.ms` after START. */
function withClock(
  use: (db: Database, clock: Clock, state: DurableObjectState) => Promise<void>,
): Promise<void> {
  const clock = { ms: 0 };
  return withDatabase((db, state) => use(db, clock, state), { clock: () => START + clock.ms });
}

/** A row that is 1 from 1 s, 2 from 2 s, 3 from 3 s and gone from 4 s; and one that is 9 from 2 s on. */
async function fill(db: Database, clock: Clock): Promise<number[]> {
  await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v INT)');
  const points = [Number(db.lsn())];
  for (const sql of [
    'INSERT INTO t VALUES (1, 1)',
    'UPDATE t SET v = 2; INSERT INTO t VALUES (2, 9)',
    'UPDATE t SET v = 3 WHERE id = 1',
    'DELETE FROM t WHERE id = 1',
  ]) {
    clock.ms += 1_000;
    await db.exec(sql);
    points.push(Number(db.lsn()));
  }
  clock.ms += 1_000;
  return points;
}

describe('FOR SYSTEM_TIME ALL', () => {
  it('gives every version of every row, with when it held', async () => {
    await withClock(async (db, clock) => {
      const [, one, two, three, four] = await fill(db, clock);
      expect(await rowsOf(db, 'SELECT * FROM t FOR SYSTEM_TIME ALL')).toEqual([
        [1, 1, iso(1_000), iso(2_000), one, two],
        [1, 2, iso(2_000), iso(3_000), two, three],
        [1, 3, iso(3_000), iso(4_000), three, four],
        [2, 9, iso(2_000), null, two, null],
      ]);
      const names = ['id', 'v', '_valid_from', '_valid_to', '_lsn_from', '_lsn_to'];
      expect(Object.keys((await db.query('SELECT * FROM t FOR SYSTEM_TIME ALL'))[0] ?? {})).toEqual(names);
    });
  });

  it('begins at the window where a row is older, and at the change where it is not', async () => {
    await withClock(async (db, clock, { storage }) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)');
      clock.ms = 5_000;
      await db.exec('UPDATE t SET v = 2 WHERE id = 1');
      const trimmed = Number(db.lsn());
      clock.ms = 6_000;
      await db.exec('UPDATE t SET v = 3 WHERE id = 2');
      // As trimming leaves it, its rows not yet deleted.
      storage.sql.exec("UPDATE __dosql_meta SET value = ? WHERE key = 'trimmed_lsn'", trimmed);
      storage.sql.exec(
        "UPDATE __dosql_meta SET value = (SELECT at FROM __dosql_log WHERE lsn = ?) WHERE key = 'trimmed_at'",
        trimmed,
      );
      expect(await rowsOf(db, 'SELECT * FROM t FOR SYSTEM_TIME ALL')).toEqual([
        [1, 2, iso(5_000), null, trimmed, null],
        [2, 1, iso(5_000), iso(6_000), trimmed, trimmed + 1],
        [2, 3, iso(6_000), null, trimmed + 1, null],
        [3, 1, iso(5_000), null, trimmed, null],
      ]);
      const before = failure(
        db.query('SELECT * FROM t FOR SYSTEM_TIME BETWEEN LSN ? AND ?', [trimmed - 1, trimmed]),
      );
      expect(await before).toMatchObject({ code: 'HISTORY_EXPIRED' });
      expect((await before).message).toContain(`the earliest point is LSN ${trimmed}, ${iso(5_000)}`);
      expect(
        await failure(db.query('SELECT * FROM t FOR SYSTEM_TIME FROM ? TO ?', [iso(0), iso(9_000)])),
      ).toMatchObject({ code: 'HISTORY_EXPIRED' });
    });
  });

  it('shows a transaction as one step', async () => {
    await withClock(async (db, clock, { storage }) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v)');
      await db.run('INSERT INTO t VALUES (1, 1)');
      const one = Number(db.lsn());
      clock.ms = 1_000;
      await db.transaction(async (tx) => {
        await tx.run('UPDATE t SET v = 2');
        await tx.run('UPDATE t SET v = 3');
        await tx.run('INSERT INTO t VALUES (2, 1)');
        await tx.run('DELETE FROM t WHERE id = 2');
        await tx.run('REPLACE INTO t VALUES (1, 4)');
        // What is not committed yet is the present of its own transaction, as one step too.
        expect((await tx.query('SELECT v FROM t FOR SYSTEM_TIME ALL')).length).toBe(2);
      });
      const two = Number(db.lsn());
      expect(await rowsOf(db, 'SELECT * FROM t FOR SYSTEM_TIME ALL')).toEqual([
        [1, 1, iso(0), iso(1_000), one, two],
        [1, 4, iso(1_000), null, two, null],
      ]);
      await db.transaction(async (tx) => void (await tx.run('DELETE FROM t'))).catch(() => undefined);
      // Every change made around DoSQL is a transaction of its own.
      storage.sql.exec('INSERT INTO t VALUES (7, 1)');
      storage.sql.exec('UPDATE t SET v = 2');
      db.lsn();
      expect(await rowsOf(db, 'SELECT v FROM t FOR SYSTEM_TIME ALL WHERE id = 7')).toEqual([[1], [2]]);
    });
  });
});

describe('BETWEEN and FROM … TO', () => {
  it('take the versions that their intervals meet, bounds by time or by LSN', async () => {
    await withClock(async (db, clock) => {
      const points = await fill(db, clock);
      const values = async (period: string, ...params: SqlParameter[]): Promise<unknown> =>
        (await rowsOf(db, `SELECT v FROM t FOR SYSTEM_TIME ${period}`, params)).flat();
      const at = (second: number): string => iso(second * 1_000);
      for (const [a, b, between, from] of [
        [0, 0, [], []],
        [0, 1, [1], []],
        [1, 1, [1], []],
        [1, 2, [1, 2, 9], [1]],
        [2, 3, [2, 3, 9], [2, 9]],
        [1, 4, [1, 2, 3, 9], [1, 2, 3, 9]],
        [4, 4, [9], []],
        [3, 2, [], []],
        [2, 1, [], []],
      ] as const) {
        const about = `${a} to ${b}`;
        const [low, high] = [points[a] as number, points[b] as number];
        expect(await values('BETWEEN ? AND ?', at(a), at(b)), about).toEqual(between);
        expect(await values('FROM ? TO ?', at(a), at(b)), about).toEqual(from);
        expect(await values('BETWEEN LSN ? AND LSN ?', low, high), about).toEqual(between);
        expect(await values('FROM LSN ? TO ?', BigInt(low), BigInt(high)), about).toEqual(from);
        expect(await values(`BETWEEN LSN ${low} AND ${high}`), about).toEqual(between);
        expect(
          await values('BETWEEN TIMESTAMP ? AND TIMESTAMP ?', new Date(START + a * 1_000), START + b * 1_000),
        ).toEqual(between);
        // Between the seconds nothing changes: the upper bound is then the same in or out.
        if (a <= b) expect(await values('FROM ? TO ?', at(a), at(b + 0.5)), about).toEqual(between);
      }
      expect(await values('BETWEEN datetime(?, ?) AND datetime(?)', at(1), '+1 seconds', at(2))).toEqual([
        2, 9,
      ]);
    });
  });

  it('may end in the future, which is now, and not begin there', async () => {
    await withClock(async (db, clock) => {
      const points = await fill(db, clock);
      const read = (period: string, ...params: SqlParameter[]): Promise<unknown[][]> =>
        rowsOf(db, `SELECT v FROM t FOR SYSTEM_TIME ${period}`, params);
      expect(await read('BETWEEN ? AND ?', iso(4_500), '9999-12-31')).toEqual([[9]]);
      expect(await read('FROM LSN ? TO ?', points[4], 1e12)).toEqual([[9]]);
      for (const [period, ...params] of [
        ['BETWEEN ? AND ?', iso(99_000), iso(100_000)],
        ['FROM LSN ? TO ?', 1e11, 1e12],
        ['BETWEEN ? AND ?', 'soon', iso(0)],
        ['BETWEEN ? AND ?', iso(0), null],
        ['BETWEEN LSN ? AND ?', 1, 'x'],
        ['FROM ? TO ?', new Date(Number.NaN), iso(0)],
      ] as [string, ...SqlParameter[]][])
        expect((await failure(read(period, ...params))).code, period).toBe('BAD_PARAMETER');
    });
  });

  it('read the schema of their end', async () => {
    await withClock(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, old); INSERT INTO t VALUES (1, 'x', 'gone'), (2, 'y', 'gone')",
      );
      const one = Number(db.lsn());
      await db.exec("ALTER TABLE t RENAME a TO b; UPDATE t SET b = 'X' WHERE id = 1");
      const two = Number(db.lsn());
      await db.exec("ALTER TABLE t ADD COLUMN n INT DEFAULT '5'; ALTER TABLE t DROP COLUMN old");
      await db.exec('ALTER TABLE t RENAME TO u; UPDATE u SET n = 6 WHERE id = 2');
      const read = async (sql: string, ...params: number[]): Promise<unknown> =>
        (await rowsOf(db, sql, params)).map((row) => row.join());
      expect(
        await read('SELECT id, a, old, _lsn_to FROM t FOR SYSTEM_TIME BETWEEN LSN ? AND ?', one, one),
      ).toEqual(
        [`1,x,gone,${two - 1}`, `2,y,gone,${Number(db.lsn())}`].map((text, i) =>
          i === 0 ? expect.stringMatching(/^1,x,gone,\d+$/) : text,
        ),
      );
      expect(await read('SELECT id, b, old FROM t FOR SYSTEM_TIME BETWEEN LSN ? AND ?', one, two)).toEqual([
        '1,X,gone',
        '1,x,gone',
        '2,y,gone',
      ]);
      expect(await read('SELECT id, b, n FROM u FOR SYSTEM_TIME ALL')).toEqual([
        '1,X,5',
        '1,x,5',
        '2,y,5',
        '2,y,6',
      ]);
      expect(await read('SELECT typeof(n) FROM u FOR SYSTEM_TIME ALL WHERE n < 6')).toEqual([
        'integer',
        'integer',
        'integer',
      ]);
      expect((await failure(db.query('SELECT old FROM u FOR SYSTEM_TIME ALL'))).code).toBe('NO_SUCH_COLUMN');
      expect((await failure(db.query('SELECT * FROM t FOR SYSTEM_TIME ALL'))).code).toBe('NO_SUCH_TABLE');
      await db.exec('DROP TABLE u');
      const end = Number(db.lsn());
      expect(
        await read(
          'SELECT id, n FROM u FOR SYSTEM_TIME BETWEEN LSN ? AND ? WHERE _lsn_to = ?',
          one,
          end - 1,
          end,
        ),
      ).toEqual(['1,5', '2,6']);
    });
  });
});

describe('a statement that reads versions', () => {
  it('may join, nest, compound and group them, and name itself in any way', async () => {
    await withClock(async (db, clock) => {
      await fill(db, clock);
      const flat = async (sql: string, ...params: SqlParameter[]): Promise<unknown> =>
        (await rowsOf(db, sql, params)).flat();
      expect(
        await flat('SELECT x.v FROM t FOR SYSTEM_TIME ALL AS x WHERE x.id = 1 ORDER BY x._lsn_from'),
      ).toEqual([1, 2, 3]);
      expect(await flat('SELECT v FROM t AS x FOR SYSTEM_TIME ALL WHERE "x".[id] = ?', 2)).toEqual([9]);
      expect(await flat('SELECT main.t.v FROM main.t FOR SYSTEM_TIME ALL WHERE main.t.id = 2')).toEqual([9]);
      expect(
        Object.keys(
          (await db.query('SELECT main.t.v, max(main.t.v) FROM main.t FOR SYSTEM_TIME ALL'))[0] ?? {},
        ),
      ).toEqual(['v', 'max(main.t.v)']);
      // Each change beside the version before it.
      expect(
        await flat(
          'SELECT a.v || b.v FROM t FOR SYSTEM_TIME ALL a JOIN t FOR SYSTEM_TIME ALL b ON a.id = b.id AND b._lsn_from = a._lsn_to',
        ),
      ).toEqual(['12', '23']);
      expect(
        await flat('SELECT n.v, (SELECT count(*) FROM t FOR SYSTEM_TIME ALL h WHERE h.id = n.id) FROM t n'),
      ).toEqual([9, 1]);
      expect(
        await flat(
          'WITH h AS (SELECT * FROM t FOR SYSTEM_TIME FROM ? TO ?) SELECT max(v) FROM h',
          iso(1_000),
          iso(3_000),
        ),
      ).toEqual([9]);
      expect(await flat('SELECT v FROM t FOR SYSTEM_TIME ALL EXCEPT SELECT v FROM t')).toEqual([1, 2, 3]);
      expect(await flat('SELECT v FROM t WHERE v IN (SELECT v FROM t FOR SYSTEM_TIME ALL)')).toEqual([9]);
      expect(await flat('SELECT count(*) FROM t FOR SYSTEM_TIME ALL')).toEqual([4]);
      expect(
        await flat(
          'SELECT v FROM t FOR SYSTEM_TIME ALL WHERE _valid_to <= ? AND _valid_from > ?',
          new Date(START + 3_000),
          new Date(START + 1_000),
        ),
      ).toEqual([2]);
      expect(
        await flat(
          'SELECT v FROM t FOR SYSTEM_TIME ALL WHERE _lsn_to IS NULL AND _lsn_from = CAST(_lsn_from AS TEXT)',
        ),
      ).toEqual([9]);
      expect(await flat('SELECT v FROM t FOR SYSTEM_TIME ALL INDEXED BY nothing WHERE id = 2')).toEqual([9]);
      expect(
        await flat('SELECT v FROM t FOR SYSTEM_TIME AS OF ? NOT INDEXED WHERE id = 2', iso(2_000)),
      ).toEqual([9]);
      await db.exec('CREATE TABLE keep(id INT, v INT, a, b, c, d)');
      await db.run('INSERT INTO keep SELECT * FROM t FOR SYSTEM_TIME ALL');
      expect(await flat('SELECT count(*), count(d) FROM keep')).toEqual([4, 3]);
      await db.run('DELETE FROM t WHERE v = (SELECT max(v) FROM t FOR SYSTEM_TIME ALL WHERE id = t.id)');
      expect(await flat('SELECT v FROM t')).toEqual([]);
      const rows = await db.query('SELECT _lsn_from FROM t FOR SYSTEM_TIME ALL LIMIT 1', [], {
        integers: 'bigint',
      });
      expect(typeof rows[0]?.['_lsn_from']).toBe('bigint');
    });
  });

  it.each([
    'SELECT * FROM t FOR SYSTEM_TIME',
    'SELECT * FROM t FOR SYSTEM_TIME BETWEEN 1',
    'SELECT * FROM t FOR SYSTEM_TIME BETWEEN 1 TO 2',
    'SELECT * FROM t FOR SYSTEM_TIME FROM 1 AND 2',
    'SELECT * FROM t FOR SYSTEM_TIME BETWEEN LSN 1 AND TIMESTAMP 2',
    'SELECT * FROM t FOR SYSTEM_TIME CONTAINED IN (1, 2)',
    'SELECT * FROM v FOR SYSTEM_TIME ALL',
    'SELECT * FROM v AS x FOR SYSTEM_TIME BETWEEN LSN 0 AND 1',
    'SELECT * FROM (SELECT * FROM t) FOR SYSTEM_TIME ALL',
    'CREATE VIEW w AS SELECT * FROM t FOR SYSTEM_TIME ALL',
    'SELECT * FROM t FOR SYSTEM_TIME BETWEEN id AND 2',
  ])('is told what is wrong with it: %s', async (sql) => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE VIEW v AS SELECT * FROM t');
      expect((await failure(db.query(sql))).code).toBe('SYNTAX');
    });
  });

  it('cannot write them, nor read what has none', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY); CREATE VIRTUAL TABLE f USING fts5(a)');
      for (const sql of [
        'UPDATE t FOR SYSTEM_TIME ALL SET id = 1',
        'DELETE FROM t FOR SYSTEM_TIME FROM LSN 0 TO 1',
      ])
        expect((await failure(db.run(sql))).code).toBe('READ_ONLY');
      for (const name of ['f', 'missing', 'sqlite_schema'])
        expect((await failure(db.query(`SELECT * FROM ${name} FOR SYSTEM_TIME ALL`))).code).toBe(
          'NO_SUCH_TABLE',
        );
    });
  });
});

describe('versions of every kind of table', () => {
  it.each([
    ['no key', 'CREATE TABLE "a b"("it\'s", v)'],
    ['a text key', 'CREATE TABLE "a b"("it\'s" TEXT PRIMARY KEY, v)'],
    ['a key without rowid', 'CREATE TABLE "a b"("it\'s" PRIMARY KEY, v) WITHOUT ROWID'],
    ['a composite key, strict', 'CREATE TABLE "a b"("it\'s" ANY, v ANY, PRIMARY KEY ("it\'s")) STRICT'],
    [
      'a key without regard to case',
      'CREATE TABLE "a b"("it\'s" TEXT COLLATE NOCASE PRIMARY KEY, v) WITHOUT ROWID',
    ],
    [
      'rows wider than the log',
      `CREATE TABLE "a b"("it's" PRIMARY KEY, ${Array.from({ length: 90 }, (_, i) => `c${i} TEXT DEFAULT 'x'`).join()}, v) WITHOUT ROWID`,
    ],
    ['generated columns', 'CREATE TABLE "a b"("it\'s" PRIMARY KEY, v, g AS (v || 1), s AS (v || 2) STORED)'],
  ])('%s', async (_, sql) => {
    await withDatabase(async (db) => {
      await db.exec(sql);
      const put = 'INSERT INTO "a b"("it\'s", v) VALUES (?, ?)';
      await db.run(put, ['k', 'ä💥']);
      await db.run(put, ['l', new Uint8Array([0, 255])]);
      const one = Number(db.lsn());
      await db.run('UPDATE "a b" SET v = ? WHERE "it\'s" = ?', [9_007_199_254_740_993n, 'k']);
      const changed = Number(db.lsn());
      await db.run('UPDATE "a b" SET "it\'s" = upper("it\'s") WHERE "it\'s" = ?', ['l']);
      const two = Number(db.lsn());
      await db.run('DELETE FROM "a b" WHERE "it\'s" = ?', ['k']);
      const three = Number(db.lsn());
      const read = `SELECT "it's", quote(v), _lsn_to FROM "a b" FOR SYSTEM_TIME`;
      const [k1, k2, l1, l2] = [
        ['k', "'ä💥'", changed],
        ['k', '9007199254740993', three],
        ['l', "X'00FF'", two],
        ['L', "X'00FF'", null],
      ];
      expect(await rowsOf(db, `${read} ALL`)).toEqual([l2, k1, k2, l1]);
      expect(await rowsOf(db, `${read} BETWEEN LSN ? AND ?`, [two, two])).toEqual([l2, k2]);
      await db.exec('DROP TABLE "a b"');
      const end = Number(db.lsn());
      expect(await rowsOf(db, `${read} BETWEEN LSN ? AND ?`, [one, one])).toEqual([k1, l1]);
      expect(await rowsOf(db, `${read} FROM LSN ? TO ?`, [three, end])).toEqual([['L', "X'00FF'", end]]);
    });
  });

  it('a table without key gives its rowids when asked, without adding them to a star', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(a); INSERT INTO t VALUES (1), (1)');
      const p = db.lsn();
      await db.exec('UPDATE t SET a = 2 WHERE rowid = 2');
      const names = async (sql: string, params: SqlParameter[] = []): Promise<unknown> =>
        Object.keys((await db.query(sql, params))[0] ?? {});
      expect(await rowsOf(db, 'SELECT rowid, a FROM t FOR SYSTEM_TIME ALL')).toEqual([
        [1, 1],
        [2, 1],
        [2, 2],
      ]);
      expect(await names('SELECT rowid, * FROM t FOR SYSTEM_TIME AS OF LSN ?', [p])).toEqual(['rowid', 'a']);
      expect(
        await names('SELECT x.*, x.rowid AS r FROM t FOR SYSTEM_TIME AS OF LSN ? x, json_each(?)', [
          p,
          '[1]',
        ]),
      ).toEqual(['a', 'r']);
      expect(await names('SELECT *, _rowid_ FROM t FOR SYSTEM_TIME ALL')).toEqual([
        'a',
        '_valid_from',
        '_valid_to',
        '_lsn_from',
        '_lsn_to',
        'rowid',
      ]);
      expect(await rowsOf(db, 'SELECT rowid, * FROM t FOR SYSTEM_TIME AS OF LSN ?', [p])).toEqual([
        [1, 1],
        [2, 1],
      ]);
    });
  });

  it("a table's own columns of these names stay its own", async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, _valid_from, __proto__); INSERT INTO t VALUES (1, 5, 6)',
      );
      const [row] = await db.query('SELECT * FROM t FOR SYSTEM_TIME ALL');
      expect(row?._valid_from).toBe(5);
      expect(Object.keys(row ?? {})).toEqual([
        'id',
        '_valid_from',
        '__proto__',
        '_valid_to',
        '_lsn_from',
        '_lsn_to',
      ]);
    });
  });

  it('rows of megabytes are split over the log and put together again', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT)');
      for (const letter of ['a', 'b', 'c'])
        await db.run('INSERT INTO t VALUES (1, ?) ON CONFLICT DO UPDATE SET a = excluded.a', [
          letter.repeat(1_900_000),
        ]);
      await db.run('UPDATE t SET id = 2, a = a');
      expect(await rowsOf(db, 'SELECT id, substr(a, 1, 1), length(a) FROM t FOR SYSTEM_TIME ALL')).toEqual([
        ['1', 'a', 1_900_000],
        ['1', 'b', 1_900_000],
        ['1', 'c', 1_900_000],
        ['2', 'c', 1_900_000],
      ]);
      expect((await db.history('t', '1')).map(({ row }) => String(row.a)[0])).toEqual(['a', 'b', 'c']);
      expect(await db.history('t', '2')).toHaveLength(1);
    });
  });
});

describe('the schema of the present', () => {
  it('reads the past with the columns and names of today', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a, gone); CREATE VIEW v AS SELECT id, a FROM t; INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)",
      );
      const lsn = db.lsn();
      await db.exec(
        "UPDATE t SET a = 'X' WHERE id = 1; DROP VIEW v; ALTER TABLE t RENAME a TO b; ALTER TABLE t DROP COLUMN gone",
      );
      await db.exec(
        "ALTER TABLE t ADD COLUMN s TEXT DEFAULT 'it''s'; ALTER TABLE t ADD COLUMN n INT DEFAULT -5; ALTER TABLE t ADD COLUMN x",
      );
      await db.exec(
        "ALTER TABLE t RENAME TO u; CREATE TABLE later(a); CREATE VIEW v AS SELECT id, b, s FROM u; UPDATE u SET s = 'new', n = 0, x = 1 WHERE id = 2; DELETE FROM u WHERE id = 3",
      );
      const then = db.asOf({ lsn }, { schema: 'present' });
      const rows = [
        { id: 1, b: 'x', s: "it's", n: -5, x: null },
        { id: 2, b: 'y', s: "it's", n: -5, x: null },
        { id: 3, b: 'z', s: "it's", n: -5, x: null },
      ];
      expect(await then.query('SELECT * FROM u ORDER BY id')).toEqual(rows);
      expect(await then.query('SELECT * FROM u WHERE id = 3')).toEqual(rows.slice(2));
      expect(await then.query('SELECT b FROM u WHERE n = ? AND s = ?', [-5, "it's"])).toHaveLength(3);
      expect(await then.query('SELECT * FROM v WHERE id = 1')).toEqual([{ id: 1, b: 'x', s: "it's" }]);
      expect(await then.query('SELECT * FROM later')).toEqual([]);
      expect((await failure(then.query('SELECT * FROM t'))).code).toBe('NO_SUCH_TABLE');
      expect(
        await db.query('SELECT b, n FROM u FOR SYSTEM_TIME AS OF LSN ? WHERE id = 2', [lsn], {
          schema: 'present',
        }),
      ).toEqual([{ b: 'y', n: -5 }]);
      expect(
        await db.query('SELECT b, n FROM u FOR SYSTEM_TIME BETWEEN LSN ? AND ? WHERE id = 1', [lsn, lsn], {
          schema: 'present',
        }),
      ).toEqual([{ b: 'x', n: -5 }]);
      // By default the schema is that of then.
      expect(await db.asOf({ lsn }).query('SELECT * FROM t WHERE id = 1')).toEqual([
        { id: 1, a: 'x', gone: 1 },
      ]);
      expect(await db.asOf({ lsn }).query('SELECT * FROM v WHERE id = 1')).toEqual([{ id: 1, a: 'x' }]);
    });
  });

  it.each([
    ['INT', '7', 7],
    ['INT', "'7'", 7],
    ['INT', "'seven'", 'seven'],
    ['TEXT', '7', '7'],
    ['TEXT', '(7)', '7'],
    ['REAL', '7', 7],
    ['', "x'00'", new Uint8Array([0])],
    ['', '-7.5', -7.5],
    ['', '(-7)', -7],
    ['', 'TRUE', 1],
    ['', 'word', 'word'],
    ['', '"a word"', 'a word'],
    ['NUMERIC', "'1e2'", 100],
    ['TEXT COLLATE NOCASE', "'d'", 'd'],
  ])('gives what ADD COLUMN gave: %s DEFAULT %s', async (type, literal, expected) => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)');
      const lsn = db.lsn();
      await db.exec(`ALTER TABLE t ADD COLUMN a ${type} DEFAULT ${literal}; DELETE FROM t WHERE id = 1`);
      const rows = await db
        .asOf({ lsn }, { schema: 'present' })
        .query('SELECT id, a, typeof(a) AS type FROM t ORDER BY id');
      expect(rows.map(({ a }) => a)).toEqual([expected, expected]);
      expect(rows[0]?.type).toBe(rows[1]?.type);
    });
  });

  it.each([
    ['', 'a || n'],
    ['TEXT', 'n'],
    ['TEXT', 'r'],
    ['TEXT', 'x'],
    ['INTEGER', 'a'],
    ['INTEGER', 'r'],
    ['INT', 'x'],
    ['REAL', 'n'],
    ['REAL', 'a'],
    ['NUMERIC', 'a'],
    ['NUMERIC', 'num'],
    ['TEXT COLLATE NOCASE', "a || ')' /* ) */"],
    ['', "a = 'ABC'"],
    ['', "n = '5'"],
    ['', "x = '5'"],
    ['', 'a = 5'],
    ['', 'num < "it\'s"'],
    ['BLOB', 'CAST(a AS BLOB)'],
    ['', 'later || "new"'],
    ['INTEGER', "iif(n > 3, json_extract('{\"k\": [7]}', '$.k[0]'), id)"],
  ])(
    'computes a generated column that has come since as SQLite does: %s AS (%s)',
    async (type, expression) => {
      const columns =
        'id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, n INTEGER, r REAL, x, num NUMERIC, "it\'s" INT';
      const rows = `(1, 'abc', 5, 5, '5', '5', 1), (2, 5, '6', 6.5, 5, 1e300, '7'), (3, ' 7.0 ', 'text', 'r', x'35', '0x10', NULL),
      (4, NULL, NULL, NULL, NULL, NULL, 0), (5, '9223372036854775807', 9223372036854775807, -9223372036854775808, 2.0, 9007199254740993, 5), (6, x'00', 1.5, '1e2', -0.0, 'é', 6)`;
      const added = `ADD COLUMN later DEFAULT 'l'; ALTER TABLE t ADD COLUMN g ${type} GENERATED ALWAYS AS (${expression}) VIRTUAL`;
      await withDatabase(async (db) => {
        await db.exec(
          `CREATE TABLE t(${columns}); INSERT INTO t VALUES ${rows}; CREATE TABLE same(${columns})`,
        );
        const lsn = db.lsn();
        await db.exec(
          `INSERT INTO same VALUES ${rows}; ALTER TABLE same ${added.replaceAll(' t ', ' same ')}`,
        );
        await db.exec('UPDATE t SET n = 0, x = 0 WHERE id < 4; DELETE FROM t WHERE id = 5');
        await db.exec(`ALTER TABLE t ${added}; UPDATE t SET a = 'new' WHERE id = 6`);
        const shown = (from: string): string =>
          `SELECT id, typeof(g) || quote(g), g = 'ABC)', later FROM ${from}`;
        const expected = await rowsOf(db, shown('same'));
        const read = (sql: string): Promise<unknown[]> =>
          db.query(sql, [lsn], { schema: 'present' }).then((found) => found.map((row) => Object.values(row)));
        expect(await read(`${shown('t FOR SYSTEM_TIME AS OF LSN ?')} ORDER BY id`)).toEqual(expected);
        const versions = 't FOR SYSTEM_TIME BETWEEN LSN ? AND ?1';
        expect(await read(`${shown(versions)} ORDER BY id`)).toEqual(expected);
        for (const id of [1, 5, 6]) {
          const one = expected.filter((row) => row[0] === id);
          expect(await read(`${shown('t FOR SYSTEM_TIME AS OF LSN ?')} WHERE id = ${id}`)).toEqual(one);
          expect(await read(`${shown(versions)} WHERE id = ${id}`)).toEqual(one);
        }
        // All versions have the columns of the present, on a branch as well.
        const first = `${shown('t FOR SYSTEM_TIME ALL')} WHERE _lsn_from <= ${lsn}`;
        expect(await rowsOf(db, first)).toEqual(expected);
        const branch = await db.branch('b');
        await branch.run('UPDATE t SET n = 1');
        expect(await rowsOf(branch, first)).toEqual(expected);
      });
    },
  );

  it('computes generated columns from one another, in whichever order they have come', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(a, _lsn_to); INSERT INTO t VALUES (1, 0), (2, 0)');
      const lsn = db.lsn();
      await db.exec('UPDATE t SET a = 3 WHERE a = 2');
      await db.exec(
        'ALTER TABLE t ADD COLUMN b INT AS (a * 10); ALTER TABLE t ADD COLUMN c TEXT AS (a || \'/\' || b); ALTER TABLE t RENAME a TO "the a"',
      );
      const then = db.asOf({ lsn }, { schema: 'present' });
      expect(await then.query('SELECT rowid, c, * FROM t')).toEqual([
        { rowid: 1, c: '1/10', 'the a': 1, _lsn_to: 0, b: 10 },
        { rowid: 2, c: '2/20', 'the a': 2, _lsn_to: 0, b: 20 },
      ]);
      expect(await then.query('SELECT c FROM t WHERE b = 20')).toEqual([{ c: '2/20' }]);
      expect(
        await db.query('SELECT c, _valid_to IS NULL AS now FROM t FOR SYSTEM_TIME ALL ORDER BY c'),
      ).toEqual([
        { c: '1/10', now: 1 },
        { c: '2/20', now: 0 },
        { c: '3/30', now: 1 },
      ]);
    });
  });
});

describe('a point in time', () => {
  it.each<[string, SqlParameter]>([
    ['a Date', new Date(START + 2_500)],
    ['ms', START + 2_500],
    ['a bigint of ms', BigInt(START + 2_500)],
    ['ISO-8601', '2030-01-01T00:00:02.500Z'],
    ['ISO-8601 with an offset', '2030-01-01T05:30:02.5+05:30'],
    ['an offset without colon', '2029-12-31 16:00:02.5-0800'],
    ["SQLite's form", '2030-01-01 00:00:02.500'],
    ['seconds only', '2030-01-01 00:00:02'],
    ['more digits than ms', ' 2030-01-01T00:00:02.999999z '],
  ])('may be %s, for a handle and in SQL', async (_, point) => {
    await withClock(async (db, clock) => {
      await fill(db, clock);
      const expected = [{ v: 2 }];
      const where = 'WHERE id = 1';
      expect(
        await db
          .asOf(typeof point === 'bigint' ? Number(point) : (point as Date))
          .query(`SELECT v FROM t ${where}`),
      ).toEqual(expected);
      for (const period of ['AS OF ?', 'AS OF TIMESTAMP ?', 'BETWEEN ? AND ?1'])
        expect(await db.query(`SELECT v FROM t FOR SYSTEM_TIME ${period} ${where}`, [point])).toEqual(
          expected,
        );
    });
  });

  it('may be an expression without columns', async () => {
    await withClock(async (db, clock) => {
      await fill(db, clock);
      for (const point of [
        "datetime('2030-01-01', '+2 seconds')",
        "'2030-01-01 00:00' || ':02'",
        `${START} + 2500`,
        `(SELECT ${START + 2_500})`,
        "strftime('%Y-%m-%dT%H:%M:%fZ', '2030-01-01', '+2.5 seconds')",
        "datetime(?, '-1 seconds')",
      ])
        expect(
          await db.query(
            `SELECT v FROM t FOR SYSTEM_TIME AS OF ${point} WHERE id = 1`,
            point.includes('?') ? [new Date(START + 3_000)] : [],
          ),
          point,
        ).toEqual([{ v: 2 }]);
    });
  });

  it.each([
    '',
    'now',
    'yesterday',
    '2030',
    '2030-01',
    '2030-02-30',
    '2030-01-01T25:00',
    '2030-01-01 1:00',
    '1893456002500',
    Number.NaN,
    Number.POSITIVE_INFINITY,
    null,
    new Uint8Array([1]),
    true,
    undefined,
    START + 999_999_999,
  ])('is not %s', async (point) => {
    await withClock(async (db, clock) => {
      await fill(db, clock);
      for (const period of ['AS OF ?', 'BETWEEN ? AND ?1', "FROM '2030-01-01' TO ?"]) {
        const isFuture = typeof point === 'number' && Number.isFinite(point) && period.startsWith('FROM');
        const work = db.query(`SELECT * FROM t FOR SYSTEM_TIME ${period}`, [point]);
        if (isFuture) await work;
        else expect((await failure(work)).code, period).toBe('BAD_PARAMETER');
      }
      expect((await failure(() => db.asOf(point as string).query('SELECT * FROM t'))).code).toBe(
        'BAD_PARAMETER',
      );
    });
  });
});
