import {
  createTestHarness,
  experimental_readRawConfig,
  type TestHarness,
  type TestHarnessOptions,
} from 'wrangler';
import { OPERATOR_SECRET } from './local.ts';

/** What a deployment has of its own. */
interface Difference {
  /** Only the first so many migrations of tenants; by default all. */
  readonly migrationCount?: number;
  /** Another Worker's entry, by its path from here. */
  readonly main?: string;
  readonly vars?: Readonly<Record<string, string>>;
}

/** The parts of wrangler.jsonc that differ. */
interface WranglerConfig {
  readonly main: string;
  readonly vars: Readonly<Record<string, string>>;
  /** The rule that puts the migrations into the bundle comes first. */
  readonly rules: readonly [text: { readonly globs: readonly string[] }, ...others: object[]];
}

/** The tenants' migrations, in order. */
export const MIGRATIONS: readonly string[] = ['001_initial', '002_completed_at', '003_label'];

/** The app as it was deployed before, or with another entry, under secrets that stay the same. */
export function deployment({ migrationCount, main, vars }: Difference = {}): TestHarnessOptions {
  const root = import.meta.dirname;
  const { rawConfig } = experimental_readRawConfig({ config: `${root}/wrangler.jsonc` }) as {
    rawConfig: WranglerConfig;
  };
  const [text, ...others] = rawConfig.rules;
  const [, ...ofFleet] = text.globs;
  const ofTenants = MIGRATIONS.slice(0, migrationCount).map((name) => `.do/migrations/saas/${name}.sql`);
  const secrets = { TOKEN_SECRET: 'signs tokens on this machine', OPERATOR_SECRET };
  const config = {
    ...rawConfig,
    main: main ?? rawConfig.main,
    vars: { ...rawConfig.vars, FLEET_LINGER_MS: '0', ...secrets, ...vars },
    rules: [{ ...text, globs: [...ofTenants, ...ofFleet] }, ...others],
  };
  return { root, workers: [{ config }] };
}

/** Starts a deployment on a free port; `update` of the harness puts another in its place, over the same storage. */
export async function startDeployment(
  difference: Difference = {},
): Promise<{ readonly url: URL; readonly harness: TestHarness }> {
  process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
  process.env['WRANGLER_LOG'] ??= 'warn';
  const harness = createTestHarness(deployment(difference));
  const { url } = await harness.listen();
  return { url: new URL(url), harness };
}
