import { env } from 'cloudflare:workers';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createR2Backend } from '../src/index.ts';
import { newPrefix } from './storage.ts';
import { listAll } from '../src/testing/assert.ts';
import { expectError } from './suite.ts';

/** Every object of the bucket under `prefix`, as key and content. */
async function contents(prefix: string): Promise<[string, string][]> {
  const found: [string, string][] = [];
  let cursor: string | undefined;
  do {
    const page = await env.BUCKET.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
    for (const { key } of page.objects) found.push([key, (await (await env.BUCKET.get(key))?.text()) ?? '']);
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return found;
}

describe('createR2Backend', () => {
  it('tells its kind, bucket and prefix, a folder', () => {
    expect(createR2Backend(env.BUCKET)).toMatchObject({ kind: 'r2', bucket: env.BUCKET, prefix: '' });
    for (const prefix of ['a/b', 'a/b/', '/a/b/'])
      expect(createR2Backend(env.BUCKET, { prefix }).prefix).toBe('a/b/');
    expect(createR2Backend(env.BUCKET, { prefix: '/' }).prefix).toBe('');
    for (const prefix of ['a/../b', '..', 'a//b', '%2e%2e/']) {
      expect(() => createR2Backend(env.BUCKET, { prefix })).toThrow(
        expect.objectContaining({ code: 'INVALID_PATH' }),
      );
    }
  });

  it('keeps a file as the object named by prefix and path', async () => {
    const prefix = newPrefix();
    const files = createR2Backend(env.BUCKET, { prefix });
    const { etag } = await files.write('/a/b.txt', 'x');
    expect(await contents(prefix)).toEqual([[`${prefix}a/b.txt`, 'x']]);
    expect((await env.BUCKET.head(`${prefix}a/b.txt`))?.etag).toBe(etag);
  });

  it('keeps the etag where the same bytes are written again', async () => {
    const files = createR2Backend(env.BUCKET, { prefix: newPrefix() });
    const first = await files.write('a', 'x');
    expect((await files.write('a', 'x')).etag).toBe(first.etag);
  });

  it('refuses a path that makes too long a key', async () => {
    const prefix = newPrefix();
    const files = createR2Backend(env.BUCKET, { prefix });
    const longest = 'x'.repeat(1024 - prefix.length);
    await files.write(longest, 'x');
    expect(await files.exists(longest)).toBe(true);
    await expectError(files.write(`${longest}y`, 'x'), 'INVALID_PATH', prefix, '1024 bytes');
  });

  it('passes over objects that are no files, and lists the rest', async () => {
    const prefix = newPrefix();
    const files = createR2Backend(env.BUCKET, { prefix });
    for (const key of ['', '//a', 'a/', 'a//b', 'a/../c', 'b', 'c%2e', 'd/'])
      await env.BUCKET.put(prefix + key, 'x');
    expect((await listAll(files)).map((file) => file.path)).toEqual(['b']);
    expect((await listAll(files, '', { limit: 1 })).map((file) => file.path)).toEqual(['b']);
    expect((await listAll(files, 'a/')).map((file) => file.path)).toEqual([]);
  });

  it('lists more files than R2 puts on a page', async () => {
    const files = createR2Backend(env.BUCKET, { prefix: newPrefix() });
    const paths = Array.from({ length: 1003 }, (_, i) => `f${String(i).padStart(4, '0')}`);
    await Promise.all(paths.map((path) => files.write(path, '')));
    expect((await listAll(files)).map((file) => file.path)).toEqual(paths);
  });

  it('passes the error of the bucket on as STORAGE_UNAVAILABLE', async () => {
    const cause = new Error('put: Reduce your concurrent request rate for the same object. (10058)');
    const failing = { put: () => Promise.reject(cause) } as unknown as R2Bucket;
    const write = createR2Backend(failing).write('a', 'x');
    await expectError(write, 'STORAGE_UNAVAILABLE', 'write "a" to R2', '10058');
    await expect(write).rejects.toMatchObject({ cause });
  });

  it('reads and writes nothing outside its prefix, whatever the path', async () => {
    const root = newPrefix();
    const inside = `${root}tenant-a/`;
    const outside = [
      '',
      'secret',
      'tenant-a',
      'tenant-ab/secret',
      'tenant-b/secret',
      'tenant-a%2f..%2fsecret',
      '../secret',
    ];
    for (const key of outside) await env.BUCKET.put(root + key, 'secret');
    const before = await contents(root);
    const files = createR2Backend(env.BUCKET, { prefix: `${root}tenant-a` });
    const piece = fc.constantFrom(
      '..',
      '.',
      '/',
      '\\',
      '%2e',
      '%2E%2e',
      '%2f',
      '%5C',
      '%252e',
      '\0',
      '\ud800',
      '\n',
      '..;',
      '．．',
      '／',
      'secret',
      'tenant-b',
      'tenant-a',
      'a',
      root,
      inside,
      '*',
      '?',
      '__proto__',
    );
    const hostile = fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join(''));
    const refused = (error: unknown): undefined => {
      expect(error).toMatchObject({ code: 'INVALID_PATH' });
      return undefined;
    };
    await fc.assert(
      fc.asyncProperty(hostile, async (path) => {
        await files.write(path, 'own').catch(refused);
        const read = await files.read(path).catch(refused);
        expect(['own', undefined]).toContain(read && new TextDecoder().decode(read));
        const listed = await files.list(path).catch(refused);
        for (const file of listed?.files ?? [])
          expect(await env.BUCKET.head(inside + file.path)).not.toBeNull();
        // Half of the files stay, so that later runs read and list what earlier ones wrote.
        if (path.length % 2 === 0) await files.delete(path).catch(refused);
      }),
      { numRuns: 400 },
    );
    const after = await contents(root);
    expect(after.filter(([key]) => !key.startsWith(inside))).toEqual(before);
    const own = after.filter(([key]) => key.startsWith(inside));
    expect(own.length).toBeGreaterThan(10);
    expect(new Set(own.map(([, content]) => content))).toEqual(new Set(['own']));
  });
});
