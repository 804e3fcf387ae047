import { errorResponse, HttpError, json, methodNotAllowed, readJson } from '@dotdo/example-shared/http';
import { tokenIn } from '@dotdo/example-shared/token';
import { parseInput } from '@dotdo/example-shared/input';
import type { Fleet } from './fleet.ts';
import { isTenantName, SignUp } from './input.ts';
import { operate } from './operator.ts';
import { tenantOf, type Tenant } from './tenant.ts';
import { holderOf, tokenFor } from './token.ts';
import { OWNER_ID, USER_HEADER } from './users.ts';

export { Fleet } from './fleet.ts';
export { Tenant } from './tenant.ts';

/** What wrangler.jsonc binds. */
export interface Env {
  readonly TENANT: DurableObjectNamespace<Tenant>;
  readonly FLEET: DurableObjectNamespace<Fleet>;
  /** Backups and archives, a folder a tenant. */
  readonly TENANT_DATA: R2Bucket;
  /** What has happened at all tenants, without personal data. */
  readonly LAKE: R2Bucket;
  readonly SIGN_UP_LIMIT: RateLimit;
  /** Tenants are subdomains of this domain. */
  readonly DOMAIN: string;
  /** Signs the users' tokens. */
  readonly TOKEN_SECRET: string;
  /** Signs the tokens of whoever runs the app. */
  readonly OPERATOR_SECRET: string;
  /** For so long, in ms, a tenant gathers changes before it tells the fleet of them. */
  readonly FLEET_LINGER_MS: string;
  /** Set on a developer's machine only: webhooks may then be on that machine. */
  readonly LOCAL_WEBHOOKS?: string;
}

/**
 * Sends every request to the Durable Object of the tenant that it names, if it may go there.
 *
 * Invariant: a request reaches an object's `fetch` only with a token for that very tenant, and with the id of
 * the user whom that token is for. Objects know no tenant but their own, so there is no query that could forget
 * to filter by tenant.
 */
export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    try {
      const url = new URL(request.url);
      if (url.pathname === '/signup') return await signUp(request, env);
      if (url.pathname.startsWith('/operator/')) return await operate(request, env);
      const { tenant, path } = destination(url, request.headers, env.DOMAIN);
      const userId = await authorize(tenant, request, env);
      url.pathname = path;
      const inside = new Request(url, request);
      // Set, not added: what a client says here itself is not believed.
      inside.headers.set(USER_HEADER, String(userId));
      return await tenantOf(tenant, env).fetch(inside);
    } catch (error) {
      return errorResponse(error);
    }
  },
};

/** `POST /signup { tenant, owner: { email, name } }`: creates the tenant and answers its owner's token. */
async function signUp(request: Request, env: Env): Promise<Response> {
  if (request.method !== 'POST') throw methodNotAllowed(['POST']);
  await limitSignUps(request, env);
  const { tenant, owner } = parseInput(SignUp, await readJson(request));
  // Signed first: without a secret nobody can sign up, rather than sign up and never get in.
  const token = await tokenFor(env.TOKEN_SECRET, { tenant, userId: OWNER_ID });
  if (!(await tenantOf(tenant, env).signUp(tenant, owner))) throw new HttpError(409, `"${tenant}" is taken`);
  return json({ tenant, token }, { status: 201 });
}

/** A database costs something, so nobody makes many in a minute; Cloudflare says from where a request comes. */
async function limitSignUps({ headers }: Request, { SIGN_UP_LIMIT }: Env): Promise<void> {
  const address = headers.get('cf-connecting-ip') ?? '';
  // The app on this machine, tried out by whoever develops it. No request on the internet has such an address.
  if (/^(?:127\.|::1$|::ffff:127\.)/.test(address)) return;
  const { success } = await SIGN_UP_LIMIT.limit({ key: address });
  if (!success)
    throw new HttpError(
      429,
      'too many sign-ups from your address: try again in a minute',
      {},
      { 'retry-after': '60' },
    );
}

/** Which tenant a request is for, and the path within it: `/t/acme/tasks`, `acme.example.com/tasks`, or by header. */
function destination(url: URL, headers: Headers, domain: string): { tenant: string; path: string } {
  const { hostname, pathname } = url;
  const [, name, path = ''] = /^\/t\/([^/]*)(\/.*)?$/.exec(pathname) ?? [];
  const tenant = name ?? subdomain(hostname, domain) ?? headers.get('x-tenant-id');
  if (tenant === null)
    throw new HttpError(404, 'name a tenant: /t/<tenant>/…, a subdomain, or the header X-Tenant-ID');
  if (!isTenantName(tenant)) throw noSuchTenant(tenant);
  return { tenant, path: name === undefined ? pathname : path };
}

/** `localhost` is for development: browsers resolve every name below it to this machine. */
function subdomain(hostname: string, domain: string): string | undefined {
  const base = [domain, 'localhost'].find((base) => hostname.endsWith(`.${base}`));
  const name = base === undefined ? undefined : hostname.slice(0, -base.length - 1);
  return name !== undefined && isTenantName(name) ? name : undefined;
}

/**
 * The user whose token the request carries; throws unless it is one of this tenant. That a tenant exists is no
 * secret, as signing up tells which names are taken, so a wrong name gets a 404 rather than a puzzling 401.
 */
async function authorize(tenant: string, { headers }: Request, env: Env): Promise<number> {
  const token = tokenIn(headers);
  const holder = token === undefined ? undefined : await holderOf(env.TOKEN_SECRET, token);
  if (holder?.tenant === tenant) return holder.userId;
  if (!(await tenantOf(tenant, env).exists())) throw noSuchTenant(tenant);
  if (holder !== undefined) throw new HttpError(403, 'this token is for another tenant');
  throw new HttpError(
    401,
    'give the token from signing up as Authorization: Bearer <token>',
    {},
    {
      'www-authenticate': 'Bearer',
    },
  );
}

function noSuchTenant(tenant: string): HttpError {
  return new HttpError(404, `there is no tenant "${tenant}"`);
}
