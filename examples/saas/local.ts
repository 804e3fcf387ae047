import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { verifyWebhook, type WebhookPayload } from '@dotdo/cdc';
import { LiveClient } from '@dotdo/cdc/client';
import { HttpClient, startApp, type Answer, type LocalApp } from '@dotdo/example-shared/local/app';
import { Operator } from './operator.ts';

/** Signs the operator's tokens while the app runs here. */
export const OPERATOR_SECRET: string = crypto.randomUUID();

/** Starts the app on a free port, with storage that lasts until `harness.close()`. */
export async function startLocally(
  vars: Readonly<Record<string, string>> = { LOCAL_WEBHOOKS: 'yes' },
): Promise<LocalApp> {
  // Nobody waits here for the fleet's numbers.
  return startApp(import.meta.dirname, {
    vars: { FLEET_LINGER_MS: '0', ...vars },
    secrets: { OPERATOR_SECRET },
  });
}

/** The operator of an app that runs here. */
export function operatorOf(url: URL): Promise<Operator> {
  return Operator.of(url, OPERATOR_SECRET);
}

/** One tenant's view of the app: what a client with its token can do. */
export class Client extends HttpClient {
  readonly tenant: string;
  readonly #url: URL;

  constructor(url: URL, tenant: string, token: string) {
    super(`${url.origin}/t/${tenant}`, token);
    this.#url = url;
    this.tenant = tenant;
  }

  /** Signs a tenant up, with an owner, user 1. */
  static async signUp(url: URL, tenant: string, ownerName = 'Olive Owner'): Promise<Client> {
    const owner = { email: `owner@${tenant}.test`, name: ownerName };
    const { token } = await new HttpClient(url.origin).post<{ token: string }>('/signup', { tenant, owner });
    return new Client(url, tenant, token);
  }

  /** Sends a request of this tenant's to another one. */
  async sendTo<T>(tenant: string, method: string, path: string): Promise<Answer<T>> {
    return new HttpClient(`${this.#url.origin}/t/${tenant}`, this.token).send<T>(method, path);
  }

  /** A connection for live queries of the board. */
  live(): LiveClient {
    return new LiveClient({
      url: new URL(`/t/${this.tenant}/live`, this.#url),
      publication: 'board',
      protocols: [`bearer.${this.token}`],
    });
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
