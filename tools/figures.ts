/**
 * Writes the figures of the benchmark results into the README: the engine's between its `figures` marks, those
 * beside other engines between its `workloads` and `peers` marks, those of change streams between its `streams` marks,
 * those of queries over files between its `scans` marks, those of the examples between its `apps` marks, and what
 * `npm run faults` has run between its `faults` marks.
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
  /** Bytes, minified and gzipped. */
  readonly bundle: { readonly opened: number; readonly withoutFiles: number; readonly all: number };
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

interface ChangesResults extends PeerResults {
  readonly measured: { readonly engine: string; readonly what: string; readonly micros: Figure }[];
  readonly catchUp: {
    readonly changes: number;
    readonly changesPerSecond: number;
    readonly mebibytes: number;
  };
}

interface LiveResults {
  /** Milliseconds. */
  readonly deliveries: { readonly sockets: number; readonly p50: Figure; readonly p99: Figure }[];
  readonly perSecond: { readonly snapshot: Figure; readonly stream: Figure };
}

/** Geometric means of ratios to DuckDB's times. */
interface Means {
  readonly node: number;
  readonly workerd: number;
  readonly stored: number;
}

interface ScanResults extends PeerResults {
  readonly rows: { readonly telemetry: number; readonly hits: number };
  readonly geometricMean: Means & { readonly first: Means };
  readonly measured: {
    readonly name: string;
    readonly table: string;
    readonly duckdb: Figure;
    readonly node: Figure;
    readonly workerd: Figure;
    readonly nodeRatio: number;
    readonly workerdRatio: number;
    readonly storedRatio: number;
  }[];
  readonly written: {
    readonly dosql: { readonly rowsPerSecond: number };
    readonly duckdb: { readonly rowsPerSecond: number };
  };
  readonly memory: { readonly fileBytes: number; readonly mebibytes: number };
}

interface WorkloadResults extends PeerResults {
  readonly measured: { readonly workload: string; readonly engine: string; readonly micros: Figure }[];
}

interface ColdResults {
  readonly starts: { readonly rows: number; readonly bare: Figure; readonly dosql: Figure }[];
}

interface CostResults {
  readonly statements: {
    readonly workload: string;
    readonly engine: string;
    readonly dollarsPerMillion: number;
  }[];
}

interface AppResults {
  readonly date: string;
  readonly machine: string;
  readonly measured: {
    readonly app: string;
    readonly name: string;
    readonly unit: string;
    readonly seed: string;
    readonly ceiling: Figure;
    readonly reached: Figure;
    readonly p50: Figure;
  }[];
}

