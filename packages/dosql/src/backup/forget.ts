import type { Engine } from '../engine.ts';
import { forget } from './archive.ts';
import { Notes } from './notes.ts';

/**
 * Forgets all that has been archived and backed up, because rows are about to be erased from the log: the next backup
 * begins anew and deletes the files that may still hold them.
 */
export function forgetArchive(engine: Engine): void {
  const notes = new Notes(engine);
  if (!notes.exists) return;
  engine.atomically(() => {
    // What lies before the window, of a transaction that was being recalled, nobody looks through for what to erase.
    const { log, storage } = engine;
    storage.sql.exec('DELETE FROM __dosql_log WHERE lsn <= ? AND lsn < ?', log.earliest().lsn, log.end());
    const now = engine.nowMs();
    forget(notes, now);
    const manifest = notes.get<{ readonly path: string }>('manifest');
    if (manifest !== undefined) notes.discard(manifest.path, now);
    notes.expireGarbage(now);
    notes.holdTierFiles([]);
  });
}
