import type { Restored, RestoreSource } from './restore.ts';

export type { Restored, RestoreSource } from './restore.ts';

/**
 * Makes a database anew in the storage of an object that holds nothing, from the cold store alone: its tables as they
 * were at a point, and its log up to there, so that its past reads as before and LSNs go on. Every file is checked by
 * its SHA-256 first. No trigger fires and no foreign key acts. Cold files of tiered tables are referred to where they
 * are, so open the database with the same cold storage.
 *
 * ```ts
 * await restore({ storage: this.ctx.storage, from: { bucket: this.env.BUCKET, prefix: 'tenant-a' } });
 * const db = await DB('tenant-a', { storage: { hot: this.ctx.storage, cold: this.env.BUCKET } });
 * ```
 *
 * When it fails nothing is kept; when it is cut off, call it again.
 *
 * @throws DoSQLError `FORBIDDEN` when the storage holds something, `CORRUPT_FILE` and `NO_SUCH_FILE` with the file's
 * name, `HISTORY_EXPIRED` and `BAD_PARAMETER` for a point that the backup does not have, `STORAGE_UNAVAILABLE`.
 */
export async function restore(source: RestoreSource): Promise<Restored> {
  const { restoreFrom } = await import('./restore.ts');
  return restoreFrom(source);
}
