import { HttpClient, startApp } from '@dotdo/example-shared/local/app';

/** The app as it would be deployed, in the Workers runtime of this machine, with a bucket and a simulated year. */
export interface LocalApp {
  readonly origin: string;
  /** What can be asked of one plant. */
  readonly plant: HttpClient;
  close(): Promise<void>;
}

/** Starts the app on a free port, with storage that lasts until `close()`; its time begins at `startsAt`. */
export async function startLocally(startsAt: Date): Promise<LocalApp> {
  const { url, harness } = await startApp(import.meta.dirname, {
    vars: { STARTS_AT: String(startsAt.getTime()) },
  });
  return {
    origin: url.origin,
    plant: new HttpClient(`${url.origin}/plants/north`),
    close: () => harness.close(),
  };
}
