import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { Budget, type Limits } from '../src/scan/budget.ts';
import type { SourceEnvironment } from '../src/scan/source/environment.ts';
import { openSource, type Source, type SourceOptions } from '../src/scan/source/source.ts';
import type { Condition, ScanTable } from '../src/scan/table.ts';
import { normalise, toScalars } from '../src/scan/values.ts';
import { failure } from './support/database.ts';
import { SERVED_ROWS } from './support/file-server.ts';
import { Random } from './support/random.ts';
import { seeds } from './support/seeds.ts';

const noWait = { random: () => 0.5, sleep: () => Promise.resolve() };
const web: SourceEnvironment = {
  ...noWait,
  fetcher: fetch,
  fetch: { allow: ['files.example', '*.files.example'] },
};

let folders = 0;

/** A place of its own in the bucket, with files in it. */
async function placed(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = `source-${++folders}-${Math.random()}`;
  for (const [path, content] of Object.entries(files)) await env.BUCKET.put(`${folder}/${path}`, content);
  return folder;
}

/** Access to one place under the name `b`. */
const at = (prefix: string, bucket: R2Bucket = env.BUCKET): SourceEnvironment => ({
  ...web,
  buckets: { b: { bucket, prefix } },
});

function open(
  url: string,
  environment: SourceEnvironment,
  options: Partial<SourceOptions> = {},
): Promise<Source> {
  return openSource(url, environment, { budget: new Budget(), ...options });
}

interface Scanned {
  readonly rows: unknown[][];
  readonly budget: Budget;
}

async function scan(
  table: ScanTable,
  conditions: readonly Condition[] = [],
  limits: Partial<Limits> = {},
): Promise<Scanned> {
  const budget = new Budget(limits);
  const columns = table.columns.map(({ name }) => name);
  const rows: unknown[][] = [];
  for await (const batch of table.scan({ columns, conditions, budget })) {
    const vectors = table.columns.map((column) => toScalars(normalise(column, batch.column(column.name))));
    for (let i = 0; i < batch.rowCount; i++)
      rows.push(
        vectors.map((values) => {
          const value = values[i];
          return typeof value === 'bigint' ? Number(value) : value;
        }),
      );
  }
  return { rows, budget };
}

const typesOf = ({ columns }: ScanTable): string =>
  columns.map(({ name, type }) => `${name} ${type}`).join(', ');

