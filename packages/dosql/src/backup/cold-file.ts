import type { FileStore } from '@dotdo/fsx';
import { DoSQLError } from '../error.ts';

/** A file in the cold store, as it was when it was written. */
export interface ColdFileInfo {
  readonly path: string;
  readonly sizeBytes: number;
  /** SHA-256 of its bytes, in hex. */
  readonly checksum: string;
}

/** SHA-256 of some bytes, in hex. */
export async function checksumOf(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Writes a file under a path that has none, and reads it back.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE` when the cold store does not take it, or gives back other bytes.
 */
export async function putFile(cold: FileStore, path: string, bytes: Uint8Array): Promise<ColdFileInfo> {
  const checksum = await checksumOf(bytes);
  const copy = await reaching(path, 'was not taken by', async () => {
    await cold.write(path, bytes, { ifAbsent: true, size: bytes.length });
    return cold.read(path);
  });
  if (copy === null || copy.length !== bytes.length || (await checksumOf(copy)) !== checksum)
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      `the cold store gives back other bytes than "${path}" was written with`,
    );
  return { path, sizeBytes: bytes.length, checksum };
}

/**
 * The bytes of a file, which are those that were written.
 *
 * @throws DoSQLError `NO_SUCH_FILE`, `CORRUPT_FILE` when they are others, `STORAGE_UNAVAILABLE`.
 */
export async function getFile(
  cold: FileStore,
  { path, sizeBytes, checksum }: ColdFileInfo,
): Promise<Uint8Array> {
  const bytes = await reaching(path, 'cannot be read from', () => cold.read(path));
  if (bytes === null)
    throw new DoSQLError('NO_SUCH_FILE', `"${path}", which the backup needs, is gone from the cold store`);
  if (bytes.length !== sizeBytes)
    throw new DoSQLError(
      'CORRUPT_FILE',
      `"${path}" has ${bytes.length} bytes, not the ${sizeBytes} that were written`,
    );
  if ((await checksumOf(bytes)) !== checksum)
    throw new DoSQLError(
      'CORRUPT_FILE',
      `"${path}" has other bytes than were written: its checksum is another one`,
    );
  return bytes;
}

/** Runs a call of the cold store; what it fails with says so. */
export async function reaching<T>(path: string, what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    throw new DoSQLError(
      'STORAGE_UNAVAILABLE',
      `"${path}" ${what} the cold store: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  }
}
