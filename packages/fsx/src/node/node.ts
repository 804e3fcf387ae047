import { constants } from 'node:fs';
import { type FileHandle, link, open, rename } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { FileStoreError, show, toFileStoreError } from '../error.ts';
import type {
  FileEntry,
  FilePage,
  FileSource,
  FileStat,
  FileStore,
  ListOptions,
  ReadOptions,
  WriteOptions,
} from '../file-store.ts';
import {
  bad,
  checkList,
  checkRange,
  checkWrite,
  clampRange,
  preconditionFailed,
  requireCondition,
  toSizedBytes,
} from '../parameter.ts';
import { PathLock } from '../path-lock.ts';
import { normalisePath, normalisePrefix } from '../path.ts';
import { consuming, isStream, piecesOf, streamOf } from '../stream.ts';
import { namesOf, temporaryFolder } from './file-name.ts';
import {
  filesIn,
  isSystemError,
  makeFolders,
  openRoot,
  refuseLinks,
  removeEmptyFolders,
  removeFile,
  removeLeft,
  statOf,
  syncFolder,
} from './folder.ts';

/** Files in a folder of the file system, for Node.js. */
export interface NodeBackend extends FileStore {
  readonly kind: 'node';
  /** The folder, as an absolute path. */
  readonly folder: string;
}

/** Bytes read or written at a time. */
const pieceBytes = 256 * 1024;

/** How often a write whose folders are removed at that moment makes them anew. */
const folderAttempts = 10;

/**
 * A file store in a folder of the file system, for tools, tests and servers that run on Node.js. All its
 * files are of tier `hot`. The folder is made with the first write.
 *
 * A write goes to a temporary file, to the disk (`fsync`), and takes the file's place by a rename: it is
 * whole or not there, also after a loss of power, and who reads at that moment goes on with the version
 * before. The etag is of the file's number, time and size; the time has microseconds that differ from
 * write to write, so a rewrite always changes it.
 *
 * Files are kept under names that every file system keeps apart: small letters, digits, `-`, `_` and `.`
 * stand for themselves, `A` is `^a`, all others are percent-encoded, and a folder's name ends in `%`.
 * Other files in the folder are left alone. Symbolic links are never followed: one in the place of a file
 * is no file, one in the place of a folder is `INVALID_PATH`.
 *
 * Any number of stores in one process may use a folder, and other processes may read and write beside
 * them. `ifAbsent` holds among processes; `ifMatch` is checked just before the rename and, among
 * processes, not in one step with it. `ifAbsent` needs a file system with hard links. Nonces are not kept.
 *
 * @param options.clock milliseconds since the epoch, for `modified`; default `Date.now`
 * @throws {FileStoreError} `BAD_PARAMETER`
 *
 * @example
 * import { createNodeBackend } from '@dotdo/fsx/node';
 *
 * const files = createNodeBackend('./data');
 * await files.write('reports/2026.csv', csv);
 */
export function createNodeBackend(
  folder: string,
  options: { readonly clock?: () => number } = {},
): NodeBackend {
  if (typeof folder !== 'string' || folder === '' || folder.includes('\0'))
    throw bad('folder', folder, 'the path of a folder');
  return new NodeFileStore(resolve(folder), options.clock ?? Date.now);
}

/** What stores over one folder in this process share. */
interface Shared {
  readonly lock: PathLock;
  isCleared: boolean;
}

const sharedByRoot = new Map<string, Shared>();

function sharedOf(root: string): Shared {
  const shared = sharedByRoot.get(root) ?? { lock: new PathLock(), isCleared: false };
  sharedByRoot.set(root, shared);
  return shared;
}

/** Counts writes from a random start, so that two processes hardly count alike. */
let writes = Math.floor(Math.random() * 1000);

class NodeFileStore implements NodeBackend {
  readonly kind = 'node';
  readonly folder: string;
  readonly #clock: () => number;

  constructor(folder: string, clock: () => number) {
    this.folder = folder;
    this.#clock = clock;
  }

