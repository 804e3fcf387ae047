import { runInDurableObject } from 'cloudflare:test';
import { createMemoryBackend, FileStoreError, type FileStore } from '@dotdo/fsx';
import { createFaultyBackend, type Fault } from '@dotdo/fsx/testing';
import { expect, inject, it, vi } from 'vitest';
import { DB, DoSQLError, type Database } from '../src/index.ts';
import { newObject } from './support/database.ts';
import { LAKE, lakeRows, pathsIn } from './support/iceberg.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

vi.setConfig({ testTimeout: 120_000 });

const START = Date.parse('2026-03-01T00:00:00.000Z');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const FOLDER = 'tables/r-1';
const OPTIONS = { column: 'at', hotFor: '1d', iceberg: { location: LAKE } } as const;
const RUNS = Number(inject('runs')) || 3;

interface World {
  readonly db: Database;
  readonly storage: DurableObjectStorage;
  readonly clock: { now: number };
  /** What the cold store keeps, seen without faults. */
  readonly store: FileStore;
  /** Through which store the database sees it. */
  through: FileStore;
}

/** A database whose cold store can be made to fail. */
function withWorld(use: (world: World) => Promise<void>): Promise<void> {
  return runInDurableObject(newObject(), async (_, { storage }) => {
    const store = createMemoryBackend();
    const clock = { now: START + 10 * DAY };
    const world = { through: store as FileStore };
    const cold = new Proxy(store, {
      get: (_, key) => {
        const value: unknown = Reflect.get(world.through, key, world.through);
        return typeof value === 'function' ? value.bind(world.through) : value;
      },
    });
    const hot = { kind: 'durable-object' as const, storage };
    const db = await DB('test', { storage: { kind: 'tiered', hot, cold }, clock: () => clock.now });
    await db.exec('CREATE TABLE r(id INTEGER PRIMARY KEY, s TEXT, at TEXT)');
    await db.run(
      "INSERT INTO r(s, at) SELECT 's' || value, strftime('%Y-%m-%dT%H:%M:%fZ', '2026-03-01', value || ' hours') FROM json_each(?)",
      [JSON.stringify(Array.from({ length: 60 }, (_, i) => i))],
    );
    await use(Object.assign(world, { db, storage, clock, store }));
  });
}

const plain = (rows: readonly Readonly<Record<string, unknown>>[]): string =>
  rows
    .map(({ id, s, at }) => `${String(id)} ${String(s)} ${new Date(at as string).toISOString()}`)
    .toSorted()
    .join('\n');

/** The rows that others see, of files that are all there; undefined where there is no table. */
async function seen(store: FileStore): Promise<string | undefined> {
  const metadata = await pathsIn(store, `${FOLDER}/metadata/v`);
  return metadata.some((path) => path.endsWith('.json')) ? plain(await lakeRows(store, FOLDER)) : undefined;
}

async function cold({ db, storage, through, store }: World): Promise<string> {
  const world = { through };
  const hot = new Set([...storage.sql.exec('SELECT id FROM r').raw()].map(([id]) => Number(id)));
  expect(world.through).toBe(store);
  return plain((await db.query('SELECT * FROM r')).filter(({ id }) => !hot.has(Number(id))));
}

/** Runs what may fail as the cold store does. */
async function attempt(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof DoSQLError) && !(error instanceof FileStoreError)) throw error;
  }
}

it.each<Fault>(['before', 'after', 'stop-after', 'torn-write', 'short-read'])(
  'is right or behind when the cold store fails in any call of a pass: %s',
  async (fault) => {
    // Without a fault first, which tells how many calls there are.
    let calls = 0;
    for (let n = 0; n <= calls; n++)
      await withWorld(async (world) => {
        const { db, store } = world;
        await db.tier('r', OPTIONS);
        await db.tierPass();
        const before = await cold(world);
        expect(await seen(store)).toBe(before);
        await db.run("UPDATE r SET s = 'changed' WHERE id IN (2, 30)");
        await db.run('DELETE FROM r WHERE id = 5');
        const faulty = createFaultyBackend(store, { plan: { [n]: fault }, seed: n });
        world.through = faulty;
        await attempt(db.tierPass());
        if (n === 0) ({ calls } = faulty);
        const between = await seen(store).catch((error: unknown) => error);
        world.through = store;
        const after = await cold(world);
        expect([before, after], `call ${n}`).toContain(between);
        for (let i = 0; i < 2; i++) await db.tierPass();
        expect((await db.tierStatus())[0]?.problem, `call ${n}`).toBeUndefined();
        expect(await seen(store), `call ${n}`).toBe(await cold(world));
      });
    expect(calls).toBeGreaterThan(20);
  },
);

it.each<Fault>(['before', 'after', 'torn-write'])(
  'catches up with files that are only added when the cold store fails in any call of a pass: %s',
  async (fault) => {
    let calls = 0;
    for (let n = 0; n <= calls; n++)
      await withWorld(async (world) => {
        const { db, clock, store } = world;
        await db.tier('r', { ...OPTIONS, partition: 'day' });
        await db.tierPass();
        await db.run("INSERT INTO r(s, at) VALUES ('later', '2026-03-08T00:00:00.000Z')");
        clock.now += DAY;
        const faulty = createFaultyBackend(store, { plan: { [n]: fault }, seed: n });
        world.through = faulty;
        await attempt(db.tierPass());
        if (n === 0) ({ calls } = faulty);
        world.through = store;
        for (let i = 0; i < 2; i++) await db.tierPass();
        expect((await db.tierStatus())[0]?.problem, `call ${n}`).toBeUndefined();
        expect(await seen(store), `call ${n}`).toBe(await cold(world));
      });
    expect(calls).toBeGreaterThan(10);
  },
);

