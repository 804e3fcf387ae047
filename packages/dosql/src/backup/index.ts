import { createR2Backend, type FileStore } from '@dotdo/fsx';
import type { Core } from '../core.ts';
import { DoSQLError } from '../error.ts';
import type { FileAccess } from '../tier/index.ts';
import { Backup, type ArchiveAge } from './backup.ts';

export { type BackupResult } from './backup.ts';
export { forgetArchive } from './forget.ts';

/** What backs the database up, or archives its log. */
export function openBackup(core: Core, cold: FileAccess['cold'], age: ArchiveAge): Backup {
  return new Backup(core, coldStore(cold), age);
}

/**
 * The store that cold files are kept in.
 *
 * @throws DoSQLError `BAD_PARAMETER` when there is none
 */
function coldStore(cold: FileAccess['cold']): FileStore {
  if (cold === undefined)
    throw new DoSQLError(
      'BAD_PARAMETER',
      'there is no cold storage to back up to: open the database with storage: { hot: ctx.storage, cold: env.BUCKET }',
    );
  return 'bucket' in cold ? createR2Backend(cold.bucket, { prefix: cold.prefix }) : cold;
}
