/**
 * Writes the figures of the benchmark results into the README: the engine's between its `figures` marks, those
 * beside other engines between its `peers` marks.
 *
 * `node tools/figures.ts` after `npm run bench`; a test checks that the README agrees with the results.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

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

interface Figure {
  readonly median: number;
}

interface PeerResults {
  readonly date: string;
  readonly machine: string;
  readonly workerd: string;
  /** Versions, or why an engine was not measured. */
  readonly engines: Readonly<Record<string, string>>;
}

interface BranchResults extends PeerResults {
  readonly billed: { readonly rows: number; readonly firstWrite: number }[];
  readonly measured: {
    readonly engine: string;
    readonly rows: number;
    readonly what: string;
    readonly changes?: number;
    readonly micros: Figure;
  }[];
}

interface HistoryResults extends PeerResults {
  readonly rows: number;
  readonly asOf: {
    readonly engine: string;
    readonly changes: number;
    readonly changesBack: number;
    readonly aggregateMicros: Figure;
    readonly pointMicros: Figure;
  }[];
  readonly rowHistory: { readonly engine: string; readonly changes: number; readonly micros: Figure }[];
}

const readme = new URL('../README.md', import.meta.url);
const ENGINE_MARKS = /(<!-- figures -->\n)[\s\S]*?(<!-- \/figures -->)/;
const PEER_MARKS = /(<!-- peers -->\n)[\s\S]*?(<!-- \/peers -->)/;
const PEERS = ['DoSQL', 'DoltLite', 'MariaDB'];

function hasResults(name: string): boolean {
  return existsSync(new URL(`../bench/results/${name}.json`, import.meta.url));
}

function results<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../bench/results/${name}.json`, import.meta.url), 'utf8')) as T;
}

const micros = (value: number): string =>
  value >= 1_000_000
    ? `${(value / 1_000_000).toFixed(1)} s`
    : value >= 1_000
      ? `${(value / 1_000).toFixed(1)} ms`
      : `${value.toFixed(value < 10 ? 1 : 0)} µs`;

/** The README's figures, as Markdown. */
function figures(): string {
  const { date, machine, workerd, measured, history, bundle } = results<EngineResults>('engine');
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
  return (
    `\n${table(rows)}\n\nTime per statement, query or row until it is committed, which is when a response leaves the object, and the ratio ` +
    `until the call has answered, which for a batch of DoSQL is the same. For the past, "bare" is the same query on the present. ` +
    `The engine is ${(bundle.gzippedBytes / 1_000).toFixed(1)} kB minified and gzipped. Taken ${date} on ${machine}, workerd ${workerd}.\n\n`
  );
}

/** The figures beside other engines, as Markdown. */
function peerFigures(): string {
  const branches = results<BranchResults>('branches');
  const history = results<HistoryResults>('history');
  const rows = [
    ['', ...PEERS],
    ['---', ...PEERS.map(() => '---:')],
    ...ofBranches(branches),
    ...ofHistory(history),
  ];
  const versions = Object.entries({ ...branches.engines, ...history.engines })
    .filter(([name]) => name !== 'DoSQL')
    .map(([name, version]) => `${name} ${version}`);
  const billed = Math.max(...branches.billed.map(({ firstWrite }) => firstWrite));
  return (
    `\n${table(rows)}\n\nMedians; tables of 7 columns and an index, in memory, every commit synced. A branch's first write bills ${billed} rows ` +
    `on a table of any size. The past is that of ${thousands(history.rows)} rows. Changed rows lie all over the table. DoSQL runs in ` +
    `workerd, DoltLite inside Node.js, MariaDB behind a socket. Taken ${history.date} on ${history.machine}, workerd ${history.workerd}, ${versions.join(', ')}.\n\n`
  );
}

function ofBranches({ measured }: BranchResults): string[][] {
  const rows = Math.max(...measured.map((one) => one.rows));
  const main = Math.max(
    0,
    ...measured.filter(({ what }) => what === 'point on a branch').map((one) => one.changes ?? 0),
  );
  const wanted: [name: string, what: string, changes?: number][] = [
    ['create a branch', 'create a branch'],
    ['its first write', 'first write of a branch'],
    ['diff of 1,000 rows', 'diff, spread rows', 1_000],
    ['merge of 1,000 changes a side', 'merge, spread rows', 1_000],
    ['point read on main', 'point on main', main],
    ['point read on a branch', 'point on a branch', main],
    ['aggregate on main', 'aggregate on main', main],
    ['aggregate on a branch', 'aggregate on a branch', main],
  ];
  return wanted.map(([name, what, changes]) => [
    `${name}, ${thousands(rows)} rows`,
    ...PEERS.map((engine) =>
      cell(
        measured.find(
          (one) => one.engine === engine && one.rows === rows && one.what === what && one.changes === changes,
        )?.micros,
      ),
    ),
  ]);
}

function ofHistory({ asOf, rowHistory }: HistoryResults): string[][] {
  const [young = 0, aged = 0] = [...new Set(asOf.map(({ changes }) => changes))].toSorted((a, b) => a - b);
  const found = (
    engine: string,
    changes: number,
    changesBack: number,
  ): HistoryResults['asOf'][number] | undefined =>
    asOf.find((one) => one.engine === engine && one.changes === changes && one.changesBack === changesBack);
  const distances = [...new Set(asOf.map(({ changesBack }) => changesBack))].toSorted((a, b) => a - b);
  const ago = (back: number): string => (back === 0 ? 'now' : `${thousands(back)} changes ago`);
  const middle = distances.at(-2) ?? 0;
  return [
    ...distances.map((back) => [
      `aggregate, ${ago(back)}`,
      ...PEERS.map((engine) => cell(found(engine, young, back)?.aggregateMicros)),
    ]),
    [
      `aggregate, ${ago(middle)} of ${thousands(aged)}`,
      ...PEERS.map((engine) => cell(found(engine, aged, middle)?.aggregateMicros)),
    ],
    [`point read, ${ago(middle)}`, ...PEERS.map((engine) => cell(found(engine, young, middle)?.pointMicros))],
    [
      `one row's history among ${thousands(aged)} changes`,
      ...PEERS.map((engine) => {
        const own = rowHistory.find((one) => one.engine === engine);
        return own === undefined || own.changes === aged
          ? cell(own?.micros)
          : `${cell(own.micros)} among ${thousands(own.changes)}`;
      }),
    ],
  ];
}

function cell(figure: Figure | undefined): string {
  return figure === undefined ? '–' : micros(figure.median);
}

function thousands(value: number): string {
  return value.toLocaleString('en');
}

/** Rows of cells as a table of Markdown, all but the first column to the right; the second row rules. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => (row[i] as string).length))) ?? [];
  const rule = (width: number, i: number): string =>
    i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`;
  const line = (row: readonly string[], i: number): string => {
    const cells = row.map((text, c) =>
      c === 0 ? text.padEnd(widths[c] ?? 0) : text.padStart(widths[c] ?? 0),
    );
    return `| ${(i === 1 ? widths.map(rule) : cells).join(' | ')} |`;
  };
  return rows.map(line).join('\n');
}

/** The README with the figures of the results in it; those that have not been taken stay as they are. */
export function withFigures(text: string): string {
  const engine = text.replace(ENGINE_MARKS, (_, open: string, close: string) => open + figures() + close);
  if (!hasResults('branches') || !hasResults('history')) return engine;
  return engine.replace(PEER_MARKS, (_, open: string, close: string) => open + peerFigures() + close);
}

if (import.meta.main) writeFileSync(readme, withFigures(readFileSync(readme, 'utf8')));
