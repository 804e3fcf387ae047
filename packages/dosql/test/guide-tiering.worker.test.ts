import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { createDOBackend, createMemoryBackend, createTieredBackend } from '@dotdo/fsx';
import { tableFromIPC } from 'apache-arrow';
import { describe, expect, inject, it, vi } from 'vitest';
import { createCDC, DB, type Database, type DatabaseOptions } from '../src/index.ts';
import { patientStorage, recover, type Plant } from './guide-tiering.ts';
import { failure, newObject } from './support/database.ts';
import { TestCatalog } from './support/iceberg-catalog.ts';
import { expectSnippetsIn } from './support/snippets.ts';

vi.setConfig({ testTimeout: 60_000 });

const DAY = 86_400_000;
/** The first moment of a day a hundred days ago. */
const FIRST = Math.floor(Date.now() / DAY) * DAY - 100 * DAY;
const SENSORS = ['pump-01', 'pump-02', 'pump-03'];

/** The day with this number, and a time in it. */
function time(day: number, hour = 0): string {
  return `${new Date(FIRST + day * DAY + hour * 3_600_000).toISOString().slice(0, 19)}Z`;
}

let plants = 0;

/** A new plant with ten days of readings of a hundred days ago, four a day of three pumps, all of them cold. */
async function withPlant(
  use: (plant: Plant, state: DurableObjectState) => Promise<void>,
  isCold = true,
): Promise<void> {
  await runInDurableObject(
    env.PLANT.getByName(`plant ${plants++} ${Math.random()}`),
    async (plant, state) => {
      for (let day = 0; day < 10; day++)
        for (let hour = 0; hour < 24; hour += 6)
          for (const [i, sensor] of SENSORS.entries())
            await plant.record({ sensor, at: time(day, hour), value: day * 10 + i + hour / 24 });
      await plant.record({ sensor: 'pump-01', at: new Date().toISOString(), value: 1 });
      if (isCold) await plant.moveNow();
      await use(plant, state);
    },
  );
}

/** A database with such a table, and what its storage and options are said to be. */
function withTable(
  options: Partial<DatabaseOptions> & { readonly definition?: string },
  use: (db: Database, state: DurableObjectState) => Promise<void>,
): Promise<void> {
  const { definition = 'id INTEGER PRIMARY KEY, at TEXT, value', ...rest } = options;
  return runInDurableObject(newObject(), async (_, state) => {
    const db = await DB('test', { storage: state.storage, ...rest });
    await db.exec(`CREATE TABLE readings(${definition})`);
    await use(db, state);
  });
}

const TIERS = { column: 'at', hotFor: '24h' } as const;

