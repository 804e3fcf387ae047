import { DurableObject } from 'cloudflare:workers';
import { DB, type Database } from '@dotdo/dosql';
import { createDOBackend } from '@dotdo/dosql/fsx';

interface Env {
  FILES: DurableObjectNamespace<Files>;
}

/** An object that keeps files and answers queries over them. */
export class Files extends DurableObject<Env> {
  readonly #files = createDOBackend(this.ctx.storage);
  #db: Promise<Database> | undefined;

  override async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (request.method === 'PUT') {
      if (request.body !== null) await this.#files.write(pathname.slice(1), request.body);
      return new Response();
    }
    this.#db ??= DB('bench', { storage: this.ctx.storage, limits: { rows: 10_000_000 } });
    const db = await this.#db;
    const sql = await request.text();
    const started = performance.now();
    const rows = await db.query(sql, [], { integers: 'bigint' });
    const ms = performance.now() - started;
    const shown = JSON.stringify(rows.slice(0, 1_000), (_, value: unknown) =>
      typeof value === 'bigint' ? Number(value) : value,
    );
    return Response.json({ ms, count: rows.length, shown });
  }
}

export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === '/' && request.method === 'GET') return new Response();
    return env.FILES.get(env.FILES.idFromName('files')).fetch(request);
  },
} satisfies ExportedHandler<Env>;
