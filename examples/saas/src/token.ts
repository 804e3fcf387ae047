import { createCrypto } from '@dotdo/dosql/crypto';

/**
 * A tenant's token: `<tenant>.<random id>.<HMAC of both>`. Whoever holds it is the tenant, so it is an API
 * key; nothing about it is stored, and a new secret revokes every token at once.
 */
export async function issueToken(secret: string, tenant: string): Promise<string> {
  const crypto = createCrypto({ key: secret });
  const claim = `${tenant}.${crypto.randomId()}`;
  return `${claim}.${await crypto.hmac(claim)}`;
}

/** The tenant that a token was issued to; undefined when it was not issued with this secret. */
export async function tenantOf(secret: string, token: string): Promise<string | undefined> {
  const crypto = createCrypto({ key: secret });
  const end = token.lastIndexOf('.');
  const claim = token.slice(0, Math.max(end, 0));
  if (!crypto.equal(await crypto.hmac(claim), token.slice(end + 1))) return undefined;
  return claim.slice(0, claim.indexOf('.'));
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
