import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { build } from 'esbuild';

const ROOT = new URL('../../..', import.meta.url).pathname;
const MIGRATIONS = globSync('.do/migrations/shop/**/*.sql', { cwd: ROOT });
const OBJECTS = {
  SKU: 'Sku',
  INVENTORY: 'Inventory',
  CATALOG: 'Catalog',
  CART: 'Cart',
  ORDER: 'Order',
  SALES: 'Sales',
  BANK: 'Bank',
};

/**
 * The shop in a workerd process of its own, which can be killed and started again on the same storage. Its bucket
 * answers nothing but 500: the lake is down for as long as it runs.
 */
export class Workerd {
  readonly #folder: string;
  readonly #vars: Readonly<Record<string, string>>;
  #process: ChildProcess | undefined;
  #url: URL | undefined;
  #stderr = '';

  private constructor(folder: string, vars: Readonly<Record<string, string>>) {
    this.#folder = folder;
    this.#vars = vars;
  }

  /** Bundles the Worker into a new folder, where its objects keep their files, too. */
  static async create(vars: Readonly<Record<string, string>>): Promise<Workerd> {
    const folder = mkdtempSync(join(tmpdir(), 'shop-'));
    const workerd = new Workerd(folder, vars);
    mkdirSync(join(folder, 'disk'));
    cpSync(`${ROOT}/.do/migrations/shop`, join(folder, '.do/migrations/shop'), { recursive: true });
    await build({
      entryPoints: { worker: `${ROOT}/examples/shop/src/worker.ts` },
      outdir: folder,
      bundle: true,
      format: 'esm',
      target: 'es2022',
      conditions: ['workerd'],
      external: ['cloudflare:*', 'node:*'],
      logLevel: 'error',
    });
    writeFileSync(
      join(folder, 'down.js'),
      'export default { fetch: () => new Response(null, { status: 500 }) };',
    );
    writeFileSync(join(folder, 'config.capnp'), workerd.#config());
    return workerd;
  }

  /** Where it listens. */
  get url(): URL {
    if (this.#url === undefined) throw new Error('start it first');
    return this.#url;
  }

  /** Starts the process and waits until it listens; the port is the system's choice. */
  async start(): Promise<void> {
    const child = spawn(`${ROOT}/node_modules/.bin/workerd`, ['serve', 'config.capnp', '--control-fd=3'], {
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    this.#stderr = '';
    child.stderr?.on(
      'data',
      (chunk: Buffer) => (this.#stderr = `${this.#stderr}${String(chunk)}`.slice(-20_000)),
    );
    const exited = new Promise<never>((_, reject) => {
      child.once('exit', (code) => reject(new Error(`workerd ended with ${code}: ${this.#stderr}`)));
    });
    exited.catch(() => {});
    const listening = new Promise<number>((resolve) => {
      createInterface(child.stdio[3] as Readable).on('line', (line) => {
        const event = JSON.parse(line) as { event: string; port: number };
        if (event.event === 'listen') resolve(event.port);
      });
    });
    this.#url = new URL(`http://127.0.0.1:${await Promise.race([listening, exited])}`);
  }

  /** What it has complained of since it started. */
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

  /** Ends the process and removes the folder. */
  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #config(): string {
    const modules = MIGRATIONS.map((name) => `(name = "${name}", text = embed "${name}")`);
    const entries = Object.entries(OBJECTS);
    const namespaces = entries.map(
      ([, name]) => `(className = "${name}", uniqueKey = "${name}", enableSql = true)`,
    );
    const bindings = [
      ...entries.map(([binding, name]) => `(name = "${binding}", durableObjectNamespace = "${name}")`),
      ...Object.entries(this.#vars).map(
        ([name, value]) => `(name = "${name}", text = ${JSON.stringify(value)})`,
      ),
      '(name = "LAKE", r2Bucket = "down")',
    ];
    return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .shop),
    (name = "disk", disk = (path = "${this.#folder}/disk", writable = true)),
    (name = "down", worker = (modules = [(name = "down.js", esModule = embed "down.js")], compatibilityDate = "2026-09-01"))
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
const shop :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js"), ${modules.join(', ')}],
  compatibilityDate = "2026-09-01",
  compatibilityFlags = ["nodejs_compat"],
  durableObjectNamespaces = [${namespaces.join(', ')}],
  durableObjectStorage = (localDisk = "disk"),
  bindings = [${bindings.join(', ')}]
);
`;
  }
}
