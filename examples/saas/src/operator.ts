import { DoSQLError } from '@dotdo/dosql';
import { HttpError, json, notFound, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { requireRoute, type Routes } from '@dotdo/example-shared/router';
import { authorize } from '@dotdo/example-shared/token';
import { fleetOf } from './fleet.ts';
import { FleetQuery, isTenantName, RestoreTenant, TenantsQuery } from './input.ts';
import { tenantOf } from './tenant.ts';
import { OPERATOR, tokenFor } from './token.ts';
import { OWNER_ID } from './users.ts';
import type { Env } from './worker.ts';

/** What a handler works with. */
interface Context {
  readonly env: Env;
  readonly request: Request;
  readonly query: URLSearchParams;
  /** The tenant that the path names; empty on a path that names none. */
  readonly tenant: string;
}

type Handler = (context: Context) => Promise<Response>;

/** What whoever runs the app may do with all of its tenants. */
const ROUTES: Routes<Handler> = [
  [/^\/operator\/tenants$/, { GET: listTenants }],
  [/^\/operator\/tenants\/(?<tenant>[^/]+)\/migrate$/, { POST: migrateTenant }],
  [/^\/operator\/tenants\/(?<tenant>[^/]+)\/backup$/, { POST: backUpTenant }],
  [/^\/operator\/tenants\/(?<tenant>[^/]+)\/restore$/, { POST: restoreTenant }],
  [/^\/operator\/query$/, { POST: queryFleet }],
];

/**
 * Answers the operator, who has a token signed with a secret of its own: no tenant's token opens this, and the
 * operator's opens no tenant.
 */
export async function operate(request: Request, env: Env): Promise<Response> {
  await authorize(env.OPERATOR_SECRET, request, OPERATOR);
  const { pathname, searchParams: query } = new URL(request.url);
  const { handler, params } = requireRoute(ROUTES, pathname, request.method);
  const { tenant = '' } = params;
  if ('tenant' in params && !isTenantName(tenant)) throw notFound('tenant');
  try {
    return await handler({ env, request, query, tenant });
  } catch (error) {
    throw explained(error);
  }
}

/** `GET /operator/tenants?after=&limit=`: the tenants by name, with the version that their schema was last seen at. */
async function listTenants({ env, query }: Context): Promise<Response> {
  const { after, limit } = parseQuery(TenantsQuery, query);
  const tenants = await fleetOf(env).tenants(after, limit);
  return json({ tenants, next: tenants.length < limit ? null : tenants.at(-1)?.name });
}

/** `POST /operator/tenants/:tenant/migrate`: wakes a tenant, by which its schema is brought up to date. */
async function migrateTenant({ env, query, tenant }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const schema_version = await tenantOf(tenant, env).migrate();
  if (schema_version === undefined) throw notFound('tenant');
  return json({ tenant, schema_version });
}

/** `POST /operator/tenants/:tenant/backup`: backs a tenant up now, rather than within the hour. */
async function backUpTenant({ env, query, tenant }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const done = await tenantOf(tenant, env).backUp();
  if (done === undefined) throw notFound('tenant');
  return json({ tenant, ...done });
}

/**
 * `POST /operator/tenants/:tenant/restore { from, at? }`: makes the tenant, which must not exist, from the backups of
 * the tenant `from`, which need not exist any more; answers with a token of its owner.
 */
async function restoreTenant({ env, request, query, tenant }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const { from, at } = parseInput(RestoreTenant, await readJson(request));
  const token = await tokenFor(env.TOKEN_SECRET, { tenant, userId: OWNER_ID });
  const restored = await tenantOf(tenant, env).restoreFrom(tenant, from, at);
  if (restored === undefined) throw new HttpError(409, `there is a tenant "${tenant}" already`);
  return json({ tenant, ...restored, token }, { status: 201 });
}

/** `POST /operator/query { sql, params?, as_of? }`: rows out of the tables of all tenants, at most 1,000. */
async function queryFleet({ env, request, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const { sql, params, as_of } = parseInput(FleetQuery, await readJson(request));
  return json(await fleetOf(env).query(sql, params, as_of));
}

/** The operator is told what went wrong in a database, whoever's it is. */
function explained(error: unknown): unknown {
  const { code, reason } = DoSQLError.from(error) ?? {};
  if (code === undefined || reason === undefined) return error;
  if (code === 'STORAGE_UNAVAILABLE') return new HttpError(503, reason, { code });
  if (code === 'NO_SUCH_FILE') return new HttpError(404, reason, { code });
  if (code === 'HISTORY_EXPIRED' || code === 'LSN_EXPIRED') return new HttpError(410, reason, { code });
  if (/^(?:MIGRATION|CORRUPT|FULL)/.test(code)) return new HttpError(500, reason, { code });
  return new HttpError(400, reason, { code });
}