interface FaultResults {
  readonly date: string;
  readonly machine: string;
  readonly workerd: string;
  readonly minutes: number;
  readonly tests: number;
  /** Of each kind of test, what was done how often. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly failures: readonly unknown[];
}

const readme = new URL('../README.md', import.meta.url);
const ENGINE_MARKS = /(<!-- figures -->\n)[\s\S]*?(<!-- \/figures -->)/;
const PEER_MARKS = /(<!-- peers -->\n)[\s\S]*?(<!-- \/peers -->)/;
const STREAM_MARKS = /(<!-- streams -->\n)[\s\S]*?(<!-- \/streams -->)/;
const WORKLOAD_MARKS = /(<!-- workloads -->\n)[\s\S]*?(<!-- \/workloads -->)/;
const APP_MARKS = /(<!-- apps -->\n)[\s\S]*?(<!-- \/apps -->)/;
const FAULT_MARKS = /(<!-- faults -->\n)[\s\S]*?(<!-- \/faults -->)/;
const SCAN_MARKS = /(<!-- scans -->\n)[\s\S]*?(<!-- \/scans -->)/;
/** Queries that the README shows by name, of all that are measured. */
const SHOWN_SCANS = ['count', 'one hour', 'sum by day', 'sum by sensor', 'one sensor by hour', 'median'];
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

const kilobytes = (bytes: number): string => `${(bytes / 1_000).toFixed(0)} kB`;

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
    `Opening a database without migrations loads ${kilobytes(bundle.opened)} of code, minified and gzipped; with all that is loaded on first use it is ` +
    `${kilobytes(bundle.withoutFiles)}, and ${kilobytes(bundle.all)} with what reads and writes files. Taken ${date} on ${machine}, workerd ${workerd}.\n\n`
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

/** The figures of change streams, as Markdown. */
function streamFigures(): string {
  const { date, machine, workerd, engines, measured, catchUp } = results<ChangesResults>('changes');
  const { deliveries, perSecond } = results<LiveResults>('live');
  const found = (what: string, ...names: string[]): Figure | undefined =>
    measured.find((one) => one.what === what && names.includes(one.engine))?.micros;
  const rate = (what: string, engine: string): string => {
    const figure = found(what, engine);
    return figure === undefined ? '–' : `${thousands(Math.round(1_000 / figure.median))}k/s`;
  };
  const captured = 'update with its changes captured';
  const rows = [
    ['', 'DoSQL', 'Turso'],
    ['---', '---:', '---:'],
    [
      'a row of a bulk update, nothing captured',
      cell(found('update', 'bare SQLite')),
      cell(found('update', 'Turso')),
    ],
    ['the same with its changes captured', cell(found(captured, 'DoSQL')), cell(found(captured, 'Turso'))],
    ...[
      ['changes read out', 'read out'],
      ['changes read out as JSON', 'read out as JSON'],
      ['rows of a snapshot', 'snapshot'],
    ].map(([name = '', what = '']) => [name, rate(what, 'DoSQL'), rate(what, 'Turso')]),
  ];
  const sockets = deliveries.map(
    ({ sockets, p50, p99 }) =>
      `${thousands(sockets)}: ${p50.median.toFixed(1)} ms (p99 ${p99.median.toFixed(0)} ms)`,
  );
  return (
    `\n${table(rows)}\n\nA consumer that is ${thousands(catchUp.changes)} changes behind reads ${thousands(catchUp.changesPerSecond)} a second, as JSON, in ` +
    `${catchUp.mebibytes} MiB of memory. One WebSocket takes ${thousands(perSecond.stream.median)} changes and ${thousands(perSecond.snapshot.median)} rows of a snapshot a second. From ` +
    `sending a write until it has come to so many sockets: ${sockets.join('; ')}; server and clients share two cores. Taken ${date} on ${machine}, workerd ${workerd}, Turso ${engines['Turso']}.\n\n`
  );
}

/** The figures of queries over Parquet files, as Markdown. */
function scanFigures(): string {
  const { date, machine, workerd, engines, rows, geometricMean, measured, written, memory } =
    results<ScanResults>('scan');
  const worst = measured.toSorted((a, b) => b.workerdRatio - a.workerdRatio)[0];
  const shown = measured.filter(({ name }) => SHOWN_SCANS.includes(name));
  const named = (worst === undefined || shown.includes(worst) ? shown : [...shown, worst]).map(
    ({ name, duckdb, node, workerd, workerdRatio }) => [
      name,
      cell(duckdb),
      cell(node),
      cell(workerd),
      `${workerdRatio.toFixed(2)}×`,
    ],
  );
  const header = [
    ['', 'DuckDB', 'DoSQL in Node', 'in workerd', 'ratio'],
    ['---', '---:', '---:', '---:', '---:'],
  ];
  const rate = (value: number): string => `${(value / 1e6).toFixed(1)} M`;
  return (
    `\n${table([...header, ...named])}\n\nOver all ${measured.length} queries, each asked twelve times before, the geometric mean is ${geometricMean.node.toFixed(2)}× DuckDB's time in Node and ` +
    `${geometricMean.workerd.toFixed(2)}× in workerd, each in turn with DuckDB; the last row is the worst of them. ${thousands(rows.telemetry)} readings, and ${thousands(rows.hits)} page views for ` +
    `ClickBench's queries, in zstd files in memory that DuckDB wrote. Out of the object's own file store, which is SQLite, the mean is ` +
    `${geometricMean.stored.toFixed(2)}×. Asked for the first time, before its loops are compiled, a query takes ${geometricMean.first.node.toFixed(2)}× in Node and ` +
    `${geometricMean.first.workerd.toFixed(2)}× in workerd. Seven columns are written at ` +
    `${rate(written.dosql.rowsPerSecond)} rows a second, by DuckDB at ${rate(written.duckdb.rowsPerSecond)}. A query over ${Math.round(memory.fileBytes / 1e6)} MB took ` +
    `${memory.mebibytes.toFixed(0)} MiB of memory. Taken ${date} on ${machine}, workerd ${workerd}, DuckDB ${engines['DuckDB']}.\n\n`
  );
}

/** Engines that the README shows by name, of all that are measured. */
const SHOWN_ENGINES = [
  'DoSQL',
  'bare ctx.storage.sql',
  'D1 (local)',
  'better-sqlite3',
  'Turso',
  'PGlite',
  'MariaDB',
];

/** The figures of the same statements on many engines, as Markdown. */
function workloadFigures(): string {
  const { date, machine, workerd, engines, measured } = results<WorkloadResults>('workloads');
  const { starts } = results<ColdResults>('cold');
  const { statements } = results<CostResults>('cost');
  const found = (workload: string, engine: string): Figure | undefined =>
    measured.find((one) => one.workload === workload && one.engine === engine)?.micros;
  const rows = [
    ['', ...SHOWN_ENGINES],
    ['---', ...SHOWN_ENGINES.map(() => '---:')],
    ...[...new Set(measured.map(({ workload }) => workload))].map((workload) => [
      workload,
      ...SHOWN_ENGINES.map((engine) => cell(found(workload, engine))),
    ]),
  ];
  const versions = SHOWN_ENGINES.slice(3).map((name) => `${name} ${engines[name]}`);
  const woken = starts.map(
    (start) => `${cell(start.dosql)} with ${thousands(start.rows)} rows (bare ${cell(start.bare)})`,
  );
  const dollars = (engine: string): string =>
    `$${statements.find((one) => one.workload === 'update by key' && one.engine === engine)?.dollarsPerMillion.toFixed(2)}`;
  return (
    `\n${table(rows)}\n\nAn operation, until it is durable. The engines from better-sqlite3 on run inside Node.js, MariaDB behind a socket; a query of D1 goes ` +
    `from one object to another, as it does everywhere. An object that was asleep answers its first query in ${woken.join(', ')}. A million ` +
    `updates by key, each a request, are billed ${dollars('DoSQL')} with every change logged, ${dollars('bare ctx.storage.sql')} on bare SQLite and ${dollars('D1 (local)')} on D1. ` +
    `Taken ${date} on ${machine}, workerd ${workerd}, ${versions.join(', ')}.\n\n`
  );
}

/** The figures of the example apps, as Markdown. */
function appFigures(): string {
  const { date, machine, measured } = results<AppResults>('apps');
  const whole = ({ median }: Figure): string => thousands(Number(median.toPrecision(3)));
  const rows = [
    ['', 'wanted', 'ceiling', 'reached', 'share', 'p50'],
    ['---', '---:', '---:', '---:', '---:', '---:'],
    ...measured.map(({ app, name, unit, seed, ceiling, reached, p50 }) => [
      `[${app}](examples/${app}): ${name}`,
      `${seed} ${unit}`,
      whole(ceiling),
      whole(reached),
      `${Math.round((100 * reached.median) / ceiling.median)}%`,
      `${p50.median.toFixed(0)} ms`,
    ]),
  ];
  return (
    `\n${table(rows)}\n\nOperations a second of one object behind a Worker that checks tokens and input, and of one that does nothing but answer ` +
    `the same requests or edits. A Worker of the same process sends the requests, Node the edits over WebSockets; both share the two cores. ` +
    `For edits p50 is the time until another window has it. ` +
    `Taken ${date} on ${machine}.\n\n`
  );
}

/** What can go wrong in the simulator, as it counts it. */
const SIMULATED = [
  'alarms lost',
  'alarms twice at once',
  'answers of the store lost',
  'calls of the store refused',
  'calls of the store that were too many',
  'clock stands still',
  'clock steps back',
  'ends of the object',
  'evictions',
  'full storage',
  'partial reads',
  'slow calls of the store',
  'stale lists',
  'timeouts of the store',
  'torn uploads',
];

/** What the search for faults has run, as Markdown. */
function faultFigures(): string {
  const { date, machine, workerd, minutes, tests, counts, failures } = results<FaultResults>('faults');
  const sum = (suite: RegExp, what: (name: string) => boolean): string =>
    thousands(
      Object.entries(counts)
        .filter(([name]) => suite.test(name))
        .flatMap(([, done]) => Object.entries(done))
        .reduce((sum, [name, count]) => (what(name) ? sum + count : sum), 0),
    );
  const named =
    (...names: string[]) =>
    (name: string): boolean =>
      names.includes(name);
  const rows = [
    ['', 'how many'],
    ['---', '---:'],
    ['what went wrong in the simulator', sum(/^simulator/, named(...SIMULATED))],
    ['its checks meanwhile', sum(/^simulator/, named('checks'))],
    ['answers to SQL beside those of SQLite', sum(/^SQL beside/, named('answers compared'))],
    ['processes killed', sum(/^kills/, named('kills'))],
    ['damaged files read', sum(/^damaged/, named('files'))],
    [
      'mutated texts of SQL, patterns and URLs',
      sum(
        /^(texts|disguised|scripts|patterns|URLs)/,
        named('compared', 'refused by both', 'run', 'scripts', 'paths', 'parsed'),
      ),
    ],
    [
      'mutated messages and requests',
      sum(/^(messages|HTTP)/, (name) => name === 'sent' || /^answered \d/.test(name)),
    ],
  ];
  return (
    `\n${table(rows)}\n\n${thousands(tests)} tests in ${minutes} minutes, ${failures.length} of them failed. ` +
    `[All counts](bench/results/index.html). Taken ${date} on ${machine}, workerd ${workerd}.\n\n`
  );
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

/** Where which figures stand in the README, and the results that they need. */
const PARTS: readonly (readonly [marks: RegExp, needs: readonly string[], write: () => string])[] = [
  [ENGINE_MARKS, ['engine'], figures],
  [WORKLOAD_MARKS, ['workloads', 'cold', 'cost'], workloadFigures],
  [PEER_MARKS, ['branches', 'history'], peerFigures],
  [STREAM_MARKS, ['changes', 'live'], streamFigures],
  [SCAN_MARKS, ['scan'], scanFigures],
  [APP_MARKS, ['apps'], appFigures],
  [FAULT_MARKS, ['faults'], faultFigures],
];

/** The README with the figures of the results in it; those that have not been taken stay as they are. */
export function withFigures(text: string): string {
  return PARTS.reduce(
    (text, [marks, needs, write]) =>
      needs.every(hasResults)
        ? text.replace(marks, (_, open: string, close: string) => open + write() + close)
        : text,
    text,
  );
}

if (import.meta.main) writeFileSync(readme, withFigures(readFileSync(readme, 'utf8')));
