import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { DB, DoSQLError, type Database, type DatabaseOptions } from '../../src/index.ts';
import type { TestObject } from '../worker.ts';

let objects = 0;

/** A new object. */
export function newObject(): DurableObjectStub<TestObject> {
  return env.TEST.get(env.TEST.idFromName(`object ${++objects} of ${Math.random()}`));
}

/** Runs `use` in a new object with a database open in it. */
export function withDatabase<T>(
  use: (db: Database, state: DurableObjectState) => Promise<T>,
  options: Partial<DatabaseOptions> = {},
): Promise<T> {
  return runInDurableObject(newObject(), async (_, state) => {
    return use(await DB('test', { storage: state.storage, ...options }), state);
  });
}

/** The error that `work` fails with. */
export async function failure(work: Promise<unknown> | (() => unknown)): Promise<DoSQLError> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    const found = DoSQLError.from(error);
    if (found !== undefined) return found;
    throw error;
  }
  throw new Error('it did not fail');
}
