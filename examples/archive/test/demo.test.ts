import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { dryRun } from '@dotdo/example-shared/local/deploy';
import { foreignCode } from '@dotdo/example-shared/local/readme';
import { expect, it } from 'vitest';

const folder = `${import.meta.dirname}/..`;

const PUMPS = 20;
const DAYS = 92;
const EVERY_MINUTES = 60;

/** A number of the transcript, as it is written there. */
function numberIn(transcript: string, pattern: RegExp): number {
  const text = pattern.exec(transcript)?.[1];
  if (text === undefined)
    throw new Error(`the transcript has nothing like ${pattern.source}:\n${transcript}`);
  return Number(text.replaceAll(',', ''));
}

it('the demo ends by itself, and what it tells is so', async () => {
  const env = { ...process.env, DAYS: String(DAYS), EVERY_MINUTES: String(EVERY_MINUTES) };
  const { stdout } = await promisify(execFile)(process.execPath, ['demo.ts'], { cwd: folder, env });
  const readings = (DAYS * 1_440 * PUMPS) / EVERY_MINUTES;
  // January to March have 90 days and are cold; two days of April are not.
  const hot = (2 * readings) / DAYS;
  expect(numberIn(stdout, /([\d,]+) readings, and each night/)).toBe(readings);
  expect(numberIn(stdout, /([\d,]+) rows have become 3 Parquet files/)).toBe(readings - hot);
  expect(numberIn(stdout, /Parquet files in R2; ([\d,]+) are hot/)).toBe(hot);
  const before = numberIn(stdout, /in the object +([\d.]+) MB before/);
  expect(numberIn(stdout, /before, ([\d.]+) MB now/)).toBeLessThan(before / 4);
  expect(numberIn(stdout, /in R2 +([\d.]+) MB/)).toBeLessThan(before / 10);
  expect(stdout.match(/partition=\d{4}-0[123]\/[\w-]+\.parquet {2}[\d,]+ bytes/g)).toHaveLength(3);
  const march = [...stdout.matchAll(/hottest in March: ([\d.]+)/g)].map(([, text]) => Number(text));
  expect(march).toEqual([expect.any(Number), 900]);
  expect(march[0]).toBeLessThan(100);
  expect(numberIn(stdout, /([\d,]+) rows are cold, [\d,]+ hot, none lost/)).toBe(readings - hot);
  expect(stdout.trimEnd().split('\n').at(-1)).toContain('Every line above was checked');
});

it('the README shows only code of the app and the demo', () => {
  const { blocks, foreign } = foreignCode(folder);
  expect(blocks).toBeGreaterThan(0);
  expect(foreign).toEqual([]);
});

it('can be deployed as it is, with its object and its bucket', () => {
  const { status, output } = dryRun(folder);
  expect(status, output).toBe(0);
  for (const binding of ['env.PLANT ', 'env.ARCHIVE ']) expect(output).toContain(binding);
});
