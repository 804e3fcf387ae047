import { outsideHistory } from '@dotdo/example-shared/past';
import { json } from '@dotdo/example-shared/http';
import { parseQuery } from '@dotdo/example-shared/input';
import { ActivityQuery } from './input.ts';
import type { Context } from './routes.ts';
import { BOARD } from './streams.ts';

/** `GET /activity?after=&limit=`: a page of the board's changes, oldest first. Go on after its `lsn`. */
export async function activity({ db, cdc, query }: Context): Promise<Response> {
  const { after, limit } = parseQuery(ActivityQuery, query);
  try {
    const from = after === undefined ? (await db.earliest()).lsn : BigInt(after);
    return json(await cdc.read(from, { publication: BOARD, limit }));
  } catch (error) {
    throw await outsideHistory(db, error);
  }
}

/** `GET /live?publication=board`, a WebSocket: keeps the rows of live queries in step, `@dotdo/cdc/client` speaks it. */
export function live({ cdc, request }: Context): Promise<Response> {
  return cdc.fetch(request);
}
