import type { Database } from '@dotdo/dosql';
import { requireRoute, type Routes } from '@dotdo/example-shared/router';
import { createBranch, diffBranch, dropBranch, listBranches } from './branches.ts';
import { blockHistory, getBlocks, getDocument, listHistory, restore, setTitle } from './history.ts';
import { createLink, listLinks, revokeLink } from './links.ts';
import { addMember, changeRole, listMembers, removeMember, type Member } from './members.ts';
import { mergeBranch } from './merge.ts';
import type { Place } from './place.ts';
import type { Rooms } from './rooms.ts';
import { createVersion, getVersion, listVersions } from './versions.ts';
import type { Env } from './worker.ts';

/** What is open of a document while its object is awake. */
export interface Opened {
  readonly env: Env;
  readonly place: Place;
  readonly main: Database;
  readonly rooms: Rooms;
}

/** What a handler works with. */
export interface Context extends Opened {
  /** Whose token the request carries. */
  readonly member: Member;
  readonly request: Request;
  readonly query: URLSearchParams;
  /** What the path names. */
  readonly params: Readonly<Record<string, string>>;
}

type Handler = (context: Context) => Response | Promise<Response>;

/** The HTTP interface of a document, behind `/w/:workspace/d/:document`. */
const ROUTES: Routes<Handler> = [
  [/^\/$/, { GET: getDocument, PATCH: setTitle }],
  [/^\/live$/, { GET: live }],
  [/^\/blocks$/, { GET: getBlocks }],
  [/^\/blocks\/(?<block>[\w-]{8,40})\/history$/, { GET: blockHistory }],
  [/^\/history$/, { GET: listHistory }],
  [/^\/restore$/, { POST: restore }],
  [/^\/members$/, { GET: listMembers, POST: addMember }],
  [/^\/members\/(?<member>[^/]+)$/, { PATCH: changeRole, DELETE: removeMember }],
  [/^\/links$/, { GET: listLinks, POST: createLink }],
  [/^\/links\/(?<link>\d{1,15})$/, { DELETE: revokeLink }],
  [/^\/branches$/, { GET: listBranches, POST: createBranch }],
  [/^\/branches\/(?<branch>[^/]+)$/, { DELETE: dropBranch }],
  [/^\/branches\/(?<branch>[^/]+)\/diff$/, { GET: diffBranch }],
  [/^\/branches\/(?<branch>[^/]+)\/merge$/, { POST: mergeBranch }],
  [/^\/versions$/, { GET: listVersions, POST: createVersion }],
  [/^\/versions\/(?<version>\d{1,15})$/, { GET: getVersion }],
];

/**
 * Answers a request of a member.
 *
 * @throws HttpError 404 for a path that is none, 405 for a method that it does not take.
 */
export async function route(context: Omit<Context, 'query' | 'params'>): Promise<Response> {
  const { pathname, searchParams: query } = new URL(context.request.url);
  const { handler, params } = requireRoute(ROUTES, pathname, context.request.method);
  return handler({ ...context, query, params });
}

/** `GET /live`, a WebSocket: see `Rooms`. */
function live({ rooms, request, member }: Context): Promise<Response> {
  return rooms.accept(request, member);
}
