import { coldStore } from '../cold-store.ts';
import type { BackupPolicy, Core } from '../core.ts';
import { DoSQLError } from '../error.ts';
import type { FileAccess } from '../tier/index.ts';
import { Backup } from './backup.ts';

export { type BackupResult } from './backup.ts';

/**
 * What backs the database up, or archives its log.
 *
 * @throws DoSQLError `BAD_PARAMETER` when there is no cold store
 */
export function openBackup(core: Core, cold: FileAccess['cold'], policy: BackupPolicy): Backup {
  const store = coldStore(core, cold);
  if (store !== undefined) return new Backup(core, store, policy);
  throw new DoSQLError(
    'BAD_PARAMETER',
    'there is no cold storage to back up to: open the database with storage: { hot: ctx.storage, cold: env.BUCKET }',
  );
}