  async read(path: string, options?: ReadOptions): Promise<Uint8Array | null> {
    const range = checkRange(options);
    return this.#open(path, async (handle, stat) => {
      try {
        const { start, end } = clampRange(range, stat.size);
        return await readRange(handle, start, end);
      } finally {
        await handle.close();
      }
    });
  }

  async readStream(path: string, options?: ReadOptions): Promise<ReadableStream<Uint8Array> | null> {
    const range = checkRange(options);
    return this.#open(path, async (handle, stat) => {
      const { start, end } = clampRange(range, stat.size);
      let at = start;
      return streamOf(
        async () => {
          if (at >= end) return undefined;
          const piece = await readRange(handle, at, Math.min(end, at + pieceBytes));
          at += piece.length;
          return piece;
        },
        () => void handle.close().catch(() => undefined),
      );
    });
  }

  async write(path: string, data: FileSource, options?: WriteOptions): Promise<FileStat> {
    return consuming(data, async () => {
      const key = normalisePath(path);
      const wanted = checkWrite(options);
      const source = isStream(data) ? data : toSizedBytes(data, wanted);
      return attempt(`write ${show(key)}`, async () => {
        const root = await openRoot(this.folder);
        const names = namesOf(key);
        await refuseLinks(root, names, key);
        const location = join(root, ...names);
        // Checked again in the end; here it saves writing a file for nothing.
        requireCondition(key, await statAt(location), wanted);
        const temporary = await this.#writeTemporary(root, source, wanted.size);
        try {
          return await sharedOf(root).lock.run(key, () => place(root, temporary, location, key, wanted));
        } finally {
          // Gone where it has taken the file's place.
          await removeFile(temporary);
        }
      });
    });
  }

  async delete(path: string): Promise<boolean> {
    const key = normalisePath(path);
    return attempt(`delete ${show(key)}`, async () => {
      const root = await openRoot(this.folder);
      const names = namesOf(key);
      await refuseLinks(root, names, key);
      const location = join(root, ...names);
      return sharedOf(root).lock.run(key, async () => {
        if ((await statAt(location)) === null || !(await removeFile(location))) return false;
        await syncFolder(dirname(location));
        await removeEmptyFolders(root, dirname(location));
        return true;
      });
    });
  }

  async list(prefix = '', options?: ListOptions): Promise<FilePage> {
    const start = normalisePrefix(prefix);
    const { cursor, limit } = checkList(options);
    return attempt(`list ${show(start)}`, async () => {
      const files: FileEntry[] = [];
      for await (const { path, location } of filesIn(this.folder, start, cursor)) {
        const stat = await statAt(location);
        // Deleted since its folder was read.
        if (stat === null) continue;
        const last = files.at(-1);
        if (files.length === limit && last) return { files, cursor: last.path };
        files.push({ path, ...stat });
      }
      return { files };
    });
  }

  async stat(path: string): Promise<FileStat | null> {
    const key = normalisePath(path);
    return attempt(`stat ${show(key)}`, async () => {
      const names = namesOf(key);
      await refuseLinks(this.folder, names, key);
      return statAt(join(this.folder, ...names));
    });
  }

  async exists(path: string): Promise<boolean> {
    return (await this.stat(path)) !== null;
  }

  /** What `use` makes of the open file, which it has to close; `null` where there is none. */
  async #open<T>(path: string, use: (handle: FileHandle, stat: FileStat) => Promise<T>): Promise<T | null> {
    const key = normalisePath(path);
    return attempt(`read ${show(key)}`, async () => {
      const names = namesOf(key);
      await refuseLinks(this.folder, names, key);
      const handle = await openFile(join(this.folder, ...names));
      if (handle === null) return null;
      const found = await handle.stat({ bigint: true });
      if (found.isFile()) return use(handle, toStat(found));
      await handle.close();
      return null;
    });
  }

  /** Writes a temporary file to the disk and returns where it is. */
  async #writeTemporary(
    root: string,
    data: Uint8Array | ReadableStream<Uint8Array>,
    size: number | undefined,
  ): Promise<string> {
    const shared = sharedOf(root);
    if (!shared.isCleared) {
      shared.isCleared = true;
      await removeLeft(root, Date.now());
    }
    const location = join(root, temporaryFolder, crypto.randomUUID());
    await makeFolders(root, dirname(location));
    const handle = await open(location, 'wx');
    try {
      if (!isStream(data)) await handle.writeFile(data);
      else for await (const piece of piecesOf(data, pieceBytes, size)) await handle.writeFile(piece);
      // The half keeps the rounding of seconds, as a number, off the edge of a microsecond.
      const seconds = (Math.trunc(this.#clock()) + ((writes++ % 1000) + 0.5) / 1000) / 1000;
      await handle.utimes(seconds, seconds);
      await handle.sync();
    } catch (error) {
      await handle.close();
      await removeFile(location);
      throw error;
    }
    await handle.close();
    return location;
  }
}

/** Puts a temporary file in the place of the file at `location`, if the condition holds. */
async function place(
  root: string,
  temporary: string,
  location: string,
  path: string,
  wanted: WriteOptions,
): Promise<FileStat> {
  requireCondition(path, await statAt(location), wanted);
  const written = await statAt(temporary);
  if (written === null) throw new Error(`the temporary file ${temporary} is gone`);
  for (let attempt = 1; ; attempt++) {
    await makeFolders(root, dirname(location));
    try {
      // A link is made only where there is nothing yet; a rename replaces what is there.
      await (wanted.ifAbsent ? link(temporary, location) : rename(temporary, location));
      break;
    } catch (error) {
      if (wanted.ifAbsent && isSystemError(error, 'EEXIST')) throw preconditionFailed(path, wanted);
      // The deletion of a file beside it has removed the folder.
      if (attempt === folderAttempts || !isSystemError(error, 'ENOENT')) throw error;
    }
  }
  await syncFolder(dirname(location));
  return written;
}

/** Opens a file to read, but not what a link leads to; `null` where there is no file. */
async function openFile(location: string): Promise<FileHandle | null> {
  try {
    // Without O_NONBLOCK the opening of a named pipe would wait for somebody to write to it.
    return await open(
      location,
      constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0),
    );
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EISDIR', 'EMLINK', 'ENXIO')) return null;
    throw error;
  }
}

