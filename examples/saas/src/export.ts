import type { Database } from '@dotdo/dosql';
import { NoQuery, parseQuery } from '@dotdo/example-shared/input';
import type { Context } from './routes.ts';
import { TABLES } from './tables.ts';

const ROWS_PER_CHUNK = 100;

/**
 * `GET /export`: every row of the tenant as NDJSON, `{ table, row }` a line, all as of the LSN at which the
 * request came, whatever is written while the client reads.
 */
export function exportAll({ db, query }: Context): Response {
  parseQuery(NoQuery, query);
  const encoder = new TextEncoder();
  const chunks = chunksOf(db);
  // Rows are read as the client takes them, so a database of any size goes through a little memory.
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await chunks.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await chunks.return();
    },
  });
  return new Response(body, {
    headers: {
      'content-type': 'application/x-ndjson',
      'content-disposition': `attachment; filename="${db.name}.ndjson"`,
      'cache-control': 'no-store',
    },
  });
}

async function* chunksOf(db: Database): AsyncGenerator<string, void, undefined> {
  const then = db.asOf({ lsn: db.lsn() });
  for (const table of TABLES) {
    let last = 0;
    for (;;) {
      const rows = await then.query<{ id: number }>(
        `SELECT * FROM ${table} WHERE id > ? ORDER BY id LIMIT ${ROWS_PER_CHUNK}`,
        [last],
      );
      if (rows.length === 0) break;
      yield rows.map((row) => `${JSON.stringify({ table, row })}\n`).join('');
      last = rows.at(-1)?.id ?? last;
    }
  }
}
