/** Builds what has changed, and says nothing unless that fails. */
import { spawnSync } from 'node:child_process';

const { status, stdout, stderr } = spawnSync('turbo', ['run', 'build', '--output-logs=errors-only'], {
  encoding: 'utf8',
  env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1' },
});
if (status !== 0) console.error(`${stdout}\n${stderr}`);
process.exit(status ?? 1);
