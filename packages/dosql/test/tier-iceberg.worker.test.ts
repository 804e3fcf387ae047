import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { createMemoryBackend, createR2Backend, type FileStore, type MemoryBackend } from '@dotdo/fsx';
import { afterEach, expect, it, vi } from 'vitest';
import { IcebergTable } from '../src/iceberg/index.ts';
import { currentSchema, currentSpec } from '../src/iceberg/metadata.ts';
import { DB, type Database, type TierOptions } from '../src/index.ts';
import { withCold } from './support/backup.ts';
import { failure, newObject } from './support/database.ts';
import { TestCatalog } from './support/iceberg-catalog.ts';
import { LAKE, lakeRows, pathsIn } from './support/iceberg.ts';

vi.setConfig({ testTimeout: 60_000 });
afterEach(() => {
  vi.unstubAllGlobals();
});

const START = Date.parse('2026-03-01T00:00:00.000Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FOLDER = 'tables/r-1';
const OPTIONS = { column: 'at', hotFor: '1d', iceberg: { location: LAKE } } as const satisfies TierOptions;

interface Lake {
  readonly db: Database;
  readonly storage: DurableObjectStorage;
  readonly store: MemoryBackend;
  readonly clock: { now: number };
}

/** A table r with five days of rows, one every four hours, and a clock that stands five days after. */
function withLake(
  use: (lake: Lake) => Promise<void>,
  ddl: string = 'CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT, v REAL, at TEXT, x)',
): Promise<void> {
  const store = createMemoryBackend();
  const clock = { now: START };
  return withCold(
    async (db, storage) => {
      await db.exec(ddl);
      for (let i = 1; i <= 30; i++)
        await db.run('INSERT INTO r(id, s, v, at, x) VALUES (CAST(? AS INTEGER), ?, ?, ?, ?)', [
          String(i),
          `s${i}`,
          i / 4,
          new Date(START + i * 4 * HOUR).toISOString(),
          i % 3 === 0 ? null : `it's ${i}`,
        ]);
      clock.now = START + 10 * DAY;
      await use({ db, storage, store, clock });
    },
    { clock: () => clock.now },
    { kind: 'tiered', cold: store },
  );
}

const text = (row: Readonly<Record<string, unknown>>): string =>
  JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));

/** The rows of r that are cold, as others are to see them. */
async function coldRows(db: Database, storage: DurableObjectStorage): Promise<string[]> {
  const hot = new Set([...storage.sql.exec('SELECT id FROM r').raw()].map(([id]) => Number(id)));
  const rows = await db.query('SELECT * FROM r');
  return rows
    .filter(({ id }) => !hot.has(Number(id)))
    .map(text)
    .toSorted();
}

async function seen(store: FileStore): Promise<string[]> {
  return (await lakeRows(store, FOLDER)).map(text).toSorted();
}

async function pass(db: Database): Promise<void> {
  await db.tierPass();
  const [status] = await db.tierStatus();
  expect(status?.problem).toBeUndefined();
}

it('makes an Iceberg table of cold rows: typed columns under ids, days as partitions, nothing of its own', async () => {
  await withLake(async ({ db, storage, store }) => {
    await db.tier('r', OPTIONS);
    await pass(db);
    const rows = await seen(store);
    expect(rows.length).toBe(29);
    expect(rows).toEqual(await coldRows(db, storage));
    const table = new IcebergTable({ store, folder: FOLDER });
    const metadata = await table.metadata();
    expect(metadata.location).toBe(`${LAKE}/${FOLDER}`);
    expect(currentSchema(metadata).fields).toEqual([
      { id: 1, name: 'id', required: false, type: 'long' },
      { id: 2, name: 's', required: false, type: 'string' },
      { id: 3, name: 'v', required: false, type: 'double' },
      { id: 4, name: 'at', required: false, type: 'timestamptz' },
      { id: 5, name: 'x', required: false, type: 'string' },
    ]);
    const days = (await table.files()).map(({ partition }) => Number(partition['at_day']));
    expect(days.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4].map((day) => START / DAY + day));
    const [status] = await db.tierStatus();
    expect(status?.iceberg).toEqual({
      location: `${LAKE}/${FOLDER}`,
      snapshot: String(metadata['current-snapshot-id']),
      files: 5,
    });
    const before = await pathsIn(store, '');
    await pass(db);
    expect(await pathsIn(store, '')).toEqual(before);
  });
});

