import { env } from 'cloudflare:workers';
import { createDOBackend, createMemoryBackend, createR2Backend, createTieredBackend } from '../src/index.ts';
import { newPrefix, withStorage } from './storage.ts';
import { conformance } from './suite.ts';

conformance('memory', (use) => use(createMemoryBackend()));

conformance('Durable Object', (use) => withStorage((storage) => use(createDOBackend(storage))));

conformance('R2', (use) => use(createR2Backend(env.BUCKET, { prefix: newPrefix() })));

conformance('tiered, Durable Object over R2, all hot', (use) =>
  withStorage((storage) =>
    use(createTieredBackend(createDOBackend(storage), createR2Backend(env.BUCKET, { prefix: newPrefix() }))),
  ),
);

conformance('tiered, Durable Object over R2, larger than 10 bytes cold', (use) =>
  withStorage((storage) =>
    use(
      createTieredBackend(createDOBackend(storage), createR2Backend(env.BUCKET, { prefix: newPrefix() }), {
        maxHotFileSize: 10,
      }),
    ),
  ),
);

conformance('tiered, memory over memory, larger than 3 bytes cold', (use) =>
  use(createTieredBackend(createMemoryBackend(), createMemoryBackend(), { maxHotFileSize: 3 })),
);
