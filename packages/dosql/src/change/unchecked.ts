import type { Engine } from '../engine.ts';
import { DoSQLError, sqliteError } from '../error.ts';
import { plainNames } from '../schema/line.ts';
import { all } from '../sql/read.ts';

const MAX_ATTEMPTS = 20;

/**
 * Runs `callback` in a transaction in which foreign keys are neither enforced nor acted on, and tells it
 * whether they are otherwise. The caller holds the gate, or others' statements would go unchecked too.
 *
 * SQLite heeds the pragma only while no transaction is open, and the platform opens one with the first write
 * of a turn: it is over once everything has been synced. Whatever the callback does, and if it throws, foreign
 * keys are afterwards as they were before.
 *
 * @throws DoSQLError `STORAGE_UNAVAILABLE` when writes from elsewhere keep a transaction open.
 */
export async function unchecked<T>(engine: Engine, callback: (areEnforced: boolean) => T): Promise<T> {
  const run = (areEnforced: boolean): Promise<T> =>
    worded(() =>
      engine.transaction(async () => {
        engine.tick();
        return callback(areEnforced);
      }),
    );
  // Waiting until all is stored takes longer than many a merge.
  if (!engine.catalog.hasReferences) return run(false);
  const areEnforced = enforcesKeys(engine);
  try {
    await enforceKeys(engine, false);
    return await run(areEnforced);
  } finally {
    await enforceKeys(engine, areEnforced);
  }
}

/** What `work` fails with in SQLite, as a {@link DoSQLError}. */
export async function worded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw wordedError(error);
  }
}

/** SQLite's error as a {@link DoSQLError}, with the names that a branch gives; any other as it is. */
export function wordedError(error: unknown, sql: string = ''): unknown {
  const isSqlite = error instanceof Error && error.message.includes('SQLITE_');
  return isSqlite ? sqliteError(error, sql, plainNames) : error;
}

/** Whether SQLite enforces foreign keys. */
function enforcesKeys({ storage }: Engine): boolean {
  return all<[number]>(storage.sql, 'PRAGMA foreign_keys')[0]?.[0] === 1;
}

async function enforceKeys(engine: Engine, isOn: boolean): Promise<void> {
  const { storage } = engine;
  for (let attempt = 0; enforcesKeys(engine) !== isOn; attempt++) {
    if (attempt > 0) await storage.sync();
    if (attempt > MAX_ATTEMPTS)
      throw new DoSQLError(
        'STORAGE_UNAVAILABLE',
        `foreign keys cannot be turned ${isOn ? 'on' : 'off'} while writes around the database keep a transaction open: await ctx.storage.sync() first`,
      );
    storage.sql.exec(`PRAGMA foreign_keys = ${isOn ? 'ON' : 'OFF'}`);
  }
}