it('writes over metadata that was taken in part', async () => {
  await withWorld(async (world) => {
    const { db, store } = world;
    await db.tier('r', OPTIONS);
    await db.tierPass();
    const paths = await pathsIn(store, `${FOLDER}/metadata/v`);
    const next = `${FOLDER}/metadata/v${paths.filter((path) => path.endsWith('.json')).length + 1}.metadata.json`;
    await store.write(next, '{"format-version": 2, "tab');
    expect(await seen(store)).toBe(await cold(world));
    await db.run("UPDATE r SET s = 'changed' WHERE id = 2");
    for (let i = 0; i < 2; i++) await db.tierPass();
    expect((await db.tierStatus())[0]?.problem).toBeUndefined();
    expect(await seen(store)).toBe(await cold(world));
  });
});

it.each<Fault>(['before', 'stop-after'])(
  'erases in the end when the cold store fails in any call of erasing: %s',
  async (fault) => {
    // Without a fault first, which tells how many calls there are.
    let calls = 0;
    for (let n = 0; n <= calls; n++)
      await withWorld(async (world) => {
        const { db, store, clock } = world;
        await db.run("UPDATE r SET s = 'Lovelace' WHERE id = 3");
        await db.tier('r', OPTIONS);
        await db.tierPass();
        const faulty = createFaultyBackend(store, { plan: { [n]: fault }, seed: n });
        world.through = faulty;
        await attempt(db.purge('r', { where: 'id = 3' }));
        if (n === 0) ({ calls } = faulty);
        world.through = store;
        await attempt(db.purge('r', { where: 'id = 3' }));
        clock.now += 2 * HOUR;
        for (let i = 0; i < 2; i++) await db.tierPass();
        expect(await db.get('SELECT 1 FROM r WHERE id = 3')).toBeNull();
        expect(await seen(store), `call ${n}`).toBe(await cold(world));
        const listed = (await lakeRows(store, FOLDER)).length;
        expect(listed).toBeGreaterThan(40);
        for (const path of await pathsIn(store, `${FOLDER}/metadata/`)) {
          const bytes = (await store.read(path)) ?? undefined;
          expect(new TextDecoder().decode(bytes).includes('Lovelace'), `call ${n}: ${path}`).toBe(false);
        }
      });
    expect(calls).toBeGreaterThan(20);
  },
);

it('is right or behind whatever is written, erased and fails, and while passes run', async () => {
  for (const seed of seeds(20_261_121))
    for (let run = 0; run < RUNS; run++) {
      const random = new Random(seed * 1_000 + run);
      const note = `VITE_SEED=${seed}, run ${run}`;
      await withWorld(async (world) => {
        const { db, store, clock } = world;
        await db.tier('r', OPTIONS);
        const states = new Set<string | undefined>([undefined, '']);
        let id = 1_000;
        for (let step = 0; step < 25; step++) {
          const rates = { before: 0.04, after: 0.04, 'stop-after': 0.01, 'short-read': 0.01 };
          const isFailing = random.chance(0.5);
          world.through = isFailing
            ? createFaultyBackend(store, { seed: random.int(2 ** 31), rates })
            : store;
          const at = new Date(START + random.int(8 * 24) * HOUR).toISOString();
          const some = random.int(60);
          const write = random.pick([
            () => db.run('INSERT INTO r VALUES (?, ?, ?)', [id++, `n${id}`, at]),
            () => db.run('UPDATE r SET s = ? WHERE id = ?', [`u${step}`, some]),
            () => db.run('DELETE FROM r WHERE id BETWEEN ? AND ?', [some, some + 3]),
            () => db.purge('r', { where: 'id = ?', params: [some] }),
            () => db.tierPass(),
          ]);
          clock.now += random.pick([0, HOUR, 10 * HOUR]);
          const isAtOnce = random.chance(0.2);
          if (isAtOnce) await Promise.all([attempt(write()), attempt(db.tierPass())]);
          else {
            await attempt(write());
            await attempt(db.tierPass());
          }
          world.through = store;
          const now = await cold(world);
          const there = await seen(store);
          states.add(now);
          // What has been written while a pass ran may have been seen half-way: the files are there all the same.
          if (!isAtOnce) expect(states.has(there), `${note}, step ${step}`).toBe(true);
          states.add(there);
        }
        await db.tierPass();
        await db.tierPass();
        expect((await db.tierStatus())[0]?.problem, note).toBeUndefined();
        expect(await seen(store), note).toBe(await cold(world));
        clock.now += 2 * DAY;
        await db.tierPass();
        await db.tierPass();
        expect(await seen(store), note).toBe(await cold(world));
        const files = (await db.tierStatus())[0]?.files;
        expect((await pathsIn(store, `${FOLDER}/data/`)).length, note).toBe(files);
      });
    }
});
