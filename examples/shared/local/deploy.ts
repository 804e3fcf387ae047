import { spawnSync } from 'node:child_process';

/** What a command came to. */
export interface DryRun {
  /** 0 for success. */
  readonly status: number | null;
  /** All that was printed. */
  readonly output: string;
}

/** Does all of `wrangler deploy` that needs no account: reads the configuration, bundles, and looks whether they fit. */
export function dryRun(root: string): DryRun {
  const { status, stdout, stderr } = spawnSync('wrangler', ['deploy', '--dry-run'], {
    cwd: root,
    encoding: 'utf8',
    env: {
      ...process.env,
      PATH: `${root}/../../node_modules/.bin:${process.env['PATH']}`,
      WRANGLER_SEND_METRICS: 'false',
      CI: '1',
    },
  });
  return { status, output: `${stdout}${stderr}` };
}
