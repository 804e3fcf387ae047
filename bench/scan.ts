import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { spawnSync } from 'node:child_process';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { Budget, createParquetWriter, openParquet, scanQuery, type RangeFile } from '@dotdo/dosql/scan';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from './harness/compressors.ts';
import {
  figure,
  isQuick,
  memoryFolder,
  print,
  report,
  roundsOr,
  time,
  version,
  type Figure,
} from './harness/report.ts';
import { inWorkerd } from './harness/workerd.ts';
import { HITS, TELEMETRY, writeParquet, type ScanData } from './scenarios/scan-data.ts';
import { CLICKBENCH_QUERIES, TELEMETRY_QUERIES, type ScanQuery } from './scenarios/scan-queries.ts';

const QUERIES: readonly ScanQuery[] = [...TELEMETRY_QUERIES, ...CLICKBENCH_QUERIES];
/** Rows of the file that memory is measured on, about 500 MB. */
const LARGE_ROWS = isQuick ? 100_000 : 12_000_000;
const WRITTEN_ROWS = isQuick ? 20_000 : 1_000_000;
/** What one leaves to be done behind its answer, collecting garbage and compiling, is not to run beside the next. */
const PAUSE_MS = 50;
/** Rounds before those that count: V8 goes on to compile a query's loops for about so many, of tens of ms each. */
const WARM_UPS = isQuick ? 1 : 12;
const ROUNDS = 7;

/** DoSQL's time in DuckDB's. */
interface Ratios {
  readonly node: number;
  readonly workerd: number;
  readonly stored: number;
}

interface Measured {
  readonly name: string;
  readonly table: string;
  /** µs. Node and workerd take turns with DuckDB each, so that neither runs after the other: this is beside workerd. */
  readonly duckdb: Figure;
  readonly duckdbBesideNode: Figure;
  readonly node: Figure;
  readonly workerd: Figure;
  /** In workerd, out of the object's own file store, which is its SQLite. */
  readonly stored: Figure;
  readonly nodeRatio: number;
  readonly workerdRatio: number;
  readonly storedRatio: number;
  /** The same, each asked for the first time. */
  readonly first: Ratios;
  readonly requests: number;
  readonly bytes: number;
  /** Of the bytes that were read, those of the pages that the query needed. */
  readonly pageBytes: number;
  readonly rowGroups: { readonly total: number; readonly read: number };
}

/** Queries over Parquet files, beside DuckDB on one thread. */
export async function scan(): Promise<void> {
  const folder = mkdtempSync(join(memoryFolder, 'dosql-scan-'));
  const duckdb = await (await DuckDBInstance.create(':memory:', { threads: '1' })).connect();
  try {
    const files = new Map<string, string>();
    for (const data of [TELEMETRY, HITS]) {
      const path = join(folder, `${data.name}.parquet`);
      await duckdb.run(writeParquet(data, path, { rows: rowsOf(data) }));
      files.set(data.name, path);
    }
    const worker = {
      entry: join(import.meta.dirname, 'scan.worker.ts'),
      classes: ['Files'],
      folder: memoryFolder,
    };
    await inWorkerd(worker, async (origin) => {
      for (const [name, path] of files)
        await fetch(`${origin}/${name}.parquet`, { method: 'PUT', body: readFileSync(path) });
      const measured: Measured[] = [];
      for (const query of QUERIES)
        measured.push(await measure(query, files.get(query.table) as string, duckdb, origin));
      const readers = await readersBeside(files.get('telemetry') as string, duckdb);
      const written = await writing(folder, duckdb);
      const memory = await memoryOf(folder, duckdb);
      show(measured, readers, written, memory);
      report('scan', {
        engines: {
          DuckDB: `@duckdb/node-api ${version('@duckdb/node-api')}, one thread`,
          hyparquet: version('hyparquet'),
        },
        rows: { telemetry: rowsOf(TELEMETRY), hits: rowsOf(HITS) },
        fileBytes: Object.fromEntries([...files].map(([name, path]) => [name, statSync(path).size])),
        geometricMean: means(measured),
        measured,
        readers,
        written,
        memory,
      });
    });
  } finally {
    duckdb.closeSync();
    rmSync(folder, { recursive: true });
  }
}