describe('files of a bucket', () => {
  it('are one table in the order of their names, with a file name where asked for', async () => {
    const folder = await placed({
      'b.csv': 'id,name\n2,b\n',
      'a.csv': 'id,name\n1,a\n',
      'a/c.csv': 'id,name\n3,c\n',
      'a.json': '{"id":9}',
    });
    const table = await open('r2://b/*.csv', at(folder), { filename: true });
    expect(typesOf(table)).toBe('id integer, name text, filename text');
    expect((await scan(table)).rows).toEqual([
      [1, 'a', 'r2://b/a.csv'],
      [2, 'b', 'r2://b/b.csv'],
    ]);
    expect(table.files.map(({ path }) => path)).toEqual(['a.csv', 'b.csv']);
    expect((await scan(await open('r2://b/**/*.csv', at(folder)))).rows).toEqual([
      [1, 'a'],
      [3, 'c'],
      [2, 'b'],
    ]);
    expect((await scan(await open('r2://b/{b,a/c}.csv', at(folder)))).rows.length).toBe(2);
    expect((await scan(await open('r2://b/a.json', at(folder)))).rows).toEqual([[9]]);
  });

  it('are refused when there are none, or of several formats, or of none', async () => {
    const folder = await placed({ 'a.csv': 'a\n1\n', 'a.json': '{"a":1}', 'a.txt': 'x', _SUCCESS: '' });
    const of = async (url: string): Promise<string> => (await failure(open(url, at(folder)))).message;
    expect(await of('r2://b/no.csv')).toBe('NO_SUCH_FILE: there is no file r2://b/no.csv');
    expect(await of('r2://b/*.parquet')).toBe('NO_SUCH_FILE: no file matches r2://b/*.parquet');
    expect(await of('r2://b/a.txt')).toMatch(/^BAD_PARAMETER: r2:\/\/b\/a.txt does not tell its format/);
    expect(await of('r2://b/*')).toMatch(/^BAD_PARAMETER: .*different formats, csv and json/);
    expect(await of('r2://c/a.csv')).toMatch(/^FORBIDDEN_URL: .*bucket "c"/);
    expect(await of('fsx://a.csv')).toMatch(/^FORBIDDEN_URL/);
  });

  it('have their columns matched by name', async () => {
    const folder = await placed({
      '1.csv': 'a,B,n,e\n1,x,1,\n',
      '2.csv': 'b,a,e\ny,2.5,7\n',
      '3.json.csv': 'c\n2026-01-02\n',
    });
    const table = await open('r2://b/*.csv', at(folder));
    expect(typesOf(table)).toBe('a real, B text, n integer, e integer, c date');
    expect((await scan(table)).rows).toEqual([
      [1, 'x', 1, null, null],
      [2.5, 'y', null, 7, null],
      [null, null, null, null, '2026-01-02'],
    ]);
  });

  it('are refused when their columns do not go together, but for a type that is given', async () => {
    const folder = await placed({ '1.csv': 'a\n1\n', '2.csv': 'a\nx\n' });
    expect((await failure(open('r2://b/*.csv', at(folder)))).message).toBe(
      `BAD_PARAMETER: the column "a" is integer in r2://b/1.csv and text in r2://b/2.csv: read it with { types: { "a": 'text' } }`,
    );
    const table = await open('r2://b/*.csv', at(folder), { types: { A: 'text' } });
    expect((await scan(table)).rows).toEqual([['1'], ['x']]);
    const unknown = failure(open('r2://b/1.csv', at(folder), { types: { z: 'text' } }));
    expect((await unknown).message).toMatch(/^BAD_PARAMETER: types names "z", which is no column/);
  });

  it('have columns by the names of their folders, by which they are left out unread', async () => {
    const files: Record<string, string> = {};
    for (const year of [2025, 2026])
      for (const month of ['01', '12'])
        files[`year=${year}/month=${month}/day=${year}-${month}-03/who=a%2Fb/x.csv`] = `n,year\n${year},0\n`;
    files['year=__HIVE_DEFAULT_PARTITION__/month=02/day=2026-01-01/who=c%20d/x.csv'] = 'n,year\n5,0\n';
    const folder = await placed(files);
    const all = await open('r2://b/**/*.csv', at(folder));
    expect(typesOf(all)).toBe('n integer, year integer, month integer, day date, who text');
    expect((await scan(all)).rows).toEqual([
      [2025, 2025, 1, '2025-01-03', 'a/b'],
      [2025, 2025, 12, '2025-12-03', 'a/b'],
      [2026, 2026, 1, '2026-01-03', 'a/b'],
      [2026, 2026, 12, '2026-12-03', 'a/b'],
      [5, null, 2, '2026-01-01', 'c d'],
    ]);
    const cases: [Condition, number][] = [
      [{ column: 'year', operator: '=', values: [2026] }, 2],
      [{ column: 'year', operator: 'is null', values: [] }, 1],
      [{ column: 'YEAR', operator: 'is not null', values: [] }, 5],
      [{ column: 'month', operator: '>', values: [1] }, 3],
      [{ column: 'month', operator: 'in', values: [2, 12n] }, 3],
      [{ column: 'day', operator: '>=', values: ['2026-01-01'] }, 3],
      [{ column: 'day', operator: '<', values: ['2025-01-03T00:00:00.001Z'] }, 1],
      [{ column: 'who', operator: '=', values: ['c d'] }, 1],
      [{ column: 'who', operator: '<=', values: ['a/b'] }, 4],
      [{ column: 'who', operator: '=', values: [1] }, 5],
    ];
    for (const [condition, count] of cases) {
      const { rows, budget } = await scan(all, [condition]);
      expect(rows.length, JSON.stringify(condition.values.map(String))).toBe(count);
      expect(budget.counts.files).toMatchObject({ pruned: 5 - count, read: count });
    }
    const budget = new Budget();
    const narrowed = await open('r2://b/**/*.csv', at(folder), {
      budget,
      narrow: (columns) => (columns.length === 4 ? [{ column: 'month', operator: '=', values: [2] }] : []),
    });
    expect(budget.counts.files).toEqual({ total: 5, pruned: 4, read: 0 });
    expect((await scan(narrowed)).rows.length).toBe(1);
  });

  it('are listed page by page, and tried again when the bucket fails for a moment', async () => {
    const files = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`${i}.csv`, `a\n${i}\n`]));
    const folder = await placed(files);
    let calls = 0;
    const flaky = proxied(
      env.BUCKET,
      () => {
        if (++calls % 3 === 1)
          throw new Error('get: We encountered an internal error. Please try again. (10001)');
      },
      () => {},
    );
    const { rows } = await scan(await open('r2://b/*.csv', at(folder, flaky)));
    expect(rows.map(([a]) => a).toSorted((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 30 }, (_, i) => i),
    );
    const down = proxied(env.BUCKET, () => {
      throw new Error('unreachable');
    });
    expect((await failure(open('r2://b/*.csv', at(folder, down)))).message).toMatch(
      /^STORAGE_UNAVAILABLE: r2:\/\/b\/ could not be read in 4 tries, the last failed with: unreachable/,
    );
  });

  it('are not read when they have changed or gone since they were found', async () => {
    const line = 'x'.repeat(100);
    const folder = await placed({ 'a.csv': `a\n${`${line}\n`.repeat(5_000)}` });
    const changed = await open('r2://b/a.csv', at(folder));
    await env.BUCKET.put(`${folder}/a.csv`, `a\n${`${line}\n`.repeat(5_001)}`);
    expect((await failure(scan(changed))).message).toMatch(
      /^STORAGE_UNAVAILABLE: .*has changed while it was read/,
    );
    const gone = await open('r2://b/a.csv', at(folder));
    await env.BUCKET.delete(`${folder}/a.csv`);
    expect((await failure(scan(gone))).message).toMatch(/^NO_SUCH_FILE: .*has been removed/);
  });

  it('keep to the limits of a query', async () => {
    const folder = await placed({ 'a.csv': `a\n${'1\n'.repeat(500_000)}` });
    const table = await open('r2://b/a.csv', at(folder));
    expect((await failure(scan(table, [], { bytes: 1000 }))).code).toBe('TOO_BIG');
    const aborted = failureOf(
      (async () => {
        const signal = AbortSignal.abort(new Error('enough'));
        for await (const batch of table.scan({
          columns: ['a'],
          conditions: [],
          budget: new Budget(),
          signal,
        }))
          batch.column('a');
      })(),
    );
    expect(await aborted).toBe('enough');
  });
});

