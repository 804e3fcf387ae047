import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import {
  createMemoryBackend,
  createR2Backend,
  createResilientBackend,
  FileStoreError,
  type BreakerChange,
  type FileStore,
  type ResilientBackend,
  type ResilientOptions,
} from '../src/index.ts';
import { createFaultyBackend, type Fault, type FaultyBackend } from '../src/testing/index.ts';
import { newPrefix } from './storage.ts';
import { expectError } from './suite.ts';

/** A store with a plan of faults, a clock that moves only by waiting, and what was waited for. */
function setUp(
  plan: Record<number, Fault> = {},
  options: ResilientOptions = {},
): {
  files: ResilientBackend<FaultyBackend>;
  memory: FileStore;
  waited: number[];
  states: BreakerChange[];
  at: { now: number };
} {
  const at = { now: 1_000_000 };
  const waited: number[] = [];
  const states: BreakerChange[] = [];
  const memory = createMemoryBackend();
  const files = createResilientBackend(createFaultyBackend(memory, { plan }), {
    timeoutMs: Infinity,
    clock: () => at.now,
    random: () => 1,
    sleep: async (ms) => {
      waited.push(ms);
      at.now += ms;
    },
    onState: (change) => states.push(change),
    ...options,
  });
  return { files, memory, waited, states, at };
}

/** A store whose write answers as told, call by call. */
function scripted(store: FileStore, answers: readonly (Error | 'stuck' | 'done-but-stuck')[]): FileStore {
  let call = 0;
  return new Proxy(store, {
    get(target, name) {
      if (name !== 'write') return (Reflect.get(target, name) as () => unknown).bind(target);
      return async (...given: Parameters<FileStore['write']>) => {
        const answer = answers[call++];
        if (answer instanceof Error) throw answer;
        if (answer === 'done-but-stuck') await target.write(...given);
        return answer === undefined ? target.write(...given) : new Promise(() => undefined);
      };
    },
  });
}

