import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** What a program has said, and how it ended. */
export interface DryRun {
  /** 0 when all is well. */
  readonly status: number | null;
  readonly output: string;
}

/** Bundles the app of a folder as `wrangler deploy` does, and checks its configuration; nothing leaves this machine. */
export function dryRun(root: string): DryRun {
  const wrangler = dirname(createRequire(import.meta.url).resolve('wrangler/package.json'));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(wrangler, 'bin/wrangler.js'), 'deploy', '--dry-run'],
    { cwd: root, encoding: 'utf8', env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true' } },
  );
  return { status, output: `${stdout}${stderr}` };
}
