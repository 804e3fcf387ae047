import { HttpError } from '@dotdo/example-shared/http';
import { requireRoute, type Routes } from '@dotdo/example-shared/router';
import { erase, issueToken, signUp } from './admin.ts';
import { history, live, pages, siteStatus, siteUsers } from './dashboard.ts';
import { allowReports, ingest, ingestBatch } from './ingest.ts';
import { REGIONS, type RegionName } from './placement.ts';
import { queryRegion, realtime, regionStatus, regionUsers } from './regional.ts';
import { authorize, type Grant, type Role } from './token.ts';
import type { Env } from './worker.ts';

/** What a handler works with. */
export interface Context {
  readonly env: Env;
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly site: string;
  /** What the request's token lets its bearer do. */
  readonly grant: Grant;
  /** The region that the path names, or else the token. */
  readonly region: RegionName | undefined;
}

/** A path's method: what it does, and the tokens that it is for. */
interface Endpoint {
  readonly handle: (context: Context) => Response | Promise<Response>;
  /** Nobody needs a token where there are none. */
  readonly roles: readonly Role[];
  /** What is about the whole site is not for tokens of one region. */
  readonly isOfSite?: true;
}

const report = (handle: Endpoint['handle']): Endpoint => ({ handle, roles: ['write'] });
const dashboard = (handle: Endpoint['handle']): Endpoint => ({
  handle,
  roles: ['read', 'admin'],
  isOfSite: true,
});
const admin = (handle: Endpoint['handle']): Endpoint => ({ handle, roles: ['admin'], isOfSite: true });
const regional = (handle: Endpoint['handle']): Endpoint => ({ handle, roles: ['read', 'admin'] });
const anyone = (handle: Endpoint['handle']): Endpoint => ({ handle, roles: [] });

/** The HTTP interface. */
const ROUTES: Routes<Endpoint> = [
  [/^\/signup$/, { POST: anyone(signUp) }],
  [/^\/s\/(?<site>[^/]+)\/ingest$/, { POST: report(ingest), OPTIONS: anyone(allowReports) }],
  [/^\/s\/(?<site>[^/]+)\/ingest\/batch$/, { POST: report(ingestBatch), OPTIONS: anyone(allowReports) }],
  [/^\/s\/(?<site>[^/]+)\/live$/, { GET: dashboard(live) }],
  [/^\/s\/(?<site>[^/]+)\/history$/, { GET: dashboard(history) }],
  [/^\/s\/(?<site>[^/]+)\/pages$/, { GET: dashboard(pages) }],
  [/^\/s\/(?<site>[^/]+)\/users$/, { GET: dashboard(siteUsers) }],
  [/^\/s\/(?<site>[^/]+)\/status$/, { GET: dashboard(siteStatus) }],
  [/^\/s\/(?<site>[^/]+)\/regions\/(?<region>[^/]+)\/realtime$/, { GET: regional(realtime) }],
  [/^\/s\/(?<site>[^/]+)\/regions\/(?<region>[^/]+)\/query$/, { GET: regional(queryRegion) }],
  [/^\/s\/(?<site>[^/]+)\/regions\/(?<region>[^/]+)\/users$/, { GET: regional(regionUsers) }],
  [/^\/s\/(?<site>[^/]+)\/regions\/(?<region>[^/]+)\/status$/, { GET: regional(regionStatus) }],
  [/^\/s\/(?<site>[^/]+)\/tokens$/, { POST: admin(issueToken) }],
  [/^\/s\/(?<site>[^/]+)\/erasures$/, { POST: admin(erase) }],
];

/**
 * Answers a request.
 *
 * @throws HttpError 404 for a path that is none, 405 for a method that it does not take, 401 and 403 for tokens.
 */
export async function route(request: Request, env: Env): Promise<Response> {
  const { pathname, searchParams: query } = new URL(request.url);
  const { handler, params } = requireRoute(ROUTES, pathname, request.method);
  const { handle, roles, isOfSite } = handler;
  const { site = '', region: named } = params;
  const region = REGIONS.find((name) => name === named);
  const context = { env, request, query, site, region };
  if (roles.length === 0) return handle({ ...context, grant: { role: 'read' } });
  const grant = await authorize(env.TOKEN_SECRET, request, site, { roles, region });
  if (named !== undefined && region === undefined) throw new HttpError(404, 'there is no such region');
  if (isOfSite && grant.region !== undefined)
    throw new HttpError(403, `this token is for the region ${grant.region} alone`);
  return handle({ ...context, grant, region: region ?? grant.region });
}
