import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { tableFromIPC } from 'apache-arrow';
import { expect, it, vi } from 'vitest';
import { DB, type Database } from '../src/index.ts';
import { failure, newObject } from './support/database.ts';

vi.setConfig({ testTimeout: 30_000 });

/** A database that reaches the bucket under a prefix of its own, and has a few customers. */
function withFiles(prefix: string, use: (db: Database) => Promise<void>): Promise<void> {
  return runInDurableObject(newObject(), async (_, { storage }) => {
    const db = await DB('test', {
      storage,
      buckets: { lake: { bucket: env.BUCKET, prefix: `files-${prefix}` } },
    });
    await db.exec(
      "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL); INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace'), (3, 'ü')",
    );
    await use(db);
  });
}

async function fill(db: Database, count = 1_000): Promise<void> {
  await db.exec(
    'CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, total REAL, day TEXT, note TEXT, raw BLOB)',
  );
  await db.run(
    'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) ' +
      "INSERT INTO orders SELECT i, i % 4, i / 8.0, '2026-01-0' || (1 + i % 5), iif(i % 3, 'n' || i, NULL), iif(i % 100, NULL, x'00ff') FROM n",
    [count],
  );
}

it('writes the rows of a query to a file, and reads them back as they were', async () => {
  await withFiles('copy', async (db) => {
    await fill(db);
    await db.run('INSERT INTO orders(id, customer, total) VALUES (?, ?, ?)', [2n ** 60n + 1n, 1, -0]);
    const result = await db.copy('SELECT * FROM orders', 'r2://lake/orders.parquet', { sortBy: ['day'] });
    expect(result).toMatchObject({ rows: 1_001, files: [{ url: 'r2://lake/orders.parquet', rows: 1_001 }] });
    const exact = { integers: 'bigint' } as const;
    expect(await db.query("SELECT * FROM 'r2://lake/orders.parquet' ORDER BY id", [], exact)).toEqual(
      await db.query('SELECT * FROM orders ORDER BY id', [], exact),
    );
    const { files } = await db.explain(
      "SELECT count(*) FROM 'r2://lake/orders.parquet' WHERE day = '2026-01-03'",
    );
    expect(files).toMatchObject({ engine: 'scan', files: { total: 1, read: 1 } });
  });
});

it('answers every kind of query over files: alone, joined, windowed, inserted from', async () => {
  await withFiles('queries', async (db) => {
    await fill(db);
    await db.copy('SELECT * FROM orders', 'r2://lake/orders', { partitionBy: ['day'] });
    const url = 'r2://lake/orders/day=*/*.parquet';
    const byDay = `SELECT extract(day FROM day) AS d, count(*) AS n FROM '${url}' GROUP BY 1 ORDER BY 1 LIMIT 1`;
    expect(await db.query(byDay)).toEqual([{ d: 1, n: 200 }]);
    const both = async (sql: string, params: (string | number)[] = []): Promise<void> => {
      const fromFiles = await db.query(sql.replaceAll('FILE', `'${url}'`), params);
      expect(fromFiles).toEqual(await db.query(sql.replaceAll('FILE', 'orders'), params));
      expect(fromFiles.length).toBeGreaterThan(0);
    };
    await both(
      'SELECT customer, count(*) AS n, sum(total) AS total FROM FILE GROUP BY customer ORDER BY customer',
    );
    await both('SELECT id, note FROM FILE WHERE day = ? AND total > ? ORDER BY id', ['2026-01-02', 50]);
    await both(
      'SELECT c.name, sum(o.total) AS s FROM FILE AS o JOIN customers c ON c.id = o.customer GROUP BY c.name ORDER BY 1',
    );
    await both(
      'SELECT id, rank() OVER (PARTITION BY day ORDER BY total DESC) AS r FROM FILE ORDER BY id LIMIT 7',
    );
    await both('SELECT count(*) AS n FROM FILE WHERE customer IN (SELECT id FROM customers WHERE name > ?)', [
      'B',
    ]);
    await both(
      'WITH t AS (SELECT day, total FROM FILE) SELECT day, max(total) AS m FROM t GROUP BY day ORDER BY day',
    );
    await both('SELECT id FROM FILE WHERE raw IS NOT NULL UNION SELECT id FROM customers ORDER BY id');
    const { files } = await db.explain(`SELECT count(*) FROM '${url}' WHERE day = '2026-01-03'`);
    expect(files).toMatchObject({ files: { total: 5, pruned: 4, read: 1 } });
    await db.exec('CREATE TABLE kept(id, total)');
    expect((await db.run(`INSERT INTO kept SELECT id, total FROM '${url}' WHERE customer = 2`)).changes).toBe(
      250,
    );
    const medians = await db.query(`SELECT median(total) AS m FROM '${url}'`);
    expect(medians).toEqual([{ m: 1_001 / 16 }]);
  });
});

