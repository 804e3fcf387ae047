import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { verifyWebhook, type WebhookPayload } from '@dotdo/cdc';
import { LiveClient } from '@dotdo/cdc/client';
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
export async function startLocally(
  vars: Readonly<Record<string, string>> = { LOCAL_WEBHOOKS: 'yes' },
): Promise<LocalApp> {
  // Otherwise the runtime asks the network where on earth it is.
  process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
  process.env['WRANGLER_LOG'] ??= 'warn';
  const harness = createTestHarness({
    root: import.meta.dirname,
    workers: [{ configPath: './wrangler.jsonc', vars, secrets: { TOKEN_SECRET: crypto.randomUUID() } }],
  });
  const { url } = await harness.listen();
  return { url, harness };
}

/** Waits until something is so, and throws if that takes too long. */
export async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`not within 10 s: ${String(check)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
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

  async put<T>(path: string, body: unknown): Promise<T> {
    return this.#succeed<T>('PUT', path, body);
  }

  /** A connection for live queries of the board. */
  live(): LiveClient {
    return new LiveClient({
      url: new URL(`/t/${this.tenant}/live`, this.#url),
      publication: 'board',
      protocols: [`bearer.${this.token}`],
    });
  }

  async #succeed<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.send<T>(method, path, body);
    if (answer.status >= 400)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }
}

/** A server on this machine that takes webhooks, as someone would who is told of a tenant's changes. */
export class WebhookReceiver {
  readonly url: string;
  /** What the sender has to sign with. */
  readonly secret: string;
  /** What was posted and rightly signed. */
  readonly payloads: WebhookPayload[] = [];
  /** What it answers to that. */
  status = 204;
  readonly #server: Server;

  private constructor(server: Server, secret: string) {
    const { port } = server.address() as AddressInfo;
    this.url = `http://127.0.0.1:${port}/hook`;
    this.secret = secret;
    this.#server = server;
    server.on('request', (request, response) => {
      this.#take(request).then(
        () => response.writeHead(this.status).end(),
        () => response.writeHead(401).end(),
      );
    });
  }

  /** Starts one on a free port. */
  static async start(): Promise<WebhookReceiver> {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return new WebhookReceiver(server, `whsec_${Buffer.from(bytes).toString('base64')}`);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** @throws WebhookError for what is not signed with the secret. */
  async #take(message: IncomingMessage): Promise<void> {
    const headers = Object.entries(message.headersDistinct).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    );
    const request = new Request(this.url, { method: 'POST', headers, body: await text(message) });
    const payload = await verifyWebhook(request, this.secret);
    if (this.status < 300) this.payloads.push(payload);
  }
}
