import { describe, expect, it } from 'vitest';
import type { SqlParameter } from '../src/index.ts';
import { failure, withDatabase } from './support/database.ts';

describe('values', () => {
  it('go in and come out as documented', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE v(id INTEGER PRIMARY KEY, x)');
      const cases: [SqlParameter, unknown][] = [
        [null, null],
        [undefined, null],
        [true, 1],
        [false, 0],
        [1.5, 1.5],
        [0.1 + 0.2, 0.1 + 0.2],
        ['', ''],
        ['ünï\u{1f600}', 'ünï\u{1f600}'],
        [new Date(Date.UTC(2026, 10, 20, 12)), '2026-11-20T12:00:00.000Z'],
        [new Uint8Array([0, 255]), new Uint8Array([0, 255])],
        [new Uint8Array([1, 2, 3, 4]).subarray(1, 3), new Uint8Array([2, 3])],
        [new Uint8Array([7, 8]).buffer, new Uint8Array([7, 8])],
        [new Uint8Array(), new Uint8Array()],
        [5n, 5],
      ];
      for (const [i, [given, expected]] of cases.entries()) {
        await db.run('INSERT INTO v VALUES (?, ?)', [i, given]);
        expect(await db.get('SELECT x FROM v WHERE id = ?', [i])).toEqual({ x: expected });
        expect(await db.get('SELECT ? AS x', [given])).toEqual({ x: expected });
        expect((await db.history('v', i))[0]?.row).toEqual({ id: i, x: expected });
      }
    });
  });

  it('64-bit integers are exact both ways', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE v(id INTEGER PRIMARY KEY, x INTEGER, y TEXT, z REAL)');
      const big = 9_007_199_254_740_993n;
      for (const x of [big, -big, 2n ** 63n - 1n, -(2n ** 63n), 0n])
        await db.run('INSERT INTO v(x, y, z) VALUES (?, ?, ?)', [x, 'i5', 0.5]);
      const rows = await db.query('SELECT * FROM v ORDER BY id', [], { integers: 'bigint' });
      expect(rows.map(({ x }) => x)).toEqual([big, -big, 2n ** 63n - 1n, -(2n ** 63n), 0n]);
      expect(rows[0]).toEqual({ id: 1n, x: big, y: 'i5', z: 0.5 });
      expect(await db.get('SELECT typeof(?) AS t, ? = x AS same FROM v', [big, big])).toEqual({
        t: 'integer',
        same: 1,
      });
      expect(await db.get('SELECT x FROM v WHERE x = ?', [big], { integers: 'bigint' })).toEqual({ x: big });
      expect(
        await db.asOf({ lsn: db.lsn() }).get('SELECT max(x) AS x FROM v', [], { integers: 'bigint' }),
      ).toEqual({ x: 2n ** 63n - 1n });
      expect((await db.history('v', 1))[0]?.row).toMatchObject({ id: 1 });
      const { entries: changes } = await db.backend.read(0n, 100);
      expect(changes.map((change) => (change.op === 'insert' ? change.after?.x : 'schema'))).toEqual([
        'schema',
        big,
        -big,
        2n ** 63n - 1n,
        -(2n ** 63n),
        0,
      ]);
      expect((await failure(db.query('DELETE FROM v RETURNING x', [], { integers: 'bigint' }))).code).toBe(
        'BAD_PARAMETER',
      );
    });
  });

  it('more than 100 parameters work, of every kind', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE v(i INTEGER PRIMARY KEY, x, y TEXT)');
      const rows = Array.from({ length: 400 }, (_, i): SqlParameter[] => {
        const kinds: SqlParameter[] = [
          i,
          i / 3,
          `text "${i}" \\ \u{1f600}`,
          null,
          true,
          BigInt(i) * 10_000_000_000_000_000n,
          undefined,
          1e300,
          -0,
          `${i}`,
        ];
        return [i, i % 40 === 7 ? new Uint8Array([i & 255]) : kinds[i % kinds.length], `y${i}`];
      });
      await db.run(`INSERT INTO v VALUES ${rows.map(() => '(?, ?, ?)').join(', ')}`, rows.flat());
      await db.exec('CREATE TABLE w(i INTEGER PRIMARY KEY, x, y TEXT)');
      for (const row of rows) await db.run('INSERT INTO w VALUES (?, ?, ?)', row);
      const all = (table: string) =>
        db.query(`SELECT i, typeof(x) AS t, quote(x) AS q, y FROM ${table} ORDER BY i`);
      expect(await all('v')).toEqual(await all('w'));
      const wanted = Array.from({ length: 150 }, (_, i) => i * 2);
      expect(
        await db.query(`SELECT i FROM v WHERE i IN (${wanted.map(() => '?').join()})`, wanted),
      ).toHaveLength(150);
      const named = Object.fromEntries(wanted.map((i) => [`p${i}`, i]));
      expect(
        await db.query(`SELECT i FROM v WHERE i IN (${wanted.map((i) => `:p${i}`).join()})`, named),
      ).toHaveLength(150);
      expect(
        await db
          .asOf({ lsn: db.lsn() })
          .query(`SELECT i FROM v WHERE i IN (${wanted.map(() => '?').join()})`, wanted),
      ).toHaveLength(150);
    });
  });

  it('parameters are numbered and named as in SQLite', async () => {
    await withDatabase(async (db) => {
      expect(await db.get('SELECT ?2 AS a, ?1 AS b, ?2 AS c', ['x', 'y'])).toEqual({
        a: 'y',
        b: 'x',
        c: 'y',
      });
      expect(await db.get('SELECT :a AS a, @b AS b, $c AS c, :a AS d', { a: 1, '@b': 2, $c: 3 })).toEqual({
        a: 1,
        b: 2,
        c: 3,
        d: 1,
      });
      expect(
        await db.get('SELECT \'?\' AS a, ? AS b -- ?\n, ":x" AS c FROM (SELECT 1 AS ":x")', ['z']),
      ).toEqual({ a: '?', b: 'z', c: 1 });
      expect(await db.get('SELECT :__proto__ AS a', { ['__proto__']: 1 })).toEqual({
        a: 1,
      });
    });
  });

  it('a column named __proto__ does no harm, and raw() keeps equal names apart', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE p(id INTEGER PRIMARY KEY, "__proto__", constructor TEXT)');
      await db.run('INSERT INTO p VALUES (1, ?, ?)', [new Uint8Array([1]), 'c']);
      const row = await db.get('SELECT * FROM p');
      expect(Object.keys(row ?? {})).toEqual(['id', '__proto__', 'constructor']);
      expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
      expect(Object.getOwnPropertyDescriptor(row, '__proto__')?.value).toEqual(new Uint8Array([1]));
      const [version] = await db.history('p', 1);
      expect(Object.keys(version?.row ?? {})).toEqual(['id', '__proto__', 'constructor']);
      expect(await db.prepare('SELECT 1 AS a, 2 AS a').raw({ columnNames: true })).toEqual([
        ['a', 'a'],
        [1, 2],
      ]);
      expect(await db.query('SELECT 1 AS a, 2 AS a')).toEqual([{ a: 2 }]);
    });
  });
});

