import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, type Page } from './pages.ts';

/** What each package exports under which name. */
const ENTRIES: readonly (readonly [name: string, types: string])[] = [
  ['@dotdo/dosql', 'packages/dosql/dist/index.d.ts'],
  ['@dotdo/dosql/crypto', 'packages/dosql/dist/crypto.d.ts'],
  ['@dotdo/cdc', 'packages/cdc/dist/index.d.ts'],
  ['@dotdo/cdc/client', 'packages/cdc/dist/client/index.d.ts'],
  ['@dotdo/fsx', 'packages/fsx/dist/index.d.ts'],
];

/** A page of all exports, by the doc comments and types that the build has made. */
export function reference(): Page {
  const declared = new Map<string, string>();
  for (const name of ['dosql', 'cdc', 'fsx'])
    for (const file of typesIn(`packages/${name}/dist`)) declare(file, declared);
  const parts = ENTRIES.map(([name, types]) => {
    const exported = exportsOf(readFileSync(join(root, types), 'utf8')).toSorted((a, b) =>
      a.localeCompare(b),
    );
    return [`## ${name}`, ...exported.map((one) => entry(one, declared.get(one)))].join('\n\n');
  });
  return {
    file: 'docs/dist/reference.md',
    path: 'reference.html',
    group: 'Packages',
    title: 'Reference',
    text: `# Reference\n\nAll exports, with their types, as the packages have them.\n\n${parts.join('\n\n')}\n`,
  };
}

function typesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.d.ts'))
    .toSorted()
    .map((file) => join(root, folder, file));
}

/** The declarations of a file, each with the comment before it, by name. The first of a name stays. */
function declare(file: string, declared: Map<string, string>): void {
  const text = readFileSync(file, 'utf8').replaceAll(/^ +#private;\n/gm, '');
  // What begins with a brace ends with one at the beginning of a line, anything else with a semicolon.
  const pattern =
    /^(?:\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?export (?:declare )?(?:abstract )?(?:class|interface|function|type|const) (\w+)(?:[^\n]*\{\n[\s\S]*?^\}(?:[^\n]*;)?$|[\s\S]*?;$)/gm;
  for (const [declaration, name = ''] of text.matchAll(pattern))
    if (!declared.has(name)) declared.set(name, declaration);
}

/** The names that an entry gives away: of its own declarations, and of others. */
function exportsOf(text: string): string[] {
  const own = [...text.matchAll(/^export (?:declare )?(?:class|interface|function|type|const) (\w+)/gm)].map(
    (match) => match[1] ?? '',
  );
  const others = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap((match) =>
    (match[1] ?? '').split(','),
  );
  const names = others.map(
    (one) =>
      one
        .replace(/^\s*type /, '')
        .split(' as ')
        .at(-1)
        ?.trim() ?? '',
  );
  return [...new Set([...own, ...names])].filter((name) => name !== '');
}

function entry(name: string, declaration = ''): string {
  const comment = /^\/\*\*([\s\S]*?)\*\/\n/.exec(declaration)?.[1] ?? '';
  const prose = comment
    .split('\n')
    .map((line) => line.replace(/^ *\* ?/, ''))
    .join('\n')
    .replaceAll(/\{@link (?:\w+\.)?(\w+)\}/g, '`$1`')
    .replaceAll(/^@throws (.*)/gm, '\nThrows $1')
    .replaceAll(/^@param (\w+)/gm, '\n`$1`')
    .trim();
  const code = declaration.replace(/^\/\*\*[\s\S]*?\*\/\n/, '').replaceAll(/^export (?:declare )?/gm, '');
  return `### ${name}\n\n${prose}\n\n\`\`\`ts\n${code}\n\`\`\``;
}
