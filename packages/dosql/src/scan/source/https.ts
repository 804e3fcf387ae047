import { DoSQLError } from '../../error.ts';
import type { Budget } from '../budget.ts';
import type { RangeFile } from '../file.ts';
import { checkHost } from '../url.ts';
import { retried, type SourceEnvironment } from './environment.ts';
import { changed, checkRange, MemoryFile } from './files.ts';

/** What is asked for first: enough for most files as a whole. */
const FIRST_BYTES = 1 << 16;
/** Largest file that is kept in memory, from a server that gives no ranges. */
const MAX_WHOLE_BYTES: number = 32 * 2 ** 20;
const MAX_REDIRECTS = 5;
const TIMEOUT_MS = 30_000;

/** A file that was fetched, or is by ranges, with what the server calls its content. */
export interface Fetched {
  readonly file: RangeFile;
  readonly contentType: string;
}

/**
 * The file at an https URL: by ranges where the server has them and names versions, else as a whole in memory.
 *
 * Each host that the way leads to is checked, redirects included.
 *
 * @throws DoSQLError `FORBIDDEN_URL`, `NO_SUCH_FILE`, `STORAGE_UNAVAILABLE`, `TOO_BIG` past 32 MiB without ranges.
 */
export async function openHttps(
  url: string,
  href: string,
  environment: SourceEnvironment,
  budget: Budget,
  signal?: AbortSignal,
): Promise<Fetched> {
  const context: Context = { url, environment };
  const answer = await request(context, href, { range: `bytes=0-${FIRST_BYTES - 1}` }, signal);
  const { response } = answer;
  const contentType = response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const etag = response.headers.get('etag') ?? '';
  if (response.status === 206) {
    const range = contentRange(response);
    const isPlain = (response.headers.get('content-encoding') ?? 'identity') === 'identity';
    if (range !== undefined && isPlain && range.start === 0) {
      const head = await body(response, FIRST_BYTES);
      budget.request(head.length);
      if (head.length !== range.end) throw unreachable(url, 'sent less than it said');
      if (range.size === head.length) return { file: new MemoryFile(url, head, etag), contentType };
      // A weak tag does not promise the same bytes.
      if (etag.startsWith('"'))
        return { file: new HttpsFile(context, answer.href, range.size, etag, head), contentType };
    } else await response.body?.cancel();
    const whole = await request(context, answer.href, {}, signal);
    return { file: await download(context, whole.response, etag, budget), contentType };
  }
  // An empty file has no range to give.
  if (response.status === 416) {
    await response.body?.cancel();
    return { file: new MemoryFile(url, new Uint8Array(0), etag), contentType };
  }
  return { file: await download(context, response, etag, budget), contentType };
}

interface Context {
  readonly url: string;
  readonly environment: SourceEnvironment;
}

async function download(
  context: Context,
  response: Response,
  etag: string,
  budget: Budget,
): Promise<RangeFile> {
  const bytes = await body(response, MAX_WHOLE_BYTES, () => tooLarge(context.url));
  budget.request(bytes.length);
  return new MemoryFile(context.url, bytes, etag);
}

class HttpsFile implements RangeFile {
  readonly name: string;
  readonly size: number;
  readonly etag: string;
  readonly #context: Context;
  readonly #href: string;
  readonly #head: Uint8Array;

  constructor(context: Context, href: string, size: number, etag: string, head: Uint8Array) {
    this.name = context.url;
    this.size = size;
    this.etag = etag;
    this.#context = context;
    this.#href = href;
    this.#head = head;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
    checkRange(this, offset, length);
    if (offset + length <= this.#head.length) return this.#head.slice(offset, offset + length);
    const end = offset + length;
    const headers = { range: `bytes=${offset}-${end - 1}`, 'if-range': this.etag };
    const { environment } = this.#context;
    return retried(
      this.name,
      async () => {
        const { response } = await request(this.#context, this.#href, headers, signal);
        const range = response.status === 206 ? contentRange(response) : undefined;
        const etag = response.headers.get('etag');
        if (range === undefined || range.size !== this.size || (etag !== null && etag !== this.etag)) {
          await response.body?.cancel();
          throw changed(this.name);
        }
        const bytes = await body(response, length);
        if (range.start !== offset || range.end !== end || bytes.length !== length)
          throw new Error('another range came');
        return bytes;
      },
      environment,
      signal,
    );
  }
}

/** An answer that is a file or a part of one, and where it came from in the end. */
async function request(
  { url, environment }: Context,
  start: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<{ response: Response; href: string }> {
  let href = start;
  for (let hops = 0; ; hops++) {
    checkHost(url, href, environment.fetch);
    const target = href;
    const response = await retried(
      url,
      () => attempt(target, headers, environment, signal),
      environment,
      signal,
    );
    if (response.ok || response.status === 416) return { response, href };
    await response.body?.cancel();
    const location = response.headers.get('location');
    if (![301, 302, 303, 307, 308].includes(response.status) || location === null)
      throw refused(url, response.status);
    if (hops === MAX_REDIRECTS) throw unreachable(url, `redirects more than ${MAX_REDIRECTS} times`);
    const next = URL.parse(location, href);
    if (next === null) throw unreachable(url, 'redirects to what is no URL');
    href = next.href;
  }
}

async function attempt(
  href: string,
  headers: Readonly<Record<string, string>>,
  { fetcher }: SourceEnvironment,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetcher(href, {
    headers: { accept: '*/*', 'accept-encoding': 'identity', ...headers },
    redirect: 'manual',
    signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
  });
  // Servers that are overloaded or broken for the moment are asked again.
  if (response.status < 500 && response.status !== 429) return response;
  await response.body?.cancel();
  throw new Error(`it answered ${response.status}`);
}

/** What a Content-Range says: the end is the first byte after it. */
function contentRange(response: Response): { start: number; end: number; size: number } | undefined {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('content-range') ?? '');
  if (match === null) return undefined;
  return { start: Number(match[1]), end: Number(match[2]) + 1, size: Number(match[3]) };
}

/** The whole body, which must not be longer than `limit`. */
async function body(
  response: Response,
  limit: number,
  tooLarge: () => Error = () => new Error('more came than was asked for'),
): Promise<Uint8Array> {
  const announced = Number(response.headers.get('content-length') ?? 0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  if (announced > limit) {
    await response.body?.cancel();
    throw tooLarge();
  }
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader();
  for (;;) {
    const next = await reader?.read();
    if (next === undefined || next.done) break;
    size += next.value.length;
    if (size > limit) {
      await reader?.cancel();
      throw tooLarge();
    }
    chunks.push(next.value);
  }
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

function tooLarge(url: string): DoSQLError {
  return new DoSQLError(
    'TOO_BIG',
    `${url} is larger than the ${MAX_WHOLE_BYTES.toLocaleString('en')} bytes that can be kept of a file from a server without ranges: copy it to a bucket`,
  );
}

function refused(url: string, status: number): DoSQLError {
  if (status === 404 || status === 410)
    return new DoSQLError('NO_SUCH_FILE', `there is no file ${url}: its server answered ${status}`);
  return unreachable(url, `was answered with ${status}`);
}

function unreachable(url: string, problem: string): DoSQLError {
  return new DoSQLError('STORAGE_UNAVAILABLE', `${url} ${problem}`);
}
