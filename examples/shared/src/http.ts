import { DoSQLError } from '@dotdo/dosql';

/** The largest request body that is read where an app does not say otherwise. */
const MAX_BODY_BYTES = 64 * 1024;
/** A client may lose the answer to a body that it is still sending, so this much of it is read beyond the limit. */
const LINGER_BYTES = 1024 * 1024;

/** A field of the input, and what it has to be. */
export interface Issue {
  readonly field: string;
  readonly message: string;
}

/** An answer other than success. Thrown anywhere, it becomes the response; `body` is added to its JSON. */
export class HttpError extends Error {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    message: string,
    body: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** Refuses a WebSocket or a form that a page of another site opened, whatever token it has got hold of. */
export function requireSameOrigin({ url, headers }: Request): void {
  const origin = headers.get('origin');
  if (origin === null || (URL.canParse(origin) && new URL(origin).host === new URL(url).host)) return;
  throw new HttpError(403, 'this is for pages of its own site');
}

/** 404 for a row that is not there. */
export function notFound(what: string): HttpError {
  return new HttpError(404, `there is no such ${what}`);
}

/** 405, with what the path does take. */
export function methodNotAllowed(allowed: readonly string[]): HttpError {
  const allow = allowed.join(', ');
  return new HttpError(405, `this path takes ${allow}`, {}, { allow });
}

/** A JSON response. LSNs are bigints; as JSON numbers they are exact up to 2^53, some millennia of writes. */
export function json(value: unknown, init: ResponseInit = {}): Response {
  const headers = new Headers(init.headers);
  headers.set('content-type', 'application/json');
  headers.set('cache-control', 'no-store');
  headers.set('x-content-type-options', 'nosniff');
  return new Response(toJson(value), { ...init, headers });
}

/** JSON text with every bigint as a number. */
export function toJson(value: unknown): string {
  try {
    // Hardly any answer has a bigint, and a function that is asked about each value takes as long again.
    return JSON.stringify(value);
  } catch {
    return JSON.stringify(value, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
  }
}

/** The JSON value in a request's body, read no further than the limit. */
export async function readJson(request: Request, maxBytes: number = MAX_BODY_BYTES): Promise<unknown> {
  const text = await readText(request, maxBytes);
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(400, 'the body is not JSON');
  }
}

/** The text of a request's body, of which no more than the limit is kept. */
export async function readText(request: Request, maxBytes: number = MAX_BODY_BYTES): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
  let text = '';
  let sizeBytes = 0;
  try {
    // A body that tells its length has no more than that: read at once it costs less than in chunks.
    const told = Number(request.headers.get('content-length') ?? Number.NaN);
    if (told <= maxBytes) return decoder.decode(await request.arrayBuffer());
    for await (const chunk of request.body ?? []) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes <= maxBytes) text += decoder.decode(chunk, { stream: true });
      else if (sizeBytes > maxBytes + LINGER_BYTES) break;
    }
    if (sizeBytes <= maxBytes) return text + decoder.decode();
  } catch {
    throw new HttpError(400, 'the body is not text in UTF-8');
  }
  throw new HttpError(413, `the body is larger than ${maxBytes / 1024} KiB`);
}

/** The response for whatever was thrown. What nobody foresaw is logged, and tells the client nothing. */
export function errorResponse(error: unknown): Response {
  const known = error instanceof HttpError ? error : databaseError(error);
  if (known !== undefined)
    return json({ error: known.message, ...known.body }, { status: known.status, headers: known.headers });
  console.error(error);
  return json({ error: 'internal error' }, { status: 500 });
}

/** The constraints that a valid request can still run into, and what comes and goes meanwhile. */
function databaseError(error: unknown): HttpError | undefined {
  if (!(error instanceof DoSQLError)) return undefined;
  if (error.code === 'NO_SUCH_BRANCH') return notFound('branch');
  if (error.code === 'BRANCH_EXISTS') return new HttpError(409, 'there is a branch of this name');
  if (error.code === 'STORAGE_UNAVAILABLE')
    return new HttpError(
      503,
      'what is asked for lies in the archive, which does not answer: try again later',
    );
  if (error.code === 'CONSTRAINT_FOREIGNKEY')
    return new HttpError(422, 'the body refers to a row that is not there');
  if (error.code !== 'CONSTRAINT_UNIQUE') return undefined;
  const field = /failed: \w+\.(\w+)/.exec(error.message)?.[1] ?? 'value';
  return new HttpError(409, `this ${field} is taken`);
}
