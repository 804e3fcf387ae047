import type { BigIntStats } from 'node:fs';
import { lstat, mkdir, open, readdir, realpath, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { FileStoreError, show } from '../error.ts';
import { afterPrefix, comparePaths } from '../path.ts';
import { decode, folderEnding, partEnding, temporaryFolder } from './file-name.ts';

/** A temporary file that nobody has touched for so long was left by a process that stopped. */
const leftAfterMs = 60 * 60 * 1000;

/** A file or a folder of paths. */
interface Entry {
  /** The path of a file, or what the paths in a folder start with: it ends in `/`. */
  readonly path: string;
  readonly location: string;
}

/** Whether an error is of the file system, with one of these codes. */
export function isSystemError(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/**
 * Fails where a folder on the way to a file is a symbolic link, so that none leads out of the store's
 * folder. Folders that are not there are no matter.
 *
 * @throws {FileStoreError} `INVALID_PATH`
 */
export async function refuseLinks(root: string, names: readonly string[], path: string): Promise<void> {
  let location = root;
  for (const name of names.slice(0, -1)) {
    location = join(location, name);
    const found = await statOf(location);
    if (found === undefined) return;
    if (!found.isDirectory()) {
      throw new FileStoreError(
        'INVALID_PATH',
        `The path ${show(path)} leads through ${show(location)}, which is no folder of this store; remove it.`,
      );
    }
  }
}

/** What is at a location, not what a link there leads to; `undefined` where there is nothing. */
export async function statOf(location: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(location, { bigint: true });
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** The store's folder, made if it is not there, under the name it really has. */
export async function openRoot(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  return realpath(folder);
}

/** Removes temporary files of long ago. */
export async function removeLeft(root: string, now: number): Promise<void> {
  const folder = join(root, temporaryFolder);
  for (const name of await namesIn(folder)) {
    const location = join(folder, name);
    const found = await statOf(location);
    if (found?.isFile() && now - Number(found.mtimeMs) >= leftAfterMs) await removeFile(location);
  }
}

/** Makes the folders for a file, and sees that they outlive a loss of power. */
export async function makeFolders(root: string, folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length > root.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** Writes a folder's list of names to the disk. Some systems have no way to, and do it by themselves. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (!isSystemError(error, 'EISDIR', 'EPERM', 'EINVAL', 'EACCES', 'ENOENT')) throw error;
  }
}

/** Removes a file. False where there was none. */
export async function removeFile(location: string): Promise<boolean> {
  try {
    await unlink(location);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** Removes the folders around a removed file that are empty now. */
export async function removeEmptyFolders(root: string, folder: string): Promise<void> {
  for (let empty = folder; empty.length > root.length; empty = dirname(empty)) {
    try {
      await rmdir(empty);
    } catch (error) {
      if (isSystemError(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY', 'EPERM')) return;
      throw error;
    }
  }
}

/**
 * Files below `root` whose path starts with `prefix` and comes after `cursor`, in order, folder by
 * folder, so that a page reads only the folders it needs.
 */
export async function* filesIn(
  root: string,
  prefix: string,
  cursor: string | undefined,
): AsyncGenerator<Entry, void, undefined> {
  yield* walk({ path: '', location: root }, prefix, cursor);
}

async function* walk(
  folder: Entry,
  prefix: string,
  cursor: string | undefined,
): AsyncGenerator<Entry, void, undefined> {
  const entries = await entriesOf(folder, '');
  // A folder counts with its "/", so its files come where they belong among those beside it.
  for (const entry of entries.sort((a, b) => comparePaths(a.path, b.path))) {
    if (!entry.path.endsWith('/')) {
      if (entry.path.startsWith(prefix) && (cursor === undefined || comparePaths(entry.path, cursor) > 0))
        yield entry;
    } else if (mayHold(entry.path, prefix, cursor)) yield* walk(entry, prefix, cursor);
  }
}

/** Whether paths that start with `start` can start with `prefix` and come after `cursor`. */
function mayHold(start: string, prefix: string, cursor: string | undefined): boolean {
  if (!start.startsWith(prefix) && !prefix.startsWith(start)) return false;
  const end = afterPrefix(start);
  return cursor === undefined || end === undefined || comparePaths(end, cursor) > 0;
}

/** Files and folders in a folder; those in the folders of cut names, whose first part is `begun`, too. */
async function entriesOf(folder: Entry, begun: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const { name, isFile, isFolder } of await entriesIn(folder.location)) {
    const location = join(folder.location, name);
    if (isFolder && name.endsWith(partEnding))
      entries.push(
        ...(await entriesOf({ path: folder.path, location }, begun + name.slice(0, -partEnding.length))),
      );
    else if (isFile || (isFolder && name.endsWith(folderEnding))) {
      const segment = decode(begun + (isFile ? name : name.slice(0, -folderEnding.length)));
      // What else lies in the folder is no file of the store.
      if (segment !== undefined && segment !== '')
        entries.push({ path: folder.path + segment + (isFile ? '' : '/'), location });
    }
  }
  return entries;
}

async function entriesIn(folder: string): Promise<{ name: string; isFile: boolean; isFolder: boolean }[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.map((entry) => ({
      name: entry.name,
      isFile: entry.isFile(),
      isFolder: entry.isDirectory(),
    }));
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await entriesIn(folder)).map(({ name }) => name);
}
