import { env } from 'cloudflare:workers';
import {
  createDOBackend,
  createMemoryBackend,
  createR2Backend,
  createResilientBackend,
  createTieredBackend,
  type FileStore,
  type ResilientBackend,
} from '../src/index.ts';
import { createFaultyBackend } from '../src/testing/index.ts';
import { newPrefix, withStorage } from './storage.ts';
import { testConformance } from './suite.ts';

testConformance('memory', (use) => use(createMemoryBackend()));

testConformance('Durable Object', (use) => withStorage((storage) => use(createDOBackend(storage))));

testConformance('R2', (use) => use(createR2Backend(env.BUCKET, { prefix: newPrefix() })));

testConformance('tiered, Durable Object over R2, all hot', (use) =>
  withStorage((storage) =>
    use(createTieredBackend(createDOBackend(storage), createR2Backend(env.BUCKET, { prefix: newPrefix() }))),
  ),
);

testConformance('tiered, Durable Object over R2, larger than 10 bytes cold', (use) =>
  withStorage((storage) =>
    use(
      createTieredBackend(createDOBackend(storage), createR2Backend(env.BUCKET, { prefix: newPrefix() }), {
        maxHotFileSize: 10,
      }),
    ),
  ),
);

testConformance('tiered, memory over memory, larger than 3 bytes cold', (use) =>
  use(createTieredBackend(createMemoryBackend(), createMemoryBackend(), { maxHotFileSize: 3 })),
);

/**
 * The store behind a network that loses calls and answers, and ahead of it what mends that. A write
 * under a condition that does not hold, and whose first attempt is lost, has an unknown outcome and not
 * a failed precondition; so writes are turned away and lose their answers, but are not lost themselves.
 */
function mended(store: FileStore): ResilientBackend {
  const lossy = createFaultyBackend(store, {
    rates: { before: 0.15, delay: 0.02 },
    methods: ['read', 'readStream', 'stat', 'list', 'delete', 'exists'],
    delayMs: 1,
  });
  return createResilientBackend(createFaultyBackend(lossy, { rates: { busy: 0.1, after: 0.1 } }), {
    attempts: 15,
    holdBytes: 10 * 1024 * 1024,
    breaker: { failures: 15 },
    sleep: async () => undefined,
    timeoutMs: Infinity,
  });
}

testConformance('resilient, over a faulty memory', (use) => use(mended(createMemoryBackend())));

testConformance('tiered, Durable Object over a resilient and faulty R2', (use) =>
  withStorage((storage) =>
    use(
      createTieredBackend(
        createDOBackend(storage),
        mended(createR2Backend(env.BUCKET, { prefix: newPrefix() })),
        { maxHotFileSize: 10 },
      ),
    ),
  ),
);
