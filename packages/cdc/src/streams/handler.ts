import { StreamError } from './error.ts';
import { expiryOf, forkOf, isClosing, producerOf, seqOf } from './header.ts';
import { longPoll, serverSentEvents, type LiveOptions } from './live.ts';
import { bodyOf } from './message.ts';
import { nameOf } from './name.ts';
import { readOnlySource, type ReadOnlyStream, type Watches } from './read-only.ts';
import { empty, pageResponse, preflight, refusal, secured } from './respond.ts';
import type { Source } from './source.ts';
import type { Store } from './store.ts';
import type { Waiters } from './waiters.ts';

/** What a request wants of a stream. */
export interface StreamAccess {
  /** The stream's name: its path below the base path, decoded. */
  readonly stream: string;
  /** `fork` makes the stream `stream` from `source`; `read` is asked of the source besides. */
  readonly action: 'read' | 'create' | 'append' | 'close' | 'delete' | 'fork';
  readonly source?: string;
}

/**
 * Whether a request may have it: a Response is the refusal itself. Must not read the request's body. An app that
 * knows its users by a cookie has to look at `Origin` too: other sites' pages can send appends.
 */
export type Authorize = (
  request: Request,
  access: StreamAccess,
) => boolean | Response | Promise<boolean | Response>;

/** What the endpoint serves, and how. */
export interface HandlerOptions extends LiveOptions {
  readonly store: Store;
  readonly waiters: Waiters;
  readonly watches: Watches;
  readonly basePath: string;
  readonly authorize: Authorize;
  readonly readOnly: (name: string) => ReadOnlyStream | undefined | Promise<ReadOnlyStream | undefined>;
  readonly maxBodyBytes: number;
  readonly pageBytes: number;
  readonly corsOrigin: string;
}

/** The refusal that the app gave itself. */
class Refused extends Error {
  readonly response: Response;

  constructor(response: Response) {
    super('refused');
    this.response = response;
  }
}

const READ_METHODS = 'GET, HEAD, OPTIONS';
const METHODS = 'GET, HEAD, PUT, POST, DELETE, OPTIONS';

/** Answers requests for streams. */
export class Handler {
  readonly #options: HandlerOptions;

  constructor(options: HandlerOptions) {
    this.#options = options;
  }

  /** Answers a request; errors that are not the request's fault are thrown. */
  async fetch(request: Request): Promise<Response> {
    return secured(await this.#answer(request), this.#options.corsOrigin);
  }

  async #answer(request: Request): Promise<Response> {
    try {
      if (request.method === 'OPTIONS') return preflight();
      const url = new URL(request.url);
      return await this.#route(request, url, nameOf(url.pathname, this.#options.basePath));
    } catch (error) {
      if (error instanceof Refused) return error.response;
      if (error instanceof StreamError) return refusal(error);
      throw error;
    }
  }

