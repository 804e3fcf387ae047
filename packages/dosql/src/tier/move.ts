import type { FileStore } from '@dotdo/fsx';
import type { Engine } from '../engine.ts';
import { DoSQLError } from '../error.ts';
import type { ColdFile, Manifest } from './manifest.ts';
import { localPath, type Places } from './places.ts';
import type { Pass } from '../outcome.ts';

/**
 * Copies a file to the cold store and, once the copy is known to be right, lets the object's own go. It may end at any
 * point and be begun again: a path is never written with other bytes, and until the manifest says that the file has
 * moved it is read where it was.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE` when the cold store does not take it; it then stays where it is.
 */
export async function moveFile(
  engine: Engine,
  manifest: Manifest,
  places: Places,
  file: ColdFile,
  pass: Pass,
): Promise<void> {
  const { moving } = places;
  moving.add(file.path);
  try {
    await copyFile(engine, manifest, places, file, pass);
  } finally {
    moving.delete(file.path);
  }
}

async function copyFile(
  engine: Engine,
  manifest: Manifest,
  { local, cold }: Places,
  file: ColdFile,
  pass: Pass,
): Promise<void> {
  if (cold === undefined) return;
  const bytes = await local.read(localPath(file.path));
  if (bytes === null) return;
  const etag = await put(cold, file.path, bytes);
  await pass(() => {
    const now = manifest.tables.get(file.tableId)?.files.find(({ id }) => id === file.id);
    // Its last row may have gone meanwhile; then the copy is garbage like the file.
    engine.atomically(() => {
      if (now === undefined) manifest.discard(file.path, 'cold', engine.nowMs());
      else if (now.place === 'local') {
        manifest.moved(now, etag);
        local.deleteSync(localPath(file.path));
      }
    });
  });
}

async function put(cold: FileStore, path: string, bytes: Uint8Array): Promise<string> {
  const isThere = async (): Promise<string | undefined> => {
    const copy = await cold.read(path);
    const isSame = copy?.length === bytes.length && copy.every((byte, i) => byte === bytes[i]);
    return isSame ? (await cold.stat(path))?.etag : undefined;
  };
  try {
    const before = await isThere();
    if (before !== undefined) return before;
    await cold.write(path, bytes);
    const after = await isThere();
    if (after !== undefined) return after;
  } catch (cause) {
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      `"${path}" was not taken by the cold store: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
  throw new DoSQLError(
    'STORAGE_UNAVAILABLE',
    `the cold store gives back other bytes than "${path}" was written with`,
  );
}

/** A store that fails so often is left alone until later. */
const MAX_FAILURES = 2;

/**
 * Deletes the bytes of files that nothing names any more and that nobody may be reading: what is garbage by `nowMs`.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE` when the cold store does not delete one: it is tried again another time.
 */
export async function collectGarbage(
  engine: Engine,
  manifest: Manifest,
  { local, cold, moving }: Places,
  pass: Pass,
  nowMs: number = engine.nowMs(),
): Promise<void> {
  const failures: DoSQLError[] = [];
  for (const { path, place } of await pass(() => manifest.garbage(nowMs))) {
    // A database that was opened without its cold store deletes it when it has that again.
    if (place === 'cold' && cold === undefined) continue;
    try {
      // One that was about to move may be in both.
      await cold?.delete(path);
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      failures.push(
        new DoSQLError('STORAGE_UNAVAILABLE', `"${path}" cannot be deleted from the cold store: ${why}`, {
          cause,
        }),
      );
      if (failures.length === MAX_FAILURES) break;
      continue;
    }
    await pass(() =>
      engine.atomically(() => {
        local.deleteSync(localPath(path));
        // One that is being copied just now may come there yet, whether this object lives to see it or not.
        if (!moving.has(path)) manifest.collected(path);
      }),
    );
  }
  if (failures.length > 0) throw failures[0];
}
