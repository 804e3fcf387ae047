import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  comparePaths,
  type FileEntry,
  type FileStore,
  type FileStoreErrorCode,
  type ListOptions,
} from '../src/index.ts';

/** Runs `use` on a new, empty store, wherever that store has to run. */
export type WithStore = (use: (store: FileStore) => Promise<void>) => Promise<void>;

const text = (bytes: Uint8Array | null): string | null => bytes && new TextDecoder().decode(bytes);

/** Checks that `work` fails with a FileStoreError of this code whose message has all of `words`. */
export async function expectError(
  work: Promise<unknown>,
  code: FileStoreErrorCode,
  ...words: string[]
): Promise<void> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'FileStoreError', code });
  for (const word of words) expect((error as Error).message).toContain(word);
}

/** Every file of a listing, page by page. */
export async function listAll(
  store: FileStore,
  prefix?: string,
  options: ListOptions = {},
): Promise<FileEntry[]> {
  const files: FileEntry[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list(prefix, { ...options, cursor });
    files.push(...page.files);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return files;
}

/** What every file store has to do, whatever it keeps its files in. */
export function conformance(name: string, create: WithStore): void {
  const test = (behaviour: string, use: (store: FileStore) => Promise<void>): void =>
    it(behaviour, () => create(use));

  describe(`${name}: a file store`, () => {
    test('reads back bytes, a buffer and text', async (store) => {
      const bytes = new Uint8Array([9, 0, 255, 128, 9]);
      await store.write('bytes', bytes.subarray(1, 4));
      await store.write('buffer', new Uint8Array([1, 2, 3]).buffer);
      await store.write('text', 'naïve 🎈');
      expect(await store.read('bytes')).toEqual(new Uint8Array([0, 255, 128]));
      expect(await store.read('buffer')).toEqual(new Uint8Array([1, 2, 3]));
      expect(text(await store.read('text'))).toBe('naïve 🎈');
    });

    test('has nothing where nothing was written', async (store) => {
      expect(await store.read('a')).toBeNull();
      expect(await store.read('a', { offset: 3, length: 0 })).toBeNull();
      expect(await store.read('a', { offset: 3, length: 2 })).toBeNull();
      expect(await store.stat('a')).toBeNull();
      expect(await store.exists('a')).toBe(false);
      expect(await store.delete('a')).toBe(false);
      expect(await store.list()).toEqual({ files: [] });
    });

    test('says size, etag, time and tier, the same from write, stat and list', async (store) => {
      const before = Date.now();
      const written = await store.write('a/b', 'four');
      expect(written.size).toBe(4);
      expect(written.etag).toMatch(/^[\w-]+$/);
      expect(written.tier).toMatch(/^(hot|cold)$/);
      expect(written.modified).toBeInstanceOf(Date);
      expect(Math.abs(written.modified.getTime() - before)).toBeLessThan(60_000);
      expect(await store.stat('a/b')).toEqual(written);
      expect(await store.list()).toEqual({ files: [{ path: 'a/b', ...written }] });
      expect(await store.exists('a/b')).toBe(true);
    });

    test('replaces the whole file and changes its etag', async (store) => {
      const first = await store.write('a', 'a long first version');
      const second = await store.write('a', 'short');
      expect(text(await store.read('a'))).toBe('short');
      expect(second.etag).not.toBe(first.etag);
      expect(await listAll(store)).toHaveLength(1);
    });

    test('deletes once', async (store) => {
      await store.write('a', 'x');
      await store.write('ab', 'y');
      expect(await store.delete('a')).toBe(true);
      expect(await store.delete('a')).toBe(false);
      expect(await store.read('a')).toBeNull();
      expect(text(await store.read('ab'))).toBe('y');
    });

    test('keeps an empty file', async (store) => {
      expect((await store.write('empty', '')).size).toBe(0);
      for (const range of [
        undefined,
        { length: 0 },
        { length: 5 },
        { offset: 0 },
        { offset: 7 },
        { offset: 7, length: 1 },
      ]) {
        expect(await store.read('empty', range)).toEqual(new Uint8Array(0));
      }
      expect(await store.exists('empty')).toBe(true);
    });

    test('does not share memory with its caller', async (store) => {
      const bytes = new Uint8Array([1, 2, 3]);
      await store.write('a', bytes);
      bytes.fill(7);
      (await store.read('a'))?.fill(8);
      expect(await store.read('a')).toEqual(new Uint8Array([1, 2, 3]));
    });

    test('reads any range as slice() would', async (store) => {
      const bytes = Uint8Array.from({ length: 50 }, (_, i) => i);
      await store.write('range', bytes);
      const bound = fc.option(fc.oneof(fc.nat(60), fc.constantFrom(49, 50, 51, Number.MAX_SAFE_INTEGER)), {
        nil: undefined,
      });
      await fc.assert(
        fc.asyncProperty(bound, bound, async (offset, length) => {
          const start = offset ?? 0;
          expect(await store.read('range', { offset, length })).toEqual(
            bytes.slice(start, start + (length ?? 50)),
          );
        }),
        { numRuns: 60 },
      );
    });

    test('writes with ifAbsent only where there is no file', async (store) => {
      await store.write('a', 'first', { ifAbsent: true });
      await expectError(
        store.write('a', 'second', { ifAbsent: true }),
        'PRECONDITION_FAILED',
        '"a"',
        'without ifAbsent',
      );
      expect(text(await store.read('a'))).toBe('first');
      await store.delete('a');
      await store.write('a', 'third', { ifAbsent: true });
      await store.write('a', 'fourth', { ifAbsent: false });
      expect(text(await store.read('a'))).toBe('fourth');
    });

    test('writes with ifMatch only over that version', async (store) => {
      const { etag } = await store.write('a', 'first');
      const second = await store.write('a', 'second', { ifMatch: etag });
      await expectError(
        store.write('a', 'third', { ifMatch: etag }),
        'PRECONDITION_FAILED',
        '"a"',
        etag,
        'read it again',
      );
      expect(text(await store.read('a'))).toBe('second');
      await store.delete('a');
      await expectError(store.write('a', 'fourth', { ifMatch: second.etag }), 'PRECONDITION_FAILED');
      expect(await store.exists('a')).toBe(false);
    });

    test('lets one of many conditional writes through', async (store) => {
      const writers = Array.from({ length: 8 }, (_, i) => `writer ${i}`);
      const race = async (condition: { ifAbsent: true } | { ifMatch: string }): Promise<string[]> => {
        const results = await Promise.allSettled(
          writers.map((writer) => store.write('a', writer, condition)),
        );
        return writers.filter((_, i) => results[i]?.status === 'fulfilled');
      };
      const created = await race({ ifAbsent: true });
      expect(created).toHaveLength(1);
      expect(text(await store.read('a'))).toBe(created[0]);
      const stat = await store.write('a', 'no writer');
      const replaced = await race({ ifMatch: stat.etag });
      expect(replaced).toHaveLength(1);
      expect(text(await store.read('a'))).toBe(replaced[0]);
    });

    test('lists in the order of UTF-8 bytes, also above U+FFFF', async (store) => {
      const paths = [
        'A',
        'a',
        'a b',
        'a!',
        'a/b',
        'a/c/d',
        'a0',
        'aa',
        'é',
        '\u{ff01}',
        '\u{1f388}',
        '\u{10ffff}',
        '__proto__',
      ];
      for (const path of paths) await store.write(path, path);
      const listed = (await listAll(store)).map((file) => file.path);
      expect(listed).toEqual([...paths].sort(comparePaths));
      expect(listed.slice(-3)).toEqual(['\u{ff01}', '\u{1f388}', '\u{10ffff}']);
    });

    test('pages through a listing whatever the limit', async (store) => {
      const paths = Array.from({ length: 13 }, (_, i) => `p/${String(i).padStart(2, '0')}`);
      for (const path of ['o', ...paths, 'q']) await store.write(path, '');
      for (const limit of [1, 4, 12, 13, 1000]) {
        const first = await store.list('p/', { limit });
        expect(first.files.length).toBeLessThanOrEqual(limit);
        expect((await listAll(store, 'p/', { limit })).map((file) => file.path)).toEqual(paths);
      }
    });

    test('goes on with a listing after files came and went', async (store) => {
      for (const path of ['b', 'd', 'f']) await store.write(path, '');
      const { cursor } = await store.list('', { limit: 2 });
      await store.delete('d');
      for (const path of ['a', 'e']) await store.write(path, '');
      expect((await store.list('', { cursor })).files.map((file) => file.path)).toEqual(['e', 'f']);
    });

    test('lists what starts with the prefix, which need not end at a slash', async (store) => {
      for (const path of ['log', 'log/1', 'log/2', 'log2', 'lag', '%_', '%a']) await store.write(path, '');
      const list = async (prefix: string): Promise<string[]> =>
        (await listAll(store, prefix)).map((file) => file.path);
      expect(await list('log/')).toEqual(['log/1', 'log/2']);
      expect(await list('/log')).toEqual(['log', 'log/1', 'log/2', 'log2']);
      expect(await list('%_')).toEqual(['%_']);
      expect(await list('m')).toEqual([]);
    });

    test('takes one leading slash off a path', async (store) => {
      await store.write('/a/b', 'x');
      expect(text(await store.read('a/b'))).toBe('x');
      expect((await listAll(store))[0]?.path).toBe('a/b');
      expect(await store.delete('/a/b')).toBe(true);
    });

    test('takes paths of 1,024 bytes with any text', async (store) => {
      for (const path of [
        `${'é'.repeat(400)}/x`,
        '__proto__',
        'constructor',
        "o'clock; DROP TABLE x --",
        'a\nb',
        '...',
        '%20',
      ]) {
        await store.write(path, 'x');
        expect(text(await store.read(path))).toBe('x');
      }
    });

    test('refuses a path that could mean another', async (store) => {
      for (const path of [
        '',
        '/',
        'a//b',
        'a/',
        '.',
        '..',
        'a/../b',
        './a',
        'a\\b',
        'a\0',
        'a/%2e%2E/b',
        '%2Fa',
        'a%5c',
        '\ud800',
        'x'.repeat(1025),
      ]) {
        await expectError(store.read(path), 'INVALID_PATH');
        await expectError(store.write(path, 'x'), 'INVALID_PATH');
        await expectError(store.delete(path), 'INVALID_PATH');
        await expectError(store.stat(path), 'INVALID_PATH');
        await expectError(store.exists(path), 'INVALID_PATH');
      }
      for (const prefix of ['..', '../', 'a//', 'a/../', '%2e%2e', 'a\\'])
        await expectError(store.list(prefix), 'INVALID_PATH');
      expect(await listAll(store)).toEqual([]);
    });

    test('refuses parameters out of range and names them', async (store) => {
      await store.write('a', 'x');
      for (const offset of [-1, 0.5, NaN, Infinity])
        await expectError(store.read('a', { offset }), 'BAD_PARAMETER', 'offset', String(offset));
      for (const length of [-1, 0.5, NaN])
        await expectError(store.read('a', { length }), 'BAD_PARAMETER', 'length', String(length));
      for (const limit of [0, 1001, 1.5])
        await expectError(store.list('', { limit }), 'BAD_PARAMETER', 'limit', String(limit));
      for (const ifMatch of ['', '*', '"a"'])
        await expectError(store.write('a', 'y', { ifMatch }), 'BAD_PARAMETER', 'ifMatch');
      await expectError(store.write('a', 'y', { ifMatch: 'b', ifAbsent: true }), 'BAD_PARAMETER', 'ifAbsent');
      await expectError(store.write('a', 7 as unknown as string), 'BAD_PARAMETER', 'data', '7');
      await expectError(store.write('a', '\udc00'), 'BAD_PARAMETER', 'surrogate');
      await expectError(store.list('', { cursor: 'x'.repeat(2000) }), 'BAD_PARAMETER', 'cursor');
      expect(text(await store.read('a'))).toBe('x');
    });
  });

  it(`${name}: agrees with a map after any sequence of operations`, async () => {
    const path = fc.constantFrom('a', 'a/b', 'b', 'c');
    const operation = fc.record({
      kind: fc.constantFrom('write', 'write', 'create', 'replace', 'delete'),
      path,
      size: fc.nat(40),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 16 }), (operations) =>
        create(async (store) => {
          const model = new Map<string, { body: string; etag: string }>();
          for (const [i, { kind, path, size }] of operations.entries()) {
            const before = model.get(path);
            if (kind === 'delete') {
              expect(await store.delete(path)).toBe(model.delete(path));
            } else {
              const body = `${i}`.padEnd(size, '.');
              const condition =
                kind === 'create'
                  ? { ifAbsent: true }
                  : kind === 'replace'
                    ? { ifMatch: before?.etag ?? 'none' }
                    : {};
              const allowed = kind === 'write' || (kind === 'create') === (before === undefined);
              if (allowed) model.set(path, { body, etag: (await store.write(path, body, condition)).etag });
              else await expectError(store.write(path, body, condition), 'PRECONDITION_FAILED');
            }
            expect(text(await store.read(path))).toBe(model.get(path)?.body ?? null);
            expect((await store.stat(path))?.etag).toBe(model.get(path)?.etag);
          }
          const listed = await listAll(store, '', { limit: 2 });
          expect(listed.map((file) => [file.path, file.etag])).toEqual(
            [...model]
              .map(([path, { etag }]) => [path, etag] as const)
              .sort(([a], [b]) => comparePaths(a, b)),
          );
        }),
      ),
      { numRuns: 25 },
    );
  });
}
