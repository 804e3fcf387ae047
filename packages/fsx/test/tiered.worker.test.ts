import { env } from 'cloudflare:workers';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  comparePaths,
  createDOBackend,
  createMemoryBackend,
  createR2Backend,
  createTieredBackend,
  FileStoreError,
  type FileStore,
} from '../src/index.ts';
import { newPrefix, withStorage } from './storage.ts';
import { listAll } from '../src/testing/assert.ts';
import { expectError } from './suite.ts';

const text = (bytes: Uint8Array | null): string | null => bytes && new TextDecoder().decode(bytes);
const hour = 3_600_000;

/** A store whose methods in `overrides` behave otherwise. */
function altered<T extends FileStore>(store: T, overrides: Partial<FileStore>): T {
  return new Proxy(store, {
    get(target, name) {
      const own: unknown = overrides[name as keyof FileStore] ?? Reflect.get(target, name, target);
      return typeof own === 'function' ? (own.bind(target) as unknown) : own;
    },
  });
}

const paths = async (store: FileStore): Promise<string[]> => (await listAll(store)).map((file) => file.path);

describe('createTieredBackend', () => {
  it('tells its kind, stores and options', () => {
    const [hot, cold] = [createMemoryBackend(), createMemoryBackend()];
    const files = createTieredBackend(hot, cold, {
      hotDataMaxAge: hour,
      maxHotFileSize: 10,
      autoMigrate: true,
    });
    expect(files.kind).toBe('tiered');
    expect(files.hot).toBe(hot);
    expect(files.cold).toBe(cold);
    expect(files.options).toEqual({ hotDataMaxAge: hour, maxHotFileSize: 10, autoMigrate: true });
    for (const options of [{ hotDataMaxAge: -1 }, { hotDataMaxAge: NaN }, { maxHotFileSize: -1 }]) {
      expect(() => createTieredBackend(hot, cold, options)).toThrow(
        expect.objectContaining({ code: 'BAD_PARAMETER' }),
      );
    }
  });

  it('puts what is larger than maxHotFileSize into the cold store, the rest into the hot one', async () => {
    const files = createTieredBackend(createMemoryBackend(), createMemoryBackend(), { maxHotFileSize: 4 });
    expect((await files.write('small', '1234')).tier).toBe('hot');
    expect((await files.write('large', '12345')).tier).toBe('cold');
    expect(await paths(files.hot)).toEqual(['small']);
    expect(await paths(files.cold)).toEqual(['large']);
    expect((await listAll(files)).map((file) => [file.path, file.tier])).toEqual([
      ['large', 'cold'],
      ['small', 'hot'],
    ]);
  });

  it('leaves one copy when a rewrite crosses the limit, either way', async () => {
    const files = createTieredBackend(createMemoryBackend(), createMemoryBackend(), { maxHotFileSize: 4 });
    await files.write('a', '12');
    const large = await files.write('a', '1234567');
    expect([await paths(files.hot), await paths(files.cold)]).toEqual([[], ['a']]);
    expect(await files.stat('a')).toEqual(large);
    const small = await files.write('a', '12', { ifMatch: large.etag });
    expect([await paths(files.hot), await paths(files.cold)]).toEqual([['a'], []]);
    expect(await files.stat('a')).toEqual(small);
    await expectError(files.write('a', '1234567', { ifMatch: large.etag }), 'PRECONDITION_FAILED');
    await expectError(files.write('a', '1234567', { ifAbsent: true }), 'PRECONDITION_FAILED');
    await files.write('a', '1234567', { ifMatch: small.etag });
    await expectError(files.write('a', '12', { ifAbsent: true }), 'PRECONDITION_FAILED');
    expect(text(await files.read('a'))).toBe('1234567');
  });

  it('shows the hot copy where there are two, and deletes both', async () => {
    const [hot, cold] = [createMemoryBackend(), createMemoryBackend()];
    await cold.write('a', 'a stale copy');
    await hot.write('a', 'current');
    const files = createTieredBackend(hot, cold);
    expect(text(await files.read('a'))).toBe('current');
    expect((await listAll(files)).map((file) => [file.tier, file.size])).toEqual([['hot', 7]]);
    expect(await files.delete('a')).toBe(true);
    expect(await files.exists('a')).toBe(false);
    expect([await paths(hot), await paths(cold)]).toEqual([[], []]);
  });

  it('does not bring back an old copy where a delete stops half way', async () => {
    const [hot, cold] = [createMemoryBackend(), createMemoryBackend()];
    await cold.write('a', 'stale');
    await hot.write('a', 'current');
    const stops = (): Promise<boolean> => Promise.reject(new FileStoreError('STORAGE_UNAVAILABLE', 'stop'));
    for (const files of [
      createTieredBackend(altered(hot, { delete: stops }), cold),
      createTieredBackend(hot, altered(cold, { delete: stops })),
    ]) {
      await expectError(files.delete('a'), 'STORAGE_UNAVAILABLE');
      expect(text(await files.read('a'))).toBe('current');
    }
  });

  it('merges the listings of both stores page by page, as one sorted list', async () => {
    const path = fc.stringMatching(/^[ab]{1,4}$/);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(path),
        fc.uniqueArray(path),
        fc.integer({ min: 1, max: 6 }),
        async (hotPaths, coldPaths, limit) => {
          const [hot, cold] = [createMemoryBackend(), createMemoryBackend()];
          for (const path of hotPaths) await hot.write(path, 'hot');
          for (const path of coldPaths) await cold.write(path, 'cold');
          const listed = await listAll(createTieredBackend(hot, cold), '', { limit });
          const expected = [...new Set([...hotPaths, ...coldPaths])].sort(comparePaths);
          expect(listed.map((file) => [file.path, file.tier])).toEqual(
            expected.map((path) => [path, hotPaths.includes(path) ? 'hot' : 'cold']),
          );
        },
      ),
    );
  });

  it('merges pages that come back shorter than asked for', async () => {
    const [hot, cold] = [createMemoryBackend(), createMemoryBackend()];
    const short = <T extends FileStore>(store: T, limit: number): T =>
      altered(store, { list: (prefix, options) => store.list(prefix, { ...options, limit }) });
    for (const path of ['b', 'd', 'f', 'h', 'j']) await hot.write(path, '');
    for (const path of ['a', 'c', 'd', 'e', 'g', 'i']) await cold.write(path, '');
    for (const [a, b] of [
      [1, 3],
      [3, 1],
      [2, 1000],
      [1000, 2],
      [1, 1],
    ] as const) {
      expect((await paths(createTieredBackend(short(hot, a), short(cold, b)))).join('')).toBe('abcdefghij');
    }
  });

  it('lets one of two writers through where both replace a cold copy, also from two stores over one object', () =>
    withStorage(async (storage) => {
      const cold = createR2Backend(env.BUCKET, { prefix: newPrefix() });
      const open = (): FileStore => createTieredBackend(createDOBackend(storage), cold);
      const { etag } = await cold.write('a', 'cold');
      const results = await Promise.allSettled(
        [open(), open()].map((files, i) => files.write('a', `writer ${i}`, { ifMatch: etag })),
      );
      expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    }));

  it('merges a Durable Object and R2 in one order', () =>
    withStorage(async (storage) => {
      const files = createTieredBackend(
        createDOBackend(storage),
        createR2Backend(env.BUCKET, { prefix: newPrefix() }),
        { maxHotFileSize: 0 },
      );
      const expected = ['a', 'b', 'b/c', 'é', '\u{ff01}', '\u{1f388}', '\u{1f389}'];
      for (const [i, path] of expected.entries()) await files.write(path, i % 2 ? 'cold' : '');
      expect((await listAll(files, '', { limit: 2 })).map((file) => file.path)).toEqual(expected);
    }));

  it('finds a file that goes from the cold store to the hot one between two looks', async () => {
    const [hot, cold] = [createMemoryBackend(), createMemoryBackend()];
    const moves = async (): Promise<null> => {
      await hot.write('a', 'x');
      return null;
    };
    expect(text(await createTieredBackend(hot, altered(cold, { read: moves })).read('a'))).toBe('x');
  });

  it('asks the cold store for nothing when a hot file is read or rewritten', async () => {
    const files = createTieredBackend(createMemoryBackend(), createMemoryBackend());
    const { etag } = await files.write('a', 'x');
    const none = new Proxy(files.cold, {
      get: (_, name) => expect.unreachable(`asked the cold store to ${String(name)}`),
    });
    const again = createTieredBackend(files.hot, none);
    await again.write('a', 'y', { ifMatch: etag });
    expect(text(await again.read('a'))).toBe('y');
    expect(await again.exists('a')).toBe(true);
  });

  it('refuses a path that only the cold store refuses, before writing it', () =>
    withStorage(async (storage) => {
      const files = createTieredBackend(
        createDOBackend(storage),
        createR2Backend(env.BUCKET, { prefix: newPrefix() }),
      );
      await expectError(files.write('x'.repeat(1024), 'x'), 'INVALID_PATH', 'prefix');
      expect(await paths(files.hot)).toEqual([]);
    }));
});

