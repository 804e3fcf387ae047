import type { StreamError } from './error.ts';
import { bodyOf } from './message.ts';
import type { Page } from './read.ts';
import type { Source } from './source.ts';

/** Who may keep answers: browsers only, or shared caches too. */
export type Cacheable = 'private' | 'public';

const EXPOSED =
  'Stream-Next-Offset, Stream-Cursor, Stream-Up-To-Date, Stream-Closed, Stream-TTL, Stream-Expires-At, Stream-SSE-Data-Encoding, Producer-Epoch, Producer-Seq, Producer-Expected-Seq, Producer-Received-Seq, ETag, Location';
const ALLOWED =
  'Authorization, Content-Type, If-None-Match, Stream-Seq, Stream-TTL, Stream-Expires-At, Stream-Closed, Stream-Forked-From, Stream-Fork-Offset, Stream-Fork-Sub-Offset, Producer-Id, Producer-Epoch, Producer-Seq';

/** An answer without a body. */
export function empty(status: number, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(null, { status, headers: { 'cache-control': 'no-store', ...headers } });
}

/** An answer that says why not. */
export function refusal({ status, message, headers }: StreamError): Response {
  return new Response(`${message}\n`, {
    status,
    headers: {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      ...headers,
    },
  });
}

/** The answer to a browser that asks what it may ask. */
export function preflight(): Response {
  return empty(204, {
    'access-control-allow-methods': 'GET, HEAD, PUT, POST, DELETE, OPTIONS',
    'access-control-allow-headers': ALLOWED,
    'access-control-max-age': '86400',
  });
}

/** The answer with what browsers need to be told; what the app said itself stays. */
export function secured(response: Response, origin: string): Response {
  const headers = new Headers(response.headers);
  const common = {
    'x-content-type-options': 'nosniff',
    'cross-origin-resource-policy': 'cross-origin',
    // Whoever opens a stream of HTML that a client made does not run it as a page of the app's.
    'content-security-policy': "default-src 'none'; sandbox",
    'access-control-allow-origin': origin,
    'access-control-expose-headers': EXPOSED,
  };
  for (const [name, value] of Object.entries(common)) if (!headers.has(name)) headers.set(name, value);
  if (origin !== '*') headers.append('vary', 'Origin');
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}

/** What the headers say of a page. */
export function pageHeaders(page: Page): Record<string, string> {
  return {
    'stream-next-offset': page.next,
    ...(page.isUpToDate ? { 'stream-up-to-date': 'true' } : {}),
    ...(page.isClosed ? { 'stream-closed': 'true' } : {}),
  };
}

/**
 * The answer with a page. Only what can never grow may be kept without asking: a page up to the end of the
 * stream is asked for again, by its ETag.
 */
export function pageResponse(
  request: Request,
  source: Source,
  page: Page,
  from: string,
  cacheable: Cacheable,
  more: Readonly<Record<string, string>> = {},
): Response {
  const state = page.isClosed ? ':closed' : page.isUpToDate ? ':tail' : '';
  const etag = `"${source.tag}:${from}:${page.next}${state}"`;
  const isFinal = cacheable === 'public' || !page.isUpToDate || page.isClosed;
  const headers = {
    ...pageHeaders(page),
    ...more,
    etag,
    'cache-control': isFinal
      ? `${cacheable}, max-age=60, stale-while-revalidate=300`
      : `${cacheable}, no-cache`,
  };
  if (isKnown(request.headers.get('if-none-match'), etag)) return empty(304, headers);
  return new Response(bodyOf(page.messages, source.contentType), {
    headers: { ...headers, 'content-type': source.contentType },
  });
}

function isKnown(header: string | null, etag: string): boolean {
  const known = (header ?? '').split(',').map((text) => text.trim().replace(/^W\//, ''));
  return known.includes(etag) || known.includes('*');
}
