import { DurableObject } from 'cloudflare:workers';
import { DB, type Database } from '@dotdo/dosql';
import { createDOBackend } from '@dotdo/dosql/fsx';
import { Budget, openParquet, scanQuery, type RangeFile } from '@dotdo/dosql/scan';

interface Env {
  FILES: DurableObjectNamespace<Files>;
}

/** An object that keeps files, in its storage and in memory, and answers queries over them. */
export class Files extends DurableObject<Env> {
  readonly #files = createDOBackend(this.ctx.storage);
  readonly #inMemory = new Map<string, Uint8Array>();
  #db: Promise<Database> | undefined;

  override async fetch(request: Request): Promise<Response> {
    const name = new URL(request.url).pathname.slice(1);
    if (request.method === 'PUT') {
      const bytes = new Uint8Array(await request.arrayBuffer());
      await this.#files.write(name, bytes);
      this.#inMemory.set(name, bytes);
      return new Response();
    }
    this.#db ??= DB('bench', { storage: this.ctx.storage, limits: { rows: 10_000_000 } });
    const db = await this.#db;
    const sql = await request.text();
    const bytes = name.endsWith('.parquet') ? await this.#bytesOf(name) : undefined;
    const started = performance.now();
    const { length } =
      bytes === undefined ? await db.query(sql, [], { integers: 'bigint' }) : await rowsOf(sql, bytes);
    return Response.json({ ms: performance.now() - started, count: length });
  }

  /** A file's bytes, read again where the object has been put to sleep since. */
  async #bytesOf(name: string): Promise<Uint8Array> {
    const bytes = this.#inMemory.get(name) ?? (await this.#files.read(name));
    if (bytes === null) throw new Error(`there is no ${name}`);
    this.#inMemory.set(name, bytes);
    return bytes;
  }
}

async function rowsOf(sql: string, bytes: Uint8Array): Promise<readonly unknown[]> {
  const file: RangeFile = {
    name: 'memory',
    size: bytes.length,
    etag: '',
    read: async (offset, length) => bytes.subarray(offset, offset + length),
  };
  const budget = new Budget({ rows: 10_000_000 });
  return (await scanQuery(sql, await openParquet(file, budget), { budget })).rows;
}

export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === '/' && request.method === 'GET') return new Response();
    return env.FILES.get(env.FILES.idFromName('files')).fetch(request);
  },
} satisfies ExportedHandler<Env>;