describe('createResilientBackend', () => {
  it('tells its kind, store and breaker, and refuses options out of range', () => {
    const { files } = setUp();
    expect(files.kind).toBe('resilient');
    expect(files.store.kind).toBe('faulty');
    expect(files.breaker).toMatchObject({ state: 'closed', failures: 0, openUntil: undefined });
    for (const options of [
      { attempts: 0 },
      { attempts: 1.5 },
      { baseDelayMs: -1 },
      { timeoutMs: NaN },
      { holdBytes: -1 },
      { breaker: { failures: 0 } },
      { breaker: { coolMs: -1 } },
    ])
      expect(() => createResilientBackend(createMemoryBackend(), options)).toThrow(
        expect.objectContaining({ code: 'BAD_PARAMETER' }),
      );
  });

  it('tries again with full jitter, twice as long each time, up to the number of attempts', async () => {
    const { files, waited } = setUp({ 1: 'before', 2: 'before', 3: 'before' });
    expect(await files.read('a')).toBeNull();
    expect(waited).toEqual([100, 200, 400]);
    const given = setUp({ 1: 'before', 2: 'before', 3: 'before', 4: 'before' });
    await expectError(given.files.read('a'), 'STORAGE_UNAVAILABLE', 'Call 4');
    expect(given.files.store.calls).toBe(4);
    const quarter = setUp({ 1: 'before' }, { random: () => 0.25, baseDelayMs: 8 });
    await quarter.files.stat('a');
    expect(quarter.waited).toEqual([2]);
    const capped = setUp({ 1: 'before', 2: 'before' }, { maxDelayMs: 150 });
    await capped.files.exists('a');
    expect(capped.waited).toEqual([100, 150]);
  });

  it('does not try again what cannot succeed', async () => {
    const { files } = setUp();
    await expectError(files.read('..'), 'INVALID_PATH');
    await files.write('a', 'x');
    await expectError(files.write('a', 'y', { ifAbsent: true }), 'PRECONDITION_FAILED');
    expect(files.store.calls).toBe(2);
    const permanent = new FileStoreError('STORAGE_UNAVAILABLE', 'no such bucket', { retryable: false });
    const stuck = createResilientBackend(scripted(createMemoryBackend(), [permanent]));
    await expectError(stuck.write('a', 'x'), 'STORAGE_UNAVAILABLE', 'no such bucket');
    expect(stuck.breaker.failures).toBe(0);
  });

  it('does not take a write whose answer was lost for someone else’s', async () => {
    const created = setUp({ 1: 'after' });
    const stat = await created.files.write('a', 'x', { ifAbsent: true });
    expect(stat).toEqual(await created.memory.stat('a'));
    const replaced = setUp({ 2: 'after' });
    const { etag } = await replaced.files.write('a', 'x');
    const second = await replaced.files.write('a', 'y', { ifMatch: etag });
    expect(second).toEqual(await replaced.memory.stat('a'));
    // Written when it was looked for in vain: the attempt was on its way, and the next one meets its file.
    const late = createMemoryBackend();
    let looks = 0;
    const slow = new Proxy(scripted(late, ['done-but-stuck']), {
      get(target, name) {
        const own = (Reflect.get(target, name) as (...given: unknown[]) => unknown).bind(target);
        return name === 'stat' ? (...given: unknown[]) => (looks++ === 0 ? null : own(...given)) : own;
      },
    });
    const files = createResilientBackend(slow, { timeoutMs: 5, baseDelayMs: 1 });
    expect(await files.write('a', 'x', { ifAbsent: true })).toEqual(await late.stat('a'));
  });

  it('tells two writers of the same bytes apart', async () => {
    const again = setUp({ 2: 'before' });
    await again.files.write('a', 'x');
    await expect(again.files.write('a', 'x', { ifAbsent: true })).rejects.toMatchObject({
      code: 'STORAGE_UNAVAILABLE',
      retryable: false,
      message: expect.stringContaining('Could not find out whether "a" was written') as string,
    });
  });

  it('compares the bytes where the store keeps no nonces', async () => {
    const store = createMemoryBackend();
    const plain = new Proxy(store, {
      get(target, name) {
        if (name === 'write')
          return (path: string, data: string, options: object) =>
            target.write(path, data, { ...options, nonce: undefined });
        return (Reflect.get(target, name) as () => unknown).bind(target);
      },
    });
    const files = createResilientBackend(createFaultyBackend(plain, { plan: { 1: 'after', 5: 'before' } }), {
      baseDelayMs: 0,
    });
    expect((await files.write('a', 'x', { ifAbsent: true })).size).toBe(1);
    expect(files.store.calls).toBe(3);
    await store.write('b', 'y');
    await expectError(files.write('b', 'z', { ifAbsent: true }), 'PRECONDITION_FAILED');
    await expectError(files.write('b', 'z', { ifAbsent: true }), 'STORAGE_UNAVAILABLE', 'Could not find out');
  });

  it('stops waiting for an attempt that takes too long', async () => {
    const memory = createMemoryBackend();
    const files = createResilientBackend(scripted(memory, ['stuck', 'done-but-stuck', 'stuck']), {
      timeoutMs: 5,
      baseDelayMs: 1,
      breaker: { failures: 10 },
    });
    expect((await files.write('a', 'x', { ifAbsent: true })).etag).toBe((await memory.stat('a'))?.etag);
    await expectError(
      createResilientBackend(scripted(memory, ['stuck']), { timeoutMs: 5, attempts: 1 }).write('b', 'x'),
      'STORAGE_UNAVAILABLE',
      'write "b"',
      'no answer within 5 ms',
    );
  });

  it('waits as long as a storage asks that is called too often, and does not call it down', async () => {
    const busy = (): FileStoreError =>
      new FileStoreError('STORAGE_UNAVAILABLE', 'too often', { retryAfterMs: 1000 });
    const waited: number[] = [];
    const files = createResilientBackend(scripted(createMemoryBackend(), [busy(), busy(), busy()]), {
      sleep: async (ms) => void waited.push(ms),
      timeoutMs: Infinity,
      random: () => 0.5,
      breaker: { failures: 1 },
    });
    await files.write('a', 'x', { ifAbsent: true });
    expect(waited).toEqual([1050, 1050, 1050]);
    expect(files.breaker.state).toBe('closed');
  });

  it('waits for R2, which takes one write a second to a key', async () => {
    let puts = 0;
    const bucket = new Proxy(env.BUCKET, {
      get(target, name) {
        const own: unknown = Reflect.get(target, name);
        if (name !== 'put') return typeof own === 'function' ? (own.bind(target) as unknown) : own;
        return (...given: Parameters<R2Bucket['put']>) => {
          if (puts++ > 0) return target.put(...given);
          throw new Error('put: Reduce your concurrent request rate for the same object. (10058)');
        };
      },
    });
    const waited: number[] = [];
    const files = createResilientBackend(createR2Backend(bucket, { prefix: newPrefix() }), {
      sleep: async (ms) => void waited.push(ms),
      timeoutMs: Infinity,
      random: () => 0,
    });
    const stat = await files.write('a', 'x', { ifAbsent: true, nonce: 'mine' });
    expect(stat.nonce).toBe('mine');
    expect(await files.stat('a')).toEqual(stat);
    expect(waited).toEqual([1000]);
  });

  it('answers a delete rightly also after a lost answer', async () => {
    const { files, memory } = setUp({ 3: 'after' });
    await files.write('a', 'x');
    expect(await files.delete('a')).toBe(true);
    expect(await memory.exists('a')).toBe(false);
    expect(await files.delete('a')).toBe(false);
  });

  it('tries a short stream again and a long one once', async () => {
    const stream = (sizeBytes: number): ReadableStream<Uint8Array> =>
      new Response(new Uint8Array(sizeBytes)).body as ReadableStream<Uint8Array>;
    const short = setUp({ 1: 'before', 2: 'before' });
    expect((await short.files.write('a', stream(1024 * 1024))).size).toBe(1024 * 1024);
    const long = setUp({ 1: 'before' });
    await expectError(long.files.write('a', stream(1024 * 1024 + 1)), 'STORAGE_UNAVAILABLE', 'Call 1');
    expect(await long.memory.exists('a')).toBe(false);
    const lost = setUp({ 1: 'after' });
    const size = 2 * 1024 * 1024;
    expect((await lost.files.write('a', stream(size), { size, ifAbsent: true })).size).toBe(size);
  });
});

