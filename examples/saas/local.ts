import { createTestHarness, type TestHarness } from 'wrangler';

/** The app as it would be deployed, bundle and all, in the Workers runtime of this machine. */
export interface LocalApp {
  readonly url: URL;
  readonly harness: TestHarness;
}

/** A request's answer. */
export interface Answer<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

/** Starts the app on a free port, with storage that lasts until `harness.close()`. */
export async function startLocally(configPath = './wrangler.jsonc'): Promise<LocalApp> {
  // Otherwise the runtime asks the network where on earth it is.
  process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
  process.env['WRANGLER_LOG'] ??= 'warn';
  const harness = createTestHarness({
    root: import.meta.dirname,
    workers: [{ configPath, secrets: { TOKEN_SECRET: crypto.randomUUID() } }],
  });
  const { url } = await harness.listen();
  return { url, harness };
}

/** One tenant's view of the app: what a client with its token can do. */
export class Client {
  readonly tenant: string;
  readonly token: string;
  readonly #url: URL;

  constructor(url: URL, tenant: string, token: string) {
    this.#url = url;
    this.tenant = tenant;
    this.token = token;
  }

  /** Signs a tenant up, with an owner, user 1. */
  static async signUp(url: URL, tenant: string, ownerName = 'Olive Owner'): Promise<Client> {
    const owner = { email: `owner@${tenant}.test`, name: ownerName };
    const body = JSON.stringify({ tenant, owner });
    const response = await fetch(new URL('/signup', url), { method: 'POST', body });
    if (response.status !== 201)
      throw new Error(`signing up answered ${response.status}: ${await response.text()}`);
    const { token } = await response.json<{ token: string }>();
    return new Client(url, tenant, token);
  }

  /** Sends a request, of another tenant if one is named, and reads its JSON. */
  async send<T>(
    method: string,
    path: string,
    body?: unknown,
    tenant: string = this.tenant,
  ): Promise<Answer<T>> {
    const response = await fetch(new URL(`/t/${tenant}${path}`, this.#url), {
      method,
      headers: { authorization: `Bearer ${this.token}` },
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const { status, headers } = response;
    const text = await response.text();
    return { status, headers, body: (text === '' ? undefined : JSON.parse(text)) as T };
  }

  /** The JSON of a request that succeeds. */
  async get<T>(path: string): Promise<T> {
    return this.#succeed<T>('GET', path);
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    return this.#succeed<T>('POST', path, body);
  }

  async patch<T>(path: string, body: unknown): Promise<T> {
    return this.#succeed<T>('PATCH', path, body);
  }

  /** Opens the live stream of changes. */
  openLive(query = ''): WebSocket {
    const url = new URL(`/t/${this.tenant}/activity/live${query}`, this.#url);
    url.protocol = 'ws:';
    return new WebSocket(url.href, ['activity', `bearer.${this.token}`]);
  }

  async #succeed<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.send<T>(method, path, body);
    if (answer.status >= 400)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
}