async function readRange(handle: FileHandle, start: number, end: number): Promise<Uint8Array> {
  const result = new Uint8Array(end - start);
  for (let at = 0; at < result.length;) {
    const { bytesRead } = await handle.read(result, at, result.length - at, start + at);
    if (bytesRead === 0) throw new Error('the file was cut while it was read');
    at += bytesRead;
  }
  return result;
}

async function statAt(location: string): Promise<FileStat | null> {
  const found = await statOf(location);
  return found?.isFile() ? toStat(found) : null;
}

function toStat(found: { ino: bigint; size: bigint; mtimeNs: bigint }): FileStat {
  const version = [found.ino, found.mtimeNs, found.size].map((part) => part.toString(36)).join('_');
  return {
    size: Number(found.size),
    etag: version,
    modified: new Date(Number(found.mtimeNs / 1_000_000n)),
    tier: 'hot',
  };
}

async function attempt<T>(action: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw systemError(action, error);
  }
}

/** What the file system threw, and whether trying again can help. */
function systemError(action: string, cause: unknown): FileStoreError {
  if (isSystemError(cause, 'ENAMETOOLONG')) {
    return new FileStoreError(
      'INVALID_PATH',
      `Could not ${action}: with the folder it is longer than this system allows; shorten one of them.`,
      { cause },
    );
  }
  const passes = isSystemError(cause, 'EAGAIN', 'EBUSY', 'EMFILE', 'ENFILE', 'EINTR', 'ETIMEDOUT', 'EIO');
  return toFileStoreError(action, cause, { retryable: passes });
}