describe("D1's shapes", () => {
  it('prepare, bind, all, first, run, raw', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT)');
      const insert = db.prepare('INSERT INTO t(a) VALUES (?) RETURNING *');
      expect(await insert.bind('x').all()).toMatchObject({
        success: true,
        results: [{ id: 1, a: 'x' }],
        meta: { changes: 1, last_row_id: 1, changed_db: true, rows_written: 2 },
      });
      expect((await db.prepare('INSERT INTO t(a) VALUES (?1)').bind('y').run()).meta.last_row_id).toBe(2);
      const select = db.prepare('SELECT * FROM t WHERE a >= ? ORDER BY id').bind('x');
      expect(await select.first()).toEqual({ id: 1, a: 'x' });
      expect(await select.first('a')).toBe('x');
      expect(await select.raw()).toEqual([
        [1, 'x'],
        [2, 'y'],
      ]);
      expect(await db.prepare('SELECT * FROM t WHERE id = 9').first()).toBeNull();
      expect(await db.prepare('SELECT * FROM t WHERE id = 9').first('a')).toBeNull();
      expect((await failure(select.first('b'))).code).toBe('NO_SUCH_COLUMN');
      expect((await failure(db.prepare('SELECT ?').all())).code).toBe('BAD_PARAMETER');
    });
  });

  it('batch is atomic and tells of each statement', async () => {
    await withDatabase(async (db) => {
      await db.exec('CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT UNIQUE)');
      for (const count of [3, 100]) {
        const statements = Array.from({ length: count }, (_, i) => ({
          sql: 'INSERT INTO t(a) VALUES (?)',
          params: [`${count} ${i}`],
        }));
        const before = (await db.get<{ n: number }>('SELECT count(*) AS n FROM t'))?.n ?? 0;
        const results = await db.batch([...statements, { sql: 'SELECT count(*) AS n FROM t' }]);
        expect(results.slice(0, -1).map(({ lastRowId }) => lastRowId)).toEqual(
          statements.map((_, i) => before + i + 1),
        );
        expect(results.at(-1)?.rows).toEqual([{ n: before + count }]);
        expect(new Set(results.map(({ changes }) => changes))).toEqual(new Set([1, 0]));
        const lsn = db.lsn();
        const error = await failure(
          db.batch([
            ...statements.map(({ sql }, i) => ({ sql, params: [`again ${i}`] })),
            { sql: 'INSERT INTO t(a) VALUES (?)', params: [`${count} 0`] },
          ]),
        );
        expect(error.code).toBe('CONSTRAINT_UNIQUE');
        expect(await db.get('SELECT count(*) AS n FROM t')).toEqual({ n: before + count });
        expect(db.lsn()).toBe(lsn);
      }
      expect(await db.batch([])).toEqual([]);
      const [read] = await db.batch([db.prepare('SELECT ? AS a').bind(7)]);
      expect([read?.rows, read?.results]).toEqual([[{ a: 7 }], [{ a: 7 }]]);
    });
  });

  it('iterate gives row after row', async () => {
    await withDatabase(async (db) => {
      let sum = 0;
      for await (const { i } of db.iterate<{ i: number }>(
        'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT i FROM n',
        [1_000],
      ))
        sum += i;
      expect(sum).toBe(500_500);
      await db.exec('CREATE TABLE t(a)');
      expect((await failure(db.iterate('DELETE FROM t RETURNING a').next())).code).toBe('READ_ONLY');
    });
  });
});