it('shows no row that is gone: files are written anew first, and all changes of a pass are one commit', async () => {
  await withLake(async ({ db, storage, store }) => {
    await db.tier('r', OPTIONS);
    await pass(db);
    await db.run("UPDATE r SET s = 'changed' WHERE id IN (3, 20)");
    await db.run('DELETE FROM r WHERE id = 4');
    await db.run("DELETE FROM r WHERE at LIKE '2026-03-03%'");
    await db.run("INSERT INTO r VALUES (100, 'late', 1.5, '2026-03-02T12:00:00.000Z', NULL)");
    const table = new IcebergTable({ store, folder: FOLDER });
    const before = (await table.metadata()).snapshots?.length ?? 0;
    await pass(db);
    const rows = await seen(store);
    expect(rows).toEqual(await coldRows(db, storage));
    expect(rows.filter((row) => row.includes('changed')).length).toBe(2);
    expect(rows.some((row) => row.includes('"s4"'))).toBe(false);
    expect((await table.metadata()).snapshots?.length).toBe(before + 1);
  });
});

it('keeps what former snapshots name for a day, and no longer', async () => {
  await withLake(async ({ db, store, clock }) => {
    await db.tier('r', OPTIONS);
    await pass(db);
    const first = (await pathsIn(store, `${FOLDER}/data/`)).length;
    await db.run("UPDATE r SET s = 'changed' WHERE id = 3");
    await pass(db);
    clock.now += 20 * HOUR;
    await pass(db);
    expect((await pathsIn(store, `${FOLDER}/data/`)).length).toBeGreaterThan(first);
    const table = new IcebergTable({ store, folder: FOLDER });
    expect((await table.metadata()).snapshots?.length).toBe(2);
    clock.now += 5 * HOUR;
    await pass(db);
    await pass(db);
    expect((await table.metadata()).snapshots?.length).toBe(1);
    const listed = (await table.files()).map(({ file_path }) => file_path.slice(LAKE.length + 1));
    expect(await pathsIn(store, `${FOLDER}/data/`)).toEqual(listed.toSorted());
  });
});

it('follows columns that are added, renamed and dropped', async () => {
  await withLake(async ({ db, storage, store }) => {
    await db.tier('r', OPTIONS);
    await pass(db);
    await db.exec('ALTER TABLE r RENAME COLUMN s TO "a ""b"""');
    await db.exec('ALTER TABLE r DROP COLUMN v');
    await db.exec('ALTER TABLE r ADD COLUMN v INTEGER DEFAULT 7');
    await db.exec('ALTER TABLE r ADD COLUMN "__proto__" TEXT');
    await pass(db);
    const rows = await seen(store);
    expect(rows).toEqual(await coldRows(db, storage));
    expect(rows[0]).toContain('"v":7');
    const { schemas } = await new IcebergTable({ store, folder: FOLDER }).metadata();
    expect(schemas.map(({ fields }) => fields.map(({ id, name }) => `${id} ${name}`))).toEqual([
      ['1 id', '2 s', '3 v', '4 at', '5 x'],
      ['1 id', '2 a "b"', '4 at', '5 x', '6 v', '7 __proto__'],
    ]);
    await db.exec('ALTER TABLE r RENAME TO other');
    await db.run('UPDATE other SET x = NULL WHERE id = 1');
    await pass(db);
    const [status] = await db.tierStatus();
    expect(status).toMatchObject({ table: 'other', iceberg: { location: `${LAKE}/${FOLDER}` } });
    expect((await lakeRows(store, FOLDER)).length).toBe(29);
  });
});

