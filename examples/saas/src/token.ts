import { createCrypto } from '@dotdo/dosql/crypto';

/** Whom a token was issued to. */
export interface Holder {
  readonly tenant: string;
  readonly userId: number;
}

/**
 * A user's token: `<tenant>.<user id>.<random id>.<HMAC of all three>`. Whoever holds it is that user, so it
 * is an API key; nothing about it is stored, and a new secret revokes every token at once. It says nothing of
 * the user's role, which is read when it is needed: one that is taken away is gone with the next request.
 */
export async function issueToken(secret: string, { tenant, userId }: Holder): Promise<string> {
  const crypto = createCrypto({ key: secret });
  const claim = `${tenant}.${userId}.${crypto.randomId()}`;
  return `${claim}.${await crypto.hmac(claim)}`;
}

/** Whom a token was issued to; undefined when it was not issued with this secret. */
export async function holderOf(secret: string, token: string): Promise<Holder | undefined> {
  const crypto = createCrypto({ key: secret });
  const end = token.lastIndexOf('.');
  const claim = token.slice(0, Math.max(end, 0));
  if (!crypto.equal(await crypto.hmac(claim), token.slice(end + 1))) return undefined;
  const [tenant = '', userId] = claim.split('.');
  return { tenant, userId: Number(userId) };
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
