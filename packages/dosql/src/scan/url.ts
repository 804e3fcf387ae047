import { DoSQLError } from '../error.ts';

/**
 * Where a URL in SQL points to.
 *
 * `r2`: keys of a bucket; `files`: paths of the database's own file store. Both paths are exact text, of which nothing
 * is decoded, and may be patterns. `https`: one file.
 */
export type Location =
  | { readonly kind: 'r2'; readonly url: string; readonly bucket: string; readonly path: string }
  | { readonly kind: 'files'; readonly url: string; readonly path: string }
  | { readonly kind: 'https'; readonly url: string; readonly href: string };

/** A bucket of which only what lies under a prefix can be named: `r2://name/x` is the key `prefix/x`. */
export interface PrefixedBucket {
  readonly bucket: R2Bucket;
  readonly prefix: string;
}

/** Buckets by the names that they have in `r2://` URLs. */
export type Buckets = Readonly<Record<string, R2Bucket | PrefixedBucket>>;

/** Which hosts may be fetched from. */
export interface FetchAccess {
  /** Hosts: exact (`api.example.com`), all below one (`*.example.com`), and with a port other than 443 (`host:8443`). */
  readonly allow: readonly string[];
}

/** Longer than any key with the pattern that finds it. */
const MAX_LENGTH = 4096;

/** Whether the name of a table is that of a file. */
export function isUrl(name: string): boolean {
  return /^[a-z][a-z\d+.-]*:\/\//i.test(name);
}

/**
 * Reads a URL in SQL: `r2://bucket/path`, `fsx://path` or `https://host/path`. What it names need not be allowed:
 * {@link bucketOf} and {@link checkHost} say so.
 *
 * The path of `r2` and `fsx` is taken as it stands: nothing in it is percent-decoded, since keys have such text
 * themselves (`day=2026-01-01%2012%3A00`). What would lead elsewhere if anything decoded it, however often, is refused.
 *
 * @throws DoSQLError `FORBIDDEN_URL`
 */
