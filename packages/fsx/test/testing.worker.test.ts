import { describe, expect, it } from 'vitest';
import { createMemoryBackend, type FileStore } from '../src/index.ts';
import {
  conformance,
  type ConformanceTest,
  createFaultyBackend,
  type Fault,
  type FaultOptions,
} from '../src/testing/index.ts';
import { expectError } from './suite.ts';

/** The test of the suite whose name starts so, on stores made so. */
function test(name: string, create: () => FileStore, seed = 1): ConformanceTest {
  const found = conformance((use) => use(create()), { seed }).find((test) => test.name.startsWith(name));
  if (found === undefined) throw new Error(`There is no test whose name starts with "${name}".`);
  return found;
}

/** A store in memory, one method of which does something else. */
function altered(change: (store: FileStore) => Partial<FileStore>): () => FileStore {
  return () => {
    const store = createMemoryBackend();
    const other = change(store);
    return new Proxy(store, {
      get: (target, name) =>
        other[name as keyof FileStore] ?? (Reflect.get(target, name) as () => unknown).bind(target),
    });
  };
}

describe('conformance', () => {
  it('finds what a store does wrong', async () => {
    const wrong: [(store: FileStore) => Partial<FileStore>, string][] = [
      [(s) => ({ write: (path, data) => s.write(path, data) }), 'writes with ifAbsent only where'],
      [(s) => ({ write: (path, data) => s.write(path, data) }), 'writes with ifMatch only over'],
      [(s) => ({ delete: async (path) => s.delete(path).then(() => true) }), 'deletes once'],
      [(s) => ({ read: (path) => s.read(path) }), 'reads any range as slice'],
      [(s) => ({ readStream: (path) => s.readStream(path) }), 'streams any range as slice'],
      [(s) => ({ read: async (path, o) => (await s.read(path, o))?.slice(1) ?? null }), 'reads back bytes'],
      [
        (s) => ({
          list: async (prefix, o) => {
            const { files } = await s.list(prefix, { ...o, cursor: undefined });
            return { files };
          },
        }),
        'pages through a listing',
      ],
      [
        (s) => ({
          list: async (prefix, o) => {
            const page = await s.list(prefix, o);
            return { ...page, files: page.files.toSorted((a, b) => (a.path < b.path ? -1 : 1)) };
          },
        }),
        'lists in the order of UTF-8 bytes',
      ],
      [
        (s) => ({ write: (path, data, o) => s.write(path.toLowerCase(), data, o) }),
        'takes paths with any text',
      ],
      [
        (s) => ({
          write: async (path, data, o) => {
            const before = await s.stat(path);
            await new Promise((done) => setTimeout(done, 1));
            const { ifAbsent, ifMatch, ...rest } = o ?? {};
            const isMet = ifAbsent ? before === null : ifMatch === undefined || before?.etag === ifMatch;
            return s.write(path, data, isMet ? rest : o);
          },
        }),
        'lets one of many conditional writes through',
      ],
      [
        (s) => ({
          write: async (path, data, o) => {
            if (!(data instanceof ReadableStream)) return s.write(path, data, o);
            // Visible while it comes.
            await s.write(path, '', { ...o, size: undefined });
            return s.write(path, data, { ...o, ifAbsent: undefined, ifMatch: undefined });
          },
        }),
        'leaves the file as it was where the stream fails',
      ],
    ];
    for (const [change, name] of wrong) {
      await test(name, () => createMemoryBackend()).run();
      await expect(test(name, altered(change)).run(), name).rejects.toThrow(name);
    }
  });

  it('names the behaviour, what was wrong and the seed', async () => {
    const create = altered(() => ({ exists: async () => true }));
    await expect(test('has nothing', create, 7).run()).rejects.toThrow(
      /has nothing where nothing was written.*true, not false \(seed 7\)/,
    );
  });
});