it('gives each column one type, whatever its values are', async () => {
  await withLake(async ({ db, store }) => {
    await db.run("INSERT INTO r(id, s, v, at, x) VALUES (-5, 'y', 'no number', '2026-03-01 05:00:00', 5)");
    await db.run(
      "INSERT INTO r(id, v, at, n, d, b) VALUES (9007199254740993, 2, '2026-03-01T05:00:00.000Z', 3, '2026-01-01', x'00ff')",
    );
    await db.tier('r', { ...OPTIONS, hotFor: '1h' });
    await db.run("INSERT INTO r(id, at) VALUES (9007199254740999, '2026-03-09')");
    await pass(db);
    const { fields } = currentSchema(await new IcebergTable({ store, folder: FOLDER }).metadata());
    expect(fields.map(({ name, type }) => `${name} ${type}`)).toEqual([
      'id long',
      's string',
      'v double',
      'at timestamptz',
      'x string',
      'n double',
      'd string',
      'b binary',
    ]);
    const rows = await lakeRows(store, FOLDER);
    expect(rows.find(({ s }) => s === 'y')).toMatchObject({ v: null, at: null, x: null });
    expect(rows.find(({ id }) => id === 9007199254740993n)).toMatchObject({ v: 2, n: 3, d: '2026-01-01' });
    expect(await db.get("SELECT v, at, x FROM r WHERE s = 'y'")).toEqual({
      v: 'no number',
      at: '2026-03-01 05:00:00',
      x: 5,
    });
  }, 'CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT, v REAL, at TEXT, x, n DECIMAL(10, 2), d DATE, b BLOB)');
});

it.each([
  [
    'WITHOUT ROWID',
    'CREATE TABLE r(id INTEGER, s TEXT, v REAL, at TEXT, x TEXT, PRIMARY KEY(s, id)) WITHOUT ROWID',
  ],
  ['no primary key', 'CREATE TABLE r(id INT, s TEXT, v REAL, at TEXT, x TEXT)'],
  [
    'STRICT with a generated column',
    'CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT, v REAL, at TEXT, x TEXT, g TEXT AS (substr(at, 1, 10)) VIRTUAL) STRICT',
  ],
])('takes a table of any kind: %s', async (_, ddl) => {
  await withLake(async ({ db, storage, store }) => {
    await db.tier('r', OPTIONS);
    await pass(db);
    await db.run("UPDATE r SET s = 'changed' WHERE id = 3");
    await pass(db);
    const rows = await seen(store);
    expect(rows.length).toBeGreaterThanOrEqual(29);
    expect(rows).toEqual(await coldRows(db, storage));
  }, ddl);
});

it('has no partitions where the time is a number, and another one when the policy has', async () => {
  await withLake(async ({ db, store }) => {
    await db.exec('CREATE TABLE n(id INTEGER PRIMARY KEY, at INTEGER)');
    await db.run('INSERT INTO n VALUES (1, ?), (2, ?)', [START, START + DAY]);
    await db.tier('n', OPTIONS);
    await db.tier('r', OPTIONS);
    await db.tierPass();
    const numbers = new IcebergTable({ store, folder: 'tables/n-2' });
    expect((await numbers.files()).map(({ partition }) => partition)).toEqual([{}]);
    await db.tier('r', { ...OPTIONS, partition: 'month' });
    await db.run("INSERT INTO r VALUES (0, 'late', 1, '2026-02-02T12:00:00.000Z', NULL)");
    await db.tierPass();
    const table = new IcebergTable({ store, folder: FOLDER });
    const partitions = (await table.files()).map(({ partition }) => JSON.stringify(partition));
    expect(partitions.toSorted()).toEqual(
      [
        `{"at_month":${56 * 12 + 1}}`,
        ...[0, 1, 2, 3, 4].map((day) => `{"at_day":${START / DAY + day}}`),
      ].toSorted(),
    );
    expect((await lakeRows(store, FOLDER)).length).toBe(30);
  });
});

