import { describe, expect, it } from 'vitest';
import { withDatabase } from './support/database.ts';
import { ask, live } from './support/moments.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

const HISTORIES = 5;
const POINTS = 100;

describe.each(seeds(20_261_120))('seed %i', (seed) => {
  it('every point of the past answers as it did when it was the present', { timeout: 60_000 }, async () => {
    console.log(`as-of: VITE_SEED=${seed}`);
    let checked = 0;
    for (let history = 0; history < HISTORIES; history++) {
      const random = new Random(seed + history * 104_729);
      let now = Date.UTC(2030, 0, 1);
      const tick = (): number => (now += 1 + random.int(2_000));
      await withDatabase(
        async (db, { storage }) => {
          const moments = await live(db, storage.sql, random, tick, POINTS);
          for (const moment of moments)
            for (const { question, answer } of moment.asked) {
              const found = await ask(db, random, moment, question);
              const about = `history ${history}, LSN ${moment.lsn}: ${question.sql((table) => table)}`;
              expect(found.rows, about).toEqual(answer.rows);
              if (found.names.length > 0 && new Set(answer.names).size === answer.names.length)
                expect(found.names, about).toEqual(answer.names);
              checked++;
            }
        },
        { clock: () => now },
      );
    }
    console.log(`as-of: ${checked} answers of ${HISTORIES * POINTS} points`);
  });
});

const START = Date.UTC(2030, 0, 1);

