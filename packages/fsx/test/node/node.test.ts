import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createTieredBackend } from '../../src/index.ts';
import { createNodeBackend } from '../../src/node/index.ts';
import { decode, namesOf } from '../../src/node/file-name.ts';
import { listAll } from '../../src/testing/assert.ts';
import { expectError, testConformance } from '../suite.ts';
import { countRun } from './readme.ts';

/** Runs `use` with a folder of its own, which is removed after. */
async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'fsx-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const text = (bytes: Uint8Array | null): string | null => bytes && new TextDecoder().decode(bytes);

const everything = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true })).map(String).sort();

testConformance('Node.js', (use) =>
  withFolder((folder) => use(createNodeBackend(join(folder, 'new', 'store')))),
);

testConformance('tiered, Node.js over Node.js', (use) =>
  withFolder((folder) =>
    use(
      createTieredBackend(createNodeBackend(join(folder, 'hot')), createNodeBackend(join(folder, 'cold')), {
        maxHotFileSize: 10,
      }),
    ),
  ),
);

describe('names of files', () => {
  it('are those that every file system keeps apart', () => {
    expect(namesOf('a/B é')).toEqual(['a%', '^b%20%c3%a9']);
    expect(namesOf('con/nul.txt/com1')).toEqual(['%63on%', '%6eul.txt%', '%63om1']);
    expect(namesOf('.../a./console')).toEqual(['..%2e%', 'a%2e%', 'console']);
    const names = [
      '%',
      '^',
      '%tmp',
      '%+',
      'a%',
      'İ',
      'ſ',
      '\u{1f388}',
      ' ',
      '~',
      "'",
      '\n',
      'a'.repeat(1024),
    ];
    for (const path of names) {
      const parts = namesOf(path);
      for (const part of parts)
        expect(part).toMatch(/^(?=.{1,250}$)(?:[a-z0-9_.-]|\^[a-z]|%[0-9a-f]{2})*(?:%\+)?$/);
      expect(decode(parts.map((part) => part.replace(/%\+$/, '')).join(''))).toBe(path);
    }
  });

  it('stand for one path each, or none', () => {
    for (const name of ['A', '%2E', '%61', 'a ', '%', '%c3', '^', '^1', '%ff', 'a.', 'con', '%tmp', 'a%'])
      expect(decode(name)).toBeUndefined();
  });
});

