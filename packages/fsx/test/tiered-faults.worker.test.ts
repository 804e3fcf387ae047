import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import {
  createDOBackend,
  createMemoryBackend,
  createR2Backend,
  createTieredBackend,
  type FileStore,
  type TieredBackend,
  type TieredOptions,
} from '../src/index.ts';
import { createFaultyBackend, type Fault } from '../src/testing/index.ts';
import { newPrefix, withStorage } from './storage.ts';
import { listAll } from '../src/testing/assert.ts';
import { expectError } from './suite.ts';

const text = (bytes: Uint8Array | null): string | null => bytes && new TextDecoder().decode(bytes);
const paths = async (store: FileStore): Promise<string[]> =>
  (await listAll(store)).map((file) => file.path).filter((path) => path !== '__dosql_pins');

const options: TieredOptions = { maxHotFileSize: 5, hotDataMaxAge: 0 };
const streamOf = (text: string): ReadableStream<Uint8Array> =>
  new Response(text).body as ReadableStream<Uint8Array>;

/** What the files are before. The first is hot, the second cold, the third hot and pinned. */
const start = { hot: 'hot', cold: 'cold', pinned: 'pin' };
type Files = Record<string, string | undefined>;

interface Operation {
  readonly name: string;
  readonly run: (files: TieredBackend) => Promise<unknown>;
  /** What it changes; nothing by default. */
  readonly change?: Files;
  readonly options?: TieredOptions;
}

const operations: readonly Operation[] = [
  {
    name: 'a new small file',
    run: (files) => files.write('new', 'x', { ifAbsent: true }),
    change: { new: 'x' },
  },
  { name: 'a new large file', run: (files) => files.write('new', 'larger'), change: { new: 'larger' } },
  { name: 'a small file over a cold one', run: (files) => files.write('cold', 'x'), change: { cold: 'x' } },
  {
    name: 'a large file over a cold one',
    run: (files) => files.write('cold', 'larger'),
    change: { cold: 'larger' },
  },
  {
    name: 'a large file over a hot one',
    run: (files) => files.write('hot', 'larger'),
    change: { hot: 'larger' },
  },
  {
    name: 'a large file over a pinned one',
    run: (files) => files.write('pinned', 'larger'),
    change: { pinned: 'larger' },
  },
  {
    name: 'a stream over a cold file',
    run: (files) => files.write('cold', streamOf('x')),
    change: { cold: 'x' },
  },
  {
    name: 'a large stream over a hot file',
    run: (files) => files.write('hot', streamOf('larger'), { size: 6 }),
    change: { hot: 'larger' },
  },
  { name: 'the deletion of a hot file', run: (files) => files.delete('hot'), change: { hot: undefined } },
  { name: 'the deletion of a cold file', run: (files) => files.delete('cold'), change: { cold: undefined } },
  {
    name: 'the deletion of a pinned file',
    run: (files) => files.delete('pinned'),
    change: { pinned: undefined },
  },
  { name: 'a migration', run: (files) => files.migrate() },
  { name: 'a promotion', run: (files) => files.promote('cold') },
  { name: 'the pinning of a cold file', run: (files) => files.pin('cold') },
  { name: 'the pinning of a hot file', run: (files) => files.pin('hot') },
  { name: 'the unpinning of a file', run: (files) => files.unpin('pinned') },
  {
    name: 'a write that moves other files first',
    run: (files) => files.write('new', 'x'),
    change: { new: 'x' },
    options: { ...options, autoMigrate: true },
  },
];

interface Stores {
  readonly hot: FileStore;
  readonly cold: FileStore;
}

async function fill({ hot, cold }: Stores): Promise<void> {
  await hot.write('hot', start.hot);
  await cold.write('cold', start.cold);
  await hot.write('pinned', start.pinned);
  await createTieredBackend(hot, cold).pin('pinned');
}

/** What every file is now, also to somebody who opens the stores anew. */
async function contents({ hot, cold }: Stores): Promise<Files> {
  const files = createTieredBackend(hot, cold);
  const found: Files = {};
  for (const path of ['hot', 'cold', 'pinned', 'new'])
    found[path] = text(await files.read(path)) ?? undefined;
  expect(await paths(files)).toEqual(
    Object.keys(found)
      .filter((path) => found[path] !== undefined)
      .sort(),
  );
  return found;
}