describe('createFaultyBackend', () => {
  const fault = (plan: Record<number, Fault>, options: FaultOptions = {}): ReturnType<typeof open> =>
    open({ plan, ...options });
  const open = (options: FaultOptions): ReturnType<typeof createFaultyBackend> =>
    createFaultyBackend(createMemoryBackend(), options);

  it('counts calls and passes them on', async () => {
    const store = open({});
    const stat = await store.write('a', 'abc');
    expect(await store.read('a', { offset: 1 })).toEqual(new TextEncoder().encode('bc'));
    expect(await new Response(await store.readStream('a')).text()).toBe('abc');
    expect([await store.stat('a'), await store.exists('a')]).toEqual([stat, true]);
    expect((await store.list()).files).toHaveLength(1);
    expect(await store.delete('a')).toBe(true);
    expect([store.calls, store.faults, store.kind]).toEqual([7, [], 'faulty']);
  });

  it('fails before or after the effect, once or from then on', async () => {
    for (const [kind, isDone, isStopped] of [
      ['before', false, false],
      ['busy', false, false],
      ['after', true, false],
      ['stop', false, true],
      ['stop-after', true, true],
    ] as const) {
      const store = fault({ 2: kind }, { seed: 9 });
      await store.exists('a');
      await expectError(store.write('a', 'x'), 'STORAGE_UNAVAILABLE', 'Call 2', 'write "a"', 'seed 9');
      expect(await store.store.exists('a')).toBe(isDone);
      if (isStopped) await expectError(store.read('a'), 'STORAGE_UNAVAILABLE', 'Call 3');
      else await store.read('a');
      expect(store.faults[0]).toEqual({ call: 2, method: 'write', path: 'a', fault: kind });
    }
    await expect(fault({ 1: 'busy' }).read('a')).rejects.toMatchObject({ retryAfterMs: 1 });
  });

  it('delays, reads short, lists what was, and tears writes', async () => {
    const waited: number[] = [];
    const sleep = async (ms: number): Promise<void> => void waited.push(ms);
    const store = fault(
      { 2: 'short-read', 3: 'short-read', 4: 'stale-list', 6: 'torn-write', 7: 'torn-write', 8: 'delay' },
      { sleep, delayMs: 70 },
    );
    await store.write('a', 'abcdef');
    expect(await store.read('a')).toEqual(new TextEncoder().encode('abc'));
    expect(await new Response(await store.readStream('a')).text()).toBe('abc');
    expect((await store.list()).files).toEqual([]);
    expect((await store.list()).files).toHaveLength(1);
    expect((await store.write('a', 'abcd')).size).toBe(2);
    const stream = new Response('abcdef').body as ReadableStream<Uint8Array>;
    expect((await store.write('a', stream, { size: 6 })).size).toBe(3);
    expect(await store.exists('a')).toBe(true);
    expect(waited).toEqual([70]);
  });

  it('does the same again from the same seed, for some methods only, beside another store', async () => {
    const run = async (seed: number): Promise<unknown> => {
      const store = open({ seed, rates: { before: 0.2, after: 0.2 }, methods: ['write', 'read'] });
      for (let i = 0; i < 50; i++) {
        await store.write(`${i}`, 'x').catch(() => undefined);
        await store.read(`${i}`).catch(() => undefined);
        await store.stat(`${i}`);
      }
      return store.faults;
    };
    const faults = (await run(3)) as unknown[];
    expect(faults).toEqual(await run(3));
    expect(faults).not.toEqual(await run(4));
    expect(faults.length).toBeGreaterThan(20);
    expect(faults.length).toBeLessThan(60);
    const first = open({});
    const second = fault({ 2: 'stop' }, { beside: first });
    await first.exists('a');
    await expectError(second.exists('a'), 'STORAGE_UNAVAILABLE', 'Call 2');
    await expectError(first.exists('a'), 'STORAGE_UNAVAILABLE', 'Call 3');
    expect([first.calls, second.calls]).toEqual([3, 3]);
  });
});