describe('createNodeBackend', () => {
  it('tells its kind and folder, and refuses what is none', () => {
    expect(createNodeBackend('/a/b/../c')).toMatchObject({ kind: 'node', folder: '/a/c' });
    for (const folder of ['', 'a\0', 7 as unknown as string])
      expect(() => createNodeBackend(folder)).toThrow(expect.objectContaining({ code: 'BAD_PARAMETER' }));
  });

  it('keeps a file as a file, and nothing beside it', () =>
    withFolder(async (folder) => {
      const files = createNodeBackend(folder);
      await files.write('logs/today.json', '{}');
      await files.write('logs', 'a file of the same name');
      expect(await everything(folder)).toEqual(['%tmp', 'logs', 'logs%', 'logs%/today.json']);
      expect(await readFile(join(folder, 'logs%', 'today.json'), 'utf8')).toBe('{}');
      await files.delete('logs/today.json');
      expect(await everything(folder)).toEqual(['%tmp', 'logs']);
    }));

  it('makes no folder to read from', () =>
    withFolder(async (folder) => {
      const files = createNodeBackend(join(folder, 'none'));
      expect([await files.read('a'), await files.stat('a'), await files.list()]).toEqual([
        null,
        null,
        { files: [] },
      ]);
      expect(await everything(folder)).toEqual([]);
    }));

  it('gives every version another etag, also within a moment and after a deletion', () =>
    withFolder(async (folder) => {
      const files = createNodeBackend(folder, { clock: () => 1_700_000_000_123 });
      const etags = new Set<string>();
      for (let i = 0; i < 300; i++) {
        const { etag, modified } = await files.write('a', 'x');
        expect(modified.getTime()).toBe(1_700_000_000_123);
        expect((await files.stat('a'))?.etag).toBe(etag);
        etags.add(etag);
        if (i % 3 === 0) await files.delete('a');
      }
      expect(etags.size).toBe(300);
    }));

  it('leaves no temporary file, and removes those of long ago', () =>
    withFolder(async (folder) => {
      await mkdir(join(folder, '%tmp'));
      const old = join(folder, '%tmp', 'old');
      await writeFile(old, 'x');
      await utimes(old, 1, 1);
      await writeFile(join(folder, '%tmp', 'new'), 'x');
      const files = createNodeBackend(folder);
      await files.write('a', 'x');
      const failing = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new Uint8Array(5)),
        pull: () => Promise.reject(new Error('dead')),
      });
      await expectError(files.write('a', failing), 'STREAM_FAILED');
      await expectError(files.write('a', 'y', { ifAbsent: true }), 'PRECONDITION_FAILED');
      expect(await everything(folder)).toEqual(['%tmp', '%tmp/new', 'a']);
    }));

  it('follows no symbolic link', () =>
    withFolder(async (outside) =>
      withFolder(async (folder) => {
        await writeFile(join(outside, 'secret'), 'secret');
        await symlink(outside, join(folder, 'out%'));
        await symlink(join(outside, 'secret'), join(folder, 'link'));
        const files = createNodeBackend(folder);
        for (const call of [
          () => files.read('out/secret'),
          () => files.readStream('out/secret'),
          () => files.stat('out/secret'),
          () => files.delete('out/secret'),
          () => files.write('out/new', 'x'),
          () => files.write('out/deeper/new', 'x'),
        ])
          await expectError(call(), 'INVALID_PATH', 'out');
        expect([await files.read('link'), await files.stat('link'), await files.delete('link')]).toEqual([
          null,
          null,
          false,
        ]);
        expect((await listAll(files)).map((file) => file.path)).toEqual([]);
        await files.write('link', 'own');
        expect(text(await files.read('link'))).toBe('own');
        expect(await everything(outside)).toEqual(['secret']);
        expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret');
      }),
    ));

  it('opens a folder that is itself reached by a link', () =>
    withFolder(async (folder) => {
      await mkdir(join(folder, 'real'));
      await symlink(join(folder, 'real'), join(folder, 'link'));
      const files = createNodeBackend(join(folder, 'link'));
      await files.write('a/b', 'x');
      expect(text(await createNodeBackend(join(folder, 'real')).read('a/b'))).toBe('x');
    }));

  it('leaves other files alone', () =>
    withFolder(async (folder) => {
      await mkdir(join(folder, 'Folder'));
      for (const name of ['README', 'a b', 'Folder/x']) await writeFile(join(folder, name), 'x');
      const files = createNodeBackend(folder);
      await files.write('README', 'own');
      expect((await listAll(files)).map((file) => file.path)).toEqual(['README']);
      expect(await everything(folder)).toEqual([
        '%tmp',
        'Folder',
        'Folder/x',
        'README',
        '^r^e^a^d^m^e',
        'a b',
      ]);
    }));

  it('lets one of many writers make a file, also from two stores, while folders come and go', () =>
    withFolder(async (folder) => {
      const [first, second] = [createNodeBackend(folder), createNodeBackend(folder)];
      for (let round = 0; round < 20; round++) {
        const results = await Promise.allSettled([
          first.write('a/b/c', 'first', { ifAbsent: true }),
          second.write('a/b/c', 'second', { ifAbsent: true }),
          first.write('a/b/d', 'x').then(() => second.delete('a/b/d')),
        ]);
        expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'fulfilled', 'rejected']);
        expect(await first.delete('a/b/c')).toBe(true);
      }
      expect(await everything(folder)).toEqual(['%tmp']);
    }));

  it('says what the file system said', () =>
    withFolder(async (folder) => {
      await writeFile(join(folder, 'file'), 'x');
      const files = createNodeBackend(join(folder, 'file', 'store'));
      await expectError(files.write('a', 'x'), 'STORAGE_UNAVAILABLE', 'write "a"', 'ENOTDIR');
      await expect(files.write('a', 'x')).rejects.toMatchObject({ retryable: false });
      expect((await stat(join(folder, 'file'))).isFile()).toBe(true);
    }));
});

it('keeps a whole version, no older than the last that was answered, where the process is killed', async () => {
  for (let round = 0; round < 5; round++) {
    await withFolder(async (folder) => {
      const writer = spawn(process.execPath, [
        fileURLToPath(new URL('writer.ts', import.meta.url).href),
        folder,
      ]);
      let said = '';
      writer.stdout.on('data', (data: Buffer) => {
        said += data.toString();
        // Killed at some moment of the writes that follow.
        if (said.length < 20) setTimeout(() => writer.kill('SIGKILL'), Math.random() * 30);
      });
      await once(writer, 'close');
      expect(writer.signalCode).toBe('SIGKILL');
      const answered = Number(said.trim().split('\n').at(-1));
      expect(answered).toBeGreaterThan(0);
      const files = createNodeBackend(folder);
      const bytes = (await files.read('a')) ?? new Uint8Array(0);
      const version = bytes[0] ?? 0;
      expect(version).toBeGreaterThanOrEqual(answered);
      expect(Buffer.from(bytes).equals(Buffer.alloc(1_000_000, version))).toBe(true);
      expect((await listAll(files)).map((file) => file.path)).toEqual(['a']);
      await files.write('a', 'x');
    });
  }
});

it('The example in the README counts runs', () =>
  withFolder(async (folder) => {
    for (const run of [1, 2, 3]) expect(await countRun(folder)).toBe(run);
  }));
