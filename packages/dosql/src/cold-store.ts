import { createR2Backend, createResilientBackend, type FileStore } from '@dotdo/fsx';
import type { Core } from './core.ts';
import type { Engine } from './engine.ts';
import type { FileAccess } from './tier/index.ts';

/** The store that a database's cold files are kept in; undefined where it was given none. */
export function coldStore({ engine, name }: Core, cold: FileAccess['cold']): FileStore | undefined {
  if (cold === undefined || !('bucket' in cold)) return cold;
  const prefix = cold.prefix ?? ownPrefix(engine, name);
  return createResilientBackend(createR2Backend(cold.bucket, { prefix }));
}

/** A prefix that no other object has, also of one whose database has the same name; made when it is first asked for. */
export function ownPrefix(engine: Engine, name: string): string {
  const known = engine.log.meta('cold_prefix');
  if (known !== undefined) return String(known);
  // What cannot stand in a path is left out; the id alone tells objects apart.
  const prefix = `${name.replaceAll(/[^\w.-]+/g, '_').replaceAll(/^\.+|\.+$/g, '_')}/${crypto.randomUUID()}`;
  engine.atomically(() => engine.log.setMeta('cold_prefix', prefix));
  return prefix;
}