describe('a statement that reads the past', () => {
  it('may read one table at two times, in joins, subqueries, CTEs and compounds', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')",
      );
      const p = db.lsn();
      await db.exec(
        "UPDATE t SET v = 'B' WHERE id = 2; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (4, 'd')",
      );
      const one = async (sql: string, params: readonly (bigint | number)[]): Promise<unknown> =>
        (
          await db
            .prepare(sql)
            .bind(...params)
            .raw()
        ).flat();
      const past = 't FOR SYSTEM_TIME AS OF LSN ?';
      expect(
        await one(`SELECT n.v || o.v FROM t AS n JOIN ${past} AS o USING (id) WHERE n.v <> o.v`, [p]),
      ).toEqual(['Bb']);
      expect(
        await one(`SELECT o.id FROM ${past} o LEFT JOIN t n ON n.id = o.id WHERE n.id IS NULL`, [p]),
      ).toEqual([3]);
      expect(
        await one(
          'SELECT o.id FROM t AS o FOR SYSTEM_TIME AS OF LSN ? WHERE o.id NOT IN (SELECT id FROM t)',
          [p],
        ),
      ).toEqual([3]);
      expect(await one(`WITH t AS (SELECT id FROM ${past}) SELECT max(id) FROM t`, [p])).toEqual([3]);
      expect(await one(`SELECT id FROM t EXCEPT SELECT id FROM ${past}`, [p])).toEqual([4]);
      expect(await one(`SELECT (SELECT count(*) FROM ${past}) FROM t LIMIT 1`, [p])).toEqual([3]);
      expect(
        await one('SELECT id FROM t FOR SYSTEM_TIME AS OF LSN (? + 0) WHERE v = ?', [Number(p), 5]),
      ).toEqual([]);
      expect(
        await db
          .asOf({ lsn: p })
          .query("SELECT count(*) AS n FROM json_each('[1, 3, 4]') WHERE value IN (SELECT id FROM t)"),
      ).toEqual([{ n: 2 }]);
      expect(
        await db.asOf({ lsn: p }).query('WITH k(id) AS (VALUES (3), (4)) SELECT id FROM t WHERE id IN k'),
      ).toEqual([{ id: 3 }]);
    });
  });

  it('gives a table that is made of it the types that its columns had, also of those that are gone', async () => {
    await withDatabase(async (db) => {
      const columns = ['i INTEGER', 'r REAL', 'n NUMERIC', 's TEXT COLLATE NOCASE', 'b'];
      await db.exec(
        `CREATE TABLE t(id INTEGER PRIMARY KEY, ${columns.join()}); INSERT INTO t VALUES (1, 1, 1.5, 2, 's', x'00'), (2, 2, -9e18, 3, 'S', 1); CREATE TABLE now AS SELECT * FROM t`,
      );
      const types = (table: string): Promise<unknown[]> =>
        db.query('SELECT name, type FROM pragma_table_info(?)', [table]);
      const p = db.lsn();
      for (const [i, column] of columns.entries()) {
        await db.run(`ALTER TABLE t DROP COLUMN ${column.split(' ', 1)[0]}`);
        for (const [j, form] of [`AS OF LSN ${p}`, `BETWEEN LSN ${p} AND ${p}`].entries()) {
          await db.exec(`CREATE TABLE made${i}_${j} AS SELECT * FROM t FOR SYSTEM_TIME ${form}`);
          expect((await types(`made${i}_${j}`)).slice(0, 6), form).toEqual(await types('now'));
        }
      }
      // Most rows have changed by now.
      await db.exec('INSERT INTO t SELECT value + 10 FROM json_each(json_array(1, 2, 3))');
      await db.exec(`CREATE TABLE later AS SELECT * FROM t FOR SYSTEM_TIME AS OF LSN ${p}`);
      expect(await types('later')).toEqual(await types('now'));
      expect(await db.query('SELECT * FROM later')).toEqual(await db.query('SELECT * FROM now'));
    });
  });

  it('may be one that writes, and reads the past as it was before it began', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, v INT); CREATE TABLE u(id INTEGER PRIMARY KEY, v INT)',
      );
      await db.exec('INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)');
      const p = db.lsn();
      await db.run('UPDATE t SET v = 100 WHERE id = 1');
      await db.run('INSERT INTO u SELECT * FROM t FOR SYSTEM_TIME AS OF LSN ?', [p]);
      expect(await db.get('SELECT group_concat(v) AS v FROM u')).toEqual({ v: '1,2,3' });
      // Each row's sum is over rows that the statement has changed by then.
      await db.run(
        'UPDATE t SET v = (SELECT sum(o.v) FROM t FOR SYSTEM_TIME AS OF LSN ? AS o WHERE o.id <> t.id)',
        [p],
      );
      expect(await db.get('SELECT group_concat(v) AS v FROM t')).toEqual({ v: '5,4,3' });
      await db.run('UPDATE t SET v = o.v FROM t FOR SYSTEM_TIME AS OF LSN ? AS o WHERE o.id = t.id', [p]);
      expect(await db.get('SELECT group_concat(v) AS v FROM t')).toEqual({ v: '1,2,3' });
      await db.run('DELETE FROM t WHERE v < (SELECT max(o.v) FROM t FOR SYSTEM_TIME AS OF LSN ? o)', [p]);
      expect(await db.get('SELECT group_concat(v) AS v FROM t')).toEqual({ v: '3' });
    });
  });

  it('gets no fewer parameters than others', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2)');
      const p = db.lsn();
      await db.run('UPDATE t SET v = 0');
      for (const count of [1, 98, 99, 100, 101, 250]) {
        const ids = Array.from({ length: count }, (_, i) => i);
        const sql = `SELECT v FROM t FOR SYSTEM_TIME AS OF LSN ? WHERE id IN (${ids.map(() => '?').join()})`;
        expect(await db.query(sql, [p, ...ids]), `${count}`).toEqual(
          count === 1 ? [] : count > 2 ? [{ v: 1 }, { v: 2 }] : [{ v: 1 }],
        );
      }
    });
  });

  it('finds rows by key through many lookups', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        'CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE k(a TEXT, b INT, v, PRIMARY KEY (a, b)) WITHOUT ROWID',
      );
      const points = [db.lsn()];
      for (let i = 1; i <= 30; i++) {
        await db.batch([
          { sql: 'INSERT INTO t VALUES (?, ?) ON CONFLICT DO UPDATE SET v = excluded.v', params: [i % 7, i] },
          { sql: 'REPLACE INTO k VALUES (?, ?, ?)', params: ['k', i % 5, i] },
        ]);
        if (i % 11 === 0) await db.run('DELETE FROM t WHERE id = ?', [i % 7]);
        points.push(db.lsn());
      }
      for (const lsn of points)
        for (let i = 0; i < 8; i++) {
          const all = await db.query<{ v: number }>(
            'SELECT id, v FROM t FOR SYSTEM_TIME AS OF LSN ? WHERE +id = ?',
            [lsn, i],
          );
          expect(
            await db.query('SELECT id, v FROM t FOR SYSTEM_TIME AS OF LSN ? WHERE id = ?', [lsn, i]),
          ).toEqual(all);
          expect(
            await db.query('SELECT id, v FROM t FOR SYSTEM_TIME AS OF LSN ? AS x WHERE ? = x.id AND v > 0', [
              lsn,
              String(i),
            ]),
          ).toEqual(all);
          const pair = await db.query('SELECT v FROM k FOR SYSTEM_TIME AS OF LSN ? WHERE +a = ? AND +b = ?', [
            lsn,
            'k',
            i,
          ]);
          expect(
            await db.query('SELECT v FROM k FOR SYSTEM_TIME AS OF LSN ? WHERE b = ? AND a = ?', [
              lsn,
              i,
              'k',
            ]),
          ).toEqual(pair);
        }
    });
  });
});

