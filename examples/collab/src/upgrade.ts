import { errorResponse, HttpError } from '@dotdo/example-shared/http';

const PROTOCOL = 'collab';
/** What a socket is closed with where HTTP has these statuses. */
const CLOSE_CODES: Readonly<Record<number, number>> = { 401: 4401, 403: 4403, 404: 4404 };

/** @throws HttpError 426 */
export function requireUpgrade(request: Request): void {
  if (!isUpgrade(request)) throw new HttpError(426, 'this is a WebSocket', {}, { upgrade: 'websocket' });
}

/** The answer that hands a client its socket; with the subprotocol, since a browser that has offered it insists. */
export function upgraded({ headers }: Request, socket: WebSocket): Response {
  const offered = headers.get('sec-websocket-protocol')?.split(/\s*,\s*/) ?? [];
  const chosen = offered.includes(PROTOCOL) ? { 'sec-websocket-protocol': PROTOCOL } : {};
  return new Response(null, { status: 101, webSocket: socket, headers: new Headers(chosen) });
}

/**
 * The answer to what was thrown. Whom a WebSocket is refused gets one, which is closed with the reason: a browser does
 * not tell its page what an upgrade was answered, and the page would try again for ever.
 */
export async function refuse(request: Request, error: unknown): Promise<Response> {
  const response = errorResponse(error);
  const code = CLOSE_CODES[response.status];
  if (code === undefined || !isUpgrade(request)) return response;
  const { error: reason } = await response.json<{ error: string }>();
  const { 0: theirs, 1: ours } = new WebSocketPair();
  ours.accept();
  ours.close(code, closeReason(reason));
  return upgraded(request, theirs);
}

/** A reason for closing has at most 123 bytes. */
export function closeReason(text: string): string {
  return text.replaceAll(/[^ -~]/g, '?').slice(0, 120);
}

function isUpgrade({ headers }: Request): boolean {
  return headers.get('upgrade')?.toLowerCase() === 'websocket';
}
