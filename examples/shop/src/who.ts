import { createCrypto } from '@dotdo/dosql/crypto';
import { HttpError, json, readJson } from '@dotdo/example-shared/http';
import { NoQuery, parseInput, parseQuery } from '@dotdo/example-shared/input';
import { issueToken, readToken, tokenIn } from '@dotdo/example-shared/token';
import { NewCustomer, StaffKey } from './input.ts';
import type { Context } from './routes.ts';
import type { Env } from './worker.ts';

/** Who a request is from. */
export interface Who {
  readonly id: string;
  readonly isStaff: boolean;
}

/** The shortest key that makes one staff, in characters. */
const MIN_KEY_LENGTH = 20;

/** `POST /customers { name }`: a customer, and the token that opens their cart and orders. */
export async function addCustomer({ env, request, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const { name } = parseInput(NewCustomer, await readJson(request));
  const customer = crypto.randomUUID();
  return json(
    { customer, name, token: await issueToken(env.TOKEN_SECRET, { aud: 'customer', sub: customer }) },
    { status: 201 },
  );
}

/** `POST /staff { key, name }`: a token for those who know the key of the shop. */
export async function addStaff({ env, request, query }: Context): Promise<Response> {
  parseQuery(NoQuery, query);
  const { key, name } = parseInput(StaffKey, await readJson(request));
  if (!((env.STAFF_KEY?.length ?? 0) >= MIN_KEY_LENGTH))
    throw new Error(`STAFF_KEY has fewer than ${MIN_KEY_LENGTH} characters: set it`);
  const crypto = createCrypto();
  if (!crypto.equal(await crypto.hash(key), await crypto.hash(env.STAFF_KEY)))
    throw new HttpError(403, 'this is not the key');
  return json(
    { token: await issueToken(env.TOKEN_SECRET, { aud: 'staff', sub: `staff ${name}` }, '12h') },
    { status: 201 },
  );
}

/**
 * Who a request is from, by its token.
 *
 * @throws HttpError 401 where it has none that holds.
 */
export async function whoAsks({ TOKEN_SECRET }: Env, { headers }: Request): Promise<Who> {
  const token = tokenIn(headers);
  const claims = token === undefined ? undefined : await readToken(TOKEN_SECRET, token);
  if (claims === undefined || (claims.aud !== 'customer' && claims.aud !== 'staff'))
    throw new HttpError(
      401,
      'give a token that holds as Authorization: Bearer <token>',
      {},
      { 'www-authenticate': 'Bearer' },
    );
  return { id: claims.sub, isStaff: claims.aud === 'staff' };
}

/** Throws a 403 for a customer. */
export function requireStaff({ isStaff }: Who): void {
  if (!isStaff) throw new HttpError(403, 'this is for the staff of the shop');
}

/** Throws a 403 for staff, which has no cart. */
export function requireCustomer({ isStaff }: Who): void {
  if (isStaff) throw new HttpError(403, 'this is for customers');
}