it('is partitioned by the columns that files are cut by, once all are', async () => {
  await withLake(async ({ db, storage, store, clock }) => {
    const table = new IcebergTable({ store, folder: FOLDER });
    const fields = async (): Promise<string[]> =>
      currentSpec(await table.metadata()).fields.map(({ name, transform }) => `${name} ${transform}`);
    clock.now = START + 4 * DAY;
    await db.tier('r', OPTIONS);
    await pass(db);
    clock.now = START + 10 * DAY;
    const cut = { ...OPTIONS, partitionBy: ['k'], sortBy: ['s'] };
    await db.tier('r', cut);
    await pass(db);
    expect(await seen(store)).toEqual(await coldRows(db, storage));
    expect(await fields()).toEqual(['at_day day']);
    await db.tier('r', { ...cut, expireAfter: '6d' });
    await pass(db);
    expect(await seen(store)).toEqual(await coldRows(db, storage));
    expect(await fields()).toEqual(['k identity', 'at_day day']);
    await db.run(
      "INSERT INTO r(id, at) VALUES (101, '2026-03-05T01:00:00.000Z'), (102, '2026-03-05T01:00:00.000Z')",
    );
    await db.run("INSERT INTO r(id, at) VALUES (105, '2026-03-11T01:00:00.000Z')");
    await pass(db);
    expect(await seen(store)).toEqual(await coldRows(db, storage));
    const parts = (await table.files()).map(({ partition }) => partition);
    const at_day = START / DAY + 4;
    expect(parts).toEqual(expect.arrayContaining([2, null].map((k) => ({ k, at_day }))));
    await db.purge('r', { where: 'k = 2' });
    await pass(db);
    expect((await seen(store)).some((row) => row.includes('"k":2'))).toBe(false);
  }, 'CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT, v REAL, at TEXT, x, k INTEGER AS (nullif(id % 3, 0)) VIRTUAL)');
});

it('erases from the Iceberg table, too: rows, former snapshots, and values in manifests', async () => {
  await withLake(async ({ db, storage, store }) => {
    await db.run("UPDATE r SET s = 'Ada Lovelace' WHERE id = 3");
    await db.tier('r', OPTIONS);
    await pass(db);
    const has = async (): Promise<boolean> => {
      for (const path of await pathsIn(store, `${FOLDER}/metadata/`))
        if (new TextDecoder().decode((await store.read(path)) ?? undefined).includes('Lovelace')) return true;
      return false;
    };
    expect(await has()).toBe(true);
    await db.run("UPDATE r SET s = 'B' WHERE id = 3");
    await pass(db);
    // A former snapshot tells of the file that had it.
    expect(await has()).toBe(true);
    await store.write(`${FOLDER}/metadata/cut-off-m0.avro`, 'Lovelace');
    await db.purge('r', { where: 'id = ?', params: [3] });
    expect(await has()).toBe(false);
    expect(await lakeRows(store, FOLDER)).toEqual([]);
    expect(await pathsIn(store, `${FOLDER}/data/`)).toEqual([]);
    await pass(db);
    expect(await seen(store)).toEqual(await coldRows(db, storage));
    const table = new IcebergTable({ store, folder: FOLDER });
    expect((await table.metadata()).properties).toMatchObject({ 'gc.enabled': 'false' });
  });
});

