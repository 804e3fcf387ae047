import { describe, expect, it } from 'vitest';
import { DoSQLError } from '../error.ts';
import { bucketOf, checkHost, isUrl, parseUrl, type Buckets } from './url.ts';

const bucket = { get: () => undefined } as unknown as R2Bucket;
const BUCKETS: Buckets = { logs: bucket, "it's": bucket, tenant: { bucket, prefix: '/tenant-a/' } };
const ALLOW = ['api.example.com', '*.cdn.example', 'odd.example:8443', 'bücher.example'];

/** What a URL leads to when it is allowed. */
function open(url: string): string {
  const location = parseUrl(url);
  if (location.kind === 'https') {
    checkHost(url, location.href, { allow: ALLOW });
    return location.href;
  }
  return location.kind === 'r2'
    ? `${bucketOf(location, BUCKETS).prefix}${location.path} of ${location.bucket}`
    : `file ${location.path}`;
}

function refusal(url: string): DoSQLError {
  try {
    throw new Error(`${JSON.stringify(url)} was taken for ${open(url)}`);
  } catch (error) {
    if (error instanceof DoSQLError) return error;
    throw error;
  }
}

describe('a URL in SQL', () => {
  it.each([
    ['r2://logs/a.parquet', 'a.parquet of logs'],
    ['R2://logs/2026/**/*.parquet', '2026/**/*.parquet of logs'],
    ['r2://logs/day=2026-01-01%2012%3A00/x{1,2}.csv', 'day=2026-01-01%2012%3A00/x{1,2}.csv of logs'],
    ['r2://logs/user=a%2Fb/x.csv', 'user=a%2Fb/x.csv of logs'],
    ['r2://logs/a b/ü?#x.csv', 'a b/ü?#x.csv of logs'],
    ['r2://logs/...', '... of logs'],
    ['r2://logs/100%', '100% of logs'],
    ["r2://it's/x", "x of it's"],
    ['r2://tenant/x.csv', 'tenant-a/x.csv of tenant'],
    ['r2://tenant//tenant-b/x', 'tenant-a//tenant-b/x of tenant'],
    ['fsx://cold/x.parquet', 'file cold/x.parquet'],
    ['fsx:///cold/x.parquet', 'file cold/x.parquet'],
    ['https://api.example.com/data.json', 'https://api.example.com/data.json'],
    ['https://API.Example.com:443/a%20b.csv?x=1&y=..#part', 'https://api.example.com/a%20b.csv?x=1&y=..'],
    ['https://a.cdn.example/x', 'https://a.cdn.example/x'],
    ['https://a.b.cdn.example/x', 'https://a.b.cdn.example/x'],
    ['https://odd.example:8443/x', 'https://odd.example:8443/x'],
    ['https://BÜCHER.example/x', 'https://xn--bcher-kva.example/x'],
  ])('%s is taken for what it says', (url, expected) => {
    expect(open(url)).toBe(expected);
    expect(isUrl(url)).toBe(true);
  });

  it.each([
    // Another key than the text says, to whoever resolves or decodes it.
    'r2://logs/../other/x',
    'r2://logs/a/../../x',
    'r2://logs/./x',
    'r2://logs/..',
    'r2://logs/a/%2e%2e/x',
    'r2://logs/a/.%2E/x',
    'r2://logs/a%2f..%2fx',
    'r2://logs/a/%252e%252e/x',
    'r2://logs/%25252e%25252e%25252fx',
    'r2://logs/a%5c..%5cx',
    'r2://logs/a\\..\\x',
    'r2://logs/a\0.csv',
    'r2://logs/a%00.csv',
    'r2://logs/a%2500.csv',
    'r2://logs/a\nb.csv',
    'r2://logs/a\u{85}b.csv',
    'r2://logs/\ud800.csv',
    `r2://logs/%${'25'.repeat(40)}2e`,
    `r2://logs/${'x'.repeat(5000)}`,
    'r2://logs',
    'r2://logs/',
    'r2://logs/a/',
    'r2:///x',
    'r2://',
    // Buckets that nobody configured.
    'r2://other/x',
    'r2://LOGS/x',
    'r2://logs:80/x',
    'r2://user@logs/x',
    'r2://__proto__/x',
    'r2://constructor/x',
    'r2://toString/x',
    'r2://hasOwnProperty/x',
    // The file store.
    'fsx://../x',
    'fsx://a/../x',
    'fsx://%2e%2e/x',
    'fsx://',
    'fsx:///',
    // Other schemes.
    'http://api.example.com/x',
    'file:///etc/passwd',
    's3://logs/x',
    'gs://logs/x',
    'data://text/plain',
    'javascript://api.example.com/%0aalert(1)',
    'ftp://api.example.com/x',
    'wss://api.example.com/x',
    '//api.example.com/x',
    '/etc/passwd',
    'logs/x.csv',
    // Hosts that are not allowed, or are not what they seem.
    'https://example.com/x',
    'https://evil.example/x',
    'https://api.example.com.evil.example/x',
    'https://apixexample.com/x',
    'https://cdn.example/x',
    'https://evilcdn.example/x',
    'https://api.example.com:8443/x',
    'https://odd.example/x',
    'https://user@api.example.com/x',
    'https://user:pass@api.example.com/x',
    'https://api.example.com@evil.example/x',
    'https://@api.example.com/x',
    'https://api.example.com\\@evil.example/x',
    'https://api.example.com./x',
    'https:///api.example.com/x',
    'https://api.example.com\t/x',
    'https://',
    'https://[::1]/x',
    'https://[::ffff:127.0.0.1]/x',
    'https://127.0.0.1/x',
    'https://2130706433/x',
    'https://0x7f000001/x',
    'https://0177.0.0.1/x',
    'https://127.1/x',
    'https://①②⑦.0.0.1/x',
    'https://169.254.169.254/latest/meta-data',
    'https://localhost/x',
    'https://a.localhost/x',
    'https://LOCALHOST/x',
    'https://%6c%6f%63alhost/x',
  ])('%j is refused', (url) => {
    const { code, reason } = refusal(url);
    expect(code).toBe('FORBIDDEN_URL');
    expect(reason.length).toBeLessThan(500);
  });

  it('is refused with what to configure', () => {
    expect(refusal('r2://other/x').message).toBe(
      'FORBIDDEN_URL: "r2://other/x" names the bucket "other", which this database was not given: open it with { buckets: { "other": env.BINDING } }',
    );
    expect(refusal('https://a.example/x').message).toBe(
      `FORBIDDEN_URL: "https://a.example/x" leads to a.example, which this database may not fetch from: open it with { fetch: { allow: ['a.example'] } }`,
    );
  });

  it('reaches no host when none is allowed, and no address when one is', () => {
    const check = (href: string, allow?: string[]) => (): void =>
      checkHost(href, href, allow === undefined ? undefined : { allow });
    expect(check('https://a.example/')).toThrow(/FORBIDDEN_URL/);
    expect(check('https://a.example/', [])).toThrow(/FORBIDDEN_URL/);
    expect(check('http://a.example/', ['a.example'])).toThrow(/FORBIDDEN_URL/);
    expect(check('https://127.0.0.1/', ['127.0.0.1'])).toThrow(/FORBIDDEN_URL/);
    expect(check('https://localhost/', ['localhost'])).toThrow(/FORBIDDEN_URL/);
    for (const entry of ['*', 'https://a.example', 'a.example/x', '*.*.example', 'u@a.example', ''])
      expect(check('https://a.example/', [entry]), entry).toThrow(/BAD_PARAMETER/);
  });

  it('stays below a prefix, which must be a path', () => {
    const location = parseUrl('r2://t/x') as Extract<ReturnType<typeof parseUrl>, { kind: 'r2' }>;
    const prefixed = (prefix: string): string => bucketOf(location, { t: { bucket, prefix } }).prefix;
    expect(prefixed('a')).toBe('a/');
    expect(prefixed('/a/b/')).toBe('a/b/');
    expect(prefixed('')).toBe('');
    for (const prefix of ['..', 'a/../b', 'a//b', 'a\\b', 'a\0', './a'])
      expect(() => prefixed(prefix), prefix).toThrow(/BAD_PARAMETER/);
  });
});
