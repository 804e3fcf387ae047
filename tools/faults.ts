/**
 * Looks for faults with seeds that nobody has tried, for so many minutes: the simulator of everything that can go wrong,
 * SQL beside plain SQLite, mutated texts, URLs, messages and files, and processes that are killed. Writes what was run to
 * `bench/results/faults.json`, and fails where a test did.
 *
 * `npm run faults -- 30` runs for half an hour, `npm run faults -- 30 1001` with seeds from 1001 on. What fails is said
 * with the command that replays it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { report } from '../bench/harness/report.ts';

/** Tests that take a seed and how many to run. */
interface Suite {
  readonly name: string;
  /** vitest's configuration, by its name. */
  readonly config: string;
  readonly files: readonly string[];
  readonly seed: string;
  readonly runs: string;
  /** How many to run at a time: about a minute's worth. */
  readonly count: number;
}

interface TestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly message: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

interface Failure {
  readonly replay: string;
  readonly test: string;
  readonly message: string;
}

const vite = { config: 'vitest.config.ts', seed: 'VITE_SEED', runs: 'VITE_RUNS' };
const kills = { config: 'vitest.crash.config.ts', seed: 'DOSQL_SEED', runs: 'DOSQL_KILLS' };
const SUITES: readonly Suite[] = [
  { name: 'simulator', files: ['test/simulator'], ...vite, count: 5 },
  { name: 'kills', files: ['test/crash/kill'], ...kills, count: 20 },
  {
    name: 'damaged files',
    files: ['test/scan/parquet-damage', 'test/scan/source-damage'],
    ...vite,
    config: 'vitest.scan.config.ts',
    count: 2_000,
  },
  { name: 'kills in streams', files: ['test/crash/streams'], ...kills, count: 8 },
  { name: 'mutated input', files: ['test/fuzz'], ...vite, count: 300 },
  { name: 'SQL beside SQLite', files: ['test/sqllogic'], ...vite, count: 1 },
  { name: 'kills in tiers', files: ['test/crash/tier'], ...kills, count: 8 },
  { name: 'kills in branches', files: ['test/crash/branches'], ...kills, count: 3 },
];

const folder = join(import.meta.dirname, '../packages/dosql');
const counts = new Map<string, Map<string, number>>();
const seeds = new Map<string, number[]>();
const failures: Failure[] = [];
let tests = 0;

function run({ name, config, files, seed, runs, count }: Suite, from: number): void {
  const temporary = mkdtempSync(join(tmpdir(), 'dosql-faults-'));
  const file = join(temporary, 'report.json');
  const variables = { [seed]: String(from), [runs]: String(count) };
  const started = performance.now();
  const { stdout } = spawnSync(
    'vitest',
    ['run', `--config=${config}`, '--reporter=default', '--reporter=json', `--outputFile=${file}`, ...files],
    { cwd: folder, encoding: 'utf8', env: { ...process.env, ...variables }, maxBuffer: 2 ** 30 },
  );
  const { numPassedTests, numFailedTests, testResults } = JSON.parse(
    readFileSync(file, 'utf8'),
  ) as TestReport;
  rmSync(temporary, { recursive: true });
  tests += numPassedTests + numFailedTests;
  seeds.set(name, [...(seeds.get(name) ?? []), from]);
  for (const [, suite = '', text = '{}'] of stdout.matchAll(/counted ([^:\n]+): (\{.*\})/g))
    add(suite, JSON.parse(text) as Record<string, number>);
  const replay = `cd packages/dosql && ${seed}=${from} ${runs}=${count} vitest run --config=${config} ${files.join(' ')}`;
  for (const { status, message, assertionResults } of testResults) {
    const failed = assertionResults.filter((one) => one.status === 'failed');
    // A file that does not load has no tests that fail.
    if (failed.length === 0 && status === 'failed') failures.push({ replay, test: '', message });
    for (const { fullName, failureMessages } of failed)
      failures.push({ replay, test: fullName, message: failureMessages.join('\n') });
  }
  const seconds = ((performance.now() - started) / 1_000).toFixed(0);
  console.log(`${name}, seed ${from}: ${numPassedTests} passed, ${numFailedTests} failed (${seconds} s)`);
}

function add(suite: string, more: Readonly<Record<string, number>>): void {
  const sum = counts.get(suite) ?? new Map<string, number>();
  for (const [what, count] of Object.entries(more)) sum.set(what, (sum.get(what) ?? 0) + count);
  counts.set(suite, sum);
}

const [minutes = 10, first = 1 + (Math.floor(Date.now() / 1_000) % 1_000_000_000)] = process.argv
  .slice(2)
  .map(Number);
const started = performance.now();
const taken = (): number => (performance.now() - started) / 60_000;
// Seeds of rounds lie further apart than any suite counts on from one.
for (let round = 0; taken() < minutes; round++)
  for (const suite of SUITES) if (taken() < minutes) run(suite, first + round * 100);

const sorted = Object.fromEntries(
  [...counts].map(([suite, sum]) => [
    suite,
    Object.fromEntries([...sum].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  ]),
);
console.log(JSON.stringify(sorted, null, 2));
for (const { replay, test, message } of failures) console.error(`\n${replay}\n${test}: ${message}`);
report('faults', {
  minutes: Math.round(taken()),
  tests,
  seeds: Object.fromEntries(seeds),
  counts: sorted,
  failures,
});
console.log(`${tests} tests, ${failures.length} failures, in ${taken().toFixed(1)} minutes`);
process.exit(failures.length === 0 ? 0 : 1);
