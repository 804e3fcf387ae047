import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { createR2Backend, type R2Backend } from '../src/index.ts';
import { newPrefix } from './storage.ts';
import { expectError } from './suite.ts';

const partBytes = 8 * 1024 * 1024;

/** A bucket that notes what it is asked to do, and does some of it otherwise. */
function watched(
  calls: string[],
  instead: Partial<Record<string, (...given: never[]) => unknown>> = {},
): R2Bucket {
  const watch = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(target, name) {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== 'function' || typeof name !== 'string') return method;
        return async (...given: never[]): Promise<unknown> => {
          calls.push(name);
          const result = (await (instead[name] ?? method.bind(target))(...given)) as unknown;
          return name === 'createMultipartUpload' ? watch(result as R2MultipartUpload) : result;
        };
      },
    });
  return watch(env.BUCKET);
}

function open(calls: string[] = [], instead = {}): R2Backend {
  return createR2Backend(watched(calls, instead), { prefix: newPrefix() });
}

const million = 1_000_000;

/** The byte at each place is the place's remainder by 251; this is enough of them for any piece. */
const remainders = Uint8Array.from({ length: million + 251 }, (_, i) => i % 251);

const pieceAt = (at: number, length: number): Uint8Array =>
  remainders.subarray(at % 251, (at % 251) + length);

/** A stream of so many bytes in pieces of a million; before it ends, `end` is run. */
function streamed(size: number, end: () => unknown = () => undefined): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      if (at < size) {
        const piece = pieceAt(at, Math.min(million, size - at));
        controller.enqueue(piece);
        at += piece.length;
        return;
      }
      await end();
      controller.close();
    },
  });
}

function isRight(bytes: Uint8Array | null): boolean {
  if (bytes === null) return false;
  for (let at = 0; at < bytes.length; at += million) {
    const piece = bytes.subarray(at, at + million);
    if (!Buffer.from(piece).equals(pieceAt(at, piece.length))) return false;
  }
  return true;
}

describe('a stream written to R2', () => {
  it('is one upload where it fits into memory, or its length is known', async () => {
    for (const [size, options] of [
      [0, {}],
      [5, {}],
      [partBytes, {}],
      [5, { size: 5 }],
      [partBytes + 1, { size: partBytes + 1 }],
    ] as const) {
      const calls: string[] = [];
      const files = open(calls);
      const stat = await files.write('a', streamed(size), options);
      expect(calls).toEqual(['put']);
      expect(stat.size).toBe(size);
      expect(stat.etag).not.toContain('-');
      expect(isRight(await files.read('a'))).toBe(true);
    }
  });

  it('is put together of equal parts where it is long, of a length not known', async () => {
    for (const [size, parts] of [
      [partBytes + 1, 2],
      [2 * partBytes + 5, 3],
    ] as const) {
      const calls: string[] = [];
      const files = open(calls);
      const stat = await files.write('a', streamed(size), { nonce: 'n' });
      const uploads = Array.from({ length: parts }, () => 'uploadPart');
      expect(calls).toEqual(['createMultipartUpload', ...uploads, 'complete']);
      expect(stat.size).toBe(size);
      expect(stat.etag).toMatch(/-\d+$/);
      expect(await files.stat('a')).toEqual({ ...stat, nonce: 'n' });
      const bytes = await files.read('a');
      expect(bytes?.length).toBe(size);
      expect(isRight(bytes)).toBe(true);
      await files.write('a', 'x', { ifMatch: stat.etag });
    }
  });

  it('leaves no parts where it fails, or R2 does', async () => {
    const dead = (): never => {
      throw new Error('dead');
    };
    const calls: string[] = [];
    const failing = open(calls);
    await expectError(failing.write('a', streamed(partBytes + 1, dead)), 'STREAM_FAILED', 'dead');
    expect(calls).toEqual([]);
    await expectError(failing.write('a', streamed(2 * partBytes + 1, dead)), 'STREAM_FAILED', 'dead');
    expect(calls.at(0)).toBe('createMultipartUpload');
    expect(calls.at(-1)).toBe('abort');
    expect(await failing.exists('a')).toBe(false);
    for (const method of ['uploadPart', 'complete']) {
      const calls: string[] = [];
      const files = open(calls, { [method]: dead });
      await expectError(files.write('a', streamed(partBytes + 1)), 'STORAGE_UNAVAILABLE', 'dead');
      expect(calls.at(-1)).toBe('abort');
      expect(await files.exists('a')).toBe(false);
    }
    const both = open([], { uploadPart: dead, abort: () => Promise.reject(new Error('gone')) });
    await expectError(both.write('a', streamed(partBytes + 1)), 'STORAGE_UNAVAILABLE', 'dead');
  });

  it('of a known length leaves nothing where it fails, or is of another length', async () => {
    const files = open();
    const size = partBytes + 1;
    const dead = (): never => {
      throw new Error('dead');
    };
    await expectError(files.write('a', streamed(size, dead), { size }), 'STREAM_FAILED', 'dead');
    await expectError(files.write('a', streamed(size - 1), { size }), 'BAD_PARAMETER', `${size - 1}`);
    await expectError(files.write('a', streamed(size + 1), { size }), 'BAD_PARAMETER', 'more');
    expect(await files.exists('a')).toBe(false);
  });

  it('is held to its condition when it is put together', async () => {
    const files = open();
    const rewrite = (): Promise<unknown> => files.write('a', 'meanwhile');
    const size = 2 * partBytes;
    await expectError(files.write('a', streamed(size, rewrite), { ifAbsent: true }), 'PRECONDITION_FAILED');
    const { etag } = await files.write('a', 'before');
    await expectError(files.write('a', streamed(size, rewrite), { ifMatch: etag }), 'PRECONDITION_FAILED');
    expect((await files.stat('a'))?.size).toBe(9);
  });

  it('is held to its condition in one step with the write where its length is known', async () => {
    const files = open();
    const size = partBytes + 1;
    const rewrite = (): Promise<unknown> => files.write('a', 'meanwhile');
    await expectError(
      files.write('a', streamed(size, rewrite), { ifAbsent: true, size }),
      'PRECONDITION_FAILED',
    );
    const { etag } = await files.write('a', 'before');
    await expectError(
      files.write('a', streamed(size, rewrite), { ifMatch: etag, size }),
      'PRECONDITION_FAILED',
    );
    expect((await files.stat('a'))?.size).toBe(9);
  });
});

