import { DurableObject } from 'cloudflare:workers';
import { DoSQLError } from '../../src/index.ts';

/** What an object's storage holds, read without DoSQL; values are as SQLite's quote() prints them. */
export interface Dump {
  readonly tables: Record<string, { columns: string[]; rows: (string | number | null)[][] }>;
}

/** What became of a request. */
export interface Reply {
  readonly ok: boolean;
  readonly code?: string | undefined;
  readonly message?: string;
  readonly lsn?: number;
}

/** An object whose methods are called by the last part of a request's path. */
export class Base extends DurableObject {
  override async fetch(request: Request): Promise<Response> {
    const action = new URL(request.url).pathname.split('/')[3] as keyof this;
    try {
      const work = this[action] as (body: unknown) => Promise<unknown>;
      return Response.json(await work.call(this, await request.json()));
    } catch (error) {
      const reply: Reply = { ok: false, code: DoSQLError.from(error)?.code, message: String(error) };
      return Response.json(reply, { status: 409 });
    }
  }

  /** The tables as they are stored, those of DoSQL included. */
  async dump(): Promise<Dump> {
    const { sql } = this.ctx.storage;
    const names = sql
      .exec<{ name: string }>(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
      )
      .toArray();
    const tables: Dump['tables'] = {};
    for (const { name } of names) {
      const columns = sql
        .exec<{ name: string }>('SELECT name FROM pragma_table_info(?)', name)
        .toArray()
        .map((column) => column.name);
      // The log's own columns, and DoSQL's other tables, hold nothing that JSON could change.
      const isPlain = name.startsWith('__dosql_') && name !== '__dosql_log';
      const values = columns.map((column, i) =>
        isPlain || (name === '__dosql_log' && i < 4) ? column : `quote("${column}")`,
      );
      const rows = [...sql.exec(`SELECT ${values.join(', ')} FROM "${name}"`).raw()];
      tables[name] = { columns, rows: rows as (string | number | null)[][] };
    }
    return { tables };
  }
}