describe('the guide to tiering and files', () => {
  it('shows only code that this test runs', () => {
    expectSnippetsIn(inject('tieringCode'), [inject('tieringGuide')]);
  });

  it('moves old rows to R2, into the folder of the object, and reads them as before', async () => {
    await withPlant(async (plant, { id }) => {
      const before = await plant.days();
      expect(before).toHaveLength(11);
      expect(before[3]).toEqual({ day: time(3).slice(0, 10), readings: 12, mean: 30 + 1 + 9 / 24 });
      expect(await plant.moveNow()).toEqual({ rows: 120, files: 10, moved: 10 });
      expect(await plant.days()).toEqual(before);
      expect(await plant.waiting()).toBe('0 files');
      const { objects } = await env.TELEMETRY.list({ prefix: `plants/${id.toString()}/tables/readings-1/` });
      expect(objects).toHaveLength(10);
      expect(objects[0]?.key).toContain(`/partition=${time(0).slice(0, 10)}/`);
      const { files } = await plant.planOf('pump-02', time(2), time(3));
      expect(files).toMatchObject({ engine: 'scan', files: { total: 10, pruned: 9, read: 1 } });
      await plant.db.run("INSERT INTO sensors VALUES ('pump-02', 'B'), ('pump-03', 'C')");
      expect(await plant.inHall('B', time(4), time(5))).toEqual(
        [0, 6, 12, 18].map((hour) => ({ sensor: 'pump-02', at: time(4, hour), value: 41 + hour / 24 })),
      );
    }, false);
  });

  it('cuts files by values, too', async () => {
    await withPlant(async (plant, { id }) => {
      const before = await plant.days();
      await plant.cutBySensor();
      expect(await plant.moveNow()).toEqual({ rows: 120, files: 30, moved: 30 });
      const { objects } = await env.TELEMETRY.list({ prefix: `plants/${id.toString()}/tables/readings-1/` });
      const [first] = objects;
      expect(first?.key).toContain(`/data/sensor=pump-01/day=${time(0).slice(0, 10)}/`);
      const { files } = await plant.planOf('pump-02', time(2), time(4));
      expect(files).toMatchObject({ engine: 'scan', files: { total: 30, pruned: 28, read: 2 } });
      expect(await plant.days()).toEqual(before);
    }, false);
  });

  it('writes cold rows, and reads them as they were', async () => {
    await withPlant(async (plant) => {
      const before = await plant.correct('pump-01', time(5), -1);
      const is = 'SELECT value FROM readings WHERE sensor = ? AND at = ?';
      expect(await plant.db.query(is, ['pump-01', time(5)])).toEqual([{ value: -1 }]);
      expect(await plant.asItWas(before, 'pump-01', time(5))).toEqual([{ value: 50 }]);
      expect(await plant.db.tierStatus()).toMatchObject([{ coldRows: 119 }]);
      expect(await plant.moveNow()).toMatchObject({ rows: 1 });
      expect(await plant.asItWas(before, 'pump-01', time(5))).toEqual([{ value: 50 }]);
      expect(await plant.db.query(is, ['pump-01', time(5)])).toEqual([{ value: -1 }]);
    });
  });

  it('is not seen by branches and streams', async () => {
    await withPlant(async (plant) => {
      const [day] = await plant.days();
      const lsn = plant.db.lsn();
      expect(await plant.recalibrate('pump-01', 3)).toBe(41);
      expect((await plant.days())[0]?.mean).toBeCloseTo((day?.mean ?? 0) + 1);
      await plant.moveNow();
      const ops: string[] = [];
      for await (const { op } of createCDC(plant.db).subscribe(lsn, { tables: ['readings'] }))
        if (ops.push(op) === 41) break;
      expect(new Set(ops)).toEqual(new Set(['update']));
      const rows: unknown[] = [];
      await plant.copyAll((row) => rows.push(row));
      expect(rows).toEqual(await plant.db.query('SELECT * FROM readings ORDER BY id'));
      expect(rows).toHaveLength(121);
    });
  });

  it('expires rows and keeps their sums, and what comes late is summed by itself', async () => {
    await withPlant(async (plant) => {
      const at = (years: number): string =>
        `${new Date(FIRST - years * 365 * DAY).toISOString().slice(0, 13)}:30:00Z`;
      for (const value of [5, 7]) await plant.record({ sensor: 'old', at: at(3), value });
      await plant.record({ sensor: 'pump-01', at: new Date().toISOString(), value: 1 });
      const lsn = plant.db.lsn();
      const draft = await plant.db.branch('draft');
      await plant.keepTwoYears();
      await plant.moveNow();
      const kept = 'SELECT * FROM hours ORDER BY rowid';
      const hour = { sensor: 'old', hour: at(3).slice(0, 13) };
      expect(await plant.db.query(kept)).toEqual([{ ...hour, readings: 2, total: 12 }]);
      const old = "SELECT count(*) AS n FROM readings WHERE sensor = 'old'";
      expect(await plant.db.get(old)).toEqual({ n: 0 });
      expect(await plant.db.asOf({ lsn }).get(old)).toEqual({ n: 0 });
      expect(await draft.get(old)).toEqual({ n: 0 });
      const tables: string[] = [];
      for await (const change of createCDC(plant.db).subscribe(lsn)) {
        tables.push(`${change.op} ${change.table}`);
        break;
      }
      expect(tables).toEqual(['insert hours']);
      await plant.record({ sensor: 'old', at: at(3), value: 9 });
      await plant.record({ sensor: 'pump-01', at: new Date().toISOString(), value: 1 });
      await plant.moveNow();
      expect(await plant.db.query(kept)).toEqual([
        { ...hour, readings: 2, total: 12 },
        { ...hour, readings: 1, total: 9 },
      ]);
      expect(await plant.waiting()).toBe('0 files');
    });
  });

  it('tells synchronous callers to wait, and around DoSQL there are only the hot rows', async () => {
    await withPlant(async (plant, { storage }) => {
      const sql = 'SELECT count(*) AS n FROM readings';
      expect((await failure(() => plant.db.sql.exec(sql))).code).toBe('WAITS');
      expect(await plant.sync(sql)).toEqual([{ n: 121 }]);
      expect(await plant.sync('SELECT count(*) AS n FROM sensors')).toEqual([{ n: 0 }]);
      expect(storage.sql.exec(sql).toArray()).toEqual([{ n: 1 }]);
      const trigger = `CREATE TRIGGER counts AFTER INSERT ON sensors BEGIN INSERT INTO hours(readings) ${sql}; END`;
      expect((await failure(plant.db.exec(trigger))).code).toBe('FORBIDDEN');
      await plant.db.run("DELETE FROM readings WHERE sensor = 'pump-01' AND at > ?", [time(99)]);
      await plant.hotAgain();
      expect(storage.sql.exec(sql).toArray()).toEqual([{ n: 120 }]);
      expect(await plant.waiting()).toBe('nothing is tiered');
    });
  });

  it('reads files: Parquet by folders, CSV, and over https; and gives types', async () => {
    await withPlant(async (plant) => {
      const { db } = plant;
      await db.exec('CREATE TABLE sales(year, region TEXT, day TEXT, price REAL, quantity INTEGER)');
      await db.run(
        `INSERT INTO sales VALUES (2026, 'north', '2026-01-05', 2.5, 4), (2026, 'north', '2026-01-20', 1, 1),
           (2026, 'south', '2026-02-01', 3, 3), (2025, 'north', '2025-01-01', 9, 9)`,
      );
      await db.copy('SELECT * FROM sales', 'r2://lake/sales', { partitionBy: ['year', 'region'] });
      const sums = await plant.sales(2026);
      expect(sums.map(({ month, ...rest }) => ({ ...rest, month: month.slice(0, 7) }))).toEqual([
        { region: 'north', month: '2026-01', total: 11 },
        { region: 'south', month: '2026-02', total: 9 },
      ]);
      const { files } = await db.explain(
        "SELECT count(*) FROM 'r2://lake/sales/**/*.parquet' WHERE year = 2025",
      );
      expect(files).toMatchObject({ files: { total: 3, pruned: 2, read: 1 } });
      await env.LAKE.put('plans/a.csv', 'sensor,hall\npump-01,A\npump-02,\n');
      await env.LAKE.put('plans/b.csv', 'hall,sensor\nC,pump-03\n');
      await plant.mapSensors();
      expect(await db.query('SELECT * FROM sensors ORDER BY sensor')).toEqual([
        { sensor: 'pump-01', hall: 'A' },
        { sensor: 'pump-03', hall: 'C' },
      ]);
      expect(await plant.parts()).toEqual([0, 1, 2].map((id) => ({ id, name: `name ${id}` })));
      await env.LAKE.put('odd/x.ndjson', '{"n":1,"tags":{"a":"b"}}\n');
      await env.LAKE.put('odd/z.json', '[{"n":2},{"n":3,"more":true}]');
      expect(
        await db.query(
          "SELECT n, tags ->> 'a' AS a, filename FROM 'r2://lake/odd/{x,y}.*' UNION ALL SELECT n, more, '' FROM 'r2://lake/odd/[yz]*'",
        ),
      ).toEqual([
        { n: 1, a: 'b', filename: 'r2://lake/odd/x.ndjson' },
        { n: 2, a: null, filename: '' },
        { n: 3, a: 1, filename: '' },
      ]);
      await env.LAKE.put('addresses.csv', 'name,zip\na,01067\nb,20095\n');
      expect(await plant.addresses()).toEqual([{ zip: '01067' }, { zip: '20095' }]);
      const codes: string[] = [];
      for (const url of [
        'r2://telemetry/x.csv',
        'r2://reports/../x.csv',
        'https://other.example/x.csv',
        'file:///x.csv',
      ])
        codes.push((await failure(db.query(`SELECT * FROM '${url}'`))).code);
      expect(new Set(codes)).toEqual(new Set(['FORBIDDEN_URL']));
    });
  });

  it('has the functions of the scan over files and cold rows, and in a join those of SQLite', async () => {
    await withPlant(async (plant) => {
      const { db } = plant;
      await env.LAKE.put('n.csv', 'n,at\n1,2026-01-31\n2,2026-02-01\n5,2026-02-28\n');
      const values = `median(n) AS a, quantile_cont(n, 0.5) AS b, quantile_disc(n, 0.5) AS c, round(stddev(n), 3) AS d,
        round(variance(n), 3) AS e, approx_count_distinct(n) AS f, string_agg(n, '-') AS g, max(date_part('month', at)) AS h`;
      expect(await db.query(`SELECT ${values} FROM 'r2://lake/n.csv'`)).toEqual([
        { a: 2, b: 2, c: 2, d: 2.082, e: 4.333, f: 3, g: '1-2-5', h: 2 },
      ]);
      expect(await db.query('SELECT median(value) AS m FROM readings WHERE at < ?', [time(1)])).toEqual([
        { m: 1.375 },
      ]);
      const joined = "SELECT median(n) FROM 'r2://lake/n.csv' JOIN sensors ON n = hall";
      expect((await failure(db.query(joined))).message).toContain('median');
    });
  });

  it('writes files and Arrow', async () => {
    await withPlant(async (plant, { id }) => {
      const month = time(0).slice(0, 7);
      const count = (await plant.days()).filter(({ day }) => day.startsWith(month)).length * 12;
      expect(await plant.report(month)).toBe(count);
      const name = `reports/${id.toString()}/${month}.parquet`;
      expect(await env.LAKE.head(name)).not.toBeNull();
      expect(await plant.db.get(`SELECT count(*) AS n FROM 'r2://reports/*.parquet'`)).toEqual({ n: count });
      await plant.db.copy('SELECT * FROM readings', 'r2://reports/all', { partitionBy: ['sensor'] });
      expect(await env.LAKE.head(`reports/${id.toString()}/all/sensor=pump-01/data.parquet`)).not.toBeNull();
      const table = tableFromIPC(new Uint8Array(await (await plant.arrow()).arrayBuffer()));
      expect([table.numRows, table.schema.names]).toEqual([3, ['sensor', 'mean']]);
    });
  });

  it('makes the plant anew elsewhere, as it is and as it was, from R2 alone', async () => {
    await withPlant(async (plant, { id }) => {
      const days = await plant.days();
      const was = new Date();
      const { lsn } = await plant.backUp();
      await new Promise((resolve) => setTimeout(resolve, 5));
      const last = await plant.recalibrate('pump-01', 3).then(() => plant.backUp());
      expect(last.lsn).toBeGreaterThan(lsn);
      const now = await plant.days();
      const prefix = `plants/${id.toString()}`;
      for (const [at, end, expected] of [
        [undefined, last.lsn, now],
        [was, lsn, days],
      ] as const)
        await runInDurableObject(newObject(), async (_, { storage }) => {
          expect(await recover(storage, env.TELEMETRY, prefix, at)).toBe(end);
          const db = await DB('plant', {
            storage: { hot: storage, cold: env.TELEMETRY, coldPrefix: prefix },
          });
          const sql = `SELECT substr(at, 1, 10) AS day, count(*) AS readings, avg(value) AS mean
                         FROM readings GROUP BY day ORDER BY day`;
          expect(await db.query(sql)).toEqual(expected);
          expect((await db.tierStatus())[0]?.coldRows).toBeGreaterThan(0);
          await storage.deleteAlarm();
        });
    });
  });

  it('reads further back than the log', async () => {
    await withPlant(async (plant, { storage }) => {
      const was = new Date();
      const before = await plant.meanAsOf(was);
      await plant.backUp();
      await new Promise((resolve) => setTimeout(resolve, 5));
      await plant.recalibrate('pump-01', 3);
      await plant.backUp();
      // As if a week had passed: the log begins behind what has been archived.
      const lsn = Number(plant.db.lsn());
      storage.sql.exec('DELETE FROM __dosql_log WHERE lsn < ?', lsn);
      storage.sql.exec('DELETE FROM __dosql_tx');
      storage.sql.exec(
        "UPDATE __dosql_meta SET value = CASE key WHEN 'trimmed_lsn' THEN ?1 ELSE (SELECT at FROM __dosql_log) END WHERE key LIKE 'trimmed%'",
        lsn,
      );
      const { timestamp, archived } = await plant.db.earliest();
      expect([archived?.lsn, was < timestamp]).toEqual([0n, true]);
      expect(await plant.meanAsOf(was)).toEqual(before);
      const { n } = (await plant.db.get<{ n: number }>('SELECT count(*) AS n FROM readings')) ?? {};
      expect(await plant.compare(was)).toEqual({ before: n, now: n });
      expect(await plant.meanAsOf(new Date(0))).toBeNull();
      expect(await plant.meanAsOf(new Date())).not.toEqual(before);
    });
  });

  it('is an Iceberg table for others, in a catalog', async () => {
    const catalog = new TestCatalog();
    vi.stubGlobal('fetch', catalog.fetch);
    try {
      await withPlant(async (plant, { id }) => {
        await plant.openTo('https://catalog.test', () => 'secret');
        await plant.moveNow();
        const [status] = await plant.db.tierStatus();
        expect(status).toMatchObject({ iceberg: { files: 10 } });
        expect(status?.problem).toBeUndefined();
        expect(status?.iceberg?.location).toContain(`s3://telemetry/plants/${id.toString()}/`);
        expect(catalog.tokens).toContain('Bearer secret');
        expect(catalog.metadata?.snapshots?.length).toBeGreaterThan(0);
      });
    } finally {
      vi.unstubAllGlobals();
    }
  });
});

