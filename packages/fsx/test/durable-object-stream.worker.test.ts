import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { createDOBackend, type DOBackend } from '../src/index.ts';
import { withStorage } from './storage.ts';
import { expectError } from './suite.ts';

const chunkBytes = 262_144;

/** Bytes that differ from chunk to chunk, so that a chunk out of place shows. */
function pattern(size: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = i * 31 + ((i / 251) | 0) + seed;
  return bytes;
}

/** A stream of the bytes in pieces that are no divisors of a chunk; then `end` settles it. */
function streamed(
  bytes: Uint8Array,
  end: () => Promise<void> = async () => undefined,
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      if (at < bytes.length) return controller.enqueue(bytes.slice(at, (at += 333_333)));
      await end();
      controller.close();
    },
  });
}

async function bytesOf(stream: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream ?? []) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}

const equal = (a: Uint8Array | null, b: Uint8Array): boolean => a !== null && Buffer.from(a).equals(b);

/** Rows of the tables underneath: files, chunks, contents that are no file's. */
function rows(storage: DurableObjectStorage): { files: number; chunks: number; loose: number } {
  const count = (table: string): number => {
    const isThere =
      storage.sql.exec('SELECT 1 FROM sqlite_master WHERE name = ?', table).toArray().length > 0;
    return isThere ? Number(storage.sql.exec(`SELECT count(*) AS n FROM ${table}`).one()['n']) : 0;
  };
  return {
    files: count('__dosql_file'),
    chunks: count('__dosql_file_chunk'),
    loose: count('__dosql_file_loose'),
  };
}

describe('writes that are synchronous', () => {
  it('do what their namesakes do, at once', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      const stat = files.writeSync('a', 'text', { ifAbsent: true, nonce: 'n1' });
      expect(files.statSync('a')).toEqual(stat);
      expect(stat.nonce).toBe('n1');
      expect(await files.stat('a')).toEqual(stat);
      expect(new TextDecoder().decode(files.readSync('a', { offset: 1, length: 2 }) ?? undefined)).toBe('ex');
      expect(() => files.writeSync('a', 'x', { ifAbsent: true })).toThrow(
        expect.objectContaining({ code: 'PRECONDITION_FAILED' }),
      );
      expect(() => files.writeSync('a', 'x', { size: 2 })).toThrow(
        expect.objectContaining({ code: 'BAD_PARAMETER' }),
      );
      expect(() => files.writeSync('../a', 'x')).toThrow(expect.objectContaining({ code: 'INVALID_PATH' }));
      const stream = new Response('x').body as unknown as string;
      expect(() => files.writeSync('b', stream)).toThrow(expect.objectContaining({ code: 'BAD_PARAMETER' }));
      expect(files.deleteSync('a')).toBe(true);
      expect(files.deleteSync('a')).toBe(false);
      expect([files.statSync('a'), files.readSync('a')]).toEqual([null, null]);
    }));

  it('are part of the transaction around them, with the rows', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      storage.sql.exec('CREATE TABLE t (a)').toArray();
      files.writeSync('old', 'old');
      const both = (fail: boolean): void =>
        storage.transactionSync(() => {
          storage.sql.exec('INSERT INTO t VALUES (1)').toArray();
          files.writeSync('new', pattern(chunkBytes + 1));
          files.deleteSync('old');
          if (fail) throw new Error('back');
        });
      const state = (): unknown[] => [
        storage.sql.exec('SELECT count(*) AS n FROM t').one()['n'],
        files.statSync('old')?.size,
        files.statSync('new')?.size,
        rows(storage).chunks,
      ];
      expect(() => both(true)).toThrow('back');
      expect(state()).toEqual([0, 3, undefined, 1]);
      both(false);
      expect(state()).toEqual([1, undefined, chunkBytes + 1, 2]);
    }));
});

