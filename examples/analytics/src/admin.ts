import { HttpError, json, readJson } from '@dotdo/example-shared/http';
import { parseInput } from '@dotdo/example-shared/input';
import { createCrypto } from '@dotdo/dosql/crypto';
import { Erasure, NewToken, SignUp } from './input.ts';
import { REGIONS, regionStub, siteStub } from './placement.ts';
import { Cleaner } from './privacy.ts';
import type { Context } from './routes.ts';
import { ROLES, tokenFor } from './token.ts';

/** `POST /signup { site }`: makes the site, and answers a token for each use. */
export async function signUp({ env, request }: Context): Promise<Response> {
  const { site } = parseInput(SignUp, await readJson(request));
  // Signed first: without a secret nobody can sign up, rather than sign up and never get in.
  const tokens = await Promise.all(ROLES.map((role) => tokenFor(env.TOKEN_SECRET, site, { role })));
  if (!(await siteStub(env, site).signUp())) throw new HttpError(409, `"${site}" is taken`);
  return json({ site, ...Object.fromEntries(ROLES.map((role, i) => [role, tokens[i]])) }, { status: 201 });
}

/** `POST /s/:site/tokens { role, region? }`: another token, for the whole site or one of its regions. */
export async function issueToken({ env, site, request }: Context): Promise<Response> {
  const grant = parseInput(NewToken, await readJson(request));
  return json({ token: await tokenFor(env.TOKEN_SECRET, site, grant) }, { status: 201 });
}

/**
 * `POST /s/:site/erasures { userId }`: erases a person from all regions. Where it could not be done it is 503, and
 * asking again goes on: what is erased already is found no more.
 */
export async function erase({ env, site, request }: Context): Promise<Response> {
  const { userId } = parseInput(Erasure, await readJson(request));
  const hash = await new Cleaner(createCrypto({ key: env.HASH_KEY })).userHash(site, userId);
  const results = await Promise.allSettled(
    REGIONS.map((region) => regionStub(env, site, region).erase(hash)),
  );
  const regions = Object.fromEntries(
    results.map((result, i) => [REGIONS[i], result.status === 'fulfilled' ? result.value : null]),
  );
  if (Object.values(regions).includes(null))
    throw new HttpError(503, 'some regions did not answer: ask again', { regions });
  return json({ regions });
}
