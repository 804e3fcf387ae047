/**
 * Runs the benchmarks inside workerd and writes `results/<name>.json`.
 *
 * `npm run bench` runs all; `npm run bench -- engine` one. `ROUNDS=15` asks for more rounds than 7.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

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

async function bundle(
  input: { entryPoints: string[] } | { stdin: { contents: string; resolveDir: string } },
): Promise<string> {
  const { outputFiles } = await build({
    ...input,
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd'],
    external: ['cloudflare:*', 'node:*'],
  });
  return outputFiles[0]?.text ?? '';
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

/** Starts workerd with the benchmark Worker on a folder in memory, runs `use`, and stops it. */
async function inWorkerd<T>(use: (origin: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'dosql-bench-'));
  const port = await freePort();
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'worker.js'), await bundle({ entryPoints: [join(here, 'worker.ts')] }));
  writeFileSync(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "disk", disk = (path = "${folder}/data", writable = true))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);
const main :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-09-01",
  durableObjectNamespaces = [
    (className = "Bare", uniqueKey = "bare", enableSql = true),
    (className = "Dosql", uniqueKey = "dosql", enableSql = true)
  ],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [(name = "BARE", durableObjectNamespace = "Bare"), (name = "DOSQL", durableObjectNamespace = "Dosql")]
);
`,
  );
  const workerd = spawn('workerd', ['serve', join(folder, 'config.capnp')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    const origin = `http://127.0.0.1:${port}`;
    for (let i = 0; ; i++) {
      if (i === 200) throw new Error('workerd did not start');
      if (
        await fetch(origin).then(
          () => true,
          () => false,
        )
      )
        break;
      await wait(50);
    }
    return await use(origin);
  } finally {
    workerd.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

/** The engine as a Worker would carry it: minified, gzipped, without cold storage. */
async function bundleSize(): Promise<{ minifiedBytes: number; gzippedBytes: number }> {
  const text = await bundle({
    stdin: { contents: "export { DB, DoSQLError } from '@dotdo/dosql';", resolveDir: here },
  });
  return { minifiedBytes: Buffer.byteLength(text), gzippedBytes: gzipSync(text, { level: 9 }).length };
}

function version(name: string): string {
  return (
    JSON.parse(readFileSync(join(here, `../node_modules/${name}/package.json`), 'utf8')) as {
      version: string;
    }
  ).version;
}

function report(name: string, result: object): void {
  const environment = {
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    workerd: version('workerd'),
  };
  mkdirSync(join(here, 'results'), { recursive: true });
  writeFileSync(
    join(here, `results/${name}.json`),
    `${JSON.stringify({ ...environment, ...result }, null, 2)}\n`,
  );
}

const micros = (value: number): string =>
  value >= 1_000 ? `${(value / 1_000).toFixed(2)} ms` : `${value.toFixed(2)} µs`;

async function engine(): Promise<void> {
  const rounds = process.env.ROUNDS ?? '7';
  const result = await inWorkerd(async (origin) =>
    (await fetch(`${origin}/engine?rounds=${rounds}`)).json<EngineResult>(),
  );
  const size = await bundleSize();
  report('engine', { rounds: Number(rounds), rows: 50_000, ...result, bundle: size });
  console.log(
    '\nthe same statements on bare ctx.storage.sql and on DoSQL: until answered, and until committed\n',
  );
  const compared = ({ bareMicros, dosqlMicros, ratio }: Comparison): string =>
    `${micros(bareMicros).padStart(10)} ${micros(dosqlMicros).padStart(10)} ${ratio.toFixed(2).padStart(5)}×`;
  for (const { name, unit, committed, ...answered } of result.measured)
    console.log(`${name.padEnd(37)} ${compared(answered)}   ${compared(committed)} a ${unit}`);
  console.log('\nas of 10,000 changes back: the present on bare SQLite, through DoSQL, and the past\n');
  for (const { name, bareMicros, presentMicros, pastMicros, ratio } of result.history)
    console.log(
      `${name.padEnd(40)} ${micros(bareMicros).padStart(10)} ${micros(presentMicros).padStart(10)} ${micros(pastMicros).padStart(10)} ${ratio.toFixed(2)}×`,
    );
  console.log('\nwhere a single run() goes\n');
  for (const [name, value] of Object.entries(result.parts))
    console.log(`${name.padEnd(56)} ${micros(value).padStart(10)}`);
  console.log(
    `\nbundle: ${(size.gzippedBytes / 1_000).toFixed(1)} kB gzipped, ${(size.minifiedBytes / 1_000).toFixed(1)} kB minified`,
  );
}

const benchmarks: Record<string, () => Promise<void>> = { engine };
const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : Object.keys(benchmarks)) {
  const benchmark = benchmarks[name];
  if (benchmark === undefined)
    throw new Error(`there is no benchmark "${name}", only ${Object.keys(benchmarks).join(', ')}`);
  await benchmark();
}
