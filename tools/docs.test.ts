import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { build } from './docs/build.ts';
import { anchorsOf, brokenLinks, pages, root, targetOf } from './docs/pages.ts';

describe('links of the documentation', () => {
  it('all lead somewhere, anchors included', () => {
    expect(brokenLinks(pages())).toEqual([]);
  });

  it('that lead nowhere are found', () => {
    const text =
      '# A\n\n[a](nowhere.md) [b](#a) [c](#b) [d](log.md#tables) [e](log.md#chairs)\n\n[f]: ../nothing\n';
    const page = { file: 'docs/internals/x.md', path: 'x.html', group: '', title: 'A', text };
    const found = brokenLinks([page]).map((problem) => problem.split(': ')[1]);
    // The page is not there, so neither are its own anchors.
    expect(found).toEqual(['nowhere.md', '#a', '#b', 'log.md#chairs', '../nothing']);
  });

  it('go by anchors as GitHub makes them', () => {
    expect(anchorsOf('# `db.asOf`, in SQL\n```sh\n# no heading\n```\n## Two\n## Two\n')).toEqual([
      'dbasof-in-sql',
      'two',
      'two-1',
    ]);
    expect(targetOf('https://github.com/dot-do/dosql/tree/main/packages/cdc', 'README.md')).toEqual({
      file: 'packages/cdc/README.md',
      anchor: '',
    });
  });
});

it('every guide has a test that runs it, and shows no block that no test knows how to run', () => {
  const tests = globSync('packages/dosql/test/**/*.test.ts', { cwd: root }).map((file) =>
    readFileSync(join(root, file), 'utf8'),
  );
  const older = { 'change-streams': "inject('guides')", 'tiering-and-files': "inject('tieringGuide')" };
  for (const { file, text } of pages().filter(({ group }) => group === 'Guides')) {
    const name = basename(file, '.md');
    const reads = [`inject('docs')['${name}']`, `readGuide('${name}')`, older[name as keyof typeof older]];
    expect([
      name,
      tests.some((test) => reads.some((one) => one !== undefined && test.includes(one))),
    ]).toEqual([name, true]);
    for (const [, language, first = ''] of text.matchAll(/^```(\w*)\n(.*)[\s\S]*?^```$/gm)) {
      expect(['ts', 'sql', 'sh', 'json', 'jsonc', 'text'], `${name}: ${first}`).toContain(language);
      // Configuration is a file of a project that is built.
      if (language === 'jsonc') expect(first).toMatch(/^\/\/ [\w./-]+\.jsonc?$/);
    }
  }
});

it('the list of tables that DoSQL keeps has all that the code makes, and no other', () => {
  const made = ['dosql', 'cdc', 'fsx'].flatMap((name) =>
    globSync(`packages/${name}/src/**/*.ts`, { cwd: root }).flatMap((file) => {
      const text = readFileSync(join(root, file), 'utf8');
      return [...text.matchAll(/CREATE TABLE (?:IF NOT EXISTS )?(__dosql_\w+)|MARK = '(__dosql_\w+)'/g)].map(
        ([, table, mark]) => table ?? mark,
      );
    }),
  );
  const listed = readFileSync(join(root, 'docs/internals/tables.md'), 'utf8').matchAll(
    /^\| `(__dosql_\w+)`/gm,
  );
  expect(new Set([...listed].map(([, table]) => table))).toEqual(new Set(made));
});

describe('the site', () => {
  const out = mkdtempSync(join(tmpdir(), 'dosql-docs-'));
  let paths: string[] = [];
  beforeAll(async () => {
    paths = await build(out);
  }, 60_000);
  afterAll(() => rmSync(out, { recursive: true }));
  const html = (path: string): string => readFileSync(join(out, path), 'utf8');

  it('has every guide, every page of the internals and a reference, all in its navigation', () => {
    expect(paths).toContain('index.html');
    for (const { file, path } of pages()) expect(paths, file).toContain(path);
    for (const path of paths) expect(html('index.html')).toContain(`href="${path}"`);
  });

  it('links only to what is there', () => {
    for (const path of paths)
      for (const [, link = ''] of html(path).matchAll(/(?:href|src)="([^"]+)"/g)) {
        if (/^[a-z]+:/.test(link)) continue;
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? path : join(dirname(path), file);
        expect([path, link, existsSync(join(out, target))]).toEqual([path, link, true]);
        if (anchor !== undefined)
          expect([link, html(target).includes(`id="${anchor}"`)]).toEqual([link, true]);
      }
  });

  it('shows code in the colours of the light and the dark', () => {
    expect(html('guides/time-travel.html')).toMatch(/color:light-dark\(/);
    expect(html('index.html')).not.toContain('<!-- figures -->&lt;');
  });

  it('has each export in the reference, with its comment and its type', () => {
    const reference = html('reference.html');
    for (const name of [
      'DB',
      'Database',
      'DoSQLError',
      'createCDC',
      'createCrypto',
      'liveQuery',
      'createR2Backend',
    ])
      expect(reference).toContain(`>${name}</h3>`);
    expect(reference).not.toContain('<pre><code class="language-ts">undefined');
    expect(reference.replaceAll(/<[^>]+>/g, '')).toContain('asOf(point: Point');
  });
});
