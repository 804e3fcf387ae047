import { request } from '@dotdo/example-shared/page/request';

/** Who this browser is: kept between visits, shared by its windows. */
export interface Session {
  readonly tenant: string;
  readonly token: string;
}

/** Signs a tenant up. */
export async function signUp(tenant: string, owner: { name: string; email: string }): Promise<Session> {
  return request<Session>('POST', '/signup', { body: { tenant, owner } });
}

/** Asks the tenant's database, over HTTP. */
export async function ask<T>(
  { tenant, token }: Session,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const sent = { token, body, ...(signal === undefined ? {} : { signal }) };
  return request<T>(method, `/t/${encodeURIComponent(tenant)}${path}`, sent);
}
