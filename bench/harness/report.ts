import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** What several rounds measured. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** A run that only shows that the benchmarks work: small tables, one round, nothing written to `results/`. */
export const isQuick: boolean = process.env.QUICK === '1';

/** A folder in memory where the machine has one, so that the disk's own pace is not what is measured. */
export const memoryFolder: string = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** How many rounds to run: `ROUNDS`, or what the benchmark says. */
export function roundsOr(usual: number): number {
  return isQuick ? 1 : Number(process.env.ROUNDS ?? usual);
}

/** The median and the spread of `values`. */
export function figure(values: readonly number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b);
  const round = (value: number | undefined): number => Number((value ?? Number.NaN).toPrecision(4));
  return {
    median: round(sorted[sorted.length >> 1]),
    min: round(sorted[0]),
    max: round(sorted.at(-1)),
  };
}

/** The installed version of the npm package `name`. */
export function version(name: string): string {
  const { version } = JSON.parse(
    readFileSync(join(root, `../node_modules/${name}/package.json`), 'utf8'),
  ) as { version: string };
  return version;
}

/** Writes `results/<name>.json`, with the day and the machine. */
export function report(name: string, result: object): void {
  if (isQuick) return;
  const environment = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    workerd: version('workerd'),
    commit: commit(),
  };
  mkdirSync(join(root, 'results'), { recursive: true });
  writeFileSync(
    join(root, `results/${name}.json`),
    `${JSON.stringify({ ...environment, ...result }, null, 2)}\n`,
  );
}

/** The commit that is checked out, where this is a repository. */
function commit(): string | undefined {
  const { status, stdout } = spawnSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: root,
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : undefined;
}

/** A time in the unit that suits it. */
export function time(micros: number): string {
  if (micros >= 1_000_000) return `${(micros / 1_000_000).toFixed(2)} s`;
  return micros >= 1_000 ? `${(micros / 1_000).toFixed(2)} ms` : `${micros.toFixed(2)} µs`;
}

/** A figure as `median (min–max)`, from one in µs. */
export function spread({ median, min, max }: Figure): string {
  return `${time(median)} (${time(min)} – ${time(max)})`;
}

/** Prints rows of cells as columns, the first to the left. */
export function print(title: string, rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  console.log(`\n${title}\n`);
  for (const row of rows)
    console.log(
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
        .join('   '),
    );
}
