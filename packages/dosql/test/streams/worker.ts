import { DurableObject } from 'cloudflare:workers';
import { createStreams, type Streams } from '@dotdo/cdc';
import { DB } from '../../src/index.ts';

interface Env {
  STREAMS: DurableObjectNamespace<StreamsObject>;
}

/** How long a long poll waits here, and how often readers of events are sent a comment: the tests wait for both. */
const WAIT_MS = 1_000;

/** An object that serves streams to everyone. */
export class StreamsObject extends DurableObject<Env> {
  #streams: Promise<Streams> | undefined;

  async #open(): Promise<Streams> {
    const database = await DB('streams', { storage: this.ctx.storage });
    return createStreams({
      database,
      onCommit: (listener) => database.backend.onCommit(listener),
      authorize: () => true,
      basePath: '/v1/stream',
      longPollMs: WAIT_MS,
      keepAliveMs: WAIT_MS,
    });
  }

  override async fetch(request: Request): Promise<Response> {
    const streams = await (this.#streams ??= this.#open());
    if (new URL(request.url).pathname === '/waiting') return new Response(String(streams.waiting));
    return streams.fetch(request);
  }
}

export default {
  fetch: (request, env) => env.STREAMS.get(env.STREAMS.idFromName('all')).fetch(request),
} satisfies ExportedHandler<Env>;
