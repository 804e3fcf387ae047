import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { DoSQLError, type Database } from '../../src/index.ts';
import type { TestObject } from '../worker.ts';

/** Runs `callback` as a request of its own to the object called `name`. */
export function request<T>(
  name: string,
  callback: (db: Database, state: DurableObjectState) => Promise<T>,
): Promise<T> {
  const stub = env.TEST.get(env.TEST.idFromName(name));
  return runInDurableObject(stub, async (object: TestObject, state) => callback(await object.open(), state));
}

/** The code that `work` is rejected with. */
export async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error instanceof DoSQLError ? error.code : String(error);
  }
}
