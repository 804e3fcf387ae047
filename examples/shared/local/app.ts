import { createTestHarness, type TestHarness } from 'wrangler';

/** An app as it would be deployed, bundle and all, in the Workers runtime of this machine. */
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

/**
 * Starts the app of a folder on a free port, with storage that lasts until `harness.close()` and a new secret to sign
 * tokens with.
 */
export async function startApp(
  root: string,
  options: {
    readonly vars?: Readonly<Record<string, string>>;
    readonly secrets?: Readonly<Record<string, string>>;
  } = {},
): Promise<LocalApp> {
  // Otherwise the runtime asks the network where on earth it is.
  process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
  process.env['WRANGLER_LOG'] ??= 'warn';
  const secrets = { TOKEN_SECRET: crypto.randomUUID(), ...options.secrets };
  const harness = createTestHarness({
    root,
    workers: [{ configPath: './wrangler.jsonc', vars: { ...options.vars }, secrets }],
  });
  const { url } = await harness.listen();
  return { url, harness };
}

/** Waits until something is so, and throws if that takes longer than `limitMs`. */
export async function until(check: () => boolean | Promise<boolean>, limitMs = 10_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within ${limitMs} ms: ${String(check)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

/** What a client can do that holds a token; every path is below `base`. */
export class HttpClient {
  /** Empty for a client without one. */
  readonly token: string;
  readonly #base: string;

  /** `base` is an address without a slash at its end. */
  constructor(base: string, token = '') {
    this.#base = base;
    this.token = token;
  }

  /** Sends a request and reads its JSON, whatever its status is. A body that is text is sent as it is. */
  async send<T>(method: string, path: string, body?: unknown, headers: HeadersInit = {}): Promise<Answer<T>> {
    const sent = new Headers(headers);
    if (this.token !== '') sent.set('authorization', `Bearer ${this.token}`);
    const response = await fetch(`${this.#base}${path}`, {
      method,
      headers: sent,
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    const value = (text === '' ? undefined : JSON.parse(text)) as T;
    return { status: response.status, headers: response.headers, body: value };
  }

  /** The JSON of a request that succeeds. */
  async get<T>(path: string): Promise<T> {
    return this.#succeed<T>('GET', path);
  }

  async post<T>(path: string, body?: unknown): Promise<T> {
    return this.#succeed<T>('POST', path, body);
  }

  async patch<T>(path: string, body: unknown): Promise<T> {
    return this.#succeed<T>('PATCH', path, body);
  }

  async put<T>(path: string, body: unknown): Promise<T> {
    return this.#succeed<T>('PUT', path, body);
  }

  async #succeed<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.send<T>(method, path, body);
    if (answer.status >= 400)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
}
