import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { build } from 'esbuild';
import { memoryFolder } from './report.ts';

/** A Worker with Durable Objects, each class bound under its own name in capitals. */
export interface WorkerFiles {
  /** The module that esbuild bundles. */
  readonly entry: string;
  readonly classes: readonly string[];
  /** Under which a folder is made for the objects' files. */
  readonly folder: string;
}

/** The objects of `objects.ts` and `streaming.ts`. */
export const OBJECTS: WorkerFiles = {
  entry: join(import.meta.dirname, '../worker.ts'),
  classes: ['Past', 'Branching', 'Streaming'],
  folder: memoryFolder,
};

/** The text of a minified bundle that workerd can run. */
export async function bundle(
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

/** Starts workerd with `worker`, runs `use` with the address that it answers at and the memory that it has, and stops it. */
export async function inWorkerd<T>(
  worker: WorkerFiles,
  use: (origin: string, memory: () => number) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(worker.folder, 'dosql-bench-'));
  const port = await freePort();
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'worker.js'), await bundle({ entryPoints: [worker.entry] }));
  writeFileSync(join(folder, 'config.capnp'), config(worker.classes, folder, port));
  const workerd = spawn('workerd', ['serve', join(folder, 'config.capnp')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  try {
    const origin = `http://127.0.0.1:${port}`;
    await answers(origin);
    return await use(origin, () => residentBytes(workerd.pid));
  } finally {
    workerd.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  }
}

/** Bytes of memory that a process has; NaN where the system does not say. */
function residentBytes(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(status)?.[1]) * 1_024;
}

function config(classes: readonly string[], folder: string, port: number): string {
  const namespaces = classes.map(
    (name) => `(className = "${name}", uniqueKey = "${name.toLowerCase()}", enableSql = true)`,
  );
  const bindings = classes.map(
    (name) => `(name = "${name.toUpperCase()}", durableObjectNamespace = "${name}")`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "disk", disk = (path = "${folder}/data", writable = true))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);
const main :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-09-01",
  durableObjectNamespaces = [${namespaces.join(', ')}],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [${bindings.join(', ')}]
);
`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

async function answers(origin: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const isUp = await fetch(origin).then(
      () => true,
      () => false,
    );
    if (isUp) return;
    await wait(50);
  }
  throw new Error('workerd did not start');
}
