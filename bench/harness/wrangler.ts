import { join } from 'node:path';
import { createTestHarness } from 'wrangler';
import { memoryFolder } from './report.ts';

/**
 * Has wrangler's runtime keep its files in memory, ask the network for nothing and answer requests alone: what it shows
 * of itself on a developer's machine, a row in a database of its own for every call, takes as long as an answer does.
 */
export function prepareRuntime(): void {
  process.env.TMPDIR = memoryFolder;
  process.env.X_LOCAL_OBSERVABILITY = 'false';
  process.env.X_LOCAL_EXPLORER = 'false';
  // Otherwise it asks where on earth it is.
  process.env.CLOUDFLARE_CF_FETCH_ENABLED = 'false';
  process.env.WRANGLER_LOG ??= 'warn';
}

/** Starts the Worker of a wrangler configuration of this folder, with D1 and R2, which workerd alone does not have. */
export async function startWorker(
  configPath: string,
): Promise<{ origin: string; close: () => Promise<void> }> {
  prepareRuntime();
  const harness = createTestHarness({
    root: join(import.meta.dirname, '..'),
    workers: [{ configPath }],
  });
  const { url } = await harness.listen();
  return { origin: url.origin, close: () => harness.close() };
}