it('reads CSV, NDJSON and JSON', async () => {
  await withFiles('text', async (db) => {
    const put = (name: string, text: string): Promise<unknown> => env.BUCKET.put(`files-text/${name}`, text);
    await put('a.csv', 'id,name,at\n1,"Ada, Countess",2026-01-01T00:00:00Z\n2,,2026-01-02 12:30:00\n');
    await put('b.ndjson', '{"id":1,"tags":["a"],"ok":true}\n{"id":9007199254740993,"name":"ü"}\n');
    await put('c.json', '[{"id":1,"total":1.5},{"id":2,"total":2}]');
    expect(await db.query("SELECT id, name FROM 'r2://lake/a.csv' ORDER BY id")).toEqual([
      { id: 1, name: 'Ada, Countess' },
      { id: 2, name: null },
    ]);
    expect(await db.query("SELECT * FROM 'r2://lake/b.ndjson'", [], { integers: 'bigint' })).toMatchObject([
      { id: 1n, tags: '["a"]', ok: 1n },
      { id: 9_007_199_254_740_993n, name: 'ü' },
    ]);
    expect(await db.query("SELECT sum(total) AS t FROM 'r2://lake/*.json'")).toEqual([{ t: 3.5 }]);
    expect(
      await db.query(
        "SELECT c.name, j.total FROM 'r2://lake/c.json' j JOIN customers c USING (id) ORDER BY 1",
      ),
    ).toEqual([
      { name: 'Ada', total: 1.5 },
      { name: 'Grace', total: 2 },
    ]);
  });
});

it('keeps files of its own, and gives Arrow', async () => {
  await withFiles('own', async (db) => {
    await fill(db, 10);
    await db.copy('SELECT id, total, note FROM orders', 'fsx://exports/orders.parquet');
    const rows = await db.query("SELECT * FROM 'fsx://exports/*.parquet' ORDER BY id");
    expect(rows).toEqual(await db.query('SELECT id, total, note FROM orders ORDER BY id'));
    for (const sql of [
      'SELECT id, total, note, raw FROM orders',
      "SELECT * FROM 'fsx://exports/orders.parquet'",
    ]) {
      const table = tableFromIPC(
        await new Response(await db.arrow(sql)).arrayBuffer().then((b) => new Uint8Array(b)),
      );
      expect(table.numRows).toBe(10);
      expect(Number(table.getChild('id')?.get(3))).toBe(4);
      expect(table.getChild('note')?.get(3)).toBe('n4');
    }
  });
});

it('says what cannot be reached or read, and the way out', async () => {
  await withFiles('errors', async (db) => {
    await env.BUCKET.put('files-errors/bad.parquet', 'PAR1 not really PAR1');
    await env.BUCKET.put('secret.parquet', 'x');
    const codes: [string, string][] = [
      ["SELECT * FROM 'r2://other/x.parquet'", 'FORBIDDEN_URL'],
      ["SELECT * FROM 'r2://lake/../secret.parquet'", 'FORBIDDEN_URL'],
      ["SELECT * FROM 'https://example.com/x.json'", 'FORBIDDEN_URL'],
      ["SELECT * FROM 'file:///etc/passwd'", 'FORBIDDEN_URL'],
      ["SELECT * FROM 'r2://lake/none.parquet'", 'NO_SUCH_FILE'],
      ["SELECT * FROM 'r2://lake/none*.parquet'", 'NO_SUCH_FILE'],
      ["SELECT * FROM 'r2://lake/bad.parquet'", 'CORRUPT_FILE'],
      ["INSERT INTO 'r2://lake/x.parquet' VALUES (1)", 'READ_ONLY'],
    ];
    for (const [sql, code] of codes) expect([sql, (await failure(db.query(sql))).code]).toEqual([sql, code]);
    expect((await failure(() => db.sql.exec("SELECT * FROM 'r2://lake/bad.parquet'"))).code).toBe('WAITS');
    expect((await failure(db.copy('SELECT 1', 'r2://lake/x.txt'))).code).toBe('BAD_PARAMETER');
    expect((await failure(db.copy('SELECT 1 AS a', 'https://example.com/x.parquet'))).code).toBe(
      'FORBIDDEN_URL',
    );
    expect((await failure(db.copy('DELETE FROM customers', 'r2://lake/x.parquet'))).code).toBe('READ_ONLY');
  });
});
