import type { ChangeLog } from '../change-log.ts';
import type { Publication } from '../publication.ts';
import { SUBPROTOCOL } from './protocol.ts';
import { checkRestriction, type Restriction } from './scope.ts';
import type { Access } from './session.ts';

/** What a client wants. */
export interface LiveAccess {
  readonly publication: string;
}

/** What a client may have: of the publication, only rows that satisfy `where`, SQL over the row, by table. */
export interface LiveGrant {
  readonly where?: Restriction | undefined;
}

/**
 * Whether the client that opens a socket may have a publication. `where` restricts it to some rows, whatever it asks
 * for later, and may name any column; a Response is the refusal itself. A page of another site may open a socket
 * with the user's cookies: where these decide, look at the request's `Origin` too.
 */
export type Authorize = (
  request: Request,
  access: LiveAccess,
) => boolean | LiveGrant | Response | Promise<boolean | LiveGrant | Response>;

const MAX_PUBLICATIONS = 8;

/** What a request for a socket may have, with the headers of the answer; or the refusal. */
export async function connect(
  request: Request,
  authorize: Authorize,
  log: ChangeLog,
  publicationOf: (name: string) => Publication | undefined,
): Promise<Response | { readonly access: Access; readonly headers: Record<string, string> }> {
  if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket')
    return new Response('this path takes a WebSocket', { status: 426, headers: { upgrade: 'websocket' } });
  const names = new Set(new URL(request.url).searchParams.getAll('publication'));
  if (names.size === 0 || names.size > MAX_PUBLICATIONS)
    return new Response(`name one to ${MAX_PUBLICATIONS} publications: ?publication=name`, { status: 400 });
  const access = new Map<string, Restriction | undefined>();
  for (const name of names) {
    const publication = publicationOf(name);
    // In the same words as one that the client may not have.
    const grant = publication === undefined ? false : await authorize(request, { publication: name });
    if (grant instanceof Response) return grant;
    if (publication === undefined || typeof grant === 'boolean' ? grant !== true : grant === null)
      return new Response('this is not allowed', { status: 403 });
    const { where } = grant === true ? {} : (grant as LiveGrant);
    if (where !== undefined) checkRestriction(log, where, publication as Publication);
    access.set(name, where);
  }
  const offered = request.headers.get('sec-websocket-protocol')?.split(/\s*,\s*/) ?? [];
  return { access, headers: offered.includes(SUBPROTOCOL) ? { 'sec-websocket-protocol': SUBPROTOCOL } : {} };
}