export function parseUrl(url: string): Location {
  const scheme = /^([a-z][a-z\d+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase();
  if (url.length > MAX_LENGTH) throw forbidden(url, `is longer than ${MAX_LENGTH} characters`, 'shorten it');
  if (!url.isWellFormed()) throw forbidden(url, 'has a lone surrogate', 'leave it out');
  const odd = /[\p{Cc}\\]/u.exec(url)?.[0];
  if (odd !== undefined)
    throw forbidden(url, odd === '\\' ? 'has a backslash' : 'has a control character', 'leave it out');
  if (scheme === 'https') return parseHttps(url);
  if (scheme === 'fsx') return { kind: 'files', url, path: checkPath(url, url.slice(6).replace(/^\//, '')) };
  if (scheme === 'r2') return parseR2(url);
  throw forbidden(
    url,
    scheme === undefined ? 'has no scheme' : `has the scheme ${scheme}:`,
    'r2://bucket/path, https://host/path and fsx://path can be read',
  );
}

/**
 * The bucket that `location` is in, and what stands in front of every key of it.
 *
 * @throws DoSQLError `FORBIDDEN_URL` when no bucket has the name, `BAD_PARAMETER` when its prefix is none.
 */
export function bucketOf(
  { url, bucket: name }: Extract<Location, { kind: 'r2' }>,
  buckets: Buckets | undefined,
): PrefixedBucket {
  const found = buckets !== undefined && Object.hasOwn(buckets, name) ? buckets[name] : undefined;
  if (found === undefined)
    throw forbidden(
      url,
      `names the bucket ${JSON.stringify(name)}, which this database was not given`,
      `open it with { buckets: { ${JSON.stringify(name)}: env.BINDING } }`,
    );
  if (!('bucket' in found)) return { bucket: found, prefix: '' };
  return { bucket: found.bucket, prefix: checkPrefix(name, found.prefix) };
}

/**
 * Checks that `href` may be fetched: https, a host that is allowed, nothing that could mean another.
 *
 * @throws DoSQLError `FORBIDDEN_URL`, and `BAD_PARAMETER` for an entry of the list that is no host.
 */
export function checkHost(url: string, href: string, access: FetchAccess | undefined): void {
  const parsed = new URL(href);
  if (parsed.protocol !== 'https:')
    throw forbidden(url, `leads to ${parsed.protocol}//`, 'only https:// can be read');
  if (parsed.username !== '' || parsed.password !== '')
    throw forbidden(url, 'has a user name or password', 'leave it out');
  const host = parsed.hostname;
  if (isAddress(host)) throw forbidden(url, `names the address ${host}`, 'name a host');
  if (host === 'localhost' || host.endsWith('.localhost') || host.endsWith('.'))
    throw forbidden(url, `names ${host}`, 'name a public host, without a dot at its end');
  const port = parsed.port === '' ? '443' : parsed.port;
  if ((access?.allow ?? []).some((entry) => isAllowed(entry, host, port))) return;
  const shown = port === '443' ? host : `${host}:${port}`;
  throw forbidden(
    url,
    `leads to ${shown}, which this database may not fetch from`,
    `open it with { fetch: { allow: ['${shown}'] } }`,
  );
}

function parseR2(url: string): Location {
  const rest = url.slice(5);
  const slash = rest.indexOf('/');
  const bucket = slash < 0 ? rest : rest.slice(0, slash);
  if (bucket === '') throw forbidden(url, 'names no bucket', 'write r2://bucket/path');
  return { kind: 'r2', url, bucket, path: checkPath(url, slash < 0 ? '' : rest.slice(slash + 1)) };
}

function parseHttps(url: string): Location {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw forbidden(url, 'is no URL', 'write https://host/path', cause);
  }
  // `https:///host` and `https://@host` are URLs to a lenient parser; a reader would see something else in them.
  if (!/^https:\/\/[^/?#@]+(?:[/?#]|$)/i.test(url))
    throw forbidden(url, 'has a user name, or no host', 'write https://host/path');
  parsed.hash = '';
  return { kind: 'https', url, href: parsed.href };
}

function checkPath(url: string, path: string): string {
  if (path === '' || path.endsWith('/'))
    throw forbidden(url, 'names no file', `write ${url.replace(/\/*$/, '')}/**/*.parquet for all below`);
  for (let text = path, i = 0; ; i++) {
    const segment = text.split('/').find((each) => each === '.' || each === '..');
    if (segment !== undefined)
      throw forbidden(url, `has a ${JSON.stringify(segment)} segment`, 'give the path in full');
    if (/[\p{Cc}\\]/u.test(text))
      throw forbidden(url, 'has an encoded backslash or control character', 'leave it out');
    const decoded = decodeOnce(text);
    if (decoded === text) return path;
    if (i === 8) throw forbidden(url, 'is percent-encoded many times over', 'give the path as it is');
    text = decoded;
  }
}

/** Decodes each `%xx` that is ASCII, which all that matters to a path is. */
function decodeOnce(text: string): string {
  return text.replace(/%([0-7][\da-f])/gi, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
}

function checkPrefix(name: string, prefix: string): string {
  if (typeof prefix !== 'string')
    throw new DoSQLError('BAD_PARAMETER', `the prefix of the bucket ${JSON.stringify(name)} is no text`);
  const trimmed = prefix.replace(/^\//, '').replace(/\/$/, '');
  if (trimmed === '') return '';
  if (/[\p{Cc}\\]/u.test(trimmed) || trimmed.split('/').some((each) => /^\.{0,2}$/.test(each)))
    throw new DoSQLError(
      'BAD_PARAMETER',
      `the prefix ${JSON.stringify(prefix)} of the bucket ${JSON.stringify(name)} is no path: leave out empty, "." and ".." segments, backslashes and control characters`,
    );
  return `${trimmed}/`;
}

/** Whether a host, as the URL parser writes it, is an IP address; it writes all decimal, hex and octal forms alike. */
function isAddress(host: string): boolean {
  return host.startsWith('[') || /^(?:\d+\.){0,3}\d+$/.test(host);
}

function isAllowed(entry: string, host: string, port: string): boolean {
  const match = /^(\*\.)?([^*/?#@:\s]+)(?::(\d+))?$/.exec(entry);
  if (match === null)
    throw new DoSQLError(
      'BAD_PARAMETER',
      `fetch.allow has ${JSON.stringify(entry)}, which is no host: write 'api.example.com', '*.example.com' or 'host:8443'`,
    );
  if ((match[3] ?? '443') !== port) return false;
  const name = hostName(match[2] as string);
  return match[1] === undefined ? host === name : host.endsWith(`.${name}`);
}

/** The host as the URL parser writes it: in lower case, in ASCII. */
function hostName(host: string): string {
  return URL.parse(`https://${host}/`)?.hostname ?? host;
}

function forbidden(url: string, problem: string, wayOut: string, cause?: unknown): DoSQLError {
  const shown = url.length > 200 ? `${url.slice(0, 200)}…` : url;
  return new DoSQLError('FORBIDDEN_URL', `${JSON.stringify(shown)} ${problem}: ${wayOut}`, { cause });
}