describe('what the guide says of outages and limits', () => {
  it('R2 down: files wait and are read, hot rows too, what is in R2 is not; afterwards all goes on', async () => {
    const cold = createMemoryBackend();
    let isDown = false;
    const calls = new Proxy(cold, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          if (isDown) return Promise.reject(new Error('R2 does not answer'));
          return value.apply(target, args);
        };
      },
    });
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const db = await DB('test', { storage: createTieredBackend(createDOBackend(storage), calls) });
      await db.exec('CREATE TABLE readings(id INTEGER PRIMARY KEY, at TEXT, value REAL)');
      const insert = async (day: number): Promise<void> => {
        await db.run('INSERT INTO readings(at, value) VALUES (?, ?)', [time(day), day]);
      };
      await insert(0);
      await insert(99);
      await db.tier('readings', TIERS);
      await db.tierPass();
      isDown = true;
      await insert(1);
      await insert(99.9);
      expect(await db.tierPass()).toMatchObject({ rows: 1 + 0, moved: 0 });
      expect(await db.tierStatus()).toMatchObject([
        { files: 2, waiting: { files: 1 }, problem: expect.stringContaining('R2 does not answer') },
      ]);
      expect(await db.query('SELECT value FROM readings WHERE at = ?', [time(1)])).toEqual([{ value: 1 }]);
      expect(await db.query('SELECT count(*) AS n FROM readings WHERE at > ?', [time(98)])).toEqual([
        { n: 2 },
      ]);
      expect((await failure(db.query('SELECT value, id FROM readings WHERE at < ?', [time(1)]))).code).toBe(
        'STORAGE_UNAVAILABLE',
      );
      isDown = false;
      expect(await db.tierPass()).toMatchObject({ moved: 1 });
      expect(await db.tierStatus()).toMatchObject([{ waiting: { files: 0 }, problem: undefined }]);
      expect(await db.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 4 });
    });
  });

  it('a file that is gone is NO_SUCH_FILE, one with other bytes CORRUPT_FILE', async () => {
    for (const [damage, code] of [
      [(key: string) => env.TELEMETRY.delete(key), 'NO_SUCH_FILE'],
      [
        async (key: string) => {
          const bytes = new Uint8Array(await ((await env.TELEMETRY.get(key)) as R2ObjectBody).arrayBuffer());
          bytes[10] = (bytes[10] ?? 0) ^ 255;
          await env.TELEMETRY.put(key, bytes);
        },
        'CORRUPT_FILE',
      ],
    ] as const)
      await runInDurableObject(newObject(), async (_, { storage }) => {
        const coldPrefix = `damaged/${code}`;
        const db = await DB('test', { storage: { hot: storage, cold: env.TELEMETRY, coldPrefix } });
        await db.exec('CREATE TABLE readings(id INTEGER PRIMARY KEY, at TEXT, value REAL)');
        await db.run('INSERT INTO readings(at, value) VALUES (?, 1), (?, 2)', [time(0), time(99)]);
        await db.tier('readings', TIERS);
        await db.tierPass();
        const { objects } = await env.TELEMETRY.list({ prefix: coldPrefix });
        expect(objects).toHaveLength(1);
        await damage(objects[0]?.key ?? '');
        expect((await failure(db.query('SELECT * FROM readings'))).code).toBe(code);
      });
  });

  it('takes stores that try again', async () => {
    await runInDurableObject(newObject(), async (_, { storage }) => {
      const db = await DB('test', { storage: patientStorage(storage, env.TELEMETRY, 'patient') });
      await db.exec('CREATE TABLE readings(id INTEGER PRIMARY KEY, at TEXT)');
      await db.run('INSERT INTO readings(at) VALUES (?), (?)', [time(0), time(99)]);
      await db.tier('readings', TIERS);
      expect(await db.tierPass()).toMatchObject({ moved: 1 });
      expect((await env.TELEMETRY.list({ prefix: 'patient/tables/' })).objects).toHaveLength(1);
    });
  });

  it('refuses tables whose constraints cold rows could not keep', async () => {
    const definitions = [
      'id INTEGER PRIMARY KEY, at TEXT, parent REFERENCES other(id)',
      'id INTEGER PRIMARY KEY, at TEXT, name TEXT COLLATE NOCASE UNIQUE',
    ];
    for (const definition of definitions)
      await withTable({ definition }, async (db) => {
        expect((await failure(db.tier('readings', TIERS))).code).toBe('FORBIDDEN');
      });
    const statements = [
      'CREATE TABLE other(id REFERENCES readings(id))',
      'CREATE TABLE other(id); CREATE TRIGGER t AFTER INSERT ON other BEGIN DELETE FROM readings; END',
      'CREATE UNIQUE INDEX u ON readings(value) WHERE value > 0',
      'CREATE UNIQUE INDEX u ON readings(abs(value))',
    ];
    for (const statement of statements)
      await withTable({}, async (db) => {
        await db.exec(statement);
        expect((await failure(db.tier('readings', TIERS))).code).toBe('FORBIDDEN');
      });
  });

  it('keeps what stays hot, and what cold rows forbid', async () => {
    await withTable({}, async (db, { storage }) => {
      const rows = [
        [1, time(0), 'old'],
        [2, 'no time', 'x'],
        [3, time(0), 7n],
        [4, time(0), 7],
      ];
      for (const row of rows) await db.run('INSERT INTO readings VALUES (?, ?, ?)', row);
      await db.run('INSERT INTO readings VALUES (5, ?, 1)', [time(0)]);
      await db.tier('readings', TIERS);
      await db.tierPass();
      const hot = storage.sql.exec('SELECT id FROM readings ORDER BY id').toArray();
      expect(hot.map(({ id }) => id)).toEqual([2, 4, 5]);
      expect(await db.get('SELECT count(*) AS n FROM readings')).toEqual({ n: 5 });
      const codeOf = async (sql: string): Promise<string> => (await failure(db.exec(sql))).code;
      for (const sql of [
        'DROP TABLE readings',
        'CREATE UNIQUE INDEX u ON readings(value)',
        'CREATE TABLE other(id REFERENCES readings(id))',
        'ALTER TABLE readings DROP COLUMN at',
      ])
        expect([sql, await codeOf(sql)]).toEqual([sql, 'FORBIDDEN']);
      await db.branch('draft');
      expect(await codeOf('ALTER TABLE readings ADD COLUMN note')).toBe('FORBIDDEN');
      await db.dropBranch('draft');
      await db.exec('ALTER TABLE readings ADD COLUMN note');
      expect((await failure(db.run('INSERT INTO readings(id, at) VALUES (1, 1)'))).code).toBe(
        'CONSTRAINT_UNIQUE',
      );
      await db.exec('DELETE FROM readings WHERE id < 5; CREATE TABLE copies AS SELECT id FROM readings');
      expect(await db.query('SELECT id FROM copies')).toEqual([{ id: 5 }]);
    });
  });

  it('stops a query at its limits', async () => {
    await withTable({ limits: { rows: 1 } }, async (db) => {
      await db.run('INSERT INTO readings(at) VALUES (?), (?), (?)', [time(0), time(1), time(99)]);
      await db.tier('readings', TIERS);
      await db.tierPass();
      expect((await failure(db.query('SELECT * FROM readings'))).code).toBe('TOO_BIG');
      expect(await db.query('SELECT count(*) AS n FROM readings')).toEqual([{ n: 3 }]);
    });
  });
});
