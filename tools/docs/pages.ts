import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** A Markdown file of the repository, and where it is on the site. */
export interface Page {
  /** From the root of the repository. */
  readonly file: string;
  /** From the root of the site. */
  readonly path: string;
  readonly group: string;
  readonly title: string;
  readonly text: string;
}

export const root: string = new URL('../..', import.meta.url).pathname;
/** The order in which guides are read; others follow by their names. */
const ORDER = [
  'getting-started',
  'time-travel',
  'branches',
  'change-streams',
  'tiering-and-files',
  'migrations',
  'testing',
  'operating',
  'security',
  'coming-from',
];

const read = (file: string): string => readFileSync(root + file, 'utf8');
const markdownIn = (folder: string): string[] =>
  readdirSync(root + folder)
    .filter((name) => name.endsWith('.md'))
    .toSorted();

/** All pages, in the order of the navigation. */
export function pages(): Page[] {
  const page = (file: string, path: string, group: string, title = titleOf(read(file))): Page => ({
    file,
    path,
    group,
    title,
    text: read(file),
  });
  const place = (name: string): number =>
    (ORDER.indexOf(name.slice(0, -3)) + ORDER.length + 1) % (ORDER.length + 1);
  const guides = markdownIn('docs/guides').toSorted((a, b) => place(a) - place(b));
  return [
    page('README.md', 'index.html', ''),
    ...guides.map((name) => page(`docs/guides/${name}`, `guides/${name.replace('.md', '.html')}`, 'Guides')),
    ...['dosql', 'cdc', 'fsx'].map((name) =>
      page(`packages/${name}/README.md`, `packages/${name}.html`, 'Packages'),
    ),
    page('packages/cdc/SPEC.md', 'packages/cdc-spec.html', 'Packages', 'What streams promise'),
    ...['saas', 'archive'].map((name) =>
      page(`examples/${name}/README.md`, `examples/${name}.html`, 'Examples'),
    ),
    ...markdownIn('docs/internals').map((name) =>
      page(`docs/internals/${name}`, `internals/${name.replace('.md', '.html')}`, 'Internals'),
    ),
  ];
}

function titleOf(text: string): string {
  return /^# (.*)$/m.exec(text)?.[1] ?? '';
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(text: string): string[] {
  const headings = text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.*)$/gm);
  const seen = new Map<string, number>();
  return [...headings].map(([, heading = '']) => {
    const slug = slugOf(heading);
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
}

function slugOf(heading: string): string {
  const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll('`', '');
  return plain
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
}

const GITHUB = /^https:\/\/github\.com\/dot-do\/dosql\/(?:blob|tree)\/main\//;

/** Where a link in a page leads: to a file of the repository, and an anchor; undefined for one to somewhere else. */
export function targetOf(link: string, from: string): { file: string; anchor: string } | undefined {
  const [path = '', anchor = ''] = link.replace(GITHUB, '/').split('#', 2);
  if (/^[a-z][a-z\d+.-]*:/i.test(path)) return undefined;
  const file =
    path === '' ? from : path.startsWith('/') ? path.slice(1) : posix.join(posix.dirname(from), path);
  const readme = posix.join(file, 'README.md');
  return { file: !file.endsWith('.md') && existsSync(root + readme) ? readme : file, anchor };
}

/** What is wrong with the links of the pages, each as `page: link`. */
export function brokenLinks(all: readonly Page[]): string[] {
  return all.flatMap(({ file, text }) => {
    const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
    const found = [...prose.matchAll(/\]\(([^)\s]+)\)/g), ...prose.matchAll(/^\[[^\]]+\]: (\S+)$/gm)];
    const links = found.map(([, link = '']) => link);
    return links
      .filter((link) => {
        const target = targetOf(link, file);
        if (target === undefined) return false;
        if (!existsSync(root + target.file)) return true;
        return target.anchor !== '' && !anchorsOf(read(target.file)).includes(target.anchor);
      })
      .map((link) => `${file}: ${link}`);
  });
}
