import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleSize } from './harness/bundle-size.ts';
import { report, roundsOr, time } from './harness/report.ts';
import { inWorkerd } from './harness/workerd.ts';

/** µs per operation on bare SQLite and on DoSQL, and the median of their ratios. */
interface Comparison {
  readonly bareMicros: number;
  readonly dosqlMicros: number;
  readonly ratio: number;
}

interface EngineResult {
  readonly measured: (Comparison & { name: string; unit: string; committed: Comparison })[];
  readonly parts: Record<string, number>;
  readonly history: {
    name: string;
    bareMicros: number;
    presentMicros: number;
    pastMicros: number;
    ratio: number;
  }[];
}

const here = import.meta.dirname;
const worker = { entry: join(here, 'worker.ts'), classes: ['Bare', 'Dosql'], folder: tmpdir() };

/** The same statements on bare SQLite and on DoSQL, and the size of the bundle. */
export async function engine(): Promise<void> {
  const rounds = roundsOr(7);
  const result = await inWorkerd(worker, async (origin) =>
    (await fetch(`${origin}/engine?rounds=${rounds}`)).json<EngineResult>(),
  );
  const { opened, withoutFiles, all } = await bundleSize();
  const bundle = { opened, withoutFiles, all };
  report('engine', { rounds, rows: 50_000, ...result, bundle });
  console.log(
    '\nthe same statements on bare ctx.storage.sql and on DoSQL: until answered, and until committed\n',
  );
  const compared = ({ bareMicros, dosqlMicros, ratio }: Comparison): string =>
    `${time(bareMicros).padStart(10)} ${time(dosqlMicros).padStart(10)} ${ratio.toFixed(2).padStart(5)}×`;
  for (const { name, unit, committed, ...answered } of result.measured)
    console.log(`${name.padEnd(37)} ${compared(answered)}   ${compared(committed)} a ${unit}`);
  console.log('\nas of 10,000 changes back: the present on bare SQLite, through DoSQL, and the past\n');
  for (const { name, bareMicros, presentMicros, pastMicros, ratio } of result.history)
    console.log(
      `${name.padEnd(40)} ${time(bareMicros).padStart(10)} ${time(presentMicros).padStart(10)} ${time(pastMicros).padStart(10)} ${ratio.toFixed(2)}×`,
    );
  console.log('\nwhere a single run() goes\n');
  for (const [name, value] of Object.entries(result.parts))
    console.log(`${name.padEnd(56)} ${time(value).padStart(10)}`);
  const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(1)} kB`;
  console.log(
    `\nminified and gzipped: ${kilobytes(opened)} when opened, ${kilobytes(withoutFiles)} with all but files, ${kilobytes(all)} with them`,
  );
}
