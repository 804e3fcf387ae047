import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDOBackend } from '../src/index.ts';
import { withStorage } from './storage.ts';
import { expectError } from './suite.ts';

const chunkBytes = 262_144;

function tables(storage: DurableObjectStorage): string[] {
  return storage.sql
    .exec<{ name: string }>(
      `SELECT name FROM sqlite_master WHERE name LIKE '\\_\\_dosql%' ESCAPE '\\' ORDER BY name`,
    )
    .toArray()
    .map((row) => row.name);
}

function chunks(storage: DurableObjectStorage): { chunk: number; size: number }[] {
  return storage.sql
    .exec<{ chunk: number; size: number }>(
      'SELECT id % 65536 AS chunk, length(bytes) AS size FROM __dosql_file_chunk ORDER BY id',
    )
    .toArray();
}

/** Bytes that differ from chunk to chunk, so that a chunk out of place shows. */
function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (i * 31 + Math.floor(i / 251)) & 255);
}

describe('createDOBackend', () => {
  it('tells its kind and storage', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      expect(files.kind).toBe('durable-object');
      expect(files.storage).toBe(storage);
    }));

  it('creates its tables with the first write and not before', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      await files.read('a');
      await files.list();
      await files.delete('a');
      expect(tables(storage)).toEqual([]);
      await files.write('a', 'x');
      expect(tables(storage)).toEqual(['__dosql_file', '__dosql_file_chunk']);
    }));

  it('starts over after deleteAll()', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      await files.write('a', 'x');
      await storage.deleteAll();
      expect(await files.read('a')).toBeNull();
      await files.write('b', 'y');
      expect((await files.list()).files.map((file) => file.path)).toEqual(['b']);
    }));

  it('keeps integers as integers, though numbers bind as REAL', () =>
    withStorage(async (storage) => {
      await createDOBackend(storage).write('a', 'x');
      const query = `SELECT typeof(size) AS size, typeof(modified) AS modified, typeof(content) AS content
        FROM __dosql_file JOIN __dosql_file_chunk ON id = content`;
      expect(storage.sql.exec(query).toArray()).toEqual([
        { size: 'integer', modified: 'integer', content: 'integer' },
      ]);
    }));

  it('costs two rows written for a file of one chunk', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      await files.write('a', 'x');
      const written: number[] = [];
      const counting = {
        transactionSync: <T>(run: () => T): T => storage.transactionSync(run),
        sql: {
          exec: (query: string, ...bindings: SqlStorageValue[]) => {
            const cursor = storage.sql.exec(query, ...bindings);
            return { toArray: () => [cursor.toArray(), written.push(cursor.rowsWritten)][0] };
          },
        },
      };
      await createDOBackend(counting as unknown as DurableObjectStorage).write('a', 'y');
      expect(written.reduce((sum, rows) => sum + rows, 0)).toBe(2);
    }));

  it('splits a file into chunks below the row limit, and drops those that a rewrite leaves over', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      const bytes = pattern(2 * chunkBytes + 7);
      await files.write('a', bytes);
      expect(chunks(storage).map((row) => row.size)).toEqual([chunkBytes, chunkBytes, 7]);
      expect(Buffer.from((await files.read('a')) ?? []).equals(bytes)).toBe(true);
      await files.write('a', bytes.subarray(0, chunkBytes));
      expect(chunks(storage)).toEqual([{ chunk: 0, size: chunkBytes }]);
      expect(Buffer.from((await files.read('a')) ?? []).equals(bytes.subarray(0, chunkBytes))).toBe(true);
      await files.write('a', '');
      expect(chunks(storage)).toEqual([]);
      await files.write('b', '');
      await files.write('b', 'x');
      await files.delete('a');
      expect(chunks(storage)).toEqual([{ chunk: 0, size: 1 }]);
    }));

  it('reads any range across chunks', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      const size = 2 * chunkBytes + 1000;
      const bytes = pattern(size);
      await files.write('a', bytes);
      const edge = fc.constantFrom(0, chunkBytes, 2 * chunkBytes, size);
      const offset = fc.oneof(
        fc.nat(size),
        fc.tuple(edge, fc.integer({ min: -3, max: 3 })).map(([at, by]) => Math.max(0, at + by)),
      );
      await fc.assert(
        fc.asyncProperty(offset, fc.oneof(fc.nat(5), fc.nat(size)), async (offset, length) => {
          const read = await files.read('a', { offset, length });
          expect(Buffer.from(read ?? []).equals(bytes.subarray(offset, offset + length))).toBe(true);
        }),
        { numRuns: 60 },
      );
    }));

  it('touches only the chunks that a range needs, and says when one is missing', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      const bytes = pattern(3 * chunkBytes);
      await files.write('a', bytes);
      storage.sql.exec('DELETE FROM __dosql_file_chunk WHERE id % 65536 <> 1').toArray();
      const middle = await files.read('a', { offset: chunkBytes, length: chunkBytes });
      expect(Buffer.from(middle ?? []).equals(bytes.subarray(chunkBytes, 2 * chunkBytes))).toBe(true);
      await expectError(
        files.read('a', { offset: chunkBytes - 1, length: 2 }),
        'STORAGE_UNAVAILABLE',
        'Chunk 0 of "a"',
      );
    }));

  it('keeps the file as it was where a write fails half way', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      const { etag } = await files.write('a', 'before');
      storage.sql
        .exec(
          `CREATE TRIGGER stop BEFORE INSERT ON __dosql_file_chunk WHEN NEW.id % 65536 = 1 BEGIN SELECT RAISE(ABORT, 'no room'); END`,
        )
        .toArray();
      await expectError(
        files.write('a', new Uint8Array(chunkBytes + 1)),
        'STORAGE_UNAVAILABLE',
        'write "a"',
        'no room',
      );
      expect(new TextDecoder().decode((await files.read('a')) ?? undefined)).toBe('before');
      expect((await files.stat('a'))?.etag).toBe(etag);
    }));

  it('rolls back with the transaction around it, tables and all', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      let write: Promise<unknown> | undefined;
      expect(() =>
        storage.transactionSync(() => {
          write = files.write('a', 'x');
          throw new Error('back');
        }),
      ).toThrow('back');
      await write;
      expect(await files.exists('a')).toBe(false);
      expect(tables(storage)).toEqual([]);
      await files.write('a', 'y');
      expect(await files.exists('a')).toBe(true);
    }));

  it('finds a prefix by range, whatever its last character', () =>
    withStorage(async (storage) => {
      const files = createDOBackend(storage);
      const paths = ['a\u{10ffff}', 'a\u{10ffff}\u{10ffff}b', 'b', 'x\ud7ff', 'x\ue000'];
      for (const path of paths) await files.write(path, '');
      const list = async (prefix: string): Promise<string[]> =>
        (await files.list(prefix)).files.map((file) => file.path);
      expect(await list('a\u{10ffff}')).toEqual(paths.slice(0, 2));
      expect(await list('x\ud7ff')).toEqual(['x\ud7ff']);
      expect((await files.list('b', { cursor: 'a' })).files).toHaveLength(1);
      expect((await files.list('b', { cursor: 'c' })).files).toHaveLength(0);
    }));
});
