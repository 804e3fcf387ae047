import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => /\.(?:ts|js|css|html|md|jsonc?|sql)$/.test(file) && file !== 'package-lock.json');
const sources = files.filter((file) => /^(?:packages|examples|bench|tools)\/.*\.ts$/.test(file));
const shipped = sources.filter(
  (file) => /^packages\/[^/]+\/src\//.test(file) && !file.endsWith('.test.ts') && !file.endsWith('.d.ts'),
);
const read = (file: string): string => readFileSync(`${root}/${file}`, 'utf8');

/** The lines of `checked` files that match, as `file:line text`. */
function matches(checked: readonly string[], pattern: RegExp): string[] {
  return checked.flatMap((file) =>
    read(file)
      .split('\n')
      .flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1} ${line.trim()}`] : [])),
  );
}

describe('the tree', () => {
  it('names files in kebab-case', () => {
    expect(
      sources.filter((file) => !/^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*$/.test(basename(file))),
    ).toEqual([]);
  });

  it('keeps shipped files short enough to read', () => {
    expect(shipped.filter((file) => read(file).split('\n').length > 500)).toEqual([]);
  });

  it('leaves no unfinished work', () => {
    const own = files.filter((file) => file !== 'tools/tidy.test.ts');
    expect(matches(own, /\b(?:TODO|FIXME|XXX)\b/)).toEqual([]);
    expect(matches(own, /not (?:yet )?implemented/i)).toEqual([]);
    expect(
      matches(
        own,
        /\b(?:it|test|describe)\.(?:only|todo|fails|skip)\b|@ts-ignore|@ts-expect-error|\bas any\b/,
      ),
    ).toEqual([]);
  });

  it('ships no mocks', () => {
    expect(matches(shipped, /\bMock[A-Z]|\bmock\b/)).toEqual([]);
  });

  it('re-exports by name', () => {
    expect(matches(sources, /^export \*/)).toEqual([]);
  });

  it('uses no enums', () => {
    expect(matches(sources, /^\s*(?:export )?(?:const )?enum /)).toEqual([]);
  });

  it('gives every export a doc comment', () => {
    const undocumented = shipped.flatMap((file) => {
      const lines = read(file).split('\n');
      return lines.flatMap((line, i) => {
        if (
          !/^export (?:declare )?(?:async )?(?:abstract )?(?:function|class|interface|type|const)\b(?!.* from )/.test(
            line,
          )
        )
          return [];
        if (line.startsWith('export type {')) return [];
        // Overloads and namesakes share the comment of the first.
        const name = /(?:function\*?|class|interface|type|const) (\w+)/.exec(line)?.[1] ?? '';
        const first = lines.findIndex((other) =>
          new RegExp(`^export .*(?:function\\*?|class|interface|type|const) ${name}\\b`).test(other),
        );
        return lines[first - 1]?.trim().endsWith('*/') ? [] : [`${file}:${i + 1} ${line}`];
      });
    });
    expect(undocumented).toEqual([]);
  });
});

describe('who imports whom', () => {
  const importsOf = (folder: string): string[] =>
    shipped
      .filter((file) => file.startsWith(`packages/${folder}/`))
      .flatMap((file) =>
        [...read(file).matchAll(/^(?:import|export|\}) .*from '(@dotdo\/[^']+)'/gm)].map(
          (match) => match[1] as string,
        ),
      );

  it('fsx imports nothing of ours, cdc nothing but fsx', () => {
    expect(importsOf('fsx')).toEqual([]);
    expect(importsOf('cdc').filter((name) => name !== '@dotdo/fsx')).toEqual([]);
  });

  it('benchmarks and examples use public exports only', () => {
    const users = sources.filter((file) => /^(?:examples|bench)\//.test(file));
    expect(matches(users, /from '(?:\.\.\/)+packages\//)).toEqual([]);
  });
});