describe('a stream written to a Durable Object', () => {
  const sizes = [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 2 * chunkBytes, 3 * chunkBytes + 7];

  it('is the file of its bytes, whatever its length, over any before it', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      for (const [i, size] of [...sizes, ...sizes.toReversed()].entries()) {
        const bytes = pattern(size, i);
        const known = i % 2 ? { size } : {};
        expect((await files.write('a', streamed(bytes), known)).size).toBe(size);
        expect(equal(await files.read('a'), bytes)).toBe(true);
        expect(equal(await bytesOf(await files.readStream('a')), bytes)).toBe(true);
        expect(rows(storage)).toEqual({ files: 1, chunks: Math.ceil(size / chunkBytes), loose: 0 });
      }
      const range = { offset: chunkBytes - 3, length: chunkBytes + 9 };
      const bytes = pattern(3 * chunkBytes);
      await files.write('a', streamed(bytes));
      const part = await bytesOf(await files.readStream('a', range));
      expect(equal(part, bytes.subarray(range.offset, range.offset + range.length))).toBe(true);
    }));

  it('is not seen before its end, and holds no transaction open', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      await files.write('a', 'before');
      storage.sql.exec('CREATE TABLE t (a)').toArray();
      const bytes = pattern(2 * chunkBytes + 5);
      await files.write(
        'a',
        streamed(bytes, async () => {
          // How many of its chunks are stored depends on how far ahead the stream is read.
          expect(rows(storage)).toMatchObject({ files: 1, loose: 1 });
          expect(rows(storage).chunks).toBeGreaterThan(1);
          expect(new TextDecoder().decode(files.readSync('a') ?? undefined)).toBe('before');
          expect(() =>
            storage.transactionSync(() => {
              storage.sql.exec('INSERT INTO t VALUES (1)').toArray();
              throw new Error('back');
            }),
          ).toThrow('back');
          await storage.sync();
        }),
      );
      expect(equal(await files.read('a'), bytes)).toBe(true);
    }));

  it('leaves nothing where it fails, is of another size, or its condition no longer holds', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      const { etag } = await files.write('a', 'before');
      const long = pattern(2 * chunkBytes + 5);
      const fails = (): Promise<void> => Promise.reject(new Error('the line went dead'));
      await expectError(files.write('a', streamed(long, fails)), 'STREAM_FAILED', 'the line went dead');
      await expectError(files.write('b', streamed(long), { size: 5 }), 'BAD_PARAMETER', 'more');
      await expectError(
        files.write('b', streamed(long), { size: long.length + 1 }),
        'BAD_PARAMETER',
        `${long.length}`,
      );
      expect(rows(storage)).toEqual({ files: 1, chunks: 1, loose: 0 });
      expect((await files.stat('a'))?.etag).toBe(etag);
      const rewrite = async (): Promise<void> => void (await files.write('a', 'meanwhile'));
      await expectError(files.write('a', streamed(long, rewrite), { ifMatch: etag }), 'PRECONDITION_FAILED');
      await expectError(
        files.write(
          'c',
          streamed(long, async () => void (await files.write('c', 'first'))),
          { ifAbsent: true },
        ),
        'PRECONDITION_FAILED',
      );
      expect(rows(storage)).toEqual({ files: 2, chunks: 2, loose: 0 });
      const empty = async (): Promise<void> => {
        await storage.deleteAll();
        await files.write('d', 'x');
      };
      await expectError(files.write('a', streamed(long, empty)), 'STORAGE_UNAVAILABLE', 'emptied');
      files.deleteSync('d');
      files.writeSync('d', 'x');
      expect(rows(storage)).toEqual({ files: 1, chunks: 1, loose: 0 });
    }));

  it('is removed by the next object where the object stopped in the middle', async () => {
    const stub = env.FILES.get(env.FILES.newUniqueId());
    await runInDurableObject(stub, async (_, { storage }) => {
      const files = createDOBackend(storage);
      await files.write('a', 'before');
      const middle = Promise.withResolvers<void>();
      const stuck = streamed(pattern(3 * chunkBytes), () => {
        middle.resolve();
        return new Promise(() => undefined);
      });
      files.write('a', stuck).catch(() => undefined);
      await middle.promise;
      expect(rows(storage).chunks).toBeGreaterThan(1);
      // Other streams do not take it for one that was left.
      await files.write('b', streamed(pattern(chunkBytes + 1)));
      expect(rows(storage)).toMatchObject({ files: 2, loose: 1 });
      await storage.sync();
    });
    await evictDurableObject(stub);
    await runInDurableObject(stub, async (_, { storage }) => {
      const files = createDOBackend(storage);
      expect(rows(storage).loose).toBe(1);
      files.writeSync('c', 'x');
      expect(rows(storage)).toEqual({ files: 3, chunks: 4, loose: 0 });
      expect(new TextDecoder().decode(files.readSync('a') ?? undefined)).toBe('before');
    });
  });
});

describe('a stream read from a Durable Object', () => {
  const replaced: [string, (files: DOBackend) => unknown][] = [
    ['written over', (files) => files.writeSync('a', 'short')],
    ['written over by a stream', (files) => files.write('a', streamed(pattern(3 * chunkBytes, 9)))],
    ['deleted', (files) => files.deleteSync('a')],
  ];

  for (const [what, change] of replaced) {
    it(`goes on with its version while the file is ${what}, which is removed after it`, () =>
      withStorage(async (storage) => {
        const files = createDOBackend(storage);
        const bytes = pattern(2 * chunkBytes + 5);
        await files.write('a', bytes);
        const [first, second, third] = [
          await files.readStream('a'),
          await files.readStream('a', { offset: 7 }),
          await files.readStream('a'),
        ];
        const reader = first?.getReader();
        const begun = await reader?.read();
        await change(files);
        expect(rows(storage).loose).toBe(1);
        expect(equal(await bytesOf(second), bytes.subarray(7))).toBe(true);
        await third?.cancel();
        expect(rows(storage).loose).toBe(1);
        reader?.releaseLock();
        expect(equal(await bytesOf(first), bytes.subarray(begun?.value?.length))).toBe(true);
        const left = (await files.stat('a'))?.size ?? 0;
        expect(rows(storage)).toEqual({
          files: left > 0 ? 1 : 0,
          chunks: Math.ceil(left / chunkBytes),
          loose: 0,
        });
      }));
  }

  it('is of bytes, so that it can pass to another Worker', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      await files.write('a', 'text');
      const reader = (await files.readStream('a'))?.getReader({ mode: 'byob' });
      expect((await reader?.read(new Uint8Array(9)))?.value).toEqual(new TextEncoder().encode('text'));
      expect((await reader?.read(new Uint8Array(9)))?.done).toBe(true);
    }));
});
