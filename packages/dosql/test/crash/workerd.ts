import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { build } from 'esbuild';

const BINARY = new URL('../../../../node_modules/.bin/workerd', import.meta.url).pathname;
const WORKER = new URL('worker.ts', import.meta.url).pathname;
const CLASSES = [
  'Ledger',
  'Careless',
  'Silent',
  'Branched',
  'Streamed',
  'Copied',
  'Stopped',
  'Tiered',
  'Bucket',
];

/** An answer of the test Worker. */
export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/**
 * A workerd process that serves the test Worker from a folder, which can be killed and started again.
 *
 * Invariant: one process at a time, and none after {@link Workerd.dispose}.
 */
export class Workerd {
  readonly folder: string;
  readonly disk: string;
  #process: ChildProcess | undefined;
  #url = '';
  #stderr = '';

  private constructor(folder: string, disk: string) {
    this.folder = folder;
    this.disk = disk;
  }

  /**
   * Bundles the Worker into a new folder; `disk` is where objects keep their files. With `isSplit` what is loaded on
   * first use stays in modules of its own.
   */
  static async create(disk?: string, isSplit: boolean = false): Promise<Workerd> {
    const folder = mkdtempSync(join(tmpdir(), 'dosql-crash-'));
    const workerd = new Workerd(folder, disk ?? join(folder, 'disk'));
    mkdirSync(workerd.disk, { recursive: true });
    await build({
      entryPoints: { w: WORKER },
      outdir: folder,
      bundle: true,
      splitting: isSplit,
      format: 'esm',
      target: 'es2022',
      external: ['cloudflare:*', 'node:*'],
      logLevel: 'error',
    });
    writeFileSync(join(folder, 'config.capnp'), configOf(workerd.disk, modulesIn(folder)));
    return workerd;
  }

  /** Starts the process and waits until it listens; the port is the system's choice. */
  async start(): Promise<void> {
    const child = spawn(BINARY, ['serve', 'config.capnp', '--control-fd=3'], {
      cwd: this.folder,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    this.#stderr = '';
    child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.#stderr = (this.#stderr + String(chunk)).slice(-20_000)),
    );
    const exited = new Promise<never>((_, reject) => {
      child.once('exit', (code) => reject(new Error(`workerd ended with ${code}: ${this.#stderr}`)));
    });
    exited.catch(() => {});
    const lines = createInterface(child.stdio[3] as Readable);
    const listening = new Promise<number>((resolve) => {
      lines.on('line', (line) => {
        const event = JSON.parse(line) as { event: string; port: number };
        if (event.event === 'listen') resolve(event.port);
      });
    });
    this.#url = `http://127.0.0.1:${await Promise.race([listening, exited])}`;
  }

  /** Where the process listens. */
  get url(): string {
    return this.#url;
  }

  /** What the process has written to its standard error since it started. */
  get stderr(): string {
    return this.#stderr;
  }

  /** kill -9, and waits until the process is gone. */
  async kill(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** Asks the object `name` of a class to do something. */
  async ask<T>(className: string, name: string, action: string, body: unknown = {}): Promise<Answer<T>> {
    const response = await fetch(`${this.#url}/${className}/${encodeURIComponent(name)}/${action}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    const text = await response.text();
    try {
      return { status: response.status, body: JSON.parse(text) as T };
    } catch {
      // What the platform itself answers is no JSON.
      return { status: response.status, body: text as T };
    }
  }

  /** Ends the process and removes the folder. */
  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The modules of a folder, the Worker first. */
function modulesIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.js'));
  return names.toSorted((a, b) => Number(b === 'w.js') - Number(a === 'w.js'));
}

function configOf(disk: string, names: readonly string[]): string {
  const modules = names.map((name) => `(name = "${name}", esModule = embed "${name}")`);
  const namespaces = CLASSES.map(
    (name) => `(className = "${name}", uniqueKey = "${name}", enableSql = true)`,
  );
  const bindings = CLASSES.map((name) => `(name = "${name}", durableObjectNamespace = "${name}")`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .w), (name = "disk", disk = (path = "${disk}", writable = true))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
const w :Workerd.Worker = (
  modules = [${modules.join(', ')}],
  compatibilityDate = "2026-09-01",
  durableObjectNamespaces = [${namespaces.join(', ')}],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [${bindings.join(', ')}]
);
`;
}