describe('migrate', () => {
  const start = Date.UTC(2026, 0, 1);

  it('moves the files that are old enough, and only once', () =>
    withStorage(async (storage) => {
      let now = start;
      const hot = createDOBackend(storage, { clock: () => now });
      const files = createTieredBackend(hot, createR2Backend(env.BUCKET, { prefix: newPrefix() }), {
        hotDataMaxAge: hour,
      });
      await files.write('old', 'old file');
      await files.write('empty', '');
      now += hour;
      await files.write('new', 'new file');
      expect(await files.migrate(start + hour - 1)).toEqual({ moved: 0, sizeBytes: 0, failed: [] });
      expect(await files.migrate(start + hour)).toEqual({ moved: 2, sizeBytes: 8, failed: [] });
      expect(await files.migrate(start + hour)).toEqual({ moved: 0, sizeBytes: 0, failed: [] });
      expect([await paths(hot), await paths(files.cold)]).toEqual([['new'], ['empty', 'old']]);
      expect(text(await files.read('old', { offset: 4 }))).toBe('file');
      expect((await files.stat('old'))?.tier).toBe('cold');
    }));

  it('moves nothing without hotDataMaxAge', async () => {
    const files = createTieredBackend(createMemoryBackend({ clock: () => 0 }), createMemoryBackend(), {
      autoMigrate: true,
    });
    await files.write('a', 'x');
    await files.write('b', 'x');
    expect((await files.migrate()).moved).toBe(0);
    expect(await paths(files.cold)).toEqual([]);
  });

  it('goes through more files than a page holds', async () => {
    const files = createTieredBackend(createMemoryBackend({ clock: () => 0 }), createMemoryBackend(), {
      hotDataMaxAge: hour,
    });
    await Promise.all(Array.from({ length: 1205 }, (_, i) => files.write(`f${i}`, 'x')));
    expect(await files.migrate()).toMatchObject({ moved: 1205, failed: [] });
  });

  it('keeps a file hot where its copy is cut or cannot be put, and moves the others', async () => {
    const cold = createMemoryBackend();
    const flaky = altered(cold, {
      write: (path, data, options) => {
        if (path === 'b') return Promise.reject(new Error('no answer'));
        if (path !== 'c') return cold.write(path, data, options);
        return cold.write(path, 'cut', { ...options, size: undefined });
      },
    });
    const files = createTieredBackend(createMemoryBackend({ clock: () => 0 }), flaky, {
      hotDataMaxAge: hour,
    });
    for (const path of ['a', 'b', 'c', 'd']) await files.write(path, `content of ${path}`);
    const { moved, failed } = await files.migrate();
    expect(moved).toBe(2);
    expect(failed.map(({ path, error }) => [path, error.code])).toEqual([
      ['b', 'STORAGE_UNAVAILABLE'],
      ['c', 'STORAGE_UNAVAILABLE'],
    ]);
    expect(failed[0]?.error.message).toContain('no answer');
    expect(failed[1]?.error.message).toContain('has 3 bytes and not 12');
    expect(text(await files.read('c'))).toBe('content of c');
    const mended = createTieredBackend(files.hot, cold, { hotDataMaxAge: hour });
    expect(await mended.migrate()).toMatchObject({ moved: 2, failed: [] });
    for (const path of ['a', 'b', 'c', 'd']) expect(text(await mended.read(path))).toBe(`content of ${path}`);
    expect(await paths(files.hot)).toEqual([]);
  });

  it('finishes a move that stopped before the hot copy was gone', async () => {
    const hot = createMemoryBackend({ clock: () => 0 });
    await hot.write('a', 'x');
    const stopped = createTieredBackend(
      altered(hot, { delete: () => Promise.reject(new Error('evicted')) }),
      createMemoryBackend(),
      { hotDataMaxAge: hour },
    );
    expect((await stopped.migrate()).failed).toHaveLength(1);
    expect((await listAll(stopped)).map((file) => file.tier)).toEqual(['hot']);
    const files = createTieredBackend(hot, stopped.cold, { hotDataMaxAge: hour });
    expect((await files.migrate()).moved).toBe(1);
    expect((await listAll(files)).map((file) => file.tier)).toEqual(['cold']);
  });

  it('loses no write that comes while a file moves, also through another store over the same object', () =>
    withStorage(async (storage) => {
      const prefix = newPrefix();
      const open = (clock: () => number): FileStore & { migrate(): Promise<unknown> } =>
        createTieredBackend(createDOBackend(storage, { clock }), createR2Backend(env.BUCKET, { prefix }), {
          hotDataMaxAge: hour,
        });
      for (let round = 0; round < 10; round++) {
        await open(() => 0).write('a', `before ${round}`);
        await Promise.all([open(Date.now).migrate(), open(Date.now).write('a', `after ${round}`)]);
        expect(text(await open(Date.now).read('a'))).toBe(`after ${round}`);
        expect(await paths(open(Date.now))).toEqual(['a']);
      }
    }));

  it('keeps a hot file that a writer past this store changed meanwhile', async () => {
    const [hot, cold] = [createMemoryBackend({ clock: () => 0 }), createMemoryBackend()];
    await hot.write('a', 'before');
    const interrupted = altered(cold, {
      write: async (path, data) => {
        await hot.write('a', 'after!');
        return cold.write(path, data);
      },
    });
    const files = createTieredBackend(hot, interrupted, { hotDataMaxAge: hour });
    expect(await files.migrate()).toEqual({ moved: 0, sizeBytes: 0, failed: [] });
    expect(text(await files.read('a'))).toBe('after!');
  });

  it('keeps to the map through writes, deletes and moves at random', async () => {
    const operation = fc.record({
      kind: fc.constantFrom('write', 'write', 'delete', 'migrate'),
      path: fc.constantFrom('a', 'b', 'c'),
      size: fc.nat(8),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { maxLength: 20 }),
        fc.boolean(),
        async (operations, autoMigrate) => {
          let now = 0;
          const files = createTieredBackend(
            createMemoryBackend({ clock: () => now }),
            createMemoryBackend(),
            {
              maxHotFileSize: 5,
              hotDataMaxAge: 2,
              autoMigrate,
              clock: () => now,
            },
          );
          const model = new Map<string, string>();
          for (const { kind, path, size } of operations) {
            now += 1;
            const body = `${now}`.padEnd(size, '.');
            if (kind === 'migrate') await files.migrate(now);
            else if (kind === 'delete') expect(await files.delete(path)).toBe(model.delete(path));
            else {
              // Held across the move that autoMigrate makes within the write.
              const etag = (await files.stat(path))?.etag;
              await files.write(path, body, etag === undefined ? { ifAbsent: true } : { ifMatch: etag });
              model.set(path, body);
            }
            for (const path of ['a', 'b', 'c'])
              expect(text(await files.read(path))).toBe(model.get(path) ?? null);
            const both = [...(await paths(files.hot)), ...(await paths(files.cold))];
            expect(both.sort()).toEqual([...model.keys()].sort());
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('autoMigrate', () => {
  it('moves a few due files with each write, and in the end all', async () => {
    let now = 0;
    const clock = (): number => now;
    const files = createTieredBackend(createMemoryBackend({ clock }), createMemoryBackend(), {
      hotDataMaxAge: hour,
      autoMigrate: true,
      clock,
    });
    for (let i = 0; i < 100; i++) await files.write(`old/${String(i).padStart(2, '0')}`, 'x');
    now += hour;
    await files.write('new', 'x');
    expect(await paths(files.cold)).toHaveLength(2);
    for (let i = 0; i < 60; i++) await files.write('new', 'x');
    expect(await paths(files.hot)).toEqual(['new']);
    expect(await paths(files)).toHaveLength(101);
  });

  it('does not move the file being written, whose etag the caller holds', async () => {
    const files = createTieredBackend(createMemoryBackend({ clock: () => 0 }), createMemoryBackend(), {
      hotDataMaxAge: hour,
      autoMigrate: true,
    });
    const { etag } = await files.write('a', 'x');
    await files.write('a', 'y', { ifMatch: etag });
    expect(text(await files.read('a'))).toBe('y');
  });

  it('lets the write go on where a move fails', async () => {
    const cold = altered(createMemoryBackend(), { write: () => Promise.reject(new Error('no answer')) });
    const files = createTieredBackend(createMemoryBackend({ clock: () => 0 }), cold, {
      hotDataMaxAge: hour,
      autoMigrate: true,
    });
    await files.write('a', 'x');
    await files.write('b', 'y');
    expect(await paths(files.hot)).toEqual(['a', 'b']);
    expect((await files.migrate()).failed).toHaveLength(2);
  });
});
