/**
 * What `npm test` runs: the build, the static checks, then every test. Goes on after a failure, so that one
 * run tells all there is to mend, and ends with one line of counts.
 *
 * `npm test -- <filter>` runs only the tests whose files match, without the static checks.
 */
import { spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface TestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numFailedTestSuites: number;
}

let passed = 0;
let failed = 0;
let skipped = 0;

function run(
  name: string,
  command: string,
  args: readonly string[],
  options: { cwd?: string; show?: boolean } = {},
): boolean {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: options.cwd ?? process.cwd(),
    encoding: 'utf8',
    stdio: options.show === true ? 'inherit' : 'pipe',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', WRANGLER_SEND_METRICS: 'false' },
    maxBuffer: 2 ** 28,
  });
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
  if (status !== 0 && options.show !== true) console.log(`${stdout}\n${stderr}`);
  return status === 0;
}

function check(name: string, command: string, args: readonly string[], cwd?: string): void {
  if (run(name, command, args, cwd === undefined ? {} : { cwd })) passed++;
  else failed++;
}

function test(filters: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'dosql-test-'));
  const file = join(folder, 'report.json');
  const isGreen = run(
    'tests',
    'vitest',
    ['run', '--reporter=default', '--reporter=json', `--outputFile=${file}`, ...filters],
    { show: true },
  );
  const report = JSON.parse(readFileSync(file, 'utf8')) as TestReport;
  rmSync(folder, { recursive: true });
  passed += report.numPassedTests;
  skipped += report.numPendingTests;
  // A file that fails to load fails without a failed test, and an unhandled error without either.
  failed += Math.max(report.numFailedTests, report.numFailedTestSuites, isGreen ? 0 : 1);
}

const filters = process.argv.slice(2);
check('build', 'turbo', ['run', 'build', '--output-logs=errors-only']);
if (filters.length === 0) {
  for (const project of globSync([
    'packages/*/test/tsconfig.json',
    'packages/*/test/*/tsconfig.json',
    'examples/*/tsconfig.json',
    'bench/tsconfig.json',
    'tools/tsconfig.json',
  ]))
    check(`types of ${project}`, 'tsc', ['--noEmit', '-p', project]);
  check('lint', 'oxlint', ['--type-aware', '--deny-warnings']);
  check('format', 'oxfmt', ['--check']);
  check('unused code', 'knip', []);
  for (const folder of globSync('packages/*')) {
    check(`package ${folder}`, 'publint', ['--strict'], folder);
    check(`types as published, ${folder}`, 'attw', ['--pack', '.', '--profile', 'esm-only'], folder);
  }
}
test(filters);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed === 0 ? 0 : 1);