  #route(request: Request, url: URL, name: string): Promise<Response> {
    switch (request.method) {
      case 'GET':
        return this.#get(request, url, name);
      case 'HEAD':
        return this.#head(request, name);
      case 'PUT':
        return this.#put(request, url, name);
      case 'POST':
        return this.#post(request, name);
      case 'DELETE':
        return this.#delete(request, name);
      default:
        throw new StreamError(405, `streams have no method ${request.method}`, { allow: METHODS });
    }
  }

  async #permit(request: Request, access: StreamAccess): Promise<void> {
    // What is neither true nor a Response is no permission, whatever a program without types returns.
    const answer: unknown = await this.#options.authorize(request, access);
    if (answer instanceof Response) throw new Refused(answer);
    if (answer !== true)
      throw new StreamError(403, `${access.action} is not allowed on ${JSON.stringify(access.stream)}`);
  }

  async #source(name: string, isUse: boolean): Promise<Source> {
    const { store, waiters, watches, pageBytes, readOnly } = this.#options;
    const stream = await readOnly(name);
    return stream === undefined
      ? await store.open(name, isUse)
      : readOnlySource(name, stream, pageBytes, waiters, watches);
  }

  async #refuseReadOnly(name: string): Promise<void> {
    if ((await this.#options.readOnly(name)) !== undefined)
      throw new StreamError(405, `the stream ${JSON.stringify(name)} is read-only`, { allow: READ_METHODS });
  }

  async #get(request: Request, url: URL, name: string): Promise<Response> {
    const live = url.searchParams.get('live');
    const offsets = url.searchParams.getAll('offset');
    if (offsets.length > 1) throw new StreamError(400, 'there are several offsets: give one');
    if (live !== null && live !== 'long-poll' && live !== 'sse')
      throw new StreamError(400, `live is ${JSON.stringify(live.slice(0, 20))}: give long-poll or sse`);
    if (live !== null && offsets.length === 0)
      throw new StreamError(400, `live=${live} needs an offset: give -1, now, or a Stream-Next-Offset`);
    await this.#permit(request, { stream: name, action: 'read' });
    const source = await this.#source(name, true);
    const offset = offsets[0] ?? '-1';
    const from = source.offset(offset === 'now' ? source.tail() : offset);
    if (live === 'long-poll') return await longPoll(request, source, from, this.#options);
    if (live === 'sse') return serverSentEvents(request, source, from, this.#options);
    if (offset === 'now') return now(source);
    return pageResponse(request, source, await source.page(from), from, this.#options.cacheable);
  }

  async #head(request: Request, name: string): Promise<Response> {
    await this.#permit(request, { stream: name, action: 'read' });
    const source = await this.#source(name, false);
    return empty(200, {
      'content-type': source.contentType,
      'stream-next-offset': source.tail(),
      ...source.headers,
    });
  }

  async #put(request: Request, url: URL, name: string): Promise<Response> {
    const { headers } = request;
    const asked = forkOf(headers);
    const expiry = expiryOf(headers);
    const fork = asked && { ...asked, source: this.#sourceName(url, asked.path) };
    if (fork === undefined) await this.#permit(request, { stream: name, action: 'create' });
    else {
      await this.#permit(request, { stream: name, action: 'fork', source: fork.source });
      await this.#permit(request, { stream: fork.source, action: 'read' });
      if ((await this.#options.readOnly(fork.source)) !== undefined)
        throw new StreamError(400, `the stream ${JSON.stringify(fork.source)} is read-only: it has no forks`);
    }
    await this.#refuseReadOnly(name);
    const { store, maxBodyBytes } = this.#options;
    const closes = isClosing(headers);
    const contentType = headers.get('content-type')?.trim() || undefined;
    const body = await bodyWithin(request, maxBodyBytes);
    const created = await store.create({ name, body, contentType, expiry, closes, fork });
    return empty(created.isThere ? 200 : 201, {
      'content-type': created.contentType,
      'stream-next-offset': created.offset,
      ...(created.isThere ? {} : { location: `${url.origin}${url.pathname}` }),
      ...(created.isClosed ? { 'stream-closed': 'true' } : {}),
    });
  }

  /** The name of the stream at a path, or a URL of this server. */
  #sourceName(url: URL, path: string): string {
    const source = URL.canParse(path, url.href) ? new URL(path, url.href) : undefined;
    if (source === undefined || source.origin !== url.origin)
      throw new StreamError(400, 'Stream-Forked-From is no path of this server');
    return nameOf(source.pathname, this.#options.basePath);
  }

  async #post(request: Request, name: string): Promise<Response> {
    const { headers } = request;
    const closes = isClosing(headers);
    const producer = producerOf(headers);
    const seq = seqOf(headers);
    await this.#permit(request, { stream: name, action: closes ? 'close' : 'append' });
    await this.#refuseReadOnly(name);
    const { store, maxBodyBytes } = this.#options;
    const body = await bodyWithin(request, maxBodyBytes);
    if (body.length === 0 && !closes)
      throw new StreamError(400, 'the body is empty: there is nothing to append');
    if (body.length > 0 && closes) await this.#permit(request, { stream: name, action: 'append' });
    const contentType = headers.get('content-type')?.trim() || undefined;
    if (body.length > 0 && contentType === undefined)
      throw new StreamError(400, 'an append needs a Content-Type');
    const appended = await store.append({ name, body, contentType, closes, producer, seq });
    const isNewData = producer !== undefined && !appended.isDuplicate && body.length > 0;
    return empty(isNewData ? 200 : 204, {
      'stream-next-offset': appended.offset,
      ...(appended.isClosed ? { 'stream-closed': 'true' } : {}),
      ...(appended.producer === undefined
        ? {}
        : {
            'producer-epoch': String(appended.producer.epoch),
            'producer-seq': String(appended.producer.seq),
          }),
    });
  }

  async #delete(request: Request, name: string): Promise<Response> {
    await this.#permit(request, { stream: name, action: 'delete' });
    await this.#refuseReadOnly(name);
    await this.#options.store.delete(name);
    return empty(204);
  }
}

/** Nothing, and the place where what comes will be. */
function now(source: Source): Response {
  return new Response(bodyOf([], source.contentType), {
    headers: {
      'content-type': source.contentType,
      'cache-control': 'no-store',
      'stream-next-offset': source.tail(),
      'stream-up-to-date': 'true',
      ...(source.isClosed ? { 'stream-closed': 'true' } : {}),
    },
  });
}

/** What of a body that is too large is read all the same: a client that is still sending gets no answer. */
const DISCARDED_BODIES = 4;

/** @throws StreamError 413 for more than `maxBytes`. */
async function bodyWithin(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = Number(request.headers.get('content-length') ?? 0) > DISCARDED_BODIES * maxBytes ? Infinity : 0;
  for await (const chunk of size === Infinity ? [] : (request.body ?? [])) {
    const bytes = chunk as Uint8Array;
    size += bytes.length;
    if (size <= maxBytes) chunks.push(bytes);
    else chunks.length = 0;
    if (size > DISCARDED_BODIES * maxBytes) break;
  }
  if (size > maxBytes)
    throw new StreamError(413, `the body is larger than ${maxBytes} bytes: append it in parts`);
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