describe('the log', () => {
  it('has the triggers of the user fire after its own, however late they came', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a, at)');
      await db.exec(
        "CREATE TRIGGER fill AFTER INSERT ON T BEGIN UPDATE t SET at = 'new' WHERE id = NEW.id; END",
      );
      const p = db.lsn();
      await db.run('INSERT INTO t(id, a) VALUES (1, 1)');
      expect(await db.query('SELECT * FROM t FOR SYSTEM_TIME AS OF LSN ?', [p])).toEqual([]);
      expect((await db.history('t', 1)).map(({ op }) => op)).toEqual(['insert', 'update']);
    });
  });

  it.each([2, 47, 48, 60, 93, 94, 95, 96, 98, 100])(
    'keeps rows of %i columns, in a row of its own where they fit',
    async (count) => {
      await withDatabase(async (db) => {
        for (const [i, key] of ['id INTEGER PRIMARY KEY', 'id TEXT PRIMARY KEY', 'id INT'].entries()) {
          const columns = Array.from(
            { length: count - 1 },
            (_, at) => `c${at} ${['TEXT', 'INT', ''][at % 3]}`,
          );
          const suffix = key.includes('TEXT') ? ' WITHOUT ROWID' : '';
          // The key stands last, where a wide image has run out of columns.
          await db.exec(
            `CREATE TABLE t${i}(${[...columns, key].join()})${suffix}; INSERT INTO t${i}(id, c0) VALUES (1, 'x'), (2, 'y')`,
          );
          const before = await db.query(`SELECT * FROM t${i}`);
          const p = db.lsn();
          const { rowsWritten } = await db.run(`UPDATE t${i} SET c${count - 2} = 'z' WHERE id = 1`);
          if (count < 47) expect(rowsWritten).toBe(2);
          await db.run(`UPDATE t${i} SET id = 9 WHERE id = 2`);
          await db.exec(`ALTER TABLE t${i} RENAME TO u${i}; DROP TABLE u${i}`);
          expect(await db.query(`SELECT * FROM t${i} FOR SYSTEM_TIME AS OF LSN ?`, [p])).toEqual(before);
        }
      });
    },
  );

  it('reads across any number of versions of a table', async () => {
    await withDatabase(async (db) => {
      await db.exec(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a COLLATE NOCASE); INSERT INTO t VALUES (1, 'x'), (2, 'y')",
      );
      const points = [db.lsn()];
      for (let i = 0; i < 14; i++) {
        await db.exec(
          i % 3 === 2
            ? `ALTER TABLE t DROP COLUMN c${i - 1}`
            : `ALTER TABLE t ADD COLUMN c${i} TEXT DEFAULT 'd'`,
        );
        if (i % 2 === 0) await db.run('UPDATE t SET a = ? WHERE id = ?', [`x${i}`, 1 + (i % 4) / 2]);
        points.push(db.lsn());
      }
      expect(
        await db.query("SELECT a FROM t FOR SYSTEM_TIME AS OF LSN ? WHERE a = 'X'", [points[0]]),
      ).toEqual([{ a: 'x' }]);
      for (const point of points)
        expect(await db.query('SELECT id FROM t FOR SYSTEM_TIME AS OF LSN ?', [point])).toHaveLength(2);
      expect(await db.history('t', 1)).not.toHaveLength(0);
    });
  });

  it('holds both sides of an update of 2 MB', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b BLOB, n INT)');
      const size = 1_990_000;
      await db.run('INSERT INTO t VALUES (1, ?, NULL, NULL)', ['a'.repeat(size)]);
      const points = [db.lsn()];
      for (const set of [
        'a = zeroblob(0), b = zeroblob(1990000)',
        'b = NULL, n = CAST(zeroblob(1990000) AS TEXT)',
        "n = replace(hex(zeroblob(995000)), '0', 'b')",
      ]) {
        await db.run(`UPDATE t SET ${set}`);
        points.push(db.lsn());
      }
      await db.run('DELETE FROM t');
      const sizes =
        'SELECT typeof(a) || octet_length(a) AS a, octet_length(b) AS b, octet_length(n) AS n FROM t FOR SYSTEM_TIME AS OF LSN ?';
      const found = await Promise.all(points.map((point) => db.get(sizes, [point])));
      expect(found).toEqual([
        { a: `text${size}`, b: null, n: null },
        { a: 'blob0', b: size, n: null },
        { a: 'blob0', b: null, n: size },
        { a: 'blob0', b: null, n: size },
      ]);
    });
  });

  it('costs one billed row for a lone change, and says what others wrote, REPLACE deleted and cascades did', async () => {
    await withDatabase(async (db, { storage }) => {
      await db.exec(
        'CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE); CREATE TABLE c(id INTEGER PRIMARY KEY, p INT REFERENCES p(id) ON DELETE CASCADE ON UPDATE CASCADE)',
      );
      await db.exec('CREATE TABLE x(id INTEGER PRIMARY KEY, a)');
      for (const sql of ['INSERT INTO x VALUES (1, 1)', 'UPDATE x SET a = 2', 'DELETE FROM x'])
        expect((await db.run(sql)).rowsWritten, sql).toBe(2);
      const start = Number(db.lsn());
      storage.sql.exec('INSERT INTO p VALUES (1, 1)');
      storage.sql.exec('INSERT INTO c VALUES (1, 1)');
      const between = db.lsn();
      await db.run('REPLACE INTO p VALUES (2, 1)');
      await db.run('INSERT INTO c VALUES (5, 2)');
      await db.run('UPDATE p SET id = 3');
      await db.run('DELETE FROM p');
      const log = storage.sql.exec(
        'SELECT (SELECT name FROM __dosql_relation AS r WHERE r.id = l.rel) || op || k AS e FROM __dosql_log AS l WHERE lsn > ? ORDER BY lsn',
        start,
      );
      expect(log.toArray().map(({ e }) => e)).toEqual([
        'p11',
        'c11',
        'c31',
        'p31',
        'p12',
        'c15',
        'c25',
        'p32',
        'p13',
        'c35',
        'p33',
      ]);
      // A point between what others wrote and DoSQL's next write stays what it was.
      expect(await db.query('SELECT * FROM c FOR SYSTEM_TIME AS OF LSN ?', [between])).toEqual([
        { id: 1, p: 1 },
      ]);
    });
  });

  it('never shows half a transaction, by LSN or by time', async () => {
    let now = START;
    await withDatabase(
      async (db) => {
        await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
        const lsn = Number(db.lsn());
        await db.transaction(async (tx) => {
          for (let id = 1; id <= 3; id++) {
            now += 1_000;
            await tx.run('INSERT INTO t VALUES (?)', [id]);
          }
        });
        const count = async (point: { lsn: number } | number): Promise<unknown> =>
          (await db.asOf(point).get<{ n: number }>('SELECT count(*) AS n FROM t'))?.n;
        for (const i of [1, 2]) {
          expect(await count({ lsn: lsn + i })).toBe(0);
          expect(await count(START + i * 1_000 + 500)).toBe(0);
        }
        expect(await count(START + 3_000)).toBe(3);
      },
      { clock: () => now },
    );
  });

  it('reads a clock that steps back as one that stands still', async () => {
    let now = START;
    await withDatabase(
      async (db) => {
        await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY)');
        const counts: number[] = [];
        for (const [id, ms] of [5_000, 4_000, 9_000, 1_000, 2_000, 12_000].entries()) {
          now = START + ms;
          await db.run('INSERT INTO t VALUES (?)', [id]);
          const rows = await db.asOf(START + 4_500).query('SELECT * FROM t');
          counts.push(rows.length);
        }
        expect(counts).toEqual([0, 0, 0, 0, 0, 0]);
        const at = async (ms: number): Promise<number> =>
          (await db.asOf(START + ms).query('SELECT * FROM t')).length;
        expect([
          await at(4_999),
          await at(5_000),
          await at(8_999),
          await at(9_000),
          await at(11_999),
          await at(12_000),
        ]).toEqual([0, 2, 2, 5, 5, 6]);
      },
      { clock: () => now },
    );
  });
});