it('erases values that files were cut by: paths and partitions in manifests have them', async () => {
  await withLake(async ({ db, storage, store }) => {
    const cut = { ...OPTIONS, partitionBy: ['k'] };
    await db.run("UPDATE r SET k = 'Lovelace' WHERE id IN (3, 9)");
    await db.tier('r', cut);
    await pass(db);
    const has = async (): Promise<string[]> => {
      const found: string[] = [];
      for (const path of await pathsIn(store, ''))
        if (path.includes('Lovelace')) found.push(path);
        else if (new TextDecoder().decode((await store.read(path)) ?? undefined).includes('Lovelace'))
          found.push(path);
      return found;
    };
    expect((await has()).some((path) => path.includes('k=Lovelace/day='))).toBe(true);
    // Gone from one file of the two before it is erased: a manifest tells of it still.
    await db.run("UPDATE r SET k = 'B' WHERE id = 3");
    await pass(db);
    await db.purge('r', { where: "k = 'Lovelace' OR id = 3" });
    expect(await has()).toEqual([]);
    await pass(db);
    expect(await seen(store)).toEqual(await coldRows(db, storage));
    expect(await has()).toEqual([]);
  }, 'CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT, v REAL, at TEXT, x, k TEXT)');
});

it('expires rows there, too', async () => {
  await withLake(async ({ db, storage, store }) => {
    await db.tier('r', OPTIONS);
    await pass(db);
    await db.tier('r', { ...OPTIONS, expireAfter: '8d' });
    await pass(db);
    const rows = await seen(store);
    expect(rows.length).toBeLessThan(29);
    expect(rows).toEqual(await coldRows(db, storage));
  });
});

it('begins with cold rows that there are, moves with its location, and ends with its metadata', async () => {
  await withLake(async ({ db, storage, store }) => {
    const { iceberg: _, ...plain } = OPTIONS;
    await db.tier('r', plain);
    await pass(db);
    expect(await pathsIn(store, `${FOLDER}/metadata/`)).toEqual([]);
    expect((await db.tierStatus())[0]?.iceberg).toBeUndefined();
    await db.tier('r', { ...OPTIONS, iceberg: { location: 's3://elsewhere/' } });
    await pass(db);
    expect((await db.tierStatus())[0]?.iceberg?.location).toBe(`s3://elsewhere/${FOLDER}`);
    await db.tier('r', OPTIONS);
    await pass(db);
    expect(await seen(store)).toEqual(await coldRows(db, storage));
    await db.tier('r', plain);
    await pass(db);
    expect(await pathsIn(store, `${FOLDER}/metadata/`)).toEqual([]);
    expect((await db.tierStatus())[0]?.iceberg).toBeUndefined();
    await db.tier('r', { ...OPTIONS, iceberg: true });
    await pass(db);
    expect((await db.tierStatus())[0]?.iceberg?.location).toBe(`dosql://cold/${FOLDER}`);
    await db.tier('r', null);
    expect(await pathsIn(store, `${FOLDER}/metadata/`)).toEqual([]);
    expect(await db.get('SELECT count(*) AS n FROM r')).toEqual({ n: 30 });
  });
});

it('refuses options that are none', async () => {
  await withLake(async ({ db }) => {
    const token = (): string => 't';
    const catalog = { uri: 'https://catalog.test', namespace: 'n', token };
    for (const [iceberg, part] of [
      [false, 'iceberg is'],
      [{ location: '/path' }, 'iceberg.location'],
      [{ catalog }, 'iceberg.location'],
      [{ location: LAKE, catalog: { ...catalog, uri: 'catalog.test' } }, 'catalog.uri'],
      [{ location: LAKE, catalog: { ...catalog, namespace: [] } }, 'catalog.namespace'],
      [{ location: LAKE, catalog: { ...catalog, warehouse: 5 } }, 'catalog.warehouse'],
      [{ location: LAKE, catalog: { ...catalog, token: 'secret' } }, 'catalog.token'],
    ] as const) {
      const error = await failure(db.tier('r', { ...OPTIONS, iceberg } as unknown as TierOptions));
      expect(error).toMatchObject({ code: 'BAD_PARAMETER' });
      expect(error.message).toContain(part);
      expect(error.message).not.toContain('secret');
    }
  });
  await runInDurableObject(newObject(), async (_, { storage }) => {
    const db = await DB('test', { storage });
    await db.exec('CREATE TABLE r(id INTEGER PRIMARY KEY, at TEXT)');
    expect((await failure(db.tier('r', OPTIONS))).message).toContain('no cold storage');
    expect(await db.tierStatus()).toEqual([]);
  });
});

