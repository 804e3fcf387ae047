import { issueToken, readToken } from '@dotdo/example-shared/token';

/** What the token of whoever runs the app opens. No tenant can have this name. */
export const OPERATOR = '@operator';

/** Whom a token was issued to. */
export interface Holder {
  readonly tenant: string;
  readonly userId: number;
}

/**
 * A user's token, which holds for 30 days. Whoever has it is that user. It says nothing of the user's role, which is
 * read when it is needed: one that is taken away is gone with the next request.
 */
export async function tokenFor(secret: string, { tenant, userId }: Holder): Promise<string> {
  return issueToken(secret, { aud: tenant, sub: String(userId) });
}

/** Whom a token was issued to; undefined when it was not signed with this secret, or holds no more. */
export async function holderOf(secret: string, token: string): Promise<Holder | undefined> {
  const claims = await readToken(secret, token);
  return claims === undefined ? undefined : { tenant: claims.aud, userId: Number(claims.sub) };
}
