import { createTestHarness } from 'wrangler';

/** The app as it would be deployed, in the Workers runtime of this machine, with a bucket and a simulated year. */
export interface LocalApp {
  readonly origin: string;
  /** Sends a request to one plant, and reads the JSON of its answer. */
  send<T>(method: string, path: string, body?: unknown): Promise<T>;
  close(): Promise<void>;
}

/** Starts the app on a free port, with storage that lasts until `close()`; its time begins at `startsAt`. */
export async function startLocally(startsAt: Date): Promise<LocalApp> {
  // Otherwise the runtime asks the network where on earth it is.
  process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
  process.env['WRANGLER_LOG'] ??= 'warn';
  const vars = { STARTS_AT: String(startsAt.getTime()) };
  const harness = createTestHarness({
    root: import.meta.dirname,
    workers: [{ configPath: './wrangler.jsonc', vars }],
  });
  const { url } = await harness.listen();
  return {
    origin: url.origin,
    async send<T>(method: string, path: string, body?: unknown): Promise<T> {
      const response = await fetch(new URL(`/plants/north/${path}`, url), {
        method,
        body: body === undefined ? null : JSON.stringify(body),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return JSON.parse(text) as T;
    },
    close: () => harness.close(),
  };
}
