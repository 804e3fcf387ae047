/**
 * Runs the benchmarks and writes `results/<name>.json`.
 *
 * `npm run bench` runs all; `npm run bench -- engine cost` those that are named. `ROUNDS=15` asks for more rounds than
 * usual. `QUICK=1` only shows that they work: small tables, one round, no results.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apps } from './apps.ts';
import { backup } from './backup.ts';
import { branches } from './branches.ts';
import { changes } from './changes.ts';
import { cold } from './cold.ts';
import { cost } from './cost.ts';
import { engine } from './engine.ts';
import { history } from './history.ts';
import { isQuick } from './harness/report.ts';
import { live } from './live.ts';
import { page } from './page.ts';
import { scan } from './scan.ts';
import { workloads } from './workloads.ts';

const benchmarks: Record<string, () => Promise<void>> = {
  engine,
  workloads,
  cost,
  cold,
  history,
  branches,
  changes,
  live,
  scan,
  backup,
  apps,
};
const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : Object.keys(benchmarks)) {
  const benchmark = benchmarks[name];
  if (benchmark === undefined)
    throw new Error(`there is no benchmark "${name}", only ${Object.keys(benchmarks).join(', ')}`);
  await benchmark();
}
if (!isQuick) writeFileSync(join(import.meta.dirname, 'results/index.html'), page());