/** Runs the operation with the n-th call going wrong and checks what is there then. False past the last call. */
async function fail(
  { run, change = {}, options: own = options }: Operation,
  stores: Stores,
  n: number,
  fault: Fault,
): Promise<boolean> {
  await fill(stores);
  const hot = createFaultyBackend(stores.hot, { plan: { [n]: fault } });
  const cold = createFaultyBackend(stores.cold, { plan: { [n]: fault }, beside: hot });
  const outcome = await run(createTieredBackend(hot, cold, own)).then(
    () => undefined,
    (error: unknown) => error,
  );
  const before: Files = { ...start, new: undefined };
  const after: Files = { ...before, ...change };
  const found = await contents(stores);
  if (outcome === undefined) expect(found).toEqual(after);
  else {
    expect(outcome).toMatchObject({ code: 'STORAGE_UNAVAILABLE' });
    expect([before, after]).toContainEqual(found);
  }
  // Once the stores work again, everything can be done, and is as if nothing had gone wrong.
  const files = createTieredBackend(stores.hot, stores.cold, { ...own, autoMigrate: false });
  await files.delete('new');
  const isDone = found['hot'] === undefined || found['cold'] === undefined || found['pinned'] === undefined;
  if (!isDone) await run(files);
  await files.migrate();
  expect(await contents(stores)).toEqual({ ...after, ...(isDone ? { new: undefined } : {}) });
  const copies = [...(await paths(stores.hot)), ...(await paths(stores.cold))];
  expect(copies.sort()).toEqual(await paths(files));
  for (const path of await files.pinned()) expect((await files.stat(path))?.tier ?? 'hot').toBe('hot');
  return hot.faults.length > 0;
}

const faults: readonly Fault[] = ['before', 'after', 'stop', 'stop-after'];

describe('a tiered store of which any call fails', () => {
  for (const operation of operations) {
    it(`keeps all files whole: ${operation.name}`, async () => {
      for (const fault of faults) {
        let n = 1;
        while (await fail(operation, { hot: createMemoryBackend(), cold: createMemoryBackend() }, n, fault))
          n++;
        expect(n).toBeGreaterThan(2);
      }
    });
  }

  it('keeps all files whole over a Durable Object and R2', () =>
    withStorage(async (storage) => {
      // A third of them: what each does to the two stores is the same as in memory.
      for (const operation of operations.filter((_, i) => i % 3 === 1)) {
        for (let n = 1; ; n++) {
          const prefix = newPrefix();
          const hot = createDOBackend(storage);
          for (const { path } of (await hot.list()).files) await hot.delete(path);
          const stores = { hot, cold: createR2Backend(env.BUCKET, { prefix }) };
          if (!(await fail(operation, stores, n, n % 2 ? 'stop-after' : 'stop'))) break;
        }
      }
    }));

  it('takes no short copy for the whole, whichever way it moves', async () => {
    for (const fault of ['short-read', 'torn-write'] as const) {
      for (const size of [6, 9 * 1024 * 1024]) {
        for (let n = 1; n <= 12; n++) {
          const stores = { hot: createMemoryBackend(), cold: createMemoryBackend() };
          await stores.hot.write('a', new Uint8Array(size));
          await stores.cold.write('b', new Uint8Array(size));
          const hot = createFaultyBackend(stores.hot, { plan: { [n]: fault } });
          const cold = createFaultyBackend(stores.cold, { plan: { [n]: fault }, beside: hot });
          const files = createTieredBackend(hot, cold, options);
          await files.migrate();
          await files
            .promote('b')
            .catch((error: unknown) => expect(error).toMatchObject({ code: 'STORAGE_UNAVAILABLE' }));
          const whole = createTieredBackend(stores.hot, stores.cold);
          for (const path of ['a', 'b']) expect((await whole.read(path))?.length).toBe(size);
        }
      }
    }
  });
});

