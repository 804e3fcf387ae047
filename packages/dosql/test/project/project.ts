import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { snippetsOf } from '../support/snippets.ts';

const root = new URL('../../../..', import.meta.url).pathname;
/** What a project of a guide has installed besides our packages. */
const TOOLS = ['@cloudflare', '@types', 'drizzle-orm', 'typescript', 'vitest', 'wrangler'];

/** The text of a guide. */
export function readGuide(name: string): string {
  return readFileSync(join(root, `docs/guides/${name}.md`), 'utf8');
}

/** A project in a folder of its own, with our packages installed as they would be published. */
export class Project {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'dosql-project-'));

  /** Of the files that guides show: the blocks that begin with a path. */
  constructor(...guides: readonly string[]) {
    for (const guide of guides)
      for (const { path, text } of snippetsOf(guide)) if (path !== undefined) this.write(path, text);
    this.write('package.json', '{ "private": true, "type": "module" }');
    const modules = join(this.folder, 'node_modules');
    mkdirSync(join(modules, '@dotdo'), { recursive: true });
    for (const name of TOOLS) symlinkSync(join(root, 'node_modules', name), join(modules, name));
    const packages = ['dosql', 'cdc', 'fsx'].map((name) => join(root, 'packages', name));
    execFileSync('npm', ['pack', '--silent', '--pack-destination', this.folder, ...packages]);
    for (const name of ['dosql', 'cdc', 'fsx']) {
      const to = join(modules, '@dotdo', name);
      mkdirSync(to);
      execFileSync('tar', [
        'xzf',
        join(this.folder, `dotdo-${name}-0.1.0.tgz`),
        '-C',
        to,
        '--strip-components=1',
      ]);
    }
  }

  write(path: string, text: string): void {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  read(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  /** Runs a tool that is installed, and gives what it prints. */
  async run(tool: string, ...args: readonly string[]): Promise<{ status: number; output: string }> {
    const child = spawn(join(root, 'node_modules/.bin', tool), args, {
      cwd: this.folder,
      env: {
        ...process.env,
        NO_COLOR: '1',
        CLOUDFLARE_CF_FETCH_ENABLED: 'false',
        WRANGLER_SEND_METRICS: 'false',
      },
    });
    const ended = new Promise<number>((resolve) => {
      child.on('close', (status) => resolve(status ?? 1));
    });
    const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { status, output: out + err };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