function rowsOf({ rows }: ScanData): number {
  return isQuick ? rows / 100 : rows;
}

async function measure(
  query: ScanQuery,
  path: string,
  duckdb: DuckDBConnection,
  origin: string,
): Promise<Measured> {
  const text = (query.duckdb ?? query.sql)(`'${path}'`);
  const duck = async (): Promise<Answer> => {
    const began = performance.now();
    const rows = (await duckdb.runAndReadAll(text)).getRows();
    return { ms: performance.now() - began, count: rows.length };
  };
  let counts = new Budget().counts;
  const node = async (): Promise<Answer> => {
    const began = performance.now();
    const file = rangeFile(path);
    const budget = new Budget({ rows: 10_000_000 });
    const result = await scanQuery(query.sql('t'), await openParquet(file, budget), { budget });
    const ms = performance.now() - began;
    file.close();
    counts = result.counts;
    return { ms, count: result.rows.length };
  };
  const ask = async (path: string, sql: string): Promise<Answer> =>
    (await fetch(`${origin}/${path}`, { method: 'POST', body: sql })).json();
  const inMemory = (): Promise<Answer> => ask(`${query.table}.parquet`, query.sql('t'));
  const inStore = (): Promise<Answer> => ask('query', query.sql(`'fsx://${query.table}.parquet'`));
  const [theirs, ours] = (await inTurn(query.name, [duck, node])) as [Figures, Figures];
  const [beside, workerd, stored] = (await inTurn(query.name, [duck, inMemory, inStore])) as [
    Figures,
    Figures,
    Figures,
  ];
  const { rowGroups, requests, bytes, pageBytes } = counts;
  return {
    name: query.name,
    table: query.table,
    duckdb: beside.usual,
    duckdbBesideNode: theirs.usual,
    node: ours.usual,
    workerd: workerd.usual,
    stored: stored.usual,
    nodeRatio: ratio(ours.usual.median, theirs.usual.median),
    workerdRatio: ratio(workerd.usual.median, beside.usual.median),
    storedRatio: ratio(stored.usual.median, beside.usual.median),
    first: {
      node: ratio(ours.first, theirs.first),
      workerd: ratio(workerd.first, theirs.first),
      stored: ratio(stored.first, theirs.first),
    },
    requests,
    bytes,
    pageBytes,
    rowGroups: { total: rowGroups.total, read: rowGroups.read },
  };
}

/** What a query has given, and how long that took. */
interface Answer {
  readonly ms: number;
  readonly count: number;
}

/** µs, the first time and then. */
interface Figures {
  readonly first: number;
  readonly usual: Figure;
}

/** Asks each in turn, again and again. */
async function inTurn(name: string, asked: readonly (() => Promise<Answer>)[]): Promise<Figures[]> {
  const micros: number[][] = asked.map(() => []);
  for (let round = 0; round < WARM_UPS + roundsOr(ROUNDS); round++) {
    const counts: number[] = [];
    for (const [i, ask] of asked.entries()) {
      await wait(PAUSE_MS);
      const { ms, count } = await ask();
      micros[i]?.push(ms * 1_000);
      counts.push(count);
    }
    if (new Set(counts).size > 1) throw new Error(`${name}: ${counts.join(', ')} rows, DuckDB's first`);
  }
  return micros.map((all) => ({ first: all[0] ?? Number.NaN, usual: figure(all.slice(WARM_UPS)) }));
}

