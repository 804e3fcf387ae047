import { runInDurableObject } from 'cloudflare:test';
import { createStreams, type Streams, type StreamsOptions } from '@dotdo/cdc';
import { DB, type Database } from '../../src/index.ts';
import type { TestObject } from '../worker.ts';
import { newObject } from './database.ts';

/** Far from any clock: streams expire by the bench's own. */
const START_MS = Date.UTC(2100, 0);

/** What to send besides the method and the name. */
export interface Sent {
  readonly body?: string | Uint8Array;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly type?: string;
  readonly signal?: AbortSignal;
}

/** An endpoint in an object of its own. */
export interface StreamBench {
  readonly db: Database;
  readonly streams: Streams;
  /** Sends a request for the stream at a path, which is encoded already. */
  readonly send: (method: string, path: string, sent?: Sent) => Promise<Response>;
  /** Lets time pass. */
  readonly pass: (ms: number) => void;
  readonly nowMs: () => number;
}

/** What to set differently for a bench. */
export type BenchOptions = Partial<StreamsOptions>;

/** Serves streams of a database, by a clock that stands still. */
export function streamBench(database: Database, options: BenchOptions = {}): StreamBench {
  let now = START_MS;
  const streams = createStreams({
    database,
    onCommit: (listener) => database.backend.onCommit(listener),
    nowMs: () => now,
    authorize: () => true,
    basePath: '/streams',
    ...options,
  });
  return {
    db: database,
    streams,
    send: (method, path, { body, query, headers, type = 'application/json', signal } = {}) =>
      streams.fetch(
        new Request(`https://app.example/streams/${path}${query === undefined ? '' : `?${query}`}`, {
          method,
          headers: {
            ...(body === undefined && method !== 'PUT' ? {} : { 'content-type': type }),
            ...headers,
          },
          ...(body === undefined ? {} : { body }),
          ...(signal === undefined ? {} : { signal }),
        }),
      ),
    pass: (ms) => void (now += ms),
    nowMs: () => now,
  };
}

/** Runs `use` with an endpoint in a new object, or in the one that is given. */
export function withStreams<T>(
  use: (bench: StreamBench) => Promise<T>,
  options: BenchOptions = {},
  stub: DurableObjectStub<TestObject> = newObject(),
): Promise<T> {
  return runInDurableObject(stub, async (_, { storage }) =>
    use(streamBench(await DB('test', { storage }), options)),
  );
}

/** All messages of a stream of JSON, read page by page. */
export async function readAll(bench: StreamBench, path: string, offset = '-1'): Promise<unknown[]> {
  const messages: unknown[] = [];
  for (let at = offset; ;) {
    const response = await bench.send('GET', path, { query: `offset=${at}` });
    if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
    messages.push(...(await response.json<unknown[]>()));
    at = response.headers.get('stream-next-offset') as string;
    if (response.headers.has('stream-up-to-date')) return messages;
  }
}
