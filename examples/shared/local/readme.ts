import { globSync, readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';

const squeeze = (text: string): string => text.replaceAll(/\s+/g, ' ').trim();

/** The ts and sql blocks of an app's README that are not code of the app, its migrations, its page or its demo, which all run. */
export function foreignCode(root: string): { readonly blocks: number; readonly foreign: readonly string[] } {
  const read = (name: string): string => readFileSync(`${root}/${name}`, 'utf8');
  const migrations = `../../.do/migrations/${basename(resolve(root))}/**/*.sql`;
  const run = squeeze(globSync(['*.ts', 'src/**/*.ts', migrations], { cwd: root }).map(read).join('\n'));
  const blocks = [...read('README.md').matchAll(/```(?:ts|sql)\n([\s\S]*?)```/g)].map(
    ([, code = '']) => code,
  );
  return { blocks: blocks.length, foreign: blocks.filter((block) => !run.includes(squeeze(block))) };
}

/** The paths that the route tables of an app have, as `/tasks/:id`. */
export function pathsIn(root: string, files: string | string[] = 'src/**/routes.ts'): string[] {
  const sources = globSync(files, { cwd: root }).map((name) => readFileSync(`${root}/${name}`, 'utf8'));
  return [...sources.join('\n').matchAll(/\[\/\^(\S+)\$\/, \{/g)].map(([, path = '']) =>
    path.replaceAll('\\/', '/').replaceAll(/\(\?<(\w+)>[^)]+\)/g, ':$1'),
  );
}