async function failureOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it did not fail',
    (error: unknown) => (error as Error).message,
  );
}

/** A bucket of which every call is seen before it is made; it lists seven keys at a time. */
function proxied(bucket: R2Bucket, see: (key: string) => void, answered = see): R2Bucket {
  const calls = {
    get: async (key: string, options: R2GetOptions) => {
      see(key);
      return bucket.get(key, options);
    },
    head: async (key: string) => {
      see(key);
      return bucket.head(key);
    },
    list: async (options: R2ListOptions) => {
      see(options.prefix ?? '');
      const page = await bucket.list({ ...options, limit: 7 });
      page.objects.forEach(({ key }) => answered(key));
      return page;
    },
  };
  return calls as unknown as R2Bucket;
}

describe.each(seeds(20_261_121))('two tenants in one bucket, seed %i', (seed) => {
  it('never reach what is the other’s, whatever they name', async () => {
    const random = new Random(seed);
    const folder = await placed({
      'tenant-a/x.csv': 'a\n1\n',
      'tenant-a/day=1/y.csv': 'a\n2\n',
      'tenant-ab/secret.csv': 'a\n666\n',
      'tenant-b/secret.csv': 'a\n666\n',
      'secret.csv': 'a\n666\n',
    });
    const own = `${folder}/tenant-a/`;
    const touched: string[] = [];
    const bucket = proxied(env.BUCKET, (key) => touched.push(key));
    const environment: SourceEnvironment = {
      ...web,
      buckets: { a: { bucket, prefix: `${folder}/tenant-a` }, b: { bucket, prefix: `${folder}/tenant-b/` } },
    };
    const pieces = [
      '..',
      '.',
      '/',
      '//',
      '../',
      '/..',
      '%2e%2e',
      '%2E%2E%2F',
      '%252e%252e%252f',
      '..%2f',
      '..%5c',
      '\\',
      '..\\',
      '%00',
      '\0',
      '*',
      '**',
      '?',
      '[.]',
      '[.][.]',
      '{..,x}',
      '{../tenant-b,x}',
      '**/',
      'tenant-b',
      'tenant-ab',
      'secret.csv',
      '*.csv',
      folder,
      `${folder}/tenant-b/secret.csv`,
      'x.csv',
      'day=1',
      'b',
      '-b/',
      '；',
      '․․/',
      '．．/',
      '\u{202e}',
      ' ',
      '#',
      '?x=',
      '@',
      ':',
      '__proto__',
      'constructor',
    ];
    const found: unknown[] = [];
    let opened = 0;
    for (let i = 0; i < 250; i++) {
      // Half of them name something that is there, in a roundabout way.
      const good = random.pick([
        '',
        '',
        '**/*.csv',
        '{x,../tenant-b/secret}.csv',
        '*/../x.csv',
        'x.csv',
        '[!/]*.csv',
        'day=?/*',
      ]);
      const path =
        good +
        random
          .times(random.int(good === '' ? 6 : 2), () => random.pick(pieces))
          .join(random.pick(['', '', '/']));
      const url = `r2://${random.pick(['a', 'a', 'a', 'A', '__proto__', 'a@b', 'b/../a', '%61'])}/${path}`;
      const outcome = await open(url, environment).then(scan, (error: unknown) => error);
      if (outcome instanceof Error) {
        expect(outcome.message, url).toMatch(/^(?:FORBIDDEN_URL|NO_SUCH_FILE|BAD_PARAMETER): /);
        continue;
      }
      opened++;
      found.push(...(outcome as Scanned).rows.flat());
    }
    expect(opened).toBeGreaterThan(5);
    expect(touched.length).toBeGreaterThan(20);
    expect(touched.filter((key) => !key.startsWith(own))).toEqual([]);
    expect(found).not.toContain(666);
  });
});