describe('promote and pin', () => {
  it('bring a file to the hot store, and pin keeps it there', async () => {
    const files = createTieredBackend(createMemoryBackend(), createMemoryBackend(), options);
    await files.cold.write('a', 'larger');
    expect(await files.promote('a')).toMatchObject({ size: 6, tier: 'hot' });
    expect([await paths(files.hot), await paths(files.cold)]).toEqual([['a'], []]);
    expect(await files.promote('a')).toEqual(await files.stat('a'));
    expect(await files.migrate()).toMatchObject({ moved: 1 });
    const pinned = await files.pin('a');
    expect(pinned).toEqual(await files.stat('a'));
    expect(pinned?.tier).toBe('hot');
    expect(await files.pinned()).toEqual(['a']);
    expect(await files.migrate()).toMatchObject({ moved: 0, failed: [] });
    expect((await files.write('a', 'even larger', { ifMatch: pinned?.etag })).tier).toBe('hot');
    expect((await createTieredBackend(files.hot, files.cold, options).migrate()).moved).toBe(0);
    expect(await files.unpin('a')).toBe(true);
    expect(await files.unpin('a')).toBe(false);
    expect((await files.migrate()).moved).toBe(1);
    expect(text(await files.read('a'))).toBe('even larger');
  });

  it('find nothing where there is no file, and forget a file that is deleted', async () => {
    const files = createTieredBackend(createMemoryBackend(), createMemoryBackend(), options);
    expect([await files.promote('a'), await files.pin('a'), await files.pinned()]).toEqual([null, null, []]);
    await files.write('a', 'x');
    await files.pin('a');
    await files.delete('a');
    expect(await files.pinned()).toEqual([]);
  });

  it('keep the pins of any path, of two stores at once, out of sight', () =>
    withStorage(async (storage) => {
      const cold = createMemoryBackend();
      const open = (): TieredBackend => createTieredBackend(createDOBackend(storage), cold, options);
      const names = ['__proto__', 'é "a" \n', ...Array.from({ length: 10 }, (_, i) => `f${i}`)];
      for (const name of names) await open().write(name, 'x');
      await Promise.all(names.map((name) => open().pin(name)));
      expect(new Set(await open().pinned())).toEqual(new Set(names));
      expect(await open().migrate()).toMatchObject({ moved: 0, failed: [] });
      expect((await open().list()).files).toHaveLength(names.length);
      expect(new Set((await listAll(open(), '', { limit: 1 })).map((file) => file.path))).toEqual(
        new Set(names),
      );
      for (const call of [
        () => open().read('__dosql_pins'),
        () => open().readStream('/__dosql_pins'),
        () => open().write('__dosql_pins', '[]'),
        () => open().delete('__dosql_pins'),
        () => open().stat('__dosql_pins'),
        () => open().exists('__dosql_pins'),
        () => open().pin('__dosql_pins'),
      ])
        await expectError(call(), 'INVALID_PATH', '__dosql_pins');
    }));

  it('say that a damaged list of pins is damaged', async () => {
    const files = createTieredBackend(createMemoryBackend(), createMemoryBackend(), options);
    await files.write('a', 'x');
    for (const damaged of ['', '{}', '[1]', '["a"']) {
      await files.hot.write('__dosql_pins', damaged);
      await expectError(files.pinned(), 'STORAGE_UNAVAILABLE', 'damaged', 'pin the paths again');
      expect((await files.migrate()).failed).toHaveLength(1);
    }
    expect(text(await files.read('a'))).toBe('x');
  });
});

describe('stats', () => {
  it('counts each file once, where it counts', async () => {
    let now = 0;
    const clock = (): number => now;
    const [hot, cold] = [createMemoryBackend({ clock }), createMemoryBackend()];
    const files = createTieredBackend(hot, cold, { hotDataMaxAge: 10, clock });
    const nothing = { files: 0, bytes: 0 };
    expect(await files.stats()).toEqual({ hot: nothing, cold: nothing, pinned: nothing, due: nothing });
    await files.write('old', '12345');
    await files.write('pinned', '1234');
    await files.pin('pinned');
    await cold.write('both', 'a stale copy');
    await cold.write('cold', '12');
    now = 10;
    await files.hot.write('both', '1');
    expect(await files.stats()).toEqual({
      hot: { files: 3, bytes: 10 },
      cold: { files: 1, bytes: 2 },
      pinned: { files: 1, bytes: 4 },
      due: { files: 1, bytes: 5 },
    });
    await Promise.all(Array.from({ length: 1001 }, (_, i) => cold.write(`f${i}`, 'x')));
    expect((await files.stats(9)).due).toEqual(nothing);
    expect((await files.stats()).cold).toEqual({ files: 1002, bytes: 1003 });
  });
});