describe('the breaker', () => {
  const down = Object.fromEntries<Fault>(Array.from({ length: 30 }, (_, i) => [i + 1, 'before']));

  it('opens after failures in a row, refuses at once and says until when', async () => {
    const { files, states, at } = setUp(down, { attempts: 2, breaker: { failures: 3, coolMs: 60_000 } });
    await expectError(files.read('a'), 'STORAGE_UNAVAILABLE', 'Call 2');
    expect(files.breaker).toMatchObject({ state: 'closed', failures: 2 });
    await expectError(files.read('a'), 'STORAGE_UNAVAILABLE', 'Call 3');
    expect(files.breaker).toMatchObject({ state: 'open', openUntil: at.now + 60_000 });
    const until = new Date(at.now + 60_000).toISOString();
    for (const call of [
      () => files.read('a'),
      () => files.write('a', 'x', { ifAbsent: true }),
      () => files.list(),
      () => files.delete('a'),
      () => files.write('a', new Response(new Uint8Array(2_000_000)).body as ReadableStream<Uint8Array>),
    ])
      await expectError(
        call(),
        'STORAGE_UNAVAILABLE',
        'failed 3 times in a row',
        `not called until ${until}`,
      );
    await expect(files.stat('a')).rejects.toMatchObject({ retryAfterMs: 60_000 });
    expect(files.store.calls).toBe(3);
    expect(states).toMatchObject([{ state: 'open', openUntil: at.now + 60_000 }]);
    expect(states[0]?.error?.message).toContain('Call 3');
  });

  it('lets one call through when it has cooled, and closes or opens again by it', async () => {
    const { files, states, at } = setUp(
      { 1: 'before', 2: 'before', 3: 'delay' },
      { attempts: 1, breaker: { failures: 1, coolMs: 1000 } },
    );
    const states_ = (): string[] => states.map((change) => change.state);
    await expectError(files.read('a'), 'STORAGE_UNAVAILABLE');
    at.now += 1000;
    await expectError(files.read('a'), 'STORAGE_UNAVAILABLE', 'Call 2');
    expect(states_()).toEqual(['open', 'half-open', 'open']);
    at.now += 999;
    await expectError(files.read('a'), 'STORAGE_UNAVAILABLE', 'not called until');
    at.now += 1;
    const probe = files.read('a');
    await expectError(files.read('a'), 'STORAGE_UNAVAILABLE', 'while one call tries');
    expect(await probe).toBeNull();
    expect(states_()).toEqual(['open', 'half-open', 'open', 'half-open', 'closed']);
    expect(await files.read('a')).toBeNull();
    expect(files.breaker).toMatchObject({ state: 'closed', failures: 0 });
  });

  it('counts only failures in a row, and none that are the caller’s', async () => {
    const { files } = setUp({ 1: 'before', 3: 'before' }, { attempts: 1, breaker: { failures: 2 } });
    for (let i = 0; i < 4; i++) await files.read('a').catch(() => undefined);
    expect(files.breaker.state).toBe('closed');
    for (let i = 0; i < 4; i++) await files.read('..').catch(() => undefined);
    expect(files.breaker).toMatchObject({ state: 'closed', failures: 0 });
  });

  it('is not closed by a call that never reached the storage', async () => {
    const { files, at } = setUp({ 1: 'before' }, { attempts: 1, breaker: { failures: 1, coolMs: 10 } });
    await files.read('a').catch(() => undefined);
    at.now += 10;
    const stream = new ReadableStream<Uint8Array>({ pull: () => Promise.reject(new Error('dead')) });
    await expectError(files.write('a', stream, { size: 2_000_000 }), 'STREAM_FAILED');
    expect(files.breaker.state).toBe('half-open');
    await files.read('a');
    expect(files.breaker.state).toBe('closed');
  });
});