describe('files over https', () => {
  it.each(['ranged', 'whole', 'weak', 'unnamed', 'flaky'])(
    'are read from a server that is %s',
    async (kind) => {
      const table = await open(`https://files.example/${kind}/a.csv`, web);
      const { rows, budget } = await scan(table);
      expect(rows.length).toBe(SERVED_ROWS);
      expect(rows.at(-1)).toEqual([SERVED_ROWS - 1, `name ${SERVED_ROWS - 1}`]);
      if (kind === 'ranged') expect(budget.counts.requests).toBeGreaterThan(0);
    },
  );

  it('may say their format by their type, or be told it', async () => {
    expect(typesOf(await open('https://files.example/typed', web))).toBe('a integer, b integer');
    expect(typesOf(await open('https://files.example/typed', web, { format: 'tsv' }))).toBe('a,b text');
    expect((await open('https://files.example/empty/a.csv', web)).columns).toEqual([]);
    expect((await failure(open('https://files.example/hops?left=9', web))).code).toBe('STORAGE_UNAVAILABLE');
  });

  it('are followed where they lead, while that is allowed', async () => {
    const to = (location: string): string =>
      `https://files.example/to/a.csv?to=${encodeURIComponent(location)}`;
    expect((await scan(await open(to('https://other.files.example/ranged/a.csv'), web))).rows.length).toBe(
      SERVED_ROWS,
    );
    expect((await scan(await open('https://files.example/hops/a.csv?left=4', web))).rows.length).toBe(
      SERVED_ROWS,
    );
    for (const location of [
      'https://evil.example/ranged/a.csv',
      '//evil.example/ranged/a.csv',
      'http://files.example/ranged/a.csv',
      'https://files.example:8443/ranged/a.csv',
      'https://user@files.example/ranged/a.csv',
      'https://127.0.0.1/a.csv',
      'https://[::1]/a.csv',
      'https://0x7f.1/a.csv',
      'https://localhost/a.csv',
      'file:///etc/passwd',
      'data:text/csv,a',
    ])
      expect((await failure(open(to(location), web))).code, location).toBe('FORBIDDEN_URL');
    expect((await failure(open('https://files.example/hops/a.csv?left=5', web))).message).toMatch(
      /redirects more than 5/,
    );
    expect((await failure(open(to('https://'), web))).message).toMatch(/redirects to what is no URL/);
  });

  it.each<[string, RegExp]>([
    ['missing', /^NO_SUCH_FILE: .*404/],
    ['private', /^STORAGE_UNAVAILABLE: .*answered with 403/],
    ['broken', /^STORAGE_UNAVAILABLE: .*4 tries, the last failed with: it answered 500/],
    ['huge', /^TOO_BIG: .*larger than the 33,554,432 bytes/],
    ['announced', /^TOO_BIG/],
  ])('are refused when they are %s', async (kind, expected) => {
    expect((await failure(open(`https://files.example/${kind}/a.csv`, web))).message).toMatch(expected);
  });

  it('are not read on when they have changed', async () => {
    for (const kind of ['changing', 'changes']) {
      const url = `https://files.example/${kind}/${Math.random()}.csv`;
      const error = await failure(open(url, web).then((table) => scan(table)));
      expect(error.message, kind).toMatch(/^STORAGE_UNAVAILABLE: .*has changed while it was read/);
    }
  });

  it('are not fetched unless the database was told so', async () => {
    let calls = 0;
    const fetcher: typeof fetch = () => {
      calls++;
      throw new Error('fetched');
    };
    const { fetch: _, ...closed } = web;
    expect((await failure(open('https://files.example/ranged/a.csv', { ...closed, fetcher }))).code).toBe(
      'FORBIDDEN_URL',
    );
    expect((await failure(open('https://evil.example/a.csv', { ...web, fetcher }))).code).toBe(
      'FORBIDDEN_URL',
    );
    expect(calls).toBe(0);
  });
});
