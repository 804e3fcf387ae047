import { createCDC, type ChangePage, type Database } from '@dotdo/dosql';
import { outsideHistory } from './history.ts';
import { HttpError, json, toJson } from './http.ts';
import { ActivityQuery, LiveQuery, parseQuery } from './input.ts';
import type { Context } from './routes.ts';
import { TABLES } from './tables.ts';

/** What a socket keeps through hibernation: the LSN of the last change that it was sent. */
interface Attachment {
  readonly lsn: number;
}

/** The streams into the sockets of the objects that are in memory, by socket. */
const streams = new WeakMap<WebSocket, AbortController>();

/** `GET /activity?after=&limit=`: a page of the tenant's changes, oldest first. Go on after its `lsn`. */
export async function activity({ db, query }: Context): Promise<Response> {
  const { after, limit } = parseQuery(ActivityQuery, query);
  const from = after === undefined ? (await db.earliest()).lsn : BigInt(after);
  return json(await readChanges(db, from, limit));
}

/**
 * `GET /activity/live?after=`, a WebSocket: every change after that LSN, then each new one as it commits;
 * without `after` only new ones.
 *
 * The platform holds the socket, so it stays open while the object hibernates.
 */
export async function live({ ctx, db, request, query }: Context): Promise<Response> {
  const { headers } = request;
  if (headers.get('upgrade')?.toLowerCase() !== 'websocket')
    throw new HttpError(426, 'this path takes a WebSocket', {}, { upgrade: 'websocket' });
  checkOrigin(request);
  const { after = Number(db.lsn()) } = parseQuery(LiveQuery, query);
  await readChanges(db, BigInt(after), 1);
  const { 0: client, 1: server } = new WebSocketPair();
  server.serializeAttachment({ lsn: after } satisfies Attachment);
  ctx.acceptWebSocket(server);
  void follow(db, server);
  // A browser wants one of the subprotocols that it offered: this one, not the one with the token.
  const isOffered = /(?:^|, *)activity(?:$|,)/.test(headers.get('sec-websocket-protocol') ?? '');
  return new Response(null, {
    status: 101,
    webSocket: client,
    ...(isOffered && { headers: { 'sec-websocket-protocol': 'activity' } }),
  });
}

/**
 * Sends a socket every change after the last one that it was sent, until it closes. The position is kept
 * with the socket itself: an object that comes back from hibernation calls this again and misses nothing.
 */
export async function follow(db: Database, socket: WebSocket): Promise<void> {
  const stream = new AbortController();
  streams.set(socket, stream);
  const { lsn } = socket.deserializeAttachment() as Attachment;
  try {
    const { signal } = stream;
    for await (const change of createCDC(db).subscribe(lsn, { tables: TABLES, signal })) {
      socket.send(toJson(change));
      socket.serializeAttachment({ lsn: Number(change.lsn) } satisfies Attachment);
    }
  } catch (error) {
    // A socket that has closed meanwhile needs nothing more.
    if (socket.readyState !== WebSocket.OPEN) return;
    console.error(error);
    socket.close(1011, 'the stream broke: connect again');
  }
}

/** Ends the stream into a socket that has closed. */
export function unfollow(socket: WebSocket): void {
  streams.get(socket)?.abort();
}

/** A page of the tenant's changes. */
async function readChanges(db: Database, after: bigint, limit: number): Promise<ChangePage> {
  try {
    return await createCDC(db).read(after, { tables: TABLES, limit });
  } catch (error) {
    throw await outsideHistory(db, error);
  }
}

/** A page of another site must not open a socket here, whatever token it has got hold of. */
function checkOrigin({ url, headers }: Request): void {
  const origin = headers.get('origin');
  if (origin === null || (URL.canParse(origin) && new URL(origin).host === new URL(url).host)) return;
  throw new HttpError(403, 'this socket is for pages of its own site');
}
