import { LiveClient } from '@dotdo/cdc/client';
import { HttpClient, startApp, type LocalApp } from '@dotdo/example-shared/local/app';

/** Starts the app on a free port, with storage that lasts until `harness.close()`. */
export async function startLocally(): Promise<LocalApp> {
  return startApp(import.meta.dirname, {
    vars: { LOCAL_PLACEMENT: 'yes' },
    secrets: { HASH_KEY: crypto.randomUUID() },
  });
}

/** What one visitor does, as a page reports it. */
export interface Event {
  readonly id: string;
  readonly sessionId: string;
  readonly userId?: string;
  readonly eventType: string;
  readonly pageUrl: string;
  readonly timestamp: number;
  readonly [field: string]: unknown;
}

/** An event of now, with an id of its own. */
export function event(given: Partial<Event> = {}): Event {
  return {
    id: crypto.randomUUID(),
    sessionId: 'session',
    eventType: 'page_view',
    pageUrl: 'https://shop.example/',
    timestamp: Date.now(),
    ...given,
  };
}

/** What was made of events. */
export interface Ingested {
  readonly region: string;
  readonly accepted: number;
  readonly duplicates: number;
}

/** Continents that stand for the regions, as the network in front of a Worker tells them. */
export const CONTINENTS = { eu: 'EU', na: 'NA', sa: 'SA', as: 'AS', oc: 'OC', af: 'AF' } as const;

/** Whoever runs a site: what can be done with its tokens. */
export class SiteClient extends HttpClient {
  readonly site: string;
  readonly url: URL;
  readonly tokens: { readonly write: string; readonly read: string; readonly admin: string };

  private constructor(url: URL, site: string, tokens: SiteClient['tokens']) {
    super(`${url.origin}/s/${site}`, tokens.admin);
    this.url = url;
    this.site = site;
    this.tokens = tokens;
  }

  static async signUp(url: URL, site: string): Promise<SiteClient> {
    const made = await new HttpClient(url.origin).post<SiteClient['tokens']>('/signup', { site });
    const { write, read, admin } = made;
    return new SiteClient(url, site, { write, read, admin });
  }

  /** One of the site's clients, with another token. */
  as(token: string): HttpClient {
    return new HttpClient(`${this.url.origin}/s/${this.site}`, token);
  }

  /** Reports events from a place on earth. */
  async report(
    from: keyof typeof CONTINENTS,
    events: readonly Event[],
    ip = '203.0.113.77',
  ): Promise<Ingested> {
    const headers = {
      // What the local runtime takes for the part of a request that tells where it is from.
      'mf-cf-blob': JSON.stringify({ continent: CONTINENTS[from] }),
      'cf-connecting-ip': ip,
    };
    const client = this.as(this.tokens.write);
    const { status, body } = await client.send<Ingested>('POST', '/ingest/batch', { events }, headers);
    if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`);
    return body;
  }

  /** A connection for live queries of the dashboard. */
  live(): LiveClient {
    return new LiveClient({
      url: new URL(`/s/${this.site}/live`, this.url),
      publication: 'dashboard',
      protocols: [`bearer.${this.tokens.read}`],
    });
  }
}

/** Every cell of every table of an object, DoSQL's own among them. */
export async function everythingIn(
  { harness }: LocalApp,
  className: 'Region' | 'Site',
  name: string,
): Promise<Buffer> {
  const storage = await harness.getWorker().getDurableObjectStorage(className, { name });
  const tables = await storage.exec(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
  );
  const cells: Buffer[] = [];
  for (const { name: table } of tables as { name: string }[])
    for (const row of (await storage.exec(`SELECT * FROM "${table}"`)) as Record<string, unknown>[])
      for (const value of Object.values(row))
        cells.push(
          value instanceof ArrayBuffer || ArrayBuffer.isView(value)
            ? Buffer.from(value)
            : Buffer.from(String(value)),
        );
  return Buffer.concat(cells.map((cell) => Buffer.concat([cell, Buffer.from('\n')])));
}
