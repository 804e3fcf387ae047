/** Who this browser is: kept between visits, shared by its windows. */
export interface Session {
  readonly tenant: string;
  readonly token: string;
}

/** An answer of the server that is not success; the message is meant for people. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: { readonly error: string };

  constructor(status: number, body: { readonly error: string }) {
    super(body.error);
    this.status = status;
    this.body = body;
  }
}

/** Signs a tenant up. */
export async function signUp(tenant: string, owner: { name: string; email: string }): Promise<Session> {
  return request<Session>('/signup', { method: 'POST', body: JSON.stringify({ tenant, owner }) });
}

/** Asks the tenant's database, over HTTP. */
export async function ask<T>(
  { tenant, token }: Session,
  method: string,
  path: string,
  body?: unknown,
  signal: AbortSignal | null = null,
): Promise<T> {
  return request<T>(`/t/${encodeURIComponent(tenant)}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    body: body === undefined ? null : JSON.stringify(body),
    signal,
  });
}

async function request<T>(path: string, init: RequestInit): Promise<T> {
  const response = await fetch(path, init);
  const body = response.status === 204 ? undefined : await response.json();
  if (!response.ok) throw new Refusal(response.status, body as { error: string });
  return body as T;
}
