import { createMemoryBackend } from '@dotdo/fsx';
import { conformance, createFaultyBackend } from '@dotdo/fsx/testing';
import { expect, it } from 'vitest';

// Every test of the suite gets a new and empty store.
for (const { name, run } of conformance((use) => use(createMemoryBackend()))) it(name, run);

it('loses nothing, whichever call fails', async () => {
  for (let n = 1; ; n++) {
    const store = createFaultyBackend(createMemoryBackend(), { plan: { [n]: 'stop-after' } });
    await store.store.write('a', 'before');
    await store
      .write('b', 'before')
      .then(() => store.delete('a'))
      .catch(() => undefined);
    expect((await store.store.list()).files).not.toHaveLength(0);
    if (store.faults.length === 0) break;
  }
});
