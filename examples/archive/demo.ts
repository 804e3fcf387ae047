/**
 * Starts the app on this machine, lets a year of readings come in, moves all but the last day to R2 and checks every
 * claim that it prints: `npm run demo -w examples/archive`. `DAYS` and `EVERY_MINUTES` say how many readings.
 */
import assert from 'node:assert/strict';
import type { Plan, TierPass } from '@dotdo/dosql';
import { line, say, step, table } from '@dotdo/example-shared/local/transcript';
import { startLocally } from './local.ts';
import type { Month } from './src/plant.ts';
import { TIER } from './src/readings.ts';

interface Stored {
  readonly hotBytes: number;
  readonly coldRows: number;
  readonly waiting: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

const SENSORS = 20;
// Time is simulated, and is ahead of that of the runtime, whose alarms would go off at once otherwise.
const START = new Date(Date.UTC(new Date().getUTCFullYear() + 1, 0));
const YEAR_DAYS = (Date.UTC(START.getUTCFullYear() + 1, 0) - START.getTime()) / 86_400_000;
// When the year is over, one more day: the last one of the year is then 24 hours old.
const days = Number(process.env['DAYS'] ?? YEAR_DAYS + 1);
const everyMinutes = Number(process.env['EVERY_MINUTES'] ?? 15);
const march14 = `${START.getUTCFullYear()}-03-14`;
const glitch = { sensor: 'pump-07', at: `${march14}T09:00:00Z` };

const started = performance.now();
console.log('\nA year of telemetry in one database: a day of it hot, all of it one table\n');
const app = await startLocally(START);
say(`The app runs in the Workers runtime at ${app.origin}, with a bucket`, started);

try {
  const total = await step(
    `${SENSORS} pumps report every ${everyMinutes} minutes, ${days} days long`,
    async () => {
      let readings = 0;
      // A request for each month: no event of an object should take long.
      for (let day = 0; day < days; day += 30) readings += await live(Math.min(30, days - day));
      assert.equal(readings, (days * 1_440 * SENSORS) / everyMinutes);
      line(`${count(readings)} readings, and each night the alarm trimmed the log to its 7 days`);
      return readings;
    },
  );
  const before = await stored();
  assert.deepEqual([before.coldRows, before.files.length], [0, 0]);

  const wrong = await step('The year by month, while all of it is in SQLite', months);
  assert.equal(sum(wrong), total);
  show(wrong);
  await step('How SQLite reads it', async () => {
    const { steps } = await app.plant.get<Plan>('/months/plan');
    for (const { detail } of steps) line(detail);
    assert.match(steps[0]?.detail ?? '', /^SCAN readings/);
  });

  const pass = await step(
    `The table is tiered: hotFor '${TIER.hotFor}', a partition a ${TIER.partition}`,
    async () => {
      const pass = await app.plant.post<TierPass>('/tier');
      assert.equal(pass.more, false);
      assert.equal(pass.moved, pass.files);
      line(
        `${count(pass.rows)} rows have become ${pass.files} Parquet files in R2; ${count(total - pass.rows)} are hot`,
      );
      return pass;
    },
  );
  await step('What is where now', async () => {
    const { hotBytes, coldRows, waiting, files } = await stored();
    assert.deepEqual([coldRows, waiting, files.length], [pass.rows, 0, pass.files]);
    const cold = files.reduce((sum, { size }) => sum + size, 0);
    line(
      `in the object  ${megabytes(before.hotBytes).padStart(9)} before, ${megabytes(hotBytes)} now, log included`,
    );
    line(`in R2          ${megabytes(cold).padStart(9)}, ${(cold / coldRows).toFixed(1)} bytes a reading`);
    assert.ok(hotBytes + cold < before.hotBytes);
    const shown = files.slice(0, 3);
    for (const { path, size } of shown) line(`${path}  ${count(size)} bytes`);
    if (files.length > shown.length) line(`… and ${files.length - shown.length} more`);
  });

  await step('How the same query is answered now: SQLite and R2 as one table', async () => {
    const { files } = await app.plant.get<Plan>('/months/plan');
    assert.equal(files?.engine, 'scan');
    assert.equal(files.files.read, pass.files);
    line(`${files.files.read} files are read, of which only the columns that it names`);
  });
  const again = await step('The year by month again: the same text, the same answer', months);
  assert.deepEqual(again, wrong);
  await step(`One pump on one day: ${glitch.sensor} on ${march14}`, async () => {
    const path = `/day/plan?sensor=${glitch.sensor}&day=${march14}`;
    const { files } = await app.plant.get<Plan>(path);
    assert.equal(files?.rows, 1_440 / everyMinutes);
    line(
      `${files.files.pruned} of ${files.files.total} files are passed over by what the database knows of them`,
    );
    line(`${files.rows} rows`);
    assert.ok(files.files.pruned >= files.files.total - 4);
  });

  const point = await step(
    `${glitch.sensor} was never at 900 °C: that reading is corrected, cold as it is`,
    async () => {
      const { changes, before } = await app.plant.patch<{ changes: number; before: string }>('/reading', {
        ...glitch,
        temperature: 44.4,
      });
      assert.equal(changes, 1);
      line(`UPDATE readings SET temperature = 44.4 …: ${changes} row, the first change after LSN ${before}`);
      return before;
    },
  );
  const march = (list: readonly Month[]): number | undefined =>
    list.find(({ month }) => march14.startsWith(month))?.hottest;
  assert.equal(march(wrong), 900);
  await step('March is right', async () => {
    const right = await months();
    assert.ok((march(right) ?? 900) < 100);
    assert.equal(sum(right), total);
    line(`hottest in March: ${march(right)}`);
  });
  await step(`The year by month as of LSN ${point}, before that`, async () => {
    const past = await months(`?as_of=${point}`);
    assert.deepEqual(past, wrong);
    line(`hottest in March: ${march(past)}`);
  });

  await step('A day later the alarm has made that row cold again', async () => {
    const { coldRows } = await stored();
    assert.equal(coldRows, pass.rows - 1);
    const readings = await live(1);
    const now = await stored();
    assert.equal(now.coldRows, pass.rows);
    assert.equal(now.waiting, 0);
    assert.equal(sum(await months()), total + readings);
    line(
      `${count(now.coldRows)} rows are cold, ${count(total + readings - now.coldRows)} hot, none lost, none twice`,
    );
  });
} finally {
  await app.close();
}
say('All of it. Every line above was checked, and nothing is left behind.\n', started);

async function live(count: number): Promise<number> {
  const path = `/days?count=${count}&every=${everyMinutes * 60}`;
  return (await app.plant.post<{ readings: number }>(path)).readings;
}

function months(search = ''): Promise<Month[]> {
  return app.plant.get<Month[]>(`/months${search}`);
}

function stored(): Promise<Stored> {
  return app.plant.get<Stored>('/storage');
}

function sum(list: readonly Month[]): number {
  return list.reduce((sum, { readings }) => sum + readings, 0);
}

function show(list: readonly Month[]): void {
  table(
    ['month', 'readings', 'mean', 'hottest'],
    list.map(({ month, readings, mean, hottest }) => [
      month,
      count(readings).padStart(8),
      mean.toFixed(2).padStart(6),
      hottest.toFixed(2).padStart(7),
    ]),
  );
}

function count(value: number): string {
  return value.toLocaleString('en');
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
