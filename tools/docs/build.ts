/**
 * Builds the documentation as a static site in `docs/dist`: `npm run docs`.
 *
 * Pages are the Markdown files of the repository as they are. Links between them become links between pages, those to
 * other files lead to GitHub.
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import MarkdownIt from 'markdown-it';
import { createHighlighter } from 'shiki';
import { reference } from './reference.ts';
import { anchorsOf, brokenLinks, pages, root, targetOf, type Page } from './pages.ts';

type Markdown = InstanceType<typeof MarkdownIt>;

const REPOSITORY = 'https://github.com/dot-do/dosql/blob/main/';
const LANGUAGES = ['ts', 'sql', 'sh', 'json', 'jsonc'];

/**
 * Builds the site in the folder `out`, and returns the paths of its pages.
 *
 * @throws Error that names every link that leads nowhere
 */
export async function build(out: string): Promise<string[]> {
  const written = pages();
  const broken = brokenLinks(written);
  if (broken.length > 0) throw new Error(`links that lead nowhere:\n${broken.join('\n')}`);
  const all = [...written, reference()];
  const highlighter = await createHighlighter({ themes: ['github-light', 'github-dark'], langs: LANGUAGES });
  const markdown = new MarkdownIt({
    html: true,
    highlight: (code, language) =>
      LANGUAGES.includes(language)
        ? highlighter.codeToHtml(code, {
            lang: language,
            themes: { light: 'github-light', dark: 'github-dark' },
            defaultColor: 'light-dark()',
          })
        : '',
  });
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  cpSync(new URL('style.css', import.meta.url), join(out, 'style.css'));
  for (const page of all) {
    const file = join(out, page.path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, layout(page, all, content(page, all, markdown, out)));
  }
  highlighter.dispose();
  return all.map(({ path }) => path);
}

function content(page: Page, all: readonly Page[], markdown: Markdown, out: string): string {
  const tokens = markdown.parse(page.text, {});
  const anchors = anchorsOf(page.text);
  for (const token of tokens) {
    if (token.type === 'heading_open') token.attrSet('id', anchors.shift() ?? '');
    for (const part of token.children ?? []) {
      const href = part.attrGet('href');
      if (href !== null) part.attrSet('href', linkOf(String(href), page, all));
      const src = part.attrGet('src');
      if (src !== null) part.attrSet('src', imageOf(String(src), page, out));
    }
  }
  return markdown.renderer.render(tokens, markdown.options, {});
}

/** The way from a page to where a link of its text leads. */
function linkOf(link: string, page: Page, all: readonly Page[]): string {
  const target = targetOf(link, page.file);
  if (target === undefined) return link;
  const anchor = target.anchor === '' ? '' : `#${target.anchor}`;
  const found = all.find(({ file }) => file === target.file);
  return found === undefined ? `${REPOSITORY}${target.file}${anchor}` : `${way(page, found.path)}${anchor}`;
}

/** A picture of the repository goes along. */
function imageOf(source: string, page: Page, out: string): string {
  const file = targetOf(source, page.file)?.file;
  if (file === undefined) return source;
  const path = `images/${file.replaceAll('/', '-')}`;
  mkdirSync(join(out, 'images'), { recursive: true });
  cpSync(join(root, file), join(out, path));
  return way(page, path);
}

const way = (from: Page, path: string): string => posix.relative(posix.dirname(from.path), path);

function layout(page: Page, all: readonly Page[], body: string): string {
  const groups = [...new Set(all.map(({ group }) => group))];
  const item = (other: Page): string =>
    `<li><a href="${way(page, other.path)}"${other === page ? ' aria-current="page"' : ''}>${escaped(other.title)}</a></li>`;
  const list = groups.map(
    (group) =>
      `${group === '' ? '' : `<h2>${group}</h2>`}<ul>${all
        .filter((other) => other.group === group)
        .map(item)
        .join('')}</ul>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(page.path === 'index.html' ? page.title : `${page.title} – DoSQL`)}</title>
<link rel="stylesheet" href="${way(page, 'style.css')}">
</head>
<body>
<nav aria-label="Pages">${list.join('\n')}</nav>
<main>
${body}</main>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll('`', '').replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

if (import.meta.main) {
  const out = join(root, 'docs/dist');
  const paths = await build(out);
  const bytes = paths.reduce((sum, path) => sum + readFileSync(join(out, path)).length, 0);
  console.log(
    `${paths.length} pages, ${Math.round(bytes / 1_000)} kB, in docs/dist: open docs/dist/index.html`,
  );
}
