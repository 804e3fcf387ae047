import { errors, jwtVerify, SignJWT, type JWTPayload } from 'jose';
import { HttpError } from './http.ts';

/** The shortest secret that tokens are signed with, in characters. */
const MIN_SECRET_LENGTH = 20;

/** Tokens that are remembered, at most. */
const MAX_KNOWN = 10_000;

/** What a token says, besides how long it holds. */
export interface Claims extends JWTPayload {
  /** What it opens: a tenant, a document, a region, a building. */
  readonly aud: string;
  /** Whose it is. */
  readonly sub: string;
}

/** What tokens say whose signature was seen, so that whoever asks often is not checked by it each time. */
const known = new Map<string, { readonly secret: string; readonly claims: Claims }>();

/**
 * A signed token, a JWT of HS256. Nothing about it is stored, so it holds until it expires, and a new secret
 * revokes every token at once.
 *
 * @throws Error for a secret that is missing or shorter than 20 characters.
 */
export async function issueToken(
  secret: string,
  { aud, sub, ...more }: Claims,
  expiresIn = '30d',
): Promise<string> {
  return new SignJWT(more)
    .setProtectedHeader({ alg: 'HS256' })
    .setAudience(aud)
    .setSubject(sub)
    .setIssuedAt()
    .setJti(crypto.randomUUID())
    .setExpirationTime(expiresIn)
    .sign(keyOf(secret));
}

/** What a token says; undefined when it was not signed with this secret, or holds no more. */
export async function readToken(secret: string, token: string): Promise<Claims | undefined> {
  const seen = known.get(token);
  if (seen?.secret === secret && (seen.claims.exp ?? 0) * 1_000 > Date.now()) return seen.claims;
  try {
    const { payload } = await jwtVerify(token, keyOf(secret), { algorithms: ['HS256'] });
    const { aud, sub } = payload;
    if (typeof aud !== 'string' || sub === undefined) return undefined;
    const claims = { ...payload, aud, sub };
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(token, { secret, claims });
    return claims;
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/**
 * The token that a request carries: as `Authorization: Bearer …`, or, since a browser cannot set that header
 * for a WebSocket, as the subprotocol `bearer.…`.
 */
export function tokenIn(headers: Headers): string | undefined {
  const bearer = /^Bearer +([\w.-]+)$/i.exec(headers.get('authorization') ?? '');
  const protocol = /(?:^|, *)bearer\.([\w.-]+)/.exec(headers.get('sec-websocket-protocol') ?? '');
  return bearer?.[1] ?? protocol?.[1];
}

/**
 * What the request's token says, if it opens `aud`.
 *
 * @throws HttpError 401 without a token that holds, 403 with one for something else.
 */
export async function authorize(secret: string, { headers }: Request, aud: string): Promise<Claims> {
  const token = tokenIn(headers);
  const claims = token === undefined ? undefined : await readToken(secret, token);
  if (claims === undefined)
    throw new HttpError(
      401,
      'give a token that holds as Authorization: Bearer <token>',
      {},
      { 'www-authenticate': 'Bearer' },
    );
  if (claims.aud !== aud) throw new HttpError(403, 'this token is for another one');
  return claims;
}

function keyOf(secret: string | undefined): Uint8Array {
  if (secret === undefined || secret.length < MIN_SECRET_LENGTH)
    throw new Error(`the secret that signs tokens has fewer than ${MIN_SECRET_LENGTH} characters: set it`);
  return new TextEncoder().encode(secret);
}
