import { createTestHarness, type TestHarness } from 'wrangler';

/** The test Worker in the Workers runtime of this machine, with storage that lasts until `harness.close()`. */
export async function startServer(): Promise<{ readonly origin: string; readonly harness: TestHarness }> {
  // Otherwise the runtime asks the network where on earth it is.
  process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
  process.env['WRANGLER_LOG'] ??= 'warn';
  const harness = createTestHarness({
    root: import.meta.dirname,
    workers: [{ configPath: './wrangler.jsonc' }],
  });
  const { url } = await harness.listen();
  return { origin: url.origin, harness };
}