/** The sum by sensor over all rows, as one would write it by hand over a reader's rows. */
async function readersBeside(path: string, duckdb: DuckDBConnection): Promise<Record<string, Figure>> {
  const sql = 'SELECT sensor_id, sum(value) AS s FROM t GROUP BY sensor_id';
  const engines: Record<string, () => Promise<number>> = {
    DoSQL: async () => {
      const file = rangeFile(path);
      const { rows } = await scanQuery(sql, await openParquet(file, new Budget()));
      file.close();
      return rows.length;
    },
    DuckDB: async () => (await duckdb.runAndReadAll(sql.replace(' t ', ` '${path}' `))).getRows().length,
    hyparquet: async () => {
      const sums = new Map<string, number>();
      const bytes = readFileSync(path);
      const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
      const columns = ['sensor_id', 'value'];
      for (const { sensor_id: sensor, value } of (await parquetReadObjects({
        file,
        columns,
        compressors,
      })) as {
        sensor_id: string;
        value: number;
      }[])
        sums.set(sensor, (sums.get(sensor) ?? 0) + value);
      return sums.size;
    },
    'parquet-wasm': () => parquetWasm(path),
  };
  const samples = new Map<string, number[]>();
  for (let round = 0; round <= roundsOr(3); round++)
    for (const [name, run] of Object.entries(engines)) {
      const started = performance.now();
      const groups = await run();
      if (groups !== 400 && !isQuick) throw new Error(`${name} found ${groups} sensors`);
      if (round > 0) samples.set(name, [...(samples.get(name) ?? []), (performance.now() - started) * 1_000]);
    }
  return Object.fromEntries([...samples].map(([name, micros]) => [name, figure(micros)]));
}

async function parquetWasm(path: string): Promise<number> {
  const { readParquet } = await import('parquet-wasm/node');
  const { tableFromIPC } = await import('apache-arrow');
  const table = tableFromIPC(
    readParquet(readFileSync(path), { columns: ['sensor_id', 'value'] }).intoIPCStream(),
  );
  const sums = new Map<string, number>();
  for (const batch of table.batches) {
    const [sensors, values] = [batch.getChild('sensor_id'), batch.getChild('value')];
    for (let i = 0; i < batch.numRows; i++) {
      const sensor = sensors?.get(i) as string;
      sums.set(sensor, (sums.get(sensor) ?? 0) + (values?.get(i) as number));
    }
  }
  return sums.size;
}

interface Written {
  readonly rows: number;
  /** Rows a second, and bytes of the file. */
  readonly dosql: { readonly rowsPerSecond: number; readonly bytes: number };
  readonly duckdb: { readonly rowsPerSecond: number; readonly bytes: number };
}

/** Seven columns of readings as a file, from columns in memory. */
async function writing(folder: string, duckdb: DuckDBConnection): Promise<Written> {
  await duckdb.run(`CREATE TABLE written AS ${TELEMETRY.select(WRITTEN_ROWS)}`);
  const path = join(folder, 'written.parquet');
  const copy = `COPY written TO '${path}' (FORMAT parquet, COMPRESSION zstd)`;
  await duckdb.run(copy);
  const file = rangeFile(path);
  const names = ['sensor_id', 'sensor_type', 'value', 'quality', 'time', 'ts', 'date'];
  const batches = [];
  const budget = new Budget();
  for await (const batch of (await openParquet(file, budget)).scan({
    columns: names,
    conditions: [],
    budget,
  }))
    batches.push(names.map((name) => batch.column(name)));
  file.close();
  const types = ['utf8', 'utf8', 'double', 'int32', 'utf8', 'timestamp', 'utf8'] as const;
  const columns = names.map((name, i) => ({ name, type: types[i] as (typeof types)[number] }));
  const ours: number[] = [];
  const theirs: number[] = [];
  let bytes = 0;
  for (let round = 0; round < WARM_UPS + roundsOr(ROUNDS); round++) {
    const started = performance.now();
    const writer = createParquetWriter({ columns });
    for (const vectors of batches) writer.write(vectors);
    bytes = writer.finish().reduce((sum, { length }) => sum + length, 0);
    const between = performance.now();
    await duckdb.run(copy);
    if (round < WARM_UPS) continue;
    ours.push(between - started);
    theirs.push(performance.now() - between);
  }
  const perSecond = (ms: readonly number[]): number => Math.round((WRITTEN_ROWS * 1_000) / figure(ms).median);
  return {
    rows: WRITTEN_ROWS,
    dosql: { rowsPerSecond: perSecond(ours), bytes },
    duckdb: { rowsPerSecond: perSecond(theirs), bytes: statSync(path).size },
  };
}