it('commits to a REST catalog, whose token is asked for each time and not kept', async () => {
  const catalog = new TestCatalog();
  vi.stubGlobal('fetch', catalog.fetch);
  await withLake(async ({ db, storage, store }) => {
    await db.exec('ALTER TABLE r DROP COLUMN v; ALTER TABLE r ADD COLUMN v REAL');
    let tokens = 0;
    await db.tier('r', {
      ...OPTIONS,
      iceberg: {
        location: LAKE,
        catalog: {
          uri: 'https://catalog.test',
          namespace: 'events',
          table: 'r',
          token: async () => `token ${++tokens}`,
        },
      },
    });
    await pass(db);
    await db.run('DELETE FROM r WHERE id = 3');
    await pass(db);
    expect(catalog.tokens.at(-1)).toBe(`Bearer token ${tokens}`);
    expect(tokens).toBe(2);
    const kept = storage.sql.exec<{ policy: string }>('SELECT policy FROM __dosql_tier').one().policy;
    expect(kept).toContain('catalog.test');
    expect(kept).not.toContain('token');
    const { metadata } = catalog;
    expect(metadata?.['current-schema-id']).toBe(1);
    expect(currentSchema(metadata ?? expect.fail()).fields.map(({ id }) => id)).toEqual([1, 2, 4, 5, 6]);
    const lists =
      metadata?.snapshots?.map((snapshot) => snapshot['manifest-list'].slice(LAKE.length + 1)) ?? [];
    expect(lists.length).toBe(2);
    for (const list of lists) expect(await store.exists(list)).toBe(true);
    await db.purge('r', { where: 'id = 5' });
    expect(catalog.metadata?.snapshots?.length).toBe(1);
    vi.stubGlobal('fetch', async () => {
      throw new Error('no way');
    });
    await db.run('DELETE FROM r WHERE id = 6');
    await db.tierPass();
    const [status] = await db.tierStatus();
    expect(status?.problem).toContain('catalog.test');
    vi.stubGlobal('fetch', catalog.fetch);
    await pass(db);
  });
});

it('is in a bucket of R2 as it is in any store', async () => {
  const clock = { now: START };
  await runInDurableObject(newObject(), async (_, { storage }) => {
    const db = await DB('test', {
      storage: { hot: storage, cold: env.BUCKET, coldPrefix: 'iceberg-test' },
      clock: () => clock.now,
    });
    await db.exec('CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT, v REAL, at TEXT, x)');
    await db.run(
      "INSERT INTO r(s, v, at) SELECT 's' || value, value / 2.0, strftime('%Y-%m-%dT%H:%M:%fZ', '2026-03-01', value || ' hours') FROM json_each(?)",
      [JSON.stringify(Array.from({ length: 100 }, (_, i) => i))],
    );
    clock.now += 20 * DAY;
    await db.tier('r', OPTIONS);
    await pass(db);
    await db.run('UPDATE r SET v = -1 WHERE id % 10 = 0');
    await pass(db);
    const store = createR2Backend(env.BUCKET, { prefix: 'iceberg-test' });
    const rows = await seen(store);
    expect(rows.length).toBe(99);
    expect(rows).toEqual(await coldRows(db, storage));
    await db.purge('r', { where: 'id < 5' });
    await pass(db);
    expect(await seen(store)).toEqual(await coldRows(db, storage));
  });
});