describe('what R2 is told and asked', () => {
  it('is a checksum, so that an upload which arrives cut is refused', async () => {
    const cut = (key: string, data: Uint8Array, options: R2PutOptions): Promise<R2Object | null> =>
      env.BUCKET.put(key, data.subarray(0, 3), options);
    const files = open([], { put: cut });
    await files.write('short', 'abc');
    await expectError(files.write('a', 'abcdef'), 'STORAGE_UNAVAILABLE', 'write');
    await expect(files.write('a', 'abcdef')).rejects.toMatchObject({ retryable: true });
    await expectError(files.write('a', streamed(6)), 'STORAGE_UNAVAILABLE', 'write');
    expect(await files.exists('a')).toBe(false);
  });

  it('is never a range of no bytes', async () => {
    const calls: string[] = [];
    const files = open(calls);
    await files.write('a', 'abc');
    calls.length = 0;
    expect(await files.read('a', { offset: 1, length: 0 })).toEqual(new Uint8Array(0));
    expect(await new Response(await files.readStream('a', { length: 0 })).text()).toBe('');
    expect(calls).toEqual(['head', 'head']);
  });

  it('does not take a part of an answer for the whole', async () => {
    const short = async (key: string, options: R2GetOptions): Promise<R2ObjectBody | null> => {
      const object = await env.BUCKET.get(key, options);
      return (
        object &&
        new Proxy(object, {
          get: (target, name) =>
            name === 'arrayBuffer'
              ? async () => (await target.arrayBuffer()).slice(0, 2)
              : (Reflect.get(target, name) as unknown),
        })
      );
    };
    const files = open([], { get: short });
    await files.write('a', 'abcdef');
    await expectError(files.read('a'), 'STORAGE_UNAVAILABLE', '2 bytes and not 6');
    await expectError(files.read('a', { offset: 1, length: 3 }), 'STORAGE_UNAVAILABLE', '2 bytes and not 3');
    await expectError(files.read('a', { offset: 1, length: 30 }), 'STORAGE_UNAVAILABLE', '2 bytes and not 5');
    expect(await files.read('a', { length: 2 })).toEqual(new TextEncoder().encode('ab'));
  });

  it('is asked again where that can help, and after a second where it was asked too often', async () => {
    const told = async (message: string): Promise<unknown> =>
      open([], { head: () => Promise.reject(new Error(message)) })
        .stat('a')
        .catch((error: unknown) => error);
    const busy = 'put: Reduce your concurrent request rate for the same object. (10058)';
    expect(await told(busy)).toMatchObject({ retryable: true, retryAfterMs: 1000 });
    expect(await told('head: 429 Too Many Requests')).toMatchObject({ retryable: true, retryAfterMs: 1000 });
    const lost = await told('head: We encountered an internal error. Please try again. (10001)');
    expect(lost).toMatchObject({ code: 'STORAGE_UNAVAILABLE', retryable: true, retryAfterMs: undefined });
    for (const code of [10002, 10003, 10006, 10042])
      expect(await told(`head: no (${code})`)).toMatchObject({
        code: 'STORAGE_UNAVAILABLE',
        retryable: false,
      });
    expect(await told('Network connection lost.')).toMatchObject({ retryable: true });
  });
});
