import type { LocalApp } from '@dotdo/example-shared/local/app';
import { createTestHarness, experimental_readRawConfig } from 'wrangler';
import { STAFF_KEY, WEBHOOK_SECRET } from '../local.ts';

const root = new URL('..', import.meta.url).pathname;

/** Starts the shop with an entry of the tests' own, in which what it depends on can be made to fail. */
export async function startFaulty(): Promise<LocalApp> {
  process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
  process.env['WRANGLER_LOG'] ??= 'warn';
  const { rawConfig } = experimental_readRawConfig({ config: `${root}wrangler.jsonc` });
  const config = {
    ...rawConfig,
    main: 'test/faulty.worker.ts',
    vars: {
      SIMULATED_PAYMENTS: 'yes',
      LAKE_LINGER_MS: '100',
      TOKEN_SECRET: 'signs the tokens of these tests',
      STAFF_KEY,
      WEBHOOK_SECRET,
    },
  };
  const harness = createTestHarness({ root, workers: [{ config }] });
  const { url } = await harness.listen();
  return { url, harness };
}
