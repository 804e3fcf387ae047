import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What `wrangler deploy` would do, and what it says of it. */
export interface DryRun {
  /** 0 when the app could be deployed. */
  readonly status: number | null;
  readonly output: string;
}

/** Bundles and checks the app of a folder as `wrangler deploy` does, and sends nothing anywhere. */
export function dryRun(root: string): DryRun {
  const outdir = mkdtempSync(join(tmpdir(), 'deploy-'));
  try {
    const { status, stdout, stderr, error } = spawnSync(
      'wrangler',
      ['deploy', '--dry-run', '--outdir', outdir],
      {
        cwd: root,
        encoding: 'utf8',
        env: { ...process.env, CLOUDFLARE_CF_FETCH_ENABLED: 'false', NO_COLOR: '1', WRANGLER_LOG: 'log' },
      },
    );
    return { status, output: error === undefined ? `${stdout}${stderr}` : String(error) };
  } finally {
    rmSync(outdir, { recursive: true });
  }
}
