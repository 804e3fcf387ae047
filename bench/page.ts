/**
 * Writes `results/index.html`: every results file as charts, what is lost as well as what is won.
 *
 * `node page.ts` after `npm run bench`; a test checks that the page agrees with the results.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure } from './harness/report.ts';

const folder = join(import.meta.dirname, 'results');
const OURS = 'DoSQL';
const COLORS = ['#2f5d50', '#b4632d', '#5b3f9e', '#3470a2', '#9a8a1f', '#a8322a', '#4b7f52', '#777777'];

interface Taken {
  readonly date: string;
  readonly machine: string;
  readonly workerd: string;
}

/** One bar: whose, and how long, in µs or whatever `unit` says. */
interface Bar {
  readonly name: string;
  readonly value: number;
}

/** A line: its points by x. */
interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

function read<T>(name: string): (T & Taken) | undefined {
  const file = join(folder, `${name}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as T & Taken) : undefined;
}

/** A text inside of HTML. */
function html(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** µs in the unit that suits them. */
function micros(value: number): string {
  if (value >= 1_000_000) return `${(value / 1_000_000).toPrecision(3)} s`;
  return value >= 1_000 ? `${(value / 1_000).toPrecision(3)} ms` : `${value.toPrecision(3)} µs`;
}

const colorOf = (names: readonly string[], name: string): string =>
  COLORS[names.indexOf(name) % COLORS.length] ?? '';

/** Bars to a logarithmic scale, the shortest first. */
function bars(title: string, all: readonly Bar[], show: (value: number) => string = micros): string {
  const sorted = all.filter(({ value }) => value > 0).toSorted((a, b) => a.value - b.value);
  const [least = 1, most = 1] = [sorted[0]?.value, sorted.at(-1)?.value];
  const width = (value: number): number =>
    30 + (270 * Math.log(value / least)) / Math.log(most / least || 2) || 30;
  const rows = sorted.map(({ name, value }, i) => {
    const y = i * 18;
    const fill = name.startsWith(OURS) ? '#2f5d50' : '#b9b4a8';
    return (
      `<text x="186" y="${y + 12}" text-anchor="end">${html(name)}</text>` +
      `<rect x="192" y="${y + 2}" width="${width(value).toFixed(1)}" height="13" fill="${fill}"/>` +
      `<text x="${(197 + width(value)).toFixed(1)}" y="${y + 12}">${show(value)}</text>`
    );
  });
  return figure(title, `<svg viewBox="0 0 580 ${sorted.length * 18 + 4}">${rows.join('')}</svg>`);
}

/** Lines over logarithmic axes. */
function lines(title: string, given: readonly Line[], xName: string): string {
  // Ours has the same colour everywhere.
  const all = given.toSorted((a, b) => Number(b.name.startsWith(OURS)) - Number(a.name.startsWith(OURS)));
  const points = all.flatMap(({ points }) => points);
  const positive = (x: number): number => Math.max(x, 0.5);
  const [xs, ys] = [points.map(([x]) => positive(x)), points.map(([, y]) => y)];
  const [left, right, top, base] = [Math.min(...xs), Math.max(...xs), Math.max(...ys), Math.min(...ys)];
  const toX = (x: number): number => 60 + (400 * Math.log(positive(x) / left)) / Math.log(right / left || 2);
  const toY = (y: number): number => 190 - (170 * Math.log(y / base)) / Math.log(top / base || 2);
  const names = all.map(({ name }) => name);
  const drawn = all.map(({ name, points }, i) => {
    const path = points.map(([x, y]) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(' ');
    const dots = points.map(
      ([x, y]) =>
        `<circle cx="${toX(x).toFixed(1)}" cy="${toY(y).toFixed(1)}" r="3" fill="${colorOf(names, name)}"><title>${html(name)}, ${x.toLocaleString('en')}: ${micros(y)}</title></circle>`,
    );
    return (
      `<polyline points="${path}" fill="none" stroke="${colorOf(names, name)}" stroke-width="1.8"/>${dots.join('')}` +
      `<text x="470" y="${20 + i * 16}" fill="${colorOf(names, name)}">${html(name)}</text>`
    );
  });
  const ticks = [...new Set(points.map(([x]) => x))].map(
    (x) => `<text x="${toX(x).toFixed(1)}" y="206" text-anchor="middle">${x.toLocaleString('en')}</text>`,
  );
  return figure(
    title,
    `<svg viewBox="0 0 640 222"><text x="54" y="24" text-anchor="end">${micros(top)}</text><text x="54" y="190" text-anchor="end">${micros(base)}</text>` +
      `<line x1="60" x2="460" y1="192" y2="192" stroke="#999"/>${ticks.join('')}<text x="260" y="220" text-anchor="middle">${html(xName)}</text>${drawn.join('')}</svg>`,
  );
}

function table(title: string, rows: readonly (readonly string[])[]): string {
  const [head = [], ...body] = rows;
  const line = (tag: string, row: readonly string[]): string =>
    `<tr>${row.map((text) => `<${tag}>${html(text)}</${tag}>`).join('')}</tr>`;
  return figure(
    title,
    `<table><thead>${line('th', head)}</thead><tbody>${body.map((row) => line('td', row)).join('')}</tbody></table>`,
  );
}

function figure(title: string, body: string): string {
  return `<figure><figcaption>${html(title)}</figcaption>${body}</figure>`;
}

function section(title: string, taken: Taken | undefined, ...figures: string[]): string {
  if (taken === undefined) return '';
  const { date, machine, workerd } = taken;
  return `<section><h2>${html(title)}</h2><p>Taken ${date} on ${html(machine)}, workerd ${workerd}.</p><div>${figures.join('\n')}</div></section>`;
}

/** Those of `all` with the same `key`, in the order in which they come. */
function grouped<T>(all: readonly T[], key: (one: T) => string): [string, T[]][] {
  return [...Map.groupBy(all, key)];
}

function ofEngine(): string {
  const results = read<{
    measured: { name: string; committed: { bareMicros: number; dosqlMicros: number } }[];
    history: { name: string; bareMicros: number; pastMicros: number }[];
  }>('engine');
  const pairs = [
    ...(results?.measured.map(
      ({ name, committed }) => [name, committed.bareMicros, committed.dosqlMicros] as const,
    ) ?? []),
    ...(results?.history.map(
      ({ name, bareMicros, pastMicros }) => [`${name}, 10,000 changes ago`, bareMicros, pastMicros] as const,
    ) ?? []),
  ];
  return section(
    'The same statements on bare SQLite and on DoSQL, every change logged',
    results,
    bars(
      'DoSQL’s time, as a multiple of bare ctx.storage.sql, until committed',
      pairs.map(([name, bare, dosql]) => ({ name, value: dosql / bare })),
      (ratio) => `${ratio.toFixed(2)}×`,
    ),
  );
}

function ofWorkloads(): string {
  const results = read<{ measured: { workload: string; engine: string; micros: Figure }[] }>('workloads');
  return section(
    'A task board’s statements and YCSB, on every engine',
    results,
    ...grouped(results?.measured ?? [], ({ workload }) => workload).map(([workload, all]) =>
      bars(
        `${workload}, an operation`,
        all.map(({ engine, micros }) => ({ name: engine, value: micros.median })),
      ),
    ),
  );
}

function ofCold(): string {
  const results = read<{
    starts: { rows: number; bare: Figure; dosql: Figure; deployed: Figure }[];
    growth: { by: string; engine: string; size: number; insert: Figure; read: Figure }[];
  }>('cold');
  const starts = results?.starts ?? [];
  const named = { bare: 'bare', dosql: OURS, deployed: `${OURS}, three migrations` } as const;
  const curves = grouped(results?.growth ?? [], ({ by }) => by).map(([by, all]) =>
    lines(
      `Insert and read by key, as ${by} grow`,
      grouped(all, ({ engine }) => engine).flatMap(([engine, points]) =>
        (['insert', 'read'] as const).map((what) => ({
          name: `${engine === 'bare' ? 'bare' : OURS}: ${what}`,
          points: points.map((point) => [point.size, point[what].median] as const),
        })),
      ),
      by,
    ),
  );
  return section(
    'Waking, and growing',
    results,
    lines(
      'From a request to the answer of an object that was asleep',
      Object.entries(named).map(([key, name]) => ({
        name,
        points: starts.map((start) => [start.rows, start[key as keyof typeof named].median] as const),
      })),
      'rows',
    ),
    ...curves,
  );
}

function ofBranches(): string {
  const results = read<{
    measured: { engine: string; rows: number; what: string; changes?: number; micros: Figure }[];
  }>('branches');
  const figures = grouped(results?.measured ?? [], ({ what }) => what).map(([what, all]) => {
    const sizes = [...new Set(all.map(({ rows }) => rows))];
    const changes = [...new Set(all.map(({ changes }) => changes))];
    // What changes with the number of changes is drawn over it, the rest over the rows.
    const most = Math.max(...sizes);
    return changes.length > 2
      ? lines(
          `${what}, ${most.toLocaleString('en')} rows`,
          grouped(
            all.filter(({ rows }) => rows === most),
            ({ engine }) => engine,
          ).map(([name, points]) => ({
            name,
            points: points.map(({ changes = 0, micros }) => [changes, micros.median] as const),
          })),
          'changes',
        )
      : lines(
          what,
          grouped(all, ({ engine }) => engine).map(([name, points]) => ({
            name,
            points: points.map(({ rows, micros }) => [rows, micros.median] as const),
          })),
          'rows',
        );
  });
  return section('Branches', results, ...figures);
}

function ofHistory(): string {
  const results = read<{
    asOf: {
      engine: string;
      changes: number;
      changesBack: number;
      aggregateMicros: Figure;
      pointMicros: Figure;
    }[];
    rowHistory: { engine: string; changes: number; micros: Figure }[];
  }>('history');
  const young = Math.min(...(results?.asOf.map(({ changes }) => changes) ?? [0]));
  const by = (of: 'aggregateMicros' | 'pointMicros'): Line[] =>
    grouped(results?.asOf.filter(({ changes }) => changes === young) ?? [], ({ engine }) => engine).map(
      ([name, all]) => ({ name, points: all.map((one) => [one.changesBack, one[of].median] as const) }),
    );
  return section(
    'The past',
    results,
    lines('An aggregate over 100,000 rows, so many changes ago', by('aggregateMicros'), 'changes ago'),
    lines('One row by its key, so many changes ago', by('pointMicros'), 'changes ago'),
    bars(
      'One row’s whole history',
      results?.rowHistory.map(({ engine, changes, micros }) => ({
        name: `${engine}, ${changes.toLocaleString('en')} changes`,
        value: micros.median,
      })) ?? [],
    ),
  );
}

function ofStreams(): string {
  const results = read<{ measured: { what: string; engine: string; micros: Figure }[] }>('changes');
  const live = read<{ deliveries: { sockets: number; p50: Figure; p99: Figure }[] }>('live');
  const sockets = (of: 'p50' | 'p99'): Line => ({
    name: of,
    points: live?.deliveries.map((one) => [one.sockets, one[of].median * 1_000] as const) ?? [],
  });
  return section(
    'Change streams',
    results,
    ...grouped(results?.measured ?? [], ({ what }) => what).map(([what, all]) =>
      bars(
        `${what}, a change or row`,
        all.map(({ engine, micros }) => ({ name: engine, value: micros.median })),
      ),
    ),
    ...(live === undefined
      ? []
      : [
          lines(
            'From a write until it has come to all of so many sockets',
            [sockets('p50'), sockets('p99')],
            'sockets',
          ),
        ]),
  );
}

function ofScans(): string {
  const results = read<{
    measured: { name: string; table: string; nodeRatio: number; workerdRatio: number }[];
    readers: Record<string, Figure>;
  }>('scan');
  const ratio = (value: number): string => `${value.toFixed(2)}×`;
  return section(
    'Queries over Parquet files',
    results,
    bars(
      'DoSQL in workerd, as a multiple of DuckDB’s time on one thread',
      results?.measured.map(({ name, workerdRatio }) => ({ name, value: workerdRatio })) ?? [],
      ratio,
    ),
    bars(
      'DoSQL in Node.js, as a multiple of DuckDB’s time on one thread',
      results?.measured.map(({ name, nodeRatio }) => ({ name, value: nodeRatio })) ?? [],
      ratio,
    ),
    bars(
      'The same sum by four readers',
      Object.entries(results?.readers ?? {}).map(([name, { median }]) => ({ name, value: median })),
    ),
  );
}

function ofApps(): string {
  const results = read<{
    measured: { app: string; name: string; unit: string; seed: string; ceiling: Figure; reached: Figure }[];
  }>('apps');
  const whole = (value: number): string => Math.round(value).toLocaleString('en');
  return section(
    'The example apps under load',
    results,
    table('Beside an object that does nothing but answer', [
      ['app', 'load', 'wanted', 'ceiling', 'reached', 'share'],
      ...(results?.measured.map(({ app, name, unit, seed, ceiling, reached }) => [
        app,
        name,
        seed,
        `${whole(ceiling.median)} ${unit}`,
        `${whole(reached.median)} ${unit}`,
        `${Math.round((100 * reached.median) / ceiling.median)}%`,
      ]) ?? []),
    ]),
  );
}

function ofCost(): string {
  const results = read<{
    statements: {
      workload: string;
      engine: string;
      rowsRead: number;
      rowsWritten: number;
      dollarsPerMillion: number;
    }[];
    seldom: {
      name: string;
      rowsRead: number;
      rowsWritten: number;
      classA: number;
      classB: number;
      dollarsPerMillion: number;
    }[];
  }>('cost');
  return section(
    'What it costs, at Cloudflare’s prices beyond what is included',
    results,
    ...grouped(results?.statements ?? [], ({ workload }) => workload).map(([workload, all]) =>
      bars(
        `${workload}, a million, each a request`,
        all.map(({ engine, dollarsPerMillion }) => ({ name: engine, value: dollarsPerMillion })),
        (dollars) => `$${dollars.toFixed(2)}`,
      ),
    ),
    table('What is done now and then, once', [
      ['', 'rows read', 'rows written', 'R2 class A', 'R2 class B', '$'],
      ...(results?.seldom.map(({ name, rowsRead, rowsWritten, classA, classB, dollarsPerMillion }) => [
        name,
        rowsRead.toLocaleString('en'),
        rowsWritten.toLocaleString('en'),
        String(classA),
        String(classB),
        (dollarsPerMillion / 1e6).toFixed(6),
      ]) ?? []),
    ]),
  );
}

function ofFaults(): string {
  const results = read<{
    minutes: number;
    tests: number;
    counts: Record<string, Record<string, number>>;
    failures: unknown[];
  }>('faults');
  const { minutes, tests, counts = {}, failures } = results ?? {};
  return section(
    'What was run to find faults, with seeds that nobody had tried',
    results,
    ...Object.entries(counts).map(([suite, done]) =>
      table(suite, [
        ['', 'how often'],
        ...Object.entries(done).map(([what, count]) => [what, count.toLocaleString('en')]),
      ]),
    ),
    table('In all', [
      ['minutes', 'tests', 'failures'],
      [String(minutes), String(tests), String(failures?.length)],
    ]),
  );
}

/** The page. */
export function page(): string {
  const sections = [
    ofEngine,
    ofWorkloads,
    ofCold,
    ofHistory,
    ofBranches,
    ofStreams,
    ofScans,
    ofApps,
    ofCost,
    ofFaults,
  ];
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>DoSQL, measured</title>
<style>
:root { color-scheme: light; font: 14px/1.45 system-ui, sans-serif; color: #23242a; background: #f6f5f2 }
body { max-width: 82rem; margin: 2rem auto; padding: 0 1.5rem }
h1, h2 { letter-spacing: -0.02em }
section > div { display: grid; grid-template-columns: repeat(auto-fill, minmax(34rem, 1fr)); gap: 1rem }
section > p { color: #6c6b74 }
figure { margin: 0; padding: 1rem; background: #fff; border: 1px solid #dedbd3; border-radius: 8px; overflow-x: auto }
figcaption { font-weight: 600; margin-bottom: .5rem }
svg { width: 100%; height: auto; font-size: 11px }
table { border-collapse: collapse } th, td { padding: .25em .6em; text-align: end } :is(th, td):first-child { text-align: start }
</style>
<h1>DoSQL, measured</h1>
<p>Medians of interleaved rounds; every chart is drawn from a file beside this page. Scales are logarithmic, and shorter is better.</p>
${sections.map((draw) => draw()).join('\n')}
</html>
`;
}

if (import.meta.main) writeFileSync(join(folder, 'index.html'), page());
