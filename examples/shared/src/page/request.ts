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

/** What a request says besides its method and path. */
export interface Sent {
  readonly token?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** The JSON that the server answers; throws a `Refusal` unless it is success. */
export async function request<T>(method: string, path: string, sent: Sent = {}): Promise<T> {
  const response = await fetch(path, {
    method,
    headers: sent.token === undefined ? {} : { authorization: `Bearer ${sent.token}` },
    body: sent.body === undefined ? null : JSON.stringify(sent.body),
    signal: sent.signal ?? null,
  });
  const body = response.status === 204 ? undefined : await response.json();
  if (!response.ok) throw new Refusal(response.status, body as { error: string });
  return body as T;
}