/** What a process needs above what it begins with for a query over a large file, in MiB. */
async function memoryOf(
  folder: string,
  duckdb: DuckDBConnection,
): Promise<{ fileBytes: number; mebibytes: number }> {
  const path = join(folder, 'large.parquet');
  await duckdb.run(writeParquet(TELEMETRY, path, { rows: LARGE_ROWS, compression: 'uncompressed' }));
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'scan-memory.ts'), path],
    {
      encoding: 'utf8',
    },
  );
  if (stdout === '') throw new Error(stderr);
  const fileBytes = statSync(path).size;
  rmSync(path);
  return { fileBytes, mebibytes: Number(stdout) };
}

function show(
  measured: readonly Measured[],
  readers: Readonly<Record<string, Figure>>,
  written: Written,
  memory: { fileBytes: number; mebibytes: number },
): void {
  const { first, ...usual } = means(measured);
  const meansRow = (name: string, { node, workerd, stored }: Ratios): string[] => [
    name,
    '',
    '',
    node.toFixed(2),
    '',
    workerd.toFixed(2),
    '',
    stored.toFixed(2),
    '',
    '',
    '',
  ];
  print('Queries over Parquet files, beside DuckDB on one thread', [
    [
      'query',
      'DuckDB',
      'Node',
      '×',
      'workerd',
      '×',
      'in its store',
      '×',
      'requests',
      'MB read',
      'MB of pages',
    ],
    ...measured.map(({ name, duckdb, requests, bytes, pageBytes, ...ours }) => [
      name,
      time(duckdb.median),
      time(ours.node.median),
      ours.nodeRatio.toFixed(2),
      time(ours.workerd.median),
      ours.workerdRatio.toFixed(2),
      time(ours.stored.median),
      ours.storedRatio.toFixed(2),
      String(requests),
      (bytes / 1e6).toFixed(1),
      (pageBytes / 1e6).toFixed(1),
    ]),
    meansRow('geometric mean', usual),
    meansRow('asked for the first time', first),
  ]);
  print('The sum by sensor, by readers', [
    ['reader', 'time'],
    ...Object.entries(readers).map(([name, { median }]) => [name, time(median)]),
  ]);
  print('Writing', [
    ['writer', 'rows/s', 'MB'],
    ['DoSQL', String(written.dosql.rowsPerSecond), (written.dosql.bytes / 1e6).toFixed(1)],
    ['DuckDB', String(written.duckdb.rowsPerSecond), (written.duckdb.bytes / 1e6).toFixed(1)],
  ]);
  console.log(
    `\nA query over a file of ${(memory.fileBytes / 1e6).toFixed(0)} MB took ${memory.mebibytes.toFixed(0)} MiB above the baseline.`,
  );
}

/** A file on disk. */
function rangeFile(path: string): RangeFile & { close(): void } {
  const descriptor = openSync(path, 'r');
  return {
    name: path,
    size: fstatSync(descriptor).size,
    // Each run opens its footer anew.
    etag: crypto.randomUUID(),
    isCopied: true,
    read: async (offset, length) => {
      const bytes = new Uint8Array(length);
      readSync(descriptor, bytes, 0, length, offset);
      return bytes;
    },
    close: () => closeSync(descriptor),
  };
}

function ratio(a: number, b: number): number {
  return Number((a / b).toPrecision(3));
}

/** The geometric means of all queries, and of the first time that each was asked. */
function means(measured: readonly Measured[]): Ratios & { first: Ratios } {
  return {
    node: mean(measured.map(({ nodeRatio }) => nodeRatio)),
    workerd: mean(measured.map(({ workerdRatio }) => workerdRatio)),
    stored: mean(measured.map(({ storedRatio }) => storedRatio)),
    first: {
      node: mean(measured.map(({ first }) => first.node)),
      workerd: mean(measured.map(({ first }) => first.workerd)),
      stored: mean(measured.map(({ first }) => first.stored)),
    },
  };
}

function mean(ratios: readonly number[]): number {
  return Number(
    Math.exp(ratios.reduce((sum, each) => sum + Math.log(each), 0) / ratios.length).toPrecision(3),
  );
}
