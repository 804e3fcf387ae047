import { HttpError } from '@dotdo/example-shared/http';
import { issueToken, readToken, tokenIn, type Claims } from '@dotdo/example-shared/token';
import { REGIONS, type RegionName } from './placement.ts';

/** What tokens are for: a page or server that reports events, a dashboard, whoever runs the site. */
export const ROLES = ['write', 'read', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** What a token lets its bearer do. */
export interface Grant {
  readonly role: Role;
  /** The only region that it opens; all of the site's when it names none. */
  readonly region?: RegionName | undefined;
}

/** Write keys lie in public pages and are not changed every month. */
const WRITE_KEY_HOLDS = '365d';

/** A token for a site. */
export async function tokenFor(secret: string, site: string, { role, region }: Grant): Promise<string> {
  const claims = { aud: site, sub: role, ...(region === undefined ? {} : { region }) };
  return role === 'write' ? issueToken(secret, claims, WRITE_KEY_HOLDS) : issueToken(secret, claims);
}

/**
 * What the request's token lets its bearer do.
 *
 * @throws HttpError 401 without a token that holds, 403 with one for another site, another use or another region.
 */
export async function authorize(
  secret: string,
  request: Request,
  site: string,
  wanted: { readonly roles: readonly Role[]; readonly region?: RegionName | undefined },
): Promise<Grant> {
  const { aud, sub, region: claimed } = await claimsOf(secret, request);
  if (aud !== site) throw new HttpError(403, 'this token is for another site');
  const role = wanted.roles.find((role) => role === sub);
  if (role === undefined) throw new HttpError(403, `this takes a token for: ${wanted.roles.join(', ')}`);
  const region = REGIONS.find((name) => name === claimed);
  if (claimed !== undefined && region === undefined) throw new HttpError(403, 'this region is no more');
  if (wanted.region !== undefined && region !== undefined && region !== wanted.region)
    throw new HttpError(403, 'this token is for another region');
  return { role, region };
}

/** @throws HttpError 401 */
async function claimsOf(secret: string, { headers }: Request): Promise<Claims> {
  const claims = await readToken(secret, tokenIn(headers) ?? '');
  if (claims !== undefined) return claims;
  throw new HttpError(
    401,
    'give a token that holds as Authorization: Bearer <token>',
    {},
    { 'www-authenticate': 'Bearer' },
  );
}
