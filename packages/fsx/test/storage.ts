import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';

/** Runs `use` inside a new Durable Object, on its storage. */
export async function withStorage<T>(use: (storage: DurableObjectStorage) => Promise<T>): Promise<T> {
  const stub = env.FILES.get(env.FILES.newUniqueId());
  return runInDurableObject(stub, (_, state) => use(state.storage));
}

/** A key prefix that no other test uses. */
export function newPrefix(): string {
  return `test/${crypto.randomUUID()}/`;
}
