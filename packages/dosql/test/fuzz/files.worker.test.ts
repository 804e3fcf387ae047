import { env } from 'cloudflare:workers';
import { describe, expect, inject, it } from 'vitest';
import { DoSQLError } from '../../src/error.ts';
import { parseGlob, type Glob } from '../../src/scan/glob.ts';
import { bucketOf, checkHost, parseUrl, type Location } from '../../src/scan/url.ts';
import { counted } from '../support/counted.ts';
import { withDatabase } from '../support/database.ts';
import { Random } from '../support/random.ts';
import { seeds } from '../support/seeds.ts';

/** URLs and patterns of files that are to lead astray. */
const RUNS = Number(inject('runs')) || 2_000;

/** A pattern, what it means as a regular expression, and a path that it matches. */
interface Meant {
  readonly pattern: string;
  readonly regex: string;
  readonly path: string;
}

const LETTERS = ['a', 'b', 'A', '.', '-', ' ', '%', 'é', '𝄞', '=', '^', '!', '+', '$', '('];
const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\/]/gu, String.raw`\$&`);

/** One piece of a segment. */
function piece(random: Random): Meant {
  const letter = random.pick(LETTERS);
  return random.pick<() => Meant>([
    () => ({ pattern: letter, regex: escaped(letter), path: letter }),
    () => ({ pattern: letter, regex: escaped(letter), path: letter }),
    // Two stars in a row would be another pattern.
    () => ({
      pattern: `*${letter}`,
      regex: `[^/]*${escaped(letter)}`,
      path: random.pick(['', 'a', 'xyz']) + letter,
    }),
    () => ({ pattern: '?', regex: '[^/]', path: random.pick(['a', '𝄞', '.']) }),
    () => ({ pattern: '[*]', regex: String.raw`\*`, path: '*' }),
    () => ({ pattern: '[a-c]', regex: '[a-c]', path: random.pick(['a', 'b', 'c']) }),
    () => ({ pattern: '[!a-c.]', regex: '[^a-c./]', path: random.pick(['d', 'A', '𝄞']) }),
    () => ({ pattern: '[]x]', regex: String.raw`[\]x]`, path: ']' }),
    () => {
      const parts = random.times(2 + random.int(2), () => segment(random, 2));
      return {
        pattern: `{${parts.map(({ pattern }) => pattern).join(',')}}`,
        regex: `(?:${parts.map(({ regex }) => regex).join('|')})`,
        path: random.pick(parts).path,
      };
    },
  ])();
}

function segment(random: Random, length: number): Meant {
  const pieces = random.times(1 + random.int(length), () => piece(random));
  const join = (of: keyof Meant): string => pieces.map((each) => each[of]).join('');
  return { pattern: join('pattern'), regex: join('regex'), path: join('path') };
}

/** A whole pattern. */
function meant(random: Random): Meant {
  let [pattern, regex, path] = ['', '', ''];
  const count = 1 + random.int(4);
  for (let i = 0; i < count; i++) {
    const isLast = i === count - 1;
    if (random.chance(0.25)) {
      const below = random.pick(isLast ? ['a', 'a/b'] : ['', 'a/', 'a/b/']);
      pattern += isLast ? '**' : '**/';
      regex += isLast ? '(?:[^/]*/)*[^/]*' : '(?:[^/]*/)*';
      path += below;
      continue;
    }
    const each = random.chance(0.15) ? { pattern: '*', regex: '[^/]*', path: 'any' } : segment(random, 4);
    pattern += each.pattern + (isLast ? '' : '/');
    regex += each.regex + (isLast ? '' : '/');
    path += each.path + (isLast ? '' : '/');
  }
  return { pattern, regex, path };
}

/** A path near this one. */
function near(random: Random, path: string): string {
  const characters = Array.from(path);
  const at = random.int(characters.length + 1);
  const kind = random.int(4);
  if (kind === 0) characters.splice(at, 1);
  else if (kind === 1) characters.splice(at, 0, random.pick([...LETTERS, '/']));
  else if (kind === 2) characters[at] = random.pick([...LETTERS, '/', 'x']);
  return characters.join('');
}

/** What URLs are put together from. */
const PARTS = [
  'r2://logs/',
  'r2://tenant/',
  'R2://logs/',
  'fsx://',
  'https://api.example.com/',
  'https://',
  'http://',
  'r2://',
  'file://',
  '..',
  '.',
  '/',
  '//',
  '%2e',
  '%2E%2e',
  '%252e',
  '%2f',
  '%25252f',
  '%5c',
  '\\',
  '%00',
  '\0',
  '\n',
  '%0a',
  '%',
  '%2',
  'a',
  'b.csv',
  '*',
  '**',
  '{a,b}',
  '[a]',
  '?',
  '#',
  '&',
  '@',
  ':',
  ' ',
  "'",
  'é',
  'ｅ',
  '．',
  '／',
  '＼',
  '。',
  '\u202e',
  '\ud800',
  '𝄞',
  'api.example.com',
  'evil.example',
  '127.0.0.1',
  'localhost',
  '[::1]',
  '0x7f000001',
  '__proto__',
  'constructor',
  'tenant-b/secret.csv',
];

/** What patterns that find something are put together from. */
const PLAUSIBLE = [
  '*',
  '**/',
  '**',
  'b.csv',
  '{b,secret}',
  '.csv',
  '../',
  '/',
  '[!a]',
  '?',
  '%2e%2e/',
  'secret.csv',
];

const BUCKETS = { logs: env.BUCKET, tenant: { bucket: env.BUCKET, prefix: 'tenant-a' } };

