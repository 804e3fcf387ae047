import type { Batch, Sink } from './sink.ts';

/** Which method to call. */
export interface DurableObjectOptions {
  /** `receiveChanges` by default. */
  readonly method?: string | undefined;
}

/**
 * Hands batches to a method of another Durable Object, by RPC; with `receive` over there, each event takes effect
 * exactly once.
 *
 * ```ts
 * await cdc.deliver('search', durableObject(() => env.SEARCH.getByName('products')), { tables: ['products'] });
 * ```
 *
 * @param stub makes a stub: one that has failed cannot be used again.
 */
export function durableObject(
  stub: () => object,
  { method = 'receiveChanges' }: DurableObjectOptions = {},
): Sink {
  return {
    async send(batch) {
      const target = stub() as { [method: string]: (batch: Batch) => Promise<unknown> };
      if (typeof target[method] !== 'function') throw new TypeError(`the object has no method ${method}()`);
      await target[method](batch);
    },
  };
}
