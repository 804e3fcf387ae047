import type { Database } from '@dotdo/dosql';
import { isTenantName } from './input.ts';

/** How a tenant's database is kept in R2: all of it each hour, and each change for 90 days. */
export const KEPT = { backup: { every: '1h' }, history: { archive: '90d' } } as const;

/**
 * The folder of R2 that a tenant's backups and the archive of its changes are in. Its object is given this folder
 * and no more: DoSQL writes below it, and no path of a database leads out of it.
 *
 * Invariant: no tenant's folder is inside of another's, since a tenant's name has no slash and no dot.
 */
export function folderOf(tenant: string): string {
  if (!isTenantName(tenant)) throw new Error(`"${tenant}" is no tenant's name`);
  return `tenants/${tenant}`;
}

/** What a backup has come to. */
export interface BackedUp {
  /** The point up to which the tenant can be made anew. */
  readonly lsn: number;
  readonly files: number;
  readonly bytes: number;
}

/** Backs a tenant up now. What has not changed since the last time is not written again. */
export async function backUp(db: Database): Promise<BackedUp> {
  const { lsn, files, bytes } = await db.backup();
  return { lsn: Number(lsn), files, bytes };
}