/** The place that a URL leads to; undefined for one that is refused. */
function opened(url: string): { location: Location; key: string } | undefined {
  try {
    const location = parseUrl(url);
    if (location.kind === 'https') checkHost(url, location.href, { allow: ['api.example.com'] });
    const key = location.kind === 'r2' ? bucketOf(location, BUCKETS).prefix + location.path : '';
    return { location, key };
  } catch (error) {
    expect(error, JSON.stringify(url)).toBeInstanceOf(DoSQLError);
    expect((error as DoSQLError).code, JSON.stringify(url)).toBe('FORBIDDEN_URL');
    return undefined;
  }
}

/** All that somebody may take a path for who decodes it, once or again and again, or resolves it. */
function readings(path: string): string[] {
  const all = [path];
  for (let text = path, i = 0; i < 12; i++) {
    const next = text.replaceAll(/%([\da-f]{2})/gi, (_, code: string) =>
      String.fromCharCode(Number.parseInt(code, 16)),
    );
    if (next === text) break;
    all.push(next);
    text = next;
  }
  return all;
}

describe.each(seeds(20_261_121))('seed %i', (seed) => {
  it('a pattern matches what its regular expression does', { timeout: 60_000 + RUNS * 5 }, () => {
    console.log(`patterns: VITE_SEED=${seed}`);
    const random = new Random(seed);
    let matched = 0;
    let tried = 0;
    for (let i = 0; i < RUNS; i++) {
      const { pattern, regex, path } = meant(random);
      let glob: Glob;
      try {
        glob = parseGlob(pattern);
      } catch (error) {
        expect((error as DoSQLError).message).toContain('more than 256 alternatives');
        continue;
      }
      const model = new RegExp(`^(?:${regex})$`, 'u');
      for (const each of [path, near(random, path), near(random, path), meant(random).path]) {
        const label = `${JSON.stringify(pattern)} and ${JSON.stringify(each)}`;
        const isMatch = model.test(each);
        expect(glob.matches(each), label).toBe(isMatch);
        if (isMatch) expect(each.startsWith(glob.prefix), `${label}: ${glob.prefix}`).toBe(true);
        if (glob.isLiteral) expect(glob.matches(each), label).toBe(each === glob.prefix);
        matched += isMatch ? 1 : 0;
        tried++;
      }
    }
    counted('patterns of files', { paths: tried, matched });
    expect(matched).toBeGreaterThan(tried / 4);
    expect(matched).toBeLessThan(tried * 0.9);
  });

  it('a URL leads where it says, or is refused', { timeout: 60_000 + RUNS * 5 }, () => {
    console.log(`URLs: VITE_SEED=${seed}`);
    const random = new Random(seed);
    let open = 0;
    for (let i = 0; i < RUNS * 4; i++) {
      const scheme = random.chance(0.8) ? random.pick(PARTS.slice(0, 5)) : '';
      const url = scheme + random.times(1 + random.int(6), () => random.pick(PARTS)).join('');
      const found = opened(url);
      if (found === undefined) continue;
      open++;
      const { location, key } = found;
      const label = JSON.stringify(url);
      if (location.kind === 'https') {
        const { protocol, hostname, port, username, password } = new URL(location.href);
        expect({ protocol, hostname, port, username, password }, label).toEqual({
          protocol: 'https:',
          hostname: 'api.example.com',
          port: '',
          username: '',
          password: '',
        });
        continue;
      }
      // The very text stands in the URL, and a tenant's key below the tenant.
      expect(url.endsWith(location.path), label).toBe(true);
      if (location.kind === 'r2' && location.bucket === 'tenant')
        expect(key.startsWith('tenant-a/'), label).toBe(true);
      for (const reading of readings(location.path)) {
        expect(
          reading.split('/').filter((each) => each === '.' || each === '..'),
          label,
        ).toEqual([]);
        expect(/[\0\n\\]/.test(reading), label).toBe(false);
      }
    }
    counted('URLs', { parsed: RUNS * 4, 'led somewhere': open });
    expect(open).toBeGreaterThan(RUNS / 10);
  });

  it('no URL reads what lies outside of its tenant', { timeout: 60_000 + RUNS * 20 }, async () => {
    const random = new Random(seed);
    const canary = 'word\ncanary\n';
    await env.BUCKET.put('tenant-b/secret.csv', canary);
    await env.BUCKET.put('secret.csv', canary);
    await env.BUCKET.put('tenant-a/b.csv', 'word\nours\n');
    let read = 0;
    let refused = 0;
    await withDatabase(
      async (db) => {
        for (let i = 0; i < RUNS / 10; i++) {
          const parts = random.chance(0.5) ? PLAUSIBLE : PARTS;
          // The first is one that leads to a file.
          const path = i === 0 ? ['b.csv'] : random.times(1 + random.int(4), () => random.pick(parts));
          const url = `r2://tenant/${path.join('')}`.replaceAll("'", "''");
          try {
            const rows = await db.query<object>(`SELECT * FROM '${url}'`);
            expect(JSON.stringify(rows), url).not.toContain('canary');
            read++;
          } catch (error) {
            const code = DoSQLError.from(error)?.code ?? String(error);
            // A NUL ends no text, but no statement has one.
            expect(code, JSON.stringify(url)).toMatch(
              /^(?:FORBIDDEN_URL|NO_SUCH_FILE|BAD_PARAMETER|SYNTAX|CORRUPT_FILE)$/,
            );
            refused++;
          }
        }
      },
      { buckets: { tenant: BUCKETS.tenant } },
    );
    counted('URLs', { 'read by SQL': read, 'refused by SQL': refused });
    expect(read).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(RUNS / 100);
  });
});
