/**
 * Writes the figures of the benchmark results into the README, between its `figures` marks.
 *
 * `node tools/figures.ts` after `npm run bench`; a test checks that the README agrees with the results.
 */
import { readFileSync, writeFileSync } from 'node:fs';

interface Comparison {
  readonly bareMicros: number;
  readonly dosqlMicros: number;
  readonly ratio: number;
}

interface EngineResults {
  readonly date: string;
  readonly machine: string;
  readonly workerd: string;
  readonly measured: (Comparison & { readonly name: string; readonly committed: Comparison })[];
  readonly history: {
    readonly name: string;
    readonly bareMicros: number;
    readonly pastMicros: number;
    readonly ratio: number;
  }[];
  readonly bundle: { readonly gzippedBytes: number };
}

const readme = new URL('../README.md', import.meta.url);
const results = new URL('../bench/results/engine.json', import.meta.url);
const MARKS = /(<!-- figures -->\n)[\s\S]*?(<!-- \/figures -->)/;

const micros = (value: number): string =>
  value >= 1_000 ? `${(value / 1_000).toFixed(1)} ms` : `${value.toFixed(value < 10 ? 1 : 0)} µs`;

/** The README's figures, as Markdown. */
function figures(): string {
  const { date, machine, workerd, measured, history, bundle } = JSON.parse(
    readFileSync(results, 'utf8'),
  ) as EngineResults;
  const rows = [
    ['', 'bare', 'DoSQL', 'ratio', 'answered'],
    ['---', '---:', '---:', '---:', '---:'],
    ...measured.map(({ name, ratio, committed }) => [
      name,
      micros(committed.bareMicros),
      micros(committed.dosqlMicros),
      `${committed.ratio.toFixed(2)}×`,
      `${ratio.toFixed(2)}×`,
    ]),
    ...history.map(({ name, bareMicros, pastMicros, ratio }) => [
      `${name === 'point' ? 'point read' : name}, 10,000 changes ago`,
      micros(bareMicros),
      micros(pastMicros),
      `${ratio.toFixed(2)}×`,
      '',
    ]),
  ];
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => (row[i] as string).length))) ?? [];
  const line = (row: string[], i: number): string =>
    `| ${row.map((cell, c) => (i === 1 ? (c === 0 ? '-'.repeat(widths[c] as number) : `${'-'.repeat((widths[c] as number) - 1)}:`) : c === 0 ? cell.padEnd(widths[c] as number) : cell.padStart(widths[c] as number))).join(' | ')} |`;
  return (
    `\n${rows.map(line).join('\n')}\n\nTime per statement, query or row until it is committed, which is when a response leaves the object, and the ratio ` +
    `until the call has answered, which for a batch of DoSQL is the same. For the past, "bare" is the same query on the present. ` +
    `The engine is ${(bundle.gzippedBytes / 1_000).toFixed(1)} kB minified and gzipped. Taken ${date} on ${machine}, workerd ${workerd}.\n\n`
  );
}

/** The README with the figures of the results in it. */
export function withFigures(text: string): string {
  return text.replace(MARKS, (_, open: string, close: string) => open + figures() + close);
}

if (import.meta.main) writeFileSync(readme, withFigures(readFileSync(readme, 'utf8')));
